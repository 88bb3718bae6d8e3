import type { Principal } from "../../../../core/principal.ts";
import type { EpochMs } from "../../../../core/time/clock.ts";
import type { Connection } from "../../../../live/connections.ts";
import type { StreamEntry } from "../../../../live/stream.ts";
import { type From, type Sink, Subscription } from "../../../../live/subscription.ts";
import type { Uses } from "../../../../module/feature.ts";
import type { NtfyAuth, Visitor } from "../auth.ts";
import { controlText, type Message } from "../message.ts";
import type { NtfyTopic, Topics } from "../topics.ts";
import type { TopicView, ViewFilter } from "./views.ts";

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

  /** A right on topics was given or removed. */
  accessChanged(): void {
    if (!this.#mayRead()) this.cut();
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
