import { isDeepStrictEqual } from "node:util";
import { sql } from "kysely";
import * as v from "valibot";
import type { Principal } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { toRfc3339OrNull } from "../../../core/time/clock.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import { findProject, managed, owned } from "../../access/index.ts";
import { recordAction } from "../../records/audit/index.ts";
import { policyWarnings } from "../ways/warnings.ts";
import { roleNames, routingDocument } from "./policies.ts";
import { DEFAULT_POLICY, maskedStep, storedDefinition, UNSET } from "./policy.ts";
import { policiesIn, type RoutingDocument } from "./routing.ts";
import * as s from "./service.ts";

const INVALID = ["RECIPIENT_NOT_FOUND", "ROLE_NOT_FOUND", "NAME_TAKEN", "URL_REFUSED"] as const;

export const policyAccess = owned<s.StoredPolicy, Principal>(
  { find: s.findPolicy },
  { read: "events:read", write: "policies:write", missing: "POLICY_NOT_FOUND", noun: "policy" },
);

export const managedPolicies = managed({
  ...{ path: s.PATH, names: ["Policy", "Policies"], tag: s.TAG, params: s.PolicyParams },
  access: policyAccess,
  answer: s.PolicyView,
  list: {
    summary: "List the policies of a project by name",
    returns: "All policies, the built-in one included",
    errors: ["PROJECT_NOT_FOUND"],
    query: s.ProjectQuery,
    answer: v.object({ data: v.array(s.PolicyView) }),
    page: listAll,
  },
  get: { summary: "Get a policy" },
  create: {
    summary: "Create a policy",
    errors: ["PROJECT_NOT_FOUND", "LIMIT_REACHED", ...INVALID],
    body: s.CreatePolicy,
    answer: s.ChangedPolicy,
    storesAnswer: {},
    async prepare(
      context: s.PolicyContext,
      caller,
      { projectId: ref, ...input },
    ): Promise<s.NewPolicy & s.KnownBefore> {
      const projectId = context.projects.requireOrDefault(caller, ref, "policies:write");
      await s.requireUrls(context, input.steps);
      return { projectId, input };
    },
  },
  update: {
    method: "PUT and PATCH",
    summary: "Update a policy; absent members keep their values",
    details: "Incidents that are open keep the version with which they started.",
    errors: ["INVALID_STATE", ...INVALID],
    body: s.UpdatePolicy,
    answer: s.ChangedPolicy,
    async prepare(context, _caller, input): Promise<{ readonly input: s.UpdatePolicy } & s.KnownBefore> {
      await s.requireUrls(context, input.steps);
      return { input };
    },
  },
  remove: { summary: "Delete a policy that no route names; its open incidents continue", errors: ["INVALID_STATE"] },
  view: viewOf,
  async extra({ warnings }, { id, projectId, definition }, db) {
    const found = await policyWarnings(warnings, db, { id, projectId, definition: storedDefinition(definition) });
    return { warnings: found.map(({ code, text }) => ({ code, message: text })) };
  },
  in: {
    async insert(context, trx, caller, { projectId, input, id = uuidv7(), ...known }) {
      if (!(await findProject(trx, projectId))) throw new PrismError("PROJECT_NOT_FOUND", "No such project");
      const createdBy = caller.userId;
      await context.projects.quotas.requireRoom(trx, "policies", { projectId, createdBy });
      const owner = { principal: caller, projectId, ...known };
      const definition = await s.definitionFrom(context, trx, owner, input, { ...UNSET, name: input.name });
      const { name } = definition;
      await requireFreeName(trx, projectId, name, null);
      const now = context.clock.now();
      const made = { id, projectId, name, createdBy, createdAt: now, updatedAt: now, deletedAt: null };
      const row = { ...made, definition: JSON.stringify(definition), version: 1 };
      await trx.insertInto("policies").values(row).execute();
      await s.recordVersion(context, trx, row, caller, "policy.create");
      return { row };
    },
    async change(context, trx, old, { input, ...known }, caller) {
      const before = storedDefinition(old.definition);
      const owner = { principal: caller, projectId: old.projectId, ...known };
      const definition = await s.definitionFrom(context, trx, owner, input, before);
      if (isDeepStrictEqual(definition, before)) return { row: old };
      if (definition.name !== before.name) {
        if (old.name === DEFAULT_POLICY) throw new PrismError("INVALID_STATE", "The policy default cannot be renamed");
        await requireUnused(trx, old, known.routing);
        await requireFreeName(trx, old.projectId, definition.name, old.id);
      }
      return { row: await s.storeChanged(context, caller, trx, old, definition) };
    },
    async remove(context, trx, row) {
      if (row.name === DEFAULT_POLICY) throw new PrismError("INVALID_STATE", "The policy default cannot be deleted");
      await requireUnused(trx, row);
      await trx.updateTable("policies").set({ deletedAt: context.clock.now() }).where("id", "=", row.id).execute();
      await recordAction(context, trx, "policy.delete", row.id, { version: row.version });
      addEffect(trx, { type: "policies-changed", projectIds: [row.projectId] });
    },
  },
});

async function listAll(context: s.PolicyContext, caller: Principal, { projectId: ref }: s.ProjectQuery) {
  const { db, projects } = context;
  const projectId = projects.requireOrDefault(caller, ref, "events:read");
  const all = await policiesOf(db.read, projectId);
  return { data: await Promise.all(all.map((row) => viewOf(context, caller, row, db.read))) };
}

/** All of a project by name; first the built-in one, if it was not changed. */
export async function policiesOf(db: ReadDb | Trx, projectId: string): Promise<s.StoredPolicy[]> {
  const rows = await db
    .selectFrom("policies")
    .selectAll()
    .where("projectId", "=", projectId)
    .where("deletedAt", "is", null)
    .orderBy("name")
    .execute();
  return rows.some(({ id }) => id === projectId) ? rows : [s.implicit(projectId), ...rows];
}

/** Of the policies of {@link policiesOf}, and whether they name roles. */
export async function policyVersionsOf(db: ReadDb | Trx, projectId: string) {
  const rows = await db
    .selectFrom("policies")
    .select(["id", "version", sql<number>`instr(definition, ${s.NAMES_ROLES}) > 0`.as("namesRoles")])
    .where("projectId", "=", projectId)
    .where("deletedAt", "is", null)
    .execute();
  const { id, version } = s.implicit(projectId);
  return rows.some((row) => row.id === id) ? rows : [{ id, version, namesRoles: 0 }, ...rows];
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

/** @throws INVALID_STATE while routes name the policy */
async function requireUnused(
  trx: Trx,
  { projectId, name: policy }: s.StoredPolicy,
  routing?: RoutingDocument,
): Promise<void> {
  const document = routing ?? (await routingDocument(trx, projectId));
  const uses = policiesIn(document).filter((each) => each.name === policy);
  const [first] = uses;
  if (!first) return;
  const message = `Routes of the project name this policy (${first.path}); change them first`;
  throw new PrismError("INVALID_STATE", message, { details: uses.map(({ path }) => ({ path, message: "names it" })) });
}

async function viewOf(context: s.PolicyContext, principal: Principal, row: s.StoredPolicy, db: ReadDb | Trx) {
  const { id, projectId, version, createdBy, createdAt, updatedAt } = row;
  const { steps, ...rest } = storedDefinition(row.definition);
  const roles = await roleNames(db);
  const isWriter = context.projects.has(principal, projectId, "policies:write");
  const shown = steps.map((step) => {
    if (step.type === "notify") return { ...step, roles: step.roles.map((role) => roles.get(role) ?? role) };
    return isWriter ? step : maskedStep(step);
  });
  const times = { createdAt: toRfc3339OrNull(createdAt), updatedAt: toRfc3339OrNull(updatedAt) };
  return { id, projectId, ...rest, steps: shown, version, createdBy, ...times };
}
