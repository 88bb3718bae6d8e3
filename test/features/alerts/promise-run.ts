import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { PrismError } from "../../../src/core/errors.ts";
import type { IncidentRow } from "../../../src/features/alerts/incidents/incident.ts";
import type { PolicyStep } from "../../../src/features/alerts/policies/policy.ts";
import type { PageRow } from "../../../src/features/delivery/pages/page.ts";
import { CALL_EVERY_MS } from "../../../src/features/health/emergency/emergency.ts";
import { worldOf } from "./book/support.ts";
import { MINUTE } from "./incidents/support.ts";
import { type Action, type Level, PEOPLE, type Person, rated, WAYS, type WayName } from "./promise-actions.ts";
import { type LogRow, Rises, TO_PEOPLE, VOIDS_NOTICES } from "./promise-rises.ts";
import { AFTER_MS, PromiseSite, REPEAT_MS } from "./promise-site.ts";
import type { Way } from "./promise-ways.ts";

/** A way or a page is tried again within this time. */
const LEAST_MS = 30_000;
/** While an incident has reached no one its targets are asked again within this time. */
const UNREACHED_MS = 5 * MINUTE;
/** An incident is looked at once in a minute of a history. */
const GRAIN_MS = MINUTE;
/** The last calls of two servers on a clock that jumped: how far apart is not known. */
const UNKNOWN = Number.NaN;
/** Ticks of the clock while the server looks at it. */
const TICKS_MS = 100;

export interface RunOptions {
  /** How long what is to happen at once may take on this machine. */
  readonly patienceMs?: number;
}

/** Plays a history on a server of its own, and checks after each action what must be true at every moment. */
export class PromiseRun {
  readonly site: PromiseSite;
  readonly #patienceMs: number;
  readonly #firing = new Set<string>();
  readonly #silences = new Map<string, string>();
  readonly #away = new Set<Person>();
  readonly #levels = new Map<string, Level>();
  readonly #rises: Rises;
  #onCall: Person | null = null;
  #byCalendar: Person | null = null;
  /** Since when a person could have been reached of an incident, in elapsed time. */
  #ableSince: ReadonlyMap<string, number> = new Map();
  #calls = 0;
  #calledAt: number | null = null;
  #jumpedMs = 0;
  /** `page-undelivered` was present at the last look. */
  #wasUnreached = false;
  #storms = 0;

  private constructor(site: PromiseSite, patienceMs: number) {
    this.site = site;
    this.#rises = new Rises(site);
    this.#patienceMs = patienceMs;
  }

  static async start(t: TestContext, { patienceMs = 30_000 }: RunOptions = {}): Promise<PromiseRun> {
    return new PromiseRun(await PromiseSite.start(t), patienceMs);
  }

  async play(history: readonly Action[]): Promise<void> {
    for (const action of history) await this.do(action);
  }

  async do(action: Action): Promise<void> {
    const after = JSON.stringify(action);
    await this.site.signIn();
    if (action.do === "pass") await this.#pass(action.minutes, after);
    else {
      await this.#act(action, after);
      await this.#check(after);
    }
  }

  /** All ways work and all people are back: each open incident reaches someone. */
  async end(): Promise<void> {
    const { site } = this;
    await site.signIn();
    for (const way of WAYS) site.ways[way].set("well");
    for (const who of PEOPLE) await this.#setAway(who, false);
    await this.#duty("ann");
    await this.#setCalendar("ann");
    await site.setMuted(false);
    for (const name of [...this.#silences.keys()]) await this.#unsilence(name);
    await this.#pass(7, "the end");
    for (const row of await this.#waiting())
      assert.ok(row.reachedAt !== null, `${row.title} has reached no one: ${await site.world.log(row.id)}`);
    await site.world.prism.stop();
  }

  async #act(action: Exclude<Action, { do: "pass" }>, after: string): Promise<void> {
    const { site } = this;
    const { world, ways } = site;
    switch (action.do) {
      case "fire":
        return this.#fire(action.name);
      case "resolve":
        return this.#resolve(action.name);
      case "flap":
        for (let times = 0; times < 2; times += 1) {
          await this.#fire(action.name);
          await this.#resolve(action.name);
        }
        return this.#fire(action.name);
      case "storm":
        return this.#storm(action.alerts);
      case "rate":
        return this.#rate(action.name, action.level);
      case "route":
        return site.setRoute(action.isOther);
      case "ack":
        return this.#change(action.name, "acknowledge", {});
      case "unack":
        return this.#change(action.name, "unacknowledge", {});
      case "snooze":
        return this.#change(action.name, "snooze", { durationMs: 4 * MINUTE });
      case "silence":
        return this.#silence(action.name);
      case "unsilence":
        return this.#unsilence(action.name);
      case "down":
      case "up":
      case "hang":
        return ways[action.way].set(({ down: "down", up: "well", hang: "hanging" } as const)[action.do]);
      case "busy":
        return ways[action.way].askToWait(action.seconds);
      case "leave":
      case "return":
        return this.#setAway(action.who, action.do === "leave");
      case "connect":
        return this.#away.has(action.who) ? undefined : site.connect(action.who);
      case "disconnect":
        return site.disconnect(action.who);
      case "duty":
        return this.#duty(action.who);
      case "calendar":
        return this.#setCalendar(action.who);
      case "edit":
        await site.edit(action.policy);
        return;
      case "set":
        this.#jumpedMs += action.minutes * MINUTE;
        // Its shifts are those after it was read.
        this.#byCalendar = null;
        return world.clock.set(action.minutes * MINUTE);
      case "mute":
      case "unmute":
        return site.setMuted(action.do === "mute");
      case "full":
        return this.#withoutStore(action.who, after);
      case "restart":
        return this.#restart();
    }
  }

  async #fire(name: string): Promise<void> {
    if (this.#firing.has(name)) return;
    this.#firing.add(name);
    this.#rises.forget(name);
    await this.site.world.fire(name, rated(name, this.#levels.get(name) ?? "warning"));
  }

  /** Its source reports it with another severity. */
  async #rate(name: string, level: Level): Promise<void> {
    this.#levels.set(name, level);
    if (!this.#firing.has(name)) return;
    const { world } = this.site;
    await this.#rises.before(name, level);
    for (const who of this.#away) this.#rises.forgetPerson(this.site.id(who));
    const { input, alerts } = worldOf(world.prism, world.clock);
    await alerts().submit([input(name, rated(name, level))]);
    await world.incidents.check();
  }

  async #resolve(name: string): Promise<void> {
    this.#rises.forget(name);
    if (this.#firing.delete(name)) await this.site.world.resolveAlert(name);
  }

  /** Many incidents of a healthy channel, more than its rate lets through at once. */
  async #storm(count: number): Promise<void> {
    const { prism, clock, incidents } = this.site.world;
    const { input, alerts } = worldOf(prism, clock);
    this.#storms += 1;
    const names = Array.from({ length: count }, (_, n) => `storm ${this.#storms} ${n}`);
    await alerts().submit(names.map((name) => input(name, { labels: { alertname: name, team: "room" } })));
    await incidents.check();
  }

  async #change(name: string, verb: string, body: object): Promise<void> {
    const { world } = this.site;
    const open = (await world.rows()).find(({ title, state }) => title === name && state !== "resolved");
    if (open) await world.prism.post(`/api/v1/incidents/${open.id}/${verb}`, body);
  }

  async #silence(name: string): Promise<void> {
    if (this.#silences.has(name)) return;
    const body = { matchers: [`alertname="${name}"`], comment: "history", durationMs: 30 * 1440 * MINUTE };
    const made = await this.site.world.prism.post<{ id: string }>("/api/v1/silences", body);
    assert.equal(made.status, 201, made.text);
    this.#silences.set(name, made.body.id);
  }

  async #unsilence(name: string): Promise<void> {
    const id = this.#silences.get(name);
    if (!this.#silences.delete(name)) return;
    const gone = await this.site.world.prism.delete(`/api/v1/silences/${id}`);
    assert.ok(gone.status < 300, gone.text);
  }

  async #setAway(who: Person, isAway: boolean): Promise<void> {
    if (isAway) this.#away.add(who);
    else this.#away.delete(who);
    this.#rises.forgetPerson(this.site.id(who));
    if (isAway) this.site.disconnect(who);
    await this.site.setActive(who, !isAway);
  }

  async #duty(who: Person | null): Promise<void> {
    this.#onCall = (await this.site.setDuty(who)) ? who : null;
  }

  async #setCalendar(who: Person | null): Promise<void> {
    this.#byCalendar = (await this.site.setCalendar(who)) ? who : null;
  }

  async #restart(): Promise<void> {
    // What a server remembers of its last call is the wall clock's time.
    if (this.#jumpedMs !== 0 && this.#calledAt !== null) this.#calledAt = UNKNOWN;
    this.#jumpedMs = 0;
    this.#wasUnreached = false;
    await this.site.restart();
  }

  /** Nothing can be stored while a way recovers: what waits for it is sent all the same. */
  async #withoutStore(who: Person, after: string): Promise<void> {
    const { world, ways } = this.site;
    const { prism, clock } = world;
    await this.#settle(after);
    await this.#idle();
    this.#rises.delay(2 * MINUTE);
    const way = ways[who];
    const open = world.db.read.selectFrom("pages").select("id").where("userId", "=", this.site.id(who));
    const rows = this.#away.has(who) ? [] : await open.where("endedAt", "is", null).execute();
    const { database } = prism.parts.base;
    const refuse = (): Promise<never> => Promise.reject(new PrismError("STORAGE_FULL", "The disk is full"));
    Object.defineProperty(database, "write", { configurable: true, value: refuse });
    way.set("well");
    try {
      for (let seconds = 0; seconds < 60; seconds += 10) {
        clock.advance(10_000);
        await prism.parts.offers.pages.check();
        if (!way.isDue) continue;
        const isSent = (): boolean => rows.every(({ id }) => way.accepted.has(id));
        const found = await this.#until(async () => {
          await prism.parts.offers.pages.check();
          return isSent();
        });
        assert.ok(found, `${after}: ${who}'s pages are not sent while nothing can be stored`);
      }
    } finally {
      Reflect.deleteProperty(database, "write");
    }
  }

  /** Time passes in minutes, and what is due by then happens. */
  async #pass(minutes: number, after: string): Promise<void> {
    for (let left = minutes; left > 0; left -= 1) {
      await this.#idle();
      await this.site.world.pass(MINUTE);
      await this.#check(after);
    }
  }

  /** Asks until it is true; at most as long as this run is patient. */
  async #until(ask: () => Promise<boolean>): Promise<boolean> {
    for (const startedAt = Date.now(); ; ) {
      if (await ask()) return true;
      if (Date.now() - startedAt > this.#patienceMs) return false;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** What is due is done, as far as it needs no more time. */
  async #settle(after: string): Promise<void> {
    let missing: string[] = [];
    const isDone = await this.#until(async () => {
      await this.site.world.incidents.check();
      await this.site.world.prism.parts.offers.pages.check();
      if (!this.#isHanging) await this.#idle();
      missing = await this.#missing();
      return missing.length === 0;
    });
    assert.ok(isDone, `${after}: not sent at once: ${missing.join(", ")}`);
    if (!this.#isHanging) await this.#idle();
    await this.site.world.incidents.check();
  }

  get #isHanging(): boolean {
    return WAYS.some((name) => this.site.ways[name].mode === "hanging");
  }

  /** No call runs and everything is stored. What hangs is let go. */
  async #idle(): Promise<void> {
    let isIdle = false;
    const idle = this.site.world.prism.parts.offers.pages.idle().finally(() => {
      isIdle = true;
    });
    while (!isIdle) {
      for (const name of WAYS) this.site.ways[name].release();
      await Promise.race([idle, new Promise((resolve) => setTimeout(resolve, 2))]);
    }
    await idle;
  }

  /** Incidents that wait for people. */
  async #waiting(): Promise<IncidentRow[]> {
    return (await this.#open()).filter((row) => !this.#isHeld(row));
  }

  async #open(): Promise<IncidentRow[]> {
    const rows = await this.site.world.rows();
    return rows.filter((row) => {
      const isOpen = row.state === "open" && row.snoozedUntil === null && row.firing > 0 && row.urgency === "high";
      return isOpen && !this.site.isWithheld(row);
    });
  }

  /** A condition of its policy holds its steps. */
  #isHeld(row: IncidentRow): boolean {
    const next = this.#stepsOf(row)[row.step]?.type;
    return next === "ifCount" || next === "onlyIn";
  }

  #stepsOf({ policyId, policyVersion }: IncidentRow): readonly PolicyStep[] {
    const { policies } = this.site.world.prism.parts.offers;
    return policies.definitionOf({ id: policyId, version: policyVersion }).steps;
  }

  #pagesOf({ id }: IncidentRow): Promise<PageRow[]> {
    return this.site.world.db.read.selectFrom("pages").selectAll().where("incidentId", "=", id).execute();
  }

  async #logOf({ id }: IncidentRow): Promise<LogRow[]> {
    const rows = await this.site.world.db.read
      .selectFrom("incident_log")
      .select(["seq", "kind", "data"])
      .where("incidentId", "=", id)
      .orderBy("seq")
      .execute();
    return rows.map(({ seq, kind, data }) => ({ seq, kind, data: JSON.parse(data) as LogRow["data"] }));
  }

  #wayOf({ kind, userId }: Pick<PageRow, "kind" | "userId">): Way | undefined {
    const name: WayName | undefined =
      kind === "webhook" ? "hook" : kind === "channel" ? "room" : this.site.nameOf(userId ?? "");
    return name && this.site.ways[name];
  }

  #isAccepted(page: PageRow): boolean {
    if (page.outcome === "delivered" && page.answer?.startsWith("in a summary") === true) return true;
    return this.#wayOf(page)?.accepted.has(page.id) === true;
  }

  /** Notices that their ways should have by now. */
  async #missing(): Promise<string[]> {
    const missing: string[] = [];
    for (const row of await this.#waiting()) {
      if (row.title.startsWith("storm")) continue;
      const pages = await this.#pagesOf(row);
      if (pages.some((page) => page.endedAt === null && this.#isAccepted(page)))
        missing.push(`the outcome of ${row.title}`);
      const log = await this.#logOf(row);
      const since = log.findLastIndex(({ kind }) => VOIDS_NOTICES.has(kind));
      for (const { kind, data } of log.slice(since + 1)) {
        const people = TO_PEOPLE.has(kind) ? (data.users ?? []).flatMap((id) => this.site.nameOf(id) ?? []) : [];
        for (const who of people) {
          const own = pages.filter(({ userId }) => userId === this.site.id(who));
          const isOwed = this.site.ways[who].isDue && !this.#away.has(who);
          // Of a page to a person who was away nothing is sent later.
          if (isOwed && !own.some((page) => this.#isAccepted(page) || page.outcome === "skipped"))
            missing.push(`${row.title} to ${who}`);
        }
        const page = pages.find(({ id }) => id === data.pageId);
        const isOver = !page || page.outcome === "overtaken" || page.outcome === "skipped" || this.#isAccepted(page);
        if (!isOver && this.#wayOf(page)?.isDue) missing.push(`${row.title} to the ${page.kind}`);
      }
    }
    return [...new Set(missing)];
  }

  /** What must be true at every moment. */
  async #check(after: string): Promise<void> {
    await this.#settle(after);
    await this.#checkEmergency(after);
    const { steadyClock: clock } = this.site.world.prism.parts.offers;
    for (const row of await this.#waiting()) {
      const { title, stepAt, repeatAt, flushAt, notifiedAt, reachedAt } = row;
      const times = (notifiedAt === null ? [flushAt, stepAt] : [stepAt, repeatAt]).filter((at) => at !== null);
      assert.ok(times.length > 0, `${after}: ${title} has no due time`);
      const before = this.#stepsOf(row)[row.step - 1];
      const waitMs = before?.type === "wait" ? before.ms : 0;
      const limit = Math.max(LEAST_MS, waitMs, reachedAt === null ? UNREACHED_MS : REPEAT_MS);
      const dueMs = Math.min(...times) - clock.now();
      assert.ok(dueMs <= limit, `${after}: ${title} is looked at again in ${dueMs} ms only`);
    }
    await this.#rises.check(after);
    await this.#checkAble(after);
    await this.#checkClaims(after);
  }

  /** An incident has reached someone if a target of its steps could be reached for some minutes. */
  async #checkAble(after: string): Promise<void> {
    const now = this.site.world.clock.elapsed();
    const able = new Map<string, number>();
    for (const row of await this.#waiting()) {
      if ((await this.#isReached(row)) || row.steppedAt === null) continue;
      for (const who of this.#targetsOf(row)) {
        const way = this.site.ways[who];
        if (way.worksSince === null || (who !== "room" && who !== "hook" && this.#away.has(who))) continue;
        const key = `${row.id} ${who}`;
        const since = Math.max(this.#ableSince.get(key) ?? now, way.worksSince);
        able.set(key, since);
        const isLate = now - since > UNREACHED_MS + GRAIN_MS;
        assert.ok(!isLate, `${after}: ${row.title} has reached no one, though ${who} could be reached for minutes`);
      }
    }
    this.#ableSince = able;
  }

  /** Who is a target of the steps that were executed. */
  #targetsOf(row: IncidentRow): Set<WayName> {
    const steps = this.#stepsOf(row);
    const found = new Set<WayName>();
    for (const step of row.round > 0 ? steps : steps.slice(0, row.step)) {
      if (step.type === "webhook") found.add("hook");
      else if (step.type === "channel") found.add("room");
      if (step.type !== "notify") continue;
      for (const id of step.users) found.add(this.site.nameOf(id) ?? "ann");
      for (const { id } of step.schedules) {
        const who = id === this.site.id("calendar") ? this.#byCalendar : this.#onCall;
        if (who !== null) found.add(who);
      }
    }
    return found;
  }

  async #isReached(row: IncidentRow): Promise<boolean> {
    if ((await this.#logOf(row)).some(({ kind }) => kind === "acknowledged")) return true;
    return (await this.#pagesOf(row)).some((page) => page.isEnd === 0 && this.#isAccepted(page));
  }

  async #checkClaims(after: string): Promise<void> {
    const delivered = await this.site.world.db.read
      .selectFrom("pages")
      .selectAll()
      .where("outcome", "=", "delivered")
      .execute();
    const untrue = delivered.filter((page) => this.#wayOf(page) && !this.#isAccepted(page));
    assert.deepEqual(untrue, [], `${after}: nothing claims a delivery that was none`);
  }

  /** While an incident has reached no one for `afterMs` there is one call in 15 min, otherwise none. */
  async #checkEmergency(after: string): Promise<void> {
    const { clock, prism } = this.site.world;
    const before = await this.#isUnreached();
    await prism.parts.offers.emergencyWatch.check();
    await prism.parts.base.emergency.check();
    const isUnreached = await this.#isUnreached();
    const reasons = this.site.calls.map(({ reason }) => reason);
    const count = reasons.filter((reason) => reason === "page-undelivered").length;
    assert.deepEqual([...new Set(reasons)], count > 0 ? ["page-undelivered"] : [], `${after}: reasons of emergency`);
    const made = count - this.#calls;
    const now = clock.elapsed();
    const isOver = this.#calledAt === null || now - this.#calledAt >= CALL_EVERY_MS - TICKS_MS;
    const isUnknown = Number.isNaN(this.#calledAt);
    const wanted = isOver && isUnreached ? 1 : 0;
    // A timer of the server may look at any time.
    const mayDiffer = isUnknown || before !== isUnreached || (isOver && this.#wasUnreached);
    const told = `${after}: ${made} calls of emergency, ${wanted} are due`;
    assert.ok(mayDiffer ? made === 0 || made === 1 : made === wanted, told);
    if (made > 0) this.#calledAt = now;
    this.#calls = count;
    this.#wasUnreached = isUnreached;
  }

  /** Whether an incident has reached no one for `emergency.afterMs`. */
  async #isUnreached(): Promise<boolean> {
    const now = this.site.world.prism.parts.offers.steadyClock.now();
    for (const row of await this.#open()) {
      const isLong = row.notifiedAt !== null && row.notifiedAt <= now - AFTER_MS;
      if (isLong && row.steppedAt !== null && !(await this.#isReached(row))) return true;
    }
    return false;
  }
}
