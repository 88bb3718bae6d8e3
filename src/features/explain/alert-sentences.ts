import type { Alert, NoticeOutcome } from "../../client/api-types.gen.ts";
import { countText } from "../../core/text/clean-text.ts";

/* Sentences about rows of an incident's timeline: `prism explain` joins their parts, the console shows them with links. */

/** A thing in a sentence, by its id, or a time. */
export interface Ref {
  readonly ref: "user" | "role" | "schedule" | "silence" | "inhibitor" | "incident" | "channel" | "time" | "said";
  readonly id: string;
  /** Of a schedule the shift, of an incident its text. */
  readonly more?: string | undefined;
}

export type Part = string | Ref;

/** Nested as they are written. */
type Parts = Part | number | undefined | readonly Parts[];

function say(texts: TemplateStringsArray, ...values: readonly Parts[]): Part[] {
  return texts.flatMap((text, at) => [text, ...partsOf(values[at])]).filter((part) => part !== "");
}

function partsOf(value: Parts): Part[] {
  if (Array.isArray(value)) return (value as readonly Parts[]).flatMap(partsOf);
  return [typeof value === "object" ? (value as Ref) : String(value ?? "")];
}

/** A row of the timeline with its data. */
export interface LogRow {
  readonly at: number;
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
  readonly incidents?: readonly { readonly id: string; readonly number: number }[];
  /** How many alerts were not repeated in time. */
  readonly timedOut?: number;
  /** It notifies of an end by time-out. */
  readonly isUnreported?: boolean;
  readonly until?: number;
  readonly dueAt?: number;
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
  readonly incidentId?: string;
  readonly channelId?: string;
  readonly ways?: readonly string[];
  readonly channel?: string;
  readonly error?: string | null;
  readonly level?: string;
  readonly from?: number | string | null;
  readonly to?: number | string | null;
  /** Why the steps start again, and what that ended. */
  readonly endedBy?: string;
  readonly paused?: string;
  readonly outcome?: NoticeOutcome;
  readonly outcomes?: readonly NoticeOutcome[];
  readonly rounds?: number;
  readonly shown?: number;
  readonly truncated?: number;
  readonly text?: string;
  readonly schedules?: readonly string[];
}

const user = (id: string): Ref => ({ ref: "user", id });
const people = (ids: readonly string[]): Ref[] => ids.map(user);
const schedule = (id: string, more?: string): Ref => ({ ref: "schedule", id, more });
const time = (at: number | string): Ref => ({
  ref: "time",
  id: typeof at === "string" ? at : new Date(at).toISOString(),
});
const said = (id: string): Ref => ({ ref: "said", id });

const LISTED = 10;

/** Such as `anna, ben and 3 more`. */
export function listOf(items: readonly Parts[], total = items.length): Part[] {
  const shown = items.slice(0, LISTED);
  const parts = shown.flatMap((item, at) => [...(at === 0 ? [] : [", "]), ...partsOf(item)]);
  return total > shown.length ? [...parts, ` and ${total - shown.length} more`] : parts;
}

/** Why a step notified a user. @param source such as `schedule:<id>:current`, `role:<id>`, `members` */
export function throughOf(source: string, shifts: LogData["shifts"]): Part[] {
  const [kind = "", id = "", who] = source.split(":");
  if (kind === "role") return say`holds ${{ ref: "role", id }}`;
  if (kind === "members") return ["is a member of the project"];
  if (kind === "silent-source") return ["was notified of an incident of the silent source"];
  if (kind !== "schedule") return ["is named in the step"];
  return who === "next" ? say`is next on call on ${schedule(id)}` : say`is on call on ${schedule(id, shifts?.[id])}`;
}

/** A target of a step that named no user who can be notified. */
function emptyOf(source: string): Part[] {
  const [kind = "", id = "", who] = source.split(":");
  if (kind === "schedule")
    return say`no active member is ${who === "next" ? "next on call" : "on call"} on ${schedule(id)}`;
  if (kind === "role") return say`no active member of the project holds ${{ ref: "role", id }}`;
  return [kind === "members" ? "the project has no active members" : "a named user is not an active member"];
}

/** Why alerts are not notified, such as `silenced by …`: at least one. */
export function withheldBy({ silencedBy, inhibitedBy, mutedBy }: NonNullable<Alert["withheld"]>): Part[][] {
  return [
    ...silencedBy.map((id) => say`silenced by ${{ ref: "silence", id }}`),
    ...inhibitedBy.map((id) => say`inhibited by ${{ ref: "inhibitor", id }}`),
    ...mutedBy.map((name) => [`muted by the time interval ${name}`]),
  ];
}

const NOTICES: Readonly<Record<string, string>> = {
  "new-alerts": "Because further alerts joined",
  "severity-raised": "Because it got worse",
  repeat: "Because no one acknowledged it",
  resolved: "It is resolved: everyone notified before",
  "silent-source": "Because the source of another incident is silent",
  unreported: "It is no longer reported: everyone notified before",
};

/** Reasons of notices to users named by a person. */
const ASKED: Readonly<Record<string, string>> = {
  page: "The users paged first are notified",
  reassign: "The new assignees are notified",
  responder: "Those asked for help are notified",
};

const CLOSED_BY: Readonly<Record<string, string>> = {
  alerts: "all its alerts are resolved",
  timeout: "its alerts timed out, as their source did not repeat them",
  auto: "the policy resolves it after this time",
  policy: "a step of the policy resolves it",
  moved: "its alerts have another route",
};

type Sentence = (data: LogData, who: readonly Part[]) => readonly Part[];

const severityText = ({ alerts = 1, from, to }: LogData): string =>
  `${alerts === 1 ? "the severity" : `the severity of ${alertsText(alerts)}`} ${from ? `from ${from} ` : ""}to ${to ?? "none"}`;

const alertsText = (count = 1): string => countText(count, "alert");

const SENTENCES: Readonly<Record<string, Sentence>> = {
  opened: ({ alerts, text = "" }, who) =>
    who.length === 0
      ? [`The incident was opened by ${alertsText(alerts)}.`]
      : say`${who} opened it to page people${text === "" ? "." : [": ", said(text)]}`,
  reassigned: ({ users = [] }, who) =>
    say`${who} assigned it to ${listOf(people(users))}: the steps start if they do not acknowledge it.`,
  "responders-added": ({ users = [], schedules = [] }, who) =>
    say`${who} asked for help: ${listOf([...people(users), ...schedules.map((id) => say`those on call on ${schedule(id)}`)])}.`,
  "alerts-joined": ({ added, firing }) => [`${alertsText(added)} joined; ${firing} fire now.`],
  "alerts-resolved": ({ ended = 0, timedOut = 0, firing }) => {
    const others = ended > timedOut ? `, ${ended - timedOut} resolved` : "";
    return [
      `${timedOut === 0 ? "Alerts were resolved" : `${alertsText(timedOut)} timed out${others}`}; ${firing} fire now.`,
    ];
  },
  "severity-raised": (data) => [`Its source raised ${severityText(data)}.`],
  "severity-fell": (data) => [`Its source lowered ${severityText(data)}.`],
  "alerts-moved": ({ alerts, firing }) => [`${alertsText(alerts)} moved to another route; ${firing} fire here now.`],
  "steps-restarted": ({ paused }) => [
    `${paused === undefined ? "It" : `It was ${paused}, and`} got worse: the steps start again.`,
  ],
  "some-resolved": ({ alerts, firing }) => [
    `${alertsText(alerts)} of those notified ended; ${firing} still fire. Only webhooks report that.`,
  ],
  "source-silent": ({ incidents = [], count = incidents.length }) => {
    const shown = incidents.map(({ id, number }): Ref => ({ ref: "incident", id, more: `#${number}` }));
    return say`Its source is silent. In place of these incidents people are notified of this one: ${listOf(shown, count)}.`;
  },
  "handed-over": ({ incidentId = "", number }) =>
    say`Its source is silent: in place of its end, people are notified of ${{ ref: "incident", id: incidentId, more: `incident ${number}` }}.`,
  late: ({ dueAt = 0 }) => say`What follows was due at ${time(dueAt)}: the server did not run then.`,
  withheld: ({ alerts, silences = [], inhibitedBy = [], intervals = [] }) => {
    const by = withheldBy({ silencedBy: silences, inhibitedBy, mutedBy: intervals });
    return say`Not notified of ${alertsText(alerts)}: ${listOf(by)}.`;
  },
  notified: noticeOf,
  "contact-notified": ({ users: [id = ""] = [], channels = [] }) =>
    say`The contact rules of ${user(id)} sent a further notification by ${channels.join(", ")}.`,
  "contact-dropped": ({ users: [id = ""] = [], channels = [] }) =>
    say`A further notification of ${user(id)} by ${channels.join(", ")} was no longer needed.`,
  "no-targets": ({ step = 0, by, empty = [], acknowledged = 0 }) => {
    const reasons = empty.map(emptyOf);
    if (acknowledged > 0) reasons.push([`${countText(acknowledged, "user")} had acknowledged it`]);
    const place = by === undefined ? `Step ${step + 1}` : "The page by a person";
    return say`${place} had targets without users: ${reasons.length > 0 ? listOf(reasons) : "it names no one"}.`;
  },
  "not-notified": ({ reason, alerts }) => [
    `Not notified of ${alertsText(alerts)}: ` +
      (reason === "renotifyOnNew" ? "the policy does not notify of alerts that join later." : `it is ${reason}.`),
  ],
  webhook: ({ step = 0, host, format, outcome }) =>
    say`Step ${step + 1}, the webhook at ${host}${format === "alertmanager" ? " in Alertmanager's form" : ""}: ${outcomeOf(outcome)}.`,
  "left-out": ({ alerts = 0 }) => [
    alerts === 0
      ? "Webhooks name all its firing alerts again."
      : `Webhooks left out ${alertsText(alerts)}: silenced, inhibited or muted.`,
  ],
  "webhook-shortened": ({ step = 0, shown = 0, truncated = 0 }) => [
    `The webhook of step ${step + 1} got ${alertsText(shown)} and not the other ${truncated}: ` +
      "the body would be larger than 32 MiB.",
  ],
  channel: ({ step = 0, channelId = "", outcome }) =>
    say`Step ${step + 1}, ${{ ref: "channel", id: channelId }}: ${outcomeOf(outcome)}.`,
  "page-failed": ({ way, userId, channel, error, step = 0 }) => {
    const notice =
      way === "delivery" && userId
        ? say`The notice to ${user(userId)} by ${channel ?? "a channel"}`
        : `The ${way ?? "notice"} of step ${step + 1}`;
    return say`${notice} counts as failed${error ? `: ${error}` : ""}. Prism keeps trying.`;
  },
  "wait-shortened": ({ from = 0, to = 0 }) =>
    say`No one was reached: the next step runs at ${time(to ?? 0)} instead of ${time(from ?? 0)}.`,
  "looked-again": () => ["No one was reached so far: the targets of the executed steps are notified again."],
  unreachable: () => ["No one can be reached: no person of the project, and no administrator, has a way that works."],
  fallback: ({ level, users = [], count, ways = [] }) =>
    say`The steps reached no one. Fallback to ${level}: ${listOf([...people(users), ...ways], count)}.`,
  read: (_data, who) => say`${who} read a notification of it: someone is reached.`,
  acknowledged: ({ given = 1, quorum = 1 }, who) =>
    given < quorum
      ? say`${who} acknowledged it, ${given} of ${quorum}: only this user receives nothing more.`
      : say`${who} acknowledged it: the steps stop.`,
  unacknowledged: (_data, who) => say`${who} removed the acknowledgements: the steps start again.`,
  "ack-expired": ({ users = [] }) => say`The acknowledgements of ${listOf(people(users))} expired.`,
  snoozed: ({ until = 0 }, who) => say`${who} snoozed it until ${time(until)}: no step runs until then.`,
  unsnoozed: (_data, who) => say`${who} ended the snooze: the steps start again.`,
  "snooze-ended": () => ["The snooze ended: the steps start again."],
  escalated: ({ step = 0 }, who) => say`${who} escalated it: step ${step + 1} runs now.`,
  "too-few-alerts": ({ step = 0, wanted }) => [`Step ${step + 1} waits until ${wanted} alerts have joined.`],
  "outside-interval": ({ step = 0, interval, otherwise }) => [
    `Step ${step + 1}: the time is outside of the interval ${interval}, so the next step ` +
      `${otherwise === "hold" ? "waits" : "is passed over"}.`,
  ],
  exhausted: () => ["All rounds of the policy are over, and no one acknowledged it."],
  resolved: ({ by = "", incidentId, number }, who) => {
    if (by === "moved" && incidentId !== undefined)
      return say`Moved to ${{ ref: "incident", id: incidentId, more: `#${number}` }}: ${CLOSED_BY["moved"] ?? ""}.`;
    return say`${by === "timeout" ? "No longer reported" : "Resolved"}: ${CLOSED_BY[by] ?? ["by ", who.length > 0 ? who : user(by)]}.`;
  },
  note: ({ text = "" }, who) => say`${who} noted: ${said(text)}`,
};

/** The parts of the sentences about a row of the timeline. */
export function tell({ kind, actor, data }: Omit<LogRow, "at">): readonly Part[] {
  // Who pressed a button in a channel: `slack:anna`.
  const via = data.via?.includes(":") ? ` (${data.via})` : "";
  return SENTENCES[kind]?.(data, actor === null ? [] : say`${user(actor)}${via}`) ?? [`${kind}.`];
}

/** Outcome of a notice. */
function outcomeOf(outcome: NoticeOutcome | undefined): Part[] {
  if (!outcome) return ["no outcome is recorded"];
  const { attempts, lastError, deliveredAt, answer, note, heldUntil } = outcome;
  const tries = countText(attempts, "attempt");
  const because = lastError === null ? "" : `, last failure: ${lastError}`;
  switch (outcome.outcome) {
    case "queued":
      return ["waits to be sent"];
    case "trying":
      return [`being tried, ${tries}${because}`];
    case "held":
      return say`held until ${heldUntil === null ? "later" : time(heldUntil)} (${note ?? "quiet hours"})`;
    case "delivered":
      return say`delivered at ${time(deliveredAt ?? "")}${answer === null ? "" : ` (answer: ${answer})`}`;
    case "failed":
      return [`failed after ${tries}${because}${outcome.endedAt === null ? "; Prism keeps trying" : ""}`];
    case "overtaken":
      return [`not sent: ${note ?? "a later notice replaces it"}`];
    default:
      return [`skipped: ${note ?? "not wanted"}`];
  }
}

/** Of notices of a mirror project. */
export const MIRRORED = "The project is a mirror: nothing was sent.";

/** Whether its notices were made in a mirror project, which sends none of them. */
export function isMirrored({ outcomes = [] }: Pick<LogData, "outcomes">): boolean {
  return outcomes.some(({ note }) => note === "mirror") && outcomes.every(({ outcome }) => outcome === "skipped");
}

function noticeOf({ reason = "", step = 0, round = 0, urgency, users = [], ...data }: LogData): Part[] {
  const { count = users.length, through = {}, shifts, delayed = {}, outcomes = [] } = data;
  // What came of the notices to people, the first of them.
  const each = outcomes.map((one) => say`${user(one.userId ?? "")} by ${one.channel ?? ""}: ${outcomeOf(one)}`);
  const isInMirror = isMirrored({ outcomes });
  const came = isInMirror ? ` ${MIRRORED}` : each.length === 0 ? "" : say` ${listOf(each)}.`;
  const asked = ASKED[reason];
  if (reason !== "step" && asked === undefined) {
    const why = NOTICES[data.isUnreported === true ? "unreported" : reason] ?? "Notified";
    return say`${why}: ${listOf(people(users), count)} ${isInMirror ? "would have been notified" : "notified"}.${came}`;
  }
  const why = users.map((id) => {
    const source = through[id];
    const isNamed = source === undefined || (asked !== undefined && source === "user");
    return isNamed ? user(id) : say`${user(id)} (${throughOf(source, shifts)})`;
  });
  const later = Object.keys(delayed);
  const more = later.length === 0 ? "" : say` Contact rules delay further notifications of ${listOf(people(later))}.`;
  const notified = isInMirror ? "would have notified" : "notified";
  const head = asked ?? `Step ${step + 1}${round === 0 ? "" : `, round ${round + 1},`} ${notified}`;
  return say`${head} with ${urgency} urgency: ${listOf(why, count)}.${more}${came}`;
}
