import assert from "node:assert/strict";
import test from "node:test";
import { ClusterMember } from "../../src/cluster/member.ts";
import { recordBox } from "../../src/cluster/record.ts";
import type { NodeBeat } from "../../src/cluster/signals.ts";
import { silentLogger } from "../../src/core/log.ts";

const KEYS = { encryption: "1", tokens: "1" };
const MINUTE_MS = 60_000;

function memberWith(fencedAt: readonly number[]) {
  const clock = { now: 1_000_000_000 };
  let heard: (beat: NodeBeat) => void = () => undefined;
  const position = { sequence: 0, id: "", term: 0 };
  const member = new ClusterMember({
    ...{ node: "a", advertise: "http://a", isStandby: false, deadMs: 3000, fencedAt, keys: KEYS, readableKeys: ["1"] },
    journal: { append: async () => 0, follow: () => assert.fail("it does not follow"), last: async () => 0 },
    signals: {
      send: () => undefined,
      onBeat: (listener) => {
        heard = listener;
      },
    },
    applier: { position, sequence: 0, apply: () => null },
    box: recordBox(["a secret of the tests"]),
    log: silentLogger,
    time: {
      now: () => clock.now,
      elapsed: () => clock.now,
      sleep: async () => undefined,
      every: () => () => undefined,
    },
  });
  const hear = (fenced: number): void =>
    heard({
      ...{ node: "b", isLeader: false, isEnding: false, term: 0, sequence: 0, recordAt: clock.now, mayLead: true },
      ...{ advertise: "http://b", at: clock.now, version: "1", fenced, keys: KEYS },
    });
  return { member, clock, hear };
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
