import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { chanceOf } from "../helpers/chance.ts";
import { PrismBinary } from "./prism-binary.ts";

const KILLS = 8;
const SENDERS = 6;

interface Delivery {
  readonly id: string;
  isAnswered: boolean;
}

test(`killed ${KILLS} times between requests and answers: each delivery is stored once, with its alert and log`, async (t) => {
  const random = chanceOf(t);
  const prism = new PrismBinary(t, { env: { PRISM_RATE_LIMIT_ENABLED: "false" } });
  const deliveries: Delivery[] = [];
  let path = "";
  let number = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    await prism.start();
    if (path === "") path = await makeReceiver(prism);
    // What had no answer is repeated, as senders do.
    for (const each of deliveries.filter(({ isAnswered }) => !isAnswered)) await deliver(prism, path, each);
    const senders = Array.from({ length: SENDERS }, async () => {
      for (;;) {
        const delivery: Delivery = { id: `d${number++}`, isAnswered: false };
        deliveries.push(delivery);
        if (!(await deliver(prism, path, delivery))) return;
      }
    });
    await new Promise((resolve) => setTimeout(resolve, random.integer(30, 250)));
    await prism.kill();
    await Promise.all(senders);
  }
  await prism.start();
  for (const each of deliveries.filter(({ isAnswered }) => !isAnswered)) assert.ok(await deliver(prism, path, each));
  assert.equal(await prism.stop(), 0);
  const database = new SqliteDatabase(join(prism.dir, "data/prism.db"), { readonly: true });
  t.after(() => database.close());
  const ids = deliveries.map(({ id }) => id).sort();
  const column = (sql: string): unknown[] =>
    database
      .prepare<[], Record<string, unknown>>(sql)
      .all()
      .map(({ v }) => v);
  assert.deepEqual(
    column("select json_extract(payload, '$.key') as v from events where type = 'message' order by v"),
    ids,
    "each delivery is one event",
  );
  assert.deepEqual(
    column("select substr(key, instr(key, ':d') + 1) as v from alerts where source = 'receiver' order by v"),
    ids,
    "and one alert",
  );
  assert.deepEqual(column("select substr(replayId, 7) as v from receiver_replays order by v"), ids);
  const [accepted] = column("select count(*) as v from receiver_requests where result = 'accepted'");
  assert.ok(Number(accepted) > 0 && Number(accepted) <= 100, String(accepted));
  t.diagnostic(`${ids.length} deliveries`);
});

async function makeReceiver(prism: PrismBinary): Promise<string> {
  const body = { name: "Crash", preset: "generic" };
  const made = await prism.call<{ url: string }>("POST", "/api/v1/receivers", body);
  assert.equal(made.status, 201);
  return new URL(made.body.url).pathname;
}

/** @returns whether there was an answer */
async function deliver(prism: PrismBinary, path: string, delivery: Delivery): Promise<boolean> {
  const body = JSON.stringify({ title: delivery.id, key: delivery.id, status: "firing" });
  const headers = { "Content-Type": "application/json", "Idempotency-Key": delivery.id };
  try {
    const reply = await fetch(`${prism.url}${path}`, { method: "POST", headers, body });
    assert.equal(reply.status, 200, await reply.text());
    delivery.isAnswered = true;
    return true;
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    return false;
  }
}
