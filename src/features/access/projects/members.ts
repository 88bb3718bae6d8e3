import { toRfc3339 } from "../../../core/clock.ts";
import { invalidField, PrismError } from "../../../core/errors.ts";
import type { PermissionHolder } from "../../../core/principal.ts";
import { missingPermission } from "../../../http/access.ts";
import { pageBody, readPage } from "../../../http/pagination.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import type { ProjectRole } from "../../../store/schema.ts";
import { changeProject } from "../authorize.ts";
import { recordChange } from "../context.ts";
import { inviteToProject, revokeInvitationsOf } from "./invitations.ts";
import {
  endKeysOf,
  endOwnershipOf,
  endTopicRights,
  heirWith,
  type Leftovers,
  leftoverIds,
  restrictKeysOfMember,
  secretsKnownTo,
  withSecrets,
} from "./leftovers.ts";
import * as queries from "./queries.ts";
import type { AddMember, ChangeMember, ListMembers } from "./schema.ts";
import type { ProjectsContext } from "./service.ts";

export async function membersPage(
  { db, projects }: ProjectsContext,
  principal: PermissionHolder,
  ref: string,
  query: ListMembers,
) {
  const projectId = projects.require(principal, ref, "project:read");
  const request = readPage(query, ["string"]);
  const rows = await queries.listMembers(db.read, projectId, query, request);
  const total = request.wantsTotal ? await queries.countMembers(db.read, projectId, query) : undefined;
  return pageBody(request, rows, memberView, (row) => [row.userId], total);
}

/**
 * Invites a mail address, adds a user, or changes the role of a member. Only callers who may read
 * users add one without an invitation: others could otherwise reach people through a project's
 * rules and find out which accounts exist.
 * @throws USER_NOT_FOUND, LAST_ADMIN, UNAUTHORIZED_ROLE, VALIDATION_FAILED, and the errors of
 * {@link inviteToProject}
 */
export async function addMember(
  ctx: ProjectsContext,
  principal: PermissionHolder,
  ref: string,
  { email, userId: userRef, role, keepKeys }: AddMember,
) {
  const { projects, users } = ctx;
  const projectId = projects.require(principal, ref, "project:manage");
  if ((email === undefined) === (userRef === undefined)) throw oneOfBoth();
  if (email !== undefined) return inviteToProject(ctx, principal, projectId, email, role);
  const wanted = userRef ?? "";
  const userId = users.find(wanted);
  const isMember = userId !== undefined && (await queries.findMember(ctx.db.read, projectId, userId)) !== undefined;
  if (!isMember) {
    const mayAdd = principal.permissions.has("users:read");
    if (wanted.includes("@") && !(mayAdd && userId !== undefined))
      return inviteToProject(ctx, principal, projectId, wanted, role);
    if (!mayAdd) throw missingPermission("users:read", 'invite the person by mail address: {"email": …, "role": …}');
  }
  if (userId === undefined) throw userNotFound();
  return changeProject(ctx, principal, projectId, "project:manage", async (trx) => {
    const member = await queries.findMember(trx, projectId, userId);
    if (member) return setRole(ctx, trx, member, { role, principal, keepsKeys: keepKeys === true });
    const createdAt = ctx.clock.now();
    await trx.insertInto("project_members").values({ projectId, userId, role, createdAt }).execute();
    addEffect(trx, { type: "rights-changed", of: "user", userId });
    await recordChange(ctx, "member.add", "project", projectId, { userId, role }, trx);
    return readMember(trx, projectId, userId);
  });
}

/**
 * The API keys that the member made lose the scopes to which the member lost the right.
 * @throws USER_NOT_FOUND for a user who is not a member, LAST_ADMIN
 */
export async function changeMember(
  ctx: ProjectsContext,
  principal: PermissionHolder,
  ref: string,
  userRef: string,
  { role, keepKeys }: ChangeMember,
) {
  const { projects, users } = ctx;
  const projectId = projects.require(principal, ref, "project:manage");
  const userId = users.findAny(userRef) ?? userRef;
  return changeProject(ctx, principal, projectId, "project:manage", async (trx) =>
    setRole(ctx, trx, await requireMember(trx, projectId, userId), { role, principal, keepsKeys: keepKeys === true }),
  );
}

/**
 * Owners remove members; members may leave. The API keys that the member made are revoked.
 * @param keepsKeys hands the keys to the caller, or to another owner if the operator does it; not for oneself
 * @returns ended rights, and secrets that the person still knows; null for none. @throws USER_NOT_FOUND
 * if no member, LAST_ADMIN, VALIDATION_FAILED
 */
export async function removeMember(
  ctx: ProjectsContext,
  principal: PermissionHolder,
  ref: string,
  userRef: string,
  keepsKeys: boolean,
): Promise<Leftovers | null> {
  const { projects, users } = ctx;
  const userId = users.findAny(userRef) ?? userRef;
  const isSelf = userId === principal.userId;
  if (isSelf && keepsKeys) throw ownKeys("query");
  const right = isSelf ? "project:read" : "project:manage";
  const projectId = projects.require(principal, ref, right);
  return changeProject(ctx, principal, projectId, right, async (trx) => {
    const member = await requireMember(trx, projectId, userId);
    await requireOtherOwner(trx, member);
    await trx
      .deleteFrom("project_members")
      .where("projectId", "=", projectId)
      .where("userId", "=", member.userId)
      .execute();
    addEffect(trx, { type: "rights-changed", of: "user", userId: member.userId });
    await revokeInvitationsOf(ctx, projectId, member.userId, trx);
    const heir = keepsKeys ? await heirOf(ctx, trx, member, principal) : undefined;
    const keys = await endKeysOf(ctx, { userId: member.userId, projectId, heir, by: "member.remove" }, trx);
    const left = withSecrets(keys, await secretsKnownTo(trx, member, member.role, undefined));
    await recordChange(
      ctx,
      "member.remove",
      "project",
      projectId,
      { userId: member.userId, ...leftoverIds(left) },
      trx,
    );
    if (!isSelf) await endOwnershipOf(member.userId, projectId, trx, principal.userId);
    await endTopicRights(trx, member.userId, projectId);
    return Object.keys(left).length === 0 ? null : left;
  });
}

/**
 * The user to whom the keys of a member are handed: the caller; for the operator an owner, otherwise
 * an administrator. Call it after the member's rights changed.
 */
async function heirOf(
  { projects }: ProjectsContext,
  trx: Trx,
  { projectId, userId }: queries.MemberRow,
  caller: PermissionHolder,
) {
  const owners = async () => [
    ...(await queries.ownersOf(trx, projectId)),
    ...(await queries.administrators(trx)).map(({ id }) => id),
  ];
  const heirId = caller.userId ?? (await owners()).find((id) => id !== userId) ?? null;
  return heirWith(heirId, projectId, projects, trx);
}

interface RoleChange {
  readonly role: ProjectRole;
  readonly principal: PermissionHolder;
  /** Hands keys that would lose scopes to another person. */
  readonly keepsKeys: boolean;
}

/** @throws LAST_ADMIN, VALIDATION_FAILED */
async function setRole(
  ctx: ProjectsContext,
  trx: Trx,
  member: queries.MemberRow,
  { role, principal, keepsKeys }: RoleChange,
) {
  const { projectId, userId } = member;
  const isSelf = userId === principal.userId;
  if (isSelf && keepsKeys) throw ownKeys("body");
  if (role !== "owner") await requireOtherOwner(trx, member);
  await trx
    .updateTable("project_members")
    .set({ role })
    .where("projectId", "=", projectId)
    .where("userId", "=", userId)
    .execute();
  await trx.deleteFrom("lost_rights").where("projectId", "=", projectId).where("userId", "=", userId).execute();
  addEffect(trx, { type: "rights-changed", of: "user", userId });
  const heir = keepsKeys ? await heirOf(ctx, trx, member, principal) : undefined;
  const keys = await restrictKeysOfMember(ctx, { userId, projectId, heir, before: member.role, of: ctx.projects }, trx);
  const left = withSecrets(keys, await secretsKnownTo(trx, member, member.role, role));
  await recordChange(ctx, "member.update", "project", projectId, { userId, role, ...leftoverIds(left) }, trx);
  if (role !== "owner") {
    await revokeInvitationsOf(ctx, projectId, userId, trx);
    if (!isSelf) await endOwnershipOf(userId, projectId, trx, principal.userId);
  }
  return { ...(await readMember(trx, projectId, userId)), ...left };
}

async function requireMember(trx: Trx, projectId: string, userId: string): Promise<queries.MemberRow> {
  const member = await queries.findMember(trx, projectId, userId);
  if (!member) throw userNotFound();
  return member;
}

async function readMember(trx: Trx, projectId: string, userId: string) {
  return memberView(await requireMember(trx, projectId, userId));
}

/** @throws LAST_ADMIN when this member is the only owner. */
async function requireOtherOwner(trx: Trx, { projectId, userId, role }: queries.MemberRow): Promise<void> {
  if (role !== "owner" || (await queries.hasOtherOwner(trx, projectId, userId))) return;
  throw new PrismError("LAST_ADMIN", "A project keeps at least one owner");
}

function oneOfBoth(): PrismError {
  return invalidField("body", "email", "give either email or userId");
}

/** A member who leaves must not make another owner responsible for keys that the member knows. */
function ownKeys(location: "body" | "query"): PrismError {
  return invalidField(location, "keepKeys", "another owner hands over your keys, when removing you or your role");
}

function userNotFound(): PrismError {
  return new PrismError("USER_NOT_FOUND", "No such user");
}

function memberView({ userId, username, name, role, createdAt }: queries.MemberRow) {
  return { userId, username, name, role, createdAt: toRfc3339(createdAt) };
}
