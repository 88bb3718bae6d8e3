import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { estimatePatternSize } from "../../../../src/core/text/pattern-size.ts";
import { ConditionTooCostly, evaluationBudget } from "../../../../src/features/rules/language/evaluate/values.ts";
import type { RuleEvent } from "../../../../src/features/rules/language/event.ts";
import {
  compileCondition,
  compileTemplate,
  RULES_START,
  RuleIndex,
  type RulePosition,
  type RuleWalk,
} from "../../../../src/features/rules/language/language.ts";
import { LIMITS } from "../../../../src/features/rules/language/limits.ts";
import { PatternPool } from "../../../../src/features/rules/language/patterns.ts";
import { processorMs } from "../../../helpers/cpu-time.ts";
import { makeEvent } from "./support/event.ts";
import { refusalOf } from "./support/refusals.ts";

/** Wide: other machines are slower than the one it was measured on. */
const EVALUATION_MS = 1000;

const random = (length: number, letters: string, seed: number): string =>
  Array.from({ length }, (_, i) => letters[(Math.imul(i + seed, 2654435761) >>> 11) % letters.length]).join("");
const TEXTS = ["ab", "a", "abcdefghij0123", "aé漢 \n"].map((letters, i) => random(LIMITS.inspectedUnits, letters, i));

/** Runs the condition on every text. @returns the most milliseconds of processor time that one took */
function slowestMs(source: string): number {
  const condition = compileCondition(source);
  const run = (text: string): void => {
    try {
      condition.test(makeEvent({ payload: { a: text, list: Array.from({ length: 60_000 }, (_, i) => i / 7) } }));
    } catch (error) {
      assert.ok(error instanceof ConditionTooCostly, String(error));
    }
  };
  return Math.max(...TEXTS.map((text) => processorMs(() => run(text))));
}

const matchesOf = (patterns: readonly string[]): string =>
  patterns.map((pattern) => `matches(event.a, '${pattern}')`).join(" or ");

for (const { name, source } of [
  {
    name: "patterns whose automaton outgrows its memory",
    source: matchesOf([200, 201, 202, 203].map((n) => `[ab]*a[ab]{${n}}[cd]`)),
  },
  { name: "the same pattern as often as fits", source: matchesOf(Array(90).fill("[ab]*a[ab]{200}[cd]")) },
  { name: "nested dots", source: matchesOf(["(?:.*a.{60}){3}[0-9]", ".*a.{240}[0-9]"]) },
  { name: "Unicode classes", source: matchesOf(["\\\\pL*a\\\\pL{40}[0-9]"]) },
  {
    name: "parts that are nearly found everywhere",
    source: Array(50).fill("contains(event.a, substr(event.a, 0, 8000))").join(" and "),
  },
  { name: "decimals in a long list", source: Array(70).fill("contains(event.list, dec('0.5'))").join(" or ") },
  {
    name: "lists searched within lists",
    source: "any(event.list, any(event.list, any(event.list, item == event.a and hour('Europe/Berlin') > 30)))",
  },
  { name: "elements that are counted", source: Array(50).fill("count(event.list, item == 'x') == -1").join(" or ") },
  { name: "texts in order", source: Array(85).fill("event.a < event.payload.a").join(" or ") },
  { name: "trimmed texts", source: Array(100).fill("trim(event.a) == 'x'").join(" or ") },
]) {
  test(`the largest condition on the largest text stays within its budget: ${name}`, () => {
    const tookMs = slowestMs(source);
    assert.ok(tookMs < EVALUATION_MS, `${tookMs} ms`);
  });
}

const atom = fc.constantFrom("a", ".", "[ab]", "\\\\d", "\\\\w", "[^c]", "\\\\b", "(?i:k)", "a|b", "^", "$");
const repeat = fc.oneof(
  fc.constantFrom("", "*", "+", "?", "*?"),
  fc.nat(90).map((count) => `{${count}}`),
  fc.nat(60).map((count) => `{0,${count}}`),
);
const part = fc.tuple(atom, repeat).map(([what, often]) => `(?:${what})${often}`);
const pattern = fc
  .array(fc.tuple(fc.array(part, { minLength: 1, maxLength: 4 }), repeat), { minLength: 1, maxLength: 4 })
  .map((groups) => groups.map(([parts, often]) => `(?:${parts.join("")})${often}`).join(""));

test("no pattern takes longer than an evaluation may", () => {
  fc.assert(
    fc.property(fc.array(pattern, { minLength: 1, maxLength: 5 }), (patterns) => {
      const source = matchesOf(patterns);
      try {
        compileCondition(source);
      } catch {
        return;
      }
      const tookMs = slowestMs(source);
      assert.ok(tookMs < EVALUATION_MS, `${tookMs} ms: ${source}`);
    }),
    { numRuns: 60 },
  );
});

test("a pattern's size is estimated before it is compiled, never far below what it compiles to", () => {
  const hostile = [
    "\\\\pL{1000}".repeat(25),
    `^${"\\\\pL{1000}".repeat(25)}`,
    "((x{100}){10})".repeat(18),
    "[^a]{1000}".repeat(25),
  ];
  for (const source of hostile) assert.equal(refusalOf(matchesOf([source])).code, "LIMIT");
  for (const [source, least] of [
    ["(?:ab{3}){100}", 400],
    ["[\\]\\pL]{50}", 300],
    ["\\Qa{9}\\E", 3],
    ["x{2,}y{0,250}", 250],
    ["(a(b(c){10}){10}){10}", 1000],
  ] as const)
    assert.ok(
      estimatePatternSize(source) >= least && estimatePatternSize(source) <= 4 * least,
      `${source}: ${estimatePatternSize(source)}`,
    );
});

/**
 * Asks all rules in turns, as the backlog does. @returns what matched, and how many steps each turn
 * took at most
 */
function walkAll(
  index: RuleIndex<string>,
  event: RuleEvent,
  onError: (rule: string, error: unknown) => void,
): { readonly matched: string[]; readonly turnSteps: number[] } {
  const matched: string[] = [];
  const turnSteps: number[] = [];
  for (let after: RulePosition | null = RULES_START; after; ) {
    const walk: RuleWalk<string> = index.walk(event, after, onError);
    for (const rule of walk) matched.push(rule);
    turnSteps.push(LIMITS.evaluationSteps - evaluationBudget.leftSteps);
    assert.ok(walk.isComplete || walk.last !== null, "a turn asks one rule at least");
    after = walk.isComplete ? null : walk.last;
  }
  return { matched, turnSteps };
}

const indexOf = (sources: readonly string[]): RuleIndex<string> => {
  const index = new RuleIndex<string>();
  for (const [i, source] of sources.entries()) {
    const order = { priority: i % 3, createdAt: i };
    index.add(`${i}`, compileCondition(source), order, null, `${i}`);
  }
  return index;
};

test("rules that are each just below the budget of an evaluation all match, in turns that are no longer than one of them", () => {
  const source = Array.from({ length: 60 }, (_, i) => `lower(event.a) != 'x${i}'`).join(" and ");
  const index = indexOf(Array(40).fill(source));
  const event = makeEvent({ payload: { a: "B".repeat(LIMITS.inspectedUnits) } });
  assert.equal(index.match(event, assert.fail), null);
  const { matched, turnSteps } = walkAll(index, event, assert.fail);
  assert.deepEqual(
    matched,
    Array.from({ length: 40 }, (_, i) => i)
      .sort((a, b) => (b % 3) - (a % 3) || a - b)
      .map(String),
  );
  assert.equal(turnSteps.length, 40);
});

test("only a rule that exceeds the budget of an evaluation by itself is an error, wherever it comes", () => {
  const heavy = Array(40).fill("lower(event.a) != 'x'").join(" and ");
  const tooHeavy = Array(70).fill("lower(event.a) != 'x'").join(" and ");
  const index = indexOf([heavy, heavy, "exists(event.a)", tooHeavy, heavy, "exists(event.a)", tooHeavy]);
  const failed: string[] = [];
  const { matched, turnSteps } = walkAll(
    index,
    makeEvent({ payload: { a: "b".repeat(LIMITS.inspectedUnits) } }),
    (rule, error) => {
      assert.ok(error instanceof ConditionTooCostly);
      failed.push(rule);
    },
  );
  assert.deepEqual(matched, ["2", "5", "1", "4", "0"]);
  assert.deepEqual(failed, ["3", "6"]);
  assert.ok(turnSteps.length <= 7, `${turnSteps.length} turns`);
});

test("a thousand rules at their limits take turns whose counted steps are bounded", () => {
  const index = indexOf(
    Array.from({ length: 1000 }, (_, i) => matchesOf([`[ab]*a[ab]{${20 + (i % 40)}}[cd]`, `${i}[ab]{9}`])),
  );
  const event = makeEvent({ payload: { a: TEXTS[0] } });
  let asked = 0;
  for (let after: RulePosition | null = RULES_START; after && asked < 30; asked++) {
    const walk: RuleWalk<string> = index.walk(event, after, (_rule, error) => {
      assert.ok(error instanceof ConditionTooCostly);
    });
    assert.deepEqual([...walk], []);
    // The condition that went over the budget has stopped before it did the work.
    const longest = LIMITS.inspectedUnits * LIMITS.patternSize;
    assert.ok(evaluationBudget.leftSteps > -longest, `${evaluationBudget.leftSteps}`);
    after = walk.last;
  }
});

test("what a condition does is counted in steps that do not depend on the machine", () => {
  for (const [source, steps] of [
    ["matches(event.a, '^x[0-9]+$')", 16_384],
    ["contains(event.list, 5)", 1000],
    ["event.a == event.b", 1024],
    ["startsWith(event.a, event.b)", 4096],
    ["event.amount > 5", 0],
    ["lower(event.status) == 'failed' and matches(event.status, '^f') and contains(event.short, 1)", 0],
  ] as const) {
    const condition = compileCondition(source);
    const payload = {
      a: TEXTS[0],
      b: `${TEXTS[0]}`,
      list: Array(1000).fill(1),
      short: [1],
      amount: 6,
      status: "failed",
    };
    condition.test(makeEvent({ payload }));
    assert.equal(LIMITS.evaluationSteps - evaluationBudget.leftSteps, steps, source);
  }
});

test("what short texts cost is part of a condition's fixed price", () => {
  const fixedSteps = (source: string): number => compileCondition(source).fixedSteps;
  assert.ok(fixedSteps("event.type == 'x' and event.amount > 5") < 10);
  const dear = Array.from({ length: 70 }, () => "dec(event.a) > dec(event.b)").join(" or ");
  assert.ok(fixedSteps(dear) > 9000, `${fixedSteps(dear)}`);
  // Ten thousand usual rules that an index cannot leave out are one turn.
  assert.ok(fixedSteps("lower(event.host) == 'a' or event.amount > 5") * 10_000 < LIMITS.evaluationSteps);
});

test("the pool keeps equal patterns once and drops what has not been used when it is full", () => {
  const pool = new PatternPool(400_000);
  const first = pool.compile("[a-z]{100}x");
  assert.equal(pool.find("[a-z]{100}x"), first);
  for (let i = 0; i < 200; i++) {
    pool.compile(`[a-z]{${i + 101}}x`);
    assert.ok(pool.usedBytes <= 400_000, `${pool.usedBytes}`);
  }
  assert.equal(first.program, null);
  assert.equal(pool.find("[a-z]{300}x")?.program === null, false);
});

test("no template makes more than its field holds, whatever its filters and the payload", () => {
  const filters = fc.array(fc.constantFrom("upper", "lower", "date", "default:'x'"), { maxLength: 3 });
  const placeholder = fc
    .tuple(fc.constantFrom("event.a", "event.payload", "event.none", "event.n"), fc.boolean(), filters)
    .map(([path, asJson, rest]) => `{{${[path, ...(asJson ? ["json"] : []), ...rest].join("|")}}}`);
  const event = makeEvent({ payload: { a: '"ß\\'.repeat(60_000), n: 1e21 } });
  fc.assert(
    fc.property(
      fc.array(placeholder, { maxLength: LIMITS.placeholders }),
      fc.integer({ min: 1, max: 4000 }),
      (parts, length) => {
        const text = compileTemplate(parts.join(" "), "messageTemplate").render(event, length);
        assert.ok([...text].length <= length);
      },
    ),
  );
});
