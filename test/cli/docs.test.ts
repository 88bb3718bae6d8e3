import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { Command } from "commander";
import { EXIT } from "../../src/cli/output/exit-codes.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { topics } from "../../src/features/health/status/manual.ts";
import { runCli, runJson } from "./run-cli.ts";

const root = join(import.meta.dirname, "../..");
const program = buildProgram();
const manual = [
  "docs/cli.md",
  "docs/cli-users.md",
  "docs/cli-queue.md",
  "docs/cli-backup.md",
  "docs/cli-cluster.md",
  "docs/cli-rules.md",
  "docs/cli-projects.md",
  "docs/cli-alerts.md",
  "docs/cli-configuration.md",
  "docs/cli-import.md",
]
  .map((page) => readFileSync(join(root, page), "utf8"))
  .join("\n");

/** Every command that does something, by its name: `key rotate`. */
function commandsOf(parent: Command, prefix = ""): [name: string, command: Command][] {
  return parent.commands.flatMap((command) => {
    const name = prefix + command.name();
    const own: [string, Command][] = [[name, command]];
    if (command.commands.length === 0) return own;
    // A group that takes arguments is a command, too.
    return [...(command.registeredArguments.length > 0 ? own : []), ...commandsOf(command, `${name} `)];
  });
}

/** Names of flags, each with its value: `--out <file>`. */
function flagsOf(command: Command): string[] {
  return command.options.map(({ flags }) => flags.replace(/^-\w, /, "")).sort();
}

/** What the first cells of a section's table of flags hold. */
function documentedFlags(section: string): string[] {
  return [...section.matchAll(/^\| `(--[^`]+)` \|/gm)].map(([, flag = ""]) => flag).sort();
}

function sectionOf(name: string): string {
  const [, rest] = manual.split(`\n## ${name}\n`);
  assert.ok(rest, `a page docs/cli-*.md has a section "${name}"`);
  return rest.split("\n## ")[0] ?? "";
}

/** The whole text of `--help`, including the text before and after the lists. */
function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  return text;
}

const commands = commandsOf(program).filter(([name]) => name !== "help");

test("docs/cli.md has every command with exactly the flags of its help, an example, and no command that is not there", () => {
  for (const [name, command] of commands) {
    const section = sectionOf(`prism ${name}`);
    assert.deepEqual(documentedFlags(section), flagsOf(command), name);
    assert.match(section, new RegExp(`^\\$ (?:\\w+ )?(?:\\w+=\\$\\()?prism ${name}\\b`, "m"), `${name} has an example`);
  }
  const documented = [...manual.matchAll(/^## prism (.+)$/gm)].map(([, name]) => name);
  assert.deepEqual(documented.sort(), commands.map(([name]) => name).sort());
});

test("docs/cli.md has the flags that every command takes", () => {
  assert.deepEqual(documentedFlags(sectionOf("For every command")), [...flagsOf(program), "--help"].sort());
});

test("docs/cli.md and the help of the program list the exit codes", () => {
  const section = sectionOf("For every command");
  const codes = [...section.matchAll(/^\| (\d+) \| (.+?)(?::.*)? \|$/gm)].map(([, code, words]) => `${code} ${words}`);
  assert.deepEqual(codes.map(Number.parseFloat), Object.values(EXIT));
  const said = helpOf(program).replace(/\s+/g, " ");
  for (const code of codes) assert.ok(said.includes(code.replace(" (Ctrl-C)", "")), code);
});

test("every command and every group has an example in its help", () => {
  for (const [name, command] of [...commands, ...program.commands.map((group) => [group.name(), group] as const)])
    assert.match(helpOf(command), /^Examples?:\n(?: {2}\$ .*\n)+/m, name);
});

test("every command line in README and docs names commands and flags that exist", () => {
  const inDocs = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" });
  const pages = ["README.md", ...inDocs.filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`)];
  const texts: (readonly [string, string])[] = pages.map((page) => [page, readFileSync(join(root, page), "utf8")]);
  const groups = program.commands.map((group) => [group.name(), group] as const);
  texts.push(...[...commands, ...groups].map(([name, command]) => [`prism ${name} --help`, helpOf(command)] as const));
  let seen = 0;
  for (const [where, text] of texts) {
    for (const [, line = ""] of text.matchAll(/(?:^|[`($ ]|&& )prism ((?:[a-z]+ )+[^`\n|)&]*)/gm)) {
      const words = line.trim().split(/\s+/);
      const command = followed(words);
      // "prism doctor says" is a sentence.
      if (!command) continue;
      seen++;
      const known = [...command.options, ...program.options].map(({ long }) => long);
      // A command in the argument of another is a match of its own.
      const own = line.replaceAll(/'[^']*'|"[^"]*"|"?\$\(.*/g, "");
      for (const [flag] of own.matchAll(/--[a-z-]+/g))
        assert.ok(known.includes(flag) || flag === "--help", `${where}: prism ${line}: ${flag}`);
    }
  }
  assert.ok(seen > 60, String(seen));
});

/** The command that words begin with; undefined when they begin with none. */
function followed(words: readonly string[]): Command | undefined {
  let command: Command = program;
  for (const word of words) {
    const next = command.commands.find((each) => each.name() === word);
    if (!next) break;
    command = next;
  }
  return command === program ? undefined : command;
}

test("prism docs lists the topics, and prints each of them for a terminal of 80 columns", async () => {
  const options = { cwd: root };
  const all = topics();
  assert.deepEqual(await runJson(["docs"], options), all);
  const list = await runCli(["docs"], options);
  for (const { name, summary } of all)
    assert.ok(list.stdout.includes(`  ${name} `) && list.stdout.includes(summary.replaceAll("`", "")), name);
  const page = await runCli(["docs", "jobs"], options);
  assert.deepEqual([page.status, page.stderr], [0, ""]);
  assert.match(page.stdout, /^Jobs and queues\n={15}\n/);
  assert.match(page.stdout, /^succeeded and cancelled jobs are kept 7 days|- Retention:/m);
  for (const line of page.stdout.split("\n")) assert.ok(line.length <= 80, line);
  const { topic, markdown } = await runJson<{ topic: string; markdown: string }>(["docs", "jobs.md"], options);
  assert.deepEqual([topic, markdown], ["jobs", readFileSync(join(root, "docs/jobs.md"), "utf8")]);
});

test("prism docs takes the earlier name of a page, and names the search for an unknown one", async () => {
  const options = { cwd: root };
  const { topic } = await runJson<{ topic: string }>(["docs", "integrations/index"], options);
  assert.equal(topic, "integrations");
  const unknown = await runCli(["docs", "smtp"], options);
  assert.match(unknown.stderr, /there is no topic smtp; .*prism docs search smtp/);
});

test("prism docs search finds words in any case; an unknown topic or word is exit code 6", async () => {
  const options = { cwd: root };
  const found = await runJson<{ topic: string; section: string; line: string }[]>(
    ["docs", "search", "dead LETTER"],
    options,
  );
  assert.ok(found.some(({ topic, section }) => topic === "glossary" && section === "Jobs and time"));
  for (const [args, status] of [
    [["docs", "nothing"], EXIT.notFound],
    [["docs", "search", "xyzzy-nowhere"], EXIT.notFound],
    [["docs", "search"], EXIT.usage],
    [["docs", "rules", "more"], EXIT.usage],
  ] as const)
    assert.equal((await runCli(args, options)).status, status, args.join(" "));
});
