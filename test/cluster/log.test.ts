import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import type { Subscription } from "@nats-io/transport-node";
import { Fenced, LogGone, LogRefuses } from "../../src/cluster/log/log.ts";
import { askAgain, connectNats, type LogOptions, NatsLog, NatsServerRefused } from "../../src/cluster/log/nats-log.ts";
import { eventually } from "../helpers/eventually.ts";
import type { Scope } from "../helpers/scope.ts";
import { type NatsServer, seal, startNats } from "./support/nats.ts";

async function openLog(t: Scope, servers: readonly NatsServer[], name = "test") {
  const options: LogOptions = {
    servers: servers.map(({ address }) => address),
    ...{ name, replicas: servers.length, allowOldServer: false },
  };
  const connection = await connectNats(options, "a");
  t.after(() => connection.close());
  const log = await NatsLog.open(connection, options);
  // For a moment after their start servers may count one of them as offline.
  let refusal = "";
  const make = (): Promise<boolean> =>
    log.create(options.replicas).then(
      () => true,
      (error: unknown) => {
        refusal = String(error);
        return false;
      },
    );
  if (!(await log.exists())) await eventually(() => `the log is made: ${refusal}`, make);
  return { log, connection, options };
}

const bytes = (text: string) => Buffer.from(text);

async function take(log: NatsLog, after: number, count: number): Promise<string[]> {
  const found: string[] = [];
  const following = log.follow(after);
  for await (const message of following) {
    assert.equal(message.sequence, after + found.length + 1);
    found.push(Buffer.from(message.bytes).toString());
    if (found.length === count) following.stop();
  }
  return found;
}

test("a record is appended directly after the one before, and by one node only", async (t) => {
  const servers = await startNats(t, 3);
  const { log } = await openLog(t, servers);
  const others = await Promise.all([openLog(t, servers), openLog(t, servers)]);
  assert.equal(await log.last(), 0);
  assert.equal(await log.append([bytes("a"), bytes("b")], 0), 2, "the parts of one record");
  for (let round = 0; round < 20; round++) {
    const after = await log.last();
    const all = [log, ...others.map((other) => other.log)];
    const results = await Promise.allSettled(all.map((each, i) => each.append([bytes(`${round} ${i}`)], after)));
    const kept = results.filter(({ status }) => status === "fulfilled");
    assert.equal(kept.length, 1, `round ${round}`);
    for (const result of results) if (result.status === "rejected") assert.ok(result.reason instanceof Fenced);
  }
  assert.equal(await log.last(), 22);
  assert.deepEqual(await take(log, 0, 2), ["a", "b"]);
  const { connection, options } = await openLog(t, servers);
  await servers[2]?.stop();
  const next = await NatsLog.open(connection, { ...options, name: "next" });
  await eventually("the missing server is named as the reason", async () => {
    const refusal = await next.create(3).then(
      () => "",
      (error: unknown) => String(error),
    );
    return /^LogNotMade: the first start needs all 3 nats-servers .*: restart them, one after the other$/.test(refusal);
  });
});

test("what a node needs next must be in the log, and what it has must be there", async (t) => {
  const servers = await startNats(t);
  const { log } = await openLog(t, servers);
  await log.append([bytes("a")], 0);
  const { connection, options } = await openLog(t, servers);
  const other = await NatsLog.open(connection, { ...options, name: "alone" });
  await assert.rejects(other.create(3), /^LogNotMade: cluster\.replicas is 3, and the nats-server is in no cluster/);
  await assert.rejects(take(log, 5, 1), (error) => error instanceof LogGone && /lost its end/.test(error.message));
});

test("no consumer is left when a node reads no longer, whether it was made already or only asked for", async (t) => {
  const servers = await startNats(t);
  const { log, connection } = await openLog(t, servers);
  await log.append([bytes("a")], 0);
  assert.deepEqual(await take(log, 0, 1), ["a"]);
  for (let turns = 0; turns < 40; turns++) {
    const following = log.follow(0);
    const reading = (async () => {
      for await (const _ of following);
    })();
    for (let n = 0; n < turns; n++) await setImmediate();
    following.stop();
    await reading;
  }
  const manager = await jetstreamManager(connection, { checkAPI: false });
  await eventually("all consumers are removed", async () => {
    const consumers = await manager.consumers.list("prism_test").next();
    return consumers.length === 0;
  });
});

test("a request without an answer is sent again; an error is one, and ends it", async () => {
  const replies: ((answer: string) => void)[] = [];
  const answer = askAgain(() => new Promise<string>((resolve) => replies.push(resolve)), 1);
  await eventually("it is sent again", () => replies.length >= 3);
  replies[1]?.("second");
  assert.equal(await answer, "second");
  let count = 0;
  const failing = askAgain(async () => {
    count++;
    throw new Error("refused");
  }, 60_000);
  await assert.rejects(failing, /refused/);
  assert.equal(count, 1);
});

test("a lost subscription for answers to appends is replaced, and what was appended is there once", async (t) => {
  const { log, connection } = await openLog(t, await startNats(t));
  const subscribe = connection.subscribe.bind(connection);
  const subscriptions: Subscription[] = [];
  connection.subscribe = (subject, options) => {
    const subscription = subscribe(subject, options);
    subscriptions.push(subscription);
    return subscription;
  };
  assert.equal(await log.append([bytes("before")], 0), 1);
  const [lost, ...more] = subscriptions;
  assert.ok(lost && more.length === 0, "all appends share one");
  // The servers know it no longer, and say nothing.
  lost.unsubscribe();
  const appended = ["without an answer", "in doubt", "after", "at last"];
  for (const [after, text] of appended.entries()) assert.equal(await log.append([bytes(text)], after + 1), after + 2);
  assert.equal(subscriptions.length, 2, "another one is used from then on");
  assert.equal(subscriptions[1]?.isClosed(), false);
  assert.deepEqual(await take(log, 0, 5), ["before", ...appended]);
  assert.equal(log.doubt, null);
});

test("a log that is full or sealed, and a message that is too large, say what to do", async (t) => {
  const servers = await startNats(t);
  const { log, connection } = await openLog(t, servers);
  await log.append([bytes("a")], 0);
  const manager = await jetstreamManager(connection, { checkAPI: false });
  const { bytes: used } = await log.room();
  await manager.streams.update("prism_test", { max_bytes: used + 50 });
  assert.deepEqual(await log.room(), { bytes: used, most: used + 50, isSealed: false });
  const appending = log.append([Buffer.alloc(1000)], 1);
  await eventually("it says why it waits", () => log.doubt instanceof LogRefuses);
  assert.equal(
    (log.doubt as Error).message,
    "the log of the cluster is full (maximum bytes exceeded): raise max_bytes of the stream prism_test if it has " +
      "one, max_file_store of the nats-servers, or free space on their disks",
  );
  await manager.streams.update("prism_test", { max_bytes: -1 });
  assert.equal(await appending, 2);
  await assert.rejects(log.append([bytes("part"), Buffer.alloc(1_048_576)], 2), {
    name: "RecordTooLarge",
    message:
      "a message of 1049088 bytes is too large for the nats-server, which takes 1048576: " +
      "set max_payload: 1MB in the configuration of each",
  });
  assert.equal(await log.last(), 2, "no part of it was sent");
  await seal(connection, "prism_test");
  const sealed = { name: "LogRefuses", message: /^the log of the cluster is sealed, .*; .*prism cluster reseed/ };
  await assert.rejects(log.last(), sealed);
  assert.equal((await log.room()).isSealed, true);
});

test("what a node reads of a log that is gone says what to do", async (t) => {
  const { log } = await openLog(t, await startNats(t));
  await log.append([bytes("a")], 0);
  await log.remove();
  const gone = { name: "LogRefuses", message: /^the log of the cluster is gone: .*prism cluster reseed/ };
  await assert.rejects(log.last(), gone);
  await assert.rejects(take(log, 1, 1), gone);
});

test("servers that may lose what they acknowledged are refused", async (t) => {
  const servers = await startNats(t);
  const { connection, options } = await openLog(t, servers);
  const old = new Proxy(connection, {
    get: (target, name) =>
      name === "info" ? { ...target.info, version: "2.9.10" } : Reflect.get(target, name, target),
  });
  await assert.rejects(NatsLog.open(old, options), NatsServerRefused);
  await NatsLog.open(old, { ...options, allowOldServer: true });
});
