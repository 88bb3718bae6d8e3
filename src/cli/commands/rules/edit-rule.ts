import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Rule } from "../../../client/api-types.gen.ts";
import { portableRule, settable } from "../../../features/rules/rule-file.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import type { CommandContext } from "../../context.ts";
import { isJsonObject, parseJson, readFileOrStdin } from "../../files.ts";
import { pick } from "../../on-server.ts";
import { CommandError, describeFailure, EXIT, ServerRefused } from "../../output/exit-codes.ts";
import { printable } from "../../output/output.ts";
import { callOf, listOf, type Values, type Verb } from "../../resource.ts";
import { withServer } from "../../with-server.ts";
import { confirm } from "../access/prompt.ts";
import { warningLines, withCaret } from "./test-rule.ts";

/** The rule of an id or name, or a prefix of one. @throws CommandError 6, 7 */
export async function findRule(server: ServerClient, ref: string, { projectId }: Values): Promise<Rule> {
  return pick(await listOf(server, "listRules", { projectId }), ref, {
    one: "rule",
    namesOf: ({ name }) => [name],
    lineOf: ({ id, name, projectId: of }) => `${id}  ${name}  ${of === null ? "(all projects)" : of}`,
  });
}

/** `prism rules edit`. */
export const EDIT_RULE: Verb = {
  text: "edit a rule as JSON in $VISUAL or $EDITOR; the server checks it",
  about: `Missing members are not changed. A rule that was changed meanwhile is not overwritten (exit 7).
Without a terminal the JSON is read from stdin.`,
  examples: ["'Disk full'", `$ echo '{"cooldownMs":600000}' | prism rules edit 'Disk full' --project ops --file -`],
  args: { ref: ["<rule>", "id or name, or a prefix of one"] },
  flags: { file: ["--file <path>", "read the members to change from a JSON file (- for stdin), without an editor"] },
  async act(context, { ref, file, projectId }) {
    const { out } = context;
    const find = (server: ServerClient) => findRule(server, String(ref), { projectId });
    const isTerminal = process.stdin.isTTY === true && process.stderr.isTTY === true;
    const text = file === undefined && isTerminal ? undefined : await readFileOrStdin(String(file ?? "-"), "--file");
    const changed =
      text === undefined
        ? await editInTerminal(context, await withServer(context, find))
        : await withServer(context, async (server) => applyText(server, await find(server), text));
    if (!changed) return out.note("The rule is unchanged.");
    const { id, name, version, condition, warnings } = changed;
    out.result(changed, () => `${id}  ${printable(name)}  version ${version}`);
    for (const line of warningLines(warnings ?? [], condition)) out.note(line);
  },
};

type ChangedRule = Rule & { readonly warnings?: Parameters<typeof warningLines>[0] };

/**
 * Stores the members of a JSON object that differ from the rule. @returns undefined if none does.
 * @throws CommandError 7, with a caret at the error of a condition
 */
async function applyText(server: ServerClient, shown: Rule, text: string): Promise<ChangedRule | undefined> {
  const given = settable(objectOf(text)) as Readonly<Record<string, unknown>>;
  const before: Readonly<Record<string, unknown>> = { ...shown };
  const changes = Object.fromEntries(
    Object.entries(given).filter(([member, value]) => !isDeepStrictEqual(before[member], value)),
  );
  if (Object.keys(changes).length === 0) return undefined;
  try {
    return await callOf(server, "updateRule", {
      ...changes,
      id: shown.id,
      "If-Match": `"${shown.version}"`,
    });
  } catch (error) {
    const condition = typeof given["condition"] === "string" ? given["condition"] : shown.condition;
    throw withCaret(error, condition);
  }
}

/** @throws CommandError 7 */
function objectOf(text: string): Readonly<Record<string, unknown>> {
  const value = parseJson(text, "this", EXIT.conflict);
  if (isJsonObject(value)) return value;
  throw new CommandError(EXIT.conflict, "a rule is a JSON object");
}

/**
 * Opens the editor until the rule is stored or the user gives up; a file with refused text stays,
 * and the error names it.
 */
async function editInTerminal(context: CommandContext, shown: Rule): Promise<ChangedRule | undefined> {
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
      const changed =
        text === original ? undefined : await withServer(context, (server) => applyText(server, shown, text));
      rmSync(dir, { recursive: true });
      return changed;
    } catch (error) {
      const failure = describeFailure(error);
      if (!failure || failure.exitCode !== EXIT.conflict) throw error;
      context.out.note(`prism: ${failure.message}`);
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
