import type { Clock } from "../../base/clock.ts";
import { RetryLater } from "../../jobs/job.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import type { PushClient } from "./push-client.ts";
import { PushTargets, type PushTargetsParts } from "./push-targets.ts";
import {
  type Accepted,
  type Attempt,
  DeadTarget,
  type NotificationFacts,
  ProviderDown,
  type Sender,
  type Target,
} from "./sender.ts";
import { TokenHealth } from "./token-health.ts";

/** Verdicts that wait for the transaction that disables their device. */
const MAX_VERDICTS = 1000;

/**
 * Push to the devices of one provider. A token that the provider calls bad disables its device (contract 7, Push errors), unless it was registered
 * again since; but where most of the last tokens are called bad, the provider is what is wrong, and devices that were disabled meanwhile are back.
 */
export class PushSender implements Sender {
  readonly channel: "fcm" | "apns";
  readonly #client: PushClient | null;
  readonly #targets: PushTargets;
  readonly #clock: Clock;
  readonly #health = new TokenHealth();
  /** Until when a device must have been registered for the verdict about its token to hold, epoch ms by device. */
  readonly #verdicts = new Map<string, number>();
  /** Disabled by words that are still watched. */
  readonly #disabled = new Set<string>();

  /** @param client null: the provider is not configured. */
  constructor(channel: "fcm" | "apns", client: PushClient | null, parts: PushTargetsParts) {
    this.channel = channel;
    this.#client = client;
    this.#targets = new PushTargets(channel, parts);
    this.#clock = parts.clock;
  }

  get isConfigured(): boolean {
    return this.#client !== null;
  }

  targets(userIds: readonly string[], _notification: NotificationFacts, db: ReadDb | Trx): Promise<readonly Target[]> {
    return this.#targets.ofUsers(userIds, db);
  }

  async send(attempt: Attempt): Promise<Accepted> {
    const client = this.#configured();
    const id = attempt.delivery.target;
    const device = await this.#targets.open(id);
    if (!device) throw new DeadTarget("the device is gone, or has another token now");
    const startedAt = this.#clock.now();
    const answer = await client.send(device.token, attempt);
    if (answer.kind === "accepted") {
      this.#health.note(id, false);
      this.#targets.noteUse(id, device);
      return answer.providerId === undefined ? {} : { providerId: answer.providerId };
    }
    const { reason, since } = answer;
    if (since !== undefined && device.registeredAt > since)
      // An answer about this message alone: it says nothing against the provider.
      throw new RetryLater(`${reason}, but the device was registered again since`, 0);
    this.#health.note(id, true);
    if (this.#health.isDoubtful) {
      await this.#takeBack();
      throw new ProviderDown(
        `${reason}, and so were most of the last tokens: no device is disabled; compare the settings ${this.channel}.* with the app's`,
      );
    }
    this.#judge(id, since ?? startedAt);
    throw new DeadTarget(reason);
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
    return this.#configured().check();
  }

  async close(): Promise<void> {
    this.#client?.close();
    await this.#targets.close();
  }

  #configured(): PushClient {
    if (!this.#client) throw new ProviderDown(`${this.channel} is not configured`);
    return this.#client;
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
