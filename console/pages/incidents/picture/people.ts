import type { LogData } from "../../../../src/features/explain/alert-sentences.ts";
import { plural } from "../../../ui/index.ts";
import type { IncidentDetail } from "../incident-types.ts";
import { capital, type Drawn, type Lane, type LaneBar, type Mark, textOf } from "./model.ts";

/** More people are one lane. */
const OWN_LANES = 4;

type Notice = IncidentDetail["notices"][number];
type Person = IncidentDetail["audience"][number];

/** What each person was sent, what arrived, and what the person saw and did. */
export function peopleLanes(drawn: Drawn): Lane[] {
  const { audience } = drawn.incident;
  const isOwn = audience.length <= OWN_LANES;
  const own = isOwn ? audience : audience.slice(0, OWN_LANES - 1);
  const others = audience.slice(own.length);
  const lanes = own.map((person): Lane => {
    return { key: `person ${person.userId}`, name: capital(drawn.nameOf(person.userId)), ...storyOf(person, drawn) };
  });
  if (others.length === 0) return lanes;
  const stories = others.map((person) => storyOf(person, drawn));
  const all = { bars: stories.flatMap(({ bars }) => bars), marks: stories.flatMap(({ marks }) => marks) };
  return [...lanes, { key: "others", name: plural(others.length, "other person", "other people"), ...all }];
}

const WHY: Readonly<Record<string, string>> = {
  page: "paged by a person",
  reassign: "given the incident",
  responder: "asked for help",
  repeat: "paged again",
  resolved: "told of the end",
  "new-alerts": "told of further alerts",
  "severity-raised": "told that it got worse",
};

function storyOf({ userId, seenAt }: Person, drawn: Drawn): { bars: LaneBar[]; marks: Mark[] } {
  const { incident, nameOf } = drawn;
  const name = capital(nameOf(userId));
  const notices = incident.notices.filter((notice) => notice.kind === "person" && notice.userId === userId);
  const sent = incident.timeline.flatMap((entry): Mark[] => {
    const { users = [], reason = "", step = 0 } = entry.data as LogData;
    const isSent = ["notified", "contact-notified", "fallback"].includes(entry.kind) && users.includes(userId);
    if (isSent) {
      const why = WHY[reason] ?? (entry.kind === "notified" ? `paged by step ${step + 1}` : "paged");
      return [{ at: Date.parse(entry.at), sign: "sent", text: `${name}: ${why}` }];
    }
    if (entry.kind !== "acknowledged" || entry.actor !== userId) return [];
    return [{ at: Date.parse(entry.at), sign: "acknowledged", text: textOf(entry, nameOf) }];
  });
  const seen: Mark[] = seenAt === null ? [] : [{ at: Date.parse(seenAt), sign: "seen", text: `${name} has seen it` }];
  const marks = [...sent, ...notices.flatMap((notice) => arrivals(notice, name)), ...seen];
  return { bars: notices.flatMap((notice) => wayOf(notice, name, drawn.end)), marks };
}

/** What was sent to channels and webhooks of the project. */
export function roomLane({ incident, end }: Drawn): Lane[] {
  const notices = incident.notices.filter(({ kind }) => kind !== "person");
  if (notices.length === 0) return [];
  const nameOf = ({ kind }: Notice) => (kind === "channel" ? "The channel" : "The webhook");
  const sent = notices.map((notice): Mark => {
    return { at: Date.parse(notice.createdAt), sign: "sent", text: `${nameOf(notice)}: sent` };
  });
  const marks = [...sent, ...notices.flatMap((notice) => arrivals(notice, nameOf(notice)))];
  return [{ key: "rooms", name: "Channels", marks, bars: notices.flatMap((each) => wayOf(each, nameOf(each), end)) }];
}

function arrivals({ outcome, channel, kind, deliveredAt, failedAt, lastError }: Notice, name: string): Mark[] {
  const by = kind === "person" && channel !== null ? ` by ${channel}` : "";
  if (deliveredAt !== null) return [{ at: Date.parse(deliveredAt), sign: "arrived", text: `${name}: arrived${by}` }];
  if (failedAt === null || outcome === "skipped" || outcome === "overtaken") return [];
  const why = lastError === null ? "" : ` (${lastError})`;
  return [{ at: Date.parse(failedAt), sign: "failed", text: `${name}: failed${by}${why}` }];
}

/** From the sending to the arrival, or until now. */
function wayOf({ createdAt, deliveredAt, failedAt, endedAt }: Notice, name: string, end: number): LaneBar[] {
  const over = deliveredAt ?? failedAt ?? endedAt;
  const [from, to] = [Date.parse(createdAt), over === null ? end : Math.min(end, Date.parse(over))];
  return [{ from, to, tone: over === null ? "way-open" : "way", text: `${name}: on its way`, isThin: true }];
}
