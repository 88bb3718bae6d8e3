import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import test from "node:test";
import { eachCase, runCli } from "./run-cli.ts";

const cwd = tmpdir();

const CASES: readonly { args: readonly string[]; status: number; stdout?: RegExp; stderr?: RegExp }[] = [
  { args: ["--help"], status: 0, stdout: /serve .*\n[\s\S]*tail[\s\S]*Exit codes: 0 done/ },
  { args: ["--version"], status: 0, stdout: /^\d+\.\d+\.\d+\n$/ },
  {
    args: ["--version", "--all"],
    status: 0,
    stdout: /^prism +\d+\.\d+\.\d+\ncommit [\s\S]*\nNode\.js +\d+\.[\s\S]*\nplatform +\w+-\w+\n$/,
  },
  {
    args: ["-v", "--json", "--all"],
    status: 0,
    stdout: /^\{"version":.*"uWebSockets":.*"glibc":.*"node":"v\d+\..*\}\n$/,
  },
  { args: ["help", "tail"], status: 0, stdout: /Usage: prism tail[\s\S]*Examples:\n {2}\$ prism tail/ },
  { args: ["help", "key", "rotate"], status: 0, stdout: /Usage: prism key rotate[\s\S]*--grace/ },
  { args: ["export", "--help"], status: 0, stdout: /--format[\s\S]*Global Options:[\s\S]*--json/ },
  { args: [], status: 2, stderr: /Usage: prism/ },
  { args: ["serv"], status: 2, stderr: /^prism: unknown command 'serv'\n\(Did you mean serve\?\)\n$/ },
  { args: ["help", "migrat"], status: 2, stderr: /unknown command 'migrat'\n\(Did you mean migrate\?\)/ },
  { args: ["key", "creat"], status: 2, stderr: /unknown command 'creat'\n\(Did you mean create\?\)/ },
  { args: ["tail", "--limt", "3"], status: 2, stderr: /unknown option '--limt'\n\(Did you mean --limit\?\)/ },
  { args: ["tail", "--notifications", "--type", "x"], status: 2, stderr: /cannot be used with/ },
  { args: ["export", "users", "--project", "x"], status: 2, stderr: /--project does not select users/ },
  { args: ["user", "list", "--url", "http://127.0.0.1:1"], status: 2, stderr: /takes no --url/ },
  {
    args: ["export", "events", "--url", "http://127.0.0.1:1", "--data-dir", "x"],
    status: 2,
    stderr: /--url or --data-dir, not both/,
  },
  {
    args: ["trigger", "x", "--url", "nonsense", "--notify", "me", "--title", "t", "--body", "b"],
    status: 2,
    stderr: /nonsense is not the URL of a server/,
  },
];

test("the command line", (t) =>
  eachCase(
    t,
    "of these arguments",
    CASES.map((c) => ({ ...c, name: `prism ${c.args.join(" ")} ends with ${c.status}` })),
    async (c) => {
      const { status, stdout, stderr } = await runCli(c.args, { cwd });
      assert.equal(status, c.status, stderr);
      assert.match(stdout, c.stdout ?? /^$/);
      assert.match(stderr, c.stderr ?? /^$/);
    },
  ));
