import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { makeProject } from "../../../helpers/people.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { httpServer } from "../../channels/presets/http.ts";
import { startStandIn } from "../../channels/support/stand-in.ts";

const COUNT = 20;
/** Each of these disabled a channel before. */
const FAILURES = 60;

test("a pager that answers 503 while twenty incidents open stays enabled and gets all twenty pages", async (t) => {
  const settings = { "webhooks.allowPrivateCidrs": "127.0.0.0/8", "rateLimit.enabled": "false" };
  const prism = await startPrism(t, { settings });
  const pager = await startStandIn(t, httpServer());
  const { id: projectId } = await makeProject(prism);
  const fields = pager.service.fields(pager.url);
  const channel = await prism.post<{ id: string }>("/api/v1/channels", {
    ...{ name: "pager", preset: "http", projectId, fields, eventTypes: ["none.x"] },
  });
  assert.equal(channel.status, 201, channel.text);
  const steps = [{ type: "channel", id: channel.body.id }];
  const policy = await prism.post<{ id: string }>("/api/v1/policies", { name: "page", projectId, steps });
  assert.equal(policy.status, 201, policy.text);
  const route = { policy: "page", groupBy: ["..."], groupWaitMs: 0, groupIntervalMs: 1000, repeatMs: 14_400_000 };
  const routes = await prism.put(`/api/v1/routes?projectId=${projectId}`, {
    route,
    inhibitRules: [],
    timeIntervals: [],
  });
  assert.equal(routes.status, 200, routes.text);

  const { db } = prism.services;
  await db.write((trx) => trx.updateTable("channels").set({ failures: FAILURES }).execute());
  for (let n = 0; n < FAILURES; n++) pager.next.push({ status: 503, body: "down" });
  const alerts = Array.from({ length: COUNT }, (_, n) => ({
    ...{ key: `a${n}`, labels: { alertname: `a${n}`, severity: "critical" } },
  }));
  await answered(200, prism.post("/api/v1/alerts", { projectId, alerts }));
  await eventually("the service fails for a while", () => pager.requests.length >= 3);
  // It is well again: what is left of the answers is thrown away.
  pager.next.length = 0;
  const titles = () => new Set(pager.seen.map(({ text }) => /\ba\d+\b/.exec(text)?.[0]));
  await eventually(
    () => `every page arrives: ${pager.seen.length} have`,
    () => titles().size === COUNT,
    180_000,
  );
  const shown = await prism.get<{ active: boolean }>(`/api/v1/channels/${channel.body.id}`);
  assert.equal(shown.body.active, true);
});
