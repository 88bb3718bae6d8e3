import { PrismError } from "../../../core/errors.ts";
import type { Logger } from "../../../core/log.ts";
import { addEffect, type Database } from "../../../store/database.ts";
import type { UserStatus } from "../../../store/schema.ts";
import type { AuditService } from "../../audit/index.ts";
import type { AccountMail } from "./account-mail.ts";
import type { AccountPolicy, Accounts } from "./accounts.ts";
import type { LoginBackoff } from "./login-backoff.ts";
import { plainName } from "./login-name.ts";
import { linkExpired, type OneTimeKind, type OneTimeTokens } from "./one-time-tokens.ts";
import type { ClientInfo } from "./sessions.ts";

export interface AccountLinksParts {
  readonly database: Database;
  readonly audit: AuditService;
  readonly accounts: Accounts;
  readonly oneTimeTokens: OneTimeTokens;
  readonly backoff: LoginBackoff;
  readonly mail: AccountMail;
  readonly policy: AccountPolicy;
  readonly log: Logger;
  /** Told after an account's rights have changed. */
}

/** One mail of a kind in this time, and so many links that are good at once: an address must not be filled with mail. */
const PAUSE_MS = 60_000;
const MAX_LINKS = 5;

/**
 * What the links in mails do. Whoever asks for such a mail is answered before anything is looked up, and learns neither from the answer nor from
 * its time whether there is an account.
 */
export class AccountLinks {
  readonly #parts: AccountLinksParts;
  readonly #underWay = new Set<Promise<void>>();

  constructor(parts: AccountLinksParts) {
    this.#parts = parts;
  }

  /** Sends another confirmation link to an account that waits for one. Returns at once. */
  resendVerification(email: string): void {
    this.#sendLink(email, "verify_email", (status) => status === "unverified");
  }

  /** Sends a link to choose a new password. Returns at once. */
  forgotPassword(email: string): void {
    this.#sendLink(email, "reset_password", (status) => status !== "disabled");
  }

  /** Resolves when what was asked for so far has been done, up to the jobs that send the mails. */
  async idle(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  /** @returns what the account is now: active, or pending where somebody has yet to approve it. @throws LINK_EXPIRED */
  async verifyEmail(token: string): Promise<UserStatus> {
    const { database, oneTimeTokens, audit, policy } = this.#parts;
    return database.write(async (trx) => {
      const userId = await oneTimeTokens.consume(token, "verify_email", trx);
      const account = await trx
        .selectFrom("users")
        .select("status")
        .where("id", "=", userId)
        .where("deletedAt", "is", null)
        .executeTakeFirst();
      // An account that was closed since is not opened by an old mail.
      if (!account || account.status === "disabled") throw linkExpired();
      if (account.status !== "unverified") return account.status;
      const status = policy.registration === "open" ? "active" : "pending";
      await trx.updateTable("users").set({ status }).where("id", "=", userId).execute();
      await audit.record(
        {
          action: "user.update",
          resourceType: "user",
          resourceId: userId,
          byUser: userId,
          metadata: { changed: ["status"], status },
        },
        { trx },
      );
      addEffect(trx, { type: "rights-changed", of: "user", userId });
      return status;
    });
  }

  /** Sets the password of the account that a link was sent to; all its sessions end. @throws LINK_EXPIRED, WEAK_PASSWORD, OVERLOADED */
  async resetPassword(token: string, password: string, client: ClientInfo): Promise<void> {
    const { database, oneTimeTokens, accounts, backoff } = this.#parts;
    // Before the password is hashed: hashing is dear, and must not be had for the asking.
    const userId = await oneTimeTokens.ownerOf(token, "reset_password", database.read);
    const account = await database.read
      .selectFrom("users")
      .select(["status", "email", "username", "phone"])
      .where("id", "=", userId)
      .executeTakeFirst();
    if (!account || account.status === "disabled") throw linkExpired();
    await accounts.setPassword(userId, password, {
      before: async (trx) => {
        await oneTimeTokens.consume(token, "reset_password", trx);
      },
    });
    // The mailbox has shown who is here: guesses, from here or elsewhere, do not keep the owner waiting.
    for (const name of [account.email, account.username, account.phone])
      if (name !== null) backoff.trust(name, client.ip);
  }

  #sendLink(email: string, kind: Exclude<OneTimeKind, "invite">, isMeant: (status: UserStatus) => boolean): void {
    const { mail, log } = this.#parts;
    if (!mail.isConfigured) {
      mail.warnUnconfigured();
      return;
    }
    const work = this.#makeLink(plainName(email), kind, isMeant)
      .catch((error: unknown) => {
        const code = error instanceof PrismError ? error.code : "INTERNAL";
        log.warn({ err: error, code, kind }, "a link could not be made");
      })
      .finally(() => this.#underWay.delete(work));
    this.#underWay.add(work);
  }

  /** Nothing where no account is meant, or one was sent just now. */
  async #makeLink(
    email: string,
    kind: Exclude<OneTimeKind, "invite">,
    isMeant: (status: UserStatus) => boolean,
  ): Promise<void> {
    const { database, oneTimeTokens, mail } = this.#parts;
    // The answer goes out first.
    await new Promise((resolve) => setImmediate(resolve));
    const account = await database.read
      .selectFrom("users")
      .select(["id", "status"])
      .where("email", "=", email)
      .where("deletedAt", "is", null)
      .executeTakeFirst();
    if (!account || !isMeant(account.status)) return;
    await database.write(async (trx) => {
      const { count, isRecent } = await oneTimeTokens.openOf(account.id, kind, PAUSE_MS, trx);
      if (isRecent || count >= MAX_LINKS) return;
      // Earlier links stay good: a stranger who asks for one more must not spoil the one that its owner is about to open.
      const token = await oneTimeTokens.add(account.id, kind, trx);
      if (kind === "verify_email") await mail.verifyEmail(email, token, trx);
      else await mail.resetPassword(email, token, trx);
    });
  }
}
