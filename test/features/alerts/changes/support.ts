import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { IncidentRow } from "../../../../src/features/alerts/incidents/incident.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { answered } from "../../../helpers/prism.ts";
import { countOf } from "../../../helpers/tables.ts";
import { startRecorder, type WebhookRecorder } from "../../../helpers/webhook-recorder.ts";
import { httpServer } from "../../channels/presets/http.ts";
import { IncidentWorld, MINUTE } from "../incidents/support.ts";

export { MINUTE } from "../incidents/support.ts";

const HALF_HOUR = 30 * MINUTE;

/** A post of either format. */
interface Body {
  readonly alerts: readonly {
    readonly status?: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly fingerprint: string;
  }[];
  readonly reason?: string;
  readonly incident?: Readonly<Record<string, unknown>>;
}

interface Made {
  readonly hook: WebhookRecorder<Body>;
  readonly room: WebhookRecorder<unknown>;
  /** The id of the room's channel. */
  readonly channel: string;
}

/** A server whose default policy asks ann, a room, and webhooks of both formats, and ben ten minutes later. */
export class ChangeWorld {
  readonly world: IncidentWorld;
  readonly hook: WebhookRecorder<Body>;
  readonly room: WebhookRecorder<unknown>;
  readonly #channel: string;

  private constructor(world: IncidentWorld, { hook, room, channel }: Made) {
    this.world = world;
    this.hook = hook;
    this.room = room;
    this.#channel = channel;
  }

  static async start(t: TestContext, more: Readonly<Record<string, string>> = {}): Promise<ChangeWorld> {
    const hook = await startRecorder<Body>(t);
    const room = await startRecorder<unknown>(t);
    const settings = { "webhooks.allowPrivateCidrs": "127.0.0.0/8", "rateLimit.enabled": "false", ...more };
    const world = await IncidentWorld.start(t, settings);
    const { prism, projectId } = world;
    await world.member("ann");
    await world.member("ben");
    const channel = { name: "room", preset: "http", projectId, eventTypes: ["none.x"] };
    const { body } = await answered(
      201,
      prism.post<{ id: string }>("/api/v1/channels", { ...channel, fields: httpServer().fields(room.url) }),
    );
    const made = new ChangeWorld(world, { hook, room, channel: body.id });
    const policy = { steps: made.steps, renotifyOnNew: false };
    await answered(200, prism.patch(`/api/v1/policies/${projectId}`, policy));
    await made.route({});
    return made;
  }

  get steps(): object[] {
    return [
      { type: "notify", users: ["ann"] },
      { type: "channel", id: this.#channel },
      { type: "webhook", url: `${this.hook.url}/am`, format: "alertmanager" },
      { type: "webhook", url: `${this.hook.url}/prism`, format: "prism" },
      { type: "wait", ms: 10 * MINUTE },
      { type: "notify", users: ["ben"] },
    ];
  }

  /** Sets the root of the routing. */
  async route(route: object): Promise<void> {
    const { prism } = this.world;
    const times = { groupWaitMs: 30_000, groupIntervalMs: 5 * MINUTE, repeatMs: 240 * MINUTE };
    const root = { policy: "default", groupBy: ["alertname"], ...times, ...route };
    const { version } = (await prism.get<{ version: number }>("/api/v1/routes")).body;
    await answered(200, prism.put("/api/v1/routes", { route: root }, { headers: { "If-Match": `"${version}"` } }));
  }

  /** Everything that is due now is sent. */
  async settle(): Promise<void> {
    const { incidents, prism, db } = this.world;
    // Tokens expire: much time passes.
    prism.adminToken = (await prism.get<{ token: string }>("/dev/token", { token: null })).body.token;
    await eventually("rules have decided", async () => {
      await prism.parts.offers.alerts.signalled();
      return countOf(prism, "events where processedAt is null") + countOf(prism, "alert_signals") === 0;
    });
    await incidents.check();
    await eventually("all pages are sent", async () => {
      await prism.parts.offers.pages.check();
      await prism.parts.offers.pages.idle();
      const open = await db.read.selectFrom("pages").select("id").where("endedAt", "is", null).execute();
      return open.length === 0;
    });
  }

  /** What is sent on the way arrives. */
  async pass(ms: number): Promise<void> {
    const steps = [
      Math.min(ms, MINUTE),
      ...Array<number>(Math.max(0, Math.ceil((ms - MINUTE) / HALF_HOUR))).fill(HALF_HOUR),
    ];
    for (let left = ms; left > 0; ) {
      const next = Math.min(left, steps.shift() ?? left);
      left -= next;
      await this.world.pass(next);
      await this.settle();
    }
  }

  rows(): Promise<IncidentRow[]> {
    return this.world.rows();
  }

  /** The timeline with its data. */
  async log({ id }: Pick<IncidentRow, "id">): Promise<{ kind: string; data: Record<string, unknown> }[]> {
    const rows = await this.world.db.read
      .selectFrom("incident_log")
      .select(["kind", "data"])
      .where("incidentId", "=", id)
      .orderBy("seq")
      .execute();
    return rows.map(({ kind, data }) => ({ kind, data: JSON.parse(data) as Record<string, unknown> }));
  }

  /** Titles of notices with who got them, the oldest first: `ann: Critical: disk`. */
  async notices(): Promise<string[]> {
    const rows = await this.world.db.read
      .selectFrom("notifications as n")
      .innerJoin("notification_recipients as r", "r.notificationId", "n.id")
      .innerJoin("users as u", "u.id", "r.userId")
      .select(["n.id", "n.title", "u.username"])
      .where("n.kind", "=", "incident")
      .orderBy("n.id")
      .orderBy("u.username")
      .execute();
    return rows.map(({ title, username }) => `${username}: ${title}`);
  }

  posts(path: "/am" | "/prism"): Body[] {
    return this.hook.posts.filter((post) => post.path === path).map(({ body }) => body);
  }

  /** Such as `firing warning`, for each entry of each post of Alertmanager's form. */
  entries(): string[][] {
    return this.posts("/am").map(({ alerts }) =>
      alerts.map(({ status, labels }) => `${status} ${labels["severity"]}`).sort(),
    );
  }

  async act(verb: string, body: object = {}): Promise<void> {
    const { prism } = this.world;
    const { id } = await this.world.only();
    const reply = await prism.post(`/api/v1/incidents/${id}/${verb}`, body);
    assert.equal(reply.status, 200, reply.text);
  }

  /** By the native API. */
  async report(severity: string, more: object = {}): Promise<void> {
    const alert = { key: "k", labels: { alertname: "Disk", severity, host: "db-1" }, ...more };
    await answered(200, this.world.prism.post("/api/v1/alerts", { alerts: [alert] }));
    await this.world.incidents.check();
  }
}
