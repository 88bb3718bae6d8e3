import type { Clock } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import { addEffect, type Database, type ReadDb, type Trx } from "../../../store/database.ts";
import type { UserStatus } from "../../../store/schema.ts";
import type { AuditService } from "../../audit/index.ts";
import type { AccessTokens } from "../access-tokens.ts";
import { accountError } from "../account-error.ts";
import { requireLoginName, type UserAdmin } from "../user-admin.ts";
import type { AccountMail } from "./account-mail.ts";
import { KNOWN_PAIR_MS, type LoginBackoff } from "./login-backoff.ts";
import { findByLoginName, type LoginNames, loginNameOf, plainName } from "./login-name.ts";
import { linkExpired, type OneTimeTokens } from "./one-time-tokens.ts";
import type { PasswordHasher } from "./password-hasher.ts";
import { requirePossible, requireStrong } from "./password-text.ts";
import type { OpenInvitation, ProjectInvitations } from "./project-invitations.ts";
import { type ClientInfo, hasSessionFrom, type OpenSession, type RevokeReason, type Sessions } from "./sessions.ts";
import { useSetupToken } from "./setup-token.ts";

export interface AccountPolicy {
  readonly registration: "approval" | "open" | "closed";
  readonly requireEmailVerification: boolean;
  readonly passwordMin: number;
}

export interface AccountsParts {
  readonly database: Database;
  readonly audit: AuditService;
  readonly clock: Clock;
  readonly hasher: PasswordHasher;
  readonly sessions: Sessions;
  readonly oneTimeTokens: OneTimeTokens;
  readonly invitations: ProjectInvitations;
  readonly backoff: LoginBackoff;
  readonly admin: UserAdmin;
  readonly accessTokens: AccessTokens;
  readonly mail: AccountMail;
  readonly policy: AccountPolicy;
  /** Told after an account's rights have changed. */
}

export interface Registration {
  readonly email?: string | undefined;
  readonly username?: string | undefined;
  readonly phone?: string | undefined;
  readonly password: string;
  readonly name?: string | undefined;
  readonly timezone?: string | undefined;
  readonly inviteToken?: string | undefined;
  readonly setupToken?: string | undefined;
  /** Of the link of an invitation to a project: the account is made as by any registration, confirmed, and joins the project. */
  readonly projectInviteToken?: string | undefined;
}

/** What a client gets that has shown who it is (D12). */
export interface Login {
  readonly userId: string;
  readonly accessToken: string;
  /** Epoch ms. */
  readonly accessExpiresAt: number;
  readonly session: OpenSession;
}

/** Accounts from the side of their owners: registering, logging in, staying logged in, changing what opens the account. */
export class Accounts {
  readonly #parts: AccountsParts;

  constructor(parts: AccountsParts) {
    this.#parts = parts;
  }

  /**
   * @returns the login as well where the account is active at once and the policy is `open`.
   * @throws REGISTRATION_CLOSED, FORBIDDEN (setup token), LINK_EXPIRED (invitation), WEAK_PASSWORD, INVALID_TIMEZONE, EMAIL_TAKEN, USERNAME_TAKEN,
   * PHONE_TAKEN, OVERLOADED
   */
  async register(
    registration: Registration,
    client: ClientInfo,
  ): Promise<{ userId: string; status: UserStatus; login: Login | null }> {
    const { policy, hasher, database } = this.#parts;
    const { setupToken, inviteToken, password, email, username, phone } = registration;
    if (inviteToken === undefined) requireLoginName(registration);
    const isInvited = setupToken !== undefined || inviteToken !== undefined;
    if (policy.registration === "closed" && !isInvited)
      throw new PrismError("REGISTRATION_CLOSED", "Registration is closed; ask an administrator");
    if (registration.projectInviteToken !== undefined)
      await this.#projectInvitation(registration, registration.projectInviteToken, database.read);
    const invited = inviteToken === undefined ? null : await this.#invited(inviteToken, database.read);
    requireStrong(password, policy.passwordMin, [email, username, phone, invited?.email, invited?.username]);
    const passwordHash = await hasher.hash(password);
    const { made, session } = await database.write(async (trx) => {
      const made = await this.#make(registration, passwordHash, trx);
      if (made.verifyToken !== null && made.email !== null)
        await this.#parts.mail.verifyEmail(made.email, made.verifyToken, trx);
      const isLoggedIn = made.status === "active" && (policy.registration === "open" || isInvited);
      return { made, session: isLoggedIn ? await this.#open(made.userId, client, trx) : null };
    });
    return { userId: made.userId, status: made.status, login: session && (await this.#loginOf(session)) };
  }

  async #make(
    registration: Registration,
    passwordHash: string,
    trx: Trx,
  ): Promise<{ userId: string; status: UserStatus; email: string | null; verifyToken: string | null }> {
    const { policy, admin, oneTimeTokens } = this.#parts;
    const { inviteToken, setupToken } = registration;
    if (inviteToken !== undefined) {
      await this.#invited(inviteToken, trx);
      const userId = await oneTimeTokens.consume(inviteToken, "invite", trx);
      await admin.acceptInvitation(userId, { ...registration, passwordHash }, trx);
      return { userId, status: "active", email: null, verifyToken: null };
    }
    if (setupToken !== undefined) await useSetupToken(setupToken, trx);
    const { projectInviteToken } = registration;
    const invitation = projectInviteToken
      ? await this.#projectInvitation(registration, projectInviteToken, trx)
      : undefined;
    const isOpen = policy.registration === "open";
    // A link that came by mail has confirmed the address.
    const isConfirmed = setupToken !== undefined || invitation !== undefined;
    const mustVerify = isOpen && policy.requireEmailVerification && !isConfirmed;
    const status = setupToken !== undefined ? "active" : !isOpen ? "pending" : mustVerify ? "unverified" : "active";
    const roles = setupToken !== undefined ? ["Admin"] : isOpen ? ["User"] : [];
    const { id, email } = await admin.create({ ...registration, status, roles, passwordHash }, trx);
    if (invitation) await this.#parts.invitations.accept(invitation, id, trx);
    const verifyToken = mustVerify && email !== null ? await oneTimeTokens.create(id, "verify_email", trx) : null;
    return { userId: id, status, email, verifyToken };
  }

  /** The invitation of a link, which is for the address that registers. @throws LINK_EXPIRED, VALIDATION_FAILED */
  async #projectInvitation({ email = "" }: Registration, token: string, db: ReadDb | Trx): Promise<OpenInvitation> {
    const invitation = await this.#parts.invitations.ofToken(token, db);
    if (plainName(email) === invitation.email) return invitation;
    throw new PrismError("VALIDATION_FAILED", "The body is not valid", {
      details: [{ path: "email", code: "VALUE", message: "must be the address that was invited" }],
    });
  }

  /** The account that an invitation opens. An administrator may have closed it since. @throws LINK_EXPIRED */
  async #invited(inviteToken: string, db: ReadDb) {
    const userId = await this.#parts.oneTimeTokens.ownerOf(inviteToken, "invite", db);
    const account = await accountOf(userId, db);
    if (!account || account.status === "disabled") throw linkExpired();
    return account;
  }

  /**
   * A wrong password, an unknown name and an account without password answer alike and take as long.
   * @throws INVALID_CREDENTIALS, RATE_LIMITED, OVERLOADED, VALIDATION_FAILED for what is no password; ACCOUNT_PENDING, ACCOUNT_DISABLED and
   * ACCOUNT_UNVERIFIED for the right password only
   */
  async login(names: LoginNames, password: string, client: ClientInfo): Promise<Login> {
    const { database, hasher } = this.#parts;
    const name = loginNameOf(names);
    const user = await this.#guess(name.key, password, client, () => findByLoginName(name, database.read));
    if (!user) throw new PrismError("INVALID_CREDENTIALS", "The login name or the password is not right");
    if (user.status !== "active") {
      await this.#refuse(user.id, user.status);
      throw accountError(user.status);
    }
    const isOutdated = user.passwordHash !== null && hasher.isOutdated(user.passwordHash);
    // Somebody who is right is not sent away because there is no room to hash anew: the next login will.
    const newHash = isOutdated ? await hasher.hash(password).catch(() => null) : null;
    const session = await database.write(async (trx) => {
      // As it stands now: while the password was checked the account may have been closed, or got another password.
      const now = await accountOf(user.id, trx);
      if (!now || now.passwordChangedAt !== user.passwordChangedAt)
        throw new PrismError("INVALID_CREDENTIALS", "The login name or the password is not right");
      if (now.status !== "active") throw accountError(now.status);
      if (newHash !== null && now.passwordHash === user.passwordHash)
        await trx.updateTable("users").set({ passwordHash: newHash }).where("id", "=", user.id).execute();
      return this.#open(user.id, client, trx);
    });
    return this.#loginOf(session);
  }

  /**
   * Whether the owner of a login name has logged in from this address in the last thirty days. Remembered over restarts: sessions keep
   * their address.
   */
  async isKnown(names: LoginNames, client: ClientInfo): Promise<boolean> {
    const { backoff, database, clock } = this.#parts;
    const name = loginNameOf(names);
    if (backoff.isKnown(name.key, client.ip)) return true;
    const user = await findByLoginName(name, database.read);
    const since = clock.now() - KNOWN_PAIR_MS;
    // Asked for an unknown name too: it must cost as many queries.
    const isKnown = await hasSessionFrom(user?.id ?? "", client.ip, since, database.read);
    if (isKnown) backoff.recall(name.key, client.ip);
    return isKnown;
  }

  /**
   * One guess at a password, counted as failed until it turns out right. What bcrypt is not asked about is no guess.
   * @param find the account. @returns the account whose password it is; null when there is none. @throws RATE_LIMITED, OVERLOADED, VALIDATION_FAILED
   */
  async #guess<A extends { readonly id: string; readonly passwordHash: string | null }>(
    key: string,
    password: string,
    client: ClientInfo,
    find: () => Promise<A | undefined>,
  ): Promise<A | null> {
    const { backoff, hasher } = this.#parts;
    requirePossible(password);
    const attempt = backoff.begin(key, client.ip);
    let account: A | undefined;
    let isRight: boolean;
    try {
      account = await find();
      isRight = await hasher.verify(password, account?.passwordHash ?? null);
    } catch (error) {
      attempt.withdrawn();
      throw error;
    }
    if (account && isRight) {
      attempt.succeeded();
      return account;
    }
    await this.#refuse(account?.id ?? null, account ? "password" : "unknown");
    return null;
  }

  /** Continues a session. @throws what {@link Sessions.rotate} throws */
  async refresh(refreshToken: string, client: ClientInfo): Promise<Login> {
    return this.#loginOf(await this.#parts.sessions.rotate(refreshToken, client));
  }

  /** @param session `id` null: the credential belongs to no session. @param all ends every session of the user. */
  async logout({ id, userId }: { readonly id: string | null; readonly userId: string }, all: boolean): Promise<void> {
    const { database, sessions, audit } = this.#parts;
    await database.write(async (trx) => {
      if (all) await sessions.revokeAll(userId, "logout", trx);
      else if (id === null || !(await sessions.revoke(id, userId, "logout", trx))) return;
      const metadata = id === null ? { all } : { sessionId: id, all };
      await audit.record(
        { action: "auth.logout", resourceType: "user", resourceId: userId, byUser: userId, metadata },
        { trx },
      );
    });
  }

  /** @returns false when it has ended already. */
  async endSession(
    { id, userId }: { readonly id: string; readonly userId: string },
    reason: RevokeReason,
  ): Promise<boolean> {
    const { database, sessions, audit } = this.#parts;
    return database.write(async (trx) => {
      if (!(await sessions.revoke(id, userId, reason, trx))) return false;
      const metadata = { sessionId: id, reason };
      await audit.record({ action: "auth.logout", resourceType: "user", resourceId: userId, metadata }, { trx });
      return true;
    });
  }

  /** @throws INVALID_CREDENTIALS, WEAK_PASSWORD, RATE_LIMITED */
  async changePassword(
    { userId, sessionId }: { userId: string; sessionId: string | null },
    currentPassword: string,
    password: string,
    client: ClientInfo,
  ): Promise<void> {
    await this.requirePassword(userId, currentPassword, client);
    await this.setPassword(userId, password, { keepSession: sessionId });
  }

  /**
   * Asks the owner of an account for the password again; guesses are slowed down like logins.
   * @throws INVALID_CREDENTIALS, RATE_LIMITED, OVERLOADED, VALIDATION_FAILED
   */
  async requirePassword(userId: string, password: string, client: ClientInfo): Promise<void> {
    // No login name begins with a tab: guessing those does not slow the owner down here.
    const key = `\tid:${userId}`;
    const account = await this.#guess(key, password, client, () => accountOf(userId, this.#parts.database.read));
    if (!account) throw new PrismError("INVALID_CREDENTIALS", "The password is not right");
  }

  /** Sets a new password; all sessions end but the one to keep. @throws WEAK_PASSWORD, OVERLOADED, USER_NOT_FOUND */
  async setPassword(
    userId: string,
    password: string,
    { keepSession = null, before }: { keepSession?: string | null; before?: (trx: Trx) => Promise<void> } = {},
  ): Promise<void> {
    const { database, hasher, sessions, oneTimeTokens, audit, clock, policy } = this.#parts;
    const account = await accountOf(userId, database.read);
    if (!account) throw new PrismError("USER_NOT_FOUND", "No such user");
    requireStrong(password, policy.passwordMin, [account.email, account.username, account.phone]);
    const passwordHash = await hasher.hash(password);
    await database.write(async (trx) => {
      await before?.(trx);
      const now = clock.now();
      await trx
        .updateTable("users")
        .set({ passwordHash, passwordChangedAt: now, updatedAt: now })
        .where("id", "=", userId)
        .execute();
      await sessions.revokeAll(userId, "password", trx, keepSession);
      await oneTimeTokens.revokeAll(userId, trx, "reset_password");
      await audit.record(
        {
          action: "user.update",
          resourceType: "user",
          resourceId: userId,
          byUser: userId,
          metadata: { changed: ["password"] },
        },
        { trx },
      );
      addEffect(trx, { type: "rights-changed", of: "user", userId });
    });
  }

  async #open(userId: string, client: ClientInfo, trx: Trx): Promise<OpenSession> {
    const { sessions, audit, clock } = this.#parts;
    const session = await sessions.open(userId, client, trx);
    await trx.updateTable("users").set({ lastLoginAt: clock.now() }).where("id", "=", userId).execute();
    await audit.record(
      {
        action: "auth.login",
        resourceType: "user",
        resourceId: userId,
        byUser: userId,
        metadata: { sessionId: session.id },
      },
      { trx },
    );
    return session;
  }

  /** Signing is no work for a transaction. */
  async #loginOf(session: OpenSession): Promise<Login> {
    const { token, expiresAt } = await this.#parts.accessTokens.issue(session.userId, session.id);
    return { userId: session.userId, accessToken: token, accessExpiresAt: expiresAt, session };
  }

  async #refuse(userId: string | null, reason: string): Promise<void> {
    await this.#parts.audit.record({
      action: "auth.login_failed",
      resourceType: "user",
      ...(userId === null ? {} : { resourceId: userId }),
      metadata: { reason },
    });
  }
}

async function accountOf(userId: string, db: ReadDb) {
  return db
    .selectFrom("users")
    .select(["id", "status", "passwordHash", "passwordChangedAt", "email", "username", "phone"])
    .where("id", "=", userId)
    .where("deletedAt", "is", null)
    .executeTakeFirst();
}
