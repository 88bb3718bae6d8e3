import { isUuid } from "../core/ids.ts";
import type { Level } from "../core/text/vocabulary.ts";
import type { EpochMs } from "../core/time/clock.ts";

/** A stream (docs/realtime.md). */
export type StreamRef =
  | { readonly kind: "user"; readonly userId: string }
  | { readonly kind: "project"; readonly projectId: string }
  | { readonly kind: "tasks"; readonly userId: string }
  | { readonly kind: "messages"; readonly userId: string }
  /** A named channel of a project; null: of the default project. */
  | { readonly kind: "channel"; readonly projectId: string | null; readonly name: string }
  /**
   * Events triggered on a channel of the embedded Pusher server. Clients of other protocols cannot
   * follow it.
   */
  | { readonly kind: "pusher"; readonly channel: string }
  /** Messages of a topic of ntfy, each as its clients receive it. */
  | { readonly kind: "ntfy"; readonly topic: string }
  /** Changes of the server's state, for operators. */
  | { readonly kind: "system" };

/** Streams whose entries are rows of `stream_log`. */
export type LoggedStream = Exclude<StreamRef, { kind: "project" }>;

/** Streams that share a counter, which gives their entries one order. */
export type StreamCounter = "events" | "log";

export function counterOf(stream: StreamRef): StreamCounter {
  return stream.kind === "project" ? "events" : "log";
}

/**
 * The name in `stream_gaps` that covers all streams of a counter; `*` covers every stream. No
 * stream has such a name.
 */
export function everyStreamOf(counter: StreamCounter): string {
  return `${counter}:*`;
}

/** One entry, for every protocol. `data` is JSON text, serialized once for all listeners. */
export interface StreamEntry {
  readonly offset: number;
  readonly type: string;
  readonly data: string;
  readonly at: EpochMs;
  readonly correlationId: string;
  /** The notification is known to be delivered; absent: unknown. */
  readonly isDelivered?: boolean;
  /** The connection that sent it, which does not receive it live. */
  readonly except?: string;
  /** The member of a presence channel who sent it. */
  readonly sentBy?: string | number;
}

/**
 * Entries in (from, to] can no longer be read; the stream continues after `to`. A `to` below `from`
 * resets the client to the oldest entry that is kept.
 */
export interface StreamGap {
  readonly from: number;
  readonly to: number;
}

/** A part of a stream's history; `isEnd`: there is nothing more up to the requested offset. */
export interface StreamPage {
  readonly entries: StreamEntry[];
  readonly isEnd: boolean;
}

/** The history of streams, stored in their tables. */
export interface StreamHistory {
  /** Entries with `after < offset <= upTo`, ascending; a page is bounded in rows and bytes. */
  read(stream: StreamRef, after: number, upTo: number): StreamPage;
  /** The newest entry up to an offset. */
  last(stream: LoggedStream, upTo: number): StreamEntry | undefined;
  /** Removed or skipped ranges that overlap (after, upTo], ascending. */
  gaps(stream: StreamRef, after: number, upTo: number): StreamGap[];
}

const SYSTEM = "system";

export function streamName(stream: StreamRef): string {
  switch (stream.kind) {
    case "project":
      return `project:${stream.projectId}`;
    // With a constant, which the names of all users share.
    case "user":
      return `user:${stream.userId}`;
    case "channel":
      return stream.projectId === null ? `channel:${stream.name}` : `channel:${stream.projectId}/${stream.name}`;
    case "pusher":
      return `pusher:${stream.channel}`;
    case "ntfy":
      return `ntfy:${stream.topic}`;
    case "system":
      return SYSTEM;
    default:
      return `${stream.kind}:${stream.userId}`;
  }
}

/**
 * Channel names: letters, digits and `_ - = @ , . ;` as in Pusher, and colons; up to 128
 * characters.
 */
export const CHANNEL_NAME = /^[\w\-=@,.;:]{1,128}$/;

export const MAX_STREAM_LENGTH = 160;

/**
 * @returns undefined for an unknown name. {@link resolveStreamName} resolves `user:me` and similar
 * names.
 */
export function parseStreamName(name: string): StreamRef | undefined {
  if (name === SYSTEM) return { kind: "system" };
  const colon = name.indexOf(":");
  const kind = name.slice(0, Math.max(0, colon));
  const id = name.slice(colon + 1);
  if (kind === "channel") return parseChannel(id);
  if (!isUuid(id)) return undefined;
  switch (kind) {
    case "user":
      return { kind: "user", userId: id };
    case "tasks":
    case "messages":
      return { kind, userId: id };
    case "project":
      return { kind, projectId: id };
    default:
      return undefined;
  }
}

/** Resolves relative names. */
interface NameContext {
  /** Id of the caller; null for an API key. */
  readonly userId: string | null;
  readonly projects: ProjectNames;
}

export interface ProjectNames {
  /** The project of channels without one. */
  readonly defaultId: string;
  /** @returns the id of the project with this id or slug */
  find(ref: string): string | undefined;
}

/**
 * {@link parseStreamName}, with `me` for the caller, slugs for projects, and without the default
 * project in channels.
 */
export function resolveStreamName(name: string, { userId, projects }: NameContext): StreamRef | undefined {
  const isOwn = userId !== null && /^(user|tasks|messages):me$/.test(name);
  const stream = parseStreamName(isOwn ? name.replace(/me$/, userId) : withProjectId(name, projects));
  // The caller's own text: that of the message would stay in memory with the stream.
  if (stream && "userId" in stream && stream.userId === userId) return { kind: stream.kind, userId };
  return stream?.kind === "channel" && stream.projectId === projects.defaultId
    ? { ...stream, projectId: null }
    : stream;
}

/** Replaces the slug in `project:shop` and `channel:shop/orders` by the id. */
function withProjectId(name: string, projects: ProjectNames): string {
  const [, kind = "", ref = "", rest = ""] = /^(project:|channel:)([^/]+)(\/.*)?$/s.exec(name) ?? [];
  const namesProject = kind === "project:" ? rest === "" : rest !== "";
  return namesProject ? `${kind}${projects.find(ref) ?? ref}${rest}` : name;
}

function parseChannel(text: string): StreamRef | undefined {
  const slash = text.indexOf("/");
  const projectId = slash < 0 ? null : text.slice(0, slash);
  const name = text.slice(slash + 1);
  if (!CHANNEL_NAME.test(name) || (projectId !== null && !isUuid(projectId))) return undefined;
  const stream = { kind: "channel", projectId, name } as const;
  return streamName(stream).length > MAX_STREAM_LENGTH ? undefined : stream;
}

interface EventFilter {
  /** Exact, or a prefix followed by `*`: `order.*`. */
  readonly type?: string | undefined;
  /** Only entries that are events have a level. */
  readonly level?: readonly Level[] | undefined;
}

/** Predicate for the entries that a subscriber wants. */
export function eventFilter({ type, level }: EventFilter): (entry: StreamEntry) => boolean {
  const isWanted = type === undefined ? () => true : typeMatcher(type);
  const levels = level === undefined ? null : new Set<string>(level);
  return (entry) => isWanted(entry.type) && (levels === null || levels.has(levelOf(entry)));
}

/** Whether an event's type equals the pattern or starts with its prefix before `*`. */
export function matchesType(pattern: string, type: string): boolean {
  return typeMatcher(pattern)(type);
}

function typeMatcher(pattern: string): (type: string) => boolean {
  if (!pattern.endsWith("*")) return (type) => type === pattern;
  const prefix = pattern.slice(0, -1);
  return (type) => type.startsWith(prefix);
}

// In the JSON of an event, `level` precedes everything that a producer can write freely, so a
// payload cannot fake it.
const LEVEL = /"level":"([a-z]+)"/;

function levelOf(entry: StreamEntry): string {
  return LEVEL.exec(entry.data)?.[1] ?? "";
}
