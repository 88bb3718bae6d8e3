import assert from "node:assert/strict";
import { test } from "node:test";
import { startPrism } from "../../helpers/prism.ts";

interface Heartbeat {
  readonly id: string;
  readonly status: string;
  readonly pingUrl: string;
  readonly pingCount: number;
  readonly isStarted: boolean;
}

const UNKNOWN = "11111111-2222-4333-8444-555555555555";

test("pings at the same time all count, each heartbeat by its own, in the order of their arrival", async (t) => {
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false" } });
  const { reader } = prism.parts.core;
  const create = async (name: string): Promise<Heartbeat> =>
    (await prism.post<Heartbeat>("/api/v1/heartbeats", { name, timeoutMs: 3_600_000, graceMs: 3_600_000 })).body;
  const [one, two] = [await create("one"), await create("two")];
  const get = async ({ id }: Heartbeat) => (await prism.get<Heartbeat>(`/api/v1/heartbeats/${id}`)).body;
  const ping = async (path: string): Promise<number> => (await fetch(prism.url + path, { method: "POST" })).status;
  const [pathOne = "", pathTwo = ""] = [one, two].map(({ pingUrl }) => new URL(pingUrl).pathname);

  const statuses = await Promise.all([
    ...Array.from({ length: 30 }, (_, n) => ping(n % 3 === 0 ? `${pathOne}/start` : pathOne)),
    ...Array.from({ length: 20 }, () => ping(pathTwo)),
    ping(`/ping/${UNKNOWN}`),
  ]);
  assert.deepEqual(statuses, [...Array<number>(50).fill(200), 404]);
  const [first, second] = [await get(one), await get(two)];
  assert.deepEqual([first.pingCount, second.pingCount, first.status, second.status], [30, 20, "up", "up"]);
  const numbers = reader
    .prepare<[string], number>("select n from heartbeat_pings where heartbeatId = ? order by n")
    .pluck();
  assert.deepEqual(
    numbers.all(one.id),
    Array.from({ length: 30 }, (_, i) => i + 1),
  );
  const flips = reader.prepare<[string], number>("select count(*) from heartbeat_flips where heartbeatId = ?").pluck();
  assert.deepEqual([flips.get(one.id), flips.get(two.id)], [1, 1], "only the first success is a change");

  const mixed = await Promise.all([ping(pathTwo), ping(`${pathTwo}/fail`), ping(pathOne), ping(`${pathTwo}/log`)]);
  assert.deepEqual(mixed, [200, 200, 200, 200]);
  assert.deepEqual([(await get(two)).pingCount, (await get(one)).pingCount], [23, 31]);
  assert.equal(await ping(`${pathTwo}/fail`), 200);
  assert.equal((await get(two)).status, "down");
  assert.equal(await ping(pathTwo), 200);
  const after = await get(two);
  assert.deepEqual([after.status, after.pingCount], ["up", 25]);
});
