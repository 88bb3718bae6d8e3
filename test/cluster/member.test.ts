import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate } from "node:timers/promises";
import { type ClusterLog, type Following, type LogMessage, LogRefuses } from "../../src/cluster/log/log.ts";
import type { Position } from "../../src/cluster/log/position.ts";
import { encodeRecord, RecordReader, recordBox } from "../../src/cluster/log/record.ts";
import { ClusterMember } from "../../src/cluster/member.ts";
import type { NodeBeat } from "../../src/cluster/signals.ts";
import { silentLogger } from "../../src/core/log.ts";
import { eventually } from "../helpers/eventually.ts";

const KEYS = { encryption: "1", tokens: "1" };
const MINUTE_MS = 60_000;

const BOX = recordBox(["a secret of the tests"]);

/** A record of an idle leader, sent at a time. */
function beatOf(id: number, at: number): Uint8Array {
  const content = { kind: "beat" } as const;
  const own = { id: id.toString(16).padStart(16, "0"), previous: "", term: 1, node: "b", at, content };
  return encodeRecord(own, BOX)[0] as Uint8Array;
}

/** @param missed what the log has, and no following brings */
function memberWith(
  fencedAt: readonly number[] = [],
  missed: readonly Uint8Array[] = [],
  journal: Partial<ClusterLog> = {},
) {
  const clock = { now: 1_000_000_000 };
  let heard: (beat: NodeBeat) => void = () => undefined;
  const reader = new RecordReader(BOX);
  const applied: number[] = [];
  const calls = { follow: 0, get: 0 };
  let position: Position = { sequence: 0, id: "", term: 0 };
  const sent: NodeBeat[] = [];
  const works = new Set<() => void>();
  const log = logOfOneReader();
  const member = new ClusterMember({
    ...{
      node: "a",
      advertise: "http://a",
      isStandby: false,
      hasRoom: () => true,
      deadMs: 3000,
      fencedAt,
      keys: KEYS,
      readableKeys: ["1"],
    },
    journal: {
      async append([message]) {
        log.add(message as Uint8Array, missed.length + 1);
        return missed.length + 1;
      },
      follow() {
        calls.follow++;
        return log.follow();
      },
      async get(sequence) {
        calls.get++;
        const bytes = missed[sequence - 1];
        return bytes === undefined ? null : { sequence, bytes };
      },
      last: async () => missed.length,
      doubt: null,
      ...journal,
    },
    signals: {
      send: (beat) => void sent.push(beat),
      onBeat: (listener) => {
        heard = listener;
      },
    },
    applier: {
      get position() {
        return position;
      },
      get sequence() {
        return applied.at(-1) ?? 0;
      },
      apply({ sequence, bytes }) {
        applied.push(sequence);
        const record = reader.read(bytes);
        if (record) position = { sequence, id: record.id, term: record.term };
        return record;
      },
    },
    ...{ box: BOX, log: silentLogger },
    time: {
      now: () => clock.now,
      elapsed: () => clock.now,
      async sleep(ms) {
        clock.now += ms;
        await setImmediate();
      },
      every(_ms, work) {
        works.add(work);
        return () => works.delete(work);
      },
    },
  });
  let count = 0;
  const hear = (fenced: number, more: Partial<NodeBeat> = {}): void =>
    heard({
      ...{ run: "b1", startedAt: 0, count: count++ },
      ...{ node: "b", isLeader: false, isEnding: false, term: 0, sequence: 0, recordAt: clock.now, mayLead: true },
      ...{ advertise: "http://b", at: clock.now, version: "1", fenced, keys: KEYS },
      ...more,
    });
  const tick = (): void => {
    for (const work of works) work();
  };
  return { member, clock, hear, sent, tick, applied, calls, log };
}

/** Gives what is added to its reader, until that stops. */
function logOfOneReader() {
  const added: LogMessage[] = [];
  let wake: () => void = () => undefined;
  let isStopped = false;
  return {
    add(bytes: Uint8Array, sequence: number): void {
      added.push({ sequence, bytes });
      wake();
    },
    follow(): Following {
      isStopped = false;
      return {
        stop() {
          isStopped = true;
          wake();
        },
        async *[Symbol.asyncIterator]() {
          while (!isStopped) {
            const message = added.shift();
            if (message) yield message;
            else
              await new Promise<void>((resolve) => {
                wake = resolve;
              });
          }
        },
      };
    },
  };
}

test("from the third leader on that was blocked within ten minutes a node waits longer, at most 30 s", () => {
  const { member, clock, hear } = memberWith([1_000_000_000 - MINUTE_MS]);
  assert.equal(member.deadMs, 3000);
  hear(1);
  assert.deepEqual([member.fenced, member.deadMs], [2, 3000]);
  hear(2);
  assert.equal(member.deadMs, 6000);
  hear(9);
  assert.equal(member.deadMs, 30_000);
  hear(2);
  clock.now += 9 * MINUTE_MS;
  assert.deepEqual([member.fenced, member.deadMs], [2, 3000], "its own was ten minutes ago");
  clock.now += MINUTE_MS;
  assert.equal(member.fenced, 0, "the other node is gone");
});

test("a node that has won says so until it serves: others wait, however long its migrations take", async () => {
  const { member, clock, sent, tick } = memberWith();
  const leads = member.untilLeader();
  clock.now += 3000;
  tick();
  await leads;
  clock.now += 60_000;
  tick();
  const preparing = sent.at(-1);
  assert.deepEqual([preparing?.isLeader, preparing?.isEnding], [true, true]);
  assert.equal(member.silentMs, 0);
  member.lead(() => 7);
  const serving = sent.at(-1);
  assert.deepEqual([serving?.isLeader, serving?.isEnding, serving?.sequence], [true, false, 7]);
  member.stop();
  const before = sent.length;
  tick();
  tick();
  assert.equal(sent.length, before);
});

test("a candidate whose following is silent reads the end of the log, and its own record, by itself", async () => {
  const { member, clock, tick, applied, calls } = memberWith(
    [],
    [1, 2, 3].map((id) => beatOf(id, 1_000_000_000)),
  );
  const leads = member.untilLeader();
  clock.now += 3000;
  tick();
  const { position } = await leads;
  assert.deepEqual(applied, [1, 2, 3, 4]);
  assert.deepEqual([position.sequence, position.term, calls.get], [4, 2, 3]);
});

test("a candidate that lacks more than it reads by itself follows again", async () => {
  const missed = Array.from({ length: 65 }, (_, id) => beatOf(id, 0));
  const { member, clock, tick, applied, calls } = memberWith([], missed);
  const leads = member.untilLeader();
  leads.catch(() => undefined);
  clock.now += 3000;
  tick();
  await eventually("it follows again", () => calls.follow === 2);
  assert.deepEqual([applied, calls.get], [[], 0]);
  member.stop();
  await assert.rejects(leads, { name: "MemberStopped" });
});

test("what is read late is no sign of the leader; what it has just written is one", async () => {
  const { member, clock, log, applied } = memberWith();
  const leads = member.untilLeader();
  clock.now += 10_000;
  for (const [sequence, ageMs] of [
    [1, 10_000],
    [2, 9000],
    [3, 1500],
  ] as const) {
    log.add(beatOf(sequence, clock.now - ageMs), sequence);
    await eventually("it is applied", () => applied.includes(sequence));
    assert.equal(member.silentMs, ageMs);
  }
  member.stop();
  await assert.rejects(leads, { name: "MemberStopped" });
});

test("a candidate whose record the log refuses says why no node leads, until one does", async () => {
  const full = new LogRefuses("the log is full: give it room");
  let accept: ((sequence: number) => void) | null = null;
  const append = () =>
    new Promise<number>((resolve) => {
      accept = resolve;
    });
  const { member, clock, tick } = memberWith([], [], { append, doubt: full });
  const leads = member.untilLeader();
  assert.equal(member.problem, null, "nothing was appended yet");
  clock.now += 3000;
  tick();
  const accepted = await eventually("it stands", () => accept);
  assert.equal(member.problem, "the log is full: give it room");
  accepted(1);
  await leads;
  await eventually("it is over", () => member.problem === null);
});

test("a candidate that finds the log sealed says so", async () => {
  const last = async () => {
    throw new LogRefuses("the log is sealed");
  };
  const { member, clock, tick } = memberWith([], [], { last });
  const leads = member.untilLeader();
  clock.now += 3000;
  tick();
  await eventually("it says so", () => member.problem === "the log is sealed");
  member.stop();
  await assert.rejects(leads, { name: "MemberStopped" });
});

test("beats that come a second time, or late, do not count", () => {
  const { member, clock, hear } = memberWith();
  hear(0, { isLeader: true, count: 5 });
  clock.now += 2000;
  hear(0, { isLeader: true, count: 5 });
  hear(0, { isLeader: true, count: 4 });
  clock.now += 1500;
  const runOfLeader = (): string | null => member.leader?.run ?? null;
  assert.equal(runOfLeader(), null);
  hear(0, { isLeader: true, count: 0, run: "b2" });
  assert.equal(runOfLeader(), "b2", "another process of the node");
});

const NAMED_TWICE = /another node of the cluster is named a: give each its own cluster\.node/;

/** Another node `a`, that has run for this long, whose clock is ahead by `skewMs`, is heard for ten seconds. */
async function hearNamesake(ageMs: number, skewMs: number, isLeader = false): Promise<void> {
  const { member, clock, hear } = memberWith();
  const leads = member.untilLeader();
  const began = clock.now;
  clock.now += 1000;
  const startedAt = began + 1000 - ageMs + skewMs;
  for (let beats = 0; beats <= 20; beats++) {
    hear(0, { node: "a", run: "other", startedAt, at: clock.now + skewMs, isLeader });
    clock.now += 500;
  }
  await Promise.race([leads, setImmediate()]);
  member.stop();
  await leads;
}

test("of two nodes with one name the one that began later ends and says why, whatever their clocks say", async () => {
  for (const skewMs of [0, -3_600_000, 3_600_000]) {
    await assert.rejects(hearNamesake(1500, skewMs), NAMED_TWICE, `${skewMs}`);
    await assert.rejects(hearNamesake(500, skewMs), { name: "MemberStopped" }, `${skewMs}`);
    await assert.rejects(hearNamesake(500, skewMs, true), NAMED_TWICE, "a leader goes on");
  }
});

test("a process of the same node that has just ended is no other node", async () => {
  const { member, clock, hear } = memberWith();
  const leads = member.untilLeader();
  const namesake = { node: "a", run: "other", startedAt: clock.now - 1000 };
  hear(0, namesake);
  clock.now += 4999;
  hear(0, namesake);
  hear(0, { ...namesake, run: "later", startedAt: clock.now });
  hear(0, namesake);
  clock.now += 4999;
  hear(0, namesake);
  member.stop();
  await assert.rejects(leads, { name: "MemberStopped" });
});
