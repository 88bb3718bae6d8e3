import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { PrismError } from "../../../src/core/errors.ts";
import { uuidv7 } from "../../../src/core/ids.ts";
import { DAY_MS } from "../../../src/core/time/clock.ts";
import type { PageKind } from "../../../src/features/delivery/pages/page.ts";
import { PageRecords } from "../../../src/features/delivery/pages/records.ts";
import { addPages } from "../../../src/features/delivery/pages/store.ts";
import { eventually } from "../../helpers/eventually.ts";
import { makeUser } from "../../helpers/people.ts";
import { refuseWrites } from "../../helpers/refuse-writes.ts";
import { IncidentWorld } from "../alerts/incidents/support.ts";
import { httpServer } from "../channels/presets/http.ts";
import { type StandIn, startStandIn } from "../channels/support/stand-in.ts";
import { status, WebPeer } from "./support/web-peer.ts";

/** A policy that pages a room. */
async function pageRoom({ prism, projectId }: IncidentWorld, { service, url }: StandIn): Promise<void> {
  const made = await prism.post<{ id: string }>("/api/v1/channels", {
    ...{ name: "pager", preset: "http", projectId, fields: service.fields(url) },
  });
  assert.equal(made.status, 201, made.text);
  const steps = [{ type: "channel", id: made.body.id }];
  assert.equal((await prism.patch(`/api/v1/policies/${projectId}`, { steps })).status, 200);
}

/** A policy that pages a person by a channel of their own. */
async function pagePerson(world: IncidentWorld, { service, url }: StandIn): Promise<void> {
  const { prism, projectId } = world;
  const { token } = await world.member("ann");
  const made = await prism.post(
    "/api/v1/channels",
    { name: "pager", preset: "http", fields: service.fields(url) },
    { token },
  );
  assert.equal(made.status, 201, made.text);
  const steps = [{ type: "notify", users: ["ann"] }];
  assert.equal((await prism.patch(`/api/v1/policies/${projectId}`, { steps })).status, 200);
}

for (const { name, page } of [
  { name: "a room", page: pageRoom },
  { name: "a person's own channel", page: pagePerson },
])
  test(`${name}: a page is sent while nothing can be stored, once, and its outcome is stored later`, (t) =>
    sendWithoutStore(t, page));

async function sendWithoutStore(t: TestContext, page: typeof pageRoom): Promise<void> {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism, clock } = world;
  const pager = await startStandIn(t, httpServer());
  await page(world, pager);
  pager.next.push({ status: 503, body: "down" });
  await world.fire("A");
  await eventually("it is tried", () => pager.requests.length === 1);
  await prism.parts.offers.pages.idle();

  const accept = refuseWrites(prism);
  await eventually("it arrives all the same", async () => {
    clock.advance(1000);
    await prism.parts.offers.pages.check();
    return pager.seen.length === 1;
  });
  const outcomes = () => world.db.read.selectFrom("pages").select("outcome").execute();
  assert.deepEqual(await outcomes(), [{ outcome: "trying" }]);
  for (let seconds = 0; seconds < 40; seconds += 5) {
    clock.advance(5000);
    await prism.parts.offers.pages.check();
  }
  accept();
  await eventually("the outcome is stored", async () => (await outcomes())[0]?.outcome === "delivered");
  assert.equal(pager.requests.length, 2, "it was sent once after the failure");
}

test("a 429 that names no time fails no way, and the page leaves at most 30 s after the service is well", async (t) => {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism, clock } = world;
  const pager = await startStandIn(t, httpServer());
  await pageRoom(world, pager);
  for (let n = 0; n < 4; n++) pager.next.push({ status: 429, body: "slow down" });
  await world.fire("A");
  await eventually("it is tried", () => pager.requests.length === 1);
  await prism.parts.offers.pages.idle();
  const startedAt = clock.now();
  await eventually("it arrives", async () => {
    clock.advance(1000);
    await prism.parts.offers.pages.check();
    await prism.parts.offers.pages.idle();
    return pager.seen.length === 1;
  });
  assert.ok(clock.now() - startedAt <= 30_000, `${clock.now() - startedAt} ms`);
  const page = await world.db.read.selectFrom("pages").select(["outcome", "failedAt"]).executeTakeFirst();
  assert.deepEqual(page, { outcome: "delivered", failedAt: null });
});

test("a page without an answer is a failed way after 45 s: the next step comes, and the answer still counts", async (t) => {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism, projectId, clock } = world;
  const { pages } = prism.parts.offers;
  const peer = await WebPeer.start(t);
  let late: () => void = () => assert.fail("there was no call");
  peer.answer = (response, request) => {
    late = () => status(204)(response, request);
  };
  const { token } = await makeUser(prism, "ann", ["RuleManager"]);
  const made = await prism.post("/api/v1/webhooks", { url: peer.url }, { token });
  assert.equal(made.status, 201, made.text);
  const steps = [
    { type: "notify", users: ["ann"] },
    { type: "wait", ms: DAY_MS },
    { type: "notify", members: true },
  ];
  assert.equal((await prism.patch(`/api/v1/policies/${projectId}`, { steps })).status, 200);
  await world.fire("A");
  const ofAnn = () =>
    world.db.read.selectFrom("pages").select(["outcome", "lastError"]).where("userId", "is not", null).execute();
  await eventually("it is called", () => peer.received.length === 1);
  clock.advance(44_000);
  await pages.check();
  assert.deepEqual(await ofAnn(), [{ outcome: "queued", lastError: null }]);
  clock.advance(1000);
  await pages.check();
  await eventually("the way has failed", async () => (await ofAnn())[0]?.outcome === "failed");
  assert.equal((await ofAnn())[0]?.lastError, "there is no answer yet");
  const { id } = await world.only();
  await eventually("the wait is shortened", async () => (await world.log(id)).includes("wait-shortened"));
  late();
  await eventually("it has arrived", async () => (await ofAnn())[0]?.outcome === "delivered");
  assert.equal(peer.received.length, 1);
});

test("a person's own webhook that answers 403 is a failed way at once, and is tried again after 5 minutes", async (t) => {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism, projectId, clock } = world;
  const peer = await WebPeer.start(t);
  peer.answer = status(403);
  const { token } = await makeUser(prism, "ann", ["RuleManager"]);
  const made = await prism.post("/api/v1/webhooks", { url: peer.url }, { token });
  assert.equal(made.status, 201, made.text);
  const steps = [{ type: "notify", users: ["ann"] }];
  assert.equal((await prism.patch(`/api/v1/policies/${projectId}`, { steps })).status, 200);
  await world.fire("A");
  const pages = () =>
    world.db.read.selectFrom("pages").select(["outcome", "lastError"]).where("userId", "is not", null).execute();
  await eventually("the way has failed", async () => (await pages())[0]?.outcome === "failed");
  assert.equal((await pages())[0]?.lastError, "the webhook answered 403");
  const tried = peer.received.length;
  peer.answer = status(204);
  clock.advance(301_000);
  await prism.parts.offers.pages.check();
  // The step is repeated after five minutes, too: either of both is sent.
  await eventually("it arrives", async () => (await pages()).some(({ outcome }) => outcome === "delivered"));
  assert.ok(peer.received.length > tried);
});

/** Pages that no one sends, and records of their own. */
async function recordsOf(t: TestContext, count: number, kind: Partial<PageKind> = {}) {
  const { prism, clock, projectId } = await IncidentWorld.start(t);
  const db = prism.parts.base.database;
  const ids = Array.from({ length: count }, () => uuidv7());
  const place = { target: "room", provider: "host", owner: "project", way: "room", kind: "channel" } as const;
  // The server itself sends none of them.
  const rest = { projectId, reason: "step", urgency: "low", heldUntil: clock.now() + DAY_MS } as const;
  for (const id of ids)
    await db.write((trx) => addPages(trx, [{ ...place, ...rest, id, incidentId: id }], clock.now()));
  const sending: PageKind = { atOnce: 1, send: () => Promise.reject(new TypeError("nothing is sent")), ...kind };
  const records = new PageRecords({ db, clock, log: prism.parts.core.log }, new Map([["channel", sending]]));
  t.after(() => records.stop());
  const failed = { error: "gone", startedAt: clock.now(), isFailed: true, isOver: false, isGone: false, lost: 0 };
  return {
    ids,
    records,
    fail(): void {
      for (const id of ids) records.attempted(id, { ...failed, attempts: 1 });
    },
    async stored(): Promise<number> {
      return (await db.read.selectFrom("pages").select("id").where("outcome", "=", "failed").execute()).length;
    },
  };
}

test("the outcome of a page that cannot be stored holds up no other one, and is not lost", async (t) => {
  let isRefused = true;
  let bad = "";
  const { ids, records, fail, stored } = await recordsOf(t, 100, {
    async changed(_trx, { id }) {
      if (isRefused && id === bad) throw new Error("this one cannot be stored");
    },
  });
  const [first = "", ...others] = ids;
  bad = first;
  const failures = new Map<string, number>();
  records.followers.push({
    accepting: async () => () => Promise.resolve(),
    async failed(_trx, pages) {
      for (const { id } of pages) failures.set(id, (failures.get(id) ?? 0) + 1);
    },
  });
  fail();
  await eventually("the others are stored", async () => (await stored()) === others.length);
  isRefused = false;
  await eventually("so is that one", async () => (await stored()) === ids.length);
  assert.ok(
    others.every((id) => failures.get(id) === 1),
    "what follows has followed once",
  );
});

for (const code of ["STORAGE_FULL", "OVERLOADED", "DATABASE_UNAVAILABLE"] as const)
  test(`what follows from a failed page is not left out when the store refuses it with ${code}`, async (t) => {
    const { ids, records, fail, stored } = await recordsOf(t, 3);
    const [bad = ""] = ids;
    let refusals = 2;
    const followed: string[] = [];
    records.followers.push({
      accepting: async () => () => Promise.resolve(),
      async failed(_trx, pages) {
        const has = pages.map(({ id }) => id);
        if (has.includes(bad) && refusals-- > 0) throw new PrismError(code, "nothing was stored");
        followed.push(...has);
      },
    });
    fail();
    await eventually("all are stored", async () => (await stored()) === ids.length);
    assert.deepEqual(followed.sort(), [...ids].sort());
  });

for (const { name, hasRecord, order } of [
  { name: "before the first write", hasRecord: false, order: ["read", "row", "stored"] },
  {
    name: "after the record of an answer, which may change it",
    hasRecord: true,
    order: ["record", "row", "read", "stored"],
  },
])
  test(`what follows from an accepted page is read ${name}`, async (t) => {
    const seen: string[] = [];
    const { ids, records } = await recordsOf(t, 1, { changed: async () => void seen.push("row") });
    records.followers.push({
      async accepting() {
        seen.push("read");
        return async (pages) => void seen.push(...pages.map(() => "stored"));
      },
      failed: async () => undefined,
    });
    const accepted = { answer: "200", attempts: 1, startedAt: 0 };
    const record = async (): Promise<void> => void seen.push("record");
    records.delivered(ids[0] ?? "", hasRecord ? { ...accepted, record } : accepted);
    await records.idle();
    assert.deepEqual(seen, order);
  });
