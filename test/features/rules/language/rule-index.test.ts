import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Condition,
  ConditionTooCostly,
  compileCondition,
  RULES_START,
  type RuleEvent,
  RuleIndex,
  type RulePosition,
  type RuleWalk,
} from "../../../../src/features/rules/language/language.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { condition, event, SEED } from "./support/arbitraries.ts";
import { print } from "./support/ast.ts";
import { makeEvent } from "./support/event.ts";

interface Rule {
  readonly key: string;
  readonly condition: Condition;
  readonly priority: number;
  readonly createdAt: number;
  readonly projectId: string | null;
}

function add(index: RuleIndex<string>, key: string, source: string, rest: Partial<Rule> = {}): void {
  const { priority = 0, createdAt = 0, projectId = null } = rest;
  index.add(key, compileCondition(source), { priority, createdAt }, projectId, key);
}

function match(index: RuleIndex<string>, each: RuleEvent = makeEvent()): readonly string[] {
  const matched = index.match(each, (_rule, error) => {
    throw error;
  });
  assert.ok(matched, "it takes one turn");
  return matched;
}

test("matching rules come by priority, then age, then key", () => {
  const index = new RuleIndex<string>();
  add(index, "b", "true", { priority: 1, createdAt: 5 });
  add(index, "a", "event.type == 'payment'", { priority: 1, createdAt: 5 });
  add(index, "late", "event.amount > 1", { priority: 1, createdAt: 6 });
  add(index, "old", "startsWith(event.status, 'fail')", { priority: 1, createdAt: 4 });
  add(index, "first", "event.source == 'shop'", { priority: 1000, createdAt: 9 });
  add(index, "last", "event.amount < 2000", { priority: 0, createdAt: 1 });
  add(index, "no", "event.type == 'refund'", { priority: 9 });
  assert.deepEqual(match(index), ["first", "old", "a", "b", "late", "last"]);
});

test("a rule of a project meets that project's events only, a rule of none meets all", () => {
  const index = new RuleIndex<string>();
  add(index, "mine", "event.type == 'payment'", { projectId: "p1" });
  add(index, "other", "event.type == 'payment'", { projectId: "p2" });
  add(index, "everyone", "event.type == 'payment'");
  add(index, "unfiled", "not (event.type == 'x')", { projectId: "p1" });
  assert.deepEqual(match(index, makeEvent({ projectId: "p1" })), ["everyone", "mine", "unfiled"]);
  assert.deepEqual(match(index, makeEvent({ projectId: "p2" })), ["everyone", "other"]);
  assert.deepEqual(match(index, makeEvent({ projectId: "p3" })), ["everyone"]);
});

test("add replaces the rule of the same key, remove returns whether there was one", () => {
  const index = new RuleIndex<string>();
  add(index, "a", "event.type == 'payment'");
  add(index, "a", "event.type == 'refund'", { projectId: "default" });
  assert.equal(index.size, 1);
  assert.deepEqual(match(index), []);
  assert.deepEqual(match(index, makeEvent({ type: "refund" })), ["a"]);
  assert.equal(index.remove("a"), true);
  assert.equal(index.remove("a"), false);
  assert.equal(index.size, 0);
  assert.deepEqual(match(index, makeEvent({ type: "refund" })), []);
});

test("match gives back what was added", () => {
  const index = new RuleIndex<{ id: number }>();
  const rule = { id: 7 };
  index.add("k", compileCondition("true"), { priority: 0, createdAt: 0 }, null, rule);
  assert.equal(index.match(makeEvent(), assert.fail)?.[0], rule);
});

test("a rule whose evaluation fails is reported and stops no other", () => {
  const index = new RuleIndex<string>();
  add(index, "before", "true", { priority: 2 });
  add(index, "fails", "concat(event.big, event.big) != ''", { priority: 1 });
  add(index, "after", "event.type == 'payment'");
  const failed: unknown[] = [];
  const big = makeEvent({ payload: { big: "x".repeat(600_000) } });
  const onError = (rule: string, error: unknown): unknown => failed.push([rule, (error as Error).message]);
  assert.equal(index.match(big, onError), null);
  const matched: string[] = [];
  for (let after: RulePosition | null = RULES_START; after; ) {
    const walk: RuleWalk<string> = index.walk(big, after, onError);
    matched.push(...walk);
    after = walk.isComplete ? null : walk.last;
  }
  assert.deepEqual(matched, ["before", "after"]);
  assert.deepEqual(failed, [["fails", new ConditionTooCostly().message]]);
});

for (const source of [
  "any(event.list, item.kind == 'x')",
  "count(event.list, item == event.user) > 0",
  "any(event.list, event.user == 'u2') or event.user == 'u1'",
  "all(event.list, item.user == 'u1')",
  "not any(event.other, event.user == 'u1')",
])
  test(`the index never skips a rule for what is true of an element only: ${source}`, () => {
    const index = new RuleIndex<string>();
    add(index, "list", source);
    const list = [{ kind: "x", user: "u1" }];
    for (const payload of [{ list }, { list, user: "u2" }, { list: ["u2"], user: "u2" }, { user: "u1", list }]) {
      const each = makeEvent({ payload });
      assert.deepEqual(match(index, each), compileCondition(source).test(each) ? ["list"] : []);
    }
  });

test("the index may be changed from onError", () => {
  const index = new RuleIndex<string>();
  add(index, "fails", "concat(event.big, event.big) != ''");
  const big = makeEvent({ payload: { big: "x".repeat(600_000) } });
  assert.deepEqual(
    index.match(big, (rule) => index.remove(rule)),
    [],
  );
  assert.equal(index.size, 0);
});

// What each shape of condition is filed under, seen from outside: an event that cannot match asks
// none of the rules.
for (const { name, source, miss } of [
  { name: "an equality", source: "event.user == 'u1' and event.amount > 1", miss: '{"user":"u2","amount":5}' },
  { name: "an equality written the other way", source: "'u1' == event.user", miss: '{"user":"u2"}' },
  { name: "an equality with a number", source: "event.code == 5", miss: '{"code":"5"}' },
  { name: "an equality with a boolean", source: "event.flag == true", miss: '{"flag":false}' },
  { name: "a flag", source: "event.flag and not event.other", miss: '{"flag":1}' },
  { name: "a list of values", source: "event.user in ['u1', 'u3']", miss: '{"user":"u2"}' },
  {
    name: "an or about one path",
    source: "event.user == 'u1' or event.user in ['u3'] or event.user == 'u4'",
    miss: '{"user":"u2"}',
  },
  {
    name: "an or whose sides share a path",
    source: "event.a == 1 and event.b == 1 or event.b == 2 and event.a == 3",
    miss: '{"a":2,"b":1}',
  },
  {
    name: "a nested and",
    source: "event.amount > 1 and (event.user == 'u1' and event.x != 1)",
    miss: '{"user":"u2","amount":5}',
  },
  { name: "a prefix", source: "startsWith(event.path, '/api/') and event.x != 1", miss: '{"path":"/ap"}' },
  { name: "a threshold", source: "event.amount > 100", miss: '{"amount":99}' },
  { name: "a threshold written the other way", source: "100 <= event.amount", miss: '{"amount":99.5}' },
  { name: "an upper threshold", source: "event.amount < -5", miss: '{"amount":0}' },
  { name: "a threshold, of a string", source: "event.amount > 100", miss: '{"amount":"500"}' },
  { name: "a list of null alone", source: "event.user in [null]", miss: '{"user":null}' },
]) {
  test(`a rule with ${name} is not asked by an event that cannot match: ${source}`, () => {
    const index = new RuleIndex<string>();
    const compiled = compileCondition(source);
    let asked = 0;
    const counting = {
      facts: compiled.facts,
      fixedSteps: compiled.fixedSteps,
      seesOwnEvents: false,
      testWithin: (each: RuleEvent) => {
        asked += 1;
        return compiled.testWithin(each);
      },
    };
    index.add("rule", counting, { priority: 0, createdAt: 0 }, null, "rule");
    assert.deepEqual(match(index, makeEvent({ payload: JSON.parse(miss) })), []);
    assert.equal(asked, 0);
  });
}

test("a rule is filed under the value that fewest rules wait for, among equals under its type", () => {
  const index = new RuleIndex<string>();
  const asked: string[] = [];
  const addCounting = (key: string, source: string): void => {
    const compiled = compileCondition(source);
    const testWithin = (each: RuleEvent): boolean => {
      asked.push(key);
      return compiled.testWithin(each);
    };
    index.add(
      key,
      { facts: compiled.facts, fixedSteps: compiled.fixedSteps, seesOwnEvents: false, testWithin },
      { priority: 0, createdAt: 0 },
      null,
      key,
    );
  };
  addCounting("by type", "event.user == 'u1' and event.type == 'payment'");
  addCounting("by user", "event.user == 'u2' and event.type == 'payment'");
  match(index, makeEvent({ payload: { user: "u1" } }));
  assert.deepEqual(asked.splice(0), ["by type"], "the second found one rule under the type and none under its user");
  match(index, makeEvent({ type: "refund", payload: { user: "u2" } }));
  assert.deepEqual(asked, ["by user"]);
});

// Rules an index can file, beside the general ones of the other properties.
const part = fc.constantFrom(
  ...[
    "event.a == 1",
    "event.a == '1'",
    "event.b in [1, 'a', true, null]",
    "event.type == 'a'",
    "event.type in ['ab', 'ok']",
  ],
  ...[
    "startsWith(event.type, 'a')",
    "startsWith(event.type, '')",
    "startsWith(event.a, 'ab')",
    "event.amount > 1",
    "event.amount >= 5",
  ],
  ...[
    "event.amount < 5",
    "0 > event.a",
    "event.a == 1 or event.a == 2",
    "event.a == 1 or event.b == 1",
    "event.source == 'eu'",
    "event.a",
  ],
  ...[
    "event.tags.length > 1",
    "event.payload.type == 'a'",
    "event.a == 0",
    "event.a == -0",
    "not (event.a == 1)",
    "event.a == null",
  ],
);
const source = fc.oneof(
  fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.map((each) => `(${each})`).join(" and ")),
  fc.array(part, { minLength: 2, maxLength: 3 }).map((parts) => parts.map((each) => `(${each})`).join(" or ")),
  condition.map((ast) => print(ast)),
);
const change = fc.record({
  key: fc.nat(30).map((number) => `rule-${number}`),
  source: fc.option(source, { freq: 4, nil: null }),
  priority: fc.nat(2),
  createdAt: fc.nat(2),
  projectId: fc.constantFrom(null, "p1", "p2", "default"),
});

const scalar = fc.constantFrom(0, 1, 2, 7, -1, "1", "a", "ab", true, false, null);
const nearEvent = fc
  .record({
    type: fc.constantFrom("a", "ab", "ok"),
    source: fc.constantFrom(null, "eu"),
    projectId: fc.constantFrom("default", "p1", "p2"),
    payload: fc.record(
      { a: scalar, b: scalar, amount: scalar, type: scalar, tags: fc.array(scalar) },
      { requiredKeys: ["a"] },
    ),
  })
  .map(makeEvent);

test("S2-27 after any changes an event meets the rules that asking all of them would give, in rule order", (t) => {
  keepsPromise(t, ["S2-112", "S2-27"]);
  let matches = 0;
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 60 }),
      fc.array(fc.oneof(event, nearEvent), { minLength: 5, maxLength: 5 }),
      (changes, events) => {
        const index = new RuleIndex<string>();
        const rules = new Map<string, Rule>();
        for (const { source: text, ...rest } of changes) {
          if (text === null) {
            assert.equal(index.remove(rest.key), rules.delete(rest.key));
            continue;
          }
          const rule: Rule = { ...rest, condition: compileCondition(text) };
          rules.set(rule.key, rule);
          index.add(rule.key, rule.condition, rule, rule.projectId, rule.key);
        }
        assert.equal(index.size, rules.size);
        for (const each of events) {
          const expected = scan([...rules.values()], each);
          matches += expected.length;
          assert.deepEqual(match(index, each), expected);
          const walked = [...index.walk(each, RULES_START, assert.fail)];
          assert.deepEqual(walked, expected, "asking in rule order gives the same");
        }
      },
    ),
    { seed: SEED, numRuns: 500 },
  );
  assert.ok(matches > 500, `the events must match something: ${matches}`);
});

function scan(rules: readonly Rule[], each: RuleEvent): readonly string[] {
  return rules
    .filter((rule) => (rule.projectId === null || rule.projectId === each.projectId) && rule.condition.test(each))
    .sort((a, b) => b.priority - a.priority || a.createdAt - b.createdAt || (a.key < b.key ? -1 : 1))
    .map(({ key }) => key);
}

test("a list that says a value twice finds its rule once", () => {
  const index = new RuleIndex<string>();
  add(index, "twice", "event.type in ['payment', 'refund', 'payment']");
  add(index, "zeros", "event.zero in [0, -0]");
  assert.deepEqual(match(index, makeEvent({ payload: { zero: 0 } })), ["twice", "zeros"]);
  assert.equal(index.remove("twice"), true);
  assert.deepEqual(match(index, makeEvent({ payload: { zero: 0 } })), ["zeros"]);
});
