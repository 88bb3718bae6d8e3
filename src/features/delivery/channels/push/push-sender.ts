import type { Clock } from "../../../../core/clock.ts";
import type { ReadDb, Trx } from "../../../../store/database.ts";
import { RetryLater } from "../../../jobs/index.ts";
import { type AttemptFacts, PreparedSender } from "../../prepared-sender.ts";
import { DeadTarget, type NotificationFacts, ProviderDown, type Target } from "../../sender.ts";
import { PushCaller } from "./push-caller.ts";
import type { PushClient, PushMessage } from "./push-client.ts";
import { pushMessageOf } from "./push-message.ts";
import { PushTargets, type PushTargetsParts } from "./push-targets.ts";
import { TokenHealth } from "./token-health.ts";

/** Verdicts that wait for the transaction that disables their device. */
const MAX_VERDICTS = 1000;

/**
 * Push to the devices of one provider. A token that the provider calls bad disables its device (contract 7, Push errors), unless it was registered
 * again since; but where most of the last tokens are called bad, the provider is what is wrong, and devices that were disabled meanwhile are back.
 */
export class PushSender extends PreparedSender<PushMessage> {
  readonly channel: "fcm" | "apns";
  protected readonly caller: PushCaller;
  readonly #targets: PushTargets;
  readonly #clock: Clock;
  readonly #health = new TokenHealth();
  /** Until when a device must have been registered for the verdict about its token to hold, epoch ms by device. */
  readonly #verdicts = new Map<string, number>();
  /** Disabled by words that are still watched. */
  readonly #disabled = new Set<string>();

  /** @param client null: the provider is not configured. */
  constructor(channel: "fcm" | "apns", client: PushClient | null, parts: PushTargetsParts) {
    super();
    this.channel = channel;
    this.caller = new PushCaller(channel, client);
    this.#targets = new PushTargets(channel, parts);
    this.#clock = parts.clock;
  }

  targets(userIds: readonly string[], _notification: NotificationFacts, db: ReadDb | Trx): Promise<readonly Target[]> {
    return this.#targets.ofUsers(userIds, db);
  }

  async prepare(attempt: AttemptFacts): Promise<PushMessage> {
    const device = await this.#targets.open(attempt.delivery.target);
    if (!device) throw new DeadTarget("the device is gone, or has another token now");
    return pushMessageOf(this.channel, attempt, device.token, this.#clock.now());
  }

  override async accepted({ delivery }: AttemptFacts): Promise<void> {
    const id = delivery.target;
    this.#health.note(id, false);
    const device = await this.#targets.find(id);
    if (device) this.#targets.noteUse(id, device);
  }

  /** @returns for a bad token what it means: that the device is gone, that it has another one now, or that the provider is not to be believed */
  override async failed({ delivery }: AttemptFacts, error: unknown): Promise<unknown> {
    if (!(error instanceof DeadTarget)) return error;
    const id = delivery.target;
    const { message, since } = error;
    const device = await this.#targets.find(id);
    if (device && since !== undefined && device.registeredAt > since)
      // An answer about this message alone: it says nothing against the provider.
      return new RetryLater(`${message}, but the device was registered again since`, 0);
    this.#health.note(id, true);
    if (this.#health.isDoubtful) {
      await this.#takeBack();
      return new ProviderDown(
        `${message}, and so were most of the last tokens: no device is disabled; compare the settings ${this.channel}.* with the app's`,
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
    await this.#targets.disable(target, registeredUntil, trx);
  }

  check(): Promise<void> {
    return this.caller.check();
  }

  override async close(): Promise<void> {
    await super.close();
    await this.#targets.close();
  }

  #judge(id: string, registeredUntil: number): void {
    for (const oldest of this.#verdicts.keys()) {
      if (this.#verdicts.size < MAX_VERDICTS) break;
      this.#verdicts.delete(oldest);
    }
    this.#verdicts.set(id, registeredUntil);
  }

  /** Devices that were disabled before the words about them came under doubt are reached again. */
  async #takeBack(): Promise<void> {
    const ids = [...this.#disabled];
    if (ids.length === 0) return;
    await this.#targets.enable(ids);
    for (const id of ids) this.#disabled.delete(id);
  }
}
