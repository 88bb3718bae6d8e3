import assert from "node:assert/strict";
import test from "node:test";
import { treatmentOf } from "../../src/cluster/lead/degraded.ts";
import { nameOwners } from "../../src/core/runtime.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";

const EVENT = { type: "door.opened", payload: {} };
const ALERTS = [{ labels: { alertname: "a" } }];

test("a copy names the person who owns the project of a key, URL or heartbeat, and no one for a stranger", async (t) => {
  const prism = await startPrism(t);
  const { id: projectId, apiKey } = await makeProject(prism);
  const key = (await prism.post<{ key: string }>(`/api/v1/projects/${projectId}/keys`, { name: "k" })).body.key;
  const made = async (path: string, body: object, member: string) => {
    const reply = await prism.post(path, { projectId, name: "n", ...body });
    assert.equal(reply.status, 201, reply.text);
    return String(reply.body[member]);
  };
  const timing = { timeoutMs: 3_600_000, graceMs: 3_600_000 };
  const ping = new URL(await made("/api/v1/heartbeats", timing, "pingUrl"), prism.url).pathname;
  const receiver = new URL(await made("/api/v1/receivers", { preset: "generic" }, "url"), prism.url).pathname;
  const pager = await made("/api/v1/integrations", { kind: "pagerduty" }, "key");
  const genie = await made("/api/v1/integrations", { kind: "opsgenie", name: "o" }, "key");
  const trigger = { event_action: "trigger", payload: { summary: "a", source: "b", severity: "critical" } };
  const owned: readonly (readonly [path: string, body: unknown, options: object])[] = [
    ["/api/v1/events", EVENT, {}],
    ["/api/v1/events", EVENT, { apiKey }],
    ["/api/v1/events", EVENT, { apiKey: key }],
    ["/alertmanager/api/v2/alerts", ALERTS, { token: key }],
    ["/v2/enqueue", { routing_key: pager, ...trigger }, { token: null }],
    ["/generic/2010-04-15/create_event.json", { service_key: pager, event_type: "trigger", description: "a" }, {}],
    ["/v2/alerts", { message: "a" }, { token: null, headers: { Authorization: `GenieKey ${genie}` } }],
    [receiver, ALERTS[0], { token: null }],
    [ping, undefined, { token: null }],
  ];
  const ask = async ([path, body, options]: (typeof owned)[number]) => {
    assert.equal(treatmentOf("POST", path), "kept", path);
    const { status, headers } = await prism.post(path, body, options);
    return [status < 300, headers.get("prism-owner")];
  };
  for (const each of owned) assert.deepEqual(await ask(each), [true, null], `a server: ${each[0]}`);
  nameOwners();
  await prism.restart();
  const [, owner] = await ask(owned[0] as (typeof owned)[number]);
  assert.match(String(owner), /^[0-9a-f-]{36}$/);
  for (const each of owned) assert.deepEqual(await ask(each), [true, owner], each[0]);
  const { token } = await makeUser(prism, "eve", ["User"]);
  assert.notEqual((await ask(["/api/v1/events", EVENT, { token }]))[1], owner);

  const uuid = "01890000-0000-7000-8000-000000000000";
  const strangers: typeof owned = [
    ["/api/v1/events", EVENT, { token: null }],
    ["/api/v1/events", EVENT, { apiKey: "prk_unknown" }],
    ["/v2/enqueue", { routing_key: "a".repeat(32), ...trigger }, { token: null }],
    ["/v2/alerts", { message: "a" }, { token: null, headers: { Authorization: "GenieKey a" } }],
    ["/in/unknown", ALERTS[0], { token: null }],
    [`/ping/${uuid}`, undefined, { token: null }],
    [`/api/push/${uuid.replaceAll("-", "")}`, undefined, { token: null }],
    [`/integrations/v1/webhook/${uuid}/heartbeat/`, undefined, { token: null }],
    [`/api/v2/heartbeat/${uuid}`, undefined, { token: null }],
    ["/v2/heartbeats/unknown/ping", undefined, { token: null }],
    ["/api/v1/push/acknowledge", { token: "unknown" }, { token: null }],
    ["/account/acknowledge", undefined, { token: null }],
    [`/hooks/channels/${uuid}/slack`, {}, { token: null }],
  ];
  for (const each of strangers) assert.deepEqual(await ask(each), [false, null], each[0]);
});
