import type { Explanation } from "../../../src/client/api-types.gen.ts";
import { formatInstant, plural } from "../../ui/index.ts";
import type { ExplainedIncident, ExplainedNotification, ExplainedRecipient, ExplainedRule } from "./types.ts";
import { channelName, OUTCOMES, plainText, ruleReason, sentence } from "./words.ts";

/** Text that the server puts between an outcome and the reason why the user was out of reach. */
const OUT_OF_REACH = "; and the user would not have been notified: ";

/** The question that the story answers. */
export function questionOf({ user, subject, event, notifications }: Explanation, isMe: boolean): string {
  if (user && isMe) return user.told ? "Why were you notified?" : "Why were you not notified?";
  if (user) return user.told ? `Why was ${user.name} notified?` : `Why was ${user.name} not notified?`;
  if (subject.kind === "notification") return `Why was “${notifications[0]?.title ?? "this"}” sent?`;
  return `What happened to ${event?.type ?? "this event"}?`;
}

/** The answer in a few sentences. */
export function answerOf(explanation: Explanation, isMe: boolean): string {
  const { user, incident } = explanation;
  if (incident)
    return [incidentAnswer(explanation, incident, isMe), acknowledgedBy(incident, user?.id)].join(" ").trim();
  if (!user) return generalAnswer(explanation);
  const name = isMe ? "You" : user.name;
  const were = isMe ? "were" : "was";
  return user.told ? notifiedAnswer(explanation, name, were) : missedAnswer(explanation, name, were);
}

/** Why people were notified of an incident: the step, the schedule or a person that led to them. */
function incidentAnswer({ user, notifications }: Explanation, incident: ExplainedIncident, isMe: boolean): string {
  const [notification] = notifications;
  const { number, lines } = incident;
  const cause = sentence(lines.findLast(({ kind }) => kind !== "acknowledged")?.text ?? "");
  const mine = notification?.recipients.find(({ userId }) => userId === user?.id);
  const [name, were] = isMe ? ["You", "were"] : [user?.name ?? "", "was"];
  if (user && !mine) return `${name} ${were} not notified by this. ${cause}`;
  if (mine) return `${name} ${were} notified of incident ${number}, and ${doneText(mine, were)}. ${cause}`;
  const people = notification ? `It went to ${peopleText(notification)}.` : "";
  return `It is of incident ${number}. ${cause} ${people}`;
}

/** Who acknowledged the incident. @param userId not this user, whom the text names already */
function acknowledgedBy({ acknowledgements }: ExplainedIncident, userId: string | undefined): string {
  return acknowledgements
    .filter((each) => each.userId !== userId)
    .map(({ name, at }) => `${name} acknowledged the incident at ${formatInstant(at, "clock")}.`)
    .join(" ");
}

/** The outcome of the rules, for everyone. */
function generalAnswer(explanation: Explanation): string {
  const { subject, event, rules, counts, notifications } = explanation;
  const [only] = notifications;
  if (subject.kind === "notification" && only && !only.storm) {
    const rule = rules.find(({ notificationId }) => notificationId === only.id);
    const origin = rule ? `The rule “${rule.name}” matched, so it went to` : "It went to";
    return `${origin} ${peopleText(only)}.`;
  }
  const matched = rules.filter(({ outcome }) => (counts[outcome] ?? 0) > 0 && MATCHED.has(outcome));
  const [rule] = matched;
  if (event?.state !== "decided" || matched.length !== 1 || !rule) return sentence(explanation.answer);
  const notification = notifications.find(({ id }) => id === rule.notificationId);
  const start = `The rule “${rule.name}” matched`;
  if (rule.outcome === "fired" && notification) return `${start} and notified ${peopleText(notification)}.`;
  const again = rule.outcome === "no recipients" ? "" : " again";
  return `${start}, but no user was notified${again}. ${ruleReason(rule) ?? ""}`.trim();
}

const MATCHED: ReadonlySet<string> = new Set([
  ...["fired", "suppressed", "deduped", "cooled", "counted", "alert-opened", "alert-resolved", "no recipients"],
]);

/** "3 people: 1 acknowledged it, 1 has read it, 1 has not seen it" */
export function peopleText({ counts: { recipients, read, acknowledged } }: ExplainedNotification): string {
  const people = plural(recipients, "person", "people");
  const onlyRead = Math.max(0, read - acknowledged);
  const unseen = recipients - Math.max(read, acknowledged);
  if (recipients === 0) return people;
  if (recipients === 1) {
    const done = acknowledged > 0 ? "acknowledged it" : read > 0 ? "has read it" : "has not seen it";
    return `${people}, who ${done}`;
  }
  if (unseen === recipients) return `${people}; none of them has seen it`;
  const parts = [
    acknowledged > 0 ? `${acknowledged} acknowledged it` : "",
    onlyRead > 0 ? `${onlyRead} read it` : "",
    unseen > 0 ? `${unseen} ${unseen === 1 ? "has" : "have"} not seen it` : "",
  ];
  return `${people}: ${parts.filter(Boolean).join(", ")}`;
}

function notifiedAnswer({ rules, notifications, user }: Explanation, name: string, were: string): string {
  const notification = notifications.find(({ recipients }) => recipients.some(({ userId }) => userId === user?.id));
  const mine = notification?.recipients.find(({ userId }) => userId === user?.id);
  const rule = rules.find(({ notificationId }) => notificationId === notification?.id);
  if (!mine) return `${name} ${were} notified.`;
  if (!rule) return `${name} ${were} notified directly, and ${doneText(mine, were)}.`;
  const subject = were === "were" ? "you" : name;
  const reach = rule.user?.reach ? ` and ${withSubject(rule.user.reach, subject)}` : "";
  const because = `the rule “${rule.name}” matched${reach}`;
  return `${name} ${were} notified because ${because}; ${subject} ${doneText(mine, were)}.`;
}

function doneText(recipient: ExplainedRecipient, were: string): string {
  const { acknowledgedAt, readAt, delivered, deliveries } = recipient;
  const have = were === "were" ? "have" : "has";
  if (acknowledgedAt !== null) return `acknowledged it at ${formatInstant(acknowledgedAt, "clock")}`;
  if (readAt !== null) return `read it at ${formatInstant(readAt, "clock")} but ${have} not acknowledged it`;
  const sent = deliveries.filter(({ state }) => state === "delivered").map(({ channel }) => channelName(channel));
  const ways = [...(delivered ? ["live"] : []), ...new Set(sent.map((each) => `by ${each.toLowerCase()}`))];
  return ways.length > 0
    ? `${were} reached ${ways.join(" and ")} but ${have} not read it`
    : `${have} it in the inbox but ${were} not reached by any other way yet`;
}

function missedAnswer({ rules, rulesLeftOut, event, user }: Explanation, name: string, were: string): string {
  const start = `${name} ${were} not notified`;
  if (event?.state === "waiting") return `${start} yet: the event waits for its rules.`;
  const matching = rules.filter(({ outcome }) => outcome !== "condition false" && outcome !== "later");
  const [rule] = inReach(matching)[0] ? inReach(matching) : matching;
  if (!rule) {
    const all = rules.length + rulesLeftOut;
    if (all === 0) return `${start}: there is no rule for this event.`;
    if (all === 1) return `${start}: the rule “${rules[0]?.name ?? ""}” did not match.`;
    return `${start}: none of ${plural(all, "rule")} matched.`;
  }
  const reason = rule.user?.reason ?? user?.reasons[0] ?? rule.reason;
  const [, outOfReach] = reason.split(OUT_OF_REACH);
  if (outOfReach === undefined && rule.outcome !== "fired") {
    const { title } = OUTCOMES[rule.outcome];
    return `${start}: the rule “${rule.name}” ${title}. ${ruleReason(rule) ?? ""}`.trim();
  }
  const why = plainText(outOfReach ?? reason);
  return `${start} by the rule “${rule.name}”: ${withSubject(why, were === "were" ? "you" : name)}.`;
}

/** Reasons of the server that start with a verb have no subject. */
function withSubject(reason: string, subject: string): string {
  if (!/^(holds|is|was) /.test(reason)) return reason;
  return `${subject} ${subject === "you" ? reason.replace(/^holds/, "hold").replace(/^is|^was/, "are") : reason}`;
}

/** Rules that could have notified the user. */
function inReach(rules: readonly ExplainedRule[]): readonly ExplainedRule[] {
  return rules.filter(({ user }) => user && !user.reason.includes(OUT_OF_REACH));
}
