import assert from "node:assert/strict";
import { test } from "node:test";
import type { ListedIncidentPage as Listed } from "../../../../src/client/api-types.gen.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

async function listOf({ prism }: IncidentWorld, query: string): Promise<Listed> {
  const reply = await prism.get<Listed>(`/api/v1/incidents?${query}`);
  assert.equal(reply.status, 200, reply.text);
  return reply.body;
}

const titlesOf = ({ data }: Listed): string[] => data.map(({ title }) => title);

test("unresolved incidents come by state, severity and their earliest alert, page by page; a webhook's Watchdog is the last", async (t) => {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism, clock } = world;
  await world.member("ann");
  const steps = [{ type: "webhook", url: "http://127.0.0.1:9/watchdog", format: "alertmanager" }];
  assert.equal((await prism.post("/api/v1/policies", { name: "hooks", steps })).status, 201);
  const routes = [{ matchers: ['alertname="Watchdog"'], policy: "hooks" }];
  assert.equal(
    (await prism.put("/api/v1/routes", { route: { policy: "default", groupBy: ["alertname"], routes } })).status,
    200,
  );
  const ago = (minutes: number): number => clock.now() - minutes * MINUTE;
  for (const [name, severity, minutes] of [
    ["Watchdog", "critical", 900],
    ["Taken", "critical", 60],
    ["Later", "critical", 50],
    ["Note", "info", 40],
    ["Unnamed", null, 30],
    ["Slow", "warn", 51],
    ["Young", "page", 2],
    ["Down", "critical", 12],
    ["Broken", "error", 5],
  ] as const)
    await world.fire(name, { severity, labels: { alertname: name }, startsAt: ago(minutes) });
  const byTitle = new Map((await world.rows()).map(({ title, id }) => [title, id]));
  await prism.post(`/api/v1/incidents/${byTitle.get("Taken")}/acknowledge`, {});
  await prism.post(`/api/v1/incidents/${byTitle.get("Later")}/snooze`, { durationMs: 60 * MINUTE });

  const seen: string[] = [];
  for (let cursor = ""; ; ) {
    const page = await listOf(world, `order=attention&limit=2${cursor}`);
    seen.push(...titlesOf(page));
    if (page.nextCursor === null) break;
    cursor = `&cursor=${page.nextCursor}`;
  }
  const expected = ["Down", "Young", "Broken", "Unnamed", "Slow", "Note", "Taken", "Later", "Watchdog"];
  assert.deepEqual(seen, expected);
  assert.deepEqual(titlesOf(await listOf(world, "order=attention&state=open&severity=warning,none")), [
    "Unnamed",
    "Slow",
  ]);
  assert.deepEqual(titlesOf(await listOf(world, "order=attention&severity=info")), ["Note"]);
  const { data } = await listOf(world, "order=attention");
  const shown = data.map(({ severity, notifiesPeople }) => `${severity} ${notifiesPeople}`);
  assert.deepEqual(shown, [
    ...["critical true", "critical true", "error true", "null true", "warning true", "info true"],
    ...["critical true", "critical true", "critical false"],
  ]);
  assert.equal(data[4]?.firingSince, new Date(ago(51)).toISOString());
  const newest = titlesOf(await listOf(world, "limit=3"));
  assert.deepEqual(newest, ["Broken", "Down", "Young"], "without an order the newest are first");
});

test("an incident has the highest severity of its alerts, also when one of them is changed", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  const labels = { alertname: "Disk" };
  await world.fire("A", { labels: { ...labels, host: "a" }, severity: "info", key: "api:a" });
  assert.equal((await world.only()).severity, "info");
  const started = world.clock.now() - 5 * MINUTE;
  await world.fire("B", { labels: { ...labels, host: "b" }, severity: "warning", key: "api:b", startsAt: started });
  const { severity, firingSince } = await world.only();
  assert.deepEqual({ severity, firingSince }, { severity: "warning", firingSince: started });
  const alerts = [{ key: "a", labels: { ...labels, host: "a" }, severity: "critical" }];
  assert.equal((await world.prism.post("/api/v1/alerts", { alerts })).status, 200);
  assert.equal((await world.only()).severity, "critical");
});
