import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { Command } from "commander";
import { buildProgram } from "../../src/cli/program.ts";
import { resource } from "../../src/cli/resource.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { runCli } from "./run-cli.ts";

const program = buildProgram();

/** Every command with its words. */
function all(parent: Command, words: readonly string[] = []): { words: readonly string[]; command: Command }[] {
  return parent.commands.flatMap((command) => {
    const own = [...words, command.name()];
    return [{ words: own, command }, ...all(command, own)];
  });
}

const COMMANDS = all(program);
const GROUPS = COMMANDS.filter(({ command }) => command.commands.length > 0);
const options = (t: TestContext) => ({ cwd: temporaryDir(t) });

test("a group alone prints its help on stderr and ends with 2, unless it is a command itself", async (t) => {
  const bare = GROUPS.filter(({ words, command }) => command.registeredArguments.length === 0 && words[0] !== "oncall");
  assert.ok(bare.length > 20, String(bare.length));
  const here = options(t);
  for (const { words } of bare) {
    const { status, stdout, stderr } = await runCli(words, here);
    assert.deepEqual([status, stdout], [2, ""], words.join(" "));
    assert.match(stderr, new RegExp(`^Usage: prism ${words.join(" ")}`));
  }
});

test("an unknown command of a group is an error, also with --help, and of a group that is a command", async (t) => {
  const here = options(t);
  for (const { words, command } of GROUPS) {
    // A word after these may be an argument.
    if (command.registeredArguments.length > 0) continue;
    for (const args of [
      [...words, "chnge"],
      [...words, "chnge", "x", "--help"],
      [...words, "--json", "chnge", "-h"],
    ]) {
      const { status, stdout, stderr } = await runCli(args, here);
      assert.deepEqual([status, stdout], [2, ""], args.join(" "));
      assert.match(stderr, /unknown command 'chnge'/, args.join(" "));
    }
    const known = await runCli([...words, command.commands[0]?.name() ?? "", "--help"], here);
    assert.deepEqual([known.status, known.stderr], [0, ""], words.join(" "));
  }
});

test("the words of a group's help are the names of its commands", () => {
  const verbs = new Set([
    ...COMMANDS.map(({ command }) => command.name()),
    "change",
    "modify",
    "acknowledge",
    "remove",
  ]);
  for (const { words, command } of GROUPS) {
    // It is a command, too, whose help says what that does.
    if (command.registeredArguments.length > 0) continue;
    const own = new Set(command.commands.map((each) => each.name()));
    const [sentence = ""] = command
      .description()
      .replace(/^[^:;]+: /, "")
      .split(";");
    for (const part of sentence.split(/, | and | or /)) {
      const [word = ""] = part.split(" ");
      if (verbs.has(word) && word !== command.name()) assert.ok(own.has(word), `prism ${words.join(" ")}: ${word}`);
    }
  }
});

/** A value that an option takes. */
const VALUES: Readonly<Record<string, string>> = {
  ...{ "--every": "1h", "--schedule": "0 3 * * *", "--grace": "1h", "--day": "monday", "--hour": "3" },
  ...{ "--type": "a", "--level": "error", "--state": "dead", "--scopes": "events:read", "--expires": "30d" },
  ...{ "--days": "7", "--from": "2026-11-01", "--to": "2026-11-08" },
};

test("options that contradict each other are refused, whichever comes first", async (t) => {
  const here = options(t);
  let pairs = 0;
  for (const { words, command } of COMMANDS)
    for (const option of command.options) {
      const { conflictsWith } = option as unknown as { readonly conflictsWith: readonly string[] };
      for (const name of conflictsWith) {
        const other = command.options.find((each) => each.attributeName() === name);
        assert.ok(other, `${words.join(" ")} ${option.long}: ${name} is an option`);
        pairs++;
        const given = [option, other].map(({ long, required, argChoices }) =>
          required ? [String(long), argChoices?.[0] ?? VALUES[String(long)] ?? "x"] : [String(long)],
        );
        const needed = command.registeredArguments.filter((each) => each.required).map(() => "x");
        for (const each of command.options) if (each.mandatory) needed.push(String(each.long), "{}");
        for (const order of [given, [...given].reverse()]) {
          const { status, stderr } = await runCli([...words, ...needed, ...order.flat()], here);
          assert.deepEqual(
            [status, /cannot be used with option/.test(stderr)],
            [2, true],
            `${words.join(" ")}: ${stderr}`,
          );
        }
      }
    }
  assert.ok(pairs >= 25, String(pairs));
  for (const line of [
    "silences add a=b --incident 1",
    "trigger x --delay 1h --cron * --notify me --title a --body b",
    "user role ann --role A --add B",
    "queue retry --id x --queue y",
    "notifications read x --all",
    "incidents ack 1 --all-open",
    "key create --kind opsgenie --scopes events:write",
    "key create --label a=b",
    "send --to ann --type x hello",
  ]) {
    const { status, stderr } = await runCli(line.split(" "), here);
    assert.equal(status, 2, `${line}: ${stderr}`);
  }
});

test("a verb that excludes a flag it does not have is refused when the program starts", () => {
  const verb = { text: "", examples: "", flags: { all: ["--all", ""] } } as const;
  const add = (other: string) =>
    resource(new Command(), "things", "thing", {
      ...{ text: "", examples: "" },
      verbs: { list: { ...verb, excludes: [["all", other]] } },
    });
  assert.throws(() => add("kinds"), TypeError);
});

test("every list without entries says so on stdout, and `oncall` alone says who is on call", async (t) => {
  const prism = await startPrism(t);
  const { body: project } = await prism.post<{ id: string }>("/api/v1/projects", { name: "Empty", slug: "empty" });
  assert.ok(project.id);
  const here = { cwd: prism.dir, env: { PRISM_DATA_DIR: prism.dir } };
  const NAMED = /^(list|schedules|now|next|gaps|requests|days-off|conflicts|dead|access)$/;
  const lists = COMMANDS.filter(({ command }) => NAMED.test(command.name()) && command.commands.length === 0);
  assert.ok(lists.length > 25, String(lists.length));
  for (const { words, command } of lists) {
    if (HAS_ENTRIES.test(words.join(" ")) || command.registeredArguments.some((each) => each.required)) continue;
    const isOfProject = command.options.some(({ long }) => long === "--project");
    const isOfUser = command.options.some(({ long }) => long === "--user") && words[0] === "notifications";
    const scope = [...(isOfProject ? ["--project", "empty"] : []), ...(isOfUser ? ["--user", "dev"] : [])];
    const { status, stdout, stderr } = await runCli([...words, ...scope], here);
    assert.equal(status, 0, `${words.join(" ")}: ${stderr}`);
    assert.match(stdout, /^no [a-z ]+\b.*\n$/, words.join(" "));
  }
  const none = await runCli("user list --username nobody".split(" "), here);
  assert.deepEqual([none.stdout, none.stderr], ["no users\n", ""]);
  assert.equal((await runCli("key list --kind opsgenie --project empty".split(" "), here)).stdout, "no keys\n");
  assert.equal((await runCli(["oncall"], here)).stdout, "no schedules\n");
  assert.match((await runCli(["oncall", "--json"], here)).stdout, /"data":\[\]/);
});

/** Of a new server, or of the person who asks. */
const HAS_ENTRIES =
  /^(projects|user|key|policies|audit|token|events|schedules|oncall days-off) ?(list|)$|^cluster|^oncall days-off/;
