import type { Clock } from "../../base/clock.ts";
import { PrismError } from "../../base/errors.ts";
import type { Json } from "../../base/json-text.ts";
import type { Database } from "../../store/database.ts";
import type { InTransaction, ModuleStore } from "../module-api.ts";

const MAX_KEY = 256;
const MAX_VALUE_BYTES = 262_144;

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
