import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { type Change, change, eachLeavesItsRecord } from "./support/recorded-changes.ts";

const DAY_MS = 86_400_000;
const api = (path: string) => `/api/v1${path}`;

async function world(t: TestContext) {
  const prism = await startPrism(t);
  prism.parts.offers.runner.handle("test", async () => undefined);
  return { prism };
}

type World = Awaited<ReturnType<typeof world>>;

/** @param kind `unknown` has no handler: such a job dies at once. */
async function makeJob({ prism }: World, kind: "test" | "unknown", delayMs: number): Promise<string> {
  const { jobs } = prism.parts.offers;
  const { clock } = prism.parts.base;
  return (await jobs.enqueue({ queue: "digest", kind, payload: {}, runAt: clock.now() + delayMs })).jobId;
}

const waiting = (world: World) => makeJob(world, "test", DAY_MS);

async function cancelled(world: World): Promise<string> {
  const id = await waiting(world);
  await world.prism.post(api(`/jobs/${id}/cancel`));
  return id;
}

async function dead(world: World): Promise<string> {
  const id = await makeJob(world, "unknown", 0);
  const deadOnes = () => rowsOf(world.prism, "select 1 from jobs where id = ? and state = 'dead'", id);
  await eventually("it is dead", () => deadOnes().length === 1);
  return id;
}

/** In an order in which each finds what it needs. */
const CHANGES: readonly Change<World>[] = [
  change({
    action: "job.cancel",
    resourceType: "job",
    prepare: waiting,
    run: ({ prism }: World, id) => prism.post(api(`/jobs/${id}/cancel`)),
  }),
  change({
    action: "job.retry",
    resourceType: "job",
    prepare: cancelled,
    run: ({ prism }: World, id) => prism.post(api(`/jobs/${id}/retry`)),
  }),
  change({
    action: "job.promote",
    resourceType: "job",
    prepare: waiting,
    run: ({ prism }: World, id) => prism.post(api(`/jobs/${id}/promote`)),
  }),
  change({
    action: "job.delete",
    resourceType: "job",
    prepare: dead,
    run: ({ prism }: World, id) => prism.delete(api(`/jobs/${id}`)),
  }),
  change({
    action: "job.requeue_dead",
    resourceType: "queue",
    prepare: dead,
    run: ({ prism }: World) => prism.post(api("/queues/digest/requeue-dead")),
  }),
  change({
    action: "job.drain",
    resourceType: "queue",
    prepare: waiting,
    run: ({ prism }: World) => prism.post(api("/queues/digest/drain")),
  }),
  {
    action: "job.pause",
    resourceType: "queue",
    run: ({ prism }) => prism.post(api("/queues/digest/pause")),
  },
  {
    action: "job.resume",
    resourceType: "queue",
    run: ({ prism }) => prism.post(api("/queues/digest/resume")),
  },
];

test("S2-55 what operators do to jobs and queues leaves its record in the transaction of the change", async (t) => {
  await eachLeavesItsRecord(t, await world(t), CHANGES);
});

test("the record says who did it and to what, and nothing of what the job is about", async (t) => {
  const { prism } = await world(t);
  const { jobs } = prism.parts.offers;
  const { clock } = prism.parts.base;
  const { devUserId } = prism.parts.offers;
  const { jobId } = await jobs.enqueue({
    queue: "digest",
    kind: "test",
    payload: { mail: "carla@example.org" },
    label: "for Carla",
    runAt: clock.now() + DAY_MS,
  });
  await prism.post(api(`/jobs/${jobId}/cancel`));
  const [row] = rowsOf<Record<string, unknown>>(prism, "select * from audit_log where action = 'job.cancel'");
  assert.deepEqual(
    [row?.["userId"], row?.["resourceType"], row?.["resourceId"], JSON.parse(String(row?.["metadata"]))],
    [devUserId, "job", jobId, { queue: "digest", kind: "test", from: "scheduled" }],
  );
});
