import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { answered } from "../../helpers/prism.ts";
import { IncidentWorld, MINUTE } from "./incidents/support.ts";

const RUNS = process.env["TEST_ALL_RUNS"] ? 40 : 6;
const NAMES = ["A", "B"];
const STEPS = [
  { type: "notify", users: ["ann"] },
  { type: "wait", ms: 5 * MINUTE },
  { type: "notify", users: ["bob"] },
];

type Action =
  | { readonly do: "fire" | "resolve" | "silence" | "unsilence" | "ack" | "snooze"; readonly name: string }
  | { readonly do: "pass"; readonly minutes: number }
  | { readonly do: "set"; readonly minutes: number }
  | { readonly do: "restart" };

const actions: fc.Arbitrary<readonly Action[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constantFrom("fire", "fire", "resolve", "silence", "unsilence", "ack", "snooze"),
        name: fc.constantFrom(...NAMES),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("pass"), minutes: fc.integer({ min: 1, max: 20 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("set"), minutes: fc.integer({ min: -30, max: 30 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("restart") }) },
  ) as fc.Arbitrary<Action>,
  { minLength: 5, maxLength: 25 },
);

test("random alerts, silences, acknowledgements, clock steps and restarts: the engine keeps the rules", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  await world.member("bob");
  await answered(201, world.prism.post("/api/v1/policies", { name: "Steps", steps: STEPS }));
  const route = { policy: "Steps", groupBy: ["alertname"], groupWaitMs: 0, groupIntervalMs: MINUTE };
  assert.equal((await world.prism.put("/api/v1/routes", { route })).status, 200);
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(actions, async (given) => {
      runs += 1;
      await new Run(world, runs).play(given);
    }),
    { numRuns: RUNS, endOnFailure: true, includeErrorInReport: true },
  );
});

/** Plays actions on alerts of its own, and compares what was stored with a model. */
class Run {
  readonly #world: IncidentWorld;
  readonly #prefix: string;
  /** The model: what fires, and what is silenced by which silence. */
  readonly #firing = new Set<string>();
  readonly #silences = new Map<string, { readonly id: string; readonly since: number }>();
  #opened = 0;
  #resolved = 0;

  constructor(world: IncidentWorld, run: number) {
    this.#world = world;
    this.#prefix = `r${run}-`;
  }

  async play(given: readonly Action[]): Promise<void> {
    for (const action of given) {
      await this.#do(action);
      await this.#check();
    }
    for (const name of NAMES) await this.#do({ do: "resolve", name });
    await this.#world.pass(10 * MINUTE);
    await this.#check();
    for (const { state } of await this.#rows()) assert.equal(state, "resolved");
    for (const name of NAMES) await this.#do({ do: "unsilence", name });
  }

  async #do(action: Action): Promise<void> {
    const { prism, clock } = this.#world;
    if (action.do === "pass") return this.#world.pass(action.minutes * MINUTE);
    if (action.do === "set") {
      clock.set(action.minutes * MINUTE);
      return this.#world.incidents.check();
    }
    if (action.do === "restart") {
      await prism.restart();
      return this.#world.incidents.check();
    }
    // The clock may have left the life of the last token.
    prism.adminToken = (await prism.get<{ token: string }>("/dev/token", { token: null })).body.token;
    const name = this.#prefix + action.name;
    const matchers = [`alertname="${name}"`];
    if (action.do === "fire" && !this.#firing.has(name)) {
      const open = await this.#open(name);
      const before = open === undefined ? 0 : await this.#notified(open.id);
      await this.#world.fire(name);
      this.#firing.add(name);
      this.#opened += 1;
      const now = await this.#open(name);
      if (this.#isSilenced(name) && now) assert.equal(await this.#notified(now.id), before, `${name} is silenced`);
    } else if (action.do === "resolve" && this.#firing.delete(name)) {
      await this.#world.resolveAlert(name);
      this.#resolved += 1;
    } else if (action.do === "silence" && !this.#silences.has(name)) {
      const body = { matchers, comment: "model", durationMs: 365 * 1440 * MINUTE };
      const made = await answered(201, prism.post<{ id: string }>("/api/v1/silences", body));
      this.#silences.set(name, { id: made.body.id, since: clock.now() });
    } else if (action.do === "unsilence" && this.#silences.has(name)) {
      const gone = await prism.delete(`/api/v1/silences/${this.#silences.get(name)?.id}`);
      assert.ok(gone.status < 300, gone.text);
      this.#silences.delete(name);
    } else if (action.do === "ack" || action.do === "snooze") await this.#act(name, action.do);
    await this.#world.incidents.check();
  }

  /** While the clock is set back to before it, a silence has not begun. */
  #isSilenced(name: string): boolean {
    return (this.#silences.get(name)?.since ?? Number.POSITIVE_INFINITY) <= this.#world.clock.now();
  }

  /** Nothing is sent after it until time passes or an alert joins. */
  async #act(name: string, kind: "ack" | "snooze"): Promise<void> {
    const open = await this.#open(name);
    if (!open) return;
    const { prism } = this.#world;
    const path = `/api/v1/incidents/${open.id}`;
    const reply =
      kind === "ack"
        ? await prism.post(`${path}/acknowledge`, {})
        : await prism.post(`${path}/snooze`, { durationMs: 10 * MINUTE });
    assert.ok(reply.status < 300, reply.text);
  }

  async #rows() {
    return (await this.#world.rows()).filter(({ title }) => title.startsWith(this.#prefix));
  }

  async #open(name: string) {
    return (await this.#rows()).find(({ title, state }) => title === name && state !== "resolved");
  }

  async #notified(incidentId: string): Promise<number> {
    return (await this.#notifications(incidentId)).length;
  }

  #notifications(incidentId: string) {
    return this.#world.db.read
      .selectFrom("notifications as n")
      .innerJoin("notification_recipients as r", "r.notificationId", "n.id")
      .select(["n.dedupeKey", "n.data", "r.userId"])
      .where("n.incidentId", "=", incidentId)
      .execute();
  }

  /** What must be true at every moment. */
  async #check(): Promise<void> {
    const live = this.#world.prism.parts.offers.alerts
      .list(this.#world.projectId, () => true)
      .map((alert) => alert.label("alertname"))
      .filter((name) => name.startsWith(this.#prefix));
    assert.deepEqual(live.sort(), [...this.#firing].sort(), "the alerts that fire");
    const events = (await this.#events()).filter((key) => key.includes(this.#prefix));
    assert.deepEqual(
      [events.filter((each) => each.startsWith("alert.opened")).length, events.length],
      [this.#opened, this.#opened + this.#resolved],
      "one event for each transition",
    );
    for (const { id, title, state } of await this.#rows()) {
      const sent = (await this.#notifications(id)).map(({ data, ...each }) => ({
        ...each,
        isEnd: (JSON.parse(data ?? "{}") as { reason: string }).reason === "resolved",
      }));
      const users = (isEnd: boolean): string[] =>
        sent.filter((each) => each.isEnd === isEnd).map(({ userId }) => userId);
      const told = [...new Set(users(false))].sort();
      assert.deepEqual(users(true).sort(), state === "resolved" ? told : [], `${title}: one end for each recipient`);
      const keys = sent.map(({ dedupeKey, userId }) => `${dedupeKey} ${userId}`);
      assert.equal(new Set(keys).size, keys.length, `${title}: no notification twice`);
      await this.#checkSteps(id, title);
    }
  }

  /** Between two restarts of the steps each notifies once, and none while acknowledged. */
  async #checkSteps(incidentId: string, title: string): Promise<void> {
    const rows = await this.#world.db.read
      .selectFrom("incident_log")
      .select(["kind", "data"])
      .where("incidentId", "=", incidentId)
      .orderBy("seq")
      .execute();
    const seen = new Set<number>();
    let isAcknowledged = false;
    for (const { kind, data } of rows) {
      const { reason, step } = JSON.parse(data) as { reason?: string; step?: number };
      if (kind === "acknowledged") isAcknowledged = true;
      if (kind === "snooze-ended") {
        seen.clear();
        isAcknowledged = false;
      }
      if (kind !== "notified" || reason !== "step" || step === undefined) continue;
      assert.ok(!isAcknowledged && !seen.has(step), `${title}: step ${step} once, not while acknowledged`);
      seen.add(step);
    }
  }

  async #events(): Promise<string[]> {
    const rows = await this.#world.db.read
      .selectFrom("events")
      .select(["type", "payload"])
      .where("type", "in", ["alert.opened", "alert.resolved"])
      .execute();
    return rows.map(({ type, payload }) => `${type} ${(JSON.parse(payload) as { key: string }).key}`);
  }
}
