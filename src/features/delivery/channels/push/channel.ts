import type { Clock } from "../../../../core/clock.ts";
import type { ReadDb, Trx } from "../../../../store/database.ts";
import { RetryLater } from "../../../jobs/index.ts";
import {
  type Accepted,
  type Answer,
  type Attempt,
  type Channel,
  type ChannelCalls,
  type NotificationFacts,
  ProviderDown,
  type Target,
  TargetGone,
} from "../../channel.ts";
import { type PushContext, PushDevices } from "./devices.ts";
import { type PushMessage, pushMessageOf } from "./message.ts";

/** Verdicts that wait for the transaction that disables their device. */
const MAX_VERDICTS = 1000;

/**
 * Push to the devices of one provider. A token that the provider calls bad disables its device,
 * unless it was registered again since; but where most of the last tokens are called bad, the
 * provider is what is wrong, and devices that were disabled meanwhile are back.
 */
export class PushChannel implements Channel<PushMessage> {
  readonly name: "fcm" | "apns";
  readonly isConfigured: boolean;
  readonly #calls: ChannelCalls<PushMessage>;
  readonly #devices: PushDevices;
  readonly #clock: Clock;
  readonly #health = new TokenHealth();
  /**
   * Until when a device must have been registered for the verdict about its token to hold, epoch ms
   * by device.
   */
  readonly #verdicts = new Map<string, number>();
  /** Disabled by answers that are still watched. */
  readonly #disabled = new Set<string>();

  constructor(name: "fcm" | "apns", calls: ChannelCalls<PushMessage>, context: PushContext) {
    this.name = name;
    this.isConfigured = calls.isConfigured;
    this.#calls = calls;
    this.#devices = new PushDevices(name, context);
    this.#clock = context.clock;
  }

  targets(userIds: readonly string[], _notification: NotificationFacts, db: ReadDb | Trx): Promise<readonly Target[]> {
    return this.#devices.ofUsers(userIds, db);
  }

  async prepare(attempt: Attempt): Promise<PushMessage> {
    const device = await this.#devices.open(attempt.delivery.target);
    if (!device) throw new TargetGone("the device is gone, or has another token now");
    return pushMessageOf(this.name, attempt, device.token, this.#clock.now());
  }

  call(message: PushMessage, signal: AbortSignal): Promise<Accepted> {
    return this.#calls.call(message, signal);
  }

  async interpret(attempt: Attempt, answer: Answer): Promise<Answer> {
    if ("accepted" in answer) {
      await this.#reached(attempt.delivery.target);
      return answer;
    }
    const { failure } = answer;
    return failure instanceof TargetGone ? { failure: await this.#badToken(attempt, failure) } : answer;
  }

  async #reached(id: string): Promise<void> {
    this.#health.note(id, false);
    const device = await this.#devices.find(id);
    if (device) this.#devices.noteUse(id, device.lastUsedAt);
  }

  /**
   * @returns what a bad token means: that the device is gone, that it has another one now, or that
   * the provider is not to be believed
   */
  async #badToken({ delivery }: Attempt, error: TargetGone): Promise<Error> {
    const id = delivery.target;
    const { message, since } = error;
    const device = await this.#devices.find(id);
    if (device && since !== undefined && device.registeredAt > since)
      // An answer about this message alone: it says nothing against the provider.
      return new RetryLater(`${message}, but the device was registered again since`, 0);
    this.#health.note(id, true);
    if (this.#health.isDoubtful) {
      await this.#takeBack();
      return new ProviderDown(
        `${message}, and so were most of the last tokens: no device is disabled; compare the settings ${this.name}.* with the app's`,
      );
    }
    // The delivery was touched last when the attempt began.
    this.#judge(id, since ?? delivery.updatedAt);
    return error;
  }

  async disable(target: string, trx: Trx): Promise<void> {
    if (this.#health.isDoubtful) return;
    const registeredUntil = this.#verdicts.get(target);
    this.#verdicts.delete(target);
    const watched = new Set(this.#health.bad);
    for (const id of this.#disabled) if (!watched.has(id)) this.#disabled.delete(id);
    if (watched.has(target)) this.#disabled.add(target);
    await this.#devices.disable(target, registeredUntil, trx);
  }

  async close(): Promise<void> {
    await this.#calls.close?.();
    await this.#devices.close();
  }

  #judge(id: string, registeredUntil: number): void {
    for (const oldest of this.#verdicts.keys()) {
      if (this.#verdicts.size < MAX_VERDICTS) break;
      this.#verdicts.delete(oldest);
    }
    this.#verdicts.set(id, registeredUntil);
  }

  /** Enables devices again that were disabled before the answers about them came under doubt. */
  async #takeBack(): Promise<void> {
    const ids = [...this.#disabled];
    if (ids.length === 0) return;
    await this.#devices.enable(ids);
    for (const id of ids) this.#disabled.delete(id);
  }
}

/** The last tokens of a provider that are watched. */
const WATCHED = 50;

/**
 * How the last 50 tokens of a provider did, the newest answer about each. Where more than half of
 * them are bad, it is not the devices: the key belongs to another project, or the app to the other
 * environment.
 */
class TokenHealth {
  /** By device, oldest answer first. */
  readonly #isBad = new Map<string, boolean>();

  note(deviceId: string, isBad: boolean): void {
    this.#isBad.delete(deviceId);
    this.#isBad.set(deviceId, isBad);
    for (const oldest of this.#isBad.keys()) {
      if (this.#isBad.size <= WATCHED) break;
      this.#isBad.delete(oldest);
    }
  }

  get isDoubtful(): boolean {
    return this.bad.length > WATCHED / 2;
  }

  get bad(): readonly string[] {
    return [...this.#isBad].filter(([, isBad]) => isBad).map(([deviceId]) => deviceId);
  }
}
