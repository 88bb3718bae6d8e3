import { sql } from "kysely";
import type { SealedBox } from "../core/sealed-box.ts";
import { UnsealError } from "../core/sealed-box.ts";
import { factorSealContext } from "../features/access/index.ts";
import { channelSealContext, refSealContext } from "../features/channels/index.ts";
import { mailSealContext, secretSealContext } from "../features/delivery/index.ts";
import { gotifySealContext } from "../features/gotify/index.ts";
import { contentPlace } from "../features/messages/index.ts";
import { receiverSealContext } from "../features/receivers/index.ts";
import { addressSealContext } from "../features/statuspage/index.ts";
import type { CoreServices } from "../module/module-api.ts";
import type { Database, Trx } from "../store/database.ts";
import { type SealedColumn, sealedColumn } from "../store/sealed-column.ts";
import { SEALED_SETTINGS, settingSealContext } from "../store/sealed-settings.ts";
import { FEATURES } from "./feature-list.ts";

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
  sealedColumn("gotify_applications", "sealedToken", gotifySealContext, { id: "tokenHash" }),
  ...FEATURES.flatMap((each) => each.sealedColumns ?? []),
];

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
  parts: { readonly database: Database; readonly audit: CoreServices["audit"]; readonly box: SealedBox },
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
  { audit, box }: { readonly audit: CoreServices["audit"]; readonly box: SealedBox },
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
