import assert from "node:assert/strict";
import test from "node:test";
import type { Following } from "../../src/cluster/log.ts";
import { ClusterMember } from "../../src/cluster/member.ts";
import { RecordReader, recordBox } from "../../src/cluster/record.ts";
import type { NodeBeat } from "../../src/cluster/signals.ts";
import { silentLogger } from "../../src/core/log.ts";

const KEYS = { encryption: "1", tokens: "1" };
const MINUTE_MS = 60_000;

function memberWith(fencedAt: readonly number[] = []) {
  const clock = { now: 1_000_000_000 };
  let heard: (beat: NodeBeat) => void = () => undefined;
  const position = { sequence: 0, id: "", term: 0 };
  const box = recordBox(["a secret of the tests"]);
  const sent: NodeBeat[] = [];
  const works = new Set<() => void>();
  const log = logOfOneReader();
  const member = new ClusterMember({
    ...{ node: "a", advertise: "http://a", isStandby: false, deadMs: 3000, fencedAt, keys: KEYS, readableKeys: ["1"] },
    journal: {
      async append([message]) {
        log.add(message as Uint8Array);
        return 1;
      },
      follow: log.follow,
      last: async () => 0,
    },
    signals: {
      send: (beat) => void sent.push(beat),
      onBeat: (listener) => {
        heard = listener;
      },
    },
    applier: { position, sequence: 0, apply: ({ bytes }) => new RecordReader(box).read(bytes) },
    ...{ box, log: silentLogger },
    time: {
      now: () => clock.now,
      elapsed: () => clock.now,
      sleep: async () => undefined,
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
  return { member, clock, hear, sent, tick };
}

/** Gives what is added to its reader, until that stops. */
function logOfOneReader() {
  const added: Uint8Array[] = [];
  let wake: () => void = () => undefined;
  let isStopped = false;
  return {
    add(message: Uint8Array): void {
      added.push(message);
      wake();
    },
    follow: (): Following => ({
      stop() {
        isStopped = true;
        wake();
      },
      async *[Symbol.asyncIterator]() {
        while (!isStopped) {
          const bytes = added.shift();
          if (bytes) yield { sequence: 1, bytes };
          else
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
        }
      },
    }),
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

test("of two nodes with one name the one that began later ends and says why", async () => {
  const { member, clock, hear } = memberWith();
  const leads = member.untilLeader();
  const namesake = { node: "a", run: "other", startedAt: clock.now - 1000 };
  hear(0, namesake);
  clock.now += 4999;
  hear(0, namesake);
  hear(0, { ...namesake, run: "later", startedAt: clock.now });
  hear(0, namesake);
  clock.now += 5000;
  hear(0, namesake);
  await assert.rejects(leads, /another node of the cluster is named a: give each its own cluster\.node/);
});
