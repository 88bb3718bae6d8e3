import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { deferred } from "../../../../src/core/promises.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { openBeside } from "../../../helpers/store.ts";
import { ReceiverTest } from "./support.ts";

const REQUESTS = 12;
const FIRING = { title: "Disk full", key: "disk", status: "firing" };

/** Sends requests while the writer is held. @returns their answers, and how many transactions they were */
async function sendTogether(it: ReceiverTest, send: (n: number) => Promise<{ status: number; text: string }>) {
  const { database, committer } = it.prism.parts.base.store;
  const { preparing } = it.prism.parts.offers;
  const gate = deferred<void>();
  let isHeld = false;
  const holder = database.write(() => {
    isHeld = true;
    return gate.promise;
  });
  await eventually("the writer is held", () => isHeld);
  const acquire = committer.acquireTransaction.bind(committer);
  let transactions = 0;
  committer.acquireTransaction = (...args) => {
    transactions++;
    return acquire(...args);
  };
  const prepare = preparing.prepare.bind(preparing);
  let prepared = 0;
  preparing.prepare = async (...args) => {
    const made = await prepare(...args);
    prepared++;
    return made;
  };
  const answers: ReturnType<typeof send>[] = [];
  for (let n = 0; n < REQUESTS; n++) {
    answers.push(send(n));
    await eventually(`request ${n} waits`, () => prepared === n + 1);
    // It reaches its queue in the turns that follow.
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  gate.resolve();
  await holder;
  const replies = await Promise.all(answers);
  preparing.prepare = prepare;
  committer.acquireTransaction = acquire;
  return { replies, transactions };
}

test("requests that wait at the same time are one transaction, and each has its event and its entry in the log", async (t) => {
  const it = await ReceiverTest.start(t, { settings: { "store.writer": "main" } });
  const receiver = await it.make({});
  const { replies, transactions } = await sendTogether(it, (n) => it.send(receiver, { title: `job ${n}` }));
  assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]));
  // The first one had begun to wait alone.
  assert.ok(transactions <= 3, `${transactions} transactions`);
  const titles = (await it.events()).map(({ payload }) => payload["title"]);
  assert.deepEqual(titles.sort(), Array.from({ length: REQUESTS }, (_, n) => `job ${n}`).sort());
  assert.equal((await it.requests(receiver)).length, REQUESTS);
});

test("a request that must commit alone does so, and those that wait with it are stored all the same", async (t) => {
  const it = await ReceiverTest.start(t, { settings: { "store.writer": "main" } });
  const receiver = await it.make({});
  const { replies } = await sendTogether(it, (n) =>
    it.send(receiver, n % 4 === 1 ? { ...FIRING, key: `disk-${n}` } : { title: `job ${n}` }),
  );
  assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]));
  assert.equal((await it.alerts()).length, 3);
  assert.equal((await it.requests(receiver)).length, REQUESTS);
});

test("what follows a request that must commit alone is decided after it: an alert that ends and fires again fires", async (t) => {
  const it = await ReceiverTest.start(t, { settings: { "store.writer": "main" } });
  const receiver = await it.make({});
  await it.send(receiver, FIRING);
  const statusOf = (n: number) => (n % 2 === 0 ? "resolved" : "firing");
  const { replies } = await sendTogether(it, (n) => it.send(receiver, { ...FIRING, status: statusOf(n) }));
  assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]));
  assert.equal((await it.alerts()).length, 1, "it fires");
  const events = (await it.events()).map(({ type }) => type);
  assert.deepEqual(events.filter((type) => /^generic|message/.test(type)).length, REQUESTS + 1);
});

test("a request that fails takes none of the others with it", async (t) => {
  const it = await ReceiverTest.start(t, { settings: { "store.writer": "main" } });
  const receiver = await it.make({});
  const beside = openBeside(t, join(it.prism.dir, "prism.db"));
  beside.exec(`create trigger refuse_5 before insert on receiver_requests
    when cast(new.body as text) like '%job 5"%' begin select raise(abort, 'refused'); end`);
  const { replies } = await sendTogether(it, (n) => it.send(receiver, { title: `job ${n}` }));
  assert.deepEqual(
    replies.map(({ status }) => status),
    Array.from({ length: REQUESTS }, (_, n) => (n === 5 ? 500 : 200)),
  );
  assert.equal((await it.requests(receiver)).length, REQUESTS - 1);
  assert.equal((await it.events()).length, REQUESTS - 1);
});
