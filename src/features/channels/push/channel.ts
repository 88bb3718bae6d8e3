import type { Clock } from "../../../core/time/clock.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import {
  type Accepted,
  type Answer,
  type Attempt,
  type ChannelCalls,
  type DeliveryChannel,
  type NotificationFacts,
  ProviderDown,
  type Target,
  TargetGone,
} from "../../delivery/channel.ts";
import { RetryLater } from "../../time/jobs/index.ts";
import { type PushContext, PushDevices } from "./devices.ts";
import { type PushMessage, pushMessageOf } from "./message.ts";

/** Limit of verdicts that wait for the transaction that disables their device. */
const MAX_VERDICTS = 1000;

/**
 * Push to the devices of one provider. A token the provider calls invalid disables its device,
 * unless it was registered again since. If most recent tokens are called invalid, the provider is
 * at fault, and the devices it disabled are enabled again.
 */
export class PushChannel implements DeliveryChannel<PushMessage> {
  readonly name: "fcm" | "apns";
  readonly isConfigured: boolean;
  readonly #calls: ChannelCalls<PushMessage>;
  readonly #devices: PushDevices;
  readonly #clock: Clock;
  readonly #health = new TokenHealth();
  /** Latest registration for which a verdict about the token holds, epoch ms by device. */
  readonly #verdicts = new Map<string, number>();
  /** Devices disabled by answers that are still monitored. */
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

  /** @returns why a token is invalid: device gone, token replaced, or provider not trusted */
  async #badToken({ delivery }: Attempt, error: TargetGone): Promise<Error> {
    const id = delivery.target;
    const { message, since } = error;
    const device = await this.#devices.find(id);
    if (device && since !== undefined && device.registeredAt > since)
      // Concerns this message only, not the provider.
      return new RetryLater(`${message}, but the device was registered again since`, 0);
    this.#health.note(id, true);
    if (this.#health.isDoubtful) {
      await this.#enableDisabled();
      return new ProviderDown(
        `${message}, like most recent tokens: no device is disabled; ` +
          `compare the settings ${this.name}.* with the app's`,
      );
    }
    // The attempt's start was the last change of the delivery.
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

  /** Enables the devices that were disabled before the provider's answers came under suspicion. */
  async #enableDisabled(): Promise<void> {
    const ids = [...this.#disabled];
    if (ids.length === 0) return;
    await this.#devices.enable(ids);
    for (const id of ids) this.#disabled.delete(id);
  }
}

/** Number of recent tokens monitored per provider. */
const WATCHED = 50;

/**
 * The latest answer for each of a provider's last 50 tokens. If more than half are invalid, the
 * devices are not the cause: the key belongs to another project, or the app to the other
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
