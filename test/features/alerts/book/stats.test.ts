import assert from "node:assert/strict";
import { test } from "node:test";
import type { AlertStats } from "../../../../src/client/api-types.gen.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered } from "../../../helpers/prism.ts";
import { alertWorld, MINUTE } from "./support.ts";

const PATH = "/api/v1/alerts/stats";
const HOUR = 60 * MINUTE;

test("alerts of a day are counted by their start, severity and name, firing and resolved ones", async (t) => {
  const { prism, alerts, input, clock } = await alertWorld(t);
  const { id: shop } = await makeProject(prism);
  let token = "";
  const stats = async (query = "", by = token) =>
    (await answered(200, prism.get<AlertStats>(`${PATH}${query}`, { token: by }))).body;
  const labels = (alertname: string, severity?: string) => ({ alertname, ...(severity && { severity }) });
  await alerts().submit([input("old", { labels: labels("Old", "critical") })]);
  clock.advance(25 * HOUR);
  await alerts().submit([
    input("a1", { labels: labels("Disk", "critical") }),
    input("a2", { labels: labels("Disk", "page") }),
    input("a3", { labels: labels("Host", "warning") }),
  ]);
  clock.advance(2 * HOUR);
  await alerts().submit([
    input("a1", { endsAt: clock.now() }),
    input("old", { endsAt: clock.now() }),
    input("a4", { labels: labels("Disk") }),
    input("held", { labels: labels("Held"), holdMs: MINUTE }),
  ]);

  // Tokens from before have expired.
  token = (await makeUser(prism, "eve", ["Admin"])).token;
  const day = await stats("?names=true");
  assert.equal(day.stepMs, 30 * MINUTE);
  assert.equal(day.points, 48);
  const sums = (each: AlertStats) =>
    Object.fromEntries(Object.entries(each.series).map(([key, numbers]) => [key, numbers.reduce((a, b) => a + b, 0)]));
  assert.deepEqual(sums(day), { critical: 2, error: 0, warning: 1, info: 0, none: 1 }, "`page` means critical");
  assert.equal(day.total, 4);
  assert.deepEqual(
    day.names?.map(({ name, total }) => [name, total]),
    [
      ["Disk", 3],
      ["Host", 1],
    ],
  );
  const bucket = (at: number) => Math.floor((at - Date.parse(day.from)) / day.stepMs);
  assert.equal(day.series["critical"]?.[bucket(clock.now() - 2 * HOUR)], 2);
  assert.equal(day.names?.[0]?.counts[bucket(clock.now())], 1);
  assert.equal(day.isCut, false);

  assert.deepEqual(sums(await stats("?state=firing")), { critical: 1, error: 0, warning: 1, info: 0, none: 1 });
  const resolved = await stats("?state=resolved");
  assert.deepEqual(sums(resolved), { critical: 2, error: 0, warning: 0, info: 0, none: 0 }, "by their end");
  assert.equal(resolved.series["critical"]?.[bucket(clock.now())], 2);
  assert.equal((await stats("?state=pending")).total, 1);
  assert.equal((await stats(`?matcher=${encodeURIComponent('alertname="Host"')}`)).total, 1);
  assert.equal((await stats("?severity=warning")).total, 1);
  assert.equal((await stats("?q=disk&names=true")).names?.length, 1);
  assert.equal((await stats("?stepMs=3600000")).stepMs, HOUR);
  for (const query of ["?stepMs=1000", "?from=2030-01-01T00:00:00Z&to=2029-01-01T00:00:00Z"])
    assert.equal((await prism.get(`${PATH}${query}`, { token })).status, 400, query);

  assert.equal((await stats(`?projectId=${shop}`)).total, 0);
  const outsider = await makeUser(prism, "ben");
  assert.equal((await stats("", outsider.token)).total, 0, "a project that the caller does not read");
});
