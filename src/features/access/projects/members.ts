import * as v from "valibot";
import type { PermissionHolder } from "../../../core/caller.ts";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { PROJECT_SCOPES } from "../../../core/permissions.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import { NO_CONTENT, Reply, type Route, route } from "../../../http/api/route.ts";
import { pageBody, pageOf, readPage } from "../../../http/api/shapes.ts";
import { holderOf, missingPermission } from "../../../http/server/access.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import type { ProjectRole } from "../../../store/schema.ts";
import { changeProject, type DefaultProject } from "../authorize.ts";
import { type RecordContext, recordChange } from "../context.ts";
import {
  fromGroups,
  isOfGroups,
  ofGroups,
  ownOf,
  readSources,
  type Sources,
  shownSource,
  storedSources,
  strongest,
  without,
} from "../group-rights/sources.ts";
import { inviteToProject, revokeInvitationsOf } from "./invitations.ts";
import {
  endKeysOf,
  endOwnershipOf,
  endTopicRights,
  heirWith,
  type Leftovers,
  leftoverIds,
  scopesWith,
  secretsKnownTo,
  withSecrets,
} from "./leftovers.ts";
import * as queries from "./queries.ts";
import * as s from "./schema.ts";
import type { ProjectsContext } from "./service.ts";

const PATH = "/api/v1/projects/:id/members";
const managing = { tag: "Projects", access: { tokenScopes: ["projects:create"] } } as const;

/** The members of projects. */
export function memberRoutes(ctx: ProjectsContext): Route[] {
  const { db } = ctx;
  return [
    route({
      method: "GET",
      path: PATH,
      id: "listProjectMembers",
      summary: "List the members of a project",
      tag: "Projects",
      access: { tokenScopes: PROJECT_SCOPES },
      params: s.ProjectParams,
      query: s.ListMembers,
      response: pageOf(s.MemberView),
      errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
      async handle(exchange, { params, query }) {
        const projectId = ctx.projects.require(holderOf(exchange), params.id, "project:read");
        const request = readPage(query, ["string"]);
        const rows = await queries.listMembers(db.read, projectId, query, request);
        const total = request.wantsTotal ? await queries.countMembers(db.read, projectId, query) : undefined;
        return pageBody(request, rows, memberView, (row) => [row.userId], total);
      },
    }),
    route({
      method: "POST",
      path: PATH,
      id: "addProjectMember",
      summary: "Invite an email address (202), add a user by id (201, needs users:read), or change a role (owner)",
      returns: "The member, or the invitation (202)",
      ...managing,
      params: s.ProjectParams,
      body: s.AddMember,
      status: 201,
      otherStatuses: [202],
      response: v.union([s.ChangedMemberView, s.InvitationView]),
      errors: ["PROJECT_NOT_FOUND", "USER_NOT_FOUND", "LAST_ADMIN", "RIGHTS_FROM_GROUPS", "LIMIT_REACHED"],
      async handle(exchange, { params, body }) {
        const made = await addMember(ctx, holderOf(exchange), params.id, body);
        return new Reply("expiresAt" in made ? 202 : 201, made);
      },
    }),
    route({
      method: "PATCH",
      path: `${PATH}/:userId`,
      id: "updateProjectMember",
      summary: "Change the role of a member (owner)",
      details:
        "API keys that the member made may do no more than the member: the answer names those that lost scopes, with what " +
        "is left, and secrets in URLs that the person knows.",
      ...managing,
      params: s.MemberParams,
      body: s.ChangeMember,
      response: s.ChangedMemberView,
      errors: ["PROJECT_NOT_FOUND", "USER_NOT_FOUND", "LAST_ADMIN", "RIGHTS_FROM_GROUPS"],
      handle(exchange, { params, body: { role, keepKeys = false } }) {
        const principal = holderOf(exchange);
        return changeProject(ctx, principal, params.id, "project:manage", async (trx, { id }) => {
          const member = await requireMember(trx, id, idOf(ctx, params.userId));
          return setRole(ctx, trx, member, { role, principal, keepsKeys: keepKeys });
        });
      },
    }),
    route({
      method: "DELETE",
      path: `${PATH}/:userId`,
      id: "removeProjectMember",
      summary: "Remove a member (owner), or leave the project with `me`; the API keys of the member are revoked",
      details: "204 when nothing ended and the person knows no secret of the project.",
      returns: "What ended, what was handed over, and what to rotate; 204 for nothing",
      ...managing,
      params: s.MemberParams,
      query: s.RemoveMember,
      otherStatuses: [204],
      response: s.LeftoversView,
      errors: ["PROJECT_NOT_FOUND", "USER_NOT_FOUND", "LAST_ADMIN", "RIGHTS_FROM_GROUPS"],
      async handle(exchange, { params: { id, userId }, query: { keepKeys = false } }) {
        const left = await removeMember(ctx, holderOf(exchange), id, idOf(ctx, userId), keepKeys);
        return Object.keys(left).length === 0 ? NO_CONTENT : left;
      },
    }),
  ];
}

/**
 * Invites a mail address, adds a user, or changes the role of a member. Only callers who may read
 * users add one without an invitation: others could otherwise reach people through a project's
 * rules and find out which accounts exist.
 * @throws USER_NOT_FOUND, LAST_ADMIN, UNAUTHORIZED_ROLE, VALIDATION_FAILED, and the errors of
 * {@link inviteToProject}
 */
async function addMember(
  ctx: ProjectsContext,
  principal: PermissionHolder,
  ref: string,
  { email, userId: userRef, role, keepKeys }: s.AddMember,
) {
  const { projects, users } = ctx;
  const projectId = projects.require(principal, ref, "project:manage");
  if ((email === undefined) === (userRef === undefined))
    throw invalidField("body", "email", "give either email or userId");
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
    await insertMember(ctx, trx, { projectId, userId, role });
    return readMember(trx, projectId, userId);
  });
}

/** Dependencies of changing members in a transaction. */
interface MembersContext extends RecordContext {
  readonly projects: DefaultProject;
}

/** @param source who gives the role (group-rights/sources.ts) */
export async function insertMember(
  ctx: MembersContext,
  trx: Trx,
  { projectId, userId, role }: Pick<queries.MemberRow, "projectId" | "userId" | "role">,
  source = "hand",
): Promise<void> {
  const sources = storedSources({ [source]: role });
  await trx
    .insertInto("project_members")
    .values({ projectId, userId, role, createdAt: ctx.clock.now(), sources })
    .execute();
  addEffect(trx, { type: "rights-changed", of: "user", userId });
  await recordChange(ctx, "member.add", "project", projectId, { userId, role, ...named(source) }, trx);
}

/** A source for the audit trail, which has no word for people: it names them. */
function named(source: string): { readonly source?: string } {
  return source === "hand" ? {} : { source };
}

/** The user of a reference; another text is the id of no member. */
function idOf({ users }: ProjectsContext, ref: string): string {
  return users.findAny(ref) ?? ref;
}

/**
 * Owners remove members; members may leave. The API keys that the member made are revoked.
 * @param keepsKeys hands the keys to the caller, or to another owner if the operator does it; not for oneself
 * @returns ended rights, and secrets that the person still knows. @throws USER_NOT_FOUND
 * if no member, LAST_ADMIN, VALIDATION_FAILED
 */
async function removeMember(
  ctx: ProjectsContext,
  principal: PermissionHolder,
  ref: string,
  userId: string,
  keepsKeys: boolean,
): Promise<Leftovers> {
  const isSelf = userId === principal.userId;
  if (isSelf && keepsKeys) throw ownKeys("query");
  const right = isSelf ? "project:read" : "project:manage";
  return changeProject(ctx, principal, ref, right, async (trx, { id }) =>
    deleteMember(ctx, trx, await requireMember(trx, id, userId), { principal, keepsKeys }),
  );
}

/**
 * Takes away what a source gives; a member to whom others give a role keeps that one.
 * @throws LAST_ADMIN; RIGHTS_FROM_GROUPS if a person or a file would take away what only groups give
 */
export async function deleteMember(
  ctx: MembersContext,
  trx: Trx,
  member: queries.MemberRow,
  change: Change,
): Promise<Leftovers> {
  const { projectId, userId } = member;
  const { principal, keepsKeys, countsInvited = false, source = "hand" } = change;
  const held = readSources(member);
  const isByGroups = isOfGroups(source);
  const rest = isByGroups ? without(held, source) : ofGroups(held);
  if (Object.keys(rest).length > 0) {
    if (!isByGroups && ownOf(held) === undefined) throw fromGroups("The membership", held);
    return storeRole(ctx, trx, member, rest, change);
  }
  await requireOtherOwner(trx, member, countsInvited);
  await trx.deleteFrom("project_members").where("projectId", "=", projectId).where("userId", "=", userId).execute();
  addEffect(trx, { type: "rights-changed", of: "user", userId: userId });
  await revokeInvitationsOf(ctx, projectId, userId, trx);
  const heir = keepsKeys ? await heirOf(ctx, trx, member, principal) : undefined;
  const before = await scopesWith(userId, projectId, member.role, ctx.projects, trx);
  const keys = await endKeysOf(ctx, { userId, projectId, heir, by: "member.remove", before }, trx);
  const left = withSecrets(keys, await secretsKnownTo(trx, member, member.role, undefined));
  const metadata = { userId, ...named(source), ...leftoverIds(left) };
  await recordChange(ctx, "member.remove", "project", projectId, metadata, trx);
  if (userId !== principal.userId) await endOwnershipOf(userId, projectId, trx, principal.userId);
  await endTopicRights(trx, userId, projectId);
  return left;
}

/**
 * The user to whom the keys of a member are handed: the caller; for the operator an owner, otherwise
 * an administrator. Call it after the member's rights changed.
 */
async function heirOf(
  { projects }: MembersContext,
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

interface Change {
  readonly principal: PermissionHolder;
  /** Hands keys that would lose scopes to another person. */
  readonly keepsKeys: boolean;
  /** An invited owner is enough. */
  readonly countsInvited?: boolean;
  /** Who gives or takes the role (group-rights/sources.ts); default: a person. */
  readonly source?: string;
}

/**
 * Gives a member a role in place of the one that the source gave; the strongest of all sources counts.
 * @throws LAST_ADMIN, VALIDATION_FAILED; RIGHTS_FROM_GROUPS if a person or a file gives less than groups do
 */
export async function setRole(
  ctx: MembersContext,
  trx: Trx,
  member: queries.MemberRow,
  change: Change & { readonly role: ProjectRole },
) {
  const { role, principal, keepsKeys, source = "hand" } = change;
  if (member.userId === principal.userId && keepsKeys) throw ownKeys("body");
  const held = readSources(member);
  const others = isOfGroups(source) ? held : ofGroups(held);
  const sources = { ...others, [source]: role };
  if (!isOfGroups(source) && strongest(Object.values(sources)) !== role)
    throw fromGroups(`The role ${member.role}`, others);
  const left = await storeRole(ctx, trx, member, sources, change);
  return { ...(await readMember(trx, member.projectId, member.userId)), ...left };
}

/** Stores who gives a member which role, and the strongest of them. @throws LAST_ADMIN */
async function storeRole(
  ctx: MembersContext,
  trx: Trx,
  member: queries.MemberRow,
  sources: Sources,
  { principal, keepsKeys, countsInvited = false, source = "hand" }: Change,
): Promise<Leftovers> {
  const { projectId, userId } = member;
  const isSelf = userId === principal.userId;
  const role = strongest(Object.values(sources)) ?? member.role;
  if (role !== "owner") await requireOtherOwner(trx, member, countsInvited);
  await trx
    .updateTable("project_members")
    .set({ role, sources: storedSources(sources) })
    .where("projectId", "=", projectId)
    .where("userId", "=", userId)
    .execute();
  addEffect(trx, { type: "rights-changed", of: "user", userId });
  const heir = keepsKeys ? await heirOf(ctx, trx, member, principal) : undefined;
  const before = await scopesWith(userId, projectId, member.role, ctx.projects, trx);
  const now = await scopesWith(userId, projectId, role, ctx.projects, trx);
  const keys = await endKeysOf(ctx, { userId, projectId, heir, by: "member.update", before, now }, trx);
  const left = withSecrets(keys, await secretsKnownTo(trx, member, member.role, role));
  const metadata = { userId, role, ...named(source), ...leftoverIds(left) };
  await recordChange(ctx, "member.update", "project", projectId, metadata, trx);
  if (role !== "owner") {
    await revokeInvitationsOf(ctx, projectId, userId, trx);
    if (!isSelf) await endOwnershipOf(userId, projectId, trx, principal.userId);
  }
  return left;
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
async function requireOtherOwner(trx: Trx, member: queries.MemberRow, countsInvited = false): Promise<void> {
  const statuses = countsInvited ? (["active", "pending"] as const) : undefined;
  if (member.role !== "owner" || (await queries.hasOtherOwner(trx, member, statuses))) return;
  throw new PrismError("LAST_ADMIN", "A project keeps at least one owner");
}

/** A member who leaves must not make another owner responsible for keys that the member knows. */
function ownKeys(location: "body" | "query"): PrismError {
  return invalidField(location, "keepKeys", "another owner hands over your keys, when removing you or your role");
}

function userNotFound(): PrismError {
  return new PrismError("USER_NOT_FOUND", "No such user");
}

function memberView(member: queries.MemberRow) {
  const { userId, username, name, role, createdAt } = member;
  const source = shownSource(readSources(member), role);
  return { userId, username, name, role, source, createdAt: toRfc3339(createdAt) };
}
