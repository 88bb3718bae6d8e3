import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { dueAt } from "../../../src/features/alerts/incidents/machine.ts";
import { httpServer } from "../channels/presets/http.ts";
import { type StandIn, startStandIn } from "../channels/support/stand-in.ts";
import { IncidentWorld, MINUTE } from "./incidents/support.ts";

const RUNS = process.env["TEST_ALL_RUNS"] ? 40 : 4;
const REPEAT_MS = 60 * MINUTE;
/** While an incident has reached no one it is looked at again within this time. */
const UNREACHED_MS = 5 * MINUTE;
const PEOPLE = ["ann", "bob"] as const;
const NAMES = ["A", "B", "C"];

const POLICIES: readonly (readonly object[])[] = [
  [],
  [{ type: "notify", users: ["ann"] }],
  [
    { type: "notify", users: ["ann"] },
    { type: "wait", ms: 10 * MINUTE },
    { type: "notify", users: ["bob"] },
  ],
];

type Action =
  | { readonly do: "fire" | "resolve" | "ack"; readonly name: string }
  | { readonly do: "down" | "up" | "leave" | "return"; readonly who: (typeof PEOPLE)[number] }
  | { readonly do: "edit"; readonly policy: number }
  | { readonly do: "pass" | "set"; readonly minutes: number }
  | { readonly do: "restart" };

const oneOf = <T>(...values: readonly T[]) => fc.constantFrom(...values);
const actions: fc.Arbitrary<readonly Action[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: oneOf("fire", "fire", "resolve", "ack"), name: oneOf(...NAMES) }) },
    { weight: 4, arbitrary: fc.record({ do: oneOf("down", "up", "leave", "return"), who: oneOf(...PEOPLE) }) },
    { weight: 2, arbitrary: fc.record({ do: oneOf("edit"), policy: fc.integer({ min: 0, max: 2 }) }) },
    { weight: 4, arbitrary: fc.record({ do: oneOf("pass"), minutes: fc.integer({ min: 1, max: 20 }) }) },
    { weight: 1, arbitrary: fc.record({ do: oneOf("set"), minutes: fc.integer({ min: -30, max: 30 }) }) },
    { weight: 1, arbitrary: fc.record({ do: oneOf("restart") }) },
  ) as fc.Arbitrary<Action>,
  { minLength: 5, maxLength: 20 },
);

test("whatever people, ways, policies and the clock do, an incident that no one has taken care of is looked at again", async (t) => {
  await fc.assert(
    fc.asyncProperty(actions, async (given) => {
      const run = await Run.start(t);
      for (const action of given) {
        await run.do(action);
        await run.check(JSON.stringify(action));
      }
      await run.end();
    }),
    { numRuns: RUNS, endOnFailure: true, includeErrorInReport: true },
  );
});

type Phones = Readonly<Record<(typeof PEOPLE)[number], StandIn>>;

class Run {
  readonly #world: IncidentWorld;
  readonly #phones: Phones;
  readonly #ids: Readonly<Record<string, string>>;
  readonly #isDown = new Set<string>();
  readonly #firing = new Set<string>();

  private constructor(world: IncidentWorld, phones: Phones, ids: Readonly<Record<string, string>>) {
    this.#world = world;
    this.#phones = phones;
    this.#ids = ids;
  }

  static async start(t: TestContext): Promise<Run> {
    const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
    const phones: Record<string, StandIn> = {};
    const ids: Record<string, string> = {};
    for (const name of PEOPLE) {
      const phone = await startStandIn(t, httpServer());
      const { id, token } = await world.member(name);
      const body = { name: "phone", preset: "http", fields: phone.service.fields(phone.url) };
      const made = await world.prism.post("/api/v1/channels", body, { token });
      assert.equal(made.status, 201, made.text);
      phones[name] = phone;
      ids[name] = id;
    }
    const made = await world.prism.post("/api/v1/policies", { name: "Page", steps: POLICIES[1] });
    assert.equal(made.status, 201, made.text);
    const route = { policy: "Page", groupBy: ["alertname"], groupWaitMs: 0, groupIntervalMs: MINUTE };
    const routes = await world.prism.put("/api/v1/routes", { route: { ...route, repeatMs: REPEAT_MS } });
    assert.equal(routes.status, 200, routes.text);
    return new Run(world, phones as unknown as Phones, { ...ids, policy: (made.body as { id: string }).id });
  }

  async do(action: Action): Promise<void> {
    const { prism, clock } = this.#world;
    if (action.do === "restart") await prism.restart();
    else if (action.do === "set") clock.set(action.minutes * MINUTE);
    prism.adminToken = (await prism.get<{ token: string }>("/dev/token", { token: null })).body.token;
    if (action.do === "pass") await this.#pass(action.minutes);
    else if (action.do === "fire" && !this.#firing.has(action.name)) {
      this.#firing.add(action.name);
      await this.#world.fire(action.name);
    } else if (action.do === "resolve" && this.#firing.delete(action.name)) await this.#world.resolveAlert(action.name);
    else if (action.do === "ack") await this.#acknowledge(action.name);
    else if (action.do === "down" || action.do === "up") this.#setDown(action.who, action.do === "down");
    else if (action.do === "leave" || action.do === "return") await this.#setActive(action.who, action.do === "return");
    else if (action.do === "edit") {
      const steps = POLICIES[action.policy];
      const edited = await prism.patch(`/api/v1/policies/${this.#ids["policy"]}`, { steps });
      // A policy cannot name a person who is away.
      assert.ok(edited.status === 200 || /RECIPIENT_NOT_FOUND/.test(edited.text), edited.text);
    }
    await this.#settle();
  }

  async #acknowledge(name: string): Promise<void> {
    const open = (await this.#world.rows()).find(({ title, state }) => title === name && state !== "resolved");
    if (open) await this.#world.prism.post(`/api/v1/incidents/${open.id}/acknowledge`, {});
  }

  #setDown(who: (typeof PEOPLE)[number], isDown: boolean): void {
    const { next } = this.#phones[who];
    next.length = 0;
    if (isDown) next.push(...Array.from({ length: 2000 }, () => ({ status: 503, body: "down" })));
    if (isDown) this.#isDown.add(who);
    else this.#isDown.delete(who);
  }

  async #setActive(who: string, isActive: boolean): Promise<void> {
    const status = isActive ? "active" : "disabled";
    await this.#world.db.write((trx) =>
      trx
        .updateTable("users")
        .set({ status })
        .where("id", "=", this.#ids[who] as string)
        .execute(),
    );
    this.#world.prism.rightsChanged();
  }

  /** Time passes in minutes, and what is due by then happens. */
  async #pass(minutes: number): Promise<void> {
    for (let left = minutes; left > 0; left -= 1) {
      await this.#world.pass(MINUTE);
      await this.#settle();
    }
  }

  async #settle(): Promise<void> {
    const { pages } = this.#world.prism.parts.services;
    await this.#world.incidents.check();
    for (let round = 0; round < 3; round += 1) {
      await pages.check();
      await pages.idle();
      await this.#world.incidents.check();
    }
  }

  /** What must be true at every moment. */
  async check(after: string): Promise<void> {
    const { parts } = this.#world.prism;
    const now = parts.services.alerting.clock.now();
    for (const row of await this.#world.rows()) {
      if (row.state !== "open" || row.snoozedUntil !== null || row.firing === 0) continue;
      const due = dueAt(row);
      assert.ok(due !== null, `${after}: incident ${row.title} has no due time`);
      const limit = row.reachedAt === null ? UNREACHED_MS : REPEAT_MS;
      assert.ok(due - now <= limit, `${after}: incident ${row.title} is looked at again in ${due - now} ms only`);
    }
    const delivered = await this.#world.db.read
      .selectFrom("pages")
      .select(["id", "userId"])
      .where("outcome", "=", "delivered")
      .execute();
    const posts = Object.values(this.#phones).reduce((sum, { seen }) => sum + seen.length, 0);
    assert.ok(delivered.length === 0 || posts > 0, `${after}: nothing claims a delivery that was none`);
  }

  /** All ways work and all people are back: each open incident reaches someone. */
  async end(): Promise<void> {
    for (const who of PEOPLE) {
      this.#setDown(who, false);
      await this.#setActive(who, true);
    }
    await this.#pass(12);
    for (const row of await this.#world.rows())
      if (row.state === "open" && row.firing > 0)
        assert.ok(row.reachedAt !== null, `incident ${row.title} has reached no one: ${await this.#world.log(row.id)}`);
    await this.#world.prism.stop();
  }
}
