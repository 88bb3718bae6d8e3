import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { uuidv7 } from "../../../src/core/ids.ts";
import { wavFile } from "../../helpers/audio.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeUser } from "../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { rowsOf, scalarOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";
import { WebSocketClient } from "../../live/support/web-socket-client.ts";
import { allDecided } from "../events/pipeline/support/all-decided.ts";
import { upload } from "./sounds/support/upload.ts";

interface Told {
  readonly id: string;
  readonly kind: string;
  readonly title: string;
  readonly message: string;
  readonly sound: string | null;
  readonly aggregateCount: number;
  readonly data: { heldBack: number; firstSeq: number; lastSeq: number; samples?: unknown } | null;
}

const UPDATE_EVERY_MS = 5000;

async function open(t: TestContext, rule: Record<string, unknown>) {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const uma = await makeUser(prism, "uma");
  await upload(prism, "bell.wav", wavFile());
  const made = await prism.post("/api/v1/rules", {
    name: "storm",
    condition: "event.type == 'a'",
    titleTemplate: "number {{event.n}}",
    sound: "bell.wav",
    ...rule,
  });
  assert.equal(made.status, 201, made.text);
  let sent = 0;
  const send = async (count: number): Promise<void> => {
    const events = Array.from({ length: count }, () => ({ type: "a", payload: { n: ++sent } }));
    await answered(202, prism.post("/events", events));
    await allDecided(prism);
  };
  /** Sends events that the first notice counts together. */
  const sendBeforeNotice = async (count: number): Promise<void> => {
    const { queueControl } = prism.parts.offers;
    await queueControl.pause("alert-suppression");
    await send(count);
    await queueControl.resume("alert-suppression");
  };
  const pass = async (ms: number): Promise<void> => {
    const runs = tellings(prism);
    clock.advance(ms);
    prism.parts.offers.runner.enqueued([]);
    if (scalarOf<number>(prism, "select min(runAt) from jobs where kind = 'suppression.storm' and finishedAt is null"))
      await eventually("the job has run", () => tellings(prism) > runs);
  };
  return { prism, clock, uma, send, sendBeforeNotice, pass };
}

/** How often the job for storm notices has run. */
function tellings(prism: TestPrism): number {
  const done = "select count(*) from jobs where kind = 'suppression.storm' and state = 'succeeded'";
  return scalarOf<number>(prism, done) ?? 0;
}

async function inbox(prism: TestPrism, token = prism.adminToken): Promise<readonly Told[]> {
  return (await prism.get<{ data: Told[] }>("/api/v1/notifications?limit=100", { token })).body.data;
}

test("S2-129 the rolling notice is one, sounds once, is changed in place every 5 s at most, and its summary has samples in mode batch", async (t) => {
  keepsPromise(t, "S2-129");
  const { prism, clock, uma, send, sendBeforeNotice, pass } = await open(t, {
    targetUsers: ["me", "uma"],
    suppression: { count: 3, windowMs: 60_000, mode: "batch" },
  });
  const live = await WebSocketClient.welcomed(t, prism.wsUrl, uma.token);
  await live.ask({ op: "subscribe", id: "s", stream: "user:me" });
  const changes = () => live.all({ op: "event", type: "notification.updated" }).map(({ data }) => data as Told);

  await sendBeforeNotice(10);
  const notice = await eventually("the notice", async () =>
    (await inbox(prism, uma.token)).find(({ kind }) => kind === "aggregate"),
  );
  assert.deepEqual([notice.title, notice.sound], ["storm: 7 suppressed", "bell.wav"]);

  await send(5);
  clock.advance(UPDATE_EVERY_MS - 1);
  prism.parts.offers.runner.enqueued([]);
  await send(5);
  const shown = (await inbox(prism)).find(({ id }) => id === notice.id);
  assert.equal(shown?.title, "storm: 7 suppressed", "not before its time");
  await pass(1);
  await eventually("it says how many by now", () => changes().length === 1);
  const { id, title, aggregateCount } = changes()[0] ?? {};
  assert.deepEqual([id, title, aggregateCount], [notice.id, "storm: 17 suppressed", 17]);
  await pass(UPDATE_EVERY_MS);
  assert.equal(changes().length, 1, "what has not changed is not told again");

  await pass(61_000);
  const summary = await eventually("the summary", async () =>
    (await inbox(prism, uma.token)).find(({ title }) => title === "storm: storm over, 17 suppressed"),
  );
  assert.deepEqual([summary.kind, summary.sound, summary.data?.heldBack], ["aggregate", null, 17]);
  const seqs = rowsOf<{ seq: number; id: string }>(prism, "select seq, id from events order by seq");
  const samples = seqs.slice(3, 8).map(({ id }, i) => ({ eventId: id, title: `number ${i + 4}` }));
  assert.deepEqual(summary.data?.samples, samples);
  assert.deepEqual([summary.data?.firstSeq, summary.data?.lastSeq], [seqs[3]?.seq, seqs.at(-1)?.seq]);
  assert.match(summary.message, /Among them:\n- number 4\n- number 5\n- number 6\n- number 7\n- number 8$/);

  for (const token of [prism.adminToken, uma.token]) {
    const all = await inbox(prism, token);
    assert.deepEqual(valuesOf(all, "kind"), ["aggregate", "aggregate", "rule", "rule", "rule"]);
    assert.equal(all.filter(({ kind, sound }) => kind === "aggregate" && sound !== null).length, 1);
  }
  await eventually("all of them came live", () => live.all({ op: "event", type: "notification" }).length === 5);
});

test("S2-129 in mode suppress a storm that ends before its notice is notified by its summary only, without samples", async (t) => {
  keepsPromise(t, "S2-129");
  const { prism, clock, send } = await open(t, {
    targetUsers: ["me"],
    suppression: { count: 3, windowMs: 1000, mode: "suppress" },
  });
  const { queueControl } = prism.parts.offers;
  await queueControl.pause("alert-suppression");
  await send(8);
  clock.advance(2000);
  await queueControl.resume("alert-suppression");
  const [summary, ...rules] = await eventually("the summary", async () => {
    const all = await inbox(prism);
    return all.length === 4 ? all : null;
  });
  assert.deepEqual([summary?.title, summary?.sound], ["storm: storm over, 5 suppressed", null]);
  assert.deepEqual([summary?.data?.heldBack, summary?.data && "samples" in summary.data], [5, false]);
  assert.deepEqual(valuesOf(rules, "kind"), ["rule", "rule", "rule"]);
});

test("S2-129 a storm of a rule with more recipients than a slice notifies each of them five times, none twice", async (t) => {
  keepsPromise(t, "S2-129");
  const PEOPLE = 210;
  const { prism, clock, sendBeforeNotice } = await open(t, {
    targetRoles: ["Auditor"],
    suppression: { count: 3, windowMs: 60_000 },
  });
  const now = clock.now();
  const roleId = scalarOf<string>(prism, "select id from roles where name = 'Auditor'") ?? "";
  const ids = Array.from({ length: PEOPLE }, () => uuidv7());
  await prism.services.db.write(async (trx) => {
    const users = ids.map((id) => ({ id, username: id, status: "active" as const, createdAt: now, updatedAt: now }));
    await trx.insertInto("users").values(users).execute();
    await trx
      .insertInto("user_roles")
      .values(ids.map((userId) => ({ userId, roleId, createdAt: now })))
      .execute();
  });
  prism.rightsChanged();
  const told = () => rowsOf<{ n: number }>(prism, "select count(*) as n from notification_recipients group by userId");
  const allHave = (count: number) =>
    eventually(`all have ${count}`, () => told().length === PEOPLE && told().every(({ n }) => n === count));
  await sendBeforeNotice(50);
  await allHave(4);
  clock.advance(70_000);
  prism.parts.offers.runner.enqueued([]);
  await allHave(5);
  const titles = rowsOf<{ title: string }>(
    prism,
    "select title from notifications where kind = 'aggregate' order by id",
  );
  assert.deepEqual(valuesOf(titles, "title"), ["storm: 47 suppressed", "storm: storm over, 47 suppressed"]);
});
