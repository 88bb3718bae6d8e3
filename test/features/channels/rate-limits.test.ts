import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import type { DeliveryItem as Line } from "../../../src/client/api-types.gen.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeUser } from "../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { httpServer } from "./presets/http.ts";
import { type Reply, type StandIn, startStandIn } from "./support/stand-in.ts";

/** A fraction, as elapsed time has on every real machine. */
const TICK_MS = 0.37;

interface World {
  readonly prism: TestPrism;
  readonly clock: FakeClock;
  readonly ann: Awaited<ReturnType<typeof makeUser>>;
  readonly service: StandIn;
}

async function open(t: TestContext, tickMs = TICK_MS): Promise<World> {
  const clock = new FakeClock(Date.now(), { tickMs });
  const settings = {
    ...{ "webhooks.allowPrivateCidrs": "127.0.0.0/8", "rateLimit.enabled": "false" },
    ...{
      "auth.accessExpires": "86400000",
      "delivery.perUser": "10000",
      "delivery.perUserBurst": "10000",
      "delivery.global": "100000",
    },
  };
  const prism = await startPrism(t, { clock, settings });
  const ann = await makeUser(prism, "ann", ["User"]);
  return { prism, clock, ann, service: await startStandIn(t, httpServer()) };
}

async function makeChannel({ prism, ann, service }: World): Promise<string> {
  const body = { name: "Pager", preset: "http", fields: service.service.fields(service.url) };
  const made = await answered(201, prism.post<{ id: string }>("/api/v1/channels", body, { token: ann.token }));
  return made.body.id;
}

async function notify({ prism, ann }: World, title: string): Promise<void> {
  await answered(201, prism.post("/api/v1/notifications", { recipients: [ann.id], title, message: "db-1" }));
}

function linesOf({ prism }: World, channelId: string): Line[] {
  const columns = "d.state, d.reason, j.attempts, coalesce(j.lastError, d.lastError) as lastError";
  const from = "deliveries d join jobs j on j.id = d.jobId where d.channel = 'service' and d.target = ?";
  return rowsOf<Line>(prism, `select ${columns} from ${from}`, channelId);
}

/** Lets time pass until every delivery has ended; a wait of the service is an hour at most here. */
async function drain(world: World, channelId: string, count: number, stepMs = 10_007): Promise<Line[]> {
  const isOver = ({ state }: Line): boolean => state === "delivered" || state === "dead";
  return eventually(
    () => JSON.stringify(linesOf(world, channelId).slice(0, 3)),
    () => {
      const lines = linesOf(world, channelId);
      if (lines.length === count && lines.every(isOver)) return lines;
      world.clock.advance(stepMs);
      world.prism.parts.offers.runner.reload();
      return null;
    },
  );
}

const busy = (seconds: number): Reply => ({ status: 429, headers: { "Retry-After": String(seconds) } });

for (const { seconds, count } of [
  { seconds: 60, count: 10 },
  { seconds: 300, count: 30 },
])
  test(`a service that answers 429 with Retry-After ${seconds} gets all ${count} messages, each by its first attempt`, async (t) => {
    const world = await open(t);
    const id = await makeChannel(world);
    world.service.next.push(busy(seconds));
    for (let n = 0; n < count; n++) await notify(world, `n${n}`);
    for (const { state, attempts } of await drain(world, id, count))
      assert.deepEqual([state, attempts], ["delivered", 1]);
    assert.equal(world.service.seen.length, count);
  });

test("messages that wait for their turn hold no worker, and each has a time of its own", async (t) => {
  // Both times stand still: due times differ by the turns alone.
  const world = await open(t, 0);
  const id = await makeChannel(world);
  const count = 80;
  for (let n = 0; n < count; n++) await notify(world, `n${n}`);
  const waiting = await eventually("all but the burst wait in the table", () => {
    const jobs = rowsOf<{ state: string; runAt: number; reason: string | null }>(
      world.prism,
      "select j.state, j.runAt, d.reason from deliveries d join jobs j on j.id = d.jobId where d.channel = 'service'",
    );
    const left = jobs.filter(({ state }) => state !== "succeeded");
    const isWaiting = left.every(({ state, reason }) => state === "scheduled" && reason === "asked to wait");
    return jobs.length === count && isWaiting ? left : null;
  });
  assert.ok(waiting.length > 10, `${waiting.length} wait`);
  assert.equal(new Set(waiting.map(({ runAt }) => runAt)).size, waiting.length);
  for (const { state, attempts } of await drain(world, id, count, 211))
    assert.deepEqual([state, attempts], ["delivered", 1]);
  assert.equal(world.service.seen.length, count);
});

test("whatever a service answers, each message arrives once, no write fails and only real failures cost an attempt", async (t) => {
  const world = await open(t);
  const answer = fc.oneof(
    fc.integer({ min: 0, max: 40 }).map(busy),
    fc.constant<Reply>({ status: 503, headers: { "Retry-After": "7" } }),
    fc.constant<Reply>({ status: 204 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(answer, { maxLength: 12 }), fc.integer({ min: 1, max: 15 }), async (answers, count) => {
      const id = await makeChannel(world);
      world.service.next.splice(0, 99, ...answers);
      for (let n = 0; n < count; n++) await notify(world, `n${n}`);
      for (const { state, attempts, lastError } of await drain(world, id, count))
        assert.deepEqual([state, attempts, lastError], ["delivered", 1, null]);
      await world.prism.delete(`/api/v1/channels/${id}`, { token: world.ann.token });
    }),
    { numRuns: 20 },
  );
});
