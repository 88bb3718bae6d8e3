import * as v from "valibot";
import { type Clock, toRfc3339 } from "../../../../core/clock.ts";
import { uuidv7 } from "../../../../core/ids.ts";
import type { UserPrincipal } from "../../../../core/principal.ts";
import type { SealedBox } from "../../../../core/sealed-box.ts";
import { sha256Hex } from "../../../../core/tokens.ts";
import { named, object, pattern, text } from "../../../../http/shapes.ts";
import { addEffect, type Database, type ReadDb, type Trx } from "../../../../store/database.ts";

const fcmToken = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));
const apnsToken = pattern(/^[0-9a-fA-F]{64,200}$/, "must be 64 to 200 hexadecimal digits");
const device = v.pipe(text(64, 1));

export const PushBody = v.union(
  [
    object({ fcm: v.optional(v.nullable(fcmToken)), apns: v.optional(v.nullable(apnsToken)) }),
    object({
      devices: v.pipe(
        v.array(
          v.variant("kind", [
            object({ kind: v.literal("fcm"), device, token: fcmToken }),
            object({ kind: v.literal("apns"), device, token: apnsToken }),
          ]),
        ),
        v.maxLength(20, "must be at most 20 devices"),
      ),
    }),
  ],
  "must be {fcm, apns} or {devices: [{kind, device, token}]} and nothing else",
);

export const DeviceView = named(
  "PushDevice",
  v.object({ kind: v.picklist(["fcm", "apns"]), device: v.string(), createdAt: v.string() }),
);

type Kind = "fcm" | "apns";

export interface PushDeviceContext {
  readonly db: Database;
  readonly clock: Clock;
  readonly box: SealedBox;
}

/**
 * The devices that push goes to. A token names one device, of the user who registered it last. One registered as `fcm` or `apns` is the device
 * of the caller's login and is removed when that login ends; a list names devices of several logins, which stay.
 * The form `{fcm, apns}` sets or removes the device `default` of each kind; `{devices}` is the whole list.
 */
export async function replaceDevices(
  ctx: PushDeviceContext,
  { userId, sessionId }: Pick<UserPrincipal, "userId" | "sessionId">,
  body: v.InferOutput<typeof PushBody>,
) {
  const { db } = ctx;
  await db.write(async (trx) => {
    addEffect(trx, { type: "answers-changed", of: "profile", userId });
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

function devicesOf(userId: string, db: ReadDb) {
  return db
    .selectFrom("push_devices")
    .select(["id", "kind", "device", "createdAt"])
    .where("userId", "=", userId)
    .orderBy("kind")
    .orderBy("device")
    .execute();
}

/** @param owner `sessionId`: the login that the device ends with. */
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
  for (const { userId: earlier } of moved) addEffect(trx, { type: "answers-changed", of: "profile", userId: earlier });
  const now = clock.now();
  // What is on its way to a device that says its token again still finds it.
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
  const sealed = box.seal(`push_devices.token.${id}`, Buffer.from(token));
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

/** A colon stands in no kind. */
function nameOf(kind: string, device: string): string {
  return `${kind}:${device}`;
}
