import { sql } from "kysely";
import * as v from "valibot";
import type { PermissionHolder, Principal } from "../../../core/caller.ts";
import type { Permission } from "../../../core/permissions.ts";
import { streamReply } from "../../../http/api/replies.ts";
import {
  doc,
  instant,
  named,
  object,
  pageBody,
  pageEntries,
  pageOf,
  pattern,
  queryBoolean,
  readPage,
} from "../../../http/api/shapes.ts";
import { holderOf } from "../../../http/server/access.ts";
import { type Context, type FeatureServer, feature } from "../../../module/feature.ts";
import type { ReadDb } from "../../../store/database.ts";
import { countOf, fittingRows } from "../../../store/sqlite/list-queries.ts";
import { AuditHeadKeeper, readAuditHead } from "./audit-head.ts";
import {
  AUDIT_BYTES,
  type AuditLogRow,
  auditCsv,
  auditRows,
  auditView,
  lastAuditSeq,
  seqBounds,
  verifyAudit,
} from "./audit-log.ts";
import { auditFindings } from "./findings.ts";
import { auditSweep } from "./retention.ts";

const filters = {
  from: v.optional(doc(instant, "At or after")),
  to: v.optional(doc(instant, "Before")),
  userId: v.optional(doc(v.pipe(v.string(), v.maxLength(64)), "Id of the acting user")),
  action: v.optional(
    doc(
      pattern(/^[a-z_]+((\.[a-z_]+)?|(\.[a-z_]*)?\*)$/, "must be an action such as rule.create, or rule.*"),
      "Action such as `rule.create`, or its beginning: `rule`, `rule.*`, `rule.cr*`",
    ),
  ),
  notifications: v.optional(
    doc(queryBoolean, "False leaves out what became of notifications: actions `notification.*`; default true"),
  ),
  resourceType: v.optional(doc(v.pipe(v.string(), v.maxLength(50)), "Kind of the changed resource, such as `rule`")),
  resourceId: v.optional(doc(v.pipe(v.string(), v.maxLength(64)), "Id of the changed resource")),
  requestId: v.optional(doc(v.pipe(v.string(), v.maxLength(128)), "Id of the request")),
};

const ListQuery = object({ ...filters, ...pageEntries(1000) });
const ExportQuery = object(filters);
const VerifyQuery = object({ from: filters.from, to: filters.to });
type AuditFilters = v.InferOutput<typeof ExportQuery>;

const AuditView = named(
  "AuditRow",
  "A row of the audit trail",
  v.object({
    seq: v.number(),
    id: v.string(),
    action: v.string(),
    userId: v.nullable(v.string()),
    actor: v.record(v.string(), v.unknown()),
    actorName: v.optional(
      doc(v.nullable(v.string()), "Current name of the acting user; in lists, for callers with `users:read`"),
    ),
    resourceType: v.nullable(v.string()),
    resourceId: v.nullable(v.string()),
    resourceName: v.optional(
      doc(v.nullable(v.string()), "Current name of the changed resource; in lists, for callers who may read it"),
    ),
    metadata: v.record(v.string(), v.unknown()),
    ip: v.nullable(v.string()),
    requestId: v.nullable(v.string()),
    timestamp: v.string(),
    prevHash: v.string(),
    hash: v.string(),
  }),
);

const VerifyReply = named(
  "AuditVerification",
  "The result of the check",
  v.object({
    ok: v.boolean(),
    checked: v.number(),
    firstBad: v.optional(v.object({ seq: v.number(), id: v.string() })),
    truncated: v.optional(v.boolean()),
  }),
);

type AuditContext = Context<"auditHead" | "projects">;

const tag = "Audit";

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly auditHead: AuditHeadKeeper;
  }
}

/** The audit trail: reading, exporting, verifying. */
export const auditFeature = feature("audit", {
  needs: [],
  uses: ["projects"],
  open: (core) => ({ auditHead: new AuditHeadKeeper({ ...core, log: core.log.namespace("audit") }) }),
  findings: auditFindings,
  register: serve,
  sweeps: ({ audit, config, settings }) => [
    auditSweep({ audit, dataDir: config.dataDir, days: () => settings.retention.auditDays }),
  ],
});

function serve(server: FeatureServer, context: AuditContext): void {
  const { db, audit: trail, config, auditKey, auditHead, projects } = context;
  const { dataDir } = config;
  const readableProjects: ReadableProjects = (principal, permission) => projects.readable(principal, permission);
  server.route({
    method: "GET",
    path: "/api/v1/audit",
    id: "listAuditRows",
    summary: "List audit rows, newest first",
    tag,
    access: { permission: "audit:read" },
    query: ListQuery,
    response: pageOf(AuditView),
    errors: ["INVALID_CURSOR"],
    async handle(exchange, { query }) {
      const request = readPage(query, ["number"]);
      const { fromSeq, toSeq } = await seqBounds(db.scan, query);
      const before = request.after ? Math.min(toSeq, Number(request.after[0])) : toSeq;
      const bounds = { fromSeq, toSeq: before };
      const rows = auditRows(db.scan, query, bounds).orderBy("seq", "desc").offset(request.offset);
      const total = request.wantsTotal ? await countRows(query) : undefined;
      const { rows: found, isCut } = await fittingRows(rows, request.limit + 1, AUDIT_BYTES);
      const holder = holderOf(exchange);
      const names = holder.permissions.has("users:read") ? await namesOf(db.read, found) : null;
      const resourceName = await resourceNames(db.read, readableProjects, holder, found);
      const view = (row: AuditLogRow) => ({
        ...auditView(row),
        ...(names && { actorName: names.get(row.userId ?? "") ?? null }),
        resourceName: resourceName(row),
      });
      return pageBody({ ...request, isCut }, found, view, (row) => [row.seq], total);
    },
  });
  server.route({
    method: "GET",
    path: "/api/v1/audit/export",
    id: "exportAudit",
    summary: "Download the audit trail as CSV, oldest first; the export is audited",
    tag,
    access: { permission: "audit:export" },
    query: ExportQuery,
    response: { contentType: "text/csv", description: "RFC 4180 with a header row" },
    async handle(exchange, { query }) {
      const filters = Object.keys(query).filter((name) => query[name as keyof typeof query] !== undefined);
      await trail.record({ action: "audit.export", resourceType: "audit", metadata: { filters } });
      return streamReply(
        exchange,
        { contentType: "text/csv; charset=utf-8", filename: "audit.csv" },
        auditCsv(db.scan, query),
      );
    },
  });
  server.route({
    method: "GET",
    path: "/api/v1/audit/verify",
    id: "verifyAudit",
    summary: "Recompute the hash chain and return the first changed row, if any",
    tag,
    access: { permission: "audit:read" },
    query: VerifyQuery,
    response: VerifyReply,
    async handle(_exchange, { query }) {
      const head = await readAuditHead(dataDir);
      const last = await lastAuditSeq(db.read);
      const verdict = await verifyAudit(db.scan, auditKey, last, query, head ? [head] : []);
      const isWhole = query.from === undefined && query.to === undefined;
      // Without a head to compare with, a trail that was cut off looks whole.
      return verdict.ok && isWhole && (await auditHead.problem()) !== null
        ? { ...verdict, ok: false, truncated: true }
        : verdict;
    },
  });

  async function countRows(filters: AuditFilters): Promise<number> {
    return countOf(auditRows(db.scan, filters, await seqBounds(db.scan, filters)));
  }
}

/** The users who acted, by id: display name, otherwise username. */
async function namesOf(db: ReadDb, rows: readonly AuditLogRow[]): Promise<ReadonlyMap<string, string | null>> {
  const ids = [...new Set(rows.flatMap(({ userId }) => userId ?? []))];
  if (ids.length === 0) return new Map();
  const users = await db.selectFrom("users").select(["id", "name", "username"]).where("id", "in", ids).execute();
  return new Map(users.map(({ id, name, username }) => [id, name === "" ? username : name]));
}

type ProjectPermission = "events:read" | "rules:read";

/** The projects in which a caller has a permission; null: all. */
type ReadableProjects = (principal: Principal, permission: ProjectPermission) => readonly string[] | null;

/** Where the name of a resource is, and who may see it. Texts of SQL, no input. */
type Source = { readonly table: string; readonly name: string } & (
  | { readonly permission: Permission; readonly project?: undefined }
  // Resources that belong to no project need the permission outside of projects.
  | { readonly permission: ProjectPermission; readonly project: string }
);

const ofProject = { name: "name", permission: "events:read", project: "projectId" } as const;

const SOURCES: Readonly<Record<string, Source>> = {
  user: { table: "users", name: "coalesce(nullif(name, ''), username)", permission: "users:read" },
  role: { table: "roles", name: "name", permission: "roles:read" },
  rule: { table: "rules", name: "name", permission: "rules:read", project: "projectId" },
  project: { ...ofProject, table: "projects", project: "id" },
  policy: { ...ofProject, table: "policies" },
  heartbeat: { ...ofProject, table: "heartbeats" },
  receiver: { ...ofProject, table: "receivers" },
  integration: { ...ofProject, table: "integrations" },
  oncall_schedule: { ...ofProject, table: "oncall_schedules" },
  oncall_shift: {
    ...ofProject,
    table: "oncall_shifts",
    name: "(select s.name from oncall_schedules s where s.id = scheduleId)",
    project: "(select s.projectId from oncall_schedules s where s.id = scheduleId)",
  },
  silence: { ...ofProject, table: "silences", name: "comment" },
  incident: { ...ofProject, table: "incidents", name: "'#' || number || ' ' || title" },
  status_notice: { ...ofProject, table: "status_notices", name: "title" },
  apiKey: { ...ofProject, table: "api_keys" },
  // Channels of people have no name here.
  channel: { ...ofProject, table: "channels", name: "iif(projectId is null, null, name)" },
  schedule: { table: "schedules", name: "name", permission: "jobs:read" },
  job: { table: "jobs", name: "kind", permission: "jobs:read" },
  bucket: { table: "transfer_buckets", name: "name", permission: "buckets:read" },
  sound: { table: "sounds", name: "filename", permission: "sounds:read" },
  notification: { table: "notifications", name: "title", permission: "notifications:read_all" },
};

type Resource = Pick<AuditLogRow, "resourceType" | "resourceId">;

/**
 * The current names of the resources of rows, of those that the caller may read.
 * @returns the name of a row's resource; null without one, such as of a deleted resource
 */
async function resourceNames(
  db: ReadDb,
  readable: ReadableProjects,
  principal: Principal & PermissionHolder,
  rows: readonly Resource[],
): Promise<(row: Resource) => string | null> {
  const byType = new Map<string, Set<string>>();
  for (const { resourceType, resourceId } of rows) {
    if (resourceType === null || resourceId === null || !Object.hasOwn(SOURCES, resourceType)) continue;
    byType.set(resourceType, (byType.get(resourceType) ?? new Set()).add(resourceId));
  }
  const names = new Map<string, string>();
  for (const [type, ids] of byType) {
    const source = SOURCES[type];
    if (!source) continue;
    const isGlobal = principal.permissions.has(source.permission);
    const visible = source.project === undefined ? [] : readable(principal, source.permission);
    if (!isGlobal && visible?.length === 0) continue;
    const { rows: found } = await sql<{ id: string; name: string | null; projectId: string | null }>`
      select id, ${sql.raw(source.name)} as name, ${sql.raw(source.project ?? "null")} as projectId
      from ${sql.table(source.table)} where id in (${sql.join([...ids])})`.execute(db);
    for (const { id, name, projectId } of found) {
      const isSeen = projectId === null ? isGlobal : visible === null || visible.includes(projectId);
      if (isSeen && name !== null && name !== "") names.set(`${type} ${id}`, name);
    }
  }
  return ({ resourceType, resourceId }) => names.get(`${resourceType} ${resourceId}`) ?? null;
}
