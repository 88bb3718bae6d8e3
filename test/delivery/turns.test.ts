import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { Turns } from "../../src/services/delivery/turns.ts";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { scalarOf } from "../helpers/tables.ts";
import { mailPeer } from "./support/mail-peer.ts";
import { status, WebPeer } from "./support/web-peer.ts";

const SLOW_MS = 9000;
const WAITING = 30;

/** Attempts at one place, each of which lasts until it is ended. */
class Line {
  readonly clock = new FakeClock();
  readonly began: number[] = [];
  readonly away = new Map<number, number>();
  readonly #turns = new Turns(this.clock);
  readonly #ends = new Map<number, () => void>();

  come(n: number, isBack = false): void {
    const run = () => {
      this.began.push(n);
      return new Promise<void>((resolve) => this.#ends.set(n, resolve));
    };
    const sendAway = async (ms: number) => void this.away.set(n, ms);
    void this.#turns.take("place", { isBack, run, sendAway });
  }

  /** Ends one that took so long. */
  async end(n: number, tookMs = 0): Promise<void> {
    const end = await eventually("it has begun", () => this.#ends.get(n));
    this.clock.advance(tookMs);
    end();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("where it takes no time everybody stands in line, and goes in the order of coming", async () => {
  const line = new Line();
  for (const n of [1, 2, 3, 4]) line.come(n);
  for (const n of [1, 2, 3]) await line.end(n);
  assert.deepEqual([line.began, [...line.away]], [[1, 2, 3, 4], []]);
});

test("whoever stood in line too long is sent away, and those that come later are sent behind them", async () => {
  const line = new Line();
  for (const n of [1, 2, 3]) line.come(n);
  line.clock.advance(250);
  await eventually("both are sent away", () => line.away.size === 2);
  line.come(4);
  await eventually("the next one, too", () => line.away.size === 3);
  const times = [2, 3, 4].map((n) => line.away.get(n) ?? 0);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
  assert.equal(new Set(times).size, 3);
  assert.deepEqual(line.began, [1]);
});

test("where it takes long everybody is sent away as long as those before it take, but never for much more than half a minute", async () => {
  const line = new Line();
  line.come(1);
  for (const n of [2, 3, 4, 5, 6]) line.come(n);
  line.clock.advance(SLOW_MS);
  await eventually("all are sent away", () => line.away.size === 5);
  assert.deepEqual([...line.away.values()], [9000, 18_000, 27_000, 30_000, 30_001]);
  await line.end(1);
  line.come(7);
  await eventually("nobody goes before those who are away", () => line.away.has(7));
  for (const n of [2, 3, 4]) line.come(n, true);
  await eventually("there is room for one who stands in line", () => line.away.get(4) !== 27_000);
  await line.end(2, SLOW_MS);
  assert.deepEqual(line.began, [1, 2, 3]);
});

test("a place that is quick again is open to everybody when those who were away are back", async () => {
  const line = new Line();
  line.come(1);
  await line.end(1, SLOW_MS);
  line.come(2);
  line.come(3);
  line.clock.advance(250);
  await eventually("it is sent away", () => line.away.has(3));
  await line.end(2);
  line.clock.advance(line.away.get(3) ?? 0);
  line.come(3, true);
  await line.end(3);
  for (const n of [4, 5, 6]) line.come(n);
  for (const n of [4, 5]) await line.end(n);
  assert.deepEqual(line.began, [1, 2, 3, 4, 5, 6]);
});

async function notify(prism: TestPrism, recipient: string, channel: string): Promise<void> {
  const body = { recipients: [recipient], channels: [channel], title: "Door", message: "The door is open" };
  const { status: code, text } = await prism.post("/api/v1/notifications", body);
  assert.equal(code, 201, text);
}

async function worldWithSlowWebhook(t: TestContext) {
  const [web, mail] = [await WebPeer.start(t), await mailPeer(t)];
  const prism = await startPrism(t, {
    settings: {
      ...mail.settings,
      "webhooks.allowPrivateCidrs": "127.0.0.0/8",
      "delivery.userPerMinute": "1000",
      "delivery.globalPerMinute": "100000",
    },
  });
  const [slow, ann] = [await makeUser(prism, "slow"), await makeUser(prism, "ann")];
  const hook = await prism.post<{ id: string }>("/api/v1/webhooks", { url: web.url });
  await prism.services.db.write(async (trx) => {
    await trx.updateTable("webhooks").set({ userId: slow.id }).where("id", "=", hook.body.id).execute();
    await trx.updateTable("users").set({ email: "ann@example.com" }).where("id", "=", ann.id).execute();
  });
  return { prism, web, mail, slow, ann };
}

test("a webhook that answers late, with more waiting for it than there are workers, keeps nobody's mail waiting, and gets them all in the end", async (t) => {
  const { prism, web, mail, slow, ann } = await worldWithSlowWebhook(t);
  const held: (() => void)[] = [];
  web.answer = (response, request) => void held.push(() => status(204)(response, request));
  for (let i = 0; i < WAITING; i++) await notify(prism, slow.id, "webhook");
  await eventually("it is being called", () => held.length === 1);
  await notify(prism, ann.id, "email");
  await eventually("the mail has come", () => mail.accepted.length === 1);
  assert.deepEqual([web.received.length, held.length], [1, 1], "the webhook has not answered");
  web.answer = status(204);
  for (const answer of held) answer();
  const delivered = () =>
    scalarOf<number>(prism, "select count(*) from deliveries where channel = 'webhook' and state = 'delivered'");
  await eventually("all have come", () => delivered() === WAITING);
  assert.equal(new Set(web.received.map(({ headers }) => headers["webhook-id"])).size, WAITING);
  assert.equal(web.received.length, WAITING);
});
