import type { ComponentChildren } from "preact";
import { type LogData, type Part, tell } from "../../../src/features/explain/alert-sentences.ts";
import { href } from "../../app/base.ts";
import { PersonName } from "../../app/person-name.tsx";
import { useGet } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import { type AccentTone, Link, Time, UserText } from "../../ui/index.ts";
import type { IncidentDetail, LogEntry } from "./incident-types.ts";

type Names = ReadonlyMap<string, string>;

/** An entry of the timeline for people. */
interface Sentence {
  readonly tone: AccentTone;
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
  if (id === "mirror") return <span>{isWithin ? "someone" : "Someone"} in the other system</span>;
  if (id?.startsWith("channel:")) return <span>A reader of a channel</span>;
  if (id?.startsWith("integration:")) return <span>An integration</span>;
  return id === "operator" ? <span>An operator</span> : <PersonName id={id} isPlain />;
}

/** A part of a sentence: names are links where the reader may open what they name. */
function Words({ part, names, isFirst }: { readonly part: Part; readonly names: Names; readonly isFirst: boolean }) {
  if (typeof part === "string") return <>{part}</>;
  const { ref, id, more } = part;
  switch (ref) {
    case "user":
      return <Person id={id} names={names} isWithin={!isFirst} />;
    case "time":
      return <Time at={id} mode="full" />;
    case "said":
      return <UserText>{id}</UserText>;
    case "schedule":
      return <ScheduleName id={id} />;
    case "channel":
      return <ChannelName id={id} />;
    case "incident":
      return <Link href={href(`/incidents/${id}`)}>{more}</Link>;
    case "silence":
      return <Link href={href(`/silences/${id}`)}>a silence</Link>;
    case "role":
      return <>a role</>;
    case "inhibitor":
      return <>another alert</>;
  }
}

const VIA: Readonly<Record<string, string>> = {
  webpush: "by the button of a push message",
  mail: "by the link in a mail",
  notification: "by the notification",
  integration: "by an integration",
  channel: "by the link in a message of a channel",
};

const TONES: Readonly<Record<string, AccentTone>> = {
  ...{ opened: "bad", "source-silent": "bad", "page-failed": "bad", unreachable: "bad", exhausted: "bad" },
  ...{ reassigned: "warn", "alerts-joined": "warn", "handed-over": "warn", "no-targets": "warn", fallback: "warn" },
  ...{ "wait-shortened": "warn", "looked-again": "warn", "webhook-shortened": "warn", late: "warn" },
  ...{ unacknowledged: "warn", "ack-expired": "warn", unsnoozed: "warn", "snooze-ended": "warn", escalated: "warn" },
  ...{ "responders-added": "info", "alerts-resolved": "info", "some-resolved": "info", read: "info", note: "info" },
  ...{ "severity-raised": "bad", "steps-restarted": "warn", "severity-fell": "info", "alerts-moved": "info" },
  ...{ notified: "accent", "contact-notified": "accent", acknowledged: "ok" },
};

/** Nothing looks sent before the other side has accepted it. */
const TONE_OF_OUTCOME: Readonly<Record<string, AccentTone>> = { delivered: "accent", failed: "bad", trying: "warn" };

function toneOf(kind: string, { by, reason, outcome }: LogData): AccentTone {
  if (kind === "resolved") return by === "timeout" || by === "moved" ? "warn" : "ok";
  if (kind === "notified" && reason === "resolved") return "ok";
  return TONES[kind] ?? TONE_OF_OUTCOME[outcome?.outcome ?? ""] ?? "plain";
}

/** An entry as a sentence; unknown kinds by their name. */
export function sentenceOf({ kind, actor, data: given }: LogEntry, names: Names): Sentence {
  const data = given as LogData;
  const [notification] = data.notificationIds ?? [];
  const via = VIA[data.via ?? ""];
  const sub = via ?? (notification && <Link href={href(`/explain/notification/${notification}`)}>how</Link>);
  return {
    tone: toneOf(kind, data),
    title: tell({ kind, actor, data }).map((part, at) => <Words key={at} {...{ part, names, isFirst: at === 0 }} />),
    ...(sub === undefined ? {} : { sub }),
  };
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
