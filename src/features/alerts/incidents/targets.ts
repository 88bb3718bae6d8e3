import type { EpochMs } from "../../../core/time/clock.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import { projectPeople } from "../../access/index.ts";
import type { RouteSettings } from "../policies/routing.ts";
import type { IncidentParts } from "./context.ts";
import type { IncidentRow } from "./incident.ts";
import type { Action } from "./machine.ts";
import { notifiedUsers } from "./store.ts";

/** The users of a step, and why each of them. */
export interface NotifyTargets {
  readonly users: readonly string[];
  /** Such as `schedule:<id>:current`, `role:<id>`, `user`, `members`. */
  readonly through: ReadonlyMap<string, string>;
  /** The shift that put the current users of a schedule on call, by schedule. */
  readonly shifts: Readonly<Record<string, string>>;
  /** Targets that named no user who can be notified. */
  readonly empty: readonly string[];
}

type Page = Extract<Action, { kind: "page" }>;

type TargetParts = Pick<IncidentParts, "users" | "projects" | "onCall">;

/** The users of a step at this instant: active, and members of the project. */
export async function targetsOf(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  { notify, step }: Page,
  now: EpochMs,
): Promise<NotifyTargets> {
  const { projectId, policyId } = row;
  const targets = await candidatesOf(parts, trx, projectId, notify, now);
  // A person who names people means those alone.
  if (step === null) return targets;
  const users = notify.roundRobin ? await nextOf(trx, policyId, step, targets.users) : targets.users;
  const concerned = (await concernedBy(parts, trx, row)).filter((id) => !users.includes(id));
  const through = new Map([...concerned.map((id) => [id, "silent-source"] as const), ...targets.through]);
  return { ...targets, users: [...users, ...concerned].sort(), through };
}

/** The people of a silent source whom its incident has not notified yet. */
async function concernedBy(parts: TargetParts, trx: Trx, { id, projectId, route }: IncidentRow): Promise<string[]> {
  const { silentSource } = JSON.parse(route) as RouteSettings;
  if (silentSource === undefined || silentSource.people.length === 0) return [];
  const notified = new Set(await notifiedUsers(trx, [id]));
  return parts.users.reachable(silentSource.people, projectId).filter((user) => !notified.has(user));
}

/** {@link targetsOf} without the choice of one user by `roundRobin`. Nothing is stored. */
export async function candidatesOf(
  parts: TargetParts,
  db: ReadDb | Trx,
  projectId: string,
  notify: Page["notify"],
  now: EpochMs,
): Promise<NotifyTargets> {
  const through = new Map<string, string>();
  const shifts: Record<string, string> = {};
  const empty: string[] = [];
  const add = (source: string, ids: readonly string[]): void => {
    const reachable = parts.users.reachable(ids, projectId);
    if (reachable.length === 0) empty.push(source);
    for (const id of reachable) if (!through.has(id)) through.set(id, source);
  };
  for (const id of notify.users) add("user", [id]);
  for (const { id, who } of notify.schedules) {
    const { current, next, shift } = await parts.onCall(db, id, now);
    if (shift !== null) shifts[id] = shift;
    if (who !== "next") add(`schedule:${id}:current`, current);
    if (who !== "current") add(`schedule:${id}:next`, next);
  }
  for (const id of notify.roles) add(`role:${id}`, await holdersOf(db, id));
  if (notify.members) {
    const people = await projectPeople(db, projectId, parts.projects.defaultId);
    add(
      "members",
      people.map(({ id }) => id),
    );
  }
  return { users: [...through.keys()].sort(), through, shifts, empty };
}

async function holdersOf(db: ReadDb | Trx, roleId: string): Promise<string[]> {
  const rows = await db.selectFrom("user_roles").select("userId").where("roleId", "=", roleId).execute();
  return rows.map(({ userId }) => userId);
}

/** The user after the last one of this step. */
async function nextOf(trx: Trx, policyId: string, step: number, users: readonly string[]): Promise<string[]> {
  const last = await trx
    .selectFrom("policy_turns")
    .select("userId")
    .where("policyId", "=", policyId)
    .where("step", "=", step)
    .executeTakeFirst();
  const userId = users.find((id) => id > (last?.userId ?? "")) ?? users[0];
  if (userId === undefined) return [];
  await trx
    .insertInto("policy_turns")
    .values({ policyId, step, userId })
    .onConflict((conflict) => conflict.columns(["policyId", "step"]).doUpdateSet({ userId }))
    .execute();
  return [userId];
}
