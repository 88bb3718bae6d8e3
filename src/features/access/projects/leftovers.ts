import { sql } from "kysely";
import type { PermissionHolder } from "../../../core/principal.ts";
import { cancelWaiting } from "../../../store/commit/job-table.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import { leastRoleWith, type ProjectRight, type Projects } from "../authorize.ts";
import { type RecordContext, recordChange } from "../context.ts";
import { ownersOf } from "./queries.ts";

/*
 * What remains of people whose rights end: the API keys they made, and their timers. And the members
 * who had more rights before only the role in a project counted.
 */

/** Whose keys, and what becomes of them. */
export interface KeysOf {
  readonly userId: string;
  /** Null: of all projects. */
  readonly projectId: string | null;
  /** The user to whom the keys are handed; undefined: they are revoked. */
  readonly heir?: string | null | undefined;
}

/** Ends or hands over the API keys that a person made. @returns how many */
export async function endKeysOf(ctx: RecordContext, { userId, projectId, heir }: KeysOf, trx: Trx): Promise<number> {
  let query = trx
    .updateTable("api_keys")
    .set(heir === undefined ? { revokedAt: ctx.clock.now() } : { createdBy: heir })
    .where("createdBy", "=", userId)
    .where("revokedAt", "is", null);
  if (projectId !== null) query = query.where("projectId", "=", projectId);
  const keys = await query.returning(["id", "projectId"]).execute();
  for (const { id, projectId: of } of keys) {
    if (heir === undefined) addEffect(trx, { type: "rights-changed", of: "key", keyId: id });
    const action = heir === undefined ? "key.revoke" : "key.hand_over";
    await recordChange(ctx, action, "apiKey", id, { projectId: of, by: "member.remove" }, trx);
  }
  return keys.length;
}

/** Ends the rights of a person on topics of ntfy. @param projectId null: of all projects */
export async function endTopicRights(trx: Trx, userId: string, projectId: string | null): Promise<void> {
  let query = trx.deleteFrom("ntfy_access").where("userId", "=", userId);
  if (projectId !== null) query = query.where("projectId", "=", projectId);
  const rows = await query.returning("projectId").execute();
  for (const of of new Set(rows.map((row) => row.projectId)))
    addEffect(trx, { type: "ntfy-access-changed", projectId: of, userId, rows: [] });
}

/**
 * Hands over the projects that a person made and no longer owns: from then on another owner has their
 * limits and pays for their work. Call it after the person's role is gone.
 * @param projectId null: all projects
 */
export async function endOwnershipOf(userId: string, projectId: string | null, trx: Trx): Promise<void> {
  let query = trx.selectFrom("projects").select("id").where("ownerId", "=", userId);
  if (projectId !== null) query = query.where("id", "=", projectId);
  for (const { id } of await query.execute()) {
    const [ownerId] = await ownersOf(trx, id);
    if (ownerId === undefined) continue;
    await trx.updateTable("projects").set({ ownerId }).where("id", "=", id).execute();
    addEffect(trx, { type: "rights-changed", of: "project", projectId: id });
  }
}

/** Cancels the timers and scheduled notifications of a deleted account; its schedules of jobs belong to the server. */
export async function endWorkOf({ clock }: Pick<RecordContext, "clock">, userId: string, trx: Trx): Promise<void> {
  const waiting = await trx
    .selectFrom("jobs")
    .select("seq")
    // A literal, to match the partial index.
    .where("queue", "=", sql.lit("timers"))
    .where("finishedAt", "is", null)
    .where("createdBy", "=", userId)
    .execute();
  const seqs = waiting.map(({ seq }) => seq);
  const ended = seqs.length === 0 ? [] : await cancelWaiting(trx, "timers", seqs, clock.now());
  if (ended.length > 0) addEffect(trx, { type: "jobs-removed", queue: "timers", count: ended.length });
  await trx.deleteFrom("schedules").where("createdBy", "=", userId).where("queue", "=", "timers").execute();
  await trx.updateTable("schedules").set({ createdBy: null }).where("createdBy", "=", userId).execute();
  addEffect(trx, { type: "schedules-changed" });
}

/** Members who had more rights before only the role counted, of the projects that the caller manages. */
export async function lostRights(
  { db, projects }: { readonly db: { readonly read: ReadDb }; readonly projects: Projects },
  principal: PermissionHolder,
) {
  const projectIds = projects.readable(principal, "project:manage");
  let query = membersWhoLost(db.read);
  if (projectIds !== null) query = query.where("l.projectId", "in", projectIds);
  return { data: (await query.execute()).map(lostView) };
}

/** Rows of `lost_rights` with the names of project and member. */
export function membersWhoLost(db: ReadDb) {
  return db
    .selectFrom("lost_rights as l")
    .innerJoin("project_members as m", (on) =>
      on.onRef("m.projectId", "=", "l.projectId").onRef("m.userId", "=", "l.userId"),
    )
    .innerJoin("projects as p", "p.id", "l.projectId")
    .innerJoin("users as u", "u.id", "l.userId")
    .select(["l.projectId", "p.slug", "l.userId", "u.username", "u.name", "m.role", "l.rights"])
    .where("p.deletedAt", "is", null)
    .where("u.deletedAt", "is", null)
    .orderBy("p.slug")
    .orderBy("l.userId");
}

type LostRow = Awaited<ReturnType<ReturnType<typeof membersWhoLost>["execute"]>>[number];

/** @returns the row with the least role that has the rights */
export function lostView({ rights, ...row }: LostRow) {
  const lost = JSON.parse(rights) as ProjectRight[];
  return { ...row, rights: lost, roleWithThem: leastRoleWith(lost) };
}
