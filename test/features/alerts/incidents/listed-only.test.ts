import assert from "node:assert/strict";
import { test } from "node:test";
import type { AlertTrial as Explained } from "../../../../src/client/api-types.gen.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { answered } from "../../../helpers/prism.ts";
import { countOf } from "../../../helpers/tables.ts";
import { rowsWith } from "../../../helpers/values.ts";
import { startRecorder } from "../../../helpers/webhook-recorder.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

test("alerts of a policy that opens no incidents are listed, and nothing else happens", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  const made = await world.prism.post<{ id: string; opensIncidents: boolean; version: number }>("/api/v1/policies", {
    name: "null",
    steps: [],
    opensIncidents: false,
  });
  assert.deepEqual([made.status, made.body.opensIncidents], [201, false], made.text);
  const routes = [{ policy: "null", matchers: ['alertname="Watchdog"'] }];
  await answered(200, world.prism.put("/api/v1/routes", { route: { policy: "default", groupWaitMs: 0, routes } }));
  await world.fire("Watchdog");
  await world.pass(10 * MINUTE);
  assert.deepEqual([await world.rows(), await world.notified()], [[], []]);
  const alerts = await world.prism.get<{ data: { id: string }[] }>("/api/v1/alerts");
  assert.equal(alerts.body.data.length, 1);

  const explained = await world.prism.get<Explained>(`/api/v1/explain/alert/${alerts.body.data[0]?.id}`);
  assert.match(explained.body.answer, /^The policy null opens no incidents: the alert is listed/, explained.text);
  const trial = await world.prism.post<Explained>("/api/v1/explain/alert", {
    labels: { alertname: "Watchdog", n: "2" },
  });
  assert.equal(trial.body.answer, "The policy null opens no incidents: the alert would only be listed.");
  assert.deepEqual(rowsWith(trial.body.routes, "isListedOnly", "incident", "next"), [[true, null, []]]);

  await world.resolveAlert("Watchdog");
  const changed = await world.prism.patch<{ opensIncidents: boolean }>(`/api/v1/policies/${made.body.id}`, {
    opensIncidents: true,
  });
  assert.equal(changed.body.opensIncidents, true, changed.text);
  await world.fire("Watchdog");
  assert.equal((await world.rows()).length, 1);
});

test("policies of an earlier version open incidents", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  await world.prism.patch(`/api/v1/policies/${world.projectId}`, { repeat: 1 });
  await world.db.write(async (trx) => {
    for (const table of ["policies", "policy_versions"] as const) {
      const { definition } = await trx.selectFrom(table).select("definition").executeTakeFirstOrThrow();
      const { opensIncidents: _, ...old } = JSON.parse(definition) as Record<string, unknown>;
      await trx
        .updateTable(table)
        .set({ definition: JSON.stringify(old) })
        .execute();
    }
  });
  await world.prism.restart();
  await world.fire("A");
  assert.deepEqual(await world.notified(), ["step ann"]);
  const shown = await world.prism.get<{ opensIncidents: boolean }>(`/api/v1/policies/${world.projectId}`);
  assert.equal(shown.body.opensIncidents, true);
});

test("an incident whose policy only calls webhooks goes on calling, and is not among those that wait for people", async (t) => {
  const recorder = await startRecorder<{ notification_reason: string }>(t);
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const steps = [{ type: "webhook", url: `${recorder.url}/watchdog`, format: "alertmanager" }];
  await answered(201, world.prism.post("/api/v1/policies", { name: "watch", steps }));
  const routes = [{ policy: "watch", matchers: ['alertname="Watchdog"'], repeatMs: 5 * MINUTE }];
  await world.prism.put("/api/v1/routes", { route: { policy: "default", groupWaitMs: 0, routes } });
  await world.fire("Watchdog");
  // The administrator's token ends after 15 minutes.
  for (let call = 1; call <= 3; call += 1) {
    await eventually(`call ${call}`, () => recorder.posts.length === call);
    // Until its answer is stored the incident has reached no one, and calls sooner.
    await eventually("its answer is stored", () => countOf(world.prism, "pages where outcome <> 'delivered'") === 0);
    if (call < 3) await world.pass(5 * MINUTE);
  }
  await world.fire("Other");
  const attention = await world.prism.get<{ items: { kind: string; title: string }[] }>("/api/v1/attention");
  const waiting = attention.body.items.filter(({ kind }) => kind === "incident").map(({ title }) => title);
  assert.deepEqual(waiting, ["#2 Other"], attention.text);
  const listed = await world.prism.get<{ data: { title: string; notifiesPeople: boolean }[] }>("/api/v1/incidents");
  assert.deepEqual(rowsWith(listed.body.data, "title", "notifiesPeople"), [
    ["Other", true],
    ["Watchdog", false],
  ]);
  assert.ok(!(await world.events()).includes("incident.exhausted"));
});
