import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { deliveryQueue } from "../../../../src/core/limits/queues.ts";
import type { OutsideChannel } from "../../../../src/store/schema.ts";
import { crashImage } from "../../../helpers/crash-image.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { WorkerProcess, workToken } from "../../../helpers/worker-process.ts";
import { DeliveryWorld } from "./delivery-world.ts";

/**
 * Answers of a peer: accepts the message; refuses for now; refuses this message; reports the target
 * as gone; refuses our credentials; disconnects without an answer; or accepts it only after it is
 * released.
 */
export type Answer = "accept" | "later" | "refuse" | "gone" | "deny" | "drop" | "slow";

/** The other side of a channel: a real server of its protocol with configurable answers. */
export interface Peer {
  /** What the next messages are answered; after that all are accepted. */
  answer(...answers: readonly Answer[]): void;
  /**
   * Stable ids of all messages that came as far as the peer, accepted or not, as the protocol
   * carries them.
   */
  readonly seen: readonly string[];
  /** Texts of the messages that were accepted. */
  readonly accepted: readonly string[];
  /** Lets those that wait go on. */
  goOn(): void;
  /** Settings of a Prism that sends here. */
  readonly settings: Readonly<Record<string, string>>;
}

export interface SenderContract {
  readonly channel: OutsideChannel;
  /** Of the answers those that the protocol knows, besides accept. */
  readonly answers: readonly Answer[];
  /** The form of a delivery's id in {@link Peer.seen}. */
  wireId(deliveryId: string): string;
  peer(t: TestContext): Promise<Peer>;
  /** Gives a user one target. */
  place(prism: TestPrism, userId: string): Promise<void>;
  /**
   * Whether the user's target is still enabled. Absent: targets of the channel cannot be disabled.
   */
  isUsable?(prism: TestPrism, userId: string): boolean | Promise<boolean>;
}

/** The process that sends: the server itself, or a worker. */
type By = "server" | "worker";

interface Contract extends SenderContract {
  /** What the titles of its tests begin with. */
  readonly title: string;
  open(t: TestContext): Promise<{ world: DeliveryWorld; peer: Peer; id: string; send(body?: object): Promise<string> }>;
}

/**
 * The one suite that all channels run: from a notification to the peer's answer and what becomes of
 * it.
 */
export function senderContract(given: SenderContract, by: By = "server"): void {
  const { channel } = given;
  const contract: Contract = {
    ...given,
    title: by === "worker" ? `S2-123: ${channel} by a worker` : channel,
    async open(t) {
      const peer = await given.peer(t);
      const world = await (by === "worker" ? openForWorker(t, given, peer) : DeliveryWorld.open(t, peer));
      const { id } = await world.person("ann");
      await given.place(world.prism, id);
      return { world, peer, id, send: (body) => world.notify([id], [channel], body) };
    },
  };
  accepts(contract);
  if (given.answers.includes("later")) triesAgain(contract);
  if (given.answers.includes("refuse")) givesUp(contract);
  if (given.answers.includes("gone")) disables(contract);
  if (given.answers.includes("deny")) pauses(contract);
  if (given.answers.includes("drop")) {
    survivesDrop(contract);
    opensCircuit(contract);
  }
  // What a crash does to a worker has tests of its own.
  if (given.answers.includes("slow") && by === "server") survivesRestart(contract);
}

/**
 * A server that has none of the provider's settings, and the command that has them; what users may
 * name as hosts both must let out.
 */
async function openForWorker(t: TestContext, { channel }: SenderContract, { settings }: Peer): Promise<DeliveryWorld> {
  const hosts = Object.entries(settings).filter(([key]) => key.startsWith("webhooks."));
  const world = await DeliveryWorld.open(t, {
    settings: { ...Object.fromEntries(hosts), "delivery.workers": channel },
  });
  const { token } = await workToken(world.prism);
  await WorkerProcess.start(t, { url: world.prism.url, token, queues: deliveryQueue(channel), settings });
  return world;
}

function accepts({ channel, title, open, wireId }: Contract): void {
  test(`${title}: an accepted message is delivered, once, and noted everywhere`, async (t) => {
    const { world, peer, id, send } = await open(t);
    const notificationId = await send({ title: `Fire <b>&"'`, message: "leave\nnow" });
    const delivery = await world.only(notificationId, "delivered");
    assert.deepEqual([delivery.attempts, delivery.userId, delivery.lastError], [1, id, null]);
    assert.deepEqual(peer.seen, [wireId(delivery.id)]);
    assert.equal(peer.accepted.length, 1);
    assert.deepEqual(world.audit(notificationId, channel), [
      { action: "notification.delivered", metadata: { channel, delivered: 1, failed: 0, skipped: 0 } },
    ]);
    const [notification] = rowsOf<{ delivered: number }>(
      world.prism,
      "select delivered from notifications where id = ?",
      notificationId,
    );
    assert.equal(notification?.delivered, 1);
    // Counted after the commit of the row.
    await eventually("it is counted", async () => {
      const { text } = await world.prism.get("/metrics");
      return [
        `prism_delivery_total{channel="${channel}",result="delivered"} 1`,
        `prism_delivery_latency_seconds_count{channel="${channel}"} 1`,
      ].every((line) => text.includes(`${line}\n`));
    });
  });
}

function triesAgain({ title, open, wireId }: Contract): void {
  test(`${title}: a message that is put off comes again with the same id`, async (t) => {
    const { world, peer, send } = await open(t);
    peer.answer("later");
    const notificationId = await send();
    const failed = await world.putOff(notificationId);
    assert.notEqual(failed.lastError, null);
    await world.passToAttempt(failed.id);
    const delivered = await world.only(notificationId, "delivered");
    assert.deepEqual([delivered.attempts, delivered.lastError], [2, null]);
    assert.deepEqual([...new Set(peer.seen)], [wireId(failed.id)]);
    assert.equal(peer.accepted.length, 1);
  });
}

function givesUp({ channel, title, open }: Contract): void {
  test(`${title}: a message that is refused is dead at once, and its job with it`, async (t) => {
    const { world, peer, send } = await open(t);
    peer.answer("refuse");
    const notificationId = await send();
    const dead = await world.only(notificationId, "dead");
    assert.equal(dead.attempts, 1);
    assert.deepEqual(rowsOf(world.prism, "select state from jobs where id = ?", dead.id), [{ state: "dead" }]);
    assert.deepEqual(world.audit(notificationId, channel), [
      { action: "notification.failed", metadata: { channel, delivered: 0, failed: 1, skipped: 0 } },
    ]);
    const next = await send();
    await world.until(next, "delivered");
  });
}

function disables({ title, open, isUsable }: Contract): void {
  test(`${title}: a place that is gone is not tried again`, async (t) => {
    const { world, peer, id, send } = await open(t);
    peer.answer("gone");
    const dead = await world.only(await send(), "dead");
    assert.equal(dead.attempts, 1);
    if (isUsable) assert.equal(await isUsable(world.prism, id), false);
  });
}

function pauses({ channel, title, open }: Contract): void {
  test(`${title}: a provider that refuses us is paused, and what waits for it loses no attempt`, async (t) => {
    const { world, peer, send } = await open(t);
    peer.answer("deny");
    const first = await send();
    const held = await world.untilHeld(first, "provider paused");
    const calls = peer.seen.length;
    const second = await send();
    const other = await world.untilHeld(second, "provider paused");
    assert.equal(peer.seen.length, calls, "nothing is sent during the pause");
    const { body } = await world.prism.get<{ paused: { channel: string; state: string }[] }>("/api/v1/status");
    // Of a webhook its host may be paused, too.
    assert.ok(body.paused.length > 0);
    for (const paused of body.paused) assert.deepEqual([paused.channel, paused.state], [channel, "open"]);
    assert.match(
      (await world.prism.get("/metrics")).text,
      new RegExp(`prism_delivery_paused\\{channel="${channel}"\\} 1`),
    );
    assert.deepEqual(rowsOf(world.prism, "select attempts from jobs where id in (?, ?)", held.id, other.id), [
      { attempts: 0 },
      { attempts: 0 },
    ]);
    // One goes when the pause is over, the other when that one was answered.
    await eventually("both are delivered", () => {
      const open = [held, other].filter(
        ({ id, notificationId }) =>
          !world.deliveries(notificationId).some((row) => row.id === id && row.state === "delivered"),
      );
      // Not while one is under way: a worker's lease would run out in the middle of it.
      if (open.every(({ id }) => world.dueAt(id) !== undefined)) world.pass(30_000);
      return open.length === 0;
    });
  });
}

function survivesDrop({ title, open, wireId }: Contract): void {
  test(`${title}: a connection that breaks costs nothing but time`, async (t) => {
    const { world, peer, send } = await open(t);
    peer.answer("drop");
    const notificationId = await send();
    const [delivery] = await eventually("a delivery is planned", () => {
      const rows = world.deliveries(notificationId);
      return rows.length === 1 ? rows : null;
    });
    assert.ok(delivery);
    await eventually("it is delivered", () => {
      if (world.dueAt(delivery.id) !== undefined) world.pass(60_000);
      return world.deliveries(notificationId)[0]?.state === "delivered";
    });
    assert.ok([...new Set(peer.seen)].every((id) => id === wireId(delivery.id)));
    assert.equal(peer.accepted.length, 1);
  });
}

function opensCircuit({ channel, title, open }: Contract): void {
  test(`${title}: a provider that breaks off five times in a row is asked no more for a while`, async (t) => {
    const { world, peer, send } = await open(t);
    peer.answer("drop");
    const notificationId = await send();
    for (let attempt = 1; attempt < 5; attempt++) {
      const failed = await world.only(notificationId, "failed");
      assert.equal(failed.attempts, attempt);
      peer.answer("drop");
      await world.passToAttempt(failed.id);
      await eventually("it was tried", () => world.deliveries(notificationId)[0]?.attempts === attempt + 1);
    }
    const { id: deliveryId } = await world.only(notificationId, "failed");
    const { body } = await world.prism.get<{ paused: { channel: string; state: string }[] }>("/api/v1/status");
    // Of a webhook its host may be paused, too.
    assert.ok(body.paused.length > 0);
    for (const paused of body.paused) assert.deepEqual([paused.channel, paused.state], [channel, "open"]);
    const calls = peer.seen.length;
    const other = await send();
    await world.untilHeld(other, "provider paused");
    assert.equal(peer.seen.length, calls);
    await eventually("both are delivered when it answers again", () => {
      if (world.dueAt(deliveryId) !== undefined) world.pass(30_000);
      return [notificationId, other].every((each) => world.deliveries(each)[0]?.state === "delivered");
    });
  });
}

function survivesRestart({ title, open, wireId }: Contract): void {
  test(`${title}: a crash in the middle of an attempt delivers at least once, with the same id`, async (t) => {
    const { world, peer, send } = await open(t);
    peer.answer("slow");
    const notificationId = await send();
    const sending = await world.only(notificationId, "sending");
    await eventually("the peer has the message", () => peer.seen.length > 0);
    const dir = await crashImage(t, world.prism);
    const again = await startPrism(t, { dir, clock: world.clock, settings: peer.settings });
    await eventually(
      "the next process has delivered it",
      () =>
        rowsOf<{ state: string }>(again, "select state from deliveries where id = ?", sending.id)[0]?.state ===
        "delivered",
      60_000,
    );
    peer.goOn();
    assert.deepEqual([...new Set(peer.seen)], [wireId(sending.id)]);
    assert.deepEqual(rowsOf(again, "select attempts from deliveries"), [{ attempts: 2 }]);
    await world.until(notificationId, "delivered");
  });
}
