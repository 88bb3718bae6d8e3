import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import test from "node:test";
import type { Heartbeats } from "../../../src/features/heartbeats/heartbeats.ts";
import { newHeartbeat } from "../../../src/features/heartbeats/heartbeats.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { startPrism, TestPrism } from "../../helpers/prism.ts";

const PATH = "/api/v1/heartbeats";
const HOUR_MS = 3_600_000;
const COUNT = 3000;

/** Rows of heartbeats that were pinged at `now`. */
async function fill(prism: TestPrism, count: number, now: number): Promise<void> {
  const { parts } = prism;
  const { database } = parts.base;
  const { defaultProjectId } = parts.offers;
  for (let at = 0; at < count; at += 500)
    await database.write(async (trx) => {
      const rows = Array.from({ length: Math.min(count - at, 500) }, (_, i) => {
        const name = `h${at + i}`;
        const plan = { timeoutMs: HOUR_MS, graceMs: 600_000, status: "up", lastPingAt: now } as const;
        const made = newHeartbeat(heartbeatsOf(prism).ids, defaultProjectId, { name, slug: name }, now);
        return { ...made, ...plan, dueAt: now + HOUR_MS + 600_000 };
      });
      await trx.insertInto("heartbeats").values(rows).execute();
    });
}

async function statuses({ parts }: TestPrism): Promise<Record<string, number>> {
  const { database } = parts.base;
  const rows = await database.scan.selectFrom("heartbeats").select("status").execute();
  const counts: Record<string, number> = {};
  for (const { status } of rows) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

const heartbeatsOf = ({ parts }: TestPrism): Heartbeats => parts.offers.heartbeats;

test("3000 heartbeats are watched after a restart, and a down time of the server does not make them late at once", async (t) => {
  const clock = new FakeClock();
  const prism = await TestPrism.start({ clock });
  t.after(async () => {
    await prism.stop();
    rmSync(prism.dir, { recursive: true, force: true });
  });
  await fill(prism, COUNT, clock.now());
  await prism.restart();
  assert.equal(heartbeatsOf(prism).watched, COUNT);
  await prism.stop();
  clock.advance(5 * HOUR_MS);
  await prism.restart();
  assert.equal(heartbeatsOf(prism).watched, COUNT);
  clock.advance(590_000);
  await heartbeatsOf(prism).due.check();
  assert.deepEqual(await statuses(prism), { up: COUNT });
  clock.advance(20_000);
  // A check that a slow disk interrupts is repeated.
  await eventually("all are down", async () => {
    await heartbeatsOf(prism).due.check();
    return (await statuses(prism))["down"] === COUNT;
  });
  assert.deepEqual(await statuses(prism), { down: COUNT });
  assert.equal(heartbeatsOf(prism).watched, 0);
});

test("after a down time heartbeats are not shown as down before they go down", async (t) => {
  const clock = new FakeClock();
  const prism = await TestPrism.start({ clock });
  t.after(async () => {
    await prism.stop();
    rmSync(prism.dir, { recursive: true, force: true });
  });
  await fill(prism, 3, clock.now());
  await prism.restart();
  await prism.stop();
  clock.advance(5 * HOUR_MS);
  await prism.restart();
  const { body: project } = await prism.get<{ data: { id: string }[] }>("/api/v1/projects");
  const projectId = project.data[0]?.id ?? "";
  const key = await prism.post<{ key: string }>(`/api/v1/projects/${projectId}/keys`, {
    name: "metrics",
    scopes: ["events:read"],
  });
  const seen = async () => {
    const all = await prism.get<{ data: { status: string }[] }>(PATH);
    const inGrace = await prism.get<{ data: unknown[] }>(`${PATH}?status=grace`);
    const metrics = await prism.get(`/projects/${projectId}/metrics/${key.body.key}`, { token: null });
    return [
      ...new Set(all.body.data.map(({ status }) => status)),
      inGrace.body.data.length,
      metrics.text.split("\n").filter((line) => /^hc_check_up\{.* 1$/.test(line)).length,
    ];
  };
  assert.deepEqual(await seen(), ["grace", 3, 3]);
  clock.advance(601_000);
  await eventually("all are down", async () => {
    await heartbeatsOf(prism).due.check();
    return (await statuses(prism))["down"] === 3;
  });
  assert.deepEqual(await seen(), ["down", 0, 0]);
});

test("a kill right after the first ping leaves the time of the last watch, so the next start gives the grace time", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { body } = await prism.post<{ pingUrl: string }>(PATH, { name: "first", timeoutMs: 60_000, graceMs: 60_000 });
  assert.equal((await fetch(prism.url + new URL(body.pingUrl).pathname)).status, 200);
  const { database } = prism.parts.base;
  const noted = await database.read
    .selectFrom("settings")
    .select("value")
    .where("key", "=", "heartbeats.aliveAt")
    .executeTakeFirst();
  assert.equal(Number(noted?.value), clock.now());
});

test("a clock that jumps forward makes no heartbeat late at once, and one that is set back loses none", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  await fill(prism, 3, clock.now());
  await prism.restart();
  clock.set(24 * HOUR_MS);
  await heartbeatsOf(prism).due.check();
  assert.deepEqual(await statuses(prism), { up: 3 });
  clock.set(-48 * HOUR_MS);
  await heartbeatsOf(prism).due.check();
  clock.advance(601_000);
  await heartbeatsOf(prism).due.check();
  assert.deepEqual(await statuses(prism), { down: 3 });
});

test("pings above the limit of one heartbeat are refused with 429, while others from that address are accepted", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: { "rateLimit.enabled": "true", "rateLimit.ip": "50" } });
  const [first, second] = await Promise.all(
    ["a", "b"].map(async (name) => {
      const { body } = await prism.post<{ pingUrl: string }>(PATH, { name });
      return new URL(body.pingUrl).pathname;
    }),
  );
  const ping = async (path = ""): Promise<number> => (await fetch(prism.url + path)).status;
  for (let n = 0; n < 300; n++) assert.equal(await ping(first), 200);
  assert.equal(await ping(first), 429);
  assert.equal(await ping(second), 200);
  const unknown = "/ping/11111111-2222-4333-8444-555555555555";
  await eventually("guesses are limited by address", async () => (await ping(unknown)) === 429);
  assert.equal(await ping(second), 200);
});
