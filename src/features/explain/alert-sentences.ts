import { countText } from "../../core/clean-text.ts";
import { type EpochMs, toRfc3339 } from "../../core/clock.ts";
import type { AlertView, Forecast, NoticeOutcome, Withheld } from "../alerts/index.ts";

/* Sentences about rows of an incident's timeline, and about what an incident does next. */

/** Names of what timelines refer to by id. An unknown id is its own name. */
export interface Names {
  user(id: string): string;
  role(id: string): string;
  schedule(id: string): string;
  shift(id: string): string;
  /** Its comment and author. */
  silence(id: string): string;
  /** The labels of the firing alert with a fingerprint. */
  inhibitor(fingerprint: string): string;
}

/** A row of the timeline with its data. */
export interface LogRow {
  readonly at: EpochMs;
  readonly kind: string;
  readonly actor: string | null;
  readonly data: LogData;
}

/** The members that rows of the timeline have, by kind (docs/alerts.md). */
export interface LogData {
  readonly [member: string]: unknown;
  readonly reason?: string;
  readonly step?: number;
  readonly round?: number;
  readonly urgency?: string;
  readonly users?: readonly string[];
  readonly count?: number;
  readonly through?: Readonly<Record<string, string>>;
  readonly shifts?: Readonly<Record<string, string>>;
  readonly delayed?: Readonly<Record<string, readonly number[]>>;
  readonly channels?: readonly string[];
  readonly notificationIds?: readonly string[];
  readonly empty?: readonly string[];
  readonly acknowledged?: number;
  readonly alerts?: number;
  readonly alertIds?: readonly string[];
  readonly silences?: readonly string[];
  readonly inhibitedBy?: readonly string[];
  readonly intervals?: readonly string[];
  readonly inhibited?: Readonly<Record<string, readonly string[]>>;
  readonly added?: number;
  readonly firing?: number;
  readonly ended?: number;
  readonly number?: number;
  readonly incidents?: readonly { readonly number: number }[];
  /** How many alerts were not repeated in time. */
  readonly timedOut?: number;
  /** The end of which it notifies is a time-out. */
  readonly isUnreported?: boolean;
  readonly until?: EpochMs;
  readonly dueAt?: EpochMs;
  readonly by?: string;
  readonly via?: string;
  readonly given?: number;
  readonly quorum?: number;
  readonly interval?: string;
  readonly otherwise?: string;
  readonly wanted?: number;
  readonly host?: string;
  readonly format?: string;
  readonly way?: string;
  readonly userId?: string | null;
  readonly channel?: string;
  readonly error?: string | null;
  readonly level?: string;
  readonly from?: EpochMs;
  readonly to?: EpochMs;
  readonly outcome?: NoticeOutcome;
  readonly outcomes?: readonly NoticeOutcome[];
  readonly rounds?: number;
  readonly shown?: number;
  readonly truncated?: number;
  readonly text?: string;
  readonly schedules?: readonly string[];
}

const LISTED = 10;

/** Such as `anna, ben and 3 more`. */
export function listText(names: readonly string[], total = names.length): string {
  const shown = names.slice(0, LISTED);
  return total > shown.length ? `${shown.join(", ")} and ${total - shown.length} more` : shown.join(", ");
}

export function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `{${pairs.join(", ")}}`;
}

/** Why a step notified a user. @param source such as `schedule:<id>:current`, `role:<id>`, `members` */
export function throughText(source: string, shifts: LogData["shifts"], names: Names): string {
  const [kind = "", id = "", who] = source.split(":");
  if (kind === "role") return `holds the role ${names.role(id)}`;
  if (kind === "members") return "is a member of the project";
  if (kind === "silent-source") return "was notified of an incident of the silent source";
  if (kind !== "schedule") return "is named in the step";
  if (who === "next") return `is next on call on ${names.schedule(id)}`;
  const shift = shifts?.[id];
  return `is on call on ${names.schedule(id)}${shift === undefined ? "" : `, shift ${names.shift(shift)}`}`;
}

/** A target of a step that named no user who can be notified. */
function emptyText(source: string, names: Names): string {
  const [kind = "", id = "", who] = source.split(":");
  if (kind === "schedule")
    return `no active member is ${who === "next" ? "next on call" : "on call"} on ${names.schedule(id)}`;
  if (kind === "role") return `no active member of the project holds the role ${names.role(id)}`;
  return kind === "members" ? "the project has no active members" : "a named user is not an active member";
}

/** Why alerts are not notified, such as `silenced by …`: at least one part. */
export function withheldParts({ silencedBy, inhibitedBy, mutedBy }: Withheld, names: Names): string[] {
  return [
    ...silencedBy.map((id) => `silenced by ${names.silence(id)}`),
    ...inhibitedBy.map((fingerprint) => `inhibited by the firing alert ${names.inhibitor(fingerprint)}`),
    ...mutedBy.map((name) => `muted by the time interval ${name}`),
  ];
}

export function withheldOf({ silences = [], inhibitedBy = [], intervals = [] }: LogData): Withheld {
  return { silencedBy: silences, inhibitedBy, mutedBy: intervals };
}

const NOTICES: Readonly<Record<string, string>> = {
  "new-alerts": "Because further alerts joined",
  repeat: "Because no one acknowledged it",
  resolved: "It is resolved: everyone notified before",
  "silent-source": "Because the source of another incident is silent",
  unreported: "It is no longer reported: everyone notified before",
};

/** Those whom a person named. */
const ASKED: Readonly<Record<string, string>> = {
  page: "Those paged first are notified",
  reassign: "Those who have it now are notified",
  responder: "Those asked for help are notified",
};

const CLOSED_BY: Readonly<Record<string, string>> = {
  alerts: "all its alerts are resolved",
  timeout: "its alerts timed out, as their source did not repeat them",
  auto: "the policy resolves it after this time",
  policy: "a step of the policy resolves it",
};

type Sentence = (data: LogData, who: string, names: Names) => string;

const SENTENCES: Readonly<Record<string, Sentence>> = {
  opened: ({ alerts = 1, text = "" }, who) =>
    who === ""
      ? `The incident was opened by ${countText(alerts, "alert")}.`
      : `${who} opened it to page people${text === "" ? "." : `: ${text}`}`,
  reassigned: ({ users = [] }, who, names) =>
    `${who} assigned it to ${listText(users.map((id) => names.user(id)))}: the steps start if they do not acknowledge it.`,
  "responders-added": ({ users = [], schedules = [] }, who, names) =>
    `${who} asked for help: ` +
    `${listText([...users.map((id) => names.user(id)), ...schedules.map((id) => `those on call on ${names.schedule(id)}`)])}.`,
  "alerts-joined": ({ added = 1, firing }) => `${countText(added, "alert")} joined; ${firing} fire now.`,
  "alerts-resolved": ({ ended = 0, timedOut = 0, firing }) =>
    timedOut === 0
      ? `Alerts were resolved; ${firing} fire now.`
      : `${countText(timedOut, "alert")} timed out${ended > timedOut ? `, ${ended - timedOut} resolved` : ""}; ${firing} fire now.`,
  "some-resolved": ({ alerts = 1, firing }) =>
    `${countText(alerts, "alert")} of those notified ended; ${firing} still fire. Only webhooks report that.`,
  "source-silent": ({ incidents = [], count = incidents.length }) =>
    `Its source is silent. In place of these incidents people are notified of this one: ` +
    `${listText(
      incidents.map(({ number }) => `#${number}`),
      count,
    )}.`,
  "handed-over": ({ number }) =>
    `Its source is silent: in place of its end, people are notified of incident ${number}.`,
  late: ({ dueAt = 0 }) => `What follows was due at ${toRfc3339(dueAt)}: the server did not run then.`,
  withheld: (data, _who, names) =>
    `Not notified of ${countText(data.alerts ?? 1, "alert")}: ` +
    `${listText(withheldParts(withheldOf(data), names))}.`,
  notified: noticeText,
  "contact-notified": ({ users = [], channels = [] }, _who, names) =>
    `The contact rules of ${names.user(users[0] ?? "")} sent a further notification by ${channels.join(", ")}.`,
  "contact-dropped": ({ users = [], channels = [] }, _who, names) =>
    `A further notification of ${names.user(users[0] ?? "")} by ${channels.join(", ")} was no longer needed.`,
  "no-targets": noTargetsText,
  "not-notified": ({ reason, alerts = 1 }) =>
    `Not notified of ${countText(alerts, "alert")}: ` +
    (reason === "renotifyOnNew" ? "the policy does not notify of alerts that join later." : `it is ${reason}.`),
  webhook: ({ step = 0, host, format, outcome }) =>
    `Step ${step + 1}, the webhook at ${host}${format === "alertmanager" ? " in Alertmanager's form" : ""}: ` +
    `${outcomeText(outcome)}.`,
  "left-out": ({ alerts = 0 }) =>
    alerts === 0
      ? "Webhooks name all its firing alerts again."
      : `Webhooks left out ${countText(alerts, "alert")}: silenced, inhibited or muted.`,
  "webhook-shortened": ({ step = 0, shown = 0, truncated = 0 }) =>
    `The webhook of step ${step + 1} got ${countText(shown, "alert")} and not the other ${truncated}: ` +
    "the body would be larger than 32 MiB.",
  channel: ({ step = 0, outcome }) => `Step ${step + 1}, its channel: ${outcomeText(outcome)}.`,
  "page-failed": ({ way, userId, channel, error, step }, _who, names) =>
    `${failedWay(way, userId, channel, step, names)} counts as failed${error ? `: ${error}` : ""}. It goes on being tried.`,
  "wait-shortened": ({ from = 0, to = 0 }) =>
    `No one was reached: the next step runs at ${toRfc3339(to)} instead of ${toRfc3339(from)}.`,
  "looked-again": () => "No one was reached so far: the targets of the executed steps are notified again.",
  unreachable: () => "No one can be reached: no person of the project, and no administrator, has a way that works.",
  fallback: ({ level = "", users = [], count, ways = [] }, _who, names) =>
    `The steps reached no one. Fallback to ${level}: ` +
    `${listText([...users.map((id) => names.user(id)), ...(ways as readonly string[])], count)}.`,
  read: (_data, who) => `${who} read a notification of it: someone is reached.`,
  acknowledged: ({ given = 1, quorum = 1 }, who) =>
    given < quorum
      ? `${who} acknowledged it, ${given} of ${quorum}: only this user receives nothing more.`
      : `${who} acknowledged it: the steps stop.`,
  unacknowledged: (_data, who) => `${who} removed the acknowledgements: the steps start again.`,
  "ack-expired": ({ users = [] }, _who, names) =>
    `The acknowledgements of ${listText(users.map((id) => names.user(id)))} expired.`,
  snoozed: ({ until = 0 }, who) => `${who} snoozed it until ${toRfc3339(until)}: no step runs until then.`,
  unsnoozed: (_data, who) => `${who} ended the snooze: the steps start again.`,
  "snooze-ended": () => "The snooze ended: the steps start again.",
  escalated: ({ step = 0 }, who) => `${who} escalated it: step ${step + 1} runs now.`,
  "too-few-alerts": ({ step = 0, wanted }) => `Step ${step + 1} waits until ${wanted} alerts have joined.`,
  "outside-interval": ({ step = 0, interval, otherwise }) =>
    `Step ${step + 1}: the time is outside of the interval ${interval}, so the next step ` +
    `${otherwise === "hold" ? "waits" : "is passed over"}.`,
  exhausted: () => "All rounds of the policy are over, and no one acknowledged it.",
  resolved: ({ by = "" }, who, names) =>
    `${by === "timeout" ? "No longer reported" : "Resolved"}: ${CLOSED_BY[by] ?? `by ${who || names.user(by)}`}.`,
  note: ({ text = "" }, who) => `${who} noted: ${text}`,
};

/** Who pressed a button in a channel: `slack:anna`. */
function nameInService({ via = "" }: LogData): string {
  return via.includes(":") ? ` (${via})` : "";
}

/** One sentence about a row of the timeline. */
export function sentenceOf({ kind, actor, data }: LogRow, names: Names): string {
  const who = actor === null ? "" : `${names.user(actor)}${nameInService(data)}`;
  return SENTENCES[kind]?.(data, who, names) ?? `${kind}.`;
}

/** What came of a notice. */
export function outcomeText(outcome: NoticeOutcome | undefined): string {
  if (!outcome) return "no outcome is recorded";
  const { attempts, lastError, deliveredAt, answer, note, heldUntil } = outcome;
  const tries = countText(attempts, "attempt");
  const because = lastError === null ? "" : `, last failure: ${lastError}`;
  switch (outcome.outcome) {
    case "queued":
      return "waits to be sent";
    case "trying":
      return `being tried, ${tries}${because}`;
    case "held":
      return `held until ${heldUntil ?? "later"} (${note ?? "quiet hours"})`;
    case "delivered":
      return `delivered at ${deliveredAt}${answer === null ? "" : ` (answer: ${answer})`}`;
    case "failed":
      return `failed after ${tries}${because}${outcome.endedAt === null ? "; it goes on being tried" : ""}`;
    case "overtaken":
      return `not sent: ${note ?? "a later notice replaces it"}`;
    default:
      return `skipped: ${note ?? "not wanted"}`;
  }
}

/** What came of the notices to people, the first of them. */
function outcomesText(outcomes: readonly NoticeOutcome[], names: Names): string {
  const shown = outcomes.map((each) => `${names.user(each.userId ?? "")} by ${each.channel}: ${outcomeText(each)}`);
  return shown.length === 0 ? "" : ` ${listText(shown)}.`;
}

function failedWay(
  way: string | undefined,
  userId: string | null | undefined,
  channel: string | undefined,
  step: number | undefined,
  names: Names,
): string {
  if (way === "delivery" && userId) return `The notice to ${names.user(userId)} by ${channel ?? "a channel"}`;
  return `The ${way ?? "notice"} of step ${(step ?? 0) + 1}`;
}

function noticeText({ reason, step = 0, round = 0, urgency, users = [], ...data }: LogData, _: string, names: Names) {
  const { count = users.length, through = {}, shifts, delayed = {} } = data;
  const named = users.map((id) => names.user(id));
  const end = data.isUnreported === true ? "unreported" : reason;
  const came = outcomesText(data.outcomes ?? [], names);
  const asked = ASKED[reason ?? ""];
  if (reason !== "step" && asked === undefined)
    return `${NOTICES[end ?? ""] ?? "Notified"}: ${listText(named, count)} notified.${came}`;
  const why = users.map((id, at) => {
    const source = through[id];
    return source === undefined || (asked && source === "user")
      ? named[at]
      : `${named[at]} (${throughText(source, shifts, names)})`;
  });
  const later = Object.keys(delayed).map((id) => names.user(id));
  const more = later.length === 0 ? "" : ` Contact rules delay further notifications of ${listText(later)}.`;
  const head = asked ?? `Step ${step + 1}${round === 0 ? "" : `, round ${round + 1},`} notified`;
  return `${head} with ${urgency} urgency: ${listText(why as string[], count)}.${more}${came}`;
}

function noTargetsText({ step = 0, by, empty = [], acknowledged = 0 }: LogData, _: string, names: Names): string {
  const reasons = empty.map((source) => emptyText(source, names));
  if (acknowledged > 0) reasons.push(`${countText(acknowledged, "user")} had acknowledged it`);
  const who = by === undefined ? `Step ${step + 1}` : "The page by a person";
  return `${who} had targets without users: ${reasons.length > 0 ? listText(reasons) : "it names no one"}.`;
}

/** What an incident does next, without the steps that notify. Undefined: nothing that people see. */
export function forecastText({ action }: Forecast, names: Names): string | undefined {
  switch (action.kind) {
    case "renotify":
      if (action.reason === "repeat") return "If no one acknowledges it, those notified before are notified again.";
      return `Those notified before are notified${action.reason === "resolved" ? " of its end" : " of the new alert"}.`;
    case "webhook":
      return `Step ${action.step + 1} calls its webhook.`;
    case "channel":
      return `Step ${action.step + 1} sends to its channel.`;
    case "withheld":
      return "Nothing is sent while its alerts are silenced, inhibited or muted; the incident goes on when that ends.";
    case "log":
      return sentenceOf({ at: 0, kind: action.entry, actor: null, data: action.data }, names);
    default:
      return undefined;
  }
}

/** What a source means for a person. @param name of the rule, heartbeat or integration */
export function sourceText({ source }: Pick<AlertView, "source">, name: string | undefined): string {
  const known = name === undefined ? "" : ` ${name}`;
  switch (source) {
    case "rule":
      return `The rule${known} opened it`;
    case "heartbeat":
      return `The heartbeat${known} is down`;
    case "pagerduty":
      return `A client of PagerDuty's API sent it (integration${known})`;
    case "opsgenie":
      return `A client of Opsgenie's API sent it (integration${known})`;
    case "receiver":
      return `A request at the receiver${known} reported it`;
    case "prism":
      return "Its source fell silent";
    case "alertmanager":
      return "A client of Alertmanager's API, such as Prometheus, sent it";
    default:
      return "A client of the native API sent it";
  }
}
