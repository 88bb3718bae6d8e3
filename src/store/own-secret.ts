import type { SealedBox } from "../core/crypto/sealed-box.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Database, ReadDb, Trx } from "./database.ts";
import { type CONSOLE_SETTINGS, type OWN_SECRETS, settingSealContext } from "./sealed-settings.ts";
import { putSetting, readSetting } from "./setting-rows.ts";

/** `store` knows no features: members of their core. */
export interface OwnSecretParts {
  readonly db: Database;
  readonly box: SealedBox;
  readonly clock: Clock;
}

type Setting = (typeof OWN_SECRETS)[number];

/** A secret of this server, created on first use and stored sealed as JSON. @throws UnsealError */
export async function ownSecret<T>(parts: OwnSecretParts, key: Setting, make: () => T): Promise<T> {
  const { db, box } = parts;
  const stored = await storedSecret<T>(db.read, box, key);
  if (stored) return stored;
  return db.write(async (trx) => {
    // A server and a command may both be the first.
    const other = await storedSecret<T>(trx, box, key);
    if (other) return other;
    const made = make();
    await storeSecret(parts, key, made, trx);
    return made;
  });
}

export async function storeSecret<T>(
  { box, clock }: Pick<OwnSecretParts, "box" | "clock">,
  key: Setting | typeof CONSOLE_SETTINGS,
  secret: T,
  trx: Trx,
): Promise<void> {
  const value = box.seal(settingSealContext(key), Buffer.from(JSON.stringify(secret)));
  await putSetting(trx, key, value, clock.now());
}

async function storedSecret<T>(db: ReadDb, box: SealedBox, key: Setting): Promise<T | undefined> {
  const stored = await readSetting(db, key);
  if (stored === undefined) return undefined;
  return JSON.parse(box.open(settingSealContext(key), stored as Uint8Array).toString("utf8")) as T;
}
