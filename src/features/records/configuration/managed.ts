import { isDeepStrictEqual } from "node:util";
import type { PermissionHolder } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import { missingPermission } from "../../../http/server/access.ts";
import type { ConfigKind, Spec, StoredObject } from "../../../module/config-kind.ts";
import { appliedOf } from "./compare.ts";
import { differencesOf } from "./differences.ts";
import { type ManagedRow, managedRows, managedView, storeManaged } from "./managed-objects.ts";
import { KnownNames } from "./names.ts";
import { type ConfigurationContext, fileOf, hasRight, kindIn, listKey, objectLists, storedKinds } from "./reading.ts";
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
    isDrifted: !isDeepStrictEqual(appliedOf(each.row).members, fileNow(each)),
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
  const differences = now ? differencesOf(appliedOf(row).members, now) : [];
  const isDrifted = !now || differences.length > 0;
  const last = isDrifted ? await lastChange(context, caller, row, kind) : { by: null, when: null };
  return {
    ...last,
    isDeleted: !now,
    members: differences.map(({ path, before, after }) => (mayWrite ? { path, before, after } : { path })),
  };
}

/** Actions on what has the id of its project, in the audit trail. */
const ACTIONS: Readonly<Record<string, string>> = {
  ...{ projects: "project.", members: "member.", routes: "routing." },
  ...{ statusPage: "status_page.", ntfyAccess: "ntfy_access." },
};

/** Who changed an object after it was applied, the last time: a name only for those who may read the audit trail. */
export async function lastChange(
  { db }: ConfigurationContext,
  caller: PermissionHolder,
  { kind: name, objectId, appliedAt }: ManagedRow,
  { resourceType }: ConfigKind,
): Promise<Pick<ManagedDrift, "by" | "when">> {
  const last = await db.read
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
  const by = caller.permissions.has("audit:read") ? (last?.username ?? null) : null;
  return { by, when: last ? toRfc3339(last.timestamp) : null };
}

/** What files own, of what the caller may read. */
export async function readableRows(
  context: ConfigurationContext,
  caller: PermissionHolder,
): Promise<{ readonly kinds: readonly ConfigKind[]; readonly rows: readonly Managed[] }> {
  const kinds = await storedKinds(context);
  const rows = (await managedRows(context.db.read)).flatMap((row) => {
    const kind = kindIn(kinds, row.kind, row.projectId);
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

/**
 * Objects as files would have them now. Those with the version that was applied are as they were; for others, what
 * they name is read, too.
 */
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
  const kinds = await storedKinds(context);
  const stored = new Map<ManagedRow, StoredObject>();
  for (const { row, kind } of managed) await objects.read(kind, row.projectId);
  const byId = new Map(
    [...objects.lists].map(([key, { objects }]) => [key, new Map(objects.map((each) => [each.id, each]))]),
  );
  const changed = managed.filter(({ row, kind }) => {
    const found = byId.get(listKey(kind.kind, row.projectId))?.get(row.objectId);
    if (found) stored.set(row, found);
    return found && String(found.version) !== row.version;
  });
  const readNamed = async (kind: ConfigKind, projectId: string | null): Promise<void> => {
    for (const each of kinds.filter(({ scope, kind: name }) => scope === kind.scope && kind.after.includes(name))) {
      await objects.read(each, projectId);
      await readNamed(each, projectId);
    }
  };
  for (const { row, kind } of changed) await readNamed(kind, row.projectId);
  const ids = new Set(changed.map(({ row }) => row.objectId));
  await objects.namePeople((id) => ids.has(id));
  /** Undefined: it was deleted. */
  const fileNow = ({ row, kind }: Managed): Spec | undefined => {
    const found = stored.get(row);
    if (!found || String(found.version) === row.version) return found && appliedOf(row).members;
    return fileOf(kind, found.spec, names, row.projectId);
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
