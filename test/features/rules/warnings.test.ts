import assert from "node:assert/strict";
import test from "node:test";
import { startPrism } from "../../helpers/prism.ts";

interface Warned {
  readonly id: string;
  readonly warnings: readonly { readonly code: string; readonly position: number }[];
}

const RULE = { name: "r", targetUsers: ["me"], condition: "event.type == 'pay' + 'ment'" };
const CODES = ["TEXT_AND_NUMBER", "TEXT_ADDED"];

test("an author is warned of a condition that can never be true, wherever it is written", async (t) => {
  const prism = await startPrism(t);
  const codesOf = ({ warnings }: Warned) => warnings.map(({ code }) => code);
  const made = await prism.post<Warned>("/api/v1/rules", RULE);
  assert.deepEqual([made.status, codesOf(made.body)], [201, CODES]);
  assert.deepEqual(codesOf((await prism.get<Warned>(`/api/v1/rules/${made.body.id}`)).body), CODES);
  const { condition } = RULE;
  const tried = await prism.post<Warned>("/api/v1/rules/test", { condition, event: {} });
  assert.deepEqual(codesOf(tried.body), CODES);
  const backtest = await prism.post<Warned>("/api/v1/rules/backtest", { condition });
  assert.deepEqual(codesOf(backtest.body), CODES);
  const imported = await prism.post<{ rules: Warned[] }>("/api/v1/rules/import", {
    rules: [{ ...RULE, name: "another", projectId: "default" }],
  });
  assert.deepEqual(imported.body.rules.map(codesOf), [CODES]);
  const changed = await prism.patch<Warned>(`/api/v1/rules/${made.body.id}`, { condition: "event.type == 'payment'" });
  assert.deepEqual([changed.status, codesOf(changed.body)], [200, []]);
});

test("a rule with warnings can be put back as it was read, with another condition", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<Warned>("/api/v1/rules", RULE);
  const path = `/api/v1/rules/${body.id}`;
  const read = (await prism.get<Record<string, unknown>>(path)).body;
  assert.equal((await prism.put(path, read)).status, 200);
  const again = (await prism.get<Record<string, unknown>>(path)).body;
  const changed = await prism.put<Warned>(path, { ...again, condition: "event.type == 'payment'" });
  assert.deepEqual([changed.status, changed.body.warnings], [200, []], changed.text);
});

test("money of an event adds up exactly", async (t) => {
  const prism = await startPrism(t);
  const event = { balance: "150.00", reserved: "100.00" };
  const condition = "dec(event.balance) - dec(event.reserved) < dec('100')";
  const { body } = await prism.post<{ matched: boolean; trace: { text: string; value: string; type?: string }[] }>(
    "/api/v1/rules/test",
    { condition, event },
  );
  assert.equal(body.matched, true);
  const step = body.trace.find(({ text }) => text.includes(" - ") && !text.includes("<"));
  assert.deepEqual([step?.value, step?.type], ["50", "decimal"]);
});
