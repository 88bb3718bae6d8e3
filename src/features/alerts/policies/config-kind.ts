import { isDeepStrictEqual } from "node:util";
import type * as v from "valibot";
import {
  type ConfigKind,
  changedMembers,
  configKind,
  type ObjectOwner,
  type ObjectVersion,
  type Spec,
  type StoredObject,
  stateWith,
} from "../../../module/config-kind.ts";
import type { Trx } from "../../../store/database.ts";
import { plannedWarnings } from "../ways/planned-warnings.ts";
import { managedPolicies, policiesOf, policyVersionsOf } from "./manage.ts";
import { roleNames, storedRouting } from "./policies.ts";
import {
  completeStep,
  DEFAULT_POLICY,
  maskedStep,
  type PolicyStep,
  type StepInput,
  storedDefinition,
  UNSET,
} from "./policy.ts";
import { BUILT_IN_ROUTING, checkedRouting, compileGiven, RoutingDocument } from "./routing.ts";
import { completeRouting, requirePolicies, storeRouting } from "./routing-service.ts";
import * as s from "./service.ts";

/* Policies and routes in configuration files. They name each other: policies are stored first, with planned routes. */

/** A policy of a file: users and targets are ids, roles names. */
type PolicySpec = s.NewPolicy["input"] & { readonly steps: readonly StepInput[] };

const rights = { read: "events:read", write: "policies:write" };

export function policiesKind(context: s.PolicyContext): ConfigKind {
  return configKind<PolicySpec>({
    ...{ kind: "policies", noun: "policy", resourceType: "policy", scope: "project", rights, defaults: UNSET },
    after: ["roles", "people", "members", "oncall", "channels"],
    entries() {
      const { projectId: _, ...entries } = s.CreatePolicy.entries as v.ObjectEntries;
      return entries;
    },
    canonical: (spec) => withSteps(spec, (step) => withoutDefaults(completeStep(step))),
    masked: (spec) => withSteps(spec, (step) => maskedStep(step as PolicyStep)),
    async list(db, projectId, ids) {
      if (projectId === null) return [];
      const roles = await roleNames(db);
      const rows = await policiesOf(db, projectId);
      const asked = ids && new Set(ids);
      return (asked ? rows.filter(({ id }) => asked.has(id)) : rows).map((row) => storedPolicy(row, roles));
    },
    async versions(db, projectId) {
      if (projectId === null) return [];
      const roles = await roleNames(db);
      const rows = await policyVersionsOf(db, projectId);
      return rows.map(({ id, version, namesRoles }) => versionOf({ id, version }, namesRoles === 1, roles));
    },
    prepare(_owner, { steps }, stored) {
      const known = (stored?.spec["steps"] ?? []) as readonly StepInput[];
      const urls = new Set(known.map((step) => step.type === "webhook" && step.url));
      return s.requireUrls(context, steps, (url) => urls.has(url)) as Promise<undefined>;
    },
    async create(trx, owner, id, spec) {
      const projectId = projectOf(owner);
      if (spec.name === DEFAULT_POLICY) await change(context, trx, owner, projectId, spec);
      else {
        const { steps, ...input } = spec;
        const given = { projectId, id, input: { ...input, steps: [...steps] }, ...knownOf(owner) };
        await managedPolicies.insert(context, trx, owner.caller, given);
      }
      return undefined;
    },
    async update(trx, owner, stored, spec) {
      // What stays is not checked again: it may name people who have left.
      await change(context, trx, owner, stored.id, changedMembers(spec, stored));
      return undefined;
    },
    async remove(trx, { caller }, { id }) {
      await managedPolicies.remove(context, trx, await storedRow(trx, id), caller, undefined);
    },
    warnings: (trx, projectId, changes) => plannedWarnings(context.warnings, trx, projectId, changes),
  });
}

function withSteps(spec: Spec, change: (step: StepInput) => object): Spec {
  return { ...spec, steps: (spec as PolicySpec).steps.map(change) };
}

async function change(
  context: s.PolicyContext,
  trx: Trx,
  owner: ObjectOwner,
  id: string,
  input: Partial<PolicySpec>,
): Promise<void> {
  const { steps, ...members } = input;
  const given = { input: { ...members, ...(steps && { steps: [...steps] }) }, ...knownOf(owner) };
  await managedPolicies.change(context, trx, await storedRow(trx, id), given, owner.caller);
}

/** The routes of the same apply decide which intervals there are, and whether a policy can be renamed. */
function knownOf({ planned }: ObjectOwner): s.KnownBefore {
  const [routing] = planned?.("routes") ?? [];
  return { routing: routing as RoutingDocument | undefined };
}

async function storedRow(trx: Trx, id: string): Promise<s.StoredPolicy> {
  const row = await s.findPolicy(trx, id);
  if (!row) throw new TypeError("a policy that is listed is stored");
  return row;
}

function storedPolicy(row: s.StoredPolicy, roles: ReadonlyMap<string, string>): StoredObject {
  const { name, version, definition } = row;
  const { steps, ...members } = storedDefinition(definition);
  const shown = steps.map((step) =>
    withoutDefaults(
      step.type === "notify" ? { ...step, roles: step.roles.map((role) => roles.get(role) ?? role) } : step,
    ),
  );
  const isDefault = name === DEFAULT_POLICY;
  return {
    ...versionOf(row, definition.includes(s.NAMES_ROLES), roles),
    ...{ name, spec: { ...members, steps: shown } },
    ...(isDefault && { isKept: true }),
    ...(version === 0 && { isImplicit: true }),
  };
}

/** A policy with roles is another when a role has another name. */
function versionOf(
  { id, version }: Pick<s.StoredPolicy, "id" | "version">,
  namesRoles: boolean,
  roles: ReadonlyMap<string, string>,
): ObjectVersion {
  return { id, version, ...(namesRoles && { state: stateWith(version, roles) }) };
}

/** Of steps and the schedules in them, as {@link completeStep} adds them. */
const STEP_DEFAULTS: Readonly<Record<string, unknown>> = {
  ...{ users: [], roles: [], schedules: [], members: false, urgency: "high", roundRobin: false },
  ...{ otherwise: "skip", format: "prism", maxAlerts: 0, sendResolved: true, who: "current" },
};

function withoutDefaults(value: object): object {
  const entries = Object.entries(value).map(([name, each]) => [
    name,
    name === "schedules" ? (each as readonly object[]).map(withoutDefaults) : each,
  ]);
  return Object.fromEntries(entries.filter(([name, each]) => !isDeepStrictEqual(each, STEP_DEFAULTS[String(name)])));
}

/** Without a document that was stored it is the built-in one; a removed one is replaced by that. */
export function routesKind(context: s.PolicyContext): ConfigKind {
  const store = async (trx: Trx, { caller, ...owner }: ObjectOwner, document: RoutingDocument) => {
    const projectId = projectOf({ caller, ...owner });
    await requirePolicies(trx, projectId, document);
    await storeRouting(context, caller, trx, projectId, document);
    return undefined;
  };
  return configKind<RoutingDocument, RoutingDocument>({
    ...{ kind: "routes", noun: "routing document", resourceType: "project", scope: "project", isSingle: true, rights },
    after: ["policies"],
    entries: () => RoutingDocument.entries,
    defaults: { inhibitRules: [], timeIntervals: [] },
    // What is not valid stays as it is, until it is prepared; defaults have no route.
    canonical: (spec) => completeRouting(spec as RoutingDocument),
    async list(db, projectId) {
      if (projectId === null) return [];
      const row = await storedRouting(db, projectId);
      const document = row ? (JSON.parse(row.document) as RoutingDocument) : BUILT_IN_ROUTING;
      const found = { id: projectId, name: "routes", version: row?.version ?? 0, spec: completeRouting(document) };
      return [{ ...found, ...(!row && { isImplicit: true }) }];
    },
    async prepare(_owner, spec) {
      const document = completeRouting(checkedRouting(spec));
      await compileGiven(document);
      return document;
    },
    create: (trx, owner, _id, _spec, document) => store(trx, owner, document),
    update: (trx, owner, _stored, _spec, document) => store(trx, owner, document),
    async remove(trx, owner) {
      await store(trx, owner, BUILT_IN_ROUTING);
    },
  });
}

function projectOf({ projectId }: ObjectOwner): string {
  if (projectId === null) throw new TypeError("policies and routes belong to a project");
  return projectId;
}
