import { isDeepStrictEqual } from "node:util";
import { sql } from "kysely";
import * as v from "valibot";
import type { PermissionHolder } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { toRfc3339OrNull } from "../../../core/time/clock.ts";
import { listing } from "../../../http/api/listing.ts";
import { column, json, type RowOf, resource, stored, time } from "../../../http/api/resource.ts";
import { doc, example, named, object } from "../../../http/api/shapes.ts";
import { requireVersion } from "../../../http/body/negotiation.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { isWithin as within } from "../model/time-intervals.ts";
import { storedRouting } from "./policies.ts";
import { DEFAULT_POLICY } from "./policy.ts";
import { BUILT_IN_ROUTING, checkedRouting, compileGiven, policiesIn, RoutingDocument } from "./routing.ts";
import { type PolicyContext, projectId as projectRef, versionsPaging } from "./service.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    alert_routing_versions: RowOf<typeof RoutingVersion>;
  }
}

/* Routing documents and their versions, and what would happen to an alert. */

export const PutRouting = example(object(RoutingDocument.entries), {
  route: {
    policy: "default",
    groupBy: ["alertname"],
    groupWaitMs: 30_000,
    groupIntervalMs: 300_000,
    repeatMs: 14_400_000,
    routes: [{ matchers: ['severity="info"'], policy: "default", repeatMs: 86_400_000 }],
  },
  inhibitRules: [],
  timeIntervals: [],
});

export const RoutingView = named(
  "Routing",
  "The routing document of a project",
  v.object({
    projectId: v.string(),
    ...RoutingDocument.entries,
    version: doc(v.number(), "0: the built-in document, which was never changed"),
    updatedBy: v.nullable(v.string()),
    updatedAt: v.nullable(v.string()),
  }),
);

export const RoutingVersion = resource(
  "RoutingVersion",
  "A version of a routing document",
  "alert_routing_versions",
  () => ({
    version: stored(v.number()),
    document: stored(RoutingDocument, json()),
    createdBy: stored(v.nullable(v.string())),
    createdAt: stored(v.string(), time),
    projectId: column(v.string()),
  }),
);
const versionList = listing(RoutingVersion, () => ({}), { order: { version: "number" } });
export const RoutingVersionsQuery = object({ projectId: projectRef, ...versionsPaging });

const labels = v.record(v.string(), v.pipe(v.string(), v.maxLength(4096)));
export const TestRoutes = example(
  object({
    labels: doc(labels, "Labels of an alert"),
    document: v.optional(doc(RoutingDocument, "A document to test in place of the stored one")),
  }),
  { labels: { alertname: "DiskFull", severity: "info" } },
);
export type TestRoutes = v.InferOutput<typeof TestRoutes>;

export const TestedRoutes = named(
  "TestedRoutes",
  "Which routes match an alert",
  v.object({
    matches: doc(
      v.array(
        v.object({
          path: doc(v.array(v.string()), "Matchers from the root to the route"),
          policy: v.object({ id: v.string(), name: v.string(), version: v.number() }),
          groupKey: v.string(),
          groupLabels: v.record(v.string(), v.string()),
          groupWaitMs: v.number(),
          groupIntervalMs: v.number(),
          repeatMs: v.number(),
          muteIntervals: v.array(v.string()),
          activeIntervals: v.array(v.string()),
          mutedBy: doc(v.array(v.string()), "Time intervals that mute it now"),
        }),
      ),
      "In the order of the tree; each is an incident of its own",
    ),
  }),
);

interface RoutingRow {
  readonly document: string;
  readonly version: number;
  readonly updatedBy: string | null;
  readonly updatedAt: number | null;
}

const BUILT_IN: RoutingRow = {
  document: JSON.stringify(BUILT_IN_ROUTING),
  version: 0,
  updatedBy: null,
  updatedAt: null,
};

function viewOf(projectId: string, { document, version, updatedBy, updatedAt }: RoutingRow) {
  return { projectId, ...contentOf(document), version, updatedBy, updatedAt: toRfc3339OrNull(updatedAt) };
}

function contentOf(document: string) {
  return completeRouting(JSON.parse(document) as RoutingDocument);
}

/** With the lists that a document may leave out. */
export function completeRouting({ route, inhibitRules = [], timeIntervals = [] }: RoutingDocument) {
  return { route, inhibitRules, timeIntervals };
}

export async function getRouting(
  { db, projects }: PolicyContext,
  principal: PermissionHolder,
  ref: string | undefined,
) {
  const projectId = projects.requireOrDefault(principal, ref, "events:read");
  return viewOf(projectId, (await storedRouting(db.read, projectId)) ?? BUILT_IN);
}

export async function testRoutes(
  { projects, policies, clock }: PolicyContext,
  principal: PermissionHolder,
  ref: string | undefined,
  { labels: given, document }: TestRoutes,
) {
  const projectId = projects.requireOrDefault(principal, ref, "events:read");
  const now = clock.now();
  const routing = document ? await compileGiven(checkedRouting(document)) : policies.routingOf(projectId);
  const isIn = (name: string): boolean => within(routing.timeIntervals.get(name) ?? [], now);
  const matches = routing.match(given).map(({ settings, groupKey, groupLabels }) => {
    const { path, policy, groupBy: _by, labels: _labels, ...times } = settings;
    const isInactive = times.activeIntervals.length > 0 && !times.activeIntervals.some(isIn);
    const mutedBy = [...times.muteIntervals.filter(isIn), ...(isInactive ? times.activeIntervals : [])];
    return { path, policy: policies.named(projectId, policy), groupKey, groupLabels, ...times, mutedBy };
  });
  return { matches };
}

/** @throws VALIDATION_FAILED with the path of each problem, VERSION_CONFLICT */
export async function putRouting(
  context: PolicyContext,
  principal: PermissionHolder,
  ref: string | undefined,
  ifMatch: string,
  given: RoutingDocument,
) {
  const { db, projects } = context;
  const projectId = projects.requireOrDefault(principal, ref, "policies:write");
  const document = checkedRouting(given);
  await compileGiven(document);
  const row = await db.write(async (trx) => {
    await requirePolicies(trx, projectId, document);
    const old = await storedRouting(trx, projectId);
    requireVersion(ifMatch, old?.version ?? 0);
    return (await storeRouting(context, principal, trx, projectId, document)) ?? old ?? BUILT_IN;
  });
  return viewOf(projectId, row);
}

/** @throws VALIDATION_FAILED for routes that name other policies than those of the project */
export async function requirePolicies(trx: Trx, projectId: string, document: RoutingDocument): Promise<void> {
  const stored = trx.selectFrom("policies").select("name").where("projectId", "=", projectId);
  const rows = await stored.where("deletedAt", "is", null).execute();
  const known = new Set([DEFAULT_POLICY, ...rows.map(({ name }) => name)]);
  const unknown = policiesIn(document).filter((each) => !known.has(each.name));
  if (unknown.length > 0)
    throw new PrismError("VALIDATION_FAILED", "The routing document is not valid", {
      details: unknown.map(({ path, name: policy }) => ({
        path,
        code: "VALUE",
        message: `no policy of the project has the name ${JSON.stringify(policy)}`,
      })),
    });
}

/** Stores a document that was checked as a new version. @returns null if it is the present one */
export async function storeRouting(
  { clock, audit }: Pick<PolicyContext, "clock" | "audit">,
  principal: PermissionHolder,
  trx: Trx,
  projectId: string,
  document: RoutingDocument,
): Promise<RoutingRow | null> {
  const old = await storedRouting(trx, projectId);
  const content = JSON.stringify(document);
  if (isDeepStrictEqual(contentOf((old ?? BUILT_IN).document), contentOf(content))) return null;
  const updatedAt = clock.now();
  const row = { projectId, document: content, version: (old?.version ?? 0) + 1, updatedBy: principal.userId };
  const { version } = row;
  await trx
    .insertInto("alert_routing")
    .values({ ...row, updatedAt })
    .onConflict((conflict) => conflict.column("projectId").doUpdateSet({ ...row, updatedAt }))
    .execute();
  const made = { projectId, version, document: content, createdBy: principal.userId, createdAt: updatedAt };
  await trx.insertInto("alert_routing_versions").values(made).execute();
  const entry = { action: "routing.update", resourceType: "project", resourceId: projectId } as const;
  await audit.record({ ...entry, metadata: { version } }, { trx });
  addEffect(trx, { type: "policies-changed", projectIds: [projectId] });
  return { ...row, updatedAt };
}

export function listRoutingVersions(
  { db, projects }: PolicyContext,
  principal: PermissionHolder,
  { projectId: ref, ...query }: v.InferOutput<typeof RoutingVersionsQuery>,
) {
  const projectId = projects.requireOrDefault(principal, ref, "events:read");
  const scope = { visible: sql<boolean>`projectId = ${projectId}`, state: undefined };
  return versionList.page(db, scope, query, () => (row) => RoutingVersion.view(row));
}
