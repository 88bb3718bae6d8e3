import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { IncidentRow } from "../../../../src/features/alerts/incidents/incident.ts";
import { dueAt } from "../../../../src/features/alerts/incidents/machine.ts";
import type { AlertInput } from "../../../../src/features/alerts/index.ts";
import type { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { alertWorld, worldOf } from "../book/support.ts";

export const MINUTE = 60_000;

/** A server with alerts, a clock in hand, and users who are members of the default project. */
export class IncidentWorld {
  readonly prism: TestPrism;
  readonly clock: FakeClock;
  readonly projectId: string;

  private constructor(prism: TestPrism, clock: FakeClock) {
    this.prism = prism;
    this.clock = clock;
    this.projectId = prism.parts.offers.defaultProjectId;
  }

  static async start(t: TestContext, settings: Record<string, string> = {}, given?: FakeClock): Promise<IncidentWorld> {
    const { prism, clock } = await alertWorld(t, settings, given);
    return new IncidentWorld(prism, clock);
  }

  /** The world of another server, such as one on a crash image. */
  of(prism: TestPrism, clock: FakeClock): IncidentWorld {
    return new IncidentWorld(prism, clock);
  }

  get incidents() {
    return this.prism.parts.offers.incidents;
  }

  get db() {
    return this.prism.services.db;
  }

  /** A user who is a member of the default project. */
  async member(name: string): Promise<{ id: string; token: string }> {
    const user = await makeUser(this.prism, name);
    await this.db.write((trx) =>
      trx
        .insertInto("project_members")
        .values({ projectId: this.projectId, userId: user.id, role: "editor", createdAt: this.clock.now() })
        .execute(),
    );
    this.prism.rightsChanged();
    return user;
  }

  async fire(name: string, more: Partial<AlertInput> = {}): Promise<void> {
    const { input, alerts } = worldOf(this.prism, this.clock);
    const [outcome] = await alerts().submit([input(name, more)]);
    assert.equal(outcome?.status, "opened");
    await this.incidents.check();
  }

  async resolveAlert(name: string, more: Partial<AlertInput> = {}): Promise<void> {
    const { input, alerts } = worldOf(this.prism, this.clock);
    const [outcome] = await alerts().submit([input(name, { endsAt: this.clock.now(), ...more })]);
    assert.equal(outcome?.status, "resolved");
    await this.incidents.check();
  }

  /** Time passes; each due time is handled when it comes. */
  async pass(ms: number): Promise<void> {
    const until = this.clock.now() + ms;
    for (;;) {
      const times = (await this.rows()).map(dueAt).filter((at) => at !== null && at <= until);
      if (times.length === 0) break;
      this.clock.advance(Math.max(0, Math.min(...(times as number[])) - this.clock.now()));
      await this.incidents.check();
      // A change that is being written elsewhere needs the event loop.
      await turn();
    }
    this.clock.advance(until - this.clock.now());
    await this.incidents.check();
  }

  rows(): Promise<IncidentRow[]> {
    return this.db.read.selectFrom("incidents").selectAll().orderBy("number").execute();
  }

  async only(): Promise<IncidentRow> {
    const [row, ...others] = await this.rows();
    assert.ok(row && others.length === 0, `${others.length + (row ? 1 : 0)} incidents`);
    return row;
  }

  /** The kinds of the timeline, in order. */
  async log(incidentId: string): Promise<string[]> {
    const rows = await this.db.read
      .selectFrom("incident_log")
      .selectAll()
      .where("incidentId", "=", incidentId)
      .orderBy("seq")
      .execute();
    return rows.map(({ kind }) => kind);
  }

  /** Notifications of incidents with their recipients, in order: `reason user, user`. */
  async notified(): Promise<string[]> {
    const rows = await this.db.read
      .selectFrom("notifications as n")
      .innerJoin("notification_recipients as r", "r.notificationId", "n.id")
      .leftJoin("users as u", "u.id", "r.userId")
      .select(["n.id", "n.data", "u.username", "n.createdAt"])
      .where("n.kind", "=", "incident")
      .orderBy("n.id")
      .orderBy("u.username")
      .execute();
    const byId = new Map<string, { reason: string; users: string[] }>();
    for (const { id, data, username } of rows) {
      const { reason } = JSON.parse(data ?? "{}") as { reason: string };
      const entry = byId.get(id) ?? { reason, users: [] };
      entry.users.push(username ?? "?");
      byId.set(id, entry);
    }
    return [...byId.values()].map(({ reason, users }) => `${reason} ${users.join(", ")}`);
  }

  async events(): Promise<string[]> {
    const rows = await this.db.read
      .selectFrom("events")
      .select("type")
      .where("type", "like", "incident.%")
      .orderBy("seq")
      .execute();
    return rows.map(({ type }) => type);
  }
}
