import assert from "node:assert/strict";
import test from "node:test";
import { DAY_MS } from "../../../../src/core/time/clock.ts";
import type { RouteTraffic } from "../../../../src/features/alerts/policies/traffic-view.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered } from "../../../helpers/prism.ts";
import { IncidentWorld } from "./support.ts";

async function trafficOf({ prism }: IncidentWorld, options: { token?: string } = {}): Promise<RouteTraffic> {
  return (await answered(200, prism.get<RouteTraffic>("/api/v1/routes/traffic", options))).body;
}

const shortOf = ({ routes }: RouteTraffic) =>
  routes.map(({ path, matched, taken }) => [path.at(-1), matched, taken] as const);

test("alerts of seven days run through the routes of now; one that matched none says so", async (t) => {
  const world = await IncidentWorld.start(t);
  const { prism, clock } = world;
  assert.deepEqual(shortOf(await trafficOf(world)), [["{}", 0, 0]], "the built-in routing");

  const fire = (name: string, labels: Readonly<Record<string, string>> = {}) =>
    world.fire(name, { labels: { alertname: name, ...labels } });
  const end = (name: string, labels: Readonly<Record<string, string>> = {}) =>
    world.resolveAlert(name, { labels: { alertname: name, ...labels } });
  await fire("Old", { team: "old" });
  await end("Old", { team: "old" });
  await fire("Long", { team: "web" });
  clock.advance(8 * DAY_MS);
  // The first token has expired by then.
  const { token } = await makeUser(prism, "root", ["Admin"]);
  await fire("Disk", { team: "db", severity: "critical" });
  await end("Disk", { team: "db", severity: "critical" });
  await fire("Disk", { team: "db", severity: "critical" });
  await fire("Fan", { team: "db" });
  await fire("Other");

  const routes = [
    {
      matchers: ['team="db"'],
      routes: [{ matchers: ['severity="critical"'], continue: true }, { matchers: ['severity=~"crit.*"'] }],
    },
    { matchers: ['team="old"'] },
    { matchers: ['team="web"'] },
    // The same matchers again: a route of its own, that nothing reaches.
    { matchers: ['team="web"'] },
  ];
  const stored = await answered(
    200,
    prism.put<{ version: number }>("/api/v1/routes", { route: { policy: "default", routes } }, { token }),
  );
  const traffic = await trafficOf(world, { token });
  assert.deepEqual(shortOf(traffic), [
    ["{}", 5, 1],
    ['{team="db"}', 3, 1],
    ['{severity="critical"}', 2, 2],
    ['{severity=~"crit.*"}', 2, 2],
    ['{team="old"}', 0, 0],
    ['{team="web"}', 1, 1],
    ['{team="web"}', 0, 0],
  ]);
  assert.deepEqual([traffic.alerts, traffic.isCut, traffic.version], [5, false, stored.body.version]);
  assert.equal(Date.parse(traffic.from), clock.now() - 7 * DAY_MS);
  assert.equal(traffic.routes[4]?.lastAt, null);
  assert.ok(Date.parse(traffic.routes[5]?.lastAt ?? "") < Date.parse(traffic.from), "it has been firing since");
});
