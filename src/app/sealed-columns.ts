import { type RawBuilder, sql } from "kysely";
import type { SealedBox } from "../core/sealed-box.ts";
import { KEY_ID_BYTES, UnsealError } from "../core/sealed-box.ts";
import { factorSealContext } from "../features/access/index.ts";
import type { AuditService } from "../features/audit/index.ts";
import { channelSealContext, refSealContext } from "../features/channels/index.ts";
import { mailSealContext, secretSealContext } from "../features/delivery/index.ts";
import { gotifySealContext } from "../features/gotify/index.ts";
import { pingKeySealContext, pingSealContext } from "../features/heartbeats/index.ts";
import { contentPlace } from "../features/messages/index.ts";
import { receiverSealContext } from "../features/receivers/index.ts";
import { addressSealContext } from "../features/statuspage/index.ts";
import type { Database, ReadDb, Trx } from "../store/database.ts";
import type { Schema } from "../store/schema.ts";
import { SEALED_SETTINGS, settingSealContext } from "../store/sealed-settings.ts";

/** A column with sealed values, each with its own seal context. */
export interface SealedColumn {
  /** `table.column` */
  readonly name: string;
  /** Values after `after`, by id, that another key than `keyId` has sealed. */
  stale(db: ReadDb, keyId: Uint8Array, after: string, limit: number): Promise<SealedValue[]>;
  replace(trx: Trx, id: string, sealed: Uint8Array): Promise<void>;
  /** Number of values by key id. */
  byKey(db: ReadDb): Promise<{ keyId: Uint8Array; values: number }[]>;
}

export interface SealedValue {
  readonly id: string;
  readonly place: string;
  readonly sealed: Uint8Array;
}

/** Everything that is encrypted at rest. A test finds each use of {@link SealedBox.seal} here. */
export const SEALED_COLUMNS: readonly SealedColumn[] = [
  sealedColumn("settings", "value", settingSealContext, {
    id: "key",
    where: sql`key in (${sql.join(SEALED_SETTINGS)})`,
  }),
  sealedColumn("push_devices", "token", (id) => `push_devices.token.${id}`),
  sealedColumn("second_factors", "secret", factorSealContext, { id: "userId" }),
  sealedColumn("messages", "content", contentPlace),
  sealedColumn("webhooks", "secret", (id) => secretSealContext("secret", id)),
  sealedColumn("webhooks", "previousSecret", (id) => secretSealContext("previousSecret", id), {
    where: sql`previousSecret is not null`,
  }),
  sealedColumn("receivers", "secret", (id) => receiverSealContext("secret", id), { where: sql`secret is not null` }),
  sealedColumn("receivers", "previousSecret", (id) => receiverSealContext("previousSecret", id), {
    where: sql`previousSecret is not null`,
  }),
  sealedColumn("channels", "secrets", channelSealContext),
  sealedColumn("channel_messages", "ref", refSealContext, { where: sql`ref is not null` }),
  sealedColumn("sealed_mails", "content", mailSealContext),
  sealedColumn("status_subscribers", "address", addressSealContext),
  sealedColumn("heartbeats", "sealedPing", pingSealContext, { where: sql`sealedPing is not null` }),
  sealedColumn("heartbeat_keys", "sealedPingKey", pingKeySealContext, {
    id: "projectId",
    where: sql`sealedPingKey is not null`,
  }),
  sealedColumn("gotify_applications", "sealedToken", gotifySealContext, { id: "tokenHash" }),
];

interface ColumnOptions {
  /** Column that identifies the row. */
  readonly id?: string;
  /** Rows with a sealed value; undefined: all. */
  readonly where?: RawBuilder<unknown>;
}

/** @param place seal context of the row with this id */
function sealedColumn(
  table: keyof Schema,
  column: string,
  place: (id: string) => string,
  { id: idColumn = "id", where = sql`true` }: ColumnOptions = {},
): SealedColumn {
  const [from, value, id] = [sql.table(table), sql.ref(column), sql.ref(idColumn)];
  const key = sql`substr(${value}, 1, ${sql.lit(KEY_ID_BYTES)})`;
  return {
    name: `${table}.${column}`,
    async stale(db, keyId, after, limit) {
      const { rows } = await sql<Omit<SealedValue, "place">>`
        select ${id} as id, ${value} as sealed from ${from}
        where ${where} and ${id} > ${after} and ${key} <> ${keyId} order by ${id} limit ${limit}`.execute(db);
      return rows.map((row) => ({ ...row, place: place(row.id) }));
    },
    async replace(trx, rowId, sealed) {
      await sql`update ${from} set ${value} = ${Buffer.from(sealed)} where ${id} = ${rowId}`.execute(trx);
    },
    async byKey(db) {
      const { rows } = await sql<{ keyId: Uint8Array; values: number }>`
        select ${key} as keyId, count(*) as "values" from ${from} where ${where} group by keyId`.execute(db);
      return rows;
    },
  };
}

const BATCH = 200;

export interface Resealed {
  /** Values sealed again with the current key. */
  readonly resealed: number;
  /** Values that no configured key opens; they are unchanged. */
  readonly unreadable: number;
}

/**
 * Reseals values of earlier keys with the current one, in transactions of a few hundred values,
 * each with an audit row. The key id shows what is done, so an interrupted run can be repeated.
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
    const fresh = sealWithCurrentKey(box, place, sealed);
    if (!fresh) continue;
    await column.replace(trx, id, fresh);
    resealed++;
  }
  if (resealed > 0) {
    const metadata = { column: column.name, values: resealed };
    await audit.record({ action: "key.rotate", resourceType: "encryption", metadata }, { trx });
  }
  const last = stale.length < BATCH ? null : (stale.at(-1)?.id ?? null);
  return { resealed, unreadable: stale.length - resealed, last };
}

function sealWithCurrentKey(box: SealedBox, place: string, sealed: Uint8Array): Buffer | undefined {
  try {
    return box.seal(place, box.open(place, sealed));
  } catch (error) {
    if (error instanceof UnsealError) return undefined;
    throw error;
  }
}
