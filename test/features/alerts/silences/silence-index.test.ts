import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { Matcher } from "../../../../src/features/alerts/model/matchers.ts";
import { compileMatcher } from "../../../../src/features/alerts/model/matching.ts";
import { compiled, SilenceIndex } from "../../../../src/features/alerts/silences/silence-index.ts";

const names = fc.constantFrom("alertname", "team", "instance", "env");
const values = fc.constantFrom("a", "b", "c", "a-1", "b-1", "");
const matcher: fc.Arbitrary<Matcher> = fc.oneof(
  fc.record({ name: names, operator: fc.constantFrom("=" as const, "!=" as const), value: values }),
  fc.record({
    name: names,
    operator: fc.constantFrom("=~" as const, "!~" as const),
    value: fc.constantFrom("a|b", "a|", "a.*", ".+", ".*", "[ab]-1", "a-1|b-1|c", "(a|c)", "b?"),
  }),
);
const isUsable = (matchers: readonly Matcher[]): boolean => matchers.some((each) => !compileMatcher(each)(""));
const matchers = fc.array(matcher, { minLength: 1, maxLength: 4 }).filter(isUsable);
const labels = fc.dictionary(names, values, { noNullPrototype: true });
const alertOf = (record: Readonly<Record<string, string>>) => ({ label: (name: string) => record[name] ?? "" });

test("the index finds what a comparison with every silence finds, whatever was added and removed", () =>
  fc.assert(
    fc.property(
      fc.array(matchers, { maxLength: 60 }),
      fc.array(fc.nat(), { maxLength: 30 }),
      fc.array(labels, { minLength: 1, maxLength: 10 }),
      (lists, removed, alerts) => {
        const index = new SilenceIndex<{ id: number; matchers: ReturnType<typeof compiled> }>();
        const silences = new Map(lists.map((list, id) => [id, { id, matchers: compiled(list) }]));
        for (const silence of silences.values()) index.add(silence);
        for (const record of alerts) index.matching(alertOf(record));
        for (const at of removed) {
          const silence = silences.get(at % (lists.length || 1));
          if (silence) index.delete(silence);
          if (silence) silences.delete(silence.id);
        }
        assert.equal(index.size, silences.size);
        for (const record of alerts) {
          const expected = [...silences.values()].filter((silence) =>
            silence.matchers.every((each) => compileMatcher(each)(record[each.name] ?? "")),
          );
          const found = index.matching(alertOf(record));
          assert.deepEqual(found.map(({ id }) => id).sort(), expected.map(({ id }) => id).sort());
        }
      },
    ),
  ));

test("a silence is filed under its rarest pair, also when many share another one", () => {
  const index = new SilenceIndex<{ matchers: ReturnType<typeof compiled> }>();
  let compared = 0;
  for (let n = 0; n < 1000; n++) {
    const list = compiled([
      { name: "severity", operator: "=", value: "critical" },
      { name: "instance", operator: "=", value: `i${n}` },
    ]);
    index.add({
      matchers: list.map((each) => ({ ...each, matches: (value: string) => ++compared > 0 && each.matches(value) })),
    });
  }
  const alert = alertOf({ severity: "critical", instance: "i7" });
  compared = 0;
  assert.equal(index.matching(alert).length, 1);
  assert.ok(compared < 100, `${compared} comparisons`);
});

test("a silence without an exact value is compared with a value once, until the silences change", () => {
  const index = new SilenceIndex<{ matchers: ReturnType<typeof compiled> }>();
  let tested = 0;
  const [pattern] = compiled([{ name: "instance", operator: "=~", value: "db-.*" }]);
  assert.ok(pattern);
  index.add({ matchers: [{ ...pattern, matches: (value) => ++tested > 0 && pattern.matches(value) }] });
  const alert = alertOf({ instance: "web-1" });
  tested = 0;
  for (let n = 0; n < 100; n++) assert.deepEqual(index.matching(alert), []);
  assert.equal(tested, 1);
  index.add({ matchers: compiled([{ name: "instance", operator: "=~", value: "web-.*" }]) });
  assert.equal(index.matching(alert).length, 1);
});
