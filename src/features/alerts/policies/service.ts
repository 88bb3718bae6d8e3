import { isDeepStrictEqual } from "node:util";
import { sql } from "kysely";
import * as v from "valibot";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { isUuid, uuidv7 } from "../../../core/ids.ts";
import type { PermissionHolder } from "../../../core/principal.ts";
import { toRfc3339OrNull } from "../../../core/time/clock.ts";
import { listing } from "../../../http/api/listing.ts";
import { pageEntries } from "../../../http/api/pagination.ts";
import { column, type RowOf, resource, stored, time } from "../../../http/api/resource.ts";
import { doc, example, named, object, text, uuid } from "../../../http/api/shapes.ts";
import { requireVersion } from "../../../http/body/negotiation.ts";
import { missingPermission } from "../../../http/server/access.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import { recordAction } from "../../records/audit/index.ts";
import { PagingWarnings, policyWarnings, projectWarnings, type WarningParts } from "../ways/warnings.ts";
import {
  type NamedChannel,
  type Policies,
  type PolicyRow,
  projectsOfSchedules,
  type References,
  readReferences,
  requireChannel,
  roleNames,
} from "./policies.ts";
import {
  BUILT_IN_POLICY,
  completeStep,
  DEFAULT_POLICY,
  definitionEntries,
  type PolicyDefinition,
  type PolicyStep,
  type ScheduleTarget,
  Step,
  type StepInput,
  storedDefinition,
  UNSET,
} from "./policy.ts";
import { policiesIn } from "./routing.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    policy_versions: RowOf<typeof PolicyVersion>;
  }
}

const name = doc(text(255, 1), "Name that routes refer to; unique in its project");
export const projectId = v.optional(
  doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug of a project; default: the default project"),
);

export const CreatePolicy = example(
  object({
    projectId,
    name,
    ...definitionEntries,
  }),
  {
    projectId: "default",
    name: "Database",
    steps: [
      { type: "notify", members: true },
      { type: "wait", ms: 300_000 },
      { type: "notify", roles: ["Admin"] },
    ],
    repeat: 2,
  },
);
export type CreatePolicy = v.InferOutput<typeof CreatePolicy>;
export const UpdatePolicy = example(object({ name: v.optional(name), ...definitionEntries }), { repeat: 3 });
export type UpdatePolicy = v.InferOutput<typeof UpdatePolicy>;

export const PolicyView = named(
  "Policy",
  "Who is notified of an incident, in which order",
  v.object({
    id: v.string(),
    projectId: v.string(),
    name: v.string(),
    description: v.string(),
    steps: v.array(Step),
    repeat: v.number(),
    sendResolved: v.boolean(),
    ackQuorum: v.number(),
    ackExpiresMs: v.nullable(v.number()),
    autoResolveMs: v.nullable(v.number()),
    renotifyOnNew: v.boolean(),
    opensIncidents: v.boolean(),
    fallback: v.nullable(v.string()),
    version: doc(v.number(), "0: the built-in policy, which was never changed"),
    createdBy: v.nullable(v.string()),
    createdAt: v.nullable(v.string()),
    updatedAt: v.nullable(v.string()),
  }),
);

/** The answer to a change. */
export const ChangedPolicy = named(
  "ChangedPolicy",
  "A policy, with what would keep its pages from arriving",
  v.object({ ...PolicyView.entries, warnings: PagingWarnings }),
);

export const PolicyWarnings = v.object({
  data: v.array(
    v.object({
      ...{ code: v.string(), message: v.string(), projectId: v.string() },
      project: doc(v.string(), "Slug of the project"),
      policyId: doc(
        v.nullable(v.string()),
        "The policy with the step; that of `default` is the project's; null: a schedule or a rule",
      ),
    }),
  ),
  hasOutsideWay: doc(
    v.boolean(),
    "Whether people can be reached outside of the app: without, incidents fall back in the app",
  ),
});

export const PolicyVersion = resource("PolicyVersion", "A version of a policy", "policy_versions", () => ({
  version: stored(v.number()),
  definition: column(v.string()).shownAs(doc(v.record(v.string(), v.unknown()), "The content of the version")),
  createdBy: stored(v.nullable(v.string())),
  createdAt: stored(v.string(), time),
  policyId: column(v.string()),
}));
const versionList = listing(PolicyVersion, () => ({}), { order: { version: "number" } });

const { limit, cursor } = pageEntries();
export const versionsPaging = { limit, cursor };
export const VersionsQuery = object(versionsPaging);

export const PolicyParams = object({ id: doc(uuid, "Id of the policy; that of `default` is the project's") });

export interface PolicyContext extends Uses<"db" | "clock" | "projects" | "users" | "policies" | "audit"> {
  readonly warnings: WarningParts;
  /** Checks whether requests to a URL are permitted. @throws URL_REFUSED */
  requireUrl(url: string): Promise<void>;
  /** Origin of the URL of a channel with the preset `http`; null if no key opens it. */
  originOf(channel: NamedChannel): string | null;
}

export type StoredPolicy = Omit<PolicyRow, "createdAt" | "updatedAt"> & {
  readonly createdAt: number | null;
  readonly updatedAt: number | null;
};

export async function listPolicies(context: PolicyContext, principal: PermissionHolder, ref: string | undefined) {
  const { db, projects } = context;
  const projectId = projects.requireOrDefault(principal, ref, "events:read");
  const rows = await db.read
    .selectFrom("policies")
    .selectAll()
    .where("projectId", "=", projectId)
    .where("deletedAt", "is", null)
    .orderBy("name")
    .execute();
  const all: StoredPolicy[] = rows.some(({ id }) => id === projectId) ? rows : [implicit(projectId), ...rows];
  return { data: await Promise.all(all.map((row) => viewOf(context, principal, row))) };
}

export async function getPolicy(context: PolicyContext, principal: PermissionHolder, id: string) {
  return viewOf(context, principal, await visiblePolicy(context, principal, id, context.db.read));
}

/** The URLs of webhooks are checked by {@link requireUrls}, outside of the transaction. */
export async function createPolicy(context: PolicyContext, principal: PermissionHolder, input: CreatePolicy, trx: Trx) {
  const projectId = context.projects.requireOrDefault(principal, input.projectId, "policies:write");
  return changedView(context, principal, await insertPolicy(context, trx, { principal, projectId }, input), trx);
}

/** @throws LIMIT_REACHED, NAME_TAKEN, and as {@link definitionFrom} */
export async function insertPolicy(
  context: PolicyContext,
  trx: Trx,
  owner: PolicyOwner,
  input: CreatePolicy,
): Promise<StoredPolicy> {
  const { principal, projectId } = owner;
  await context.projects.quotas.requireRoom(trx, "policies", { projectId, createdBy: principal.userId });
  const unset = { ...UNSET, name: input.name };
  const definition = await definitionFrom(context, trx, owner, input, unset);
  await requireFreeName(trx, projectId, definition.name, null);
  const now = context.clock.now();
  const made = { projectId, name: definition.name, createdBy: principal.userId, createdAt: now, deletedAt: null };
  const row = { ...made, id: uuidv7(), definition: JSON.stringify(definition), version: 1, updatedAt: now };
  await trx.insertInto("policies").values(row).execute();
  await recordVersion(context, trx, row, principal, "policy.create");
  return row;
}

export async function updatePolicy(
  context: PolicyContext,
  principal: PermissionHolder,
  id: string,
  ifMatch: string,
  input: UpdatePolicy,
) {
  const { db } = context;
  await requireUrls(context, input.steps);
  const row = await db.write(async (trx) => {
    const old = await writablePolicy(context, principal, id, trx);
    requireVersion(ifMatch, old.version);
    const before = storedDefinition(old.definition);
    const definition = await definitionFrom(context, trx, { principal, projectId: old.projectId }, input, before);
    if (isDeepStrictEqual(definition, before)) return old;
    if (definition.name !== before.name) await requireRenamable(context, trx, old, definition.name);
    return storeChanged(context, principal, trx, old, definition);
  });
  return changedView(context, principal, row, db.read);
}

export async function storeChanged(
  context: PolicyContext,
  principal: PermissionHolder,
  trx: Trx,
  old: StoredPolicy,
  definition: PolicyDefinition,
): Promise<StoredPolicy> {
  const now = context.clock.now();
  const changes = { name: definition.name, definition: JSON.stringify(definition), updatedAt: now };
  const row = { ...old, ...changes, version: old.version + 1, createdAt: old.createdAt ?? now };
  const values = { ...row, createdBy: old.version === 0 ? principal.userId : old.createdBy };
  if (old.version === 0) await trx.insertInto("policies").values(values).execute();
  else
    await trx
      .updateTable("policies")
      .set({ ...changes, version: row.version })
      .where("id", "=", old.id)
      .execute();
  await recordVersion(context, trx, values, principal, "policy.update");
  return values;
}

/** Reasons why pages of a project would not arrive. @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE */
export async function listPolicyWarnings(
  { warnings, projects, db }: PolicyContext,
  principal: PermissionHolder,
  { projectId, scope = "own" }: { readonly projectId?: string | undefined; readonly scope?: "own" | "all" | undefined },
) {
  if (scope === "all" && !principal.permissions.has("projects:all")) throw missingPermission("projects:all");
  const isAll = scope === "all" && projectId === undefined;
  const all = db.scan.selectFrom("projects").select(["id", "slug"]).where("deletedAt", "is", null);
  const wanted = isAll ? all : all.where("id", "=", projects.requireOrDefault(principal, projectId, "events:read"));
  const data = [];
  for (const { id, slug } of await wanted.execute())
    for (const { code, message, policyId } of await projectWarnings(warnings, db.scan, id))
      data.push({ code, message, projectId: id, project: slug, policyId });
  return { data, hasOutsideWay: warnings.pages.hasWays };
}

async function changedView(context: PolicyContext, principal: PermissionHolder, row: StoredPolicy, db: ReadDb | Trx) {
  const { id, projectId } = row;
  const definition = storedDefinition(row.definition);
  const found = await policyWarnings(context.warnings, db, { id, projectId, definition });
  const warnings = found.map(({ code, message }) => ({ code, message }));
  return { ...(await viewOf(context, principal, row)), warnings };
}

/** Running incidents keep their version. */
export async function deletePolicy(context: PolicyContext, principal: PermissionHolder, id: string): Promise<void> {
  const { db, clock, policies } = context;
  await db.write(async (trx) => {
    const row = await writablePolicy(context, principal, id, trx);
    if (row.name === DEFAULT_POLICY) throw new PrismError("INVALID_STATE", "The policy default cannot be deleted");
    requireUnused(policies, row);
    await trx.updateTable("policies").set({ deletedAt: clock.now() }).where("id", "=", id).execute();
    await recordAction(context, trx, "policy.delete", id, { version: row.version });
    addEffect(trx, { type: "policies-changed", projectIds: [row.projectId] });
  });
}

export async function listPolicyVersions(
  context: PolicyContext,
  principal: PermissionHolder,
  id: string,
  query: v.InferOutput<typeof VersionsQuery>,
) {
  const { db, projects } = context;
  const { projectId } = await visiblePolicy(context, principal, id, db.read);
  const isWriter = projects.has(principal, projectId, "policies:write");
  return versionList.page(db, { visible: sql`policyId = ${id}`, state: undefined }, query, () => (row) => {
    const content = storedDefinition(row.definition);
    const steps = content.steps.map((step) => (isWriter ? step : masked(step)));
    return PolicyVersion.view(row, { definition: { ...content, steps } });
  });
}

/** @throws NOT_FOUND, also for a policy that the caller may not see. */
async function visiblePolicy(
  { projects }: PolicyContext,
  principal: PermissionHolder,
  id: string,
  db: ReadDb | Trx,
): Promise<StoredPolicy> {
  const row = isUuid(id)
    ? await db.selectFrom("policies").selectAll().where("id", "=", id).where("deletedAt", "is", null).executeTakeFirst()
    : undefined;
  const found = row ?? (projects.exists(id) ? implicit(id) : undefined);
  if (!found || !projects.has(principal, found.projectId, "events:read"))
    throw new PrismError("POLICY_NOT_FOUND", "No such policy");
  return found;
}

async function writablePolicy(context: PolicyContext, principal: PermissionHolder, id: string, trx: Trx) {
  const row = await visiblePolicy(context, principal, id, trx);
  if (!context.projects.has(principal, row.projectId, "policies:write")) throw missingPermission("policies:write");
  return row;
}

export function implicit(projectId: string): StoredPolicy {
  const definition = JSON.stringify(BUILT_IN_POLICY);
  const times = { createdBy: null, createdAt: null, updatedAt: null, deletedAt: null };
  return { id: projectId, projectId, name: DEFAULT_POLICY, definition, version: 0, ...times };
}

/** Who stores a policy, and for which project. */
export interface PolicyOwner {
  readonly principal: PermissionHolder;
  readonly projectId: string;
  /** Whether the routes have a time interval of this name; default: the routes that are stored. */
  readonly hasInterval?: ((name: string) => boolean) | undefined;
  /** Names in the steps of all its policies, if they were read before. */
  readonly references?: References | undefined;
}

/** Absent members keep their values. @throws RECIPIENT_NOT_FOUND, ROLE_NOT_FOUND, VALIDATION_FAILED */
export async function definitionFrom(
  context: PolicyContext,
  trx: Trx,
  { principal, projectId, hasInterval, references }: PolicyOwner,
  input: UpdatePolicy,
  old: PolicyDefinition,
): Promise<PolicyDefinition> {
  const given = Object.fromEntries(
    Object.entries(input).filter(([key, value]) => key !== "projectId" && key !== "steps" && value !== undefined),
  ) as Partial<PolicyDefinition>;
  if (input.steps === undefined) return { ...old, ...given };
  const complete = input.steps.map(completeStep);
  const named = references ?? (await readReferences(trx, complete));
  const steps: PolicyStep[] = [];
  for (const [at, step] of complete.entries()) {
    const path = `steps.${at}`;
    if (step.type === "onlyIn")
      requireInterval(hasInterval ?? intervalsOf(context, projectId), step.interval, `${path}.interval`);
    requireChannel(context.originOf, named, projectId, step, path);
    if (step.type !== "notify") {
      steps.push(step);
      continue;
    }
    requireReadable(context, principal, named.schedules, step.schedules, `${path}.schedules`);
    steps.push({
      ...step,
      users: context.users.existing(step.users, projectId, `${path}.users`),
      roles: step.roles.map((ref, i) => roleIdOf(named.roles, ref, `${path}.roles.${i}`)),
    });
  }
  return { ...old, ...given, steps };
}

/**
 * A policy, or a person, may notify the schedules of other projects that the caller reads. @throws
 * RECIPIENT_NOT_FOUND
 */
export async function requireSchedules(
  context: Pick<PolicyContext, "projects">,
  principal: PermissionHolder,
  trx: Trx,
  targets: readonly ScheduleTarget[],
  path: string,
): Promise<void> {
  const known = await projectsOfSchedules(
    trx,
    targets.map(({ id }) => id),
  );
  requireReadable(context, principal, known, targets, path);
}

function requireReadable(
  { projects }: Pick<PolicyContext, "projects">,
  principal: PermissionHolder,
  schedules: References["schedules"],
  targets: readonly ScheduleTarget[],
  path: string,
): void {
  for (const [at, { id }] of targets.entries()) {
    const projectId = schedules.get(id);
    if (projectId !== undefined && projects.has(principal, projectId, "events:read")) continue;
    const message = "is not an on-call schedule that you can read";
    throw new PrismError("RECIPIENT_NOT_FOUND", "No such on-call schedule", {
      details: [{ path: `${path}.${at}.id`, code: "RECIPIENT_NOT_FOUND", message }],
    });
  }
}

function intervalsOf({ policies }: PolicyContext, projectId: string) {
  return (name: string): boolean => policies.routingOf(projectId).timeIntervals.has(name);
}

function requireInterval(hasInterval: (name: string) => boolean, interval: string, path: string): void {
  if (hasInterval(interval)) return;
  throw invalidField("body", path, `no time interval of the project has the name ${interval}`);
}

/** @throws URL_REFUSED */
export async function requireUrls({ requireUrl }: PolicyContext, steps: readonly StepInput[] = []): Promise<void> {
  for (const step of steps) if (step.type === "webhook") await requireUrl(step.url);
}

async function requireFreeName(trx: Trx, projectId: string, policy: string, id: string | null): Promise<void> {
  const other = await trx
    .selectFrom("policies")
    .select("id")
    .where("projectId", "=", projectId)
    .where("name", "=", policy)
    .where("deletedAt", "is", null)
    .executeTakeFirst();
  const isTaken = policy === DEFAULT_POLICY || (other !== undefined && other.id !== id);
  if (!isTaken) return;
  const message = "the project has a policy of this name; change that one, or choose another name";
  throw new PrismError("NAME_TAKEN", `name: ${message}`, { details: [{ path: "name", code: "NAME_TAKEN", message }] });
}

async function requireRenamable(
  { policies }: PolicyContext,
  trx: Trx,
  old: StoredPolicy,
  policy: string,
): Promise<void> {
  if (old.name === DEFAULT_POLICY) throw new PrismError("INVALID_STATE", "The policy default cannot be renamed");
  requireUnused(policies, old);
  await requireFreeName(trx, old.projectId, policy, old.id);
}

/** @throws INVALID_STATE while routes name the policy */
function requireUnused(policies: Policies, { projectId, name: policy }: StoredPolicy): void {
  const uses = policiesIn(policies.routingOf(projectId).document).filter((each) => each.name === policy);
  const [first] = uses;
  if (!first) return;
  const message = `Routes of the project name this policy (${first.path}); change them first`;
  throw new PrismError("INVALID_STATE", message, { details: uses.map(({ path }) => ({ path, message: "names it" })) });
}

async function recordVersion(
  context: PolicyContext,
  trx: Trx,
  { id, projectId, version, definition, updatedAt }: StoredPolicy,
  principal: PermissionHolder,
  action: "policy.create" | "policy.update",
): Promise<void> {
  const createdAt = updatedAt ?? 0;
  const row = { policyId: id, version, definition, createdBy: principal.userId, createdAt };
  await trx.insertInto("policy_versions").values(row).execute();
  await recordAction(context, trx, action, id, { version });
  addEffect(trx, { type: "policies-changed", projectIds: [projectId] });
}

async function viewOf(context: PolicyContext, principal: PermissionHolder, row: StoredPolicy) {
  const { id, projectId, version, createdBy, createdAt, updatedAt } = row;
  const { steps, ...rest } = storedDefinition(row.definition);
  const roles = await roleNames(context.db.read);
  const isWriter = context.projects.has(principal, projectId, "policies:write");
  const shown = steps.map((step) => {
    if (step.type === "notify") return { ...step, roles: step.roles.map((role) => roles.get(role) ?? role) };
    return isWriter ? step : masked(step);
  });
  const times = { createdAt: toRfc3339OrNull(createdAt), updatedAt: toRfc3339OrNull(updatedAt) };
  return { id, projectId, ...rest, steps: shown, version, createdBy, ...times };
}

/** The path and query of a webhook's URL may be secrets. */
function masked(step: PolicyStep): PolicyStep {
  return step.type === "webhook" ? { ...step, url: `${new URL(step.url).origin}/…` } : step;
}

/** @throws ROLE_NOT_FOUND */
function roleIdOf(names: ReadonlyMap<string, string>, ref: string, path: string): string {
  const found = [...names].find(([id, role]) => id === ref || role.toLowerCase() === ref.toLowerCase());
  if (found) return found[0];
  throw new PrismError("ROLE_NOT_FOUND", `No such role: ${ref}`, {
    details: [{ path, code: "ROLE_NOT_FOUND", message: "is no role" }],
  });
}
