import type { Principal } from "../../../../core/caller.ts";
import type { EpochMs } from "../../../../core/time/clock.ts";
import type { Connection } from "../../../../live/connections.ts";
import { matchesType, type StreamEntry, type StreamRef } from "../../../../live/stream.ts";
import { type From, type Sink, Subscription } from "../../../../live/subscription.ts";
import type { Uses } from "../../../../module/feature.ts";
import { withoutLink } from "../../../delivery/index.ts";
import { controlText, isStored, MAX_MESSAGE_BYTES, type Message, secondsOf } from "../message.ts";
import { derivedId, isTrue, type Parameters, priorityOf, tagsOf } from "../parameters.ts";
import type { NtfyAuth, NtfyTopic, Topics, Visitor } from "../topics.ts";

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
  /** Whether nothing leaves the project. */
  isMirror(projectId: string | null): boolean;
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
  /** Its project is a mirror now: a subscriber among others would still receive. */
  isEnded(): boolean;
  /** The text of a message; null: the entry is none. */
  textOf(entry: StreamEntry): string | null;
}

/** @param isPoll a client asks for what is stored: that is no push, so a mirror answers it */
export function viewOf(parts: ViewParts, topic: NtfyTopic, isPoll: boolean): TopicView {
  const isSilent = (projectId: string | null): boolean => !isPoll && parts.isMirror(projectId);
  const isMirror = (): boolean => isSilent(topic.projectId);
  const view = plainViewOf({ ...parts, isMirror: isSilent }, topic);
  const isShared = view.isShared && !isMirror();
  return {
    ...view,
    isShared,
    isEnded: () => isShared && isMirror(),
    textOf: (entry) => (isMirror() ? null : view.textOf(entry)),
  };
}

function plainViewOf(parts: ViewParts, topic: NtfyTopic): Omit<TopicView, "isEnded"> {
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
    projectId: string | null;
    kind: string;
    title: string;
    message: string;
    priority: number;
    data: Json | null;
    me?: { acknowledgedAt: string | null };
  };
  if (parts.isMirror(view.projectId)) return null;
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

export interface SubscriberParts extends Uses<"hub" | "connections" | "clock" | "log"> {
  readonly topics: Topics;
  readonly auth: Pick<NtfyAuth, "isCurrent">;
  /** All that are open. */
  readonly open: Set<Subscriber>;
}

/** The request of a client. */
export interface Request {
  readonly visitor: Visitor;
  readonly address: string;
  /** The list of topics as the client gave it. */
  readonly list: string;
  readonly legs: readonly Leg[];
  readonly filter: ViewFilter;
  readonly isPoll: boolean;
  /** Texts of scheduled messages, sent after the stored ones. */
  readonly scheduled: readonly string[];
}

/** Characters of stored messages of several topics that are held to be sent by time. */
const MAX_HELD = 1_048_576;

interface Held {
  readonly text: string;
  readonly time: number;
  readonly offset: number;
}

/** Members of a topic that decide what its subscribers get. */
const STABLE = ["kind", "projectId", "userId", "patterns"] as const;

/** One topic of a subscription. */
export interface Leg {
  readonly topic: NtfyTopic;
  readonly from: From;
  readonly view: TopicView;
}

/**
 * One subscriber of some topics: each is a subscription to the stream with its entries. A connection
 * ends without a Close frame and without the end of a body: clients take either for a wish that
 * they stay away, or connect again without a pause (docs/ntfy.md).
 */
export abstract class Subscriber implements Connection {
  readonly transport = "ntfy";
  readonly address: string;
  principal: Principal | null;
  protected readonly parts: SubscriberParts;
  protected readonly request: Request;
  readonly #subscriptions: Subscription[] = [];
  #isOpen = true;
  /** Legs that have not caught up for the first time. */
  #behind: number;
  /** Stored messages of several topics, until all topics are read. Null: all read, or one topic. */
  #held: Held[] | null;
  #heldLength = 0;
  /** Entries to send before any further one, as far as the client reads. */
  #waiting: readonly string[] = [];

  constructor(parts: SubscriberParts, request: Request) {
    this.parts = parts;
    this.request = request;
    this.address = request.address;
    this.principal = request.visitor.principal;
    this.#behind = request.legs.length;
    this.#held = request.legs.length > 1 ? [] : null;
  }

  /** Names of the topics. */
  get topics(): readonly string[] {
    return this.request.legs.map(({ topic }) => topic.name);
  }

  /** Sends `open`, then the stored messages, then what comes. */
  start(): void {
    const { connections, clock } = this.parts;
    connections.add(this);
    this.parts.open.add(this);
    for (const name of this.topics) this.parts.topics.used(name, clock.now());
    if (!this.principal) connections.markAnonymous(this);
    const { list, legs, isPoll } = this.request;
    if (!isPoll) this.write(this.controlled(controlText("open", list, clock.now())));
    for (const leg of legs) this.#subscriptions.push(this.#subscriptionOf(leg));
    for (const subscription of this.#subscriptions) if (this.#isOpen) subscription.start();
  }

  tick(now: EpochMs): void {
    if (this.principal ? this.principal.expiresAt <= now : !this.#mayRead()) this.cut();
    else this.ticked();
  }

  /** @param principal null: its credential or account has ended. */
  rightsChanged(principal: Principal | null): void {
    if (principal) this.principal = principal;
    if (!principal || !this.parts.auth.isCurrent(this.request.visitor) || !this.#mayRead()) this.cut();
  }

  restart(): void {
    this.cut();
  }

  /** A topic was made or deleted: another project may have it now. */
  topicsChanged(names: ReadonlySet<string>): void {
    const { topics } = this.parts;
    const differs = ({ topic }: Leg): boolean => {
      if (!names.has(topic.name)) return false;
      const now = topics.of(topic.name, this.principal);
      if (now.isNew && !topic.isNew) return true;
      return STABLE.some((member) => String(now[member]) !== String(topic[member]));
    };
    if (this.request.legs.some(differs)) this.cut();
  }

  /** A right on topics was given or removed, or a project is a mirror now. */
  accessChanged(): void {
    if (!this.#mayRead() || this.request.legs.some(({ view }) => view.isEnded())) this.cut();
  }

  protected get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The connection is gone. */
  protected ended(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const subscription of this.#subscriptions) subscription.end();
    this.parts.connections.delete(this);
    this.parts.open.delete(this);
  }

  /** The client has read what waited for it. */
  protected resume(): void {
    this.#sendWaiting();
    if (this.isReady()) for (const subscription of this.#subscriptions) subscription.drained();
  }

  /** The client does not read: what follows is read from the tables later. */
  protected detach(): void {
    for (const subscription of this.#subscriptions) subscription.detach();
  }

  /** Sends a text as its protocol frames it. @returns false if it was not taken. */
  protected abstract write(text: string): boolean;
  /** How the protocol shows a line that is no message. */
  protected abstract controlled(text: string): string;
  /** How the protocol shows a message. */
  protected abstract framed(text: string): string;
  protected abstract isReady(): boolean;
  protected abstract ticked(): void;
  /** Ends the connection without a word. */
  abstract cut(): void;
  /** All stored messages of a poll are sent. */
  protected abstract finish(): void;
  /** Joins the broadcasts of a stream; undefined if each text is written separately. */
  protected groupOf(_leg: Leg): Sink["group"] {
    return undefined;
  }

  #subscriptionOf(leg: Leg): Subscription {
    const { hub, log } = this.parts;
    const group =
      this.request.filter === null && leg.view.isShared && !this.request.isPoll ? this.groupOf(leg) : undefined;
    let isBehind = true;
    const isHeld = (): boolean => this.#held !== null;
    const sink: Sink = {
      ...{ connection: this, reader: this },
      isReady: () => this.#isOpen && this.#waiting.length === 0 && this.isReady(),
      entry: (entry) => this.#entry(leg, entry),
      gap: () => undefined,
      caughtUp: () => {
        if (isBehind) this.#caughtUp();
        isBehind = false;
      },
      failed: (error) => {
        log.error({ topic: leg.topic.name, err: error }, "reading the messages of a topic failed");
        this.cut();
      },
      get group() {
        return isHeld() ? undefined : group;
      },
    };
    return new Subscription(hub, leg.view.stream, leg.from, sink);
  }

  #entry({ view }: Leg, entry: StreamEntry): boolean {
    if (!this.#isOpen || !this.isReady()) return false;
    if (this.#waiting.length > 0) return false;
    const text = view.textOf(entry);
    if (text === null || !this.#isWanted(text)) return true;
    return this.#held === null ? this.write(this.framed(text)) : this.#hold(this.#held, text, entry.offset);
  }

  /** More than that is sent in the order of the topics. */
  #hold(held: Held[], text: string, offset: number): true {
    held.push({ text, time: (JSON.parse(text) as Message).time, offset });
    this.#heldLength += text.length;
    if (this.#heldLength > MAX_HELD) this.#release();
    return true;
  }

  /** Sends what was held: by time, and within a second by offset. @param then sent after that */
  #release(then: readonly string[] = []): void {
    const held = this.#held ?? [];
    // Broadcasts pass what waits: one of several topics joins them only from here on.
    if (this.#held) for (const subscription of this.#subscriptions) subscription.detach();
    this.#held = null;
    const sorted = held.sort((a, b) => a.time - b.time || a.offset - b.offset);
    this.#waiting = [...this.#waiting, ...sorted.map(({ text }) => text), ...then];
    this.#sendWaiting();
    // Not at once: this may be within a page, whose rest would be read twice.
    queueMicrotask(() => this.resume());
  }

  #sendWaiting(): void {
    let sent = 0;
    for (const text of this.#waiting) {
      if (!this.#isOpen || !this.isReady() || !this.write(this.framed(text))) break;
      sent += 1;
    }
    if (sent > 0) this.#waiting = this.#waiting.slice(sent);
    if (this.#waiting.length === 0 && this.#behind === 0 && this.request.isPoll) this.finish();
  }

  #isWanted(text: string): boolean {
    const { filter } = this.request;
    return filter === null || filter(JSON.parse(text) as Message);
  }

  #caughtUp(): void {
    if (--this.#behind > 0) return;
    this.#release(this.request.scheduled.filter((text) => this.#isWanted(text)));
  }

  #mayRead(): boolean {
    const { topics } = this.parts;
    return this.request.legs.every(({ topic }) =>
      topics.mayRead(topics.of(topic.name, this.principal), this.principal),
    );
  }
}
