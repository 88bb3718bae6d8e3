import assert from "node:assert/strict";
import type { TestPrism } from "../../helpers/prism.ts";

const PATH = "/api/v1/transfer-buckets";

/** Uses every route of transfer buckets, and has their balances checked. */
export async function useBuckets(prism: TestPrism): Promise<void> {
  const bucket = { name: "payouts", currency: "EUR", currentBalance: "100", threshold: "50" };
  const { body } = await prism.post<{ id: string }>(PATH, bucket);
  const cursor = Buffer.from(JSON.stringify([body.id])).toString("base64url");
  const queries = ["", "limit=1", "page=1", "offset=1", `cursor=${cursor}`];
  for (const filter of ["", "currency=EUR", "state=ok", "q=pay"])
    for (const query of queries) {
      const { status, text } = await prism.get(`${PATH}?${[filter, query].filter(Boolean).join("&")}`);
      assert.equal(status, 200, text);
    }
  assert.equal((await prism.get(`${PATH}/${body.id}`)).status, 200);
  assert.equal((await prism.put(`${PATH}/${body.id}/threshold`, { threshold: "200" })).status, 200);
  assert.equal((await prism.put(`${PATH}/${body.id}/balance`, { delta: "100" })).status, 200);
  const { db } = prism.services;
  const { schedules } = prism.parts.offers;
  await db.write((trx) => trx.updateTable("transfer_buckets").set({ currentBalance: "1" }).execute());
  const schedule = await schedules.findByName("prism:bucket-monitoring");
  assert.equal((await prism.post(`/api/v1/schedules/${schedule?.id}/run`)).status, 201);
  assert.equal((await prism.delete(`${PATH}/${body.id}`)).status, 204);
}
