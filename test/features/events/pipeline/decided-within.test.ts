import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { appendEvents } from "../../../../src/features/events/index.ts";
import type { WriteSet } from "../../../../src/store/commit/write-set.ts";
import type { WriterRequest } from "../../../../src/store/commit/writers.ts";
import { addEffect, insertLater, type Trx } from "../../../../src/store/database.ts";
import { crashImage } from "../../../helpers/crash-image.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { openBeside } from "../../../helpers/store.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { ReceiverTest } from "../../intake/receivers/support.ts";
import { allDecided } from "./support/all-decided.ts";

const SHARED = { sharesCommit: true } as const;
const WRITERS = ["main", "thread"] as const;
const RULE = { name: "r", condition: "startsWith(event.type, 'own.')", targetUsers: ["me"], dedupe: null };

for (const writer of WRITERS) {
  const on = (title: string, run: (t: TestContext, prism: TestPrism) => Promise<void>): void => {
    test(`${title} (writer: ${writer})`, async (t) =>
      run(t, await startPrism(t, { settings: { "store.writer": writer } })));
  };

  on("an event of a transaction is decided in its commit", async (t, prism) => {
    await answered(201, prism.post("/api/v1/rules", RULE));
    const written = watchWriter(prism);
    await append(prism, "own.a");
    assert.deepEqual(written, { commits: 1, sets: 0 });
    const killed = await crashImage(t, prism);
    assert.deepEqual(fired(prism), ["own.a"]);
    assert.deepEqual(fired(await startPrism(t, { dir: killed })), ["own.a"]);
  });

  on("transactions that share a commit share the set that decides their events, in their order", async (t, prism) => {
    await answered(201, prism.post("/api/v1/rules", RULE));
    keepGroupsOpen(t);
    const written = watchWriter(prism);
    const types = Array.from({ length: 20 }, (_, i) => `own.${String(i).padStart(2, "0")}`);
    await Promise.all(types.map((type) => append(prism, type)));
    assert.equal(written.sets, 0);
    assert.ok(written.commits < 20, `${written.commits} commits`);
    assert.deepEqual(fired(prism), types);
  });

  on("one that is refused at its end takes no decision with it, and those beside it are decided", async (t, prism) => {
    await answered(201, prism.post("/api/v1/rules", RULE));
    keepGroupsOpen(t);
    const row = { key: "test.taken", value: 1, updatedAt: 0 };
    const twice = (trx: Trx): void => {
      insertLater(trx, "settings", row);
      insertLater(trx, "settings", row);
    };
    const results = await Promise.allSettled([
      append(prism, "own.a"),
      append(prism, "own.refused", twice),
      append(prism, "own.b"),
      append(prism, "own.c"),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled", "fulfilled"],
    );
    await allDecided(prism);
    assert.deepEqual(fired(prism), ["own.a", "own.b", "own.c"]);
    assert.deepEqual([countOf(prism, "event_failures"), countOf(prism, "decisions")], [0, 3]);
  });

  on("a commit that fails takes what was decided in it out of memory", async (t, prism) => {
    // A second match within an hour is a repetition of the first.
    await answered(
      201,
      prism.post("/api/v1/rules", { ...RULE, dedupe: { key: "{{ event.type }}", windowMs: 3_600_000 } }),
    );
    const beside = openBeside(t, prism.parts.base.config.databaseFile);
    beside.exec(`
      create table orphans (parent integer references events (seq) deferrable initially deferred);
      create trigger refuse after insert on decisions begin insert into orphans (parent) values (-1); end;`);
    await assert.rejects(append(prism, "own.a"));
    assert.deepEqual([countOf(prism, "events"), countOf(prism, "decisions")], [0, 0]);
    beside.exec("drop trigger refuse");
    await append(prism, "own.a");
    assert.deepEqual(fired(prism), ["own.a"]);
    await append(prism, "own.a");
    assert.deepEqual(valuesOf(rowsOf<{ outcome: string }>(prism, OUTCOMES), "outcome"), ["fired", "deduped"]);
  });

  on(
    "a set that SQL refuses leaves the transaction stored, and its event is decided by a later set",
    async (_, prism) => {
      await answered(201, prism.post("/api/v1/rules", RULE));
      let isRefused = true;
      const written = watchWriter(prism, (set) => {
        if (!isRefused) return set;
        isRefused = false;
        const [first] = set.ruleStats;
        assert.ok(first);
        return { ...set, ruleStats: [{ ...first, ruleId: null as unknown as string }] };
      });
      await append(prism, "own.a");
      await allDecided(prism);
      assert.deepEqual(written, { commits: 1, sets: 1 });
      assert.deepEqual([fired(prism), countOf(prism, "decisions")], [["own.a"], 1]);
      await append(prism, "own.b");
      assert.deepEqual([written, fired(prism)], [{ commits: 2, sets: 1 }, ["own.a", "own.b"]]);
    },
  );

  on(
    "an event that takes more than one slice is decided by sets after its commit, each rule once",
    async (_, prism) => {
      const rules = Array.from({ length: 600 }, (_each, i) => ({ ...RULE, projectId: "default", name: `r${i}` }));
      await answered(200, prism.post("/api/v1/rules/import", { rules }));
      const written = watchWriter(prism);
      await Promise.all([append(prism, "own.a"), append(prism, "other")]);
      await allDecided(prism);
      assert.ok(written.sets > 0);
      assert.deepEqual([countOf(prism, "decisions"), countOf(prism, "event_slices")], [600, 0]);
    },
  );

  on("beside a transaction that may change what rules decide by, a set after the commit decides", async (t, prism) => {
    keepGroupsOpen(t);
    const { database } = prism.parts.base.store;
    const others = [
      (trx: Trx) => addEffect(trx, { type: "rules-changed", ruleIds: [] }),
      // Without an effect it is not known what it changes.
      (trx: Trx) => insertLater(trx, "settings", { key: "test.other", value: 1, updatedAt: 0 }),
    ];
    for (const [i, other] of others.entries()) {
      const written = watchWriter(prism);
      await Promise.all([
        append(prism, `a.${i}`),
        append(prism, `b.${i}`),
        database.write(async (trx) => other(trx), SHARED),
      ]);
      await allDecided(prism);
      assert.deepEqual([i, written.sets], [i, 1]);
    }
  });
}

test("a receiver's request is one commit: its event, what the rules made of it, its alert and its entry", async (t) => {
  const it = await ReceiverTest.start(t, { settings: { "store.writer": "main" } });
  const receiver = await it.make({});
  const rule = { ...RULE, projectId: "default", condition: "event.title == 'Disk full'" };
  await answered(201, it.prism.post("/api/v1/rules", rule));
  const firing = { title: "Disk full", key: "disk", status: "firing" };
  // The first one opens the alert, which commits alone and is followed by its incident.
  await it.send(receiver, firing);
  await allDecided(it.prism);
  await it.prism.parts.base.store.committer.settled();
  const before = countOf(it.prism, "decisions");
  const written = watchWriter(it.prism);
  for (const body of [firing, { title: "Disk full" }]) assert.equal((await it.send(receiver, body)).status, 200);
  assert.deepEqual([countOf(it.prism, "decisions") - before, undecided(it.prism), written.commits], [2, 0, 2]);
});

/** Counts the commits of transactions, and the sets beside them. @param change of a set in a commit */
function watchWriter(prism: TestPrism, change = (set: WriteSet): WriteSet => set) {
  const { port } = prism.parts.base.store;
  const written = { commits: 0, sets: 0 };
  const [ask, commitSet] = [port.ask.bind(port), port.commitSet.bind(port)];
  const changed = (request: WriterRequest): WriterRequest => {
    if (request.op === "together") return { ...request, requests: request.requests.map(changed) };
    if (request.op !== "commit") return request;
    written.commits++;
    return request.set ? { ...request, set: change(request.set) } : request;
  };
  port.ask = (request) => ask(changed(request));
  port.commitSet = (set, done) => {
    if (set.delivered.length === 0) written.sets++;
    commitSet(set, done);
  };
  return written;
}

/** On a slow machine a group would end before its last transaction. */
function keepGroupsOpen(t: TestContext): void {
  const startedAt = performance.now();
  t.mock.method(performance, "now", () => startedAt);
}

function append(prism: TestPrism, type: string, also: (trx: Trx) => void = () => undefined): Promise<string[]> {
  const projectId = prism.parts.offers.defaultProjectId;
  return prism.parts.base.store.database.write(async (trx) => {
    const ids = await appendEvents(trx, [{ projectId, type, level: "warn", payload: {} }], {
      source: "server",
      now: 1000,
    });
    also(trx);
    return ids;
  }, SHARED);
}

const OUTCOMES = "select outcome from decisions order by eventSeq";

const undecided = (prism: TestPrism): number => rowsOf(prism, "select 1 from events where processedAt is null").length;

/** Types of the events that were notified of, in the order of the recipient's stream. */
function fired(prism: TestPrism): string[] {
  const rows = rowsOf<{ type: string }>(
    prism,
    `select e.type from notification_recipients r join notifications n on n.id = r.notificationId
     join events e on e.id = n.eventId where e.processedAt is not null order by r.seq`,
  );
  return valuesOf(rows, "type");
}
