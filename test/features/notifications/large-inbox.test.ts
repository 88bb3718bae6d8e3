import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { uuidv7 } from "../../../src/core/ids.ts";
import { Scanner } from "../../../src/store/scanner.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeUser } from "../../helpers/people.ts";
import { TestPrism } from "../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";

const PATH = "/api/v1/notifications";
const ROWS = 12_500;

let prism: TestPrism;
let uma: { id: string; token: string };
const clock = new FakeClock();
/** Statements that went to the scan thread. */
const scanned: string[] = [];
const query = Scanner.prototype.query;

before(async () => {
  Scanner.prototype.query = function (this: Scanner, sql, parameters) {
    scanned.push(sql);
    return query.call(this, sql, parameters);
  };
  prism = await TestPrism.start({ clock });
  uma = await makeUser(prism, "uma");
  await fill(uma.id, ROWS);
});

after(async () => {
  Scanner.prototype.query = query;
  await prism.stop();
});

/** Unread notifications of a user, ten of them made in each second. */
async function fill(userId: string, count: number): Promise<void> {
  const { database: db } = prism.parts.base;
  const start = clock.now();
  for (let at = 0; at < count; at += 500) {
    const part = Array.from({ length: Math.min(500, count - at) }, (_, i) => ({
      id: uuidv7(),
      createdAt: start + Math.floor((at + i) / 10) * 1000,
    }));
    await db.write(async (trx) => {
      await trx
        .insertInto("notifications")
        .values(
          part.map((each) => ({ ...each, kind: "direct", title: "t", message: "m", correlationId: "c" }) as const),
        )
        .execute();
      await trx
        .insertInto("notification_recipients")
        .values(part.map(({ id }) => ({ notificationId: id, userId, seq: db.nextOffset(trx) })))
        .execute();
    });
  }
}

interface Page {
  data: { offset: number }[];
  updated: number;
  count: number;
}

const get = async (query: string) => (await prism.get<Page>(`${PATH}${query}`, { token: uma.token })).body;

test("a page that an index finds is read at once; one far down or with a filter in the scan thread", async () => {
  const since = encodeURIComponent(new Date(clock.now() + 60_000).toISOString());
  for (const row of [
    { query: "?limit=5", scans: 0 },
    { query: "?status=unread&limit=5", scans: 0 },
    { query: "?status=undelivered&after=3&limit=5", scans: 0 },
    { query: "/missed?limit=5", scans: 0 },
    { query: "/missed?since=7&limit=5", scans: 0 },
    { query: `?cursor=${Buffer.from("[900]").toString("base64url")}`, scans: 0 },
    // The total that goes with an offset is one more.
    { query: "?offset=1000&limit=5", scans: 1 },
    { query: "?offset=1001&limit=5", scans: 2 },
    { query: "?page=300&limit=5", scans: 2 },
    { query: `?ruleId=${uuidv7()}`, scans: 1 },
    { query: "?status=read", scans: 1 },
    { query: `?status=unread&from=${since}&limit=5`, scans: 1 },
    { query: `/missed?since=${since}&limit=5`, scans: 1 },
  ]) {
    scanned.length = 0;
    await get(row.query);
    assert.equal(scanned.length, row.scans, row.query);
  }
  for (const row of [
    { query: "/events?offset=1000&limit=1", scans: 1 },
    { query: "/events?offset=1001&limit=1", scans: 2 },
    { query: "/events?limit=1", scans: 0 },
  ]) {
    scanned.length = 0;
    await prism.get(row.query);
    assert.equal(scanned.length, row.scans, row.query);
  }
});

test("pages of what is unread or undelivered are those of the inbox", async () => {
  const offsets = rowsOf<{ seq: number }>(
    prism,
    "select seq from notification_recipients where userId = ? order by seq desc",
    uma.id,
  ).map(({ seq }) => seq);
  const shown = async (query: string) => (await get(query)).data.map(({ offset }) => offset);
  for (const status of ["all", "unread", "undelivered"]) {
    assert.deepEqual(await shown(`?status=${status}&limit=5`), offsets.slice(0, 5), status);
    assert.deepEqual(await shown(`?status=${status}&limit=5&offset=7`), offsets.slice(7, 12), status);
    assert.deepEqual(await shown(`?status=${status}&after=${offsets[2]}`), offsets.slice(0, 2), status);
  }
  assert.deepEqual(await shown("/missed?limit=3"), offsets.slice(-3).toReversed());
});

test("the unread count is exact, of few by the index at once, of very many in the scan thread", async () => {
  scanned.length = 0;
  assert.equal((await get("/unread-count")).count, ROWS);
  assert.equal(scanned.length, 1);
  const zoe = await makeUser(prism, "zoe");
  await fill(zoe.id, 30);
  const { body } = await prism.get<Page>(`${PATH}/unread-count`, { token: zoe.token });
  assert.deepEqual([body.count, scanned.length], [30, 1]);
});

test("read-all reads many in slices of a thousand, each sent in the stream with its position; again it changes nothing", async () => {
  const { database: db, store } = prism.parts.base;
  const before = new Date(clock.now() + 500_000).toISOString();
  const readAll = async (body: object = {}) =>
    (await prism.post<Page>(`${PATH}/read-all`, body, { token: uma.token })).body.updated;
  const told = () =>
    rowsOf<{ data: string }>(prism, "select data from stream_log where type = 'notification.read' order by seq").map(
      ({ data }) => JSON.parse(data) as { upTo: number; updated: number },
    );
  assert.equal(await readAll({ before }), 5000);
  assert.deepEqual(valuesOf(told(), "updated"), [1000, 1000, 1000, 1000, 1000]);
  const head = store.committer.sequences.streams.last;
  assert.equal(await readAll(), ROWS - 5000);
  const second = told().slice(5);
  assert.deepEqual(valuesOf(second, "updated"), [1000, 1000, 1000, 1000, 1000, 1000, 1000, 500]);
  assert.deepEqual(
    second.map(({ upTo }) => upTo),
    second.map(({ upTo }) => upTo).toSorted((a, b) => a - b),
  );
  assert.equal(second.at(-1)?.upTo, head);
  assert.equal(
    scalarOf(prism, "select data from stream_log where type = 'unread-count' order by seq desc limit 1"),
    '{"count":0,"unreadCount":0}',
  );
  assert.equal(await readAll(), 0);
  assert.equal(told().length, 13);
  // One that a crash has cut short is taken up where it ended.
  await db.write((trx) =>
    trx
      .updateTable("notification_recipients")
      .set({ readAt: null })
      .where("userId", "=", uma.id)
      .where("seq", ">", 11_000)
      .execute(),
  );
  const left = scalarOf<number>(
    prism,
    "select count(*) from notification_recipients where userId = ? and readAt is null",
    uma.id,
  );
  assert.equal(await readAll(), left);
});
