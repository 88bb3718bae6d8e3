import { sql } from "kysely";
import type * as v from "valibot";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import type { PermissionHolder } from "../../../core/principal.ts";
import { listing } from "../../../http/api/listing.ts";
import { missingPermission } from "../../../http/server/access.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import { findProject } from "../../access/index.ts";
import { recordAction } from "../../records/audit/index.ts";
import { projectWarnings, type WarningParts } from "../ways/warnings.ts";
import {
  type NamedChannel,
  type PolicyRow,
  projectsOfSchedules,
  type References,
  readReferences,
  requireChannel,
  routingDocument,
} from "./policies.ts";
import {
  BUILT_IN_POLICY,
  completeStep,
  DEFAULT_POLICY,
  type PolicyDefinition,
  type PolicyStep,
  type ScheduleTarget,
  type StepInput,
  storedDefinition,
} from "./policy.ts";
import * as s from "./schema.ts";

const versionList = listing(s.PolicyVersion, () => ({}), { order: { version: "number" } });

export interface PolicyContext
  extends Uses<"db" | "clock" | "projects" | "users" | "policies" | "audit" | "idempotency"> {
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

export async function listPolicyVersions(
  { db, projects }: PolicyContext,
  principal: PermissionHolder,
  { id, projectId }: StoredPolicy,
  query: v.InferOutput<typeof s.VersionsQuery>,
) {
  const isWriter = projects.has(principal, projectId, "policies:write");
  return versionList.page(db, { visible: sql`policyId = ${id}`, state: undefined }, query, () => (row) => {
    const content = storedDefinition(row.definition);
    const steps = content.steps.map((step) => (isWriter ? step : masked(step)));
    return s.PolicyVersion.view(row, { definition: { ...content, steps } });
  });
}

/** A policy, or `default` of a project that has not changed it. */
export async function findPolicy(db: ReadDb | Trx, id: string): Promise<StoredPolicy | undefined> {
  if (isUuid(id)) {
    const row = await db
      .selectFrom("policies")
      .selectAll()
      .where("id", "=", id)
      .where("deletedAt", "is", null)
      .executeTakeFirst();
    if (row) return row;
  }
  return (await findProject(db, id)) && implicit(id);
}

export function implicit(projectId: string): StoredPolicy {
  const definition = JSON.stringify(BUILT_IN_POLICY);
  const times = { createdBy: null, createdAt: null, updatedAt: null, deletedAt: null };
  return { id: projectId, projectId, name: DEFAULT_POLICY, definition, version: 0, ...times };
}

/** Running incidents keep their version. */
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

export async function recordVersion(
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

/** What an import of many policies has read before. */
export interface KnownBefore {
  /** Whether the routes have a time interval of this name; default: the routes that are stored. */
  readonly hasInterval?: ((name: string) => boolean) | undefined;
  /** Names in the steps of all its policies, if they were read before. */
  readonly references?: References | undefined;
}

/** Who stores a policy, and for which project. */
export interface PolicyOwner extends KnownBefore {
  readonly principal: PermissionHolder;
  readonly projectId: string;
}

/** Absent members keep their values. @throws RECIPIENT_NOT_FOUND, ROLE_NOT_FOUND, VALIDATION_FAILED */
export async function definitionFrom(
  context: PolicyContext,
  trx: Trx,
  { principal, projectId, hasInterval, references }: PolicyOwner,
  input: s.UpdatePolicy,
  old: PolicyDefinition,
): Promise<PolicyDefinition> {
  const given = Object.fromEntries(
    Object.entries(input).filter(([key, value]) => key !== "projectId" && key !== "steps" && value !== undefined),
  ) as Partial<PolicyDefinition>;
  if (input.steps === undefined) return { ...old, ...given };
  const complete = input.steps.map(completeStep);
  const named = references ?? (await readReferences(trx, complete));
  const isInterval = hasInterval ?? (await intervalsOf(trx, projectId, complete));
  const steps: PolicyStep[] = [];
  for (const [at, step] of complete.entries()) {
    const path = `steps.${at}`;
    if (step.type === "onlyIn") requireInterval(isInterval, step.interval, `${path}.interval`);
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

async function intervalsOf(trx: Trx, projectId: string, steps: readonly PolicyStep[]) {
  if (!steps.some(({ type }) => type === "onlyIn")) return () => false;
  const { timeIntervals = [] } = await routingDocument(trx, projectId);
  return (name: string): boolean => timeIntervals.some((each) => each.name === name);
}

function requireInterval(hasInterval: (name: string) => boolean, interval: string, path: string): void {
  if (hasInterval(interval)) return;
  throw invalidField("body", path, `no time interval of the project has the name ${interval}`);
}

/** @throws URL_REFUSED */
export async function requireUrls({ requireUrl }: PolicyContext, steps: readonly StepInput[] = []): Promise<void> {
  for (const step of steps) if (step.type === "webhook") await requireUrl(step.url);
}

/** The path and query of a webhook's URL may be secrets. */
export function masked(step: PolicyStep): PolicyStep {
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
