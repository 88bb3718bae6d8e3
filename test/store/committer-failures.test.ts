import assert from "node:assert/strict";
import test from "node:test";
import { Committer, emptyContent } from "../../src/store/commit/committer.ts";
import type { Effects } from "../../src/store/commit/write-set.ts";
import { undecidedRows } from "../../src/store/commit/write-set.ts";
import { commitError } from "../../src/store/sqlite/sqlite-errors.ts";
import { eventually } from "../helpers/eventually.ts";
import { column, openBeside, openTestStore, type TestStore } from "../helpers/store.ts";
import { testBothWriters } from "./support/both-writers.ts";
import { runOn } from "./support/statements-of.ts";
import { TwoSlots } from "./support/two-slots.ts";
import { effectsOf, eventColumns, failureOfOutcome, jobRow, TestSource, WRITTEN } from "./support/write-sets.ts";

/**
 * Makes the commit of every set that holds an event of type `refused-at-commit` fail at its very
 * end, when its rows are written.
 */
function refuseAtCommit(store: TestStore, t: Parameters<typeof openBeside>[0]): void {
  openBeside(t, store.file).exec(`
    create table orphans (parent integer references events (seq) deferrable initially deferred);
    create trigger refuse_at_commit after insert on events when new.type = 'refused-at-commit' begin
      insert into orphans (parent) values (-1);
    end;`);
}

testBothWriters(
  "a poison item fails alone: rolled back, its failure and job written, its neighbours stored",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    const source = new TestSource(store.committer);
    const refused = effectsOf(2, 11);
    const [recipient] = refused.recipients;
    assert.ok(recipient);
    const outcome = await source.write(() => ({
      events: eventColumns([{ seq: 1 }, { seq: 2 }, { seq: 3 }]),
      effects: [effectsOf(1, 10), { ...refused, recipients: [recipient, recipient] }, effectsOf(3, 12)],
    }));
    assert.deepEqual(outcome, { ok: true, failedEffects: [1], claimed: [] });
    assert.deepEqual(column(store.reader, "select seq from events where processedAt is not null"), [1, 3]);
    assert.deepEqual(column(store.reader, "select eventSeq from decisions order by eventSeq"), [1, 3]);
    assert.deepEqual(column(store.reader, "select seq from notification_recipients order by seq"), [10, 12]);
    const [jobId] = column(store.reader, "select id from jobs");
    const { failure } = undecidedRows(refused);
    const failures = store.reader.prepare("select * from event_failures").all() as { lastError: string }[];
    const { lastError, ...rest } = failures[0] ?? { lastError: "" };
    assert.match(lastError, /UNIQUE/);
    assert.deepEqual({ ...rest, lastError: null }, { ...failure, jobId });
    assert.deepEqual(column(store.reader, "select dedupeKey from jobs"), ["event:2"]);
  },
);

testBothWriters(
  "of many decisions side by side the refused one fails alone, the others are stored",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    const decisionOn = (eventSeq: number): Effects => {
      const { decisions, ...rest } = effectsOf(eventSeq, 0);
      const [decision] = decisions.map((row) => ({ ...row, outcome: "suppressed" as const, notificationId: null }));
      assert.ok(decision);
      return {
        ...rest,
        decisions: eventSeq === 3 ? [decision, decision] : [decision],
        notifications: [],
        recipients: [],
      };
    };
    const outcome = await new TestSource(store.committer).write(() => ({
      events: eventColumns([1, 2, 3, 4].map((seq) => ({ seq }))),
      effects: [1, 2, 3, 4].map(decisionOn),
    }));
    assert.deepEqual(outcome, { ok: true, failedEffects: [2], claimed: [] });
    assert.deepEqual(column(store.reader, "select eventSeq from decisions order by eventSeq"), [1, 2, 4]);
    assert.deepEqual(column(store.reader, "select eventSeq from event_failures"), [3]);
    assert.deepEqual(column(store.reader, "select dedupeKey from jobs"), ["event:3"]);
  },
);

testBothWriters(
  "an item that could not be decided is stored with its failure and job, and is not reported as refused",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    const poison = { ...effectsOf(1, 10), poison: "the template threw" };
    const outcome = await new TestSource(store.committer).write(() => ({
      events: eventColumns([{ seq: 1, processedAt: null }]),
      effects: [poison],
    }));
    assert.deepEqual(outcome, WRITTEN);
    assert.deepEqual(column(store.reader, "select lastError from event_failures"), ["the template threw"]);
    assert.deepEqual(column(store.reader, "select count(*) from notifications"), [0]);
  },
);

testBothWriters("a poison item that fails again keeps its open job and counts the attempt", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const source = new TestSource(store.committer);
  const first = { ...effectsOf(1, 10), poison: "first" };
  await source.write(() => ({ events: eventColumns([{ seq: 1, processedAt: null }]), effects: [first] }));
  const jobIds = column(store.reader, "select id from jobs");
  await source.write(() => ({ effects: [{ ...effectsOf(1, 10), poison: "second" }] }));
  const row = store.reader.prepare("select attempts, lastError, jobId from event_failures").get();
  assert.deepEqual(row, { attempts: 2, lastError: "second", jobId: jobIds[0] });
  assert.deepEqual(column(store.reader, "select id from jobs"), jobIds);
});

testBothWriters("a rule that has decided an event writes no second notification for it", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const source = new TestSource(store.committer);
  await source.write(() => ({ events: eventColumns([{ seq: 1 }]), effects: [effectsOf(1, 10)] }));
  const outcome = await source.write(() => ({ effects: [effectsOf(1, 11)] }));
  assert.deepEqual(outcome, { ok: true, failedEffects: [0], claimed: [] });
  assert.deepEqual(column(store.reader, "select seq from notification_recipients"), [10]);
  assert.deepEqual(column(store.reader, "select count(*) from notifications"), [1]);
});

testBothWriters("a decision that had nobody to tell gives way to one that has", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const source = new TestSource(store.committer);
  const nobody = effectsOf(1, 0);
  const decisions = nobody.decisions.map((row) => ({
    ...row,
    outcome: "no recipients" as const,
    notificationId: null,
  }));
  const effects = [{ ...nobody, decisions, notifications: [], recipients: [] }];
  await source.write(() => ({ events: eventColumns([{ seq: 1 }]), effects }));
  assert.deepEqual(await source.write(() => ({ effects: [effectsOf(1, 10)] })), WRITTEN);
  assert.deepEqual(column(store.reader, "select outcome from decisions"), ["fired"]);
});

testBothWriters(
  "a failed set leaves no row, and the sets sealed on top of it are refused unrun with the same failure",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    refuseAtCommit(store, t);
    const committer = new Committer(new TwoSlots(store.port), store.committer.sequences, () => undefined);
    let epochsFailed = 0;
    committer.whenEpochFails(() => epochsFailed++);
    const failing = new TestSource(committer).writeEvent({ type: "refused-at-commit" });
    const behind = new TestSource(committer).writeEvent({ type: "good" });
    const outcomes = [(await failing).outcome, (await behind).outcome].map(failureOfOutcome);
    assert.deepEqual(outcomes, ["internal", "internal, superseded"]);
    assert.equal(epochsFailed, 1, "memory that ran ahead is read anew once");
    assert.deepEqual(column(store.reader, "select count(*) from events"), [0]);
    const next = await new TestSource(committer).writeEvent({ type: "good" });
    assert.deepEqual(next.outcome, WRITTEN, "the next epoch works");
    assert.deepEqual(
      column(store.reader, "select seq from events"),
      [3],
      "the numbers of the failed sets are not used again",
    );
  },
);

testBothWriters(
  "the writer itself refuses the later sets of a failed epoch, however many are on their way",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    refuseAtCommit(store, t);
    const send = (epoch: number, seq: number, type: string): Promise<string> =>
      new Promise((resolve) => {
        const set = {
          ...emptyContent(),
          events: eventColumns([{ seq, type }]),
          epoch,
          delivered: [],
          sequenceEnds: [],
        };
        store.port.commitSet(set, (outcome) => resolve(failureOfOutcome(outcome)));
      });
    const replies = await Promise.all([
      send(1, 1, "good"),
      send(1, 2, "refused-at-commit"),
      send(1, 3, "good"),
      send(1, 4, "good"),
      send(2, 5, "good"),
    ]);
    assert.deepEqual(replies, ["written", "internal", "internal, superseded", "internal, superseded", "written"]);
    assert.deepEqual(column(store.reader, "select seq from events"), [1, 5]);
  },
);

testBothWriters(
  "a constraint is the proof that nothing is stored twice: its violation fails the set as internal",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    const source = new TestSource(store.committer);
    const { outcome } = await source.writeEvent({ id: "0190b0a0-0000-7000-8000-000000000001" });
    assert.ok(outcome.ok);
    const again = await source.writeEvent({ id: "0190b0a0-0000-7000-8000-000000000001" });
    assert.equal(failureOfOutcome(again.outcome), "internal");
    assert.deepEqual((await source.writeEvent()).outcome, WRITTEN);
  },
);

testBothWriters(
  "a database at its limit refuses every set of events until there is room again, and takes other writes",
  async (t, writer) => {
    const store = openTestStore(t, { writer, maxBytes: 2_000_000 });
    const source = new TestSource(store.committer);
    const payload = JSON.stringify({ text: "x".repeat(100_000) });
    let stored = 0;
    for (;;) {
      const { outcome } = await source.writeEvent({ payload });
      if (!outcome.ok) {
        assert.equal(failureOfOutcome(outcome), "limit");
        break;
      }
      stored++;
    }
    assert.ok(stored > 0);
    assert.equal(failureOfOutcome((await source.writeEvent({ payload })).outcome), "limit");
    assert.deepEqual(
      column(store.reader, "select count(*) from events"),
      [stored],
      "nothing of the failed sets is there",
    );
    assert.equal(await store.canWrite(), true, "the reserve is there for other writes");
    assert.equal(store.health.known(), null);
    await store.database.write((trx) => trx.deleteFrom("events").where("seq", "<=", 2).execute());
    assert.deepEqual((await source.writeEvent({ payload })).outcome, WRITTEN);
  },
);

testBothWriters(
  "a limit that is reached in the middle of the effects fails the whole set, not the item",
  async (t, writer) => {
    const store = openTestStore(t, { writer, maxBytes: 2_000_000 });
    const huge = jobRow({ payload: JSON.stringify({ text: "x".repeat(2_000_000) }) });
    const outcome = await new TestSource(store.committer).write(() => ({
      events: eventColumns([{ seq: 1 }]),
      effects: [{ ...effectsOf(1, 10), jobs: [huge] }],
    }));
    assert.equal(failureOfOutcome(outcome), "limit");
    assert.deepEqual(column(store.reader, "select count(*) from events"), [0]);
  },
);

testBothWriters("a read-only database fails sets and transactions as unavailable", async (t, writer) => {
  const store = openTestStore(t, { writer });
  await store.port.ask({ op: "begin" });
  await runOn(store.port, "pragma query_only = 1");
  await store.port.rollback();
  assert.equal(failureOfOutcome((await new TestSource(store.committer).writeEvent()).outcome), "readonly");
  assert.equal(commitError("readonly", null).code, "DATABASE_UNAVAILABLE");
  await assert.rejects(
    store.database.write((trx) => trx.deleteFrom("settings").execute()),
    { code: "DATABASE_UNAVAILABLE" },
  );
  assert.equal(await store.canWrite(), false);
});

test("a file that another process holds is waited for by the thread, without stopping the event loop", async (t) => {
  const store = openTestStore(t, { writer: "thread" });
  const beside = openBeside(t, store.file);
  beside.exec("begin immediate");
  const source = new TestSource(store.committer);
  let isSettled = false;
  const write = source.writeEvent().finally(() => {
    isSettled = true;
  });
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(isSettled, false);
  beside.exec("commit");
  assert.deepEqual((await write).outcome, WRITTEN);
});

testBothWriters(
  "a file that is held too long fails the set as busy, and the next one is tried anew",
  async (t, writer) => {
    const store = openTestStore(t, { writer, busyTimeoutMs: 30 });
    const beside = openBeside(t, store.file);
    beside.exec("begin immediate");
    const source = new TestSource(store.committer);
    assert.equal(failureOfOutcome((await source.writeEvent()).outcome), "busy");
    beside.exec("commit");
    assert.deepEqual((await source.writeEvent()).outcome, WRITTEN);
  },
);

testBothWriters("delivered marks of a failed set are written later", async (t, writer) => {
  const store = openTestStore(t, { writer, busyTimeoutMs: 30 });
  const source = new TestSource(store.committer);
  await source.write(() => ({ events: eventColumns([{ seq: 1 }]), effects: [effectsOf(1, 10)] }));
  const beside = openBeside(t, store.file);
  beside.exec("begin immediate");
  store.committer.markDelivered({ userId: "user-1", seq: 10, at: 5 });
  assert.equal(failureOfOutcome(await source.write(() => ({}))), "busy");
  beside.exec("commit");
  await eventually(
    "the mark is on disk",
    () => column(store.reader, "select 1 from notification_recipients where delivered = 1").length > 0,
  );
});
