import { OPERATOR } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import type { ProjectRole } from "../../../store/schema.ts";
import { heldRoles } from "../authorize.ts";
import { type AccountContext, recordChange } from "../context.ts";
import { hasAdmin } from "../first-start.ts";
import { keysChanged } from "../projects/leftovers.ts";
import { deleteMember, insertMember, setRole } from "../projects/members.ts";
import { membershipsOf } from "../projects/queries.ts";
import { readProjectRole } from "./project-role.ts";
import { type GroupMap, readSources, type Sources, storedSources, strongest, without } from "./sources.ts";
import { storeRoleSources } from "./user-roles.ts";

interface GroupRights {
  readonly userId: string;
  /** Who says which groups the user is in: `oidc:<name>` or `proxy:<name>`. */
  readonly source: string;
  /** Names of roles. */
  readonly roles: GroupMap;
  /** `<slug or name of the project>:<role of a member>`. */
  readonly projects: GroupMap;
}

type Context = Pick<AccountContext, "audit" | "clock" | "config" | "log" | "projects">;

/**
 * Gives a user the roles and memberships of the groups, and takes away what this source gave before and gives no
 * longer. What people, files and other providers give stays, as do the last administrator and the last owner of a
 * project. Names that do not exist are left out: they are findings (`group-rights/findings.ts`).
 * @returns whether the account now has a role, of the server or in a project
 */
export async function applyGroups(
  ctx: Context,
  { roles, projects, ...of }: GroupRights,
  groups: readonly string[],
  trx: Trx,
): Promise<boolean> {
  await applyRoles(ctx, of, given(roles, groups), trx);
  await applyMemberships(ctx, of, given(projects, groups), trx);
  return (await heldRoles(of.userId, trx)).length > 0 || (await membershipsOf(trx, of.userId)).length > 0;
}

type Of = Pick<GroupRights, "userId" | "source">;

function given(map: GroupMap, groups: readonly string[]): string[] {
  return Object.entries(map).flatMap(([group, value]) => (groups.includes(group) ? value : []));
}

async function applyRoles(ctx: Context, { userId, source }: Of, names: readonly string[], trx: Trx): Promise<void> {
  const held = await heldRoles(userId, trx);
  const wanted = await trx.selectFrom("roles").select("id").where("name", "in", names).execute();
  const ids = new Set(wanted.map(({ id }) => id));
  const store = (roleId: string, sources: Sources) => storeRoleSources(trx, { userId, roleId }, sources);
  const added = [...ids].filter((id) => !held.some((role) => role.id === id));
  const removed: string[] = [];
  for (const roleId of added) {
    const sources = storedSources({ [source]: "" });
    await trx.insertInto("user_roles").values({ userId, roleId, createdAt: ctx.clock.now(), sources }).execute();
  }
  for (const role of held) {
    const sources = readSources(role);
    if (ids.has(role.id)) {
      if (!(source in sources)) await store(role.id, { ...sources, [source]: "" });
    } else if (source in sources) {
      const rest = without(sources, source);
      if (Object.keys(rest).length > 0) await store(role.id, rest);
      else if (await takeRole(ctx, userId, role, trx)) removed.push(role.id);
      else ctx.log.warn({ userId, source }, "a group no longer gives Admin to the last administrator, who keeps it");
    }
  }
  if (added.length + removed.length === 0) return;
  await keysChanged(userId, trx);
  addEffect(trx, { type: "rights-changed", of: "user", userId });
  await recordChange(ctx, "user.update", "user", userId, { changed: ["roles"], added, removed, source }, trx);
}

/** @returns false, and leaves it, if it is Admin of the last administrator */
async function takeRole(
  { config }: Context,
  userId: string,
  { id, name }: { readonly id: string; readonly name: string },
  trx: Trx,
): Promise<boolean> {
  const isDevelopment = config.env === "development";
  const hadAdmin = name === "Admin" && (await hasAdmin(trx, isDevelopment));
  const taken = await trx
    .deleteFrom("user_roles")
    .where("userId", "=", userId)
    .where("roleId", "=", id)
    .returningAll()
    .execute();
  if (!hadAdmin || (await hasAdmin(trx, isDevelopment))) return true;
  await trx.insertInto("user_roles").values(taken).execute();
  return false;
}

async function applyMemberships(
  ctx: Context,
  { userId, source }: Of,
  texts: readonly string[],
  trx: Trx,
): Promise<void> {
  const wanted = new Map<string, ProjectRole>();
  for (const text of texts) {
    const found = await readProjectRole(text, trx);
    if (!found) continue;
    const { id, role } = found;
    wanted.set(id, strongest([role, wanted.get(id) ?? role]) ?? role);
  }
  const held = await membershipsOf(trx, userId);
  for (const [projectId, role] of wanted) {
    const member = held.find((each) => each.projectId === projectId);
    if (!member) await insertMember(ctx, trx, { projectId, userId, role }, source);
    else if (readSources(member)[source] !== role)
      await keepingOwner(ctx, () => setRole(ctx, trx, member, { role, principal: OPERATOR, keepsKeys: false, source }));
  }
  for (const member of held)
    if (source in readSources(member) && !wanted.has(member.projectId))
      await keepingOwner(ctx, () => deleteMember(ctx, trx, member, { principal: OPERATOR, keepsKeys: false, source }));
}

/** The last owner of a project stays its owner, as if a person had tried to change that. */
async function keepingOwner({ log }: Context, change: () => Promise<unknown>): Promise<void> {
  await change().catch((error: unknown) => {
    if (!(error instanceof PrismError) || error.code !== "LAST_ADMIN") throw error;
    log.warn({}, "a group no longer gives owner to the last owner of a project, who keeps it");
  });
}
