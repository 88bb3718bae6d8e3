import { isDeepStrictEqual } from "node:util";
import type { PermissionHolder } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { missingPermission } from "../../../http/server/access.ts";
import { type ConfigKind, NOTHING_PLANNED, type Spec } from "../../../module/config-kind.ts";
import { plannedAccess } from "../../access/index.ts";
import { type ManagedRow, managedRows, managedView, storeManaged } from "./managed-objects.ts";
import { KnownNames } from "./names.ts";
import { type ConfigurationContext, fileOf, hasRight, listKey, objectLists } from "./reading.ts";
import type { UnlockRequest } from "./schema.ts";

/** What files own, of what the caller may read. */
export async function readableRows(context: ConfigurationContext, caller: PermissionHolder) {
  const kinds = await context.configKinds(plannedAccess(context, NOTHING_PLANNED));
  const rows = (await managedRows(context.db.read)).flatMap((row) => {
    const kind = kindOf(kinds, row);
    return kind && hasRight(context, { caller, projectId: row.projectId }, kind.rights.read) ? [{ row, kind }] : [];
  });
  return { kinds, rows };
}

/** What files own of what the caller may read, and whether it differs from what was applied. */
export async function listManaged(context: ConfigurationContext, caller: PermissionHolder) {
  const { db, projects } = context;
  const { kinds, rows } = await readableRows(context, caller);
  const all = await db.read.selectFrom("projects").select(["id", "slug"]).execute();
  const slugs = new Map(
    all.filter(({ id }) => projects.has(caller, id, "project:read")).map(({ id, slug }) => [id, slug]),
  );
  const names = new KnownNames(
    () => undefined,
    (id) => slugs.get(id),
  );
  const objects = objectLists(context, context, caller, names);
  for (const projectId of new Set(rows.map(({ row }) => row.projectId)))
    for (const kind of kinds.filter(({ scope }) => (scope === "project") === (projectId !== null)))
      await objects.read(kind, projectId);
  await objects.namePeople();
  const fileNow = ({ kind: name, objectId, projectId }: ManagedRow): Spec | undefined => {
    const { kind, objects: stored } = objects.lists.get(listKey(name, projectId)) ?? {};
    const found = stored?.find(({ id }) => id === objectId);
    return kind && found && fileOf(kind, found.spec, names, projectId);
  };
  return {
    data: rows.map(({ row }) => {
      const { members } = JSON.parse(row.spec) as { readonly members: Spec };
      const project = row.projectId === null ? null : (slugs.get(row.projectId) ?? null);
      return { ...managedView(row, project), isDrifted: !isDeepStrictEqual(members, fileNow(row)) };
    }),
  };
}

function kindOf(kinds: readonly ConfigKind[], { kind, projectId }: ManagedRow): ConfigKind | undefined {
  return kinds.find((each) => each.kind === kind && (each.scope === "project") === (projectId !== null));
}

/**
 * Lets an object be changed by hand for a while: who is on call by those who act on incidents, else by those with the
 * right of the kind. @throws NOT_FOUND, UNAUTHORIZED_ROLE
 */
export async function unlock(
  context: ConfigurationContext,
  caller: PermissionHolder,
  { kind: name, project, name: object, forMs, reason }: UnlockRequest,
): Promise<void> {
  const { db, projects, clock, audit } = context;
  const projectId = project === undefined ? null : projects.require(caller, project, "project:read");
  const kinds = await context.configKinds(plannedAccess(context, NOTHING_PLANNED));
  await db.write(async (trx) => {
    const row = (await managedRows(trx)).find(
      (each) => each.kind === name && each.projectId === projectId && each.name === object,
    );
    const kind = row && kindOf(kinds, row);
    if (!row || !kind || !hasRight(context, { caller, projectId }, kind.rights.read))
      throw new PrismError("NOT_FOUND", "No such object in configuration files");
    const right = name === "oncall" ? "incidents:act" : kind.rights.write;
    if (!hasRight(context, { caller: projects.current(caller), projectId }, right)) throw missingPermission(right);
    await storeManaged(trx, [{ ...row, unlockedUntil: clock.now() + forMs }], []);
    const metadata = { kind: name, forMs, reason };
    await audit.record(
      { action: "configuration.unlock", resourceType: kind.resourceType, resourceId: row.objectId, metadata },
      { trx },
    );
  });
}
