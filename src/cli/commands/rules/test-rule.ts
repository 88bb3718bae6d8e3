import { Option } from "commander";
import type { ConditionWarning } from "../../../features/rules/language/language.ts";
import type { RuleTestResult } from "../../../features/rules/trial.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { type CommandContext, isOnline } from "../../context.ts";
import { readJsonObject } from "../../files.ts";
import { CommandError, EXIT, type ServerRefused } from "../../output/exit-codes.ts";
import { printable } from "../../output/output.ts";
import type { Verb } from "../../resource.ts";
import { withServer } from "../../with-server.ts";
import { type RuleDraft, readRuleDraft, storedDraft } from "./rule-source.ts";

const WINDOW = 76;

/**
 * The line of a text with a position, and a caret below it. Shows only the surrounding part of a
 * long line.
 * @param position 0-based, in UTF-16 units.
 */
export function caretLines(text: string, position: number): [string, string] {
  const start = text.lastIndexOf("\n", position - 1) + 1;
  const end = text.indexOf("\n", position);
  const line = text.slice(start, end < 0 ? text.length : end).replace(/\t/g, " ");
  const column = position - start;
  const from = column < WINDOW - 10 ? 0 : column - WINDOW / 2;
  const before = from > 0 ? "…" : "";
  const after = line.length > from + WINDOW ? "…" : "";
  return [before + line.slice(from, from + WINDOW).trimEnd() + after, `${" ".repeat(before.length + column - from)}^`];
}

/** Warnings about a condition, with a caret each if the condition is known. */
export function warningLines(warnings: readonly Omit<ConditionWarning, "code">[], condition: string): string[] {
  return warnings.flatMap(({ message, line, column, position }) => [
    `warning, line ${line}, column ${column}: ${message}`,
    ...(condition === "" ? [] : caretLines(condition, position)).map((text) => `  ${printable(text)}`),
  ]);
}

interface Flags {
  readonly condition?: string;
  readonly rule?: string;
  readonly file?: string;
  readonly event: string;
  readonly expect?: "true" | "false";
}

/** `prism rules test`. */
export const TEST_RULE: Verb = {
  text: "test a condition on an event and show why it matches or not; nothing is stored",
  about: `--condition and --file need no server, unless --url or PRISM_URL is set. It exits 7 for a condition that is not valid.`,
  examples: [
    `--condition "event.amount > 1000" --event '{"type":"payment","amount":1500}'`,
    "--rule 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60 --event @payment.json --expect true",
  ],
  global: true,
  flags: {
    condition: new Option("--condition <text>", "the condition").conflicts(["rule", "file"]),
    rule: new Option("--rule <id>", "id of a stored rule: test its condition and templates").conflicts("file"),
    file: ["--file <path>", "file with the condition, or with a rule as JSON; - for stdin"],
    event: new Option("--event <json>", "the event: JSON, @file, or - for stdin").makeOptionMandatory(),
    expect: new Option("--expect <answer>", "exit 8 if the result differs").choices(["true", "false"]),
  },
  act: (context, flags) => testRule(context, flags as unknown as Flags),
};

async function testRule(context: CommandContext, flags: Flags): Promise<void> {
  if (flags.file === "-" && flags.event === "-")
    throw new CommandError(EXIT.usage, "--file and --event cannot both be read from stdin");
  const given = await readRuleDraft(flags);
  const event = await readJsonObject(flags.event, "--event");
  const { result, condition } =
    "id" in given || isOnline(context)
      ? await withServer(context, (server) => decideOn(server, given, event))
      : { result: await decideHere(given, event), condition: given.condition };
  context.out.result(result, () => explain(context, result, condition));
  if (flags.expect !== undefined && result.matched !== (flags.expect === "true"))
    throw new CommandError(EXIT.checkFailed, `expected ${flags.expect}, but the condition gave ${result.matched}`);
}

interface Decided {
  readonly result: RuleTestResult;
  readonly condition: string;
}

async function decideOn(
  server: ServerClient,
  given: RuleDraft | { readonly id: string },
  event: Record<string, unknown>,
): Promise<Decided> {
  const draft = "id" in given ? await storedDraft(server, given.id) : given;
  const { condition } = draft;
  const result = await server
    .post<RuleTestResult>("/api/v1/rules/test", { ...draft, event })
    .catch((error: unknown) => {
      throw withCaret(error, condition);
    });
  return { result, condition };
}

/** A complete input needs no server and no database. */
async function decideHere(draft: RuleDraft, event: Record<string, unknown>): Promise<RuleTestResult> {
  const [{ testRule: evaluate }, { trialEvent }] = await Promise.all([
    import("../../../features/rules/trial.ts"),
    import("../../../features/events/bus.ts"),
  ]);
  const projectId = typeof event["projectId"] === "string" ? event["projectId"] : "default";
  try {
    return evaluate({ ...draft, event: trialEvent(event, projectId, Date.now()) });
  } catch (error) {
    throw withCaret(error, draft.condition);
  }
}

/** A refused condition with a caret at the error. */
export function withCaret(error: unknown, condition: string): unknown {
  const details = error instanceof Error && "details" in error ? (error.details as ServerRefused["details"]) : [];
  const isCondition = error instanceof Error && "code" in error && error.code === "INVALID_CONDITION";
  const position = details?.[0]?.["position"];
  if (!isCondition || typeof position !== "number") return error;
  const lines = caretLines(condition, position).map((line) => `  ${line}`);
  const expected = details[0]?.["expected"];
  const hint = Array.isArray(expected) && expected.length > 0 ? [`  expected ${expected.join(" or ")}`] : [];
  const head = `${error.message} (INVALID_CONDITION)`;
  return new CommandError(EXIT.conflict, [head, ...lines, ...hint].join("\n"), { cause: error });
}

function explain({ out }: CommandContext, result: RuleTestResult, condition: string): string[] {
  const values = result.trace.map(({ value, type }) =>
    type === "decimal" ? `${String(value)} (decimal)` : printable(JSON.stringify(value)),
  );
  const width = Math.min(40, Math.max(0, ...values.map(({ length }) => length)));
  return [
    `matched: ${result.matched ? out.green("yes") : out.red("no")}`,
    ...result.trace.flatMap(({ text, hint }, at) => [
      `  ${(values[at] ?? "").padEnd(width)}  ${out.dim(printable(text))}`,
      ...(hint === undefined ? [] : [`  ${" ".repeat(width)}  ^ ${hint}`]),
    ]),
    ...(result.error === undefined ? [] : [`stopped: ${result.error}`]),
    ...warningLines(result.warnings ?? [], condition),
    ...(result.title === undefined ? [] : [`title:   ${printable(result.title)}`]),
    ...(result.message === undefined ? [] : [`message: ${printable(result.message)}`]),
    ...alertLines(result),
  ];
}

function alertLines({ alert, matched }: RuleTestResult): string[] {
  if (!alert) return [];
  const effect = matched ? "opened or repeated" : alert.resolves ? "resolved" : "unchanged";
  const labels = Object.entries(alert.labels).map(([name, value]) => `${name}="${value}"`);
  return [
    `alert:   ${effect}, key ${printable(JSON.stringify(alert.key))}`,
    `labels:  ${printable(labels.join(", "))}`,
  ];
}
