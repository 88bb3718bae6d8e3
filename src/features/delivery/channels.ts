import { deliveryQueue, type QueueName } from "../../core/limits/queues.ts";
import { isWorkerChannel, type WorkerChannel } from "../../core/text/vocabulary.ts";
import type { OutsideChannel } from "../../store/schema.ts";
import type { DeliveryChannel } from "./channel.ts";

/** All channels of a notification; `in_app` is the recipient's own row. */
export type AnyChannel = OutsideChannel | "in_app";

/** Accepted on every server: rules without channels use them, unconfigured ones have no effect. */
const ALWAYS_ACCEPTED: ReadonlySet<string> = new Set(["in_app", "pusher", "fcm", "apns", "webpush", "service"]);

/** The external channels by name. All are added before the server listens. */
export class Channels {
  readonly #byName = new Map<OutsideChannel, DeliveryChannel>();
  /** By the JSON text of the channels: rules use few combinations. */
  readonly #external = new Map<string, boolean>();
  /** Those that this server or remote workers can use; null: to be found again. */
  #usable: ReadonlyMap<OutsideChannel, DeliveryChannel> | null = null;
  readonly #workers: ReadonlySet<OutsideChannel>;

  /** @param workers channels of remote workers (`delivery.workers`), which this process skips */
  constructor(workers: readonly WorkerChannel[] = []) {
    this.#workers = new Set(workers);
  }

  /** @throws TypeError for a duplicate name. */
  add(channel: DeliveryChannel): void {
    if (this.#byName.has(channel.name)) throw new TypeError(`the channel ${channel.name} was added already`);
    this.#byName.set(channel.name, channel);
    this.reload();
  }

  /** In the order in which they were added. */
  get names(): readonly OutsideChannel[] {
    return [...this.#byName.keys()];
  }

  /** A channel that can be used, by this server or by remote workers. */
  get(name: OutsideChannel): DeliveryChannel | undefined {
    return this.#findUsable().get(name);
  }

  /** Whether one that can be used reaches people outside of the app, whatever they have set up. */
  get reachPeople(): boolean {
    for (const name of this.#findUsable().keys()) if (name !== "webhook" && name !== "pusher") return true;
    return false;
  }

  of(name: OutsideChannel): DeliveryChannel | undefined {
    return this.#byName.get(name);
  }

  /** Whether remote workers make the calls of the channel. */
  isForWorkers(channel: OutsideChannel): channel is WorkerChannel {
    return this.#workers.has(channel);
  }

  queueOf(channel: OutsideChannel): QueueName {
    return this.isForWorkers(channel) && isWorkerChannel(channel) ? `workers:${channel}` : deliveryQueue(channel);
  }

  /** Whether a rule or a request may name the channel. */
  accepts(name: AnyChannel): boolean {
    return ALWAYS_ACCEPTED.has(name) || (name !== "in_app" && this.get(name) !== undefined);
  }

  /** Whether these channels may need external delivery. @param names a JSON list, as stored */
  hasExternalChannel(names: string | null): boolean {
    if (names === null) return false;
    let isExternal = this.#external.get(names);
    if (isExternal === undefined) {
      isExternal = this.forChannels(names).length > 0;
      if (this.#external.size < MAX_REMEMBERED) this.#external.set(names, isExternal);
    }
    return isExternal;
  }

  /** The usable channels of a notification. @param names a JSON list, as stored */
  forChannels(names: string | null): readonly DeliveryChannel[] {
    if (names === null) return [];
    const named = new Set(JSON.parse(names) as AnyChannel[]);
    return [...this.#findUsable().values()].filter(({ name }) => named.has(name));
  }

  /** A channel may now be usable, or no longer: settings have changed, or a browser subscribed. */
  reload(): void {
    this.#external.clear();
    this.#usable = null;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#byName.values()].map(async (channel) => channel.close?.()));
  }

  #findUsable(): ReadonlyMap<OutsideChannel, DeliveryChannel> {
    this.#usable ??= new Map(
      [...this.#byName].filter(([name, { isConfigured }]) => isConfigured || this.isForWorkers(name)),
    );
    return this.#usable;
  }
}

/** Only few orders of the eight names are in use. */
const MAX_REMEMBERED = 1000;
