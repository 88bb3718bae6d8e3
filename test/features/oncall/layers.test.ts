import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import {
  finalShifts,
  gapsOf,
  type Layer,
  nextOnCall,
  type Roster,
  type Span,
  type Substitution,
  stints,
} from "../../../src/features/oncall/model/layers.ts";
import { processorMs } from "../../helpers/cpu-time.ts";

const USERS = ["a", "b", "c", "d"];
const END = 40;

interface Given extends Span {
  readonly level: number;
}

const span = fc.tuple(fc.integer({ min: 0, max: END }), fc.integer({ min: 1, max: 15 }));
const users = fc.uniqueArray(fc.constantFrom(...USERS), { maxLength: 3 });
const shifts = fc.array(
  fc
    .tuple(span, users, fc.integer({ min: 0, max: 3 }))
    .map(([[start, length], users, level]): Given => ({ start, end: start + length, users, level })),
  { maxLength: 8 },
);
const substitutions = fc.array(
  fc
    .tuple(span, fc.constantFrom(...USERS), fc.uniqueArray(fc.constantFrom(...USERS), { minLength: 1, maxLength: 2 }))
    .map(([[start, length], user, by]): Substitution => ({ id: "s", start, end: start + length, user, by })),
  { maxLength: 4 },
);

const layerOf = ({ start, end, users, level }: Given, index: number): Layer => ({
  id: `l${index}`,
  level,
  spans: (from, to) => (start < to && end > from ? [{ start, end, users }] : []),
});

/** Who is on call at one instant, by the words of the page. */
function modelAt(
  given: readonly Given[],
  replaced: readonly Substitution[],
  counts: (user: string) => boolean,
  at: number,
) {
  const isOn = ({ start, end }: { start: number; end: number }): boolean => start <= at && end > at;
  for (let level = 3; level >= 0; level--) {
    const found = new Set<string>();
    for (const shift of given.filter((each) => each.level === level && isOn(each)))
      for (const first of shift.users) {
        let current = [first];
        for (const { user, by } of replaced.filter(isOn)) {
          const takers = by.filter(counts);
          if (takers.length > 0) current = current.flatMap((each) => (each === user ? takers : [each]));
        }
        for (const each of current) if (counts(each)) found.add(each);
      }
    if (found.size > 0) return [...found].sort();
  }
  return [];
}

test("final shifts, gaps and the next ones are those of a model that looks at each instant", () => {
  fc.assert(
    fc.property(shifts, substitutions, fc.subarray(USERS), (given, replaced, active) => {
      const counts = (user: string): boolean => active.includes(user);
      const roster: Roster = { layers: given.map(layerOf), substitutions: replaced };
      const expected = Array.from({ length: END }, (_, at) => modelAt(given, replaced, counts, at).join());
      const found = Array.from({ length: END }, () => "");
      const final = finalShifts(roster, 0, END, counts);
      for (const { start, end, users } of final) for (let at = start; at < end; at++) found[at] = users.join();
      assert.deepEqual(found, expected);
      const gaps = Array.from({ length: END }, () => false);
      for (const { start, end } of gapsOf(roster, 0, END, counts)) gaps.fill(true, start, end);
      assert.deepEqual(
        gaps,
        expected.map((names) => names === ""),
      );
      for (const [index, each] of stints(final).entries()) {
        const before = stints(final)[index - 1];
        assert.ok(!before || before.end < each.start || before.users.join() !== each.users.join(), "stints are joined");
      }
    }),
  );
});

test("the next ones are other users, or the same ones after a gap", () => {
  const weekly = (offset: number, user: string): Layer => ({
    id: user,
    level: 0,
    spans: (from, to) => {
      const found: Span[] = [];
      for (let start = offset; start < to; start += 20 * DAY)
        if (start + 10 * DAY > from) found.push({ start, end: start + 10 * DAY, users: [user] });
      return found;
    },
  });
  const both = { layers: [weekly(0, "a"), weekly(10 * DAY, "b")], substitutions: [] };
  const { current, next } = nextOnCall(both, DAY);
  assert.deepEqual([current?.users, current?.end, next?.users, next?.end], [["a"], 10 * DAY, ["b"], 20 * DAY]);
  const alone = nextOnCall({ layers: [weekly(0, "a")], substitutions: [] }, 11 * DAY);
  assert.deepEqual([alone.current, alone.next?.users, alone.next?.start], [null, ["a"], 20 * DAY]);
  const always: Layer = { id: "x", level: 0, spans: (start, end) => [{ start, end, users: ["a"] }] };
  const endless = nextOnCall({ layers: [always], substitutions: [] }, 0);
  assert.deepEqual([endless.current?.end, endless.next], [null, null]);
});

test("spans that overlap many others of the same users are looked at where they start and end", () => {
  const looks = (count: number): number => {
    let found = 0;
    const counts = (): boolean => {
      found++;
      return true;
    };
    const users = ["a"];
    const spans = Array.from({ length: count }, (_, start) => ({ start, end: start + count, users }));
    const roster = { layers: [{ id: "x", level: 0, spans: () => spans }], substitutions: [] };
    assert.deepEqual(finalShifts(roster, 0, 3 * count, counts), [
      { start: 0, end: 2 * count - 1, users, level: 0, shiftIds: ["x"] },
    ]);
    return found;
  };
  assert.ok(looks(2000) <= 4 * 2000);
});

test("stints of thousands of shifts of one user are joined in linear time", () => {
  const shifts = Array.from({ length: 20_000 }, (_, start) => ({
    ...{ start, end: start + 1, users: ["a"], level: 0, shiftIds: [`shift-${start}`] },
  }));
  const took = processorMs(() => {
    const [only, ...others] = stints(shifts);
    assert.deepEqual([only?.start, only?.end, only?.shiftIds.length, others], [0, 20_000, 20_000, []]);
  });
  // About 10 ms; it took 10 s.
  assert.ok(took < 500, `${took} ms`);
});

const DAY = 86_400_000;
