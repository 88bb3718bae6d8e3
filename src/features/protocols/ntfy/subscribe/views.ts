import type { EpochMs } from "../../../../core/time/clock.ts";
import { matchesType, type StreamEntry, type StreamRef } from "../../../../live/stream.ts";
import { withoutLink } from "../../../delivery/index.ts";
import { derivedId } from "../ids.ts";
import { isStored, MAX_MESSAGE_BYTES, type Message, secondsOf } from "../message.ts";
import { isTrue, type Parameters, priorityOf, tagsOf } from "../parameters.ts";
import type { NtfyTopic } from "../topics.ts";

/** Filter of a subscriber's messages; null: all. */
export type ViewFilter = ((message: Message) => boolean) | null;

/** @throws NtfyError 40007 */
export function filterOf(parameters: Parameters): ViewFilter {
  const [id, message, title] = [parameters("id"), parameters("message"), parameters("title")];
  const tags = tagsOf(parameters("tags"));
  const priorities = tagsOf(parameters("priority")).map(priorityOf);
  if (id + message + title === "" && tags.length + priorities.length === 0) return null;
  return (given) =>
    (id === "" || given.id === id) &&
    (message === "" || given.message === message) &&
    (title === "" || given.title === title) &&
    tags.every((tag) => given.tags?.includes(tag) === true) &&
    (priorities.length === 0 || priorities.includes(given.priority ?? 3));
}

export function scopeOf(parameters: Parameters) {
  return { isPoll: isTrue(parameters("poll")), withScheduled: isTrue(parameters("scheduled")) };
}

interface ViewParts {
  cacheMs(): number;
  now(): EpochMs;
  /** A link that acknowledges a notification without a login; undefined without a public URL. */
  acknowledgeUrl(userId: string, notificationId: string): string | undefined;
}

/** How entries of a topic's stream become messages. */
export interface TopicView {
  readonly stream: StreamRef;
  /** All subscribers without a filter receive the entry's own text. */
  readonly isShared: boolean;
  /** The text of a message; null: the entry is none. */
  textOf(entry: StreamEntry): string | null;
}

export function viewOf(parts: ViewParts, topic: NtfyTopic): TopicView {
  const openedAt = parts.now();
  if (topic.kind === "events")
    return {
      stream: { kind: "project", projectId: topic.projectId ?? "" },
      isShared: false,
      textOf: (entry) =>
        topic.patterns.some((pattern) => matchesType(pattern, entry.type)) ? eventText(parts, topic, entry) : null,
    };
  if (topic.kind === "inbox")
    return {
      stream: { kind: "user", userId: topic.userId ?? "" },
      isShared: false,
      textOf: (entry) => inboxText(parts, topic, entry),
    };
  return {
    stream: { kind: "ntfy", topic: topic.name },
    isShared: true,
    // A message that is not cached is only for those who were there.
    textOf: (entry) => (entry.at < openedAt && !isStored(entry.data) ? null : entry.data),
  };
}

type Json = Readonly<Record<string, unknown>>;

const PRIORITY_OF: Readonly<Record<string, number>> = { debug: 2, warn: 4, error: 5, fatal: 5 };
const MAX_LINES = 20;

function eventText(parts: ViewParts, { name }: NtfyTopic, { offset, at, data, type }: StreamEntry): string {
  const { level, payload } = JSON.parse(data) as { level: string; payload: Json };
  const title = textIn(payload, "title");
  const message =
    textIn(payload, "message") ?? textIn(payload, "text") ?? textIn(payload, "summary") ?? linesOf(payload);
  const priority = PRIORITY_OF[level];
  return messageText({
    ...{ id: derivedId("E", offset), ...timesOf(parts, at), event: "message", topic: name },
    title: title ?? type,
    ...(message !== "" && { message: cut(message) }),
    ...(priority !== undefined && { priority }),
    tags: title === undefined ? [level] : [level, type],
  });
}

/** Notifications; one that is acknowledged is cleared from the phone, by its sequence. */
function inboxText(
  parts: ViewParts,
  { name, userId }: NtfyTopic,
  { offset, at, data, type }: StreamEntry,
): string | null {
  if (type !== "notification" && type !== "notification.acknowledged") return null;
  const view = JSON.parse(data) as {
    id: string;
    kind: string;
    title: string;
    message: string;
    priority: number;
    data: Json | null;
    me?: { acknowledgedAt: string | null };
  };
  const isIncident = view.kind === "incident" && typeof view.data?.["incidentId"] === "string";
  const head = {
    ...{ id: derivedId("N", offset), sequence_id: isIncident ? String(view.data?.["incidentId"]) : view.id },
    ...timesOf(parts, at),
  };
  if (type !== "notification") return messageText({ ...head, event: "message_clear", topic: name });
  const isDone = view.data?.["state"] === "resolved" || view.me?.acknowledgedAt != null;
  const url = isDone || userId === null ? undefined : parts.acknowledgeUrl(userId, view.id);
  return messageText({
    ...{ ...head, event: "message", topic: name, title: view.title },
    ...(view.message !== "" && {
      message: cut(isIncident && url === undefined ? withoutLink(view.message) : view.message),
    }),
    ...(isDone ? {} : priorityMember(view.priority)),
    ...(url !== undefined && { actions: [acknowledgeAction(offset, url)] }),
  });
}

function acknowledgeAction(offset: number, url: string) {
  return {
    ...{
      id: offset.toString(36).padStart(10, "0"),
      action: "http",
      label: "Acknowledge",
      clear: true,
      url,
      method: "POST",
    },
    ...{ headers: { "Content-Type": "application/x-www-form-urlencoded" }, body: "acknowledge=yes" },
  };
}

/** Prism's priorities, 0 to 1000, as ntfy's; 3 is the default and not named. */
function priorityMember(priority: number): { readonly priority?: number } {
  if (priority >= 500) return { priority: 5 };
  return priority >= 100 ? { priority: 4 } : {};
}

function timesOf({ cacheMs }: ViewParts, at: EpochMs) {
  return { time: secondsOf(at), expires: secondsOf(at + cacheMs()) };
}

function messageText(message: Message): string {
  return JSON.stringify(message);
}

function textIn(payload: Json, name: string): string | undefined {
  const value = payload[name];
  return typeof value === "string" && value.trim() !== "" ? value : undefined;
}

function linesOf(payload: Json): string {
  return Object.entries(payload)
    .slice(0, MAX_LINES)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join("\n");
}

/** At most the length of a message, between characters. */
function cut(text: string): string {
  const bytes = Buffer.from(text);
  return bytes.length <= MAX_MESSAGE_BYTES
    ? text
    : bytes
        .subarray(0, MAX_MESSAGE_BYTES)
        .toString()
        .replace(/\ufffd+$/, "");
}
