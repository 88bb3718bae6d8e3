import assert from "node:assert/strict";
import test from "node:test";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeUser } from "../../helpers/people.ts";
import { startPrism } from "../../helpers/prism.ts";

const CONDITION = Array.from({ length: 60 }, (_, i) => `matches(event.t, '(a|b)*x${i % 30}(d|e)*z')`).join(" or ");
const COSTLY = { condition: CONDITION, event: { type: "a", payload: { t: "ab".repeat(8000) } } };

test("S7: tests of rules are charged by their steps to who asks; others are not refused", async (t) => {
  const prism = await startPrism(t, { clock: new FakeClock() });
  const eve = await makeUser(prism, "eve", ["RuleManager"]);
  const bob = await makeUser(prism, "bob", ["RuleManager"]);
  const ask = (token: string, body: object) =>
    prism.post<{ error?: { code: string } }>("/api/v1/rules/test", body, { token });
  let answered = 0;
  let refused = await ask(eve.token, COSTLY);
  for (; refused.status === 200 && answered < 2000; answered++) refused = await ask(eve.token, COSTLY);
  assert.deepEqual([refused.status, refused.body.error?.code], [429, "WORK_LIMITED"]);
  assert.ok(answered < 1000, `${answered} were answered`);
  assert.equal((await ask(bob.token, COSTLY)).status, 200);
});

test("the steps of a test grow with what its condition reads", async (t) => {
  const prism = await startPrism(t, { clock: new FakeClock() });
  const eve = await makeUser(prism, "eve", ["RuleManager"]);
  const { work } = prism.parts.core;
  const charged: number[] = [];
  const { charge } = work;
  work.charge = (account, each, isElsewhere) => {
    if (each.steps !== undefined) charged.push(each.steps);
    charge.call(work, account, each, isElsewhere);
  };
  const stepsOf = async (length: number): Promise<number> => {
    charged.length = 0;
    const event = { type: "a", payload: { t: "ab".repeat(length / 2) } };
    await prism.post("/api/v1/rules/test", { condition: "matches(event.t, '(a|b)*xz')", event }, { token: eve.token });
    return charged.at(-1) ?? 0;
  };
  const [short, long] = [await stepsOf(1000), await stepsOf(10_000)];
  assert.ok(long > 5 * short, `${short} and ${long} steps`);
});
