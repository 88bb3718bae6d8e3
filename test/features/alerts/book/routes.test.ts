import assert from "node:assert/strict";
import { test } from "node:test";
import type { AlertPage as Page } from "../../../../src/client/api-types.gen.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { alertWorld, MINUTE } from "./support.ts";

interface Posted {
  data: { status: string; id: string; fingerprint: string; error: string | null }[];
}

const PATH = "/api/v1/alerts";

test("alerts are posted in batches: fired, repeated, resolved, refused", async (t) => {
  const { prism, clock } = await alertWorld(t);
  const post = async (...alerts: object[]) => (await prism.post<Posted>(PATH, { alerts })).body.data;
  const labels = { alertname: "cs", team: "db" };
  const [byLabels, byKey] = await post({ labels }, { key: "backup", labels: { alertname: "Backup" } });
  assert.deepEqual([byLabels?.status, byKey?.status], ["opened", "opened"]);
  assert.equal(byLabels?.fingerprint, "093bc9e7315f2c1f", "as in Alertmanager");
  const again = await post(
    { labels: { ...labels, empty: "" } },
    { key: "backup", status: "resolved" },
    { key: "other", status: "resolved" },
    { labels: { alertname: "" } },
  );
  const shown = again.map(({ status, error }) => error ?? status);
  assert.deepEqual(shown, ["repeated", "resolved", "unchanged", "at least one label pair required"]);
  assert.equal(again[0]?.id, byLabels?.id);
  const over = await post({ labels, endsAt: new Date(clock.now() - 1).toISOString() });
  assert.equal(over[0]?.status, "resolved", "an end that has passed resolves");
  const none = await prism.post(PATH, { alerts: [{ labels: {} }] });
  assert.deepEqual([none.status, (none.body["error"] as { code: string }).code], [400, "VALIDATION_FAILED"]);
});

test("live alerts are listed latest first, by filters and by cursor", async (t) => {
  const { prism, alerts, input, clock } = await alertWorld(t);
  for (let i = 0; i < 5; i++) {
    const more = { labels: { alertname: "A", n: String(i), severity: i % 2 ? "critical" : "info" } };
    // Two of an instant: the id orders them.
    if (i % 2 === 0) clock.advance(1000);
    await alerts().submit([input(`a${i}`, { ...more, annotations: { summary: `Disk ${i}` } })]);
  }
  await alerts().submit([input("held", { holdMs: MINUTE }), input("rule", { source: "rule", key: "rule:r:k" })]);
  const list = async (query: string) => (await prism.get<Page>(`${PATH}?${query}`)).body;
  const keys = async (query: string) => (await list(query)).data.map(({ key }) => key);
  const all = await keys("source=api");
  assert.deepEqual([all.length, all[0]], [5, "api:a4"]);
  const paged: string[] = [];
  for (let cursor = ""; ; ) {
    const page = await list(`source=api&limit=2${cursor}`);
    paged.push(...page.data.map(({ key }) => key));
    if (page.nextCursor === null) break;
    cursor = `&cursor=${page.nextCursor}`;
  }
  assert.deepEqual(paged, all);
  await alerts().submit([input("page", { labels: { alertname: "P", severity: "page" } })]);
  const severe = ["api:page", "api:a3", "api:a1", "api:a4", "api:a2", "api:a0"];
  assert.deepEqual(await keys("source=api&order=severity"), severe, "other words for severities count");
  const inOrder: string[] = [];
  for (let cursor = ""; ; ) {
    const page = await list(`source=api&order=severity&limit=4${cursor}`);
    inOrder.push(...page.data.map(({ key }) => key));
    if (page.nextCursor === null) break;
    cursor = `&cursor=${page.nextCursor}`;
  }
  assert.deepEqual(inOrder, severe);
  assert.equal((await prism.get(`${PATH}?state=resolved&order=severity`)).status, 400);
  for (const [query, expected] of [
    ["state=pending", ["api:held"]],
    ["source=rule", ["rule:r:k"]],
    ["severity=critical", ["api:a3", "api:a1"]],
    [`matcher=${encodeURIComponent('severity="info",n=~"[02]"')}`, ["api:a2", "api:a0"]],
    ["q=disk%204", ["api:a4"]],
    [`from=${encodeURIComponent(new Date(clock.now()).toISOString())}&source=api`, ["api:page", "api:a4"]],
  ] as const)
    assert.deepEqual(await keys(query), expected, query);
  const bad = await prism.get(`${PATH}?matcher=${encodeURIComponent('n=~"["')}`);
  assert.equal(bad.status, 400);
});

test("resolved alerts are listed by their end, and a person resolves one with an audit row", async (t) => {
  const { prism, alerts, input, clock, events } = await alertWorld(t);
  const opened = await alerts().submit([
    input("A"),
    input("B", { labels: { alertname: "B" } }),
    input("am", { source: "alertmanager", key: "fp:0000000000000001" }),
  ]);
  const [a, b, am] = opened.map((outcome) => outcome.alert?.id ?? "");
  const resolve = (id = "") => prism.post<Page["data"][0]>(`${PATH}/${id}/resolve`);
  assert.equal((await resolve(am)).status, 409, "its source would fire it again");
  const { status, body } = await resolve(a);
  assert.deepEqual([status, body.state], [200, "resolved"]);
  assert.equal((await resolve(a)).status, 200, "it is over already");
  clock.advance(1000);
  await resolve(b);
  const listed = await prism.get<Page>(`${PATH}?state=resolved&limit=1`);
  assert.equal(listed.body.data[0]?.id, b);
  const rest = await prism.get<Page>(`${PATH}?state=resolved&limit=1&cursor=${listed.body.nextCursor}`);
  assert.deepEqual([rest.body.data[0]?.id, rest.body.nextCursor], [a, null]);
  const matched = await prism.get<Page>(`${PATH}?state=resolved&matcher=alertname%3DB`);
  assert.deepEqual(valuesOf(matched.body.data, "id"), [b]);
  const one = await prism.get<{ incidents: unknown[]; state: string }>(`${PATH}/${a}`);
  assert.deepEqual([one.body.state, Array.isArray(one.body.incidents)], ["resolved", true]);
  const audit = rowsOf<{ resourceId: string }>(
    prism,
    "select resourceId from audit_log where action = 'alert.resolve'",
  );
  assert.deepEqual(valuesOf(audit, "resourceId"), [a, b]);
  assert.equal((await events()).filter((each) => each.startsWith("alert.resolved")).length, 2);
  assert.equal((await prism.get(`${PATH}/${"0".repeat(8)}`)).status, 404);
});
