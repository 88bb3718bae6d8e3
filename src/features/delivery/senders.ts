import { isWorkerChannel, type WorkerChannel } from "../../core/worker-channels.ts";
import type { OutsideChannel } from "../../store/schema.ts";
import { deliveryQueue, type QueueName } from "../jobs/index.ts";
import type { Sender } from "./sender.ts";

/** What can go out at all: the recipient's own row is the channel in_app, and no sender's. */
export type AnyChannel = OutsideChannel | "in_app";

/** Every server may be asked for these, for rules that name no channel use them; where one is not configured it simply leads nowhere. */
const ALWAYS_ACCEPTED: ReadonlySet<string> = new Set(["in_app", "pusher", "fcm", "apns"]);

/** The channels that lead out of the program, by name. All are added before the server listens. */
export class Senders {
  readonly #byChannel = new Map<OutsideChannel, Sender>();
  /** By the JSON text of the channels: there are as many as rules think of. */
  readonly #leads = new Map<string, boolean>();
  readonly #workers: ReadonlySet<OutsideChannel>;

  /** @param workers channels by which workers elsewhere send, and this process does not (`delivery.workers`) */
  constructor(workers: readonly WorkerChannel[] = []) {
    this.#workers = new Set(workers);
  }

  /** @throws TypeError when the channel has a sender already. */
  add(sender: Sender): void {
    if (this.#byChannel.has(sender.channel)) throw new TypeError(`the channel ${sender.channel} has a sender already`);
    this.#byChannel.set(sender.channel, sender);
    this.#leads.clear();
  }

  /** The sender of a channel that can be used: by this server, or by workers elsewhere, who have what it needs. */
  get(channel: OutsideChannel): Sender | undefined {
    const sender = this.#byChannel.get(channel);
    return sender && this.#canUse(sender) ? sender : undefined;
  }

  /** The sender of a channel, whether or not it can be used. */
  of(channel: OutsideChannel): Sender | undefined {
    return this.#byChannel.get(channel);
  }

  /** Whether workers elsewhere make the calls of the channel. */
  isForWorkers(channel: OutsideChannel): channel is WorkerChannel {
    return this.#workers.has(channel);
  }

  /** Where attempts by the channel stand. */
  queueOf(channel: OutsideChannel): QueueName {
    return this.isForWorkers(channel) && isWorkerChannel(channel) ? `workers:${channel}` : deliveryQueue(channel);
  }

  get all(): readonly Sender[] {
    return [...this.#byChannel.values()];
  }

  /** Those of channels that can be used. */
  get configured(): readonly Sender[] {
    return this.all.filter((sender) => this.#canUse(sender));
  }

  /** Whether a rule or a request may name the channel. */
  accepts(channel: AnyChannel): boolean {
    return ALWAYS_ACCEPTED.has(channel) || (channel !== "in_app" && this.get(channel) !== undefined);
  }

  /** Whether a notification with these channels can leave the program. @param channels a JSON list, as it is stored */
  leadOut(channels: string | null): boolean {
    if (channels === null) return false;
    let leads = this.#leads.get(channels);
    if (leads === undefined) {
      leads = this.among(channels).length > 0;
      if (this.#leads.size < MAX_REMEMBERED) this.#leads.set(channels, leads);
    }
    return leads;
  }

  /** The usable senders of a notification's channels. @param channels a JSON list, as it is stored */
  among(channels: string | null): readonly Sender[] {
    if (channels === null) return [];
    const named = new Set(JSON.parse(channels) as AnyChannel[]);
    return this.configured.filter(({ channel }) => named.has(channel));
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map(async (sender) => sender.close?.()));
  }

  #canUse({ channel, isConfigured }: Sender): boolean {
    return isConfigured || this.isForWorkers(channel);
  }
}

/** Lists of six names have few orders that anybody uses. */
const MAX_REMEMBERED = 1000;
