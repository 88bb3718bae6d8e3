import type { Clock } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import type { Json } from "../../core/json-text.ts";
import type { InTransaction, ModuleStore } from "../../module/module-api.ts";
import type { Database } from "../../store/database.ts";

const MAX_KEY = 256;
const MAX_VALUE_BYTES = 262_144;
const MAX_LISTED = 1000;
/** No text that begins with a prefix is behind the prefix with this. */
const LAST_CHARACTER = "\u{10ffff}";

/** The rows of one module in `module_kv`. */
export class ModuleRows implements ModuleStore {
  readonly #module: string;
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(module: string, database: Database, clock: Clock) {
    this.#module = module;
    this.#database = database;
    this.#clock = clock;
  }

  async get(key: string): Promise<Json | undefined> {
    const row = await this.#database.read
      .selectFrom("module_kv")
      .select("value")
      .where("module", "=", this.#module)
      .where("key", "=", checkedKey(key))
      .executeTakeFirst();
    return row && (JSON.parse(row.value) as Json);
  }

  /** @throws TypeError for what JSON cannot say, PAYLOAD_TOO_LARGE */
  async set(key: string, value: Json, options: InTransaction = {}): Promise<void> {
    const text = JSON.stringify(value) as string | undefined;
    if (text === undefined) throw new TypeError("a value must be something that JSON can say");
    if (Buffer.byteLength(text) > MAX_VALUE_BYTES)
      throw new PrismError("PAYLOAD_TOO_LARGE", `A value may have ${MAX_VALUE_BYTES} bytes`);
    const row = { module: this.#module, key: checkedKey(key), value: text, updatedAt: this.#clock.now() };
    await this.#database.writeIn(options, (trx) =>
      trx
        .insertInto("module_kv")
        .values(row)
        .onConflict((conflict) => conflict.doUpdateSet({ value: row.value, updatedAt: row.updatedAt }))
        .execute(),
    );
  }

  /** @throws TypeError for a limit that is not from 1 to 1000 */
  async list(prefix: string, { after = "", limit = 100 }: Parameters<ModuleStore["list"]>[1] = {}) {
    if (typeof prefix !== "string" || typeof after !== "string")
      throw new TypeError("a prefix and a key must be texts");
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LISTED)
      throw new TypeError(`limit must be a whole number from 1 to ${MAX_LISTED}`);
    const rows = await this.#database.read
      .selectFrom("module_kv")
      .select(["key", "value"])
      .where("module", "=", this.#module)
      .where("key", ">", after)
      .where("key", ">=", prefix)
      .where("key", "<", `${prefix}${LAST_CHARACTER}`)
      .orderBy("key")
      .limit(limit)
      .execute();
    return rows.map(({ key, value }) => ({ key, value: JSON.parse(value) as Json }));
  }

  async delete(key: string, options: InTransaction = {}): Promise<void> {
    await this.#database.writeIn(options, (trx) =>
      trx.deleteFrom("module_kv").where("module", "=", this.#module).where("key", "=", checkedKey(key)).execute(),
    );
  }
}

/** @throws TypeError */
function checkedKey(key: string): string {
  if (typeof key === "string" && key !== "" && [...key].length <= MAX_KEY) return key;
  throw new TypeError(`a key must be a text of 1 to ${MAX_KEY} characters`);
}
