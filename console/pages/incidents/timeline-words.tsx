import type { ComponentChildren } from "preact";
import { href } from "../../app/base.ts";
import { PersonName } from "../../app/person-name.tsx";
import { useGet } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import { Link, plural, Time, UserText } from "../../ui/index.ts";
import type { IncidentDetail, LogEntry } from "./incident-types.ts";
import { OutcomeText, outcomeTone } from "./outcome-words.tsx";
import { Data } from "./timeline-data.ts";

export type Tone = "accent" | "ok" | "bad" | "warn" | "info" | "plain";
type Names = ReadonlyMap<string, string>;

/** An entry of the timeline for people. */
export interface Sentence {
  readonly tone: Tone;
  readonly title: ComponentChildren;
  readonly sub?: ComponentChildren;
}

/** The names that the incident itself has: they need no permission to read accounts. */
export function namesOf({ audience, acknowledgements }: IncidentDetail): Names {
  const acknowledgers = acknowledgements.flatMap(({ userId, name }) =>
    name === null ? [] : [[userId, name] as const],
  );
  return new Map([...audience.map(({ userId, name }) => [userId, name] as const), ...acknowledgers]);
}

interface PersonProps {
  readonly id: string | null;
  readonly names: Names;
  /** It does not start the sentence. */
  readonly isWithin?: boolean;
}

function Person({ id, names, isWithin = false }: PersonProps) {
  if (id !== null && id === me.value?.id) return <span>{isWithin ? "you" : "You"}</span>;
  const name = id === null ? undefined : names.get(id);
  if (name) return <bdi>{name}</bdi>;
  if (id?.startsWith("key:")) return <span>An API key</span>;
  if (id?.startsWith("channel:")) return <span>A reader of a channel</span>;
  if (id?.startsWith("integration:")) return <span>An integration</span>;
  return id === "operator" ? <span>An operator</span> : <PersonName id={id} isPlain />;
}

interface PeopleProps {
  readonly ids: readonly string[];
  readonly names: Names;
  /** They do not start the sentence. */
  readonly within?: boolean;
}

function People({ ids, names, within = false }: PeopleProps) {
  return (
    <>
      {ids.map((id, at) => (
        <span key={id}>
          {at > 0 && (at === ids.length - 1 ? " and " : ", ")}
          <Person id={id} names={names} isWithin={within || at > 0} />
        </span>
      ))}
    </>
  );
}

const VIA: Readonly<Record<string, string>> = {
  webpush: "by the button of a push message",
  mail: "by the link in a mail",
  notification: "by the notification",
  integration: "by an integration",
  channel: "by the link in a message of a channel",
};

const REASONS: Readonly<Record<string, string>> = {
  "new-alerts": "of further alerts",
  repeat: "again, as no one has acknowledged",
  resolved: "that it is resolved",
  "silent-source": "that the source of another incident is silent",
  unreported: "that it is no longer reported",
};

/** Those whom a person named. */
const ASKED: Readonly<Record<string, string>> = {
  page: "as they were paged directly",
  reassign: "as the incident was assigned to them",
  responder: "as they were asked to help",
};

const NOT_NOTIFIED: Readonly<Record<string, string>> = {
  acknowledged: "the incident is acknowledged",
  snoozed: "the incident is snoozed",
  renotifyOnNew: "the policy notifies of the first alerts only",
};

type Words = (data: Data, entry: LogEntry, names: Names) => Sentence;

/** A sentence by a person, and how. */
function byPerson(tone: Tone, verb: string): Words {
  return (data, { actor }, names) => ({
    tone,
    title: (
      <>
        <Person id={actor} names={names} /> {verb}
      </>
    ),
    ...(VIA[data.text("via")] === undefined ? {} : { sub: VIA[data.text("via")] }),
  });
}

const WORDS: Readonly<Record<string, Words>> = {
  opened: (data, entry, names) =>
    entry.actor === null
      ? { tone: "bad", title: `Opened by ${plural(data.number("alerts"), "alert")}` }
      : {
          ...byPerson("bad", "opened it to page people")(data, entry, names),
          ...(data.text("text") === "" ? {} : { sub: <UserText>{data.text("text")}</UserText> }),
        },
  reassigned: (data, entry, names) => ({
    tone: "warn",
    title: (
      <>
        <Person id={entry.actor} names={names} /> assigned it to{" "}
        <People ids={data.list("users")} names={names} within />
      </>
    ),
    sub: "the steps start if they do not acknowledge it",
  }),
  "responders-added": (data, entry, names) => ({
    tone: "info",
    title: (
      <>
        <Person id={entry.actor} names={names} /> asked for help
      </>
    ),
    sub: (
      <>
        <People ids={data.list("users")} names={names} within />
        {data.list("schedules").map((id) => (
          <span key={id}>
            {" "}
            on call on <ScheduleName id={id} />
          </span>
        ))}
      </>
    ),
  }),
  "alerts-joined": (data) => ({
    tone: "warn",
    title: `${plural(data.number("added"), "alert")} joined; ${data.number("firing")} firing`,
  }),
  "alerts-resolved": (data) => ({ tone: "info", title: endedText(data) }),
  "some-resolved": (data) => ({
    tone: "info",
    title: `${plural(data.number("alerts"), "alert")} ended, ${data.number("firing")} firing; no one was notified of that`,
  }),
  "source-silent": (data) => ({
    tone: "bad",
    title: `Its source is silent: ${plural(data.number("count"), "incident")} ended as timed out`,
    sub: <IncidentLinks data={data} />,
  }),
  "handed-over": (data) => ({
    tone: "warn",
    title: (
      <>
        Its source is silent: people are notified of{" "}
        <Link href={href(`/incidents/${data.text("incidentId")}`)}>{`#${data.number("number")}`}</Link> instead
      </>
    ),
  }),
  read: byPerson("info", "read a notification of it"),
  notified: (data, _, names) => notified(data, names),
  "contact-notified": (data, _, names) => ({ ...notified(data, names), sub: "later, by their contact rules" }),
  "contact-dropped": (data, _, names) => ({
    tone: "plain",
    title: (
      <>
        A later notification of <People ids={data.list("users")} names={names} /> was no longer needed
      </>
    ),
  }),
  "no-targets": (data) => ({
    tone: "warn",
    title: data.text("by") === "" ? `Step ${data.number("step") + 1} notified no one` : "The page reached no one",
    sub: <Empty sources={data.list("empty")} acknowledged={data.number("acknowledged")} />,
  }),
  withheld: (data) => ({
    tone: "plain",
    title: `No one was notified of ${plural(data.number("alerts"), "alert")}`,
    sub: <Quieted data={data} />,
  }),
  "not-notified": (data) => ({
    tone: "plain",
    title: `No one was notified of ${plural(data.number("alerts"), "further alert")}`,
    sub: NOT_NOTIFIED[data.text("reason")] ?? data.text("reason"),
  }),
  webhook: (data) => ({
    tone: outcomeTone(data.outcome),
    title: `Webhook to ${data.text("host")}`,
    sub: (
      <>
        <OutcomeText of={data.outcome} /> · format {data.text("format")}
      </>
    ),
  }),
  "page-failed": (data, _, names) => ({
    tone: "bad",
    title: <FailedWay data={data} names={names} />,
    sub: data.text("error"),
  }),
  "wait-shortened": (data) => ({
    tone: "warn",
    title: "No one was reached: the next step comes sooner",
    sub: (
      <>
        at <Time at={data.number("to")} mode="full" /> instead of <Time at={data.number("from")} mode="full" />
      </>
    ),
  }),
  "looked-again": () => ({ tone: "warn", title: "No one was reached so far: the executed steps are notified again" }),
  unreachable: () => ({ tone: "bad", title: "No one can be reached", sub: "no person has a way that works" }),
  fallback: (data, _, names) => ({
    tone: "warn",
    title: (
      <>
        The steps reached no one; notified instead: <People ids={data.list("users")} names={names} />
        {data.list("ways").join(", ")}
      </>
    ),
    sub: data.text("level"),
  }),
  "left-out": (data) => ({
    tone: "plain",
    title:
      data.number("alerts") === 0
        ? "Webhooks name all firing alerts again"
        : `Webhooks left out ${plural(data.number("alerts"), "alert")}: silenced, inhibited or muted`,
  }),
  "webhook-shortened": (data) => ({
    tone: "warn",
    title: `The webhook of step ${data.number("step") + 1} got ${plural(data.number("shown"), "alert")}, not the other ${data.number("truncated")}`,
    sub: "the body would be larger than 32 MiB",
  }),
  channel: (data) => ({
    tone: outcomeTone(data.outcome),
    title: (
      <>
        Message to <ChannelName id={data.text("channelId")} />
      </>
    ),
    sub: (
      <>
        <OutcomeText of={data.outcome} /> · step {data.number("step") + 1}
      </>
    ),
  }),
  late: (data) => ({
    tone: "warn",
    title: (
      <>
        Late: this was due <Time at={data.number("dueAt")} mode="full" />
      </>
    ),
  }),
  acknowledged: (data, entry, names) => {
    const [given, quorum] = [data.number("given"), data.number("quorum")];
    const { sub, ...words } = byPerson("ok", "acknowledged")(data, entry, names);
    const missing = given < quorum ? `${given} of ${quorum} acknowledgements` : undefined;
    const all = [sub, missing].filter((each) => each !== undefined).join(" · ");
    return { ...words, ...(all === "" ? {} : { sub: all }) };
  },
  unacknowledged: byPerson("warn", "removed the acknowledgements; the steps start again"),
  "ack-expired": (data, _, names) => ({
    tone: "warn",
    title: (
      <>
        The acknowledgement of <People ids={data.list("users")} names={names} /> expired
      </>
    ),
  }),
  snoozed: (data, entry, names) => ({
    ...byPerson("plain", "snoozed it")(data, entry, names),
    sub: (
      <>
        until <Time at={data.number("until")} mode="full" />
      </>
    ),
  }),
  unsnoozed: byPerson("warn", "ended the snooze; the steps start again"),
  "snooze-ended": () => ({ tone: "warn", title: "The snooze ended; the steps start again" }),
  escalated: (data, entry, names) =>
    byPerson("warn", `escalated to step ${data.number("step") + 1}`)(data, entry, names),
  exhausted: () => ({ tone: "bad", title: "All steps are done and no one has acknowledged" }),
  "outside-interval": (data) => ({
    tone: "plain",
    title: `Outside of “${data.text("interval")}”`,
    sub: data.text("otherwise") === "skip" ? "the next step is skipped" : "the steps wait until it opens",
  }),
  "too-few-alerts": (data) => ({ tone: "plain", title: `The steps wait for ${data.number("wanted")} alerts` }),
  resolved: (data, entry, names) => resolvedBy(data.text("by"), entry, names),
  note: (data, entry, names) => ({
    ...byPerson("info", "wrote")(data, entry, names),
    sub: <UserText>{data.text("text")}</UserText>,
  }),
};

function endedText(data: Data): string {
  const [ended, timedOut, firing] = [data.number("ended"), data.number("timedOut"), data.number("firing")];
  if (timedOut === 0) return firing === 0 ? "All alerts are resolved" : `Alerts were resolved; ${firing} firing`;
  const silent = `${plural(timedOut, "alert is", "alerts are")} no longer reported`;
  return `${silent}${ended > timedOut ? `, ${ended - timedOut} resolved` : ""}; ${firing} firing`;
}

function resolvedBy(by: string, entry: LogEntry, names: Names): Sentence {
  if (by === "alerts") return { tone: "ok", title: "Resolved: all its alerts are" };
  if (by === "timeout") return { tone: "warn", title: "No longer reported: its alerts timed out" };
  if (by === "auto") return { tone: "ok", title: "Resolved: no alert joined for as long as the policy allows" };
  if (by === "policy") return { tone: "ok", title: "Resolved by a step of the policy" };
  return {
    tone: "ok",
    title: (
      <>
        <Person id={entry.actor ?? by} names={names} /> resolved it
      </>
    ),
  };
}

function notified(data: Data, names: Names): Sentence {
  const users = data.list("users");
  const more = data.number("count") - users.length;
  const reason = data.flag("isUnreported") ? "unreported" : data.text("reason");
  const step = reason === "step" ? `Step ${data.number("step") + 1}` : undefined;
  const round = data.number("round") > 0 ? `round ${data.number("round") + 1}` : undefined;
  const urgency = data.text("urgency") === "" ? undefined : `${data.text("urgency")} urgency`;
  const [notification] = data.list("notificationIds");
  return {
    tone: reason === "resolved" ? "ok" : "accent",
    title: (
      <>
        <People ids={users} names={names} /> {more > 0 && `and ${more} more `}
        {users.length + more === 1 && users[0] !== me.value?.id ? "was" : "were"} notified{" "}
        {REASONS[reason] ?? ASKED[reason] ?? ""}
      </>
    ),
    sub: (
      <>
        {[step, round, urgency].filter((each) => each !== undefined).join(", ")}
        <Through through={data.map("through")} />
        {Object.keys(data.map("delayed")).length > 0 && " · more later by contact rules"}
        {notification !== undefined && (
          <>
            {" · "}
            <Link href={href(`/explain/notification/${notification}`)}>how</Link>
          </>
        )}
        {data.outcomes.slice(0, SHOWN_OUTCOMES).map((each) => (
          <div key={`${each.userId} ${each.channel}`}>
            <Person id={each.userId} names={names} /> by {each.channel}: <OutcomeText of={each} />
          </div>
        ))}
      </>
    ),
  };
}

/** Outcomes that one entry shows. */
const SHOWN_OUTCOMES = 10;

function FailedWay({ data, names }: { readonly data: Data; readonly names: Names }) {
  const way = data.text("way");
  if (way === "channel")
    return (
      <>
        The message to <ChannelName id={data.text("channelId")} /> counts as failed; it goes on being tried
      </>
    );
  if (way === "webhook")
    return <>The webhook of step {data.number("step") + 1} counts as failed; it goes on being tried</>;
  return (
    <>
      The notice to <Person id={data.text("userId")} names={names} isWithin /> by {data.text("channel")} counts as
      failed; it goes on being tried
    </>
  );
}

/** Why these users: the schedules, roles and memberships. */
function Through({ through }: { readonly through: Readonly<Record<string, unknown>> }) {
  const sources = [...new Set(Object.values(through))].filter((each) => typeof each === "string" && each !== "user");
  if (sources.length === 0) return null;
  return (
    <>
      {" · "}
      {sources.map((source, at) => (
        <span key={source as string}>
          {at > 0 && ", "}
          <Source source={source as string} />
        </span>
      ))}
    </>
  );
}

function Source({ source }: { readonly source: string }) {
  const [kind, id = "", who] = source.split(":");
  if (kind === "schedule")
    return (
      <>
        {who === "next" ? "next on call of " : "on call on "}
        <ScheduleName id={id} />
      </>
    );
  if (kind === "members") return <>members of the project</>;
  if (kind === "silent-source") return <>notified of incidents of the silent source</>;
  return <>{kind === "role" ? "by a role" : "named by the policy"}</>;
}

/** The name of an on-call schedule. */
export function ScheduleName({ id }: { readonly id: string }) {
  const { data } = useGet<{ readonly name: string }>(`/oncall/schedules/${encodeURIComponent(id)}`);
  return data ? <bdi>{data.name}</bdi> : <span>a schedule</span>;
}

/** The name of a channel. */
export function ChannelName({ id }: { readonly id: string }) {
  const { data } = useGet<{ readonly name: string }>(`/channels/${encodeURIComponent(id)}`);
  return data ? <bdi>{data.name}</bdi> : <span>a channel</span>;
}

function Empty({ sources, acknowledged }: { readonly sources: readonly string[]; readonly acknowledged: number }) {
  return (
    <>
      {sources.length > 0 && "no user can be reached: "}
      {sources.map((source, at) => (
        <span key={source}>
          {at > 0 && ", "}
          <Source source={source} />
        </span>
      ))}
      {acknowledged > 0 && ` ${plural(acknowledged, "user has", "users have")} acknowledged`}
    </>
  );
}

/** The incidents of a silent source. */
function IncidentLinks({ data }: { readonly data: Data }) {
  const incidents = data.objects("incidents");
  const more = data.number("count") - incidents.length;
  return (
    <>
      {incidents.map((each, at) => (
        <span key={each.text("id")}>
          {at > 0 && ", "}
          <Link href={href(`/incidents/${each.text("id")}`)}>{`#${each.number("number")}`}</Link>
        </span>
      ))}
      {more > 0 && ` and ${more} more`}
    </>
  );
}

/** What silences, inhibits or mutes alerts, with links. */
function Quieted({ data }: { readonly data: Data }) {
  const silences = data.list("silences");
  const inhibitors = data.list("inhibitedBy");
  const intervals = data.list("intervals");
  return (
    <>
      {silences.length > 0 && "silenced by "}
      {silences.map((id, at) => (
        <span key={id}>
          {at > 0 && ", "}
          <Link href={href(`/silences/${id}`)}>{silences.length === 1 ? "a silence" : `silence ${at + 1}`}</Link>
        </span>
      ))}
      {inhibitors.length > 0 && `${silences.length > 0 ? " · " : ""}inhibited by ${plural(inhibitors.length, "alert")}`}
      {intervals.length > 0 &&
        `${silences.length + inhibitors.length > 0 ? " · " : ""}muted by the time interval ${intervals.join(", ")}`}
    </>
  );
}

/** An entry as a sentence; unknown kinds by their name. */
export function sentenceOf(entry: LogEntry, names: Names): Sentence {
  return WORDS[entry.kind]?.(new Data(entry.data), entry, names) ?? { tone: "plain", title: entry.kind };
}
