import assert from "node:assert/strict";
import test from "node:test";
import { answered, startPrism } from "../../helpers/prism.ts";

interface Explained {
  readonly rules: readonly { readonly trace: unknown }[];
}

test("traces beyond 4 MiB are left out, and the rules are all there", async (t) => {
  const prism = await startPrism(t);
  const members = (prefix: string) =>
    Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`${prefix}${i}`.padEnd(90, "k"), "v".repeat(190)]));
  const payload = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`p${i}`, members(`m${i}_`)]));
  const condition = Object.keys(payload)
    .map((name) => `event.payload.${name} == null`)
    .join(" or ");
  for (let i = 0; i < 30; i++) {
    await answered(201, prism.post("/api/v1/rules", { name: `r${i}`, condition, targetUsers: ["dev"] }));
  }
  const { body } = await prism.post<{ id: string }>("/api/v1/events", { type: "large", payload });
  const explained = await answered(200, prism.get<Explained>(`/api/v1/explain/event/${body.id}`));
  const traces = explained.body.rules.map(({ trace }) => trace);
  assert.equal(traces.length, 30);
  const shown = traces.filter((trace) => trace !== null);
  assert.ok(shown.length > 0 && shown.length < 30, `${shown.length} traces`);
  assert.ok(explained.text.length < 4_500_000, `${explained.text.length} characters`);
});
