import { countText } from "../../../core/text/clean-text.ts";
import type { BacktestReply } from "../../../features/rules/backtest-schema.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { integerFlag, pastFlag, rateFlag, timeOf } from "../../output/flag-values.ts";
import { type Output, table } from "../../output/output.ts";
import type { Call, Verb } from "../../resource.ts";
import { warningLines, withCaret } from "./test-rule.ts";

type Line = BacktestReply | { readonly scanned: number; readonly total: number };

/** `prism rules backtest`. */
export const BACKTEST_RULE: Verb = {
  text: "evaluate a rule on stored events; nothing is stored or sent",
  about: "The server evaluates on a separate thread. Ctrl-C stops it there too.",
  examples: [
    `--condition "event.amount > 1000" --from 7d`,
    "--rule 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60 --suppress 20/1m",
  ],
  global: true,
  flags: {
    condition: ["--condition <text>", "the condition; with --rule it replaces the condition of the rule"],
    ruleId: ["--rule <id>", "id of a stored rule; the result shows the difference from it"],
    projectId: ["--project <project>", "id or slug (default: the rule's project, otherwise default)"],
    from: ["--from <time>", "events received from this time on (default: the first stored event)", pastFlag],
    to: ["--to <time>", "events received before this time", pastFlag],
    suppression: ["--suppress <n/ms>", "fire for at most n matches in a window, such as 20/60000 or 20/1m", rateFlag],
    samples: ["--samples <n>", "number of events to show for which it fires, 0 to 20", integerFlag(0, 20)],
  },
  check({ condition, ruleId }) {
    if (condition === undefined && ruleId === undefined)
      throw new CommandError(EXIT.usage, "give --condition or --rule");
  },
  get: (call) =>
    backtest(call).catch((error: unknown) => {
      throw withCaret(error, String(call.given["condition"] ?? ""));
    }),
  lines: (reply: BacktestReply, { out }) => backtestText(reply, out),
  after({ warnings = [] }: BacktestReply, { out, given: { condition = "" } }) {
    for (const line of warningLines(warnings, String(condition))) out.note(line);
  },
};

async function backtest({ server, out, given: { from, to, ...given } }: Call): Promise<BacktestReply> {
  const body = { ...given, from: timeOf(from), to: timeOf(to) };
  const progress = out.progress("events");
  try {
    for await (const line of server.postLines<Line>("/api/v1/rules/backtest", body)) {
      if ("matched" in line) return line;
      progress.update(line.scanned, line.total);
    }
  } finally {
    progress.end();
  }
  throw new CommandError(EXIT.unreachable, `${server.base} stopped the backtest early`);
}

const SHOWN_ALERTS = 10;

/** Counts and alerts of a rule with a threshold, an absence or an alert. */
function alertLines({ counted, alerts }: BacktestReply): string[] {
  const lines = counted > 0 ? [`counted without firing ${counted}`] : [];
  if (!alerts) return lines;
  const { opened, resolved, dropped, absences, spans } = alerts;
  lines.push(`alerts opened ${opened}, resolved ${resolved}, ended while pending ${dropped}, absences ${absences}`);
  const rows = spans
    .slice(0, SHOWN_ALERTS)
    .map(({ key, firedAt, resolvedAt, matches }) => [key === "" ? "-" : key, firedAt, resolvedAt ?? "firing", matches]);
  return rows.length === 0 ? lines : [...lines, "", ...table(["ALERT", "FIRED", "RESOLVED", "MATCHES"], rows), ""];
}

function backtestText(reply: BacktestReply, out: Output): string[] {
  const { scanned, matched, from, to, errors, wouldReach, diff, perDay, samples } = reply;
  if (from === null || to === null) return ["no events are stored in that time"];
  const lines = [
    out.bold(`${matched} of ${scanned} events matched, received from ${from} to ${to}`),
    `fired ${reply.fired}, suppressed ${reply.suppressed}, deduplicated ${reply.deduped}, in cooldown ${reply.cooled}`,
  ];
  lines.push(...alertLines(reply));
  if (errors > 0) lines.push(out.red(`the condition or a key failed on ${errors} events`));
  if (wouldReach.users !== null) lines.push(`it reaches ${countText(wouldReach.users, "user")} now`);
  if (diff) lines.push(`against the stored version: ${diff.added} more fire, ${diff.removed} no longer`);
  if (perDay.length > 0) {
    const rows = perDay.map((day) => [day.day, day.matched, day.fired, day.suppressed, day.deduped, day.cooled]);
    lines.push("", ...table(["DAY", "MATCHED", "FIRED", "SUPPRESSED", "DEDUPED", "COOLDOWN"], rows));
  }
  if (samples.length > 0) {
    const rows = samples.map(({ receivedAt, eventId, type, title }) => [receivedAt, eventId, type, title]);
    lines.push("", ...table(["RECEIVED", "EVENT", "TYPE", "TITLE"], rows));
  }
  return lines;
}
