import type { EpochMs } from "../core/clock.ts";
import { isUuid } from "../core/ids.ts";
import type { Level } from "../core/vocabulary.ts";

/** The name of a stream and what it says (docs/realtime.md). */
export type StreamRef =
  | { readonly kind: "user"; readonly userId: string }
  | { readonly kind: "project"; readonly projectId: string }
  | { readonly kind: "tasks"; readonly userId: string }
  | { readonly kind: "messages"; readonly userId: string }
  /** A named channel of a project; null: of the default project. */
  | { readonly kind: "channel"; readonly projectId: string | null; readonly name: string }
  /**
   * What was triggered on a channel of the embedded Pusher server. No client of another protocol
   * can name it.
   */
  | { readonly kind: "pusher"; readonly channel: string }
  /** What operators want to know at once. */
  | { readonly kind: "system" };

/** Streams whose entries are rows of `stream_log`, for anybody to append to. */
export type LoggedStream = Exclude<StreamRef, { kind: "project" }>;

/** Streams that share a counter: an offset says where an entry stands among all of them. */
export type StreamCounter = "events" | "log";

export function counterOf(stream: StreamRef): StreamCounter {
  return stream.kind === "project" ? "events" : "log";
}

/**
 * What stands in `stream_gaps` for all streams of a counter, as `*` does for all there are. No
 * stream has such a name.
 */
export function everyStreamOf(counter: StreamCounter): string {
  return `${counter}:*`;
}

/** One entry as every protocol sends it. `data` is JSON text, made once however many listen. */
export interface StreamEntry {
  readonly offset: number;
  readonly type: string;
  readonly data: string;
  readonly at: EpochMs;
  readonly correlationId: string;
  /** A notification that its recipient is known to have got; absent: not known. */
  readonly isDelivered?: boolean;
  /** The connection that it came from, and is not sent to while it goes out live. */
  readonly except?: string;
  /** The member of a presence channel who sent it. */
  readonly sentBy?: string | number;
}

/**
 * Nothing of the stream can be read again in (from, to]; it goes on behind `to`. A `to` below
 * `from` leads back to the oldest kept.
 */
export interface StreamGap {
  readonly from: number;
  readonly to: number;
}

/** A part of a stream's history; `isEnd` when nothing follows it up to where was asked. */
export interface StreamPage {
  readonly entries: StreamEntry[];
  readonly isEnd: boolean;
}

/** The stream's history, which is its table. */
export interface StreamHistory {
  /** Entries with `after < offset <= upTo`, ascending; a page is bounded in rows and bytes. */
  read(stream: StreamRef, after: number, upTo: number): StreamPage;
  /** The newest entry up to an offset; of streams that are read from `stream_log` alone. */
  last(stream: LoggedStream, upTo: number): StreamEntry | undefined;
  /** Ranges that were removed or jumped over and reach into (after, upTo], ascending. */
  gaps(stream: StreamRef, after: number, upTo: number): StreamGap[];
}

const SYSTEM = "system";

export function streamName(stream: StreamRef): string {
  switch (stream.kind) {
    case "project":
      return `project:${stream.projectId}`;
    case "channel":
      return stream.projectId === null ? `channel:${stream.name}` : `channel:${stream.projectId}/${stream.name}`;
    case "pusher":
      return `pusher:${stream.channel}`;
    case "system":
      return SYSTEM;
    default:
      return `${stream.kind}:${stream.userId}`;
  }
}

/**
 * What a channel may be called: letters, digits and `_ - = @ , . ;`, as Pusher has it, and colons;
 * up to 128 characters.
 */
export const CHANNEL_NAME = /^[\w\-=@,.;:]{1,128}$/;

export const MAX_STREAM_LENGTH = 160;

/**
 * @returns undefined for a text that names no stream of this program. `user:me` and its like are
 * resolved by {@link resolveStreamName}.
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
    case "tasks":
    case "messages":
      return { kind, userId: id };
    case "project":
      return { kind, projectId: id };
    default:
      return undefined;
  }
}

/** What the meaning of a name depends on. */
interface NameContext {
  /** Of the caller; null for a caller that is no user. */
  readonly userId: string | null;
  readonly projects: ProjectNames;
}

/** The projects by their names. */
export interface ProjectNames {
  /** The project of channels that name none. */
  readonly defaultId: string;
  /** @returns the id of the project with this id or slug */
  find(ref: string): string | undefined;
}

/**
 * {@link parseStreamName}, with `me` for the caller, slugs for projects, and one name for channels
 * of the default project.
 */
export function resolveStreamName(name: string, { userId, projects }: NameContext): StreamRef | undefined {
  const isOwn = userId !== null && /^(user|tasks|messages):me$/.test(name);
  const stream = parseStreamName(isOwn ? name.replace(/me$/, userId) : withProjectId(name, projects));
  return stream?.kind === "channel" && stream.projectId === projects.defaultId
    ? { ...stream, projectId: null }
    : stream;
}

/** `project:shop` and `channel:shop/orders` with the id in place of the slug. */
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

/** Which entries of a stream a subscriber wants. */
export function eventFilter({ type, level }: EventFilter): (entry: StreamEntry) => boolean {
  const isWanted = type === undefined ? () => true : typeMatcher(type);
  const levels = level === undefined ? null : new Set<string>(level);
  return (entry) => isWanted(entry.type) && (levels === null || levels.has(levelOf(entry)));
}

/** Whether an event's type is the pattern, or begins with what stands before its `*`. */
export function matchesType(pattern: string, type: string): boolean {
  return typeMatcher(pattern)(type);
}

function typeMatcher(pattern: string): (type: string) => boolean {
  if (!pattern.endsWith("*")) return (type) => type === pattern;
  const prefix = pattern.slice(0, -1);
  return (type) => type.startsWith(prefix);
}

// An event's level stands before anything that a producer may write freely, so no payload can
// pretend another.
const LEVEL = /"level":"([a-z]+)"/;

function levelOf(entry: StreamEntry): string {
  return LEVEL.exec(entry.data)?.[1] ?? "";
}
