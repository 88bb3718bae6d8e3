import { sql } from "kysely";
import * as v from "valibot";
import type { PermissionHolder } from "../../../core/caller.ts";
import { type ErrorCode, type ErrorDetail, invalidField, PrismError, STATUS_OF } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import { listing } from "../../../http/api/listing.ts";
import { column, type RowOf, resource, stored, time } from "../../../http/api/resource.ts";
import { doc, example, named, object, pageEntries, text, uuid } from "../../../http/api/shapes.ts";
import { missingPermission } from "../../../http/server/access.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, insertLater, type ReadDb, type Trx, updateLater } from "../../../store/database.ts";
import { findProject } from "../../access/index.ts";
import { recordAction } from "../../records/audit/index.ts";
import { PagingWarnings, projectWarnings, type WarningParts } from "../ways/warnings.ts";
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
  definitionEntries,
  maskedStep,
  type PolicyDefinition,
  type PolicyStep,
  type ScheduleTarget,
  Step,
  type StepInput,
  storedDefinition,
} from "./policy.ts";
import type { RoutingDocument } from "./routing.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    policy_versions: RowOf<typeof PolicyVersion>;
  }
}

export const PATH = "/api/v1/policies";
export const TAG = "Incidents";

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

/** A policy to store, of a project that was found. */
export interface NewPolicy {
  readonly projectId: string;
  readonly input: Omit<CreatePolicy, "projectId">;
  /** Default: one is drawn. */
  readonly id?: string;
}

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
const { limit, cursor } = pageEntries();
export const versionsPaging = { limit, cursor };
export const VersionsQuery = object(versionsPaging);

export const ProjectQuery = object({ projectId });
export type ProjectQuery = v.InferOutput<typeof ProjectQuery>;

export const WarningsQuery = object({
  projectId,
  scope: v.optional(doc(v.picklist(["own", "all"]), "`all`: of all projects; needs `projects:all`; default `own`")),
});

export const PolicyParams = object({ id: doc(uuid, "Id of the policy; that of `default` is the project's") });

const versionList = listing(PolicyVersion, () => ({}), { order: { version: "number" } });

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
    for (const { code, text, policyId } of await projectWarnings(warnings, db.scan, id))
      data.push({ code, message: text, projectId: id, project: slug, policyId });
  return { data, hasOutsideWay: warnings.pages.hasWays };
}

export async function listPolicyVersions(
  { db, projects }: PolicyContext,
  principal: PermissionHolder,
  { id, projectId }: StoredPolicy,
  query: v.InferOutput<typeof VersionsQuery>,
) {
  const isWriter = projects.has(principal, projectId, "policies:write");
  return versionList.page(db, { visible: sql`policyId = ${id}`, state: undefined }, query, () => (row) => {
    const content = storedDefinition(row.definition);
    const steps = content.steps.map((step) => (isWriter ? step : maskedStep(step)));
    return PolicyVersion.view(row, { definition: { ...content, steps } });
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

/** In a stored definition with roles. */
export const NAMES_ROLES = '"roles":["';

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
  else updateLater(trx, "policies", old.id, { ...changes, version: row.version });
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
  insertLater(trx, "policy_versions", row);
  await recordAction(context, trx, action, id, { version });
  addEffect(trx, { type: "policies-changed", projectIds: [projectId] });
}

/** What a change of many policies has read before. */
export interface KnownBefore {
  /** The routes that the same transaction stores; default: those that are stored. */
  readonly routing?: RoutingDocument | undefined;
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
  context: Pick<PolicyContext, "users" | "projects" | "originOf">,
  trx: ReadDb | Trx,
  { principal, projectId, routing, references }: PolicyOwner,
  input: UpdatePolicy,
  old: PolicyDefinition,
): Promise<PolicyDefinition> {
  const given = Object.fromEntries(
    Object.entries(input).filter(([key, value]) => key !== "projectId" && key !== "steps" && value !== undefined),
  ) as Partial<PolicyDefinition>;
  if (input.steps === undefined) return { ...old, ...given };
  const complete = input.steps.map(completeStep);
  const named = references ?? (await readReferences(trx, complete));
  const isInterval = await intervalsOf(trx, projectId, complete, routing);
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

async function intervalsOf(
  trx: ReadDb | Trx,
  projectId: string,
  steps: readonly PolicyStep[],
  routing: RoutingDocument | undefined,
) {
  if (!steps.some(({ type }) => type === "onlyIn")) return () => false;
  const { timeIntervals = [] } = routing ?? (await routingDocument(trx, projectId));
  return (name: string): boolean => timeIntervals.some((each) => each.name === name);
}

function requireInterval(hasInterval: (name: string) => boolean, interval: string, path: string): void {
  if (hasInterval(interval)) return;
  throw invalidField("body", path, `no time interval of the project has the name ${interval}`);
}

/** @throws URL_REFUSED */
export async function requireUrls(
  { requireUrl }: PolicyContext,
  steps: readonly StepInput[] = [],
  isKnown: (url: string) => boolean = () => false,
): Promise<void> {
  const details: ErrorDetail[] = [];
  for (const [at, step] of steps.entries()) {
    if (step.type !== "webhook" || isKnown(step.url)) continue;
    try {
      await requireUrl(step.url);
    } catch (error) {
      if (!(error instanceof PrismError) || STATUS_OF[error.code] >= 500) throw error;
      const { code, message } = error;
      details.push({ path: `steps.${at}.url`, code, message });
    }
  }
  const [first] = details;
  if (first) throw new PrismError(first.code as ErrorCode, first.message, { details });
}

/** @throws ROLE_NOT_FOUND */
function roleIdOf(names: ReadonlyMap<string, string>, ref: string, path: string): string {
  const found = [...names].find(([id, role]) => id === ref || role.toLowerCase() === ref.toLowerCase());
  if (found) return found[0];
  throw new PrismError("ROLE_NOT_FOUND", `No such role: ${ref}`, {
    details: [{ path, code: "ROLE_NOT_FOUND", message: "is no role" }],
  });
}
