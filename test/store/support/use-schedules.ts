import assert from "node:assert/strict";
import type { TestPrism } from "../../helpers/prism.ts";

const PATH = "/api/v1/schedules";

/** Uses every route of schedules, lets one fire, and then sets the clock back. */
export async function useSchedules(prism: TestPrism): Promise<void> {
  const work = { queue: "timers", kind: "timer", payload: { action: { type: "event", event: "x" } } };
  const { body } = await prism.post<{ id: string }>(PATH, { name: "interval", everyMs: 1000, ...work });
  await prism.post(PATH, { name: "pattern", cron: "* * * * * *", ...work });
  const cursor = Buffer.from(JSON.stringify([body.id])).toString("base64url");
  const queries = ["", "limit=1", "page=1", "offset=1", `cursor=${cursor}`];
  for (const filter of ["", "active=true", "queue=timers", "module=m"])
    for (const query of queries) {
      const { status, text } = await prism.get(`${PATH}?${[filter, query].filter(Boolean).join("&")}`);
      assert.equal(status, 200, text);
    }
  assert.equal((await prism.get(`${PATH}/${body.id}`)).status, 200);
  assert.equal((await prism.put(`${PATH}/${body.id}`, { name: "renamed", overlap: "allow" })).status, 200);
  assert.equal((await prism.post(`${PATH}/${body.id}/run`)).status, 201);
  for (const query of ["", "?limit=1", `?cursor=${Buffer.from("[5]").toString("base64url")}`])
    assert.equal((await prism.get(`${PATH}/${body.id}/runs${query}`)).status, 200);
  const { schedules } = prism.parts.offers;
  await schedules.put({ name: "m", cron: "@daily", queue: "module:clockwork", kind: "k", module: "clockwork" });
  await prism.services.db.write((trx) =>
    trx.updateTable("schedules").set({ nextRunAt: 1 }).where("module", "is", null).execute(),
  );
  await schedules.due.check();
  for (const name of ["pattern", "m"]) assert.equal(await schedules.remove(name), true);
  assert.equal((await prism.delete(`${PATH}/${body.id}`)).status, 204);
}
