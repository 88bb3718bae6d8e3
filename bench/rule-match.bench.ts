/**
 * Cost of rules. First one rule: Prism's closures, the same condition as plain JavaScript (`new
 * Function`), and expr-eval's own evaluator. Then many: RuleIndex compared with evaluating every
 * rule, for several shapes of rules. Compare only figures of one run: all depend on the speed of
 * the machine.
 */
import "../scripts/node-version.mjs";
import { mkdirSync, writeFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { Parser, type Values } from "expr-eval";
import {
  type Condition,
  compileCondition,
  type RuleEvent,
  RuleIndex,
} from "../src/features/rules/language/language.ts";

const ROUND_MS = 60;
const ROUNDS = 5;
const SIZES = [10, 1_000, 10_000];
const EVENTS = 4_096;
const RESULTS = new URL("./results/rule-match.json", import.meta.url);

/** Median over rounds of the nanoseconds per call of `work`, which gets a running number. */
function measure(work: (turn: number) => unknown): number {
  const rounds: number[] = [];
  let turn = 0;
  for (let round = -1; round < ROUNDS; round += 1) {
    let calls = 0;
    let batch = 1;
    const start = performance.now();
    let elapsed = 0;
    while (elapsed < ROUND_MS) {
      for (let done = 0; done < batch; done += 1) work(turn++);
      calls += batch;
      batch = Math.min(batch * 2, 1 << 14);
      elapsed = performance.now() - start;
    }
    // The first round is a warm-up.
    if (round >= 0) rounds.push((elapsed * 1e6) / calls);
  }
  return rounds.sort((a, b) => a - b)[Math.floor(rounds.length / 2)] ?? Number.NaN;
}

function makeEvent(turn: number, overrides: Partial<RuleEvent>): RuleEvent {
  return {
    id: `event-${turn}`,
    type: "order.placed",
    source: `service-${turn % 50}`,
    level: "info",
    projectId: "default",
    occurredAt: 1_760_000_000_000 + turn,
    receivedAt: 1_760_000_000_005 + turn,
    payload: {},
    correlationId: `event-${turn}`,
    ...overrides,
  };
}

function benchOneRule(): Record<string, number> {
  const typical = "event.type == 'payment' && event.amount > 1000 && event.payload.status != 'ok'";
  const events = Array.from({ length: 64 }, (_, turn) => {
    // Through JSON, like every payload.
    const payload = JSON.parse(
      JSON.stringify({
        user: `u${turn}`,
        amount: 1001 + turn,
        status: "failed",
        price: `${turn}.10`,
        path: `/api/${turn}`,
      }),
    );
    return makeEvent(turn, { type: "payment", payload });
  });
  const at = (turn: number): RuleEvent => events[turn & 63] ?? makeEvent(0, {});

  const run = (condition: Condition) => measure((turn) => condition.test(at(turn)));
  const plain = new Function(
    "event",
    "return event.type === 'payment' && event.payload.amount > 1000 && event.payload.status !== 'ok'",
  ) as (event: RuleEvent) => boolean;
  const exprEval = new Parser().parse("type == 'payment' and payload.amount > 1000 and payload.status != 'ok'");

  return {
    "closures, three conjuncts, all true": run(compileCondition(typical)),
    "closures, false at the first conjunct": run(compileCondition(typical.replace("payment", "refund"))),
    "new Function, three conjuncts": measure((turn) => plain(at(turn))),
    "expr-eval evaluate, three conjuncts": measure((turn) => exprEval.evaluate({ ...at(turn) } as unknown as Values)),
    startsWith: run(compileCondition("startsWith(event.path, '/api/')")),
    "in, list of 10": run(compileCondition("event.user in ['u1','u2','u3','u4','u5','u6','u7','u8','u9','u10']")),
    "dec comparison": run(compileCondition("dec(event.price) >= dec('20.05')")),
    "matches (re2js)": run(compileCondition("matches(event.path, '^/api/[0-9]+$')")),
    "occurredAt as text": run(compileCondition("event.occurredAt > '2025-10-09'")),
    "parse and compile": measure(() => compileCondition(typical)),
  };
}

interface Shape {
  readonly name: string;
  readonly condition: (rule: number, rules: number) => string;
  readonly payload: (turn: number) => Record<string, unknown>;
}

const numbers = (turn: number) => ({
  user: `user-${(turn * 7919) % 100_000}`,
  amount: (turn * 31) % 1000,
  latency: (turn * 17) % 1000,
});

const SHAPES: readonly Shape[] = [
  {
    name: "type ==, of 200 types",
    condition: (rule) => `event.type == 'type.${rule % 200}' && event.amount > ${rule % 1000}`,
    payload: numbers,
  },
  {
    name: "type == and source == and a number",
    condition: (rule) =>
      `event.type == 'type.${rule % 200}' && event.source == 'service-${rule % 50}' && event.amount > ${rule % 1000}`,
    payload: numbers,
  },
  {
    name: "half type ==, half high thresholds",
    condition: (rule, rules) =>
      rule % 2 === 0 ? `event.type == 'rare.${rule}'` : `event.amount > ${1_000 + (rule / rules) * 1_000}`,
    payload: numbers,
  },
  {
    name: "half type ==, half user ==",
    condition: (rule) =>
      rule % 2 === 0 ? `event.type == 'rare.${rule}'` : `event.user == 'user-${rule}' && event.amount > 10`,
    payload: numbers,
  },
  {
    name: "only thresholds, rarely passed",
    condition: (rule, rules) => `event.latency > ${999 + (rule / rules) * 1_000}`,
    payload: numbers,
  },
  {
    name: "a > x or b > y (nothing to file under)",
    condition: (rule, rules) => `event.amount > ${1_000 + rule / rules} || event.latency > ${1_000 + rule / rules}`,
    payload: numbers,
  },
];

interface ShapeFigures {
  readonly shape: string;
  readonly rules: number;
  readonly indexUs: number;
  readonly scanUs: number;
  readonly matchesPerEvent: number;
  readonly buildMs: number;
}

function benchShape(shape: Shape, rules: number): ShapeFigures {
  const conditions = Array.from({ length: rules }, (_, rule) => compileCondition(shape.condition(rule, rules)));
  const start = performance.now();
  const index = new RuleIndex<number>();
  for (const [rule, condition] of conditions.entries()) {
    index.add(`rule-${rule}`, condition, { priority: rule % 3, createdAt: rule }, null, rule);
  }
  const buildMs = performance.now() - start;

  // Half of the events are of a type that has rules.
  const events = Array.from({ length: EVENTS }, (_, turn) => {
    return makeEvent(turn, {
      type: turn % 2 === 0 ? `type.${(turn * 13) % 200}` : `other.${turn % 200}`,
      payload: shape.payload(turn),
    });
  });
  const at = (turn: number): RuleEvent => events[turn % EVENTS] ?? makeEvent(0, {});
  const fail = (_rule: number, error: unknown): never => {
    throw error;
  };

  let matches = 0;
  for (const event of events) matches += index.match(event, fail)?.length ?? 0;
  return {
    shape: shape.name,
    rules,
    indexUs: measure((turn) => index.match(at(turn), fail)) / 1000,
    scanUs: measure((turn) => conditions.filter((condition) => condition.test(at(turn)))) / 1000,
    matchesPerEvent: matches / EVENTS,
    buildMs,
  };
}

function main(): void {
  const oneRule = benchOneRule();
  console.log("one rule, 64 events in turn");
  console.table(
    Object.fromEntries(
      Object.entries(oneRule).map(([name, ns]) => [name, { "ns/evaluation": Math.round(ns * 10) / 10 }]),
    ),
  );

  const shapes = SHAPES.flatMap((shape) => SIZES.map((rules) => benchShape(shape, rules)));
  console.log(`many rules, ${EVENTS} events in turn, half of them of a type that rules wait for`);
  console.table(
    shapes.map(({ shape, rules, indexUs, scanUs, matchesPerEvent, buildMs }) => ({
      shape,
      rules,
      "index us/event": Number(indexUs.toFixed(3)),
      "scan us/event": Number(scanUs.toFixed(2)),
      "matches/event": Number(matchesPerEvent.toFixed(2)),
      "build ms": Number(buildMs.toFixed(1)),
    })),
  );

  mkdirSync(new URL(".", RESULTS), { recursive: true });
  writeFileSync(RESULTS, `${JSON.stringify({ node: process.version, oneRuleNs: oneRule, shapes }, null, 2)}\n`);
}

main();
