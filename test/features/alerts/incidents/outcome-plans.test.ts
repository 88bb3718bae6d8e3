import assert from "node:assert/strict";
import { test } from "node:test";
import { planOf } from "../../../../scripts/surface/lib/plans.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { answered } from "../../../helpers/prism.ts";
import { recordSql } from "../../../store/support/recorded-sql.ts";
import { httpServer } from "../../channels/presets/http.ts";
import { startStandIn } from "../../channels/support/stand-in.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

test("what a failed page asks for is found by indexes, whatever jobs and ended pages there are", async (t) => {
  const seen = recordSql();
  const settings = { "webhooks.allowPrivateCidrs": "127.0.0.0/8", "store.writer": "main" };
  const world = await IncidentWorld.start(t, settings);
  const { prism } = world;
  const { token } = await world.member("ann");
  const gone = await startStandIn(t, httpServer());
  for (let n = 0; n < 100; n += 1) gone.next.push({ status: 404, body: "gone" });
  const fields = httpServer().fields(gone.url);
  await answered(201, prism.post("/api/v1/channels", { name: "Way", preset: "http", fields }, { token }));
  const rules = [0, 5].map((minutes) => ({ afterMs: minutes * MINUTE, channels: ["service"] }));
  await answered(200, prism.put("/api/v1/users/me/contact-rules", { high: rules, low: [] }, { token }));
  const steps = [{ type: "notify", users: ["ann"] }];
  const { version } = (await prism.get<{ version: number }>(`/api/v1/policies/${world.projectId}`)).body;
  const headers = { "If-Match": `"${version}"` };
  await answered(200, prism.put(`/api/v1/policies/${world.projectId}`, { steps }, { headers }));
  seen.clear();
  await world.fire("A");
  const { id } = await world.only();
  const logged = async (kind: string) => (await world.log(id)).filter((each) => each === kind).length;
  await eventually("the next contact rule is used", async () => (await logged("contact-notified")) === 1);
  await eventually("it has failed as well", async () => (await logged("unreachable")) > 0);

  const { reader } = prism.parts.base.store;
  const contacts = [...seen].filter((sql) => sql.includes("incident.contact"));
  assert.ok(contacts.length >= 2, `${contacts.length} statements`);
  for (const sql of contacts) {
    const plan = planOf(reader, sql).join("\n");
    assert.match(plan, /^SEARCH jobs USING INDEX jobs_contacts \(correlationId=\?\)$/, sql);
  }
  // Of one incident, in the transactions that store outcomes, turns and acknowledgements.
  const { status } = await prism.post(`/api/v1/incidents/${id}/acknowledge`, {});
  assert.equal(status, 200);
  const pages = [...seen].filter((sql) => /^select .*from "?pages"?( p)?\s+where "?(p\.)?incidentId/s.test(sql));
  assert.ok(pages.length >= 4, `${pages.length} statements`);
  for (const sql of pages)
    for (const line of planOf(reader, sql).filter((each) => / pages /.test(each)))
      assert.match(line, /^SEARCH pages USING (COVERING )?INDEX pages_(waiting|answered) \(incidentId=\?/, sql);
});
