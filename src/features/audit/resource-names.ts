import { sql } from "kysely";
import type { Permission } from "../../core/permissions.ts";
import type { PermissionHolder, Principal } from "../../core/principal.ts";
import type { ReadDb } from "../../store/database.ts";
import type { AuditLogRow } from "./audit-log.ts";

type ProjectPermission = "events:read" | "rules:read";

/** The projects in which a caller has a permission; null: all. */
export type ReadableProjects = (principal: Principal, permission: ProjectPermission) => readonly string[] | null;

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
  // Those of people have no name here.
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
export async function resourceNames(
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
