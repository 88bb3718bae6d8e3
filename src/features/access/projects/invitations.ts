import { toRfc3339 } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import type { UserPrincipal } from "../../../core/principal.ts";
import { RateLimiter, requireAllowed } from "../../../http/rate-limiter.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { ProjectRole } from "../../../store/schema.ts";
import type { OpenInvitation, ProjectInvitations } from "../accounts/project-invitations.ts";
import { namesOf } from "../user-admin.ts";
import type { ProjectsContext } from "./context.ts";
import { requireStill } from "./still-may.ts";

const HOUR_MS = 3_600_000;
const PER_INVITER = 20;
const PER_ADDRESS = 5;
const MAX_CALLERS = 10_000;
const MAX_OPEN = 100;

/**
 * Invitations to a project: its owners send them, the invited person decides. No answer depends on whether the address has an account.
 */
export class Invitations {
  readonly #context: ProjectsContext;
  readonly #store: ProjectInvitations;
  readonly #limiter: RateLimiter;

  constructor(context: ProjectsContext) {
    this.#context = context;
    this.#store = context.projectInvitations;
    this.#limiter = new RateLimiter(context.clock, MAX_CALLERS, HOUR_MS);
  }

  /**
   * Invites a mail address, by mail where mail can be sent; otherwise the answer has the link.
   * @throws VALIDATION_FAILED, RATE_LIMITED (20 an hour of one inviter, 5 to one address), LIMIT_REACHED (100 are open)
   */
  async invite(principal: UserPrincipal, projectId: string, address: string, role: ProjectRole) {
    const { db, accountMail } = this.#context;
    const email = namesOf({ email: address }).email ?? "";
    this.#limit(principal.userId, email);
    const { invitation, token } = await db.write(async (trx) => {
      await requireStill(this.#context, principal, projectId, "project:manage", trx);
      if ((await this.#store.ofProject(projectId, MAX_OPEN, trx)).length >= MAX_OPEN)
        throw new PrismError("LIMIT_REACHED", `${MAX_OPEN} invitations of this project are open; revoke some`);
      const { id, token } = await this.#store.invite({ projectId, email, role, invitedBy: principal.userId }, trx);
      const invitation = await this.#require(id, projectId, trx);
      if (accountMail.isConfigured) await accountMail.projectInvitation(email, invitation, token, trx);
      return { invitation, token };
    });
    const view = invitationView(invitation);
    if (accountMail.isConfigured) return view;
    return { ...view, inviteUrl: accountMail.link("project-invitation", token) };
  }

  /** What is open of a project, for its owners. */
  async list(principal: UserPrincipal, ref: string) {
    const { db, projects } = this.#context;
    const projectId = projects.require(principal, ref, "project:manage");
    return { data: (await this.#store.ofProject(projectId, MAX_OPEN, db.read)).map(invitationView) };
  }

  /** @throws INVITATION_NOT_FOUND */
  async revoke(principal: UserPrincipal, ref: string, id: string): Promise<void> {
    const { db, projects } = this.#context;
    const projectId = projects.require(principal, ref, "project:manage");
    await db.write(async (trx) => {
      await requireStill(this.#context, principal, projectId, "project:manage", trx);
      await this.#store.close(await this.#require(id, projectId, trx), "invitation.revoke", trx);
    });
  }

  /** What is open to the caller's own address. */
  async own(principal: UserPrincipal) {
    const { read } = this.#context.db;
    const email = await this.#ownAddress(principal.userId, read);
    const found = email === null ? [] : await this.#store.ofAddress(email, read);
    return { data: found.map(invitedViewOf) };
  }

  /** The caller becomes a member. @throws INVITATION_NOT_FOUND */
  async accept(principal: UserPrincipal, id: string) {
    return this.#context.db.write(async (trx) => {
      const invitation = await this.#requireOwn(principal, id, trx);
      await this.#store.accept(invitation, principal.userId, trx);
      return invitedViewOf(invitation);
    });
  }

  /** As {@link accept}, with the token of a link: whoever has the link may come in, under any address. @throws LINK_EXPIRED */
  async acceptLink(principal: UserPrincipal, token: string) {
    return this.#context.db.write(async (trx) => {
      const invitation = await this.#store.ofToken(token, trx);
      await this.#store.accept(invitation, principal.userId, trx);
      return invitedViewOf(invitation);
    });
  }

  /** @throws INVITATION_NOT_FOUND */
  async decline(principal: UserPrincipal, id: string): Promise<void> {
    await this.#context.db.write(async (trx) =>
      this.#store.close(await this.#requireOwn(principal, id, trx), "invitation.decline", trx),
    );
  }

  /** What a link is about, for a page that shows it before anyone has logged in. @throws LINK_EXPIRED */
  async ofLink(token: string) {
    const { db, config } = this.#context;
    const { email, ...invitation } = await this.#store.ofToken(token, db.read);
    return { ...invitedViewOf({ ...invitation, email }), email, registration: config.auth.registration };
  }

  async #require(id: string, projectId: string, db: ReadDb | Trx): Promise<OpenInvitation> {
    const found = await this.#store.find(id, db);
    if (found?.projectId !== projectId) throw noSuchInvitation();
    return found;
  }

  async #requireOwn({ userId }: UserPrincipal, id: string, trx: Trx): Promise<OpenInvitation> {
    const email = await this.#ownAddress(userId, trx);
    const found = await this.#store.find(id, trx);
    if (!found || found.email !== email) throw noSuchInvitation();
    return found;
  }

  /**
   * The caller's address, as far as it is known to be theirs. Where anybody registers under any address without confirming it, and for an
   * address that users changed by themselves, the link in the mail is the only way in.
   */
  async #ownAddress(userId: string, db: ReadDb | Trx): Promise<string | null> {
    const { registration, requireEmailVerification } = this.#context.config.auth;
    if (registration === "open" && !requireEmailVerification) return null;
    const user = await db
      .selectFrom("users")
      .select(["email", "hasChosenEmail"])
      .where("id", "=", userId)
      .executeTakeFirst();
    return user && user.hasChosenEmail === 0 ? user.email : null;
  }

  #limit(inviterId: string, email: string): void {
    if (!this.#context.settings.rateLimit.enabled) return;
    for (const [key, limit] of [
      [`inviter:${inviterId}`, PER_INVITER],
      [`address:${email}`, PER_ADDRESS],
    ] as const) {
      requireAllowed(this.#limiter.take(key, limit, 1, "invitations"), "Too many invitations");
    }
  }
}

function noSuchInvitation(): PrismError {
  return new PrismError("INVITATION_NOT_FOUND", "No such invitation is open");
}

function invitationView({ id, email, role, invitedBy, createdAt, expiresAt }: OpenInvitation) {
  return { id, email, role, invitedBy, createdAt: toRfc3339(createdAt), expiresAt: toRfc3339(expiresAt) };
}

function invitedViewOf({ id, projectId, projectName, role, inviterName, expiresAt }: OpenInvitation) {
  return { id, projectId, projectName, role, invitedBy: inviterName, expiresAt: toRfc3339(expiresAt) };
}
