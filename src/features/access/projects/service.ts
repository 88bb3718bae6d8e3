import { isDeepStrictEqual } from "node:util";
import { sql } from "kysely";
import type { PermissionHolder, Principal } from "../../../core/caller.ts";
import { invalidField, MAX_ERROR_DETAILS, PrismError } from "../../../core/errors.ts";
import { isUuid, uuidv7 } from "../../../core/ids.ts";
import { DEFAULT_KEY_SCOPES } from "../../../core/permissions.ts";
import { normalised } from "../../../core/text/clean-text.ts";
import { toRfc3339OrNull } from "../../../core/time/clock.ts";
import { ofProjects } from "../../../http/api/listing.ts";
import { requireVersion } from "../../../http/body/negotiation.ts";
import type { RateLimiter } from "../../../http/limits/rate-limiter.ts";
import { hasTokenScope, missingPermission } from "../../../http/server/access.ts";
import type { Context, DeletedRows } from "../../../module/feature.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import type { AuditEntry } from "../../records/audit/index.ts";
import { changeProject } from "../authorize.ts";
import { recordChange } from "../context.ts";
import { mayGive } from "./key-routes.ts";
import { createKey, keyView } from "./keys.ts";
import { Project, projectList, type StoredProject } from "./project.ts";
import * as queries from "./queries.ts";
import type { CreateProject, ListProjects, UpdateProject } from "./schema.ts";

export type ProjectsContext = Context<
  "accounts" | "deletions" | "runner" | "jobs" | "principals" | "projects" | "users"
> & {
  readonly inviteLimiter: RateLimiter;
};

type Settings = Readonly<Record<string, unknown>>;

/** Open incidents of which a warning has the number. */
const MAX_COUNTED = 1000;
/** Limit for all settings of a project as stored. */
const MAX_BYTES = 16_384;

/**
 * Merges changed settings: missing members stay, null removes one.
 * @returns JSON text. @throws VALIDATION_FAILED when they exceed 16 KiB in total
 */
export function mergedSettings(stored: string, given: Settings = {}): string {
  const members = Object.entries({ ...(JSON.parse(stored) as Settings), ...given });
  const merged = JSON.stringify(Object.fromEntries(members.filter(([, value]) => value !== null)));
  if (Buffer.byteLength(merged) <= MAX_BYTES) return merged;
  throw invalidField("body", "settings", `must be at most ${MAX_BYTES} bytes together`);
}

function mirrorOf(settings: string): unknown {
  return (JSON.parse(settings) as Settings)["mirror"];
}

function endsMirror(before: string, after: string): boolean {
  return mirrorOf(before) !== undefined && mirrorOf(after) === undefined;
}

/** What becomes of the incidents that are open when a project becomes a mirror. */
async function mirrorWarnings(db: ReadDb, projectId: string): Promise<string[]> {
  const { length } = await queries.incidentsNotOver(db, projectId, MAX_COUNTED);
  if (length === 0) return [];
  const count = `${length === MAX_COUNTED ? `${length} or more` : length} ${length === 1 ? "incident is" : "incidents are"} open`;
  return [`${count}: from now on Prism sends neither further steps nor the end`];
}

/** @throws INCIDENTS_OPEN if incidents would page people from now on */
async function requireNonePages(trx: Trx, { id }: StoredProject): Promise<void> {
  const open = await queries.incidentsNotOver(trx, id, MAX_ERROR_DETAILS + 1);
  if (open.length === 0) return;
  const shown = open.slice(0, MAX_ERROR_DETAILS);
  throw new PrismError(
    "INCIDENTS_OPEN",
    "Open incidents would page people once the project is no mirror: resolve them, or say that they may (mayPage)",
    { details: shown.map(({ id, number, title }) => ({ message: `Incident ${number}: ${title}`, id, number })) },
  );
}

/** A slug has 64 characters; the rest is for a number. */
const MAX_SLUG_BASE = 56;

export async function projectsPage(ctx: ProjectsContext, principal: PermissionHolder, query: ListProjects) {
  const { db, projects } = ctx;
  const memberId = principal.permissions.has("projects:all") ? null : principal.userId;
  const { defaultId } = projects;
  const alsoId = projects.has(principal, defaultId, "project:read") ? defaultId : null;
  const visible =
    memberId === null
      ? ofProjects(null)
      : sql<boolean>`(id = ${alsoId} or id in (select projectId from project_members where userId = ${memberId}))`;
  return projectList.page(db, { visible, state: undefined }, query, () => (row) => projectView(ctx, row, principal));
}

/** The first key has the default scopes; a service token gives those it holds. @throws LIMIT_REACHED */
export async function createProject(
  ctx: ProjectsContext,
  principal: PermissionHolder,
  { name, slug, settings }: CreateProject,
) {
  const { db, events } = ctx;
  const kept = mergedSettings("{}", settings);
  const scopes = DEFAULT_KEY_SCOPES.filter((scope) => mayGive(principal, scope));
  const created = await db.write(async (trx) => {
    const row = await insertProject(ctx, trx, principal, { id: uuidv7(), name, slug, settings: kept });
    const first = { projectId: row.id, name: "default", scopes, createdBy: principal.userId };
    const key = scopes.length === 0 ? undefined : await createKey(ctx, first, trx);
    return { row, key };
  });
  events.emit("project:changed", { id: created.row.id });
  return { ...projectView(ctx, created.row, principal), role: "owner" as const, apiKey: created.key?.key };
}

interface NewProject extends Omit<CreateProject, "settings"> {
  readonly id: string;
  /** As {@link mergedSettings} makes them. */
  readonly settings: string;
  readonly storageBytes?: number | null;
}

/** A project without a key, whose owner is the caller. @throws LIMIT_REACHED, NAME_TAKEN, UNAUTHORIZED_ROLE */
export async function insertProject(
  { audit, clock, projects }: Pick<ProjectsContext, "audit" | "clock" | "projects">,
  trx: Trx,
  principal: PermissionHolder,
  { id, name, slug, settings, storageBytes = null }: NewProject,
): Promise<StoredProject> {
  if (storageBytes !== null) requireMaySetLimit(principal);
  await projects.quotas.requireProjectRoom(trx, principal.userId);
  const now = clock.now();
  const row: StoredProject = {
    ...{ ...Project.initial, id, slug: await freeSlug(trx, slug, name), name, storageBytes },
    ...{ ownerId: principal.userId, settings, createdAt: now, updatedAt: now },
  };
  await trx.insertInto("projects").values(row).execute();
  const { userId } = principal;
  if (userId !== null) {
    const owner = { projectId: id, userId, role: "owner", createdAt: now } as const;
    await trx.insertInto("project_members").values(owner).execute();
    addEffect(trx, { type: "rights-changed", of: "user", userId });
  }
  if (mirrorOf(settings) !== undefined) addEffect(trx, { type: "rights-changed", of: "project", projectId: id });
  await audit.record({ action: "project.create", resourceType: "project", resourceId: id }, { trx });
  return row;
}

export async function getProject(ctx: ProjectsContext, principal: Principal, ref: string) {
  const { db, projects } = ctx;
  const row = await requireProject(ctx, projects.require(principal, ref, "project:read"));
  const [last, eventCount, keys] = await Promise.all([
    queries.lastEvent(db.read, row.id),
    projects.storage.eventsOf(row.id),
    projects.has(principal, row.id, "keys:read") ? queries.listKeys(db.read, row.id) : [],
  ]);
  return {
    ...projectView(ctx, row, principal),
    eventCount,
    lastEventAt: toRfc3339OrNull(last?.receivedAt ?? null),
    keys: keys.map((key) => keyView(ctx, key)),
    work: { ...ctx.work.useOf(row.id) },
    storage: {
      bytes: projects.storage.bytesOf(row.id),
      limit: projects.storage.limitOf(row.id),
      isOwnLimit: row.storageBytes !== null,
    },
  };
}

export async function updateProject(
  ctx: ProjectsContext,
  principal: PermissionHolder,
  ref: string,
  ifMatch: string,
  { mayPage, ...change }: UpdateProject & { readonly mayPage: boolean },
) {
  const { events, projects } = ctx;
  const id = projects.require(principal, ref, "project:manage");
  if (change.storageBytes !== undefined) requireMaySetLimit(principal);
  const wasMirror = await changeProject(ctx, principal, id, "project:manage", async (trx, row) => {
    requireVersion(ifMatch, row.version);
    await changeStored(ctx, trx, row, { ...change, mayPage });
    return mirrorOf(row.settings) !== undefined;
  });
  events.emit("project:changed", { id });
  const row = await requireProject(ctx, id);
  const isNewMirror = !wasMirror && mirrorOf(row.settings) !== undefined;
  const warnings = isNewMirror ? await mirrorWarnings(ctx.db.read, id) : [];
  return { ...projectView(ctx, row, principal), ...(warnings.length > 0 && { warnings }) };
}

/** @throws UNAUTHORIZED_ROLE */
export function requireMaySetLimit(principal: PermissionHolder): void {
  const maySetLimit = principal.permissions.has("projects:all") && hasTokenScope(principal, ["projects:all"]);
  if (!maySetLimit) throw missingPermission("projects:all", "storageBytes is set by it");
}

/** @throws INCIDENTS_OPEN at the end of a mirror, unless its incidents may page */
export async function changeStored(
  ctx: Pick<ProjectsContext, "audit" | "clock">,
  trx: Trx,
  row: StoredProject,
  { name, settings, storageBytes, mayPage }: UpdateProject & { readonly mayPage: boolean },
): Promise<void> {
  const { id } = row;
  const merged = settings ? mergedSettings(row.settings, settings) : row.settings;
  if (!mayPage && endsMirror(row.settings, merged)) await requireNonePages(trx, row);
  await trx
    .updateTable("projects")
    .set({
      name: name ?? row.name,
      settings: merged,
      storageBytes: storageBytes === undefined ? row.storageBytes : storageBytes,
      version: row.version + 1,
      updatedAt: ctx.clock.now(),
    })
    .where("id", "=", id)
    .execute();
  const members = [...(name === undefined ? [] : ["name"]), ...(settings ? ["settings"] : [])];
  const changesMirror = !isDeepStrictEqual(mirrorOf(row.settings), mirrorOf(merged));
  if (changesMirror) members.push("settings.mirror");
  if (storageBytes !== undefined) members.push("storageBytes");
  if (storageBytes !== undefined || changesMirror)
    addEffect(trx, { type: "rights-changed", of: "project", projectId: id });
  await recordChange(ctx, "project.update", "project", id, { members }, trx);
}

async function requireProject(ctx: ProjectsContext, id: string): Promise<StoredProject> {
  const row = await queries.findProject(ctx.db.read, id);
  if (!row) throw new PrismError("PROJECT_NOT_FOUND", "No such project");
  return row;
}

function projectView(ctx: ProjectsContext, row: StoredProject, principal: Principal) {
  const membership = principal.kind === "apiKey" ? null : (principal.memberships.get(row.id) ?? null);
  const { defaultId, isDefaultOpen } = ctx.projects;
  const isImplicitViewer = principal.kind !== "apiKey" && row.id === defaultId && isDefaultOpen;
  return Project.view(row, { role: membership ?? (isImplicitViewer ? "viewer" : null) });
}

async function freeSlug(trx: Trx, given: string | undefined, name: string): Promise<string> {
  if (given !== undefined) {
    if (await queries.isSlugTaken(trx, given)) throw new PrismError("NAME_TAKEN", "The slug is taken");
    return given;
  }
  const base =
    normalised(name, "NFKD")
      .replace(/\p{M}/gu, "")
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .slice(0, MAX_SLUG_BASE)
      .replace(/^-+|-+$/g, "") || "project";
  for (let n = 1; ; n++) {
    // A name in the form of an id must not become such a slug.
    const slug = n === 1 && !isUuid(base) ? base : `${base}-${n}`;
    if (!(await queries.isSlugTaken(trx, slug))) return slug;
  }
}

/** Beyond this many keys or rules no separate audit rows are written: transactions stay short. */
const MAX_ROWS = 100;
/** Their entries name the project. */
const NAMES_PROJECT: ReadonlySet<string> = new Set(["webhook", "channel"]);

/**
 * Deletes a project with its keys, rules, webhooks and channels in one transaction; jobs remove its events, and what
 * is left of its incidents once rooms and services have their ends.
 * Each has an audit row; with more than 100 keys or rules, the project's own row has the number and
 * the first 100 ids instead.
 * @throws PROJECT_NOT_FOUND, also for the second of two concurrent deletions; DEFAULT_PROJECT
 */
export async function deleteProject(context: ProjectsContext, principal: PermissionHolder, ref: string): Promise<void> {
  const { audit, clock, projects, jobs, deletions } = context;
  const id = projects.require(principal, ref, "project:manage");
  if (id === projects.defaultId) throw new PrismError("DEFAULT_PROJECT", "The default project cannot be deleted");
  await changeProject(context, principal, id, "project:manage", async (trx) => {
    const now = clock.now();
    await trx.updateTable("projects").set({ deletedAt: now, updatedAt: now }).where("id", "=", id).execute();
    const keys = await queries.revokeKeys(trx, id, now);
    const deleted = await deletions.project(trx, id, now);
    const of = (type: DeletedRows["resourceType"]) =>
      deleted.find(({ resourceType }) => resourceType === type)?.rows ?? [];
    const [rules, webhooks] = [of("rule"), of("webhook")];
    const by = { by: "project.delete" };
    for (const entry of [
      ...rowsOf(keys, (key) => ({
        action: "key.revoke",
        resourceType: "apiKey",
        resourceId: key.id,
        metadata: { projectId: id, ...by },
      })),
      ...deleted.flatMap(({ resourceType, rows }) =>
        rowsOf(rows, (row) => ({
          action: `${resourceType}.delete`,
          resourceType,
          resourceId: row.id,
          metadata: { version: row.version, ...(NAMES_PROJECT.has(resourceType) ? { projectId: id } : {}), ...by },
        })),
      ),
      {
        action: "project.delete",
        resourceType: "project",
        resourceId: id,
        metadata: {
          keys: keys.length,
          rules: rules.length,
          ...(webhooks.length > 0 ? { webhooks: webhooks.length } : {}),
          ...(keys.length > MAX_ROWS ? { first100Keys: firstIds(keys) } : {}),
          ...(rules.length > MAX_ROWS ? { first100Rules: firstIds(rules) } : {}),
        },
      },
    ])
      await audit.record(entry, { trx });
    await jobs.enqueue(
      {
        queue: "retention",
        kind: "project.events.delete",
        payload: { projectId: id, before: now + 1 },
        runAt: now,
        dedupeKey: `project:${id}`,
      },
      { trx },
    );
    await jobs.enqueue(
      {
        queue: "alert",
        kind: "project.ways.delete",
        payload: { projectId: id, deletedAt: now },
        runAt: now,
        dedupeKey: `project-ways:${id}`,
      },
      { trx },
    );
    addEffect(trx, { type: "rights-changed", of: "project", projectId: id });
  });
}

function rowsOf<T>(ended: readonly T[], entryOf: (one: T) => AuditEntry): AuditEntry[] {
  return ended.length > MAX_ROWS ? [] : ended.map(entryOf);
}

function firstIds(ended: readonly { readonly id: string }[]): string[] {
  return ended.slice(0, MAX_ROWS).map(({ id }) => id);
}
