import type { ExplainView } from "./schema.ts";
import { countText, OUT_OF_REACH } from "./texts.ts";

type Parts = Omit<ExplainView, "answer">;

/** Outcomes of rules whose condition was false, or was not asked. */
const UNMATCHED: ReadonlySet<string> = new Set(["condition false", "inactive", "later"]);

/** All of it in one sentence: about the user where one is asked about, else about everybody. */
export function answerOf(parts: Parts): string {
  const { user, event, subject } = parts;
  if (user) return userAnswer(parts, user);
  if (subject.kind === "notification") return notificationAnswer(parts);
  if (event?.state === "failed")
    return `The event is stored, but could not be decided (${event.failure?.lastError ?? "no reason was kept"}); it is tried again.`;
  if (event?.state === "waiting" && parts.notifications.length === 0)
    return "The event is stored and waits to be decided; nobody has been told yet.";
  if (event?.state === "waiting")
    return `So many rules match that they are decided in slices, and some still wait. So far: ${eventAnswer(parts)}`;
  return eventAnswer(parts);
}

function userAnswer({ rules, rulesLeftOut }: Parts, { name, told, reasons }: NonNullable<Parts["user"]>): string {
  const answers = rules.filter(({ user }) => user?.told === told);
  // A rule that could have told the user says more than one that never does.
  const inReach = answers.filter(({ user }) => !user?.reason.includes(OUT_OF_REACH));
  const byRule = inReach[0] ?? answers[0];
  // Of several rules that did not match no single one is the reason.
  if (rules.length > 1 && inReach.length !== 1 && rules.every(({ outcome }) => UNMATCHED.has(outcome)))
    return `${name} was not told: ${noneOf(rules.length + rulesLeftOut).toLowerCase()}.`;
  const reason = byRule?.user ? `${byRule.name}: ${byRule.user.reason}` : (reasons[0] ?? "");
  return `${name} was ${told ? "told" : "not told"} (${reason}).`;
}

function notificationAnswer({ notifications: [notification], event }: Parts): string {
  if (!notification) return "The notification is no longer stored.";
  const { counts, kind, storm, aggregateCount } = notification;
  const people = `${countText(counts.recipients, "person", "people")}: ${counts.delivered} reached live, ${counts.read} read it, ${counts.acknowledged} acknowledged it`;
  if (storm) return `It says that ${storm.heldBack} matches were held back, and went to ${people}.`;
  const repeats = aggregateCount > 1 ? ` It stands for ${aggregateCount} events.` : "";
  const origin =
    kind === "rule"
      ? event
        ? "A rule made it of an event"
        : "A rule made it of an event that is no longer stored"
      : `It is of the kind ${kind}`;
  return `${origin}, and it went to ${people}.${repeats}`;
}

const WORDS: Readonly<Record<string, string>> = {
  fired: "told somebody",
  suppressed: "held it back",
  deduped: "joined it to an earlier notification",
  cooled: "kept silent after an earlier notification",
  "no recipients": "reached nobody",
};

function eventAnswer({ counts, rulesLeftOut, rules, notifications }: Parts): string {
  const parts = Object.entries(WORDS).flatMap(([outcome, words]) => {
    const n = counts[outcome] ?? 0;
    return n === 0 ? [] : [`${n} ${words}`];
  });
  const unmatched = rules.length + rulesLeftOut;
  if (parts.length === 0)
    return unmatched === 0
      ? "No rule was there for it, so nobody was told."
      : `${noneOf(unmatched)}, so nobody was told.`;
  const matched = Object.keys(WORDS).reduce((sum, outcome) => sum + (counts[outcome] ?? 0), 0);
  const fired = new Set(rules.filter(({ outcome }) => outcome === "fired").map(({ notificationId }) => notificationId));
  const people = notifications.filter(({ id }) => fired.has(id)).reduce((sum, each) => sum + each.counts.recipients, 0);
  const reached =
    people === 0 ? "nobody has it in the inbox" : `${countText(people, "person has", "people have")} it in the inbox`;
  return `${countText(matched, "rule")} matched: ${parts.join(", ")}; ${reached}.`;
}

function noneOf(rules: number): string {
  return rules === 1 ? "The only rule did not match it" : `None of the ${rules} rules matched it`;
}
