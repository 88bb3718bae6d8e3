import { randomBytes } from "node:crypto";
import { type Clock, HOUR_MS, toRfc3339 } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { PermissionHolder, UserPrincipal } from "../../../core/principal.ts";
import { hashToken } from "../../../core/tokens.ts";
import { requireAccount } from "../../../http/access.ts";
import { RateLimiter, requireAllowed } from "../../../http/rate-limiter.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import type { ProjectRole } from "../../../store/schema.ts";
import { changeProject } from "../authorize.ts";
import { type RecordContext, recordChange } from "../context.ts";
import { linkExpired } from "../sessions/mail-links.ts";
import { namesOf } from "../users/create-user.ts";
import type { ProjectsContext } from "./service.ts";

const LIFE_MS = 7 * 24 * 3_600_000;
const TOKEN_BYTES = 32;
const MAX_OF_USER = 100;

interface NewInvitation {
  readonly projectId: string;
  /** Normalised like login names. */
  readonly email: string;
  readonly role: ProjectRole;
  readonly invitedBy: string;
}

/**
 * An open invitation, as shown to the invited person. It is open for a week, until it is accepted,
 * declined or revoked.
 */
export interface OpenInvitation extends NewInvitation {
  readonly id: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly projectName: string;
  readonly inviterName: string;
}

/**
 * Creates an invitation. The audit trail omits its address, which may belong to a person without an
 * account. An existing invitation of the address in this project gets the new role, a new link and
 * a new week.
 */
export async function createInvitation(
  ctx: RecordContext,
  invitation: NewInvitation,
  trx: Trx,
): Promise<{ readonly id: string; readonly token: string }> {
  const { projectId, email, role } = invitation;
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  const createdAt = ctx.clock.now();
  const values = { ...invitation, hash: hashToken(token), createdAt, expiresAt: createdAt + LIFE_MS };
  const renewed = await trx
    .updateTable("project_invitations")
    .set(values)
    .where("projectId", "=", projectId)
    .where("email", "=", email)
    .where("endedAt", "is", null)
    .returning("id")
    .executeTakeFirst();
  const id = renewed?.id ?? uuidv7();
  if (!renewed)
    await trx
      .insertInto("project_invitations")
      .values({ id, ...values })
      .execute();
  await recordChange(ctx, "invitation.create", "project", projectId, { invitationId: id, role }, trx);
  return { id, token };
}

function invitationsOfProject(
  ctx: RecordContext,
  projectId: string,
  limit: number,
  db: ReadDb | Trx,
): Promise<OpenInvitation[]> {
  return openInvitations(ctx, db).where("i.projectId", "=", projectId).orderBy("i.id").limit(limit).execute();
}

function findInvitation(ctx: RecordContext, id: string, db: ReadDb | Trx): Promise<OpenInvitation | undefined> {
  return openInvitations(ctx, db).where("i.id", "=", id).executeTakeFirst();
}

/** The invitation of a link. @throws LINK_EXPIRED */
export async function invitationOfToken(ctx: RecordContext, token: string, db: ReadDb | Trx): Promise<OpenInvitation> {
  const found = await openInvitations(ctx, db).where("i.hash", "=", hashToken(token)).executeTakeFirst();
  if (!found) throw linkExpired();
  return found;
}

/** Makes the user a member. A current member keeps the role. */
export async function acceptInvitation(
  ctx: RecordContext,
  { id, projectId, role }: OpenInvitation,
  userId: string,
  trx: Trx,
): Promise<void> {
  await endInvitation(ctx, id, userId, trx);
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto("project_members")
    .values({ projectId, userId, role, createdAt: ctx.clock.now() })
    .onConflict((conflict) => conflict.columns(["projectId", "userId"]).doNothing())
    .executeTakeFirst();
  addEffect(trx, { type: "rights-changed", of: "user", userId });
  await recordChange(ctx, "invitation.accept", "project", projectId, { invitationId: id, userId }, trx);
  if (Number(numInsertedOrUpdatedRows) > 0)
    await recordChange(ctx, "member.add", "project", projectId, { userId, role }, trx);
}

async function closeInvitation(
  ctx: RecordContext,
  { id, projectId }: OpenInvitation,
  action: "invitation.revoke" | "invitation.decline",
  trx: Trx,
): Promise<void> {
  await endInvitation(ctx, id, null, trx);
  await recordChange(ctx, action, "project", projectId, { invitationId: id }, trx);
}

/** Revokes the invitations a user sent: a removed owner must not return through one of them. */
export async function revokeInvitationsOf(
  ctx: RecordContext,
  projectId: string,
  inviterId: string,
  trx: Trx,
): Promise<void> {
  const ended = await trx
    .updateTable("project_invitations")
    .set({ endedAt: ctx.clock.now() })
    .where("projectId", "=", projectId)
    .where("invitedBy", "=", inviterId)
    .where("endedAt", "is", null)
    .returning("id")
    .execute();
  for (const { id } of ended)
    await recordChange(ctx, "invitation.revoke", "project", projectId, { invitationId: id }, trx);
}

async function endInvitation(ctx: RecordContext, id: string, acceptedBy: string | null, trx: Trx): Promise<void> {
  const ended = { endedAt: ctx.clock.now(), acceptedBy };
  await trx.updateTable("project_invitations").set(ended).where("id", "=", id).execute();
}

function openInvitations(ctx: RecordContext, db: ReadDb | Trx) {
  return db
    .selectFrom("project_invitations as i")
    .innerJoin("projects as p", "p.id", "i.projectId")
    .innerJoin("users as u", "u.id", "i.invitedBy")
    .select(["i.id", "i.projectId", "i.email", "i.role", "i.invitedBy", "i.createdAt", "i.expiresAt"])
    .select(["p.name as projectName", "u.name as inviterName"])
    .where("i.endedAt", "is", null)
    .where("i.expiresAt", ">", ctx.clock.now())
    .where("p.deletedAt", "is", null)
    .where("u.status", "=", "active");
}

const PER_INVITER = 20;
const PER_ADDRESS = 5;
const MAX_CALLERS = 10_000;
const MAX_OPEN = 100;

/** Limits invitations by inviter and by address. */
export function inviteLimiter(clock: Clock): RateLimiter {
  return new RateLimiter(clock, MAX_CALLERS, HOUR_MS);
}

/**
 * Invites a mail address, by mail if mail is configured; otherwise the answer contains the link.
 * @throws VALIDATION_FAILED, FORBIDDEN for the operator, RATE_LIMITED (20 an hour per inviter, 5
 * per address), LIMIT_REACHED (100 open)
 */
export async function inviteToProject(
  ctx: ProjectsContext,
  principal: PermissionHolder,
  projectId: string,
  address: string,
  role: ProjectRole,
) {
  const { mail } = ctx.accounts;
  const email = namesOf({ email: address }).email ?? "";
  const { userId: invitedBy } = requireAccount(principal);
  limitInvitations(ctx, invitedBy, email);
  const { invitation, token } = await changeProject(ctx, principal, projectId, "project:manage", async (trx) => {
    if ((await invitationsOfProject(ctx, projectId, MAX_OPEN, trx)).length >= MAX_OPEN)
      throw new PrismError("LIMIT_REACHED", `${MAX_OPEN} invitations of this project are open; revoke some`);
    const { id, token } = await createInvitation(ctx, { projectId, email, role, invitedBy }, trx);
    const invitation = await requireInvitation(ctx, id, projectId, trx);
    if (mail.isConfigured) await mail.projectInvitation(email, invitation, token, trx);
    return { invitation, token };
  });
  const view = invitationView(invitation);
  if (mail.isConfigured) return view;
  return { ...view, inviteUrl: mail.link("project-invitation", token) };
}

export async function listInvitations(ctx: ProjectsContext, principal: PermissionHolder, ref: string) {
  const projectId = ctx.projects.require(principal, ref, "project:manage");
  return { data: (await invitationsOfProject(ctx, projectId, MAX_OPEN, ctx.db.read)).map(invitationView) };
}

/** @throws INVITATION_NOT_FOUND */
export async function revokeInvitation(
  ctx: ProjectsContext,
  principal: PermissionHolder,
  ref: string,
  id: string,
): Promise<void> {
  const projectId = ctx.projects.require(principal, ref, "project:manage");
  await changeProject(ctx, principal, projectId, "project:manage", async (trx) =>
    closeInvitation(ctx, await requireInvitation(ctx, id, projectId, trx), "invitation.revoke", trx),
  );
}

/** The open invitations for the caller's address. */
export async function ownInvitations(ctx: ProjectsContext, principal: UserPrincipal) {
  const { read } = ctx.db;
  const email = await ownAddress(principal.userId, read);
  if (email === null) return { data: [] };
  const found = openInvitations(ctx, read).where("i.email", "=", email).orderBy("i.id").limit(MAX_OF_USER);
  return { data: (await found.execute()).map(invitedViewOf) };
}

/** Makes the caller a member. @throws INVITATION_NOT_FOUND */
export async function acceptOwnInvitation(ctx: ProjectsContext, principal: UserPrincipal, id: string) {
  return ctx.db.write(async (trx) => {
    const invitation = await requireOwnInvitation(ctx, principal, id, trx);
    await acceptInvitation(ctx, invitation, principal.userId, trx);
    return invitedViewOf(invitation);
  });
}

/**
 * Like {@link acceptOwnInvitation}, with the token of a link: its holder may join, with any
 * address. @throws LINK_EXPIRED
 */
export async function acceptInvitationLink(ctx: ProjectsContext, principal: UserPrincipal, token: string) {
  return ctx.db.write(async (trx) => {
    const invitation = await invitationOfToken(ctx, token, trx);
    await acceptInvitation(ctx, invitation, principal.userId, trx);
    return invitedViewOf(invitation);
  });
}

/** @throws INVITATION_NOT_FOUND */
export async function declineInvitation(ctx: ProjectsContext, principal: UserPrincipal, id: string): Promise<void> {
  await ctx.db.write(async (trx) =>
    closeInvitation(ctx, await requireOwnInvitation(ctx, principal, id, trx), "invitation.decline", trx),
  );
}

/** The content of a link, for a page shown before the login. @throws LINK_EXPIRED */
export async function invitationOfLink(ctx: ProjectsContext, token: string) {
  const { email, ...invitation } = await invitationOfToken(ctx, token, ctx.db.read);
  return { ...invitedViewOf({ ...invitation, email }), email, registration: ctx.config.auth.registration };
}

async function requireInvitation(
  ctx: ProjectsContext,
  id: string,
  projectId: string,
  db: ReadDb | Trx,
): Promise<OpenInvitation> {
  const found = await findInvitation(ctx, id, db);
  if (found?.projectId !== projectId) throw noSuchInvitation();
  return found;
}

async function requireOwnInvitation(
  ctx: ProjectsContext,
  { userId }: UserPrincipal,
  id: string,
  trx: Trx,
): Promise<OpenInvitation> {
  const email = await ownAddress(userId, trx);
  const found = await findInvitation(ctx, id, trx);
  if (!found || found.email !== email) throw noSuchInvitation();
  return found;
}

/** The caller's address if it is verified; others join by the link in the mail. */
async function ownAddress(userId: string, db: ReadDb | Trx): Promise<string | null> {
  const user = await db
    .selectFrom("users")
    .select(["email", "isEmailVerified"])
    .where("id", "=", userId)
    .executeTakeFirst();
  return user?.isEmailVerified === 1 ? user.email : null;
}

function limitInvitations(ctx: ProjectsContext, inviterId: string, email: string): void {
  if (!ctx.settings.rateLimit.enabled) return;
  for (const [key, limit] of [
    [`inviter:${inviterId}`, PER_INVITER],
    [`address:${email}`, PER_ADDRESS],
  ] as const) {
    requireAllowed(ctx.inviteLimiter.take(key, limit, 1, "invitations"), "Too many invitations");
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
