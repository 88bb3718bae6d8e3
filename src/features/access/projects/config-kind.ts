import * as v from "valibot";
import type { PermissionHolder } from "../../../core/caller.ts";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { doc, isJsonObject } from "../../../http/api/shapes.ts";
import { stateOf } from "../../../http/body/negotiation.ts";
import { missingPermission } from "../../../http/server/access.ts";
import { type ConfigKind, changedMembers, configKind, type ObjectOwner } from "../../../module/config-kind.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import type { ProjectRole } from "../../../store/schema.ts";
import { reauthorize } from "../authorize.ts";
import { ownOf, readSources } from "../group-rights/sources.ts";
import { plainName } from "../users/create-user.ts";
import { usersWith } from "../users/queries.ts";
import { deleteMember, insertMember, setRole } from "./members.ts";
import { PROJECT_ROLES, Project, ProjectSettings } from "./project.ts";
import { everyMember, type MemberRow } from "./queries.ts";
import { CreateProject, UpdateProject } from "./schema.ts";
import { changeStored, insertProject, mergedSettings, requireMaySetLimit } from "./service.ts";

type KindContext = Uses<"audit" | "clock" | "projects" | "principals">;

export function projectKinds(context: KindContext): readonly ConfigKind[] {
  return [projectsKind(context), membersKind(context)];
}

interface ProjectSpec {
  readonly slug: string;
  readonly name: string;
  readonly settings: ProjectSettings;
  readonly storageBytes: number | null;
}

/** Who may change one is decided by its members; files never delete one. */
function projectsKind(context: KindContext): ConfigKind {
  // Digests follow it.
  const announce = (trx: Trx, id: string) =>
    addEffect(trx, { type: "announced", event: "project:changed", data: { id } });
  return configKind<ProjectSpec>({
    ...{ kind: "projects", noun: "project", resourceType: "project", scope: "server", key: "slug", after: [] },
    rights: { read: "projects:create", write: "projects:create" },
    isKept: true,
    entries: () => ({
      slug: CreateProject.entries.slug.wrapped,
      name: CreateProject.entries.name,
      settings: v.optional(ProjectSettings),
      storageBytes: UpdateProject.entries.storageBytes,
    }),
    defaults: { settings: {}, storageBytes: null },
    async list(db) {
      const rows = await db.selectFrom("projects").selectAll().where("deletedAt", "is", null).orderBy("slug").execute();
      return rows.map((row) => {
        const { id, slug, name, version, storageBytes } = row;
        const spec = { slug, name, settings: Project.value(row, "settings"), storageBytes };
        return { id, name: slug, version, spec };
      });
    },
    async create(trx, { caller }, id, { settings, ...spec }) {
      await insertProject(context, trx, caller, { ...spec, id, settings: mergedSettings("{}", settings) });
      announce(trx, id);
      return undefined;
    },
    async update(trx, { caller, mayPage = false }, stored, spec) {
      const row = await reauthorize(context, caller, stored.id, "project:manage", trx);
      const { slug, settings, ...changed } = changedMembers(spec, stored);
      if (slug !== undefined) throw invalidField("body", "slug", "a project keeps its slug");
      if (changed.storageBytes !== undefined) requireMaySetLimit(caller);
      const dropped = Object.keys(Project.value(row, "settings")).map((name) => [name, null] as const);
      const given = settings && { ...Object.fromEntries(dropped), ...settings };
      await changeStored(context, trx, row, { ...changed, ...(given && { settings: given }), mayPage });
      announce(trx, stored.id);
      return undefined;
    },
  });
}

type MembersSpec = Readonly<Record<"members", Readonly<Record<string, ProjectRole>>>>;

const isRole = (role: unknown): boolean => (PROJECT_ROLES as readonly unknown[]).includes(role);
// `v.record` drops a member who is called `constructor`.
const roles = v.pipe(
  v.custom<MembersSpec["members"]>(isJsonObject, "must have a role for each member"),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const input: Readonly<Record<string, unknown>> = dataset.value;
    for (const [key, value] of Object.entries(input))
      if (!isRole(value))
        addIssue({
          message: "must be owner, editor or viewer",
          input: value,
          path: [{ type: "object", origin: "value", input, key, value }],
        });
  }),
  v.metadata({ type: "object", additionalProperties: { enum: PROJECT_ROLES } }),
);

/** The members of a project: in files the map of usernames itself. */
function membersKind(context: KindContext): ConfigKind {
  const store = async (trx: Trx, { caller, projectId }: ObjectOwner, { members }: MembersSpec) => {
    const { id } = await reauthorize(context, caller, projectId ?? "", "project:manage", trx);
    const held = await everyMember(trx, id);
    const wanted = new Map<string, ProjectRole>();
    for (const [name, role] of Object.entries(members)) wanted.set(await userIdOf(trx, caller, held, name), role);
    const own = held.find(({ userId }) => userId === caller.userId);
    if (
      own &&
      ownOf(readSources(own)) === "owner" &&
      wanted.get(own.userId) !== "owner" &&
      !caller.permissions.has("projects:all")
    )
      throw invalidField(
        "body",
        `members.${nameOf(own)}`,
        "an owner does not take that away from himself: name yourself as owner, too",
      );
    const change = { principal: caller, keepsKeys: false, countsInvited: true, source: "file" };
    // A project has an owner at each step; on a new server all of them may be invited.
    const roles = [...wanted].sort(([, a], [, b]) => PROJECT_ROLES.indexOf(a) - PROJECT_ROLES.indexOf(b));
    for (const [userId, role] of roles) {
      const member = held.find((each) => each.userId === userId);
      if (!member) await insertMember(context, trx, { projectId: id, userId, role }, "file");
      else if (ownOf(readSources(member)) !== role) await setRole(context, trx, member, { ...change, role });
    }
    for (const member of held)
      if (!wanted.has(member.userId) && ownOf(readSources(member)) !== undefined)
        await deleteMember(context, trx, member, change);
    return undefined;
  };
  return configKind<MembersSpec>({
    ...{ kind: "members", noun: "members", resourceType: "project", scope: "project", isSingle: true, isKept: true },
    after: ["people"],
    rights: { read: "project:read", write: "project:manage" },
    entries: () => ({ members: doc(roles, "Roles by username") }),
    defaults: {},
    async list(db, projectId) {
      const rows = await everyMember(db, projectId ?? "");
      // What only groups give is theirs: files neither list nor remove it.
      const own = rows.map((row) => [nameOf(row), ownOf(readSources(row))] as const);
      const given = own.filter(([, role]) => role !== undefined);
      const spec = { members: Object.fromEntries(given) };
      const implicit = given.length === 0 && { isImplicit: true as const };
      return [{ id: projectId ?? "", name: "members", version: stateOf(spec), spec, ...implicit }];
    },
    create: (trx, owner, _id, spec) => store(trx, owner, spec),
    update: (trx, owner, _stored, spec) => store(trx, owner, spec),
  });
}

function nameOf({ username, userId }: MemberRow): string {
  return username ?? userId;
}

/** Only who may read users adds one: others could find out which accounts exist. */
async function userIdOf(trx: Trx, caller: PermissionHolder, held: readonly MemberRow[], name: string): Promise<string> {
  const member = held.find((each) => nameOf(each) === plainName(name));
  if (member) return member.userId;
  if (!caller.permissions.has("users:read")) throw missingPermission("users:read", "invite the person by mail address");
  const user = await usersWith(trx, "username", plainName(name)).select(["id", "status"]).executeTakeFirst();
  // A pending account waits for its owner.
  if (user?.status === "active" || user?.status === "pending") return user.id;
  throw new PrismError("USER_NOT_FOUND", `No such user: ${name}`);
}
