import assert from "node:assert/strict";
import type { TestPrism } from "../../helpers/prism.ts";

const PATH = "/api/v1/silences";

/** Uses every route of silences, reports a start, records a hit, and removes an expired one. */
export async function useSilences(prism: TestPrism): Promise<void> {
  const { silences } = prism.parts.offers;
  const { database } = prism.parts.base;
  const body = { matchers: ['team="db"'], comment: "c", durationMs: 3_600_000 };
  const { body: made } = await prism.post<{ id: string }>(PATH, body);
  const recurrence = { cron: "0 0 * * *", durationMs: 60_000, timezone: "UTC" };
  const { body: window } = await prism.post<{ id: string }>(PATH, { ...body, durationMs: undefined, recurrence });
  const cursor = Buffer.from(JSON.stringify([5, made.id])).toString("base64url");
  for (const filter of ["", "state=active,expired", "state=pending", "kind=silence"])
    for (const query of ["", "limit=1", "page=1", "offset=1", `cursor=${cursor}`]) {
      const { status, text } = await prism.get(`${PATH}?${[filter, query].filter(Boolean).join("&")}`);
      assert.equal(status, 200, text);
    }
  await database.write((trx) =>
    silences.recordHits(trx, [{ silenceId: made.id, alertId: made.id, incidentId: made.id }], 1),
  );
  assert.equal((await prism.get(`${PATH}/${made.id}`)).status, 200);
  assert.equal((await prism.post(`${PATH}/preview`, { matchers: ['team="db"'] })).status, 200);
  for (const of of [{ incidentId: made.id }, { notificationId: made.id }])
    assert.equal((await prism.post(`${PATH}/preview`, of)).status, 404);
  assert.equal((await prism.patch(`${PATH}/${made.id}`, { comment: "d" })).status, 200);
  await database.write((trx) =>
    trx.updateTable("silences").set({ reportedUntil: 1 }).where("id", "=", made.id).execute(),
  );
  silences.load();
  await silences.flush();
  assert.equal((await prism.delete(`${PATH}/${window.id}?only=window`)).status, 204);
  for (const { id } of [made, window]) assert.equal((await prism.delete(`${PATH}/${id}`)).status, 204);
}
