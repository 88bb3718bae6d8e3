import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { chanceOf } from "../helpers/chance.ts";
import { eventually } from "../helpers/eventually.ts";
import { PrismBinary } from "./prism-binary.ts";

const KILLS = process.env["TEST_ALL_RUNS"] ? 50 : 20;
const CLIENTS = 6;

interface Outgoing {
  readonly id: string;
  readonly type: string;
  readonly payload: { readonly n: number };
}

/** One event in three fires. */
function isDue(n: number): boolean {
  return n % 3 === 0;
}

/**
 * Producers that send on through every crash, as a careful one does: what was not acknowledged is
 * sent again under the same id.
 */
class Producers {
  readonly acknowledged = new Set<string>();
  readonly unsure: Outgoing[] = [];
  readonly #numbers = new Map<string, number>();
  #next = 0;
  readonly refused: string[] = [];

  async sendUntilDown(prism: PrismBinary): Promise<void> {
    await Promise.all(Array.from({ length: CLIENTS }, (_, client) => this.#client(prism, client)));
  }

  numberOf(id: string): number {
    return this.#numbers.get(id) ?? -1;
  }

  get sent(): number {
    return this.#numbers.size;
  }

  async #client(prism: PrismBinary, client: number): Promise<void> {
    for (;;) {
      const batch = this.#batch(client % 3 === 0 ? 1 : client * 4);
      try {
        const body = client % 2 === 0 ? batch : batch.map((event) => JSON.stringify(event)).join("\n");
        const single = batch.length === 1 && client % 2 === 0;
        const { status, body: reply } = await prism.call<{ rejected?: number }>(
          "POST",
          "/ingest",
          single ? batch[0] : body,
          client % 2 === 0 ? "application/json" : "application/x-ndjson",
        );
        if (status !== 202 || (reply.rejected ?? 0) > 0)
          this.refused.push(`${status} ${JSON.stringify(reply).slice(0, 200)}`);
        else for (const { id } of batch) this.acknowledged.add(id);
      } catch {
        this.unsure.push(...batch);
        return;
      }
    }
  }

  #batch(size: number): Outgoing[] {
    const again = this.unsure.splice(0, size);
    const fresh = Array.from({ length: size - again.length }, (): Outgoing => {
      const n = this.#next++;
      const event = { id: randomUUID(), type: isDue(n) ? "crash.due" : "crash.other", payload: { n } };
      this.#numbers.set(event.id, n);
      return event;
    });
    return [...again, ...fresh];
  }
}

test(`killed ${KILLS} times under load: no acknowledged event is lost, none doubled, no notification missing or doubled`, async (t) => {
  const random = chanceOf(t);
  const prism = new PrismBinary(t, {
    env: { PRISM_RATE_LIMIT_ENABLED: "false", PRISM_SUPPRESSION_ENFORCE_DEFAULT: "false" },
  });
  const producers = new Producers();
  for (let kill = 0; kill <= KILLS || producers.acknowledged.size <= KILLS; kill++) {
    await prism.start();
    if (kill === 0) await makeRule(prism);
    const load = producers.sendUntilDown(prism);
    // Any moment between the first request and some hundred commits.
    await new Promise((resolve) => setTimeout(resolve, random.integer(0, 150)));
    await prism.kill();
    await load;
  }
  assert.deepEqual(producers.refused, []);

  // A last start settles what the last crash left; then the files speak for themselves.
  await prism.start();
  await eventually("all events have been decided", () => countUndecided(prism) === 0);
  assert.equal(await prism.stop(), 0);
  const db = new SqliteDatabase(join(prism.dir, "data/prism.db"), { readonly: true });
  t.after(() => db.close());
  const stored = db
    .prepare<[], { id: string; seq: number; processedAt: number | null }>("select id, seq, processedAt from events")
    .all();
  const ids = new Set(stored.map(({ id }) => id));
  assert.equal(ids.size, stored.length, "none doubled");
  assert.ok(
    producers.acknowledged.size > KILLS,
    `there was load: ${producers.acknowledged.size} acknowledged of ${producers.sent}`,
  );
  assert.deepEqual(
    [...producers.acknowledged].filter((id) => !ids.has(id)),
    [],
    "none lost",
  );
  assert.deepEqual(
    stored.filter(({ processedAt }) => processedAt === null),
    [],
    "every event has been decided",
  );

  const notified = db
    .prepare<[], { eventId: string; n: number; recipients: number }>(
      `select n.eventId, count(*) as n, (select count(*) from notification_recipients r where r.notificationId = n.id) as recipients
       from notifications n group by n.eventId`,
    )
    .all();
  assert.deepEqual(
    notified.filter(({ n, recipients }) => n !== 1 || recipients !== 1),
    [],
    "no notification doubled or without recipient",
  );
  const due = stored.filter(({ id }) => isDue(producers.numberOf(id))).map(({ id }) => id);
  assert.deepEqual(notified.map(({ eventId }) => eventId).sort(), due.sort(), "none missing");
  const offsets = db
    .prepare<[], { n: number; d: number }>(
      "select count(*) as n, count(distinct seq) as d from notification_recipients",
    )
    .get();
  assert.equal(offsets?.n, offsets?.d, "no offset was given twice");
  assert.equal(db.pragma("integrity_check", { simple: true }), "ok");
});

function countUndecided({ dir }: PrismBinary): number | undefined {
  const db = new SqliteDatabase(join(dir, "data/prism.db"), { readonly: true });
  try {
    return db.prepare<[], number>("select count(*) from events where processedAt is null").pluck().get();
  } finally {
    db.close();
  }
}

async function makeRule(prism: PrismBinary): Promise<void> {
  const rule = { name: "due", condition: "event.type == 'crash.due'", targetUsers: ["me"] };
  const { status } = await prism.call("POST", "/api/v1/rules", rule);
  assert.equal(status, 201);
}
