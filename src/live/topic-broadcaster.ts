import type { TemplatedApp } from "uWebSockets.js";
import { addTo, type Broadcaster, type Hub, type MultiMap, removeFrom, valuesOf } from "./hub.ts";
import { type StreamEntry, type StreamRef, streamName } from "./stream.ts";

/** Bytes buffered for one connection before it reads from the table instead. */
export const MAX_BUFFERED_BYTES = 65_536;
/** Smaller messages are not worth compressing. */
const COMPRESS_FROM_BYTES = 512;

/** A socket that follows streams through broadcasts. */
export interface Follower {
  readonly id: string | null;
  /** Sends to all other sockets that have subscribed to the topic. */
  publish(topic: string, bytes: Uint8Array, isCompressed: boolean): void;
  /** Leaves the broadcasts of all streams if its buffer is full. */
  detachIfSlow(): void;
}

/**
 * Sends an entry to all sockets of a protocol that follow a stream with one publish of uWebSockets.
 * Above `maxBackpressure` uWebSockets drops messages, several per call of `dropped`, and
 * unsubscribing inside that call corrupts its memory. To prevent that, slow sockets leave the
 * broadcasts whenever as many bytes have been broadcast as a socket may have buffered.
 */
export class TopicBroadcaster implements Broadcaster {
  readonly #app: Pick<TemplatedApp, "publish">;
  readonly #hub: Hub;
  readonly #prefix: string;
  readonly #entryText: (stream: string, entry: StreamEntry) => string;
  readonly #followers: MultiMap<Follower> = new Map();
  /** Streams broadcast since followers were last checked for slowness, and their bytes. */
  readonly #unchecked = new Set<string>();
  #uncheckedBytes = 0;

  /** @param prefix separates the topics of this protocol from those of others */
  constructor(
    app: Pick<TemplatedApp, "publish">,
    hub: Hub,
    prefix: string,
    entryText: (stream: string, entry: StreamEntry) => string,
  ) {
    this.#app = app;
    this.#hub = hub;
    this.#prefix = prefix;
    this.#entryText = entryText;
  }

  /** The uWebSockets topic of a stream. */
  topic(stream: string): string {
    return `${this.#prefix}/${stream}`;
  }

  /** The follower has subscribed to the stream's topic. */
  joined(stream: StreamRef, follower: Follower): void {
    const name = streamName(stream);
    const isFirst = !this.#followers.has(name);
    addTo(this.#followers, name, follower);
    if (isFirst) this.#hub.follow(stream, this);
  }

  left(stream: StreamRef, follower: Follower): void {
    const name = streamName(stream);
    removeFrom(this.#followers, name, follower);
    if (!this.#followers.has(name)) this.#hub.unfollow(stream, this);
  }

  broadcast(stream: string, entry: StreamEntry): void {
    if (this.#uncheckedBytes >= MAX_BUFFERED_BYTES) this.#detachSlowFollowers();
    const text = Buffer.from(this.#entryText(stream, entry));
    this.#unchecked.add(stream);
    this.#uncheckedBytes += text.length;
    const isCompressed = text.length >= COMPRESS_FROM_BYTES;
    const origin = entry.except === undefined ? undefined : this.#followerOf(stream, entry.except);
    if (origin) origin.publish(this.topic(stream), text, isCompressed);
    else this.#app.publish(this.topic(stream), text, false, isCompressed);
  }

  #followerOf(stream: string, id: string): Follower | undefined {
    for (const follower of valuesOf(this.#followers, stream)) if (follower.id === id) return follower;
    return undefined;
  }

  #detachSlowFollowers(): void {
    for (const stream of this.#unchecked) {
      for (const follower of valuesOf(this.#followers, stream)) follower.detachIfSlow();
    }
    this.#unchecked.clear();
    this.#uncheckedBytes = 0;
  }
}

export function isWorthCompressing(text: string): boolean {
  if (text.length >= COMPRESS_FROM_BYTES) return true;
  // UTF-8 needs at most three bytes for a UTF-16 unit.
  return text.length * 3 >= COMPRESS_FROM_BYTES && Buffer.byteLength(text) >= COMPRESS_FROM_BYTES;
}
