import { createSecretKey, randomBytes } from "node:crypto";
import { hmac } from "../../../core/crypto/hmac.ts";
import { TtlCache } from "../../../core/limits/ttl-cache.ts";
import type { LiveSettings } from "../../../http/server/live-settings.ts";
import type { Uses } from "../../../module/feature.ts";
import type { PasswordOwner } from "../sessions/login.ts";

const MAX_PASSWORDS = 10_000;

/**
 * Correct passwords by a keyed hash, for clients that send one with each request: bcrypt is slow. An
 * entry is valid until it expires, the password changes, a second factor is enabled or `auth.localLogin` is not `on`.
 */
export class KnownPasswords {
  readonly #key = createSecretKey(randomBytes(32));
  readonly #owners: TtlCache<string, PasswordOwner>;
  readonly #sql;

  readonly #settings: LiveSettings;

  constructor({ reader, clock, settings }: Uses<"reader" | "clock" | "settings">, ttlMs: number) {
    this.#settings = settings;
    this.#owners = new TtlCache({ ttlMs, maxEntries: MAX_PASSWORDS, clock });
    this.#sql = {
      password: reader.prepare<[string], { passwordChangedAt: number | null }>(
        "select passwordChangedAt from users where id = ? and deletedAt is null",
      ),
      factor: reader.prepare<{ id: string }, object>(
        `select 1 from second_factors where userId = :id and enabledAt is not null
         union all select 1 from passkeys where userId = :id`,
      ),
    };
  }

  get(login: string, password: string): PasswordOwner | null {
    const owner = this.#owners.get(this.#hash(login, password));
    return owner && this.isUnchanged(owner) ? owner : null;
  }

  add(login: string, password: string, owner: PasswordOwner): void {
    this.#owners.set(this.#hash(login, password), owner);
  }

  isUnchanged({ userId, passwordChangedAt }: PasswordOwner): boolean {
    if (this.#settings.current.auth.localLogin !== "on") return false;
    const row = this.#sql.password.get(userId);
    return row?.passwordChangedAt === passwordChangedAt && this.#sql.factor.get({ id: userId }) === undefined;
  }

  #hash(login: string, password: string): string {
    return hmac("sha256", this.#key).update(`${login.length} ${login} ${password}`).digest("base64");
  }
}
