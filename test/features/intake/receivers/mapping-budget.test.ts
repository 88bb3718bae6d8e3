import assert from "node:assert/strict";
import test from "node:test";
import { RE2JS } from "re2js";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism } from "../../../helpers/prism.ts";

test("a mapping is charged by its length and patterns, and refused above a size before the rest is compiled", async (t) => {
  const prism = await startPrism(t, { clock: new FakeClock() });
  const eve = await makeUser(prism, "eve", ["Admin"]);
  const { mock: compiling } = t.mock.method(RE2JS, "compile");
  const { mock: charging } = t.mock.method(prism.parts.core.work, "charge");
  const costly = (i: number) => `matches(body.t, '(mapping${i}|[b-d]){1,30}')`;
  const cases = (n: number) => Array.from({ length: n }, (_, i) => ({ when: costly(i), title: "x".repeat(500) }));
  const create = (name: string, mapping: object) => {
    compiling.resetCalls();
    charging.resetCalls();
    return prism.post<{ id: string }>("/api/v1/receivers", { name, preset: "generic", mapping }, { token: eve.token });
  };
  const stepsCharged = () => charging.calls.reduce((sum, { arguments: [, each] }) => sum + (each.steps ?? 0), 0);
  const small = await create("small", { cases: cases(10) });
  assert.equal(small.status, 201, small.text);
  assert.ok(stepsCharged() >= 10 * (30 * 8 * 200 + 500 * 80), `${stepsCharged()} steps`);
  const large = {
    cases: Array.from({ length: 64 }, (_, i) => ({ when: costly(100 + i), title: `= ${costly(200 + i)}` })),
  };
  const refused = await create("large", large);
  assert.equal(refused.status, 400, refused.text);
  assert.match(refused.text, /must have patterns that compile to at most 16384 together/);
  assert.ok(compiling.callCount() < 80, `${compiling.callCount()} were compiled`);
  const tried = await prism.post(`/api/v1/receivers/${small.body.id}/test`, { mapping: large }, { token: eve.token });
  assert.equal(tried.status, 400, tried.text);
  const long = await create("long", {
    cases: Array.from({ length: 40 }, () => ({ when: "true", title: "x".repeat(4000) })),
  });
  assert.equal(long.status, 400, long.text);
  assert.match(long.text, /at most 131072 characters/);
});
