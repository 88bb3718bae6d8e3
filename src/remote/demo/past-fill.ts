import type { App } from "../../app/start.ts";
import { DAY_MS, type EpochMs, toRfc3339 } from "../../core/time/clock.ts";
import { later, rowsOf } from "../../store/database.ts";
import type { ServerClient } from "../server-client.ts";
import type { PastClock } from "./fill.ts";
import { PAST_DAYS, type PastStep, pastIncidents } from "./past.ts";
import { type PastPlace, storeDowns, storePast } from "./past-rows.ts";
import type { DemoPolicy, DemoTable } from "./walk.ts";

/** A server with a new database, which runs in this process. */
export interface NewServer {
  readonly clock: PastClock;
  readonly parts: App["parts"];
}

interface PastShift {
  readonly start: string;
  readonly end: string;
  readonly users: readonly { readonly id: string }[];
}

const PROJECT = "default";
const IDS = `select 'project' kind, slug name, id, 1 version from projects
  union all select 'user', username, id, 1 from users where username is not null
  union all select 'schedule', name, id, 1 from oncall_schedules
  union all select 'policy', p.name, p.id, p.version from policies p join projects j on j.id = p.projectId
    where j.slug = 'default' and p.deletedAt is null
  union all select 'heartbeat', name, id, 1 from heartbeats`;
/** Turns have effect from when they were made on; here as long ago as they begin. */
const LONG_AGO = "update oncall_shifts set validFrom = null where kind = 'rotation'";
const HOLDERS = "select r.name role, u.userId from user_roles u join roles r on r.id = u.roleId";

interface Named {
  readonly kind: "project" | "user" | "schedule" | "policy" | "heartbeat";
  readonly name: string;
  readonly id: string;
  readonly version: number;
}

/** Gives a new database a past: ended incidents of 90 days, and heartbeats that were down. */
export class PastFill {
  readonly #api: ServerClient;
  readonly #parts: App["parts"];
  readonly #table: DemoTable;

  constructor(api: ServerClient, parts: App["parts"], table: DemoTable) {
    this.#api = api;
    this.#parts = parts;
    this.#table = table;
  }

  /** The people, policies and schedules must exist. @returns an entry for each incident */
  async incidents(): Promise<true[]> {
    await this.#parts.base.database.write(async (trx) => later(trx, LONG_AGO, []));
    const named = await this.#named();
    const idOf = (kind: Named["kind"], name: string) =>
      named.find((each) => each.kind === kind && each.name === name)?.id;
    const steps = new Map<string, readonly PastStep[]>();
    for (const policy of this.#table.respond.policies) steps.set(policy.name, await this.#stepsOf(policy, idOf));
    const incidents = pastIncidents(this.#table.past, (policy) => steps.get(policy) ?? [], Date.now());
    const users = named.filter(({ kind }) => kind === "user");
    const place: PastPlace = {
      projectId: idOf("project", PROJECT) ?? "",
      policies: new Map(named.flatMap((each) => (each.kind === "policy" ? [[each.name, each] as const] : []))),
      usernames: new Map(users.map(({ id, name }) => [id, name])),
      adminId: idOf("user", "admin") ?? "",
    };
    await storePast(this.#parts.base, place, incidents);
    return incidents.map(() => true);
  }

  /** After heartbeats were made. Then reports know all. */
  async finish(): Promise<void> {
    const heartbeats = (await this.#named()).filter(({ kind }) => kind === "heartbeat");
    const ids = new Map(heartbeats.map(({ name, id }) => [name, id]));
    await storeDowns(this.#parts.base, this.#table.past.heartbeats, ids, Date.now());
    await this.#parts.offers.reports.collect();
  }

  #named(): Promise<Named[]> {
    return rowsOf<Named>(this.#parts.base.database.read, IDS, []);
  }

  /** The steps that notify, with whom they reached at a time. */
  async #stepsOf(
    { steps, repeat = 0 }: DemoPolicy,
    idOf: (kind: Named["kind"], name: string) => string | undefined,
  ): Promise<PastStep[]> {
    const holders = await rowsOf<{ role: string; userId: string }>(this.#parts.base.database.read, HOLDERS, []);
    const found: PastStep[] = [];
    let afterMs = 0;
    for (let round = 0; round <= repeat; round++)
      for (const [step, { type, ms = 0, users = [], roles = [], schedules = [] }] of steps.entries()) {
        afterMs += ms;
        if (type !== "notify") continue;
        const fixed = new Map<string, string>();
        for (const username of users) fixed.set(idOf("user", username) ?? "", "user");
        for (const { role, userId } of holders) if (roles.includes(role)) fixed.set(userId, "user");
        const shifts = await Promise.all(schedules.map(({ id }) => this.#onCall(idOf("schedule", id) ?? "")));
        found.push({ step, round, afterMs, targets: (at) => new Map([...fixed, ...shifts.flatMap((who) => who(at))]) });
      }
    return found;
  }

  /** Who was on call on a schedule at a time. */
  async #onCall(id: string): Promise<(at: EpochMs) => (readonly [string, string])[]> {
    const query = { from: toRfc3339(Date.now() - (PAST_DAYS + 1) * DAY_MS), to: toRfc3339(Date.now()) };
    const path = `/api/v1/oncall/schedules/${id}/final-shifts`;
    const { data } = await this.#api.get<{ data: readonly PastShift[] }>(path, query);
    const shifts = data.map(({ start, end, users }) => ({ start: Date.parse(start), end: Date.parse(end), users }));
    return (at) => {
      const now = shifts.find(({ start, end }) => start <= at && at < end);
      return (now?.users ?? []).map((user) => [user.id, `schedule:${id}:current`] as const);
    };
  }
}
