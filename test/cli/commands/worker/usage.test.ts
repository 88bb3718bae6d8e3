import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import test from "node:test";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { makeServiceToken } from "../../../http/support/access/makers.ts";
import { eachCase, runCli } from "../../run-cli.ts";

const cwd = tmpdir();
const URL = ["--url", "http://127.0.0.1:1"];
const MAIL = ["--queues", "notification-delivery"];

const REFUSED: readonly { args: readonly string[]; status: number; stderr: RegExp; env?: Record<string, string> }[] = [
  { args: URL, status: 2, stderr: /required option '--queues <list>' not specified/ },
  { args: [...URL, "--queues", ","], status: 2, stderr: /Use one or more of notification-delivery/ },
  { args: [...URL, "--queues", "digest"], status: 2, stderr: /digest is run by the server itself; use one or more of/ },
  { args: [...URL, "--queues", "mails"], status: 2, stderr: /mails is no queue/ },
  { args: [...URL, ...MAIL, "--concurrency", "0"], status: 2, stderr: /Use a whole number from 1 to 1000/ },
  { args: ["--url", "prism", ...MAIL], status: 2, stderr: /prism is not the URL of a server/ },
  { args: [...URL, ...MAIL, "--data-dir", "x"], status: 2, stderr: /opens no data directory and takes no --data-dir/ },
  { args: [...URL, ...MAIL], status: 5, stderr: /needs a service token with the permission jobs:work/ },
  {
    args: [...URL, "--token", "t", ...MAIL],
    env: { PRISM_SMTP_PORT: "mail" },
    status: 3,
    stderr: /the configuration is not valid:\n {2}- PRISM_SMTP_PORT must be/,
  },
];

test("S2-123: prism worker says what is wrong with how it is called", (t) =>
  eachCase(
    t,
    "of these calls",
    REFUSED.map((c) => ({ ...c, name: `prism worker ${c.args.join(" ")} ends with ${c.status}` })),
    async ({ args, status, stderr, env = {} }) => {
      const ended = await runCli(["worker", ...args], { cwd, env });
      assert.equal(ended.status, status, ended.stderr);
      assert.match(ended.stderr, stderr);
    },
  ));

test("S2-123: a token without jobs:work, and a login, end the worker with 5; it leaves no file", async (t) => {
  const prism = await startPrism(t);
  const { id } = await makeUser(prism, "other", ["Admin"]);
  const { token } = await makeServiceToken(prism, id, { scopes: ["jobs:read"] });
  const dir = temporaryDir(t);
  for (const [given, words] of [
    [token, /valid service token with jobs:work/],
    [prism.adminToken, /Workers use a service token/],
    ["nonsense", /valid service token with jobs:work/],
  ] as const) {
    const { status, stderr } = await runCli(["worker", "--url", prism.url, ...MAIL], {
      cwd: dir,
      env: { PRISM_TOKEN: given },
    });
    assert.equal(status, 5, stderr);
    assert.match(stderr, words);
    assert.ok(!stderr.includes(given) || given === "nonsense");
  }
  assert.deepEqual(readdirSync(dir), []);
});
