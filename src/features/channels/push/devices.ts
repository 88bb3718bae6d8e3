import * as v from "valibot";
import type { UserPrincipal } from "../../../core/caller.ts";
import type { SealedBox } from "../../../core/crypto/sealed-box.ts";
import { sha256Hex } from "../../../core/crypto/tokens.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { DAY_MS, type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import { doc, example, named, object, pattern, text } from "../../../http/api/shapes.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import type { Target } from "../../delivery/channel.ts";
import type { DeliveryContext } from "../../delivery/deliveries.ts";

export type PushContext = Pick<DeliveryContext, "db" | "box" | "clock" | "log">;

/** `lastUsedAt` is for people: at a day's resolution a storm of pushes causes few writes. */
const USED_EVERY_MS = DAY_MS;
const MAX_USED = 10_000;
const USED_A_WRITE = 500;

export class PushDevices {
  readonly #kind: "fcm" | "apns" | "webpush";
  readonly #parts: PushContext;
  readonly #used = new Set<string>();
  #writing: Promise<void> | null = null;

  constructor(kind: "fcm" | "apns" | "webpush", parts: PushContext) {
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

  /**
   * @returns undefined when the device is gone, disabled, or has another token. @throws UnsealError
   */
  async open(id: string): Promise<{ readonly token: string; readonly userId: string } | undefined> {
    const found = await this.find(id);
    return found && { token: openToken(this.#parts.box, id, found.sealed), userId: found.userId };
  }

  /** @returns undefined when the device is gone or disabled. */
  find(id: string) {
    return this.#parts.db.read
      .selectFrom("push_devices")
      .select(["userId", "token as sealed", "updatedAt as registeredAt", "lastUsedAt"])
      .where("id", "=", id)
      .where("disabledAt", "is", null)
      .executeTakeFirst();
  }

  /** @param notAfter keeps a device that was registered after this instant (epoch ms). */
  async disable(id: string, notAfter: number | undefined, trx: Trx): Promise<void> {
    const { clock } = this.#parts;
    const query = trx.updateTable("push_devices").set({ disabledAt: clock.now() }).where("id", "=", id);
    const bounded = notAfter === undefined ? query : query.where("updatedAt", "<=", notAfter);
    profilesChanged(trx, await bounded.returning("userId").execute());
  }

  /** Enables these devices again. */
  async enable(ids: readonly string[]): Promise<void> {
    await this.#parts.db.write(async (trx) => {
      const enabled = trx.updateTable("push_devices").set({ disabledAt: null }).where("id", "in", ids);
      profilesChanged(trx, await enabled.returning("userId").execute());
    });
  }

  /** Records that a device was reached; batched. */
  noteUse(id: string, lastUsedAt: EpochMs | null): void {
    if (lastUsedAt !== null && lastUsedAt > this.#parts.clock.now() - USED_EVERY_MS) return;
    if (this.#used.size < MAX_USED) this.#used.add(id);
    this.#writing ??= this.#writeUses().finally(() => {
      this.#writing = null;
    });
  }

  /** Waits for pending records. */
  async close(): Promise<void> {
    await this.#writing;
  }

  async #writeUses(): Promise<void> {
    const { db, clock, log } = this.#parts;
    while (this.#used.size > 0) {
      const ids = [...this.#used].slice(0, USED_A_WRITE);
      for (const id of ids) this.#used.delete(id);
      try {
        await db.write((trx) =>
          trx.updateTable("push_devices").set({ lastUsedAt: clock.now() }).where("id", "in", ids).execute(),
        );
      } catch (error) {
        // The next push to the device records it again.
        log.warn({ error, devices: ids.length }, "cannot record the last success of devices");
      }
    }
  }
}

/** @throws UnsealError */
export function openToken(box: SealedBox, id: string, sealed: Uint8Array): string {
  return box.open(`push_devices.token.${id}`, sealed).toString();
}

export function sealToken(box: SealedBox, id: string, token: string): Buffer {
  return box.seal(`push_devices.token.${id}`, Buffer.from(token));
}

/** A profile shows whether its user can be reached by push. */
function profilesChanged(trx: Trx, owners: readonly { readonly userId: string }[]): void {
  for (const { userId } of owners) addEffect(trx, { type: "answers-changed", of: "profile", userId });
}

const fcmToken = doc(v.pipe(v.string(), v.minLength(1), v.maxLength(4096)), "Registration token of FCM");
const apnsToken = doc(pattern(/^[0-9a-fA-F]{64,200}$/, "must be 64 to 200 hexadecimal digits"), "Device token of APNs");
const device = doc(text(64, 1), "Name of the device");
const FCM = doc(v.literal("fcm"), "Push service");
const APNS = doc(v.literal("apns"), "Push service");

export const PushBody = example(
  v.union(
    [
      object({ fcm: v.optional(v.nullable(fcmToken)), apns: v.optional(v.nullable(apnsToken)) }),
      object({
        devices: doc(
          v.pipe(
            v.array(
              v.variant("kind", [
                object({ kind: FCM, device, token: fcmToken }),
                object({ kind: APNS, device, token: apnsToken }),
              ]),
            ),
            v.maxLength(20, "must be at most 20 devices"),
          ),
          "The whole list; others are removed",
        ),
      }),
    ],
    "must be {fcm, apns} or {devices: [{kind, device, token}]} and nothing else",
  ),
  { devices: [{ kind: "fcm", device: "phone", token: "the-registration-token" }] },
);

export const DeviceView = named(
  "PushDevice",
  "A push device of a user",
  v.object({ kind: v.picklist(["fcm", "apns"]), device: v.string(), createdAt: v.string() }),
);

type Kind = "fcm" | "apns";

export type PushDeviceContext = Uses<"db" | "clock" | "box">;

/**
 * The devices that receive push. A token names one device, of the user who registered it last. One
 * registered as `fcm` or `apns` belongs to the caller's login session and is removed with it; a
 * list names devices of several sessions, which stay. The form `{fcm, apns}` sets or removes the
 * device `default` of each kind; `{devices}` is the whole list.
 */
export async function replaceDevices(
  ctx: PushDeviceContext,
  { userId, sessionId }: Pick<UserPrincipal, "userId" | "sessionId">,
  body: v.InferOutput<typeof PushBody>,
) {
  const { db } = ctx;
  await db.write(async (trx) => {
    profilesChanged(trx, [{ userId }]);
    addEffect(trx, { type: "ways-changed", userId });
    if ("devices" in body) {
      const named = new Set(body.devices.map(({ kind, device }) => nameOf(kind, device)));
      for (const { id, kind, device } of await devicesOf(userId, trx))
        if (!named.has(nameOf(kind, device))) await trx.deleteFrom("push_devices").where("id", "=", id).execute();
      for (const { kind, device, token } of body.devices)
        await putDevice(ctx, { userId, sessionId: null }, { kind, device, token }, trx);
      return;
    }
    for (const kind of ["fcm", "apns"] as const) {
      const token = body[kind];
      if (token === undefined) continue;
      if (token === null) await removeDevice(userId, kind, trx);
      else await putDevice(ctx, { userId, sessionId }, { kind, device: "default", token }, trx);
    }
  });
  const rows = await devicesOf(userId, db.read);
  return rows.map(({ kind, device, createdAt }) => ({ kind, device, createdAt: toRfc3339(createdAt) }));
}

/** Devices with a token; browsers are listed elsewhere. */
function devicesOf(userId: string, db: ReadDb) {
  return db
    .selectFrom("push_devices")
    .select(["id", "kind", "device", "createdAt"])
    .where("userId", "=", userId)
    .where("kind", "in", ["fcm", "apns"])
    .$narrowType<{ kind: Kind }>()
    .orderBy("kind")
    .orderBy("device")
    .execute();
}

/** @param owner `sessionId`: the login session the device is removed with. */
async function putDevice(
  { box, clock }: PushDeviceContext,
  { userId, sessionId }: Pick<UserPrincipal, "userId" | "sessionId">,
  { kind, device, token }: { readonly kind: Kind; readonly device: string; readonly token: string },
  trx: Trx,
): Promise<void> {
  const tokenHash = sha256Hex(token);
  const moved = await trx
    .deleteFrom("push_devices")
    .where("kind", "=", kind)
    .where("tokenHash", "=", tokenHash)
    .where(({ or, eb }) => or([eb("userId", "!=", userId), eb("device", "!=", device)]))
    .returning("userId")
    .execute();
  profilesChanged(trx, moved);
  const now = clock.now();
  // Deliveries in flight to a device that registers the same token again still find it.
  const same = await trx
    .updateTable("push_devices")
    .set({ disabledAt: null, updatedAt: now, sessionId })
    .where("userId", "=", userId)
    .where("kind", "=", kind)
    .where("device", "=", device)
    .where("tokenHash", "=", tokenHash)
    .executeTakeFirst();
  if (same.numUpdatedRows > 0) return;
  const id = uuidv7();
  const sealed = sealToken(box, id, token);
  await trx
    .insertInto("push_devices")
    .values({ id, userId, kind, device, token: sealed, tokenHash, sessionId, createdAt: now, updatedAt: now })
    .onConflict((conflict) =>
      conflict
        .columns(["userId", "kind", "device"])
        .doUpdateSet({ id, token: sealed, tokenHash, disabledAt: null, lastUsedAt: null, updatedAt: now, sessionId }),
    )
    .execute();
}

async function removeDevice(userId: string, kind: Kind, trx: Trx): Promise<void> {
  await trx
    .deleteFrom("push_devices")
    .where("userId", "=", userId)
    .where("kind", "=", kind)
    .where("device", "=", "default")
    .execute();
}

/** No kind contains a colon. */
function nameOf(kind: string, device: string): string {
  return `${kind}:${device}`;
}
