import assert from "node:assert/strict";
import test from "node:test";
import { RE2JS } from "re2js";
import { LoopTurns } from "../../../src/core/promises.ts";
import { keepingConditions, readCondition } from "../../../src/features/rules/language/language.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeUser } from "../../helpers/people.ts";
import { startPrism } from "../../helpers/prism.ts";

interface Answer {
  readonly error?: { readonly code: string };
  readonly rules?: readonly { readonly warnings: readonly { readonly code: string }[] }[];
}

const LONG = Array.from({ length: 90 }, (_, i) => `1 > ${i}`).join(" or ");
const rulesOf = (n: number, conditionOf: (i: number) => string) => ({
  dryRun: true,
  rules: Array.from({ length: n }, (_, i) => ({
    name: `r${i}`,
    condition: conditionOf(i),
    targetRoles: ["RuleManager"],
  })),
});

test("F6: an import is charged by the length of its rules before they are read, and refused in debt", async (t) => {
  const prism = await startPrism(t, { clock: new FakeClock() });
  const eve = await makeUser(prism, "eve", ["Admin"]);
  const { mock: charging } = t.mock.method(prism.parts.core.work, "charge");
  const { mock: pausing } = t.mock.method(LoopTurns.prototype, "pause");
  const body = rulesOf(500, (i) => `${LONG} or 1 > ${i}`);
  const ask = () => prism.post<Answer>("/api/v1/rules/import", body, { token: eve.token });
  const first = await ask();
  assert.equal(first.status, 200, first.text.slice(0, 300));
  assert.equal(first.body.rules?.length, 500);
  const steps = charging.calls.reduce((sum, { arguments: [, each] }) => sum + (each.steps ?? 0), 0);
  assert.ok(steps >= 500 * (8000 + 80 * LONG.length), `${steps} steps`);
  assert.ok(pausing.callCount() >= 500);
  let answered = 1;
  let last = await ask();
  for (; last.status === 200 && answered < 100; answered++) last = await ask();
  assert.deepEqual([last.status, last.body.error?.code], [429, "WORK_LIMITED"]);
  assert.ok(answered < 20, `${answered} were answered`);
  pausing.resetCalls();
  const small = await prism.post<Answer>(
    "/api/v1/rules/import",
    rulesOf(1, () => LONG),
    { token: eve.token },
  );
  assert.deepEqual([small.status, pausing.callCount()], [429, 0], "also one of few bytes");
});

test("events are stored while the conditions of an import are read", async (t) => {
  const prism = await startPrism(t);
  const { mock: pausing } = t.mock.method(LoopTurns.prototype, "pause");
  const ended: string[] = [];
  const body = rulesOf(500, (i) => `${LONG} or 2 > ${i}`);
  const importing = prism.post("/api/v1/rules/import", body).then(({ status }) => ended.push(`import ${status}`));
  await eventually("it reads", () => pausing.callCount() > 10);
  const event = await prism.post("/api/v1/events", { type: "a" });
  ended.push(`event ${event.status}`);
  await importing;
  assert.deepEqual(ended, ["event 202", "import 200"]);
});

test("F6: an import whose patterns have no room is refused before the rest of them is compiled", async (t) => {
  const prism = await startPrism(t, { clock: new FakeClock() });
  const { mock: compiling } = t.mock.method(RE2JS, "compile");
  const body = rulesOf(1000, (i) => `matches(event.t, '(import${i}|[b-d]){1,30}')`);
  const reply = await prism.post<Answer>("/api/v1/rules/import", body);
  assert.deepEqual([reply.status, reply.body.error?.code], [422, "INVALID_CONDITION"]);
  assert.ok(compiling.callCount() < 500, `${compiling.callCount()} were compiled`);
});

test("F6: rules that are created or changed are charged by their length and their patterns", async (t) => {
  const prism = await startPrism(t, { clock: new FakeClock() });
  const eve = await makeUser(prism, "eve", ["Admin"]);
  const { mock: charging } = t.mock.method(prism.parts.core.work, "charge");
  const during = async (method: string, path: string, rule: object, version = "") => {
    charging.resetCalls();
    const options = { token: eve.token, headers: { "if-match": version } };
    const reply = await prism.request<{ id: string }>(method, path, rule, options);
    assert.ok(reply.status < 300, reply.text);
    const steps = charging.calls.reduce((sum, { arguments: [, each] }) => sum + (each.steps ?? 0), 0);
    return { id: reply.body.id, steps };
  };
  const named = { name: "plain", condition: LONG, targetRoles: ["RuleManager"] };
  const plain = await during("POST", "/api/v1/rules", named);
  assert.ok(plain.steps >= 80 * LONG.length, `${plain.steps} steps`);
  const changed = await during("PATCH", `/api/v1/rules/${plain.id}`, { condition: `${LONG} or 1 > 0` }, '"1"');
  assert.ok(changed.steps >= 80 * LONG.length, `${changed.steps} steps`);
  const condition = "matches(event.t, '(create|[b-d]){1,30}')";
  const withPattern = await during("POST", "/api/v1/rules", { ...named, name: "pattern", condition });
  assert.ok(withPattern.steps >= 30 * 8 * 200, `${withPattern.steps} steps`);
});

test("while many rules change, each condition is read once; afterwards the latest are kept", async () => {
  const sources = Array.from({ length: 100 }, (_, i) => `event.kept == ${i}`);
  const read = await keepingConditions(async () => {
    const all = sources.map(readCondition);
    assert.ok(sources.every((source, i) => readCondition(source) === all[i]));
    return all;
  });
  assert.notEqual(readCondition(sources[0] as string), read[0]);
  assert.equal(readCondition(sources[99] as string), read[99]);
});
