import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import SqliteDatabase from "better-sqlite3";
import { chanceOf, type Random } from "../helpers/chance.ts";
import { eventually } from "../helpers/eventually.ts";
import { PrismBinary } from "./prism-binary.ts";

/** `npm run test:kills` kills a hundred times. */
const KILLS = Number(process.env["PRISM_TEST_KILLS"] ?? 6);
/** Connections of a burst, which moves the writer to its thread; some requests have many events. */
const BURST = 64;
const BURST_MS = 250;
const [FEW, MANY] = [2, 25];
/** One connection brings it back in some seconds, on a busy machine in more. */
const BACK_MS = 100_000;
const LOOK_MS = 50;
const TO_THREAD = "moved the writer to a thread of its own";
const TO_MAIN = "moved the writer back to the main thread";

interface Outgoing {
  readonly id: string;
  readonly type: string;
}

/**
 * One client that sends all the time, and many that do for a moment now and then. What was not
 * acknowledged is sent again under the same id or key.
 */
class Clients {
  readonly acknowledged = new Set<string>();
  readonly due = new Set<string>();
  readonly tasks = new Set<string>();
  readonly refused: string[] = [];
  readonly #unsure: Outgoing[] = [];
  readonly #unsureTasks: string[] = [];
  #events = 0;
  #isDown = false;
  /** The writer is in its thread, as the log says. */
  #isInThread = false;

  /** @returns when the server no longer answers */
  async sendUntilDown(prism: PrismBinary): Promise<void> {
    this.#isDown = false;
    this.#isInThread = false;
    await Promise.all([this.#alone(prism), this.#inBursts(prism), this.#watch(prism)]);
  }

  async #watch(prism: PrismBinary): Promise<void> {
    for (; !this.#isDown; await wait(LOOK_MS)) {
      const { output } = prism;
      this.#isInThread = output.lastIndexOf(TO_THREAD) > output.lastIndexOf(TO_MAIN);
    }
  }

  async #alone(prism: PrismBinary): Promise<void> {
    for (let i = 0; !this.#isDown; i++) await (i % 8 === 7 ? this.#sendTask(prism) : this.#sendEvents(prism, 1));
  }

  async #inBursts(prism: PrismBinary): Promise<void> {
    while (!this.#isDown) {
      const endsAt = Date.now() + BURST_MS;
      const isOver = (): boolean => this.#isDown || (Date.now() > endsAt && this.#isInThread);
      const client = async (_: unknown, at: number): Promise<void> => {
        for (let i = at; !isOver(); i++) await this.#sendEvents(prism, i % 4 === 0 ? MANY : FEW);
      };
      await Promise.all(Array.from({ length: BURST }, client));
      while (!this.#isDown && this.#isInThread) await wait(LOOK_MS);
    }
  }

  async #sendEvents(prism: PrismBinary, count: number): Promise<void> {
    const batch = this.#unsure.splice(0, count);
    while (batch.length < count) {
      const event = { id: randomUUID(), type: this.#events++ % 9 === 0 ? "crash.due" : "crash.other" };
      if (event.type === "crash.due") this.due.add(event.id);
      batch.push(event);
    }
    try {
      const { status, body } = await prism.call<{ rejected?: number }>("POST", "/ingest", batch);
      if (status !== 202 || (body.rejected ?? 0) > 0) this.refused.push(`${status} ${JSON.stringify(body)}`);
      else for (const { id } of batch) this.acknowledged.add(id);
    } catch {
      this.#unsure.push(...batch);
      this.#isDown = true;
    }
  }

  async #sendTask(prism: PrismBinary): Promise<void> {
    const title = this.#unsureTasks.pop() ?? randomUUID();
    try {
      const reply = await fetch(`${prism.url}/api/v1/tasks`, {
        method: "POST",
        headers: {
          Authorization: `Bearer ${prism.token}`,
          "Content-Type": "application/json",
          "Idempotency-Key": title,
        },
        body: JSON.stringify({ title }),
      });
      const text = await reply.text();
      if (reply.ok) this.tasks.add(title);
      else this.refused.push(`${reply.status} ${text}`);
    } catch {
      this.#unsureTasks.push(title);
      this.#isDown = true;
    }
  }
}

/** Before, while and after the writer moves in either direction. */
async function untilKill(prism: PrismBinary, kill: number, random: Random): Promise<void> {
  const says = (text: string) => eventually(text, () => prism.output.includes(text), BACK_MS);
  const kinds = [
    () => wait(random.integer(0, 200)),
    () => says(TO_THREAD).then(() => wait(random.integer(0, 100))),
    () => says(TO_THREAD).then(() => wait(random.integer(1900, 4300))),
    () => says(TO_MAIN).then(() => wait(random.integer(0, 300))),
  ];
  await kinds[kill % kinds.length]?.();
}

test(`killed ${KILLS} times while the writer moves between the threads: nothing acknowledged is lost, nothing doubled`, async (t) => {
  const random = chanceOf(t);
  const prism = new PrismBinary(t, { env: { PRISM_RATE_LIMIT_ENABLED: "false", PRISM_LOG_LEVEL: "debug" } });
  const clients = new Clients();
  const moves = { [TO_THREAD]: 0, [TO_MAIN]: 0 };
  for (let kill = 0; kill < KILLS; kill++) {
    await prism.start();
    if (kill === 0) {
      const rule = { name: "due", condition: "event.type == 'crash.due'", targetUsers: ["me"] };
      assert.equal((await prism.call("POST", "/api/v1/rules", rule)).status, 201);
    }
    const load = clients.sendUntilDown(prism);
    await untilKill(prism, kill, random);
    await prism.kill();
    await load;
    for (const text of [TO_THREAD, TO_MAIN] as const) moves[text] += prism.output.split(text).length - 1;
  }
  assert.deepEqual(clients.refused, []);

  await prism.start();
  const file = join(prism.dir, "data/prism.db");
  await eventually("all events have been decided", () => column(file, UNDECIDED).length === 0);
  const { body } = await prism.call<{ ok: boolean }>("GET", "/api/v1/audit/verify");
  assert.equal(body.ok, true, "the audit chain verifies");
  assert.equal(await prism.stop(), 0);
  t.diagnostic(
    `${clients.acknowledged.size} events and ${clients.tasks.size} tasks acknowledged; ` +
      `${moves[TO_THREAD]} times to the thread, ${moves[TO_MAIN]} times back`,
  );
  assert.ok(moves[TO_THREAD] > 0 && moves[TO_MAIN] > 0, "the writer moved in both directions");
  checkAllOnce(column(file, "select id from events"), clients.acknowledged);
  checkAllOnce(column(file, "select title from tasks"), clients.tasks);
  const stored = new Set(column(file, "select id from events"));
  assert.deepEqual(
    column(file, "select eventId from notifications where eventId is not null").sort(),
    [...clients.due].filter((id) => stored.has(id)).sort(),
    "each event that is due has notified once",
  );
  assert.deepEqual(column(file, "pragma integrity_check"), ["ok"]);
});

const UNDECIDED = "select id from events where processedAt is null";

/** @param stored may have more: what was stored, and its answer was cut off */
function checkAllOnce(stored: readonly string[], acknowledged: ReadonlySet<string>): void {
  const ids = new Set(stored);
  assert.equal(ids.size, stored.length, "none doubled");
  assert.deepEqual(
    [...acknowledged].filter((id) => !ids.has(id)),
    [],
    "none lost",
  );
}

function column(file: string, sql: string): string[] {
  const db = new SqliteDatabase(file, { readonly: true });
  try {
    return db.prepare<[], string>(sql).pluck().all();
  } finally {
    db.close();
  }
}
