import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Command } from "commander";
import type { ServerClient } from "../../../remote/server-client.ts";
import { contextOf } from "../../context.ts";
import { readStdin, readTextFile } from "../../files.ts";
import { deleteAfterQuestion, everyItem, online, pick } from "../../on-server.ts";
import { CommandError, describeFailure, EXIT, ServerRefused } from "../../output/exit-codes.ts";
import { printable } from "../../output/output.ts";
import { confirm } from "../access/prompt.ts";
import { portableRule, type ShownRule, settable } from "./rule-source.ts";
import { warningLines, withCaret } from "./test-rule.ts";

interface RuleFlags {
  readonly project?: string;
}

const OF_PROJECT = ["--project <project>", "find the name among the rules of this project: id or slug"] as const;

function rulePath(id: string): string {
  return `/api/v1/rules/${encodeURIComponent(id)}`;
}

/** Resolves the rule of a command line. @throws CommandError 6, 7 */
async function findRule(server: ServerClient, ref: string, { project }: RuleFlags): Promise<ShownRule> {
  const rules = await everyItem<ShownRule>(server, "/api/v1/rules", { projectId: project });
  return pick(rules, ref, {
    one: "rule",
    namesOf: ({ name }) => [name],
    lineOf: ({ id, name, projectId }) => `${id}  ${name}  ${projectId === null ? "(all projects)" : projectId}`,
  });
}

function addSwitchRule(rules: Command, action: "enable" | "disable", description: string): void {
  rules
    .command(action)
    .description(description)
    .argument("<rule>", "id or name, or a prefix of one")
    .option(...OF_PROJECT)
    .addHelpText(
      "after",
      `\nExamples:\n  $ prism rules ${action} 'Disk full'\n  $ prism rules ${action} 'Disk full' --project ops`,
    )
    .action((ref: string, flags: RuleFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const { id } = await findRule(server, ref, flags);
        const rule = await server.change<ShownRule>("PUT", rulePath(id), { active: action === "enable" });
        out.result(rule, () => `${id}  ${printable(rule.name)}  ${action}d`);
      }),
    );
}

function addDeleteRule(rules: Command): void {
  rules
    .command("delete")
    .description("delete a rule; its decisions and notifications are kept")
    .argument("<rule>", "id or name, or a prefix of one")
    .option(...OF_PROJECT)
    .option("--yes", "do not ask")
    .addHelpText("after", "\nExample:\n  $ prism rules delete 'Disk full' --project ops --yes")
    .action(async (ref: string, { yes, ...flags }: RuleFlags & { readonly yes?: boolean }, command: Command) => {
      const { id, name } = await deleteAfterQuestion(command, yes, {
        find: (server) => findRule(server, ref, flags),
        question: (rule) => `Delete the rule ${printable(rule.name)} (${rule.id})?`,
        remove: (server, rule) => server.delete(rulePath(rule.id)),
      });
      contextOf(command).out.result({ id, name, deleted: true }, () => `${id}  ${printable(name)}  deleted`);
    });
}

interface EditFlags extends RuleFlags {
  readonly file?: string;
}

function addEditRule(rules: Command): void {
  rules
    .command("edit")
    .description("edit a rule as JSON in $VISUAL or $EDITOR; the server checks it")
    .argument("<rule>", "id or name, or a prefix of one")
    .option(...OF_PROJECT)
    .option("--file <path>", "read the members to change from a JSON file (- for stdin), without an editor")
    .addHelpText(
      "after",
      `
Missing members are not changed. A rule that was changed meanwhile is not overwritten (exit 7).
Without a terminal the JSON is read from stdin.

Examples:
  $ prism rules edit 'Disk full'
  $ echo '{"cooldownMs":600000}' | prism rules edit 'Disk full' --project ops --file -`,
    )
    .action(async (ref: string, flags: EditFlags, command: Command) => {
      const { out } = contextOf(command);
      const changed = await editRule(ref, flags, command);
      if (!changed) return out.note("The rule is unchanged.");
      const { id, name, version, condition, warnings } = changed;
      out.result(changed, () => `${id}  ${printable(name)}  version ${version}`);
      for (const line of warningLines(warnings ?? [], condition)) out.note(line);
    });
}

async function editRule(ref: string, flags: EditFlags, command: Command): Promise<ChangedRule | undefined> {
  const isTerminal = process.stdin.isTTY === true && process.stderr.isTTY === true;
  if (flags.file === undefined && isTerminal)
    return editInTerminal(command, await online(command, (server) => findRule(server, ref, flags)));
  const text = await textOf(flags.file);
  return online(command, async (server) => applyText(server, await findRule(server, ref, flags), text));
}

function textOf(file = "-"): Promise<string> | string {
  return file === "-" ? readStdin() : readTextFile(file, "--file");
}

type ChangedRule = ShownRule & { readonly warnings?: Parameters<typeof warningLines>[0] };

/**
 * Stores the members of a JSON object that differ from the rule. @returns undefined if none does.
 * @throws CommandError 7, with a caret at the error of a condition
 */
async function applyText(server: ServerClient, shown: ShownRule, text: string): Promise<ChangedRule | undefined> {
  const given = settable(objectOf(text)) as Readonly<Record<string, unknown>>;
  const before: Readonly<Record<string, unknown>> = { ...shown };
  const changes = Object.fromEntries(
    Object.entries(given).filter(([member, value]) => !isDeepStrictEqual(before[member], value)),
  );
  if (Object.keys(changes).length === 0) return undefined;
  try {
    return await server.change<ChangedRule>("PUT", rulePath(shown.id), changes, shown.version);
  } catch (error) {
    const condition = typeof given["condition"] === "string" ? given["condition"] : shown.condition;
    throw withCaret(error, condition);
  }
}

/** @throws CommandError 7 */
function objectOf(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CommandError(
      EXIT.conflict,
      `this is not JSON: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>;
  throw new CommandError(EXIT.conflict, "a rule is a JSON object");
}

/**
 * Opens the editor until the rule is stored or the user gives up; a file with refused text stays,
 * and the error names it.
 */
async function editInTerminal(command: Command, shown: ShownRule): Promise<ChangedRule | undefined> {
  const dir = mkdtempSync(join(tmpdir(), "prism-rule-"));
  const file = join(dir, "rule.json");
  // Ids instead of names: unchanged members must equal the stored rule.
  const names = { rules: [], slugs: new Map<string, string>(), users: new Map<string, string>() };
  const original = `${JSON.stringify(portableRule(shown, names), null, 2)}\n`;
  writeFileSync(file, original, { mode: 0o600 });
  for (;;) {
    await runEditor(file);
    const text = readFileSync(file, "utf8");
    try {
      const changed = text === original ? undefined : await online(command, (server) => applyText(server, shown, text));
      rmSync(dir, { recursive: true });
      return changed;
    } catch (error) {
      const failure = describeFailure(error);
      if (!failure || failure.exitCode !== EXIT.conflict) throw error;
      contextOf(command).out.note(`prism: ${failure.message}`);
      // Editing again cannot help if the rule was changed elsewhere.
      const isStale = error instanceof ServerRefused && error.code === "VERSION_CONFLICT";
      if (!isStale && (await confirm("Edit it again?"))) continue;
      throw new CommandError(EXIT.conflict, `the rule is unchanged; your text is in ${file}`, { cause: error });
    }
  }
}

/** @throws CommandError 1 if the editor fails */
async function runEditor(file: string): Promise<void> {
  const editor = process.env["VISUAL"] || process.env["EDITOR"] || "vi";
  // Through the shell, like git and crontab: the variable may contain arguments.
  const child = spawn("/bin/sh", ["-c", `${editor} "$1"`, "sh", file], { stdio: "inherit" });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new CommandError(EXIT.failure, `the editor ${editor} failed; the rule is unchanged`);
}

export function addChangeRules(rules: Command): void {
  addSwitchRule(rules, "enable", "evaluate a rule again, from the next event on");
  addSwitchRule(rules, "disable", "stop evaluating a rule, from the next event on; it is kept");
  addEditRule(rules);
  addDeleteRule(rules);
}
