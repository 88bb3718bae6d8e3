import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { TestContext } from "node:test";
import { io, type Socket } from "socket.io-client";
import type { IncidentRow } from "../../../src/features/alerts/incidents/incident.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { listening } from "../../helpers/listening.ts";
import { type CallBody, webhookReceiver } from "../health/emergency/support.ts";
import { IncidentWorld, MINUTE } from "./incidents/support.ts";
import { LISTED, PEOPLE, type Person, policies, WAYS, type WayName } from "./promise-actions.ts";
import { Way } from "./promise-ways.ts";

export const REPEAT_MS = 60 * MINUTE;
/** `emergency.afterMs` */
export const AFTER_MS = 5 * MINUTE;
const YEAR_MS = 365 * 1440 * MINUTE;
const DAY_MS = 1440 * MINUTE;
/** Elapsed time has fractions of a millisecond, as on a real machine. */
const TICK_MS = 1 / 1024;

/** The server of a random history with its people, ways, policies and routes. */
export class PromiseSite {
  readonly world: IncidentWorld;
  readonly ways: Readonly<Record<WayName, Way>>;
  readonly calls: readonly CallBody[];
  readonly #sockets = new Map<Person, Socket>();
  #ids: Readonly<Record<string, string>> = {};
  #override: string | null = null;
  #calendarUrl = "";
  /** The file of the imported calendar. */
  #calendar = "";
  #calendars = 0;
  #isMuted = false;
  #isOther = false;

  private constructor(world: IncidentWorld, ways: Readonly<Record<WayName, Way>>, calls: readonly CallBody[]) {
    this.world = world;
    this.ways = ways;
    this.calls = calls;
  }

  static async start(t: TestContext): Promise<PromiseSite> {
    const hook = await webhookReceiver(t);
    const settings = {
      "webhooks.allowPrivateCidrs": "127.0.0.0/8",
      "rateLimit.enabled": "false",
      "emergency.webhook": hook.url,
      "emergency.afterMs": String(AFTER_MS),
    };
    const clock = new FakeClock(undefined, { tickMs: TICK_MS });
    const world = await IncidentWorld.start(t, settings, clock);
    const ways: Partial<Record<WayName, Way>> = {};
    for (const name of WAYS) ways[name] = await Way.start(t, () => clock.elapsed());
    const site = new PromiseSite(world, ways as Record<WayName, Way>, hook.calls);
    world.prism.onClose.push(() => site.#leave());
    const files = createServer((_request, response) => {
      response.writeHead(200, { "Content-Type": "text/calendar" }).end(site.#calendar);
    });
    site.#calendarUrl = `http://127.0.0.1:${await listening(t, files)}/team.ics`;
    await site.#make();
    await site.holdWatch();
    return site;
  }

  /** The id of a person, or `policy`, `schedule`, `room`. */
  id(name: string): string {
    return this.#ids[name] ?? "";
  }

  nameOf(userId: string): Person | undefined {
    return PEOPLE.find((name) => this.#ids[name] === userId);
  }

  /** Tokens may have expired: the clock jumps. */
  async signIn(): Promise<void> {
    const { prism } = this.world;
    prism.adminToken = (await prism.get<{ token: string }>("/dev/token", { token: null })).body.token;
  }

  /** Looks for reasons of `emergency` come when the test says so. */
  async holdWatch(): Promise<void> {
    await this.world.prism.parts.offers.emergencyWatch.stop();
  }

  /** @returns whether the policy was edited: it cannot name a person who is away */
  async edit(policy: number): Promise<boolean> {
    const [schedule, calendar, room] = ["schedule", "calendar", "room"].map((name) => this.id(name)) as [
      string,
      string,
      string,
    ];
    const steps = policies({ schedule, calendar, room, hook: this.ways.hook.url })[policy];
    const edited = await this.world.prism.patch(`/api/v1/policies/${this.id("policy")}`, { steps });
    assert.ok(edited.status === 200 || /RECIPIENT_NOT_FOUND/.test(edited.text), edited.text);
    return edited.status === 200;
  }

  async setActive(who: Person, isActive: boolean): Promise<void> {
    const { db, prism } = this.world;
    const status = isActive ? "active" : "disabled";
    await db.write((trx) => trx.updateTable("users").set({ status }).where("id", "=", this.id(who)).execute());
    prism.rightsChanged();
  }

  /** The only person on call from now on; null: no one. @returns whether it was changed */
  async setDuty(who: Person | null): Promise<boolean> {
    const { prism, clock } = this.world;
    const path = `/api/v1/oncall/schedules/${this.id("schedule")}/overrides`;
    if (this.#override !== null) await made(prism.delete(`${path}/${this.#override}`));
    this.#override = null;
    if (who === null) return true;
    const [start, end] = [-YEAR_MS / 2, YEAR_MS / 2].map((ms) => new Date(clock.now() + ms).toISOString());
    const reply = await prism.post<{ id: string }>(path, { start, end, users: [who] });
    if (/RECIPIENT_NOT_FOUND/.test(reply.text)) return false;
    assert.equal(reply.status, 201, reply.text);
    this.#override = reply.body.id;
    return true;
  }

  /** Who is on call by the imported calendar from now on; null: no one. @returns whether the server found the person */
  async setCalendar(who: Person | null): Promise<boolean> {
    const { clock, prism, db } = this.world;
    const stamp = (at: number): string => `${new Date(at).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
    const times = [`DTSTART:${stamp(clock.now() - 3 * DAY_MS)}`, `DTEND:${stamp(clock.now() + 3 * DAY_MS)}`];
    const event = who === null ? [] : ["BEGIN:VEVENT", "UID:a", ...times, `SUMMARY:${who}`, "END:VEVENT"];
    this.#calendars += 1;
    this.#calendar = ["BEGIN:VCALENDAR", "VERSION:2.0", ...event, "END:VCALENDAR"].join("\r\n");
    const id = this.id("calendar");
    const body = { calendarUrl: `${this.#calendarUrl}?${this.#calendars}` };
    await made(prism.put(`/api/v1/oncall/schedules/${id}`, body));
    const content = await eventually("the calendar is read", async () => {
      const query = db.read.selectFrom("oncall_calendars").selectAll().where("scheduleId", "=", id);
      const row = await query.executeTakeFirst();
      return row?.checkedAt == null ? null : (row.content ?? "[]");
    });
    const spans = JSON.parse(content) as { end: number; users: string[] }[];
    return who === null || spans.some(({ end, users }) => end > clock.now() && users.includes(this.id(who)));
  }

  /** Whether alerts of the name C have a policy of their own. */
  async setRoute(isOther: boolean): Promise<void> {
    this.#isOther = isOther;
    await this.setMuted(this.#isMuted);
  }

  async setMuted(isMuted: boolean): Promise<void> {
    this.#isMuted = isMuted;
    const { version } = (await this.world.prism.get<{ version: number }>("/api/v1/routes")).body;
    const route = {
      ...{ policy: "Page", groupBy: ["alertname"], groupWaitMs: 0, groupIntervalMs: MINUTE, repeatMs: REPEAT_MS },
      routes: [
        { matchers: ['team="room"'], policy: "Room" },
        { matchers: [`alertname="${LISTED}"`], policy: "Listed" },
        { matchers: ['alertname="A"'], muteIntervals: ["muted"] },
        { matchers: ['alertname="C"', 'severity="critical"'], policy: "High" },
        ...(this.#isOther ? [{ matchers: ['alertname="C"'], policy: "Other" }] : []),
      ],
    };
    const timeIntervals = [{ name: "muted", intervals: [isMuted ? {} : { years: ["1999"] }] }];
    const inhibitRules = [{ sourceMatchers: ['alertname="B"'], targetMatchers: ['alertname="C"'], equal: [] }];
    const headers = { "If-Match": `"${version}"` };
    await made(this.world.prism.put("/api/v1/routes", { route, timeIntervals, inhibitRules }, { headers }));
  }

  /** The person has the app open. */
  async connect(who: Person): Promise<void> {
    if (this.#sockets.has(who)) return;
    const { prism } = this.world;
    const { token } = await prism.parts.offers.accessTokens.issue(this.id(who));
    const socket = io(prism.url, { auth: { token }, transports: ["websocket"], reconnection: false });
    this.#sockets.set(who, socket);
    await new Promise<void>((resolve) => {
      socket.once("ready", () => resolve());
      socket.once("connect_error", () => resolve());
    });
  }

  disconnect(who: Person): void {
    this.#sockets.get(who)?.disconnect();
    this.#sockets.delete(who);
  }

  isConnected(userId: string): boolean {
    const who = this.nameOf(userId);
    return who !== undefined && this.#sockets.get(who)?.connected === true;
  }

  async restart(): Promise<void> {
    this.#leave();
    await this.world.prism.restart();
    await this.holdWatch();
  }

  /** Whether all alerts of the incident that fire are silenced, inhibited or muted now. */
  isWithheld({ title }: IncidentRow): boolean {
    const { alerts, withheldBy } = this.world.prism.parts.offers;
    const own = alerts.list(this.world.projectId, () => true).filter((alert) => alert.label("alertname") === title);
    return own.every((alert) => {
      const { silencedBy, inhibitedBy, mutedBy } = withheldBy(alert);
      assert.ok(mutedBy.length === 0 || (this.#isMuted && title === "A"), `${title} is muted, but by no interval`);
      return silencedBy.length + inhibitedBy.length + mutedBy.length > 0;
    });
  }

  #leave(): void {
    for (const who of PEOPLE) this.disconnect(who);
  }

  async #make(): Promise<void> {
    const { world, ways } = this;
    const { prism, projectId } = world;
    const ids: Record<string, string> = {};
    for (const name of PEOPLE) {
      const { id, token } = await world.member(name);
      ids[name] = id;
      await made(prism.post("/api/v1/channels", { name, preset: "http", fields: ways[name].fields }, { token }));
    }
    const room = { name: "room", preset: "http", projectId, eventTypes: ["none.x"], fields: ways.room.fields };
    ids["room"] = await made(prism.post("/api/v1/channels", room));
    const schedule = { projectId, name: "On call", timezone: "UTC" };
    ids["schedule"] = await made(prism.post("/api/v1/oncall/schedules", schedule));
    const calendar = { projectId, name: "By calendar", timezone: "UTC" };
    ids["calendar"] = await made(prism.post("/api/v1/oncall/schedules", calendar));
    const page = { name: "Page", steps: [{ type: "notify", users: ["ann"] }] };
    ids["policy"] = await made(prism.post("/api/v1/policies", page));
    await made(prism.post("/api/v1/policies", { name: "Room", steps: [{ type: "channel", id: ids["room"] }] }));
    await made(prism.post("/api/v1/policies", { name: "Other", steps: [{ type: "notify", users: ["ann", "bob"] }] }));
    await made(prism.post("/api/v1/policies", { name: "High", steps: [{ type: "notify", users: ["bob"] }] }));
    await made(prism.post("/api/v1/policies", { name: "Listed", steps: [], opensIncidents: false }));
    this.#ids = ids;
    await this.setMuted(false);
  }
}

/** @returns the id of what was made */
async function made(reply: Promise<{ status: number; text: string; body: Record<string, unknown> }>): Promise<string> {
  const { status, text, body } = await reply;
  assert.ok(status < 300, text);
  return String(body["id"]);
}
