import type { Database as Sqlite } from "better-sqlite3";
import { cleanText, codePointLength } from "../../core/clean-text.ts";
import type { Clock } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import type { Logger } from "../../core/log.ts";
import { TtlCache } from "../../core/ttl-cache.ts";
import type { Database } from "../../store/database.ts";
import { plainName } from "./accounts/login-name.ts";
import type { IssuerIdentity } from "./issuer-tokens.ts";
import type { NewUser, UserAdmin } from "./user-admin.ts";

const MAX_UNDER_WAY = 64;
const FAILED_MS = 60_000;
const MAX_FAILED = 1000;
const RETRY_AFTER_MS = 1000;
const MAX_EXTERNAL_ID = 128;

export interface IssuerUsersParts {
  readonly reader: Sqlite;
  readonly database: Database;
  readonly userAdmin: UserAdmin;
  readonly clock: Clock;
  readonly log: Logger;
  /** What the claim is compared with. */
  readonly userField: "externalId" | "id" | "email";
  /** Roles of an account that the first token of a user makes; null: none is made. */
  readonly provisionRoles: readonly string[] | null;
}

/** The accounts that the tokens of an issuer mean. */
export class IssuerUsers {
  readonly #parts: IssuerUsersParts;
  readonly #find;
  readonly #underWay = new Set<string>();
  readonly #failed: TtlCache<string, true>;

  constructor(parts: IssuerUsersParts) {
    this.#parts = parts;
    const { reader, clock } = parts;
    this.#failed = new TtlCache({ maxEntries: MAX_FAILED, ttlMs: FAILED_MS, clock });
    this.#find = {
      externalId: reader.prepare<[string], { id: string }>(
        "select id from users where externalId = ? and deletedAt is null",
      ),
      id: reader.prepare<[string], { id: string }>("select id from users where id = ? and deletedAt is null"),
      email: reader.prepare<[string], { id: string }>("select id from users where email = ? and deletedAt is null"),
    }[parts.userField];
  }

  /**
   * The id of the account, whatever its status.
   * @throws TOKEN_INVALID where there is none; OVERLOADED while one is made, for a socket cannot wait for it
   */
  idOf(identity: IssuerIdentity): string {
    const { userField, provisionRoles } = this.#parts;
    const ref = userField === "email" ? plainName(identity.ref) : identity.ref;
    const found = this.#find.get(ref);
    if (found) return found.id;
    if (provisionRoles === null || this.#failed.get(ref) || !this.#isPossible(ref))
      throw new PrismError("TOKEN_INVALID", "The account of this token does not exist");
    if (!this.#underWay.has(ref) && this.#underWay.size < MAX_UNDER_WAY)
      void this.#provision(identity, ref, provisionRoles);
    throw new PrismError("OVERLOADED", "The account of this token is being made", { retryAfterMs: RETRY_AFTER_MS });
  }

  #isPossible(ref: string): boolean {
    if (this.#parts.userField === "id") return isUuid(ref);
    return cleanText(ref) === ref && ref !== "me" && codePointLength(ref) <= MAX_EXTERNAL_ID;
  }

  async #provision(identity: IssuerIdentity, ref: string, roles: readonly string[]): Promise<void> {
    const { database, userAdmin, userField, log } = this.#parts;
    const name = cleanText(identity.name ?? "").slice(0, MAX_EXTERNAL_ID) || ref;
    const user: NewUser = { name, roles, [userField]: ref };
    const { email } = identity;
    const make = (values: NewUser): Promise<void> =>
      database.write(async (trx) => {
        await userAdmin.create(values, trx, "issuer");
      });
    this.#underWay.add(ref);
    try {
      // An address that another account has, or that cannot be kept, is left out: who is meant says the claim.
      if (userField === "email" || email === undefined) await make(user);
      else await make({ ...user, email }).catch(() => make(user));
    } catch (error) {
      this.#failed.set(ref, true);
      log.warn({ err: error }, "the account of a token of the issuer could not be made");
    }
    this.#underWay.delete(ref);
  }
}
