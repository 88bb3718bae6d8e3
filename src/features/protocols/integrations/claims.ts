import { hashToken, prefixOfToken } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { DAY_MS, type EpochMs } from "../../../core/time/clock.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { addressGroup } from "../../../http/server/headers.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import { sweepRows } from "../../../store/retention.ts";
import type { IntegrationClaimsTable } from "../../../store/schema.ts";
import { putSetting } from "../../../store/setting-rows.ts";
import { administrators } from "../../access/index.ts";

const SETTING = "integrations.claimsUntil";
/** After the end of the window. */
const KEPT_MS = 7 * DAY_MS;
/** Of Opsgenie's keys. */
const KEY_FORM = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const MAX_BODY_BYTES = 16_384;
const MAX_OF_KEY = 20;
const MAX_KEYS = 50;
const MAX_REQUESTS = 1000;
const MAX_BYTES = 4_194_304;
/** What one address may use of all: a flood from one leaves room for others. */
const SHARE_OF_ADDRESS = 0.5;
const PRIORITY = 500;

/** A sender with an unknown key. */
export interface Unknown {
  readonly hash: string;
  readonly prefix: string;
  readonly address: string;
}

const KEPT = ["claimId", "hash", "address", "bytes", "action", "alias", "outcome"] as const;
type Kept = Pick<IntegrationClaimsTable, (typeof KEPT)[number]>;
type NewRequest = Pick<IntegrationClaimsTable, "action" | "alias" | "message" | "body">;

export type ClaimsParts = Uses<"db" | "reader" | "clock" | "log"> & { notify(): Uses<"notify">["notify"] };

/** Requests with unknown keys of Opsgenie's: kept within limits while an administrator has opened a window. */
export class Claims {
  readonly #parts: ClaimsParts;
  #until: EpochMs = 0;
  /** Those of keys that are not assigned; null: to be read. */
  #kept: readonly Kept[] | null = null;

  constructor(parts: ClaimsParts) {
    this.#parts = parts;
  }

  /** At the start, and after each commit that changes them. */
  load(): void {
    const read = this.#parts.reader.prepare<[string], number>("select value from settings where key = ?").pluck();
    this.#until = read.get(SETTING) ?? 0;
    this.#kept = null;
  }

  /** When the window ends; null: it is closed. */
  get openUntil(): EpochMs | null {
    return this.#until > this.#parts.clock.now() ? this.#until : null;
  }

  /** Keys that wait for a person. */
  get waiting(): number {
    return new Set(this.#current().map(({ hash }) => hash)).size;
  }

  #current(): readonly Kept[] {
    this.#kept ??= this.#parts.reader
      .prepare<[], Kept>(`select ${KEPT} from integration_claims where assignedAt is null`)
      .all();
    return this.#kept;
  }

  /**
   * The sender of a request with an unknown key, before its body is read, which then has a lower limit. Asks nothing
   * about the key but its form. @returns null if it would not be kept
   */
  admit(exchange: Exchange, key: string): Unknown | null {
    if (this.openUntil === null || !KEY_FORM.test(key)) return null;
    const address = addressGroup(exchange.clientAddress);
    const unknown = { hash: hashToken(key), prefix: prefixOfToken(key), address };
    const kept = this.#current();
    // The close of a kept alert needs no room.
    if (!hasRoom(kept, unknown, exchange.contentLength) && !kept.some(({ hash }) => hash === unknown.hash)) return null;
    exchange.maxBodyBytes = MAX_BODY_BYTES;
    return unknown;
  }

  /** Keeps a request of {@link admit}. @param isUnknown whether its key still is. @throws INVALID_API_KEY, OVERLOADED */
  async keep(unknown: Unknown, request: NewRequest, isUnknown: () => boolean): Promise<void> {
    const { db, clock } = this.#parts;
    const bytes = Buffer.byteLength(request.body);
    if (!hasRoom(this.#current(), unknown, bytes)) return this.#end(unknown, request);
    const isFirst = await db.write(async (trx) => {
      // It waited for the transaction that assigns the key.
      if (!isUnknown()) throw new PrismError("OVERLOADED", "Try again", { retryAfterMs: 1000 });
      const kept = await keptRows(trx);
      if (this.openUntil === null || !hasRoom(kept, unknown, bytes))
        throw new PrismError("INVALID_API_KEY", "Could not authenticate");
      const claimId = kept.find(({ hash }) => hash === unknown.hash)?.claimId ?? uuidv7();
      const times = { at: clock.now(), keptUntil: this.#until + KEPT_MS };
      const row = { id: uuidv7(), claimId, ...unknown, ...request, bytes, ...times };
      await trx
        .insertInto("integration_claims")
        .values({ ...row, outcome: null, assignedAt: null, integrationId: null })
        .execute();
      addEffect(trx, { type: "claims-changed" });
      return kept.length === 0;
    });
    if (isFirst) await this.#tell().catch((err: unknown) => this.#parts.log.warn({ err }, "cannot tell of a claim"));
  }

  /** Without room for it, a close still ends the alert of its key, which is then not replayed. @throws INVALID_API_KEY */
  async #end({ hash }: Unknown, { action, alias }: NewRequest): Promise<void> {
    const isEnded = (each: Kept): boolean =>
      each.hash === hash && each.action === "create" && each.alias === alias && each.outcome === null;
    if (action !== "close" || alias === null || !this.#current().some(isEnded))
      throw new PrismError("INVALID_API_KEY", "Could not authenticate");
    await this.#parts.db.write(async (trx) => {
      await trx
        .updateTable("integration_claims")
        .set({ outcome: "closed" })
        .where("hash", "=", hash)
        .where("alias", "=", alias)
        .where("action", "=", "create")
        .where("assignedAt", "is", null)
        .execute();
      addEffect(trx, { type: "claims-changed" });
    });
  }

  /** Drops what was kept of a key that waits. @returns its first characters. @throws NOT_FOUND */
  async discard(trx: Trx, id: string): Promise<string> {
    const rows = await trx
      .deleteFrom("integration_claims")
      .where("claimId", "=", id)
      .where("assignedAt", "is", null)
      .returning("prefix")
      .execute();
    const [first] = rows;
    if (!first) throw noClaim();
    addEffect(trx, { type: "claims-changed" });
    return first.prefix;
  }

  /** Opens the window until then, or closes it. Open claims are kept for a week after its end. */
  async setWindow(trx: Trx, until: EpochMs): Promise<void> {
    const now = this.#parts.clock.now();
    // Closing a window that has ended does not keep them for longer.
    const end = until > now ? until : Math.min(this.#until, now);
    await putSetting(trx, SETTING, end, now);
    await trx
      .updateTable("integration_claims")
      .set({ keptUntil: end + KEPT_MS })
      .execute();
    addEffect(trx, { type: "claims-changed" });
  }

  /** Tells administrators of the first one. */
  async #tell(): Promise<void> {
    const recipients = (await administrators(this.#parts.db.read)).map(({ id }) => id);
    if (recipients.length === 0) return;
    const message =
      "A request with a key that this server does not know was kept. See Connect, or prism integrations claims.";
    await this.#parts
      .notify()
      .send({ recipients, title: "An Opsgenie key waits", message, priority: PRIORITY, data: {} });
  }
}

export function noClaim(): PrismError {
  return new PrismError("NOT_FOUND", "No such claim, or it is assigned");
}

function keptRows(db: ReadDb | Trx): Promise<Kept[]> {
  return db.selectFrom("integration_claims").select(KEPT).where("assignedAt", "is", null).execute();
}

/** Whether a request may be kept: the newest is refused, and none makes room for it. */
function hasRoom(kept: readonly Kept[], { hash, address }: Unknown, bytes: number): boolean {
  const ofKey = kept.filter((each) => each.hash === hash).length;
  const fits = (rows: readonly Kept[], share: number): boolean =>
    rows.length < MAX_REQUESTS * share &&
    rows.reduce((sum, row) => sum + row.bytes, bytes) <= MAX_BYTES * share &&
    (ofKey > 0 || new Set(rows.map((row) => row.hash)).size < MAX_KEYS * share);
  const ofAddress = kept.filter((each) => each.address === address);
  return ofKey < MAX_OF_KEY && fits(kept, 1) && fits(ofAddress, SHARE_OF_ADDRESS);
}

export const CLAIM_SWEEPS = [
  sweepRows(
    "integration_claims",
    (db, now) => db.selectFrom("integration_claims").select("id").where("keptUntil", "<=", now),
    {
      async remove(trx, keys) {
        const ids = keys.map(({ id }) => id);
        await trx.deleteFrom("integration_claims").where("id", "in", ids).execute();
        addEffect(trx, { type: "claims-changed" });
      },
    },
  ),
];
