import assert from "node:assert/strict";
import test from "node:test";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsWith } from "../../../helpers/values.ts";
import type { Made } from "./support.ts";

const PATH = "/api/v1/integrations";
const NEW = { kind: "pagerduty", name: "cluster", labels: { team: "platform" } };

async function trigger(prism: TestPrism, key: string): Promise<number> {
  const payload = { summary: "s", source: "s", severity: "info" };
  const event = { routing_key: key, event_action: "trigger", dedup_key: "d", payload };
  return (await prism.post("/v2/enqueue", event, { token: null })).status;
}

test("the key is shown once and stored as a hash; a rotated one works until its grace period ends", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { body: made } = await answered(201, prism.post<Made>(PATH, NEW));
  assert.match(made.key, /^[0-9a-f]{32}$/);
  const shown = await prism.get<Made>(`${PATH}/${made.id}`);
  assert.ok(!shown.text.includes(made.key) && made.key.startsWith(shown.body.prefix));
  const rows = prism.parts.base.reader.prepare("select * from integrations").all();
  const audit = prism.parts.base.reader.prepare("select * from audit_log").all();
  assert.ok(!JSON.stringify([rows, audit]).includes(made.key));
  const rotated = await prism.post<Made>(`${PATH}/${made.id}/rotate`, { graceMs: 60_000 });
  assert.deepEqual([await trigger(prism, made.key), await trigger(prism, rotated.body.key)], [202, 202]);
  clock.advance(60_000);
  assert.deepEqual([await trigger(prism, made.key), await trigger(prism, rotated.body.key)], [400, 202]);
  const last = await prism.post<Made>(`${PATH}/${made.id}/rotate`, {});
  assert.deepEqual([await trigger(prism, rotated.body.key), await trigger(prism, last.body.key)], [400, 202]);
  await prism.restart();
  assert.deepEqual([await trigger(prism, rotated.body.key), await trigger(prism, last.body.key)], [400, 202]);
});

test("an integration is listed, changed by version, and deleted with its key, each with an audit row", async (t) => {
  const prism = await startPrism(t);
  const { body: made } = await prism.post<Made>(PATH, NEW);
  await prism.post(PATH, { kind: "opsgenie", name: "another" });
  const listed = await prism.get<{ data: { name: string; kind: string }[] }>(`${PATH}?limit=2`);
  assert.deepEqual(rowsWith(listed.body.data, "name", "kind"), [
    ["another", "opsgenie"],
    ["cluster", "pagerduty"],
  ]);
  const change = (ifMatch: string) =>
    prism.patch<Made>(`${PATH}/${made.id}`, { name: "cluster-1" }, { headers: { "If-Match": ifMatch } });
  const changed = await change('"1"');
  assert.deepEqual([changed.status, changed.body.version, changed.headers.get("etag")], [200, 2, '"2"']);
  assert.equal((await change('"1"')).status, 412);
  assert.equal((await prism.post(PATH, { kind: "opsgenie", name: "cluster-1" })).status, 409);
  assert.equal((await prism.post(PATH, { ...NEW, name: "c", labels: { "": "x" } })).status, 400);
  await prism.post(`${PATH}/${made.id}/rotate`, {});
  assert.equal((await prism.delete(`${PATH}/${made.id}`)).status, 204);
  assert.equal((await prism.get(`${PATH}/${made.id}`)).status, 404);
  assert.equal(await trigger(prism, made.key), 400);
  const audit = await prism.get<{ data: { action: string }[] }>("/api/v1/audit?resourceType=integration");
  assert.deepEqual(audit.body.data.map(({ action }) => action).sort(), [
    "integration.create",
    "integration.create",
    "integration.delete",
    "integration.rotate",
    "integration.update",
  ]);
});

test("labels count for alerts that fire later; uses are stored at a stop", async (t) => {
  const prism = await startPrism(t);
  const { body: made } = await prism.post<Made>(PATH, NEW);
  assert.equal((await prism.get<Made>(`${PATH}/${made.id}`)).body.lastUsedAt, null);
  await prism.patch(`${PATH}/${made.id}`, { labels: { team: "database" } });
  await trigger(prism, made.key);
  const { body } = await prism.get<{ data: { labels: { team: string } }[] }>("/api/v1/alerts");
  const teams = body.data.map(({ labels }) => labels.team);
  assert.deepEqual(teams, ["database"]);
  const used = (await prism.get<Made>(`${PATH}/${made.id}`)).body.lastUsedAt;
  assert.ok(used);
  const { text } = await prism.get("/metrics");
  assert.ok(text.includes('prism_integration_requests_total{kind="pagerduty",result="accepted"} 1'));
  await prism.restart();
  assert.equal((await prism.get<Made>(`${PATH}/${made.id}`)).body.lastUsedAt, used);
});

test("the tag of an integration that was used is one that a change may name", async (t) => {
  const prism = await startPrism(t);
  const { body: made } = await prism.post<Made>(PATH, NEW);
  await trigger(prism, made.key);
  const tag = (await prism.get(`${PATH}/${made.id}`)).headers.get("etag") ?? "";
  assert.match(tag, /^"1\..+"$/);
  const change = { headers: { "If-Match": tag } };
  assert.equal((await prism.patch(`${PATH}/${made.id}`, { name: "cluster-1" }, change)).status, 200);
  assert.equal((await prism.patch(`${PATH}/${made.id}`, { name: "cluster-2" }, change)).status, 412);
});

test("a deleted project takes its keys along", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const { body: made } = await prism.post<Made>(PATH, { ...NEW, projectId: shop.id });
  assert.equal(await trigger(prism, made.key), 202);
  await prism.delete(`/api/v1/projects/${shop.id}`);
  assert.equal(await trigger(prism, made.key), 400);
});

test("no log line and no answer has a key", async (t) => {
  const log = new LogLines("debug");
  const prism = await startPrism(t, { log });
  const pagerDuty = (await prism.post<Made>(PATH, NEW)).body.key;
  const opsgenie = (await prism.post<Made>(PATH, { kind: "opsgenie", name: "og" })).body.key;
  const wrong = "f".repeat(32);
  const texts: string[] = [];
  for (const key of [pagerDuty, wrong, `${opsgenie}x`]) {
    const bad = { routing_key: key, event_action: "no", payload: 1 };
    texts.push((await prism.post("/v2/enqueue", bad, { token: null })).text);
  }
  for (const key of [opsgenie, wrong, pagerDuty]) {
    const headers = { Authorization: `GenieKey ${key}` };
    texts.push((await prism.post("/v2/alerts", { alias: "a" }, { token: null, headers })).text);
  }
  const all = JSON.stringify([log.lines, texts]);
  for (const key of [pagerDuty, opsgenie, wrong]) assert.ok(!all.includes(key));
});

test("owners and holders of policies:write manage integrations, members see them", async (t) => {
  const prism = await startPrism(t);
  const viewer = await makeUser(prism, "vera", ["Viewer"]);
  const { body: made } = await prism.post<Made>(PATH, NEW);
  const as = { token: viewer.token };
  assert.equal((await prism.get(`${PATH}/${made.id}`, as)).status, 200);
  assert.equal((await prism.post(PATH, { ...NEW, name: "other" }, as)).status, 403);
  assert.equal((await prism.delete(`${PATH}/${made.id}`, as)).status, 403);
});
