import { DAY_MS, type EpochMs } from "../../../../core/clock.ts";
import { addEffect, type ReadDb, type Trx } from "../../../../store/database.ts";
import type { Target } from "../../channel.ts";
import type { DeliveryContext } from "../../context.ts";

export type PushContext = Pick<DeliveryContext, "database" | "box" | "clock" | "log">;

/** `lastUsedAt` is for people who look at a device: the day is enough, and a storm of pushes does not become one of writes. */
const USED_EVERY_MS = DAY_MS;
const MAX_USED = 10_000;
const USED_A_WRITE = 500;

/** The devices of one provider, as its channel needs them. */
export class PushDevices {
  readonly #kind: "fcm" | "apns";
  readonly #parts: PushContext;
  readonly #used = new Set<string>();
  #writing: Promise<void> | null = null;

  constructor(kind: "fcm" | "apns", parts: PushContext) {
    this.#kind = kind;
    this.#parts = parts;
  }

  async ofUsers(userIds: readonly string[], db: ReadDb | Trx): Promise<readonly Target[]> {
    return db
      .selectFrom("push_devices")
      .select(["id as target", "userId"])
      .where("userId", "in", userIds)
      .where("kind", "=", this.#kind)
      .where("disabledAt", "is", null)
      .orderBy("userId")
      .orderBy("device")
      .execute();
  }

  /** @returns undefined when the device is gone, disabled, or has another token. @throws UnsealError */
  async open(id: string): Promise<{ readonly token: string } | undefined> {
    const found = await this.find(id);
    return found && { token: this.#parts.box.open(`push_devices.token.${id}`, found.sealed).toString() };
  }

  /** @returns undefined when the device is gone or disabled. */
  find(id: string) {
    return this.#parts.database.read
      .selectFrom("push_devices")
      .select(["token as sealed", "updatedAt as registeredAt", "lastUsedAt"])
      .where("id", "=", id)
      .where("disabledAt", "is", null)
      .executeTakeFirst();
  }

  /** @param notAfter a device that was registered after this instant (epoch ms) stays. */
  async disable(id: string, notAfter: number | undefined, trx: Trx): Promise<void> {
    const { clock } = this.#parts;
    const query = trx.updateTable("push_devices").set({ disabledAt: clock.now() }).where("id", "=", id);
    const bounded = notAfter === undefined ? query : query.where("updatedAt", "<=", notAfter);
    profilesChanged(trx, await bounded.returning("userId").execute());
  }

  /** Takes back what was done to these devices. */
  async enable(ids: readonly string[]): Promise<void> {
    await this.#parts.database.write(async (trx) => {
      const enabled = trx.updateTable("push_devices").set({ disabledAt: null }).where("id", "in", ids);
      profilesChanged(trx, await enabled.returning("userId").execute());
    });
  }

  /** Notes that a device was reached, soon and together with others. */
  noteUse(id: string, lastUsedAt: EpochMs | null): void {
    if (lastUsedAt !== null && lastUsedAt > this.#parts.clock.now() - USED_EVERY_MS) return;
    if (this.#used.size < MAX_USED) this.#used.add(id);
    this.#writing ??= this.#writeUses().finally(() => {
      this.#writing = null;
    });
  }

  /** Waits for what was noted. */
  async close(): Promise<void> {
    await this.#writing;
  }

  async #writeUses(): Promise<void> {
    const { database, clock, log } = this.#parts;
    while (this.#used.size > 0) {
      const ids = [...this.#used].slice(0, USED_A_WRITE);
      for (const id of ids) this.#used.delete(id);
      try {
        await database.write((trx) =>
          trx.updateTable("push_devices").set({ lastUsedAt: clock.now() }).where("id", "in", ids).execute(),
        );
      } catch (error) {
        // The next push to the device notes it again.
        log.warn({ error, devices: ids.length }, "could not record last success of devices");
      }
    }
  }
}

/** A profile says whether its user can be reached by push. */
function profilesChanged(trx: Trx, owners: readonly { readonly userId: string }[]): void {
  for (const { userId } of owners) addEffect(trx, { type: "answers-changed", of: "profile", userId });
}
