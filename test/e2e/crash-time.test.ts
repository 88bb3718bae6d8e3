import assert from "node:assert/strict";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import SqliteDatabase, { type Database as Sqlite } from "better-sqlite3";
import { chanceOf } from "../helpers/chance.ts";
import { eventually } from "../helpers/eventually.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { PrismBinary } from "./prism-binary.ts";

const KILLS = process.env["TEST_ALL_RUNS"] ? 30 : 12;
const MAX_DELAY_MS = 400;
const CLIENTS = 4;
const SCHEDULE = "every second";

/** What was asked for and acknowledged, by what it is to be found under. */
class Asked {
  readonly notified: string[] = [];
  readonly events: string[] = [];
  readonly channel: string[] = [];
  readonly messages: string[] = [];
  readonly scheduled: string[] = [];
  readonly refused: string[] = [];
  #next = 0;

  async untilDown(prism: PrismBinary, recipientId: string): Promise<void> {
    await Promise.all(Array.from({ length: CLIENTS }, () => this.#client(prism, recipientId)));
  }

  async #client(prism: PrismBinary, recipientId: string): Promise<void> {
    try {
      for (;;) await this.#ask(prism, recipientId, this.#next++);
    } catch {
      // The server is gone.
    }
  }

  async #ask(prism: PrismBinary, recipientId: string, n: number): Promise<void> {
    const name = `crash.${n}`;
    const delayMs = Math.floor(Math.random() * MAX_DELAY_MS);
    const timer = (action: unknown) =>
      prism.call("POST", "/time/trigger", { label: name, delayMs, dedupeKey: name, action });
    switch (n % 5) {
      case 0: {
        const payload = { userId: "me", title: name, body: "after a crash" };
        return this.#note(this.notified, name, await timer({ type: "notify", payload }));
      }
      case 1:
        return this.#note(
          this.events,
          name,
          await timer({ type: "event", event: name, payload: { n }, persist: true }),
        );
      case 2: {
        const action = { type: "message", channel: "crash", payload: { name } };
        return this.#note(this.channel, name, await timer(action));
      }
      case 3: {
        const reply = await prism.call<{ id: string }>("POST", "/messages", { recipientId, content: name, delayMs });
        return this.#note(this.messages, reply.body.id, reply);
      }
      default: {
        const body = { userId: "me", title: name, message: "later", delayMs };
        return this.#note(this.scheduled, name, await prism.call("POST", "/api/v1/notifications", body));
      }
    }
  }

  #note(list: string[], name: string, { status, body }: { status: number; body: unknown }): void {
    if (status === 201 || status === 202) list.push(name);
    else this.refused.push(`${status} ${JSON.stringify(body).slice(0, 200)}`);
  }
}

test(`S4-24 killed ${KILLS} times while timers, messages and a schedule run: each is done in the end, and what has a row is done once`, async (t) => {
  keepsPromise(t, ["S2-108", "S4-24"]);
  const random = chanceOf(t);
  const prism = new PrismBinary(t, { env: { PRISM_RATE_LIMIT_ENABLED: "false" } });
  const asked = new Asked();
  let recipientId = "";
  for (let kill = 0; kill <= KILLS || asked.notified.length <= KILLS / 2; kill++) {
    await prism.start();
    if (kill === 0) recipientId = await prepare(prism);
    const load = asked.untilDown(prism, recipientId);
    await new Promise((resolve) => setTimeout(resolve, random.integer(0, 300)));
    await prism.kill();
    await load;
  }
  assert.deepEqual(asked.refused.slice(0, 3), []);

  await prism.start();
  const db = readOnly(t, prism);
  const open = db.prepare<[], { n: number }>(
    "select count(*) as n from jobs where finishedAt is null and scheduleId is null",
  );
  await eventually("nothing is stuck", () => open.get()?.n === 0, 120_000);
  assert.equal(await prism.stop(), 0);

  const states = db
    .prepare<[], { state: string; n: number }>("select state, count(*) as n from jobs group by state")
    .all();
  assert.deepEqual(
    states.filter(({ state }) => state !== "succeeded" && state !== "scheduled" && state !== "ready"),
    [],
  );
  const titles = counted(db, "select title as name, count(*) as n from notifications group by title");
  const events = counted(db, "select type as name, count(*) as n from events where type like 'crash.%' group by type");
  const entries = counted(
    db,
    "select json_extract(data, '$.name') as name, count(*) as n from stream_log where stream = 'channel:crash' group by 1",
  );
  assert.ok(asked.notified.length > KILLS / 2, `there was load: ${asked.notified.length} timers`);
  onceEach(titles, [...asked.notified, ...asked.scheduled], "a notification");
  onceEach(events, asked.events, "an event");
  onceEach(entries, asked.channel, "an entry of the channel");
  messagesDelivered(db, asked.messages, recipientId);
  everySecondOnce(db);
  assert.equal(db.pragma("integrity_check", { simple: true }), "ok");
});

async function prepare(prism: PrismBinary): Promise<string> {
  // In development an unknown recipient is made (D18).
  const first = { recipientId: "somebody", content: "hello", delayMs: 0 };
  const sent = await prism.call<{ recipientId: string }>("POST", "/messages", first);
  assert.equal(sent.status, 202, JSON.stringify(sent.body));
  const action = { type: "event", event: "tick", payload: {}, persist: true };
  const schedule = {
    name: SCHEDULE,
    everyMs: 1000,
    queue: "timers",
    kind: "timer",
    payload: { action },
    overlap: "allow",
  };
  const { status, body } = await prism.call("POST", "/api/v1/schedules", schedule);
  assert.equal(status, 201, JSON.stringify(body));
  return sent.body.recipientId;
}

function readOnly(t: TestContext, prism: PrismBinary): Sqlite {
  const db = new SqliteDatabase(join(prism.dir, "data/prism.db"), { readonly: true });
  t.after(() => db.close());
  return db;
}

function counted(db: Sqlite, sql: string): Map<string, number> {
  return new Map(
    db
      .prepare<[], { name: string; n: number }>(sql)
      .all()
      .map(({ name, n }) => [name, n]),
  );
}

/** What was not acknowledged may have been done as well, but nothing twice. */
function onceEach(found: ReadonlyMap<string, number>, names: readonly string[], what: string): void {
  assert.deepEqual(
    names.filter((name) => found.get(name) !== 1),
    [],
    `each has ${what}`,
  );
  assert.deepEqual(
    [...found].filter(([, n]) => n !== 1),
    [],
    `no ${what} is doubled`,
  );
}

function messagesDelivered(db: Sqlite, ids: readonly string[], recipientId: string): void {
  const status = new Map(
    db
      .prepare<[], { id: string; status: string }>("select id, status from messages")
      .all()
      .map((row) => [row.id, row.status]),
  );
  assert.deepEqual(
    ids.filter((id) => status.get(id) !== "delivered"),
    [],
  );
  const entries = counted(
    db,
    `select json_extract(data, '$.id') as name, count(*) as n from stream_log
     where type = 'message' and stream = 'messages:${recipientId}' group by 1`,
  );
  onceEach(entries, ids, "a live entry");
}

/**
 * One job for each nominal time, whatever crashed; times that passed while nothing ran are made up
 * for once at most.
 */
function everySecondOnce(db: Sqlite): void {
  const rows = db
    .prepare<[], { runAt: number; n: number }>(
      "select runAt, count(*) as n from jobs where scheduleId is not null group by runAt",
    )
    .all();
  assert.ok(rows.length > 0, "the schedule has run");
  assert.deepEqual(
    rows.filter(({ n }) => n !== 1),
    [],
  );
}
