import { sql } from "kysely";
import type { SealedBox } from "../core/sealed-box.ts";
import { KEY_ID_BYTES, UnsealError } from "../core/sealed-box.ts";
import type { AuditService } from "../features/audit/index.ts";
import { secretPlace } from "../features/delivery/index.ts";
import { contentPlace } from "../features/messages/index.ts";
import type { Database, ReadDb, Trx } from "../store/database.ts";
import { SEALED_SETTINGS, sealedSettingPlace } from "../store/sealed-settings.ts";

/** A column whose values are sealed, each under its own place. */
export interface SealedColumn {
  /** `table.column` */
  readonly name: string;
  /** Ids after `after`, in their order, of values that another key than `keyId` has sealed. */
  stale(db: ReadDb, keyId: Uint8Array, after: string, limit: number): Promise<SealedValue[]>;
  replace(trx: Trx, id: string, sealed: Uint8Array): Promise<void>;
  /** How many values each key has sealed, by key id. */
  byKey(db: ReadDb): Promise<{ keyId: Uint8Array; values: number }[]>;
}

export interface SealedValue {
  readonly id: string;
  readonly place: string;
  readonly sealed: Uint8Array;
}

/** Everything that is encrypted at rest (contract 12.8). A test finds each use of {@link SealedBox.seal} in this list. */
export const SEALED_COLUMNS: readonly SealedColumn[] = [
  {
    name: "settings.value",
    async stale(db, keyId, after, limit) {
      const rows = await db
        .selectFrom("settings")
        .select(["key as id", "value as sealed"])
        .where("key", "in", SEALED_SETTINGS)
        .where("key", ">", after)
        .where(sql`substr(value, 1, ${KEY_ID_BYTES})`, "!=", keyId)
        .orderBy("key")
        .limit(limit)
        .execute();
      return rows.map(({ id, sealed }) => ({ id, place: sealedSettingPlace(id), sealed: sealed as Uint8Array }));
    },
    async replace(trx, id, sealed) {
      await trx.updateTable("settings").set({ value: sealed }).where("key", "=", id).execute();
    },
    byKey: (db) =>
      db
        .selectFrom("settings")
        .select([
          sql<Uint8Array>`substr(value, 1, ${KEY_ID_BYTES})`.as("keyId"),
          (e) => e.fn.countAll<number>().as("values"),
        ])
        .where("key", "in", SEALED_SETTINGS)
        .groupBy("keyId")
        .execute(),
  },
  {
    name: "push_devices.token",
    async stale(db, keyId, after, limit) {
      const rows = await db
        .selectFrom("push_devices")
        .select(["id", "token as sealed"])
        .where("id", ">", after)
        .where(sql`substr(token, 1, ${KEY_ID_BYTES})`, "!=", keyId)
        .orderBy("id")
        .limit(limit)
        .execute();
      return rows.map(({ id, sealed }) => ({ id, place: `push_devices.token.${id}`, sealed }));
    },
    async replace(trx, id, sealed) {
      await trx
        .updateTable("push_devices")
        .set({ token: Buffer.from(sealed) })
        .where("id", "=", id)
        .execute();
    },
    byKey: (db) =>
      db
        .selectFrom("push_devices")
        .select([
          sql<Uint8Array>`substr(token, 1, ${KEY_ID_BYTES})`.as("keyId"),
          (e) => e.fn.countAll<number>().as("values"),
        ])
        .groupBy("keyId")
        .execute(),
  },
  {
    name: "messages.content",
    async stale(db, keyId, after, limit) {
      const rows = await db
        .selectFrom("messages")
        .select(["id", "content as sealed"])
        .where("id", ">", after)
        .where(sql`substr(content, 1, ${KEY_ID_BYTES})`, "!=", keyId)
        .orderBy("id")
        .limit(limit)
        .execute();
      return rows.map(({ id, sealed }) => ({ id, place: contentPlace(id), sealed }));
    },
    async replace(trx, id, sealed) {
      await trx
        .updateTable("messages")
        .set({ content: Buffer.from(sealed) })
        .where("id", "=", id)
        .execute();
    },
    byKey: (db) =>
      db
        .selectFrom("messages")
        .select([
          sql<Uint8Array>`substr(content, 1, ${KEY_ID_BYTES})`.as("keyId"),
          (e) => e.fn.countAll<number>().as("values"),
        ])
        .groupBy("keyId")
        .execute(),
  },
  {
    name: "webhooks.secret",
    async stale(db, keyId, after, limit) {
      const rows = await db
        .selectFrom("webhooks")
        .select(["id", "secret as sealed"])
        .where("id", ">", after)
        .where(sql`substr(secret, 1, ${KEY_ID_BYTES})`, "!=", keyId)
        .orderBy("id")
        .limit(limit)
        .execute();
      return rows.map(({ id, sealed }) => ({ id, place: secretPlace("secret", id), sealed }));
    },
    async replace(trx, id, sealed) {
      await trx
        .updateTable("webhooks")
        .set({ secret: Buffer.from(sealed) })
        .where("id", "=", id)
        .execute();
    },
    byKey: (db) =>
      db
        .selectFrom("webhooks")
        .select([
          sql<Uint8Array>`substr(secret, 1, ${KEY_ID_BYTES})`.as("keyId"),
          (e) => e.fn.countAll<number>().as("values"),
        ])
        .groupBy("keyId")
        .execute(),
  },
  {
    name: "webhooks.previousSecret",
    async stale(db, keyId, after, limit) {
      const rows = await db
        .selectFrom("webhooks")
        .select(["id", "previousSecret as sealed"])
        .where("id", ">", after)
        .where("previousSecret", "is not", null)
        .where(sql`substr(previousSecret, 1, ${KEY_ID_BYTES})`, "!=", keyId)
        .orderBy("id")
        .limit(limit)
        .execute();
      return rows.map(({ id, sealed }) => ({
        id,
        place: secretPlace("previousSecret", id),
        sealed: sealed as Uint8Array,
      }));
    },
    async replace(trx, id, sealed) {
      await trx
        .updateTable("webhooks")
        .set({ previousSecret: Buffer.from(sealed) })
        .where("id", "=", id)
        .execute();
    },
    byKey: (db) =>
      db
        .selectFrom("webhooks")
        .select([
          sql<Uint8Array>`substr(previousSecret, 1, ${KEY_ID_BYTES})`.as("keyId"),
          (e) => e.fn.countAll<number>().as("values"),
        ])
        .where("previousSecret", "is not", null)
        .groupBy("keyId")
        .execute(),
  },
];

const BATCH = 200;

export interface Resealed {
  /** Values that the current key has sealed anew. */
  readonly resealed: number;
  /** Values that no configured key opens; they are left as they are. */
  readonly unreadable: number;
}

/**
 * Seals with the current key what earlier ones have sealed, in transactions of a few hundred values, each with its record in the audit trail.
 * What is done already is known by its key id, so whoever is interrupted begins again and goes on where it was.
 */
export async function reseal(
  parts: { readonly database: Database; readonly audit: AuditService; readonly box: SealedBox },
  onBatch: (resealed: number) => void = () => undefined,
  columns: readonly SealedColumn[] = SEALED_COLUMNS,
): Promise<Resealed> {
  let resealed = 0;
  let unreadable = 0;
  for (const column of columns) {
    for (let after = ""; ; ) {
      const batch = await parts.database.write((trx) => resealBatch(parts, column, after, trx));
      resealed += batch.resealed;
      unreadable += batch.unreadable;
      onBatch(resealed);
      if (batch.last === null) break;
      after = batch.last;
    }
  }
  return { resealed, unreadable };
}

async function resealBatch(
  { audit, box }: { readonly audit: AuditService; readonly box: SealedBox },
  column: SealedColumn,
  after: string,
  trx: Trx,
): Promise<Resealed & { last: string | null }> {
  const stale = await column.stale(trx, box.keyId, after, BATCH);
  let resealed = 0;
  for (const { id, place, sealed } of stale) {
    const anew = sealAnew(box, place, sealed);
    if (!anew) continue;
    await column.replace(trx, id, anew);
    resealed++;
  }
  if (resealed > 0) {
    const metadata = { column: column.name, values: resealed };
    await audit.record({ action: "key.rotate", resourceType: "encryption", metadata }, { trx });
  }
  const last = stale.length < BATCH ? null : (stale.at(-1)?.id ?? null);
  return { resealed, unreadable: stale.length - resealed, last };
}

function sealAnew(box: SealedBox, place: string, sealed: Uint8Array): Buffer | undefined {
  try {
    return box.seal(place, box.open(place, sealed));
  } catch (error) {
    if (error instanceof UnsealError) return undefined;
    throw error;
  }
}
