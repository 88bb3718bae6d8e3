import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import * as v from "valibot";
import type { PermissionHolder } from "../../../core/caller.ts";
import { hashToken } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { type Clock, HOUR_MS, toRfc3339 } from "../../../core/time/clock.ts";
import { type Route, route } from "../../../http/api/route.ts";
import { RateLimiter, requireAllowed } from "../../../http/limits/rate-limiter.ts";
import { holderOf, requireAccount, userOf } from "../../../http/server/access.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import type { ProjectRole } from "../../../store/schema.ts";
import { changeProject } from "../authorize.ts";
import { type RecordContext, recordChange } from "../context.ts";
import { linkExpired } from "../sessions/mail-links.ts";
import { namesOf } from "../users/create-user.ts";
import * as s from "./schema.ts";
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

async function closeInvitation(
  ctx: RecordContext,
  { id, projectId }: OpenInvitation,
  action: "invitation.revoke" | "invitation.decline",
  trx: Trx,
): Promise<void> {
  await endInvitation(ctx, id, null, trx);
  await recordChange(ctx, action, "project", projectId, { invitationId: id }, trx);
}

/** An owner of the project, or a holder of `projects:all`: who lost that must not return through an invitation. */
const MAY_STILL_INVITE = sql<boolean>`(
  exists (select 1 from project_members m
    where m.projectId = i.projectId and m.userId = i.invitedBy and m.role = 'owner')
  or exists (select 1 from user_roles h join roles r on r.id = h.roleId
    where h.userId = i.invitedBy and r.permissions like '%"projects:all"%'))`;

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
    .where("u.status", "=", "active")
    .where(MAY_STILL_INVITE);
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
 * Invites a mail address, by mail if mail is configured and the project is no mirror; otherwise the answer contains
 * the link.
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
  const isMailed = mail.isConfigured && !ctx.projects.isMirror(projectId);
  const { invitation, token } = await changeProject(ctx, principal, projectId, "project:manage", async (trx) => {
    if ((await invitationsOf(ctx, projectId, trx)).length >= MAX_OPEN)
      throw new PrismError("LIMIT_REACHED", `${MAX_OPEN} invitations of this project are open; revoke some`);
    const { id, token } = await createInvitation(ctx, { projectId, email, role, invitedBy }, trx);
    const invitation = await requireInvitation(ctx, id, { projectId }, trx);
    if (isMailed) await mail.projectInvitation(email, invitation, token, trx);
    return { invitation, token };
  });
  const view = invitationView(invitation);
  if (isMailed) return view;
  return { ...view, inviteUrl: mail.link("project-invitation", token) };
}

const OF_PROJECT = "/api/v1/projects/:id/invitations";
const OWN = "/api/v1/users/me/invitations";
const managing = { tag: "Projects", access: { tokenScopes: ["projects:create"] } } as const;
const own = { tag: "Users", access: { tokenScopes: ["account:own"] } } as const;

/** Invitations to projects: what owners see of them, and what invited people do with them. */
export function invitationRoutes(ctx: ProjectsContext): Route[] {
  const { db } = ctx;
  return [
    route({
      ...managing,
      method: "GET",
      path: OF_PROJECT,
      id: "listProjectInvitations",
      summary: "List the open invitations to a project (owner)",
      returns: "The open invitations",
      params: s.ProjectParams,
      response: v.object({ data: v.array(s.InvitationView) }),
      errors: ["PROJECT_NOT_FOUND"],
      async handle(exchange, { params }) {
        const projectId = ctx.projects.require(holderOf(exchange), params.id, "project:manage");
        return { data: (await invitationsOf(ctx, projectId, db.read)).map(invitationView) };
      },
    }),
    route({
      ...managing,
      method: "DELETE",
      path: `${OF_PROJECT}/:invitationId`,
      id: "revokeProjectInvitation",
      summary: "Revoke an invitation to a project (owner)",
      params: s.InvitationParams,
      status: 204,
      errors: ["PROJECT_NOT_FOUND", "INVITATION_NOT_FOUND"],
      handle: (exchange, { params: { id, invitationId } }) =>
        changeProject(ctx, holderOf(exchange), id, "project:manage", async (trx, project) => {
          const invitation = await requireInvitation(ctx, invitationId, { projectId: project.id }, trx);
          await closeInvitation(ctx, invitation, "invitation.revoke", trx);
        }),
    }),
    route({
      ...own,
      method: "GET",
      path: OWN,
      id: "listMyInvitations",
      summary: "List the open project invitations to the caller's email address",
      returns: "The open invitations",
      response: v.object({ data: v.array(s.InvitedView) }),
      async handle(exchange) {
        const email = await ownAddress(userOf(exchange).userId, db.read);
        if (email === null) return { data: [] };
        const found = openInvitations(ctx, db.read).where("i.email", "=", email).orderBy("i.id").limit(MAX_OF_USER);
        return { data: (await found.execute()).map(invitedView) };
      },
    }),
    route({
      ...own,
      method: "POST",
      path: OWN,
      id: "acceptInvitationByToken",
      summary: "Accept a project invitation with the token of its link",
      body: s.InvitationToken,
      response: s.InvitedView,
      errors: ["LINK_EXPIRED"],
      // The holder of the link may join, with any address.
      handle(exchange, { body }) {
        const { userId } = userOf(exchange);
        return db.write(async (trx) => {
          const invitation = await invitationOfToken(ctx, body.token, trx);
          await acceptInvitation(ctx, invitation, userId, trx);
          return invitedView(invitation);
        });
      },
    }),
    route({
      ...own,
      method: "POST",
      path: `${OWN}/:invitationId/accept`,
      id: "acceptInvitation",
      summary: "Accept a project invitation to the caller's email address",
      params: s.OwnInvitationParams,
      response: s.InvitedView,
      errors: ["INVITATION_NOT_FOUND"],
      handle(exchange, { params }) {
        const { userId } = userOf(exchange);
        return db.write(async (trx) => {
          const email = await ownAddress(userId, trx);
          const invitation = await requireInvitation(ctx, params.invitationId, { email }, trx);
          await acceptInvitation(ctx, invitation, userId, trx);
          return invitedView(invitation);
        });
      },
    }),
    route({
      ...own,
      method: "DELETE",
      path: `${OWN}/:invitationId`,
      id: "declineInvitation",
      summary: "Decline a project invitation to the caller's email address",
      params: s.OwnInvitationParams,
      status: 204,
      errors: ["INVITATION_NOT_FOUND"],
      handle(exchange, { params }) {
        const { userId } = userOf(exchange);
        return db.write(async (trx) => {
          const email = await ownAddress(userId, trx);
          const invitation = await requireInvitation(ctx, params.invitationId, { email }, trx);
          await closeInvitation(ctx, invitation, "invitation.decline", trx);
        });
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/auth/project-invitation",
      id: "getInvitationByToken",
      summary: "Get the invitation of a mailed link: project, role, inviter and registration policy",
      returns: "The invitation",
      tag: "Authentication",
      access: "public",
      body: s.InvitationToken,
      response: v.object({
        ...s.InvitedView.entries,
        email: v.string(),
        registration: v.picklist(["approval", "open", "closed"]),
      }),
      errors: ["LINK_EXPIRED"],
      async handle(_exchange, { body }) {
        const invitation = await invitationOfToken(ctx, body.token, db.read);
        const { registration } = ctx.config.auth;
        return { ...invitedView(invitation), email: invitation.email, registration };
      },
    }),
  ];
}

/** The open invitations to a project. */
function invitationsOf(ctx: RecordContext, projectId: string, db: ReadDb | Trx): Promise<OpenInvitation[]> {
  return openInvitations(ctx, db).where("i.projectId", "=", projectId).orderBy("i.id").limit(MAX_OPEN).execute();
}

/**
 * An open invitation to a project, or to a mail address.
 * @param of `email` null: the address of no one. @throws INVITATION_NOT_FOUND
 */
async function requireInvitation(
  ctx: RecordContext,
  id: string,
  of: { readonly projectId: string } | { readonly email: string | null },
  db: ReadDb | Trx,
): Promise<OpenInvitation> {
  const found = await openInvitations(ctx, db).where("i.id", "=", id).executeTakeFirst();
  const isMeant = "email" in of ? found?.email === of.email : found?.projectId === of.projectId;
  if (!found || !isMeant) throw new PrismError("INVITATION_NOT_FOUND", "No such invitation is open");
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

function invitationView({ id, email, role, invitedBy, createdAt, expiresAt }: OpenInvitation) {
  return { id, email, role, invitedBy, createdAt: toRfc3339(createdAt), expiresAt: toRfc3339(expiresAt) };
}

function invitedView({ id, projectId, projectName, role, inviterName, expiresAt }: OpenInvitation) {
  return { id, projectId, projectName, role, invitedBy: inviterName, expiresAt: toRfc3339(expiresAt) };
}
