import { isDeepStrictEqual } from "node:util";
import type { PermissionHolder } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import { missingPermission } from "../../../http/server/access.ts";
import { type ConfigKind, NOTHING_PLANNED, type Spec } from "../../../module/config-kind.ts";
import type { ReadDb } from "../../../store/database.ts";
import { plannedAccess } from "../../access/index.ts";
import { differencesOf } from "./differences.ts";
import { type ManagedRow, managedRows, managedView, storeManaged } from "./managed-objects.ts";
import { KnownNames } from "./names.ts";
import { type ConfigurationContext, fileOf, hasRight, listKey, objectLists } from "./reading.ts";
import type { DriftQuery, ManagedDrift, ManagedQuery, UnlockRequest } from "./schema.ts";

/** An object that files own, and its kind. */
interface Managed {
  readonly row: ManagedRow;
  readonly kind: ConfigKind;
}

/** What files own of what the caller may read, and whether it differs from what was applied. */
export async function listManaged(
  context: ConfigurationContext,
  caller: PermissionHolder,
  { kind, project, state }: ManagedQuery,
) {
  const projectId = project === undefined ? undefined : context.projects.require(caller, project, "project:read");
  const now = context.clock.now();
  const { rows } = await readableRows(context, caller);
  const wanted = rows.filter(
    ({ row }) =>
      (kind === undefined || row.kind === kind) &&
      (projectId === undefined || (row.kind === "projects" ? row.objectId : row.projectId) === projectId) &&
      (state !== "locked" || (row.isLocked === 1 && (row.unlockedUntil ?? 0) <= now)),
  );
  const { fileNow, slugs } = await storedFiles(context, caller, wanted);
  const data = wanted.map((each) => ({
    ...managedView(each.row, slugs.get(each.row.projectId ?? "") ?? null),
    noun: each.kind.noun,
    mayUnlock: each.row.isLocked === 1 && mayUnlock(context, caller, each),
    isDrifted: !isDeepStrictEqual(appliedMembers(each.row), fileNow(each)),
  }));
  return { data: state === "changed" ? data.filter(({ isDrifted }) => isDrifted) : data };
}

/** What was changed by hand of an object, with the values for those who may change it. @throws NOT_FOUND */
export async function driftOf(
  context: ConfigurationContext,
  caller: PermissionHolder,
  query: DriftQuery,
): Promise<ManagedDrift> {
  const { row, kind } = await requireRow(context, caller, query);
  const { fileNow } = await storedFiles(context, caller, [{ row, kind }]);
  const now = fileNow({ row, kind });
  // URLs of steps and requests may be secrets: readers learn which members differ.
  const mayWrite = hasObjectRight(context, caller, { row, kind }, "write");
  const differences = now ? differencesOf(appliedMembers(row), now) : [];
  const isDrifted = !now || differences.length > 0;
  const last = isDrifted ? await lastChange(context.db.read, row, kind) : undefined;
  return {
    by: caller.permissions.has("audit:read") ? (last?.username ?? null) : null,
    when: last ? toRfc3339(last.timestamp) : null,
    isDeleted: !now,
    members: differences.map(({ path, before, after }) => (mayWrite ? { path, before, after } : { path })),
  };
}

/** Actions on what has the id of its project, in the audit trail. */
const ACTIONS: Readonly<Record<string, string>> = {
  ...{ projects: "project.", members: "member.", routes: "routing." },
  ...{ statusPage: "status_page.", ntfyAccess: "ntfy_access." },
};

/** Who changed an object after it was applied, the last time. */
export async function lastChange(
  db: ReadDb,
  { kind: name, objectId, appliedAt }: ManagedRow,
  { resourceType }: ConfigKind,
) {
  return db
    .selectFrom("audit_log")
    .leftJoin("users", "users.id", "audit_log.userId")
    .select(["audit_log.timestamp", "users.username"])
    .where("resourceType", "=", resourceType)
    .where("resourceId", "=", objectId)
    .where("timestamp", ">", appliedAt)
    .where("action", "like", `${ACTIONS[name] ?? ""}%`)
    .where("action", "not like", "configuration.%")
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
}

/** What files own, of what the caller may read. */
export async function readableRows(
  context: ConfigurationContext,
  caller: PermissionHolder,
): Promise<{ readonly kinds: readonly ConfigKind[]; readonly rows: readonly Managed[] }> {
  const kinds = await context.configKinds(plannedAccess(context, NOTHING_PLANNED));
  const rows = (await managedRows(context.db.read)).flatMap((row) => {
    const kind = kinds.find(
      (each) => each.kind === row.kind && (each.scope === "project") === (row.projectId !== null),
    );
    return kind && hasObjectRight(context, caller, { row, kind }, "read") ? [{ row, kind }] : [];
  });
  return { kinds, rows };
}

/** @throws NOT_FOUND */
async function requireRow(
  context: ConfigurationContext,
  caller: PermissionHolder,
  { kind, project, name }: DriftQuery,
): Promise<Managed> {
  const projectId = project === undefined ? null : context.projects.require(caller, project, "project:read");
  const { rows } = await readableRows(context, caller);
  const found = rows.find(({ row }) => row.kind === kind && row.projectId === projectId && row.name === name);
  if (!found) throw new PrismError("NOT_FOUND", "No such object in configuration files");
  return found;
}

/** A right of its kind; who may read and change a project is decided by its members. */
function hasObjectRight(
  context: ConfigurationContext,
  caller: PermissionHolder,
  { row, kind }: Managed,
  right: "read" | "write",
): boolean {
  if (row.kind === "projects")
    return context.projects.has(caller, row.objectId, right === "read" ? "project:read" : "project:manage");
  return hasRight(context, { caller, projectId: row.projectId }, kind.rights[right]);
}

/** Who is on call is unlocked by those who act on incidents, too. */
function unlockRight({ kind, row }: Managed): string {
  if (row.kind === "projects") return "project:manage";
  return row.kind === "oncall" ? "incidents:act" : kind.rights.write;
}

function mayUnlock(context: ConfigurationContext, caller: PermissionHolder, { row, kind }: Managed): boolean {
  if (row.kind === "projects") return hasObjectRight(context, caller, { row, kind }, "write");
  return hasRight(context, { caller, projectId: row.projectId }, unlockRight({ row, kind }));
}

function appliedMembers({ spec }: ManagedRow): Spec {
  return (JSON.parse(spec) as { readonly members: Spec }).members;
}

/** Objects as files would have them now: reads the lists of their kinds, and of what these name. */
async function storedFiles(context: ConfigurationContext, caller: PermissionHolder, managed: readonly Managed[]) {
  const { db, projects } = context;
  const all = await db.read.selectFrom("projects").select(["id", "slug"]).execute();
  const slugs = new Map(
    all.filter(({ id }) => projects.has(caller, id, "project:read")).map(({ id, slug }) => [id, slug]),
  );
  const names = new KnownNames(
    () => undefined,
    (id) => slugs.get(id),
  );
  const objects = objectLists(context, context, caller, names);
  const kinds = await context.configKinds(plannedAccess(context, NOTHING_PLANNED));
  const read = async (kind: ConfigKind, projectId: string | null): Promise<void> => {
    if (names.isRead(kind.kind, projectId)) return;
    await objects.read(kind, projectId);
    const named = kinds.filter((each) => each.scope === kind.scope && kind.after.includes(each.kind));
    for (const each of named) await read(each, projectId);
  };
  for (const { row, kind } of managed) await read(kind, row.projectId);
  const ids = new Set(managed.map(({ row }) => row.objectId));
  await objects.namePeople((id) => ids.has(id));
  const byId = new Map(
    [...objects.lists].map(([key, { objects }]) => [key, new Map(objects.map((each) => [each.id, each]))]),
  );
  const fileNow = ({ row: { objectId, projectId }, kind }: Managed): Spec | undefined => {
    const stored = byId.get(listKey(kind.kind, projectId))?.get(objectId);
    return stored && fileOf(kind, stored.spec, names, projectId);
  };
  return { slugs, fileNow };
}

/**
 * Lets an object be changed by hand for a while: who is on call by those who act on incidents, else by those with the
 * right of the kind. @throws NOT_FOUND, UNAUTHORIZED_ROLE
 */
export async function unlock(
  context: ConfigurationContext,
  caller: PermissionHolder,
  { forMs, reason, ...query }: UnlockRequest,
): Promise<void> {
  const { db, projects, clock, audit } = context;
  const { row, kind } = await requireRow(context, caller, query);
  await db.write(async (trx) => {
    const stored = (await managedRows(trx)).find((each) => each.kind === row.kind && each.objectId === row.objectId);
    if (!stored) throw new PrismError("NOT_FOUND", "No such object in configuration files");
    if (!mayUnlock(context, projects.current(caller), { row: stored, kind }))
      throw missingPermission(unlockRight({ row: stored, kind }));
    await storeManaged(trx, [{ ...stored, unlockedUntil: clock.now() + forMs }], []);
    const metadata = { kind: row.kind, forMs, reason };
    await audit.record(
      { action: "configuration.unlock", resourceType: kind.resourceType, resourceId: row.objectId, metadata },
      { trx },
    );
  });
}
