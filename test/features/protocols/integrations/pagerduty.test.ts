import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject } from "../../../helpers/people.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { IntegrationTest, type Made } from "./support.ts";

const ENQUEUE = "/v2/enqueue";
const V1 = "/generic/2010-04-15/create_event.json";
const PAYLOAD = { summary: "Disk full on db-2", source: "db-2", severity: "critical", class: "disk" };

interface Answer {
  readonly status: string;
  readonly message: string;
  readonly dedup_key?: string;
  readonly incident_key?: string;
  readonly errors?: readonly string[];
  readonly error?: { readonly code: string };
}

test("a trigger fires an alert, a repetition counts, a resolve ends it, and the next trigger opens another", async (t) => {
  const it = await IntegrationTest.start(t, "pagerduty", { team: "db" });
  const { key, id } = it.integration;
  const trigger = { routing_key: key, event_action: "trigger", dedup_key: "disk-2", payload: PAYLOAD };
  const first = await it.send<Answer>(ENQUEUE, {
    ...trigger,
    client: "Zabbix",
    client_url: "https://zabbix.example/1",
  });
  assert.equal(first.status, 202);
  assert.deepEqual(first.body, { status: "success", message: "Event processed", dedup_key: "disk-2" });
  const [alert] = await it.alerts();
  assert.deepEqual(alert?.labels, {
    alertname: "Disk full on db-2",
    class: "disk",
    severity: "critical",
    source: "db-2",
    team: "db",
  });
  assert.deepEqual(
    [alert?.sourceId, alert?.key, alert?.severity, alert?.generatorUrl, alert?.annotations["client"]],
    [id, `pd:${id}:disk-2`, "critical", "https://zabbix.example/1", "Zabbix"],
  );
  // Another summary is the same alert: its labels stay except the severity, what people read changes.
  await it.send(ENQUEUE, { ...trigger, payload: { ...PAYLOAD, summary: "Disk full, 2 %", severity: "info" } });
  const [repeated, ...others] = await it.alerts();
  assert.deepEqual(
    [repeated?.id, repeated?.count, repeated?.labels, repeated?.annotations["summary"], others.length],
    [alert?.id, 2, { ...alert?.labels, severity: "info" }, "Disk full, 2 %", 0],
  );
  const resolve = { routing_key: key, event_action: "resolve", dedup_key: "disk-2" };
  assert.equal((await it.send(ENQUEUE, resolve)).status, 202);
  assert.deepEqual(await it.alerts(), []);
  // Without an open alert it is accepted and dropped.
  for (const action of ["resolve", "acknowledge"])
    assert.equal((await it.send(ENQUEUE, { ...resolve, event_action: action })).status, 202);
  await it.send(ENQUEUE, trigger);
  assert.notEqual((await it.alerts())[0]?.id, alert?.id);
});

test("an acknowledgement acknowledges the incident, and a later trigger does not open it again", async (t) => {
  const it = await IntegrationTest.start(t, "pagerduty");
  const event = { routing_key: it.integration.key, dedup_key: "a", payload: PAYLOAD };
  // The incident follows its alert, after the answer.
  const becomes = (state: string) =>
    eventually(`the incident is ${state}`, async () => {
      const states = (await it.incidents()).map((incident) => incident.state);
      return states.length === 1 && states[0] === state;
    });
  await it.send(ENQUEUE, { ...event, event_action: "trigger" });
  await becomes("open");
  await it.send(ENQUEUE, { ...event, event_action: "acknowledge" });
  await becomes("acknowledged");
  await it.send(ENQUEUE, { ...event, event_action: "trigger" });
  assert.deepEqual(valuesOf(await it.incidents(), "state"), ["acknowledged"]);
  await it.send(ENQUEUE, { ...event, event_action: "resolve" });
  await becomes("resolved");
});

test("a key is made if none is given; times, links and details are kept", async (t) => {
  const it = await IntegrationTest.start(t, "pagerduty");
  const payload = { ...PAYLOAD, timestamp: "2026-01-02T03:04:05.000+0000", custom_details: { free: "1 GB" } };
  const links = [{ href: "https://runbook.example", text: "Runbook" }];
  const { body } = await it.send<Answer>(ENQUEUE, {
    routing_key: it.integration.key,
    event_action: "trigger",
    payload,
    links,
  });
  assert.match(body.dedup_key ?? "", /^[0-9a-f]{32}$/);
  const [alert] = await it.alerts();
  assert.equal(alert?.startsAt, "2026-01-02T03:04:05.000Z");
  assert.deepEqual(
    [alert?.annotations["details"], alert?.annotations["links"]],
    ['{"free":"1 GB"}', JSON.stringify(links)],
  );
});

test("Events API v1 shares its alerts with v2", async (t) => {
  const it = await IntegrationTest.start(t, "pagerduty");
  const event = { service_key: it.integration.key, incident_key: "k", description: "Down", details: { a: 1 } };
  const opened = await it.send<Answer>(V1, { ...event, event_type: "trigger" });
  assert.deepEqual(
    [opened.status, opened.body],
    [200, { status: "success", message: "Event processed", incident_key: "k" }],
  );
  assert.equal((await it.alerts())[0]?.annotations["details"], '{"a":1}');
  await it.send(ENQUEUE, { routing_key: it.integration.key, event_action: "resolve", dedup_key: "k" });
  assert.deepEqual(await it.alerts(), []);
});

test("a change is an event of the project and opens no alert", async (t) => {
  const it = await IntegrationTest.start(t, "pagerduty");
  const change = { routing_key: it.integration.key, payload: { summary: "Deployed 1.2", source: "ci" } };
  const reply = await it.send<Answer>("/v2/change/enqueue", change);
  assert.deepEqual([reply.status, reply.body], [202, { status: "success", message: "Change event processed" }]);
  const { body } = await it.prism.get<{ data: { type: string; payload: object }[] }>("/api/v1/events?type=change");
  assert.deepEqual(valuesOf(body.data, "payload"), [
    { integrationId: it.integration.id, integration: "cluster", summary: "Deployed 1.2", source: "ci", links: [] },
  ]);
  assert.deepEqual(await it.alerts(), []);
});

test("each error names every problem in PagerDuty's form, and stores nothing", async (t) => {
  const it = await IntegrationTest.start(t, "pagerduty");
  const routing_key = it.integration.key;
  const foreign = (await it.prism.post<Made>("/api/v1/integrations", { kind: "opsgenie", name: "og" })).body.key;
  const trigger = { routing_key, event_action: "trigger", payload: PAYLOAD };
  const { summary: _summary, ...unnamed } = PAYLOAD;
  const cases: readonly [string, unknown, readonly string[], string?][] = [
    ["no key", { ...trigger, routing_key: undefined }, ["'routing_key' is missing or blank"]],
    [
      "short key",
      { ...trigger, routing_key: "abc" },
      ["Length of 'routing_key' is incorrect (should be 32 characters)"],
    ],
    ["unknown key", { ...trigger, routing_key: "0".repeat(32) }, ["Invalid routing key"]],
    ["another kind", { ...trigger, routing_key: foreign }, ["Invalid routing key"]],
    ["no action", { ...trigger, event_action: undefined }, ["'event_action' is missing or blank"]],
    [
      "unknown action",
      { ...trigger, event_action: "open" },
      ["'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge', 'resolve')"],
    ],
    ["no payload", { routing_key, event_action: "trigger" }, ["'payload' is missing or blank"]],
    ["no summary", { ...trigger, payload: unnamed }, ["'summary' is missing or blank"]],
    [
      "several",
      { ...trigger, payload: { ...PAYLOAD, source: " ", severity: "bad" } },
      [
        "'source' is missing or blank",
        "'severity' is invalid (must be one of the following: 'critical', 'warning', 'error', 'info')",
      ],
    ],
    ["no dedup_key", { routing_key, event_action: "resolve" }, ["'dedup_key' is missing or blank"]],
    [
      "long dedup_key",
      { ...trigger, dedup_key: "k".repeat(256) },
      ["Length of 'dedup_key' is too long (at most 255 characters)"],
    ],
    ["an array", [], ["The body must be a JSON object"]],
    ["no JSON", "{", ["The body is not JSON"]],
    ["no description", { service_key: routing_key, event_type: "trigger" }, ["'description' is missing or blank"], V1],
    ["change", { routing_key, payload: {} }, ["'summary' is missing or blank"], "/v2/change/enqueue"],
  ];
  for (const [name, body, errors, path = ENQUEUE] of cases) {
    const reply = await it.send<Answer>(path, body);
    const { status, message, errors: found } = reply.body;
    assert.deepEqual(
      [reply.status, status, message, found],
      [400, "invalid event", "Event object is invalid", errors],
      name,
    );
  }
  const large = await it.send<Answer>(ENQUEUE, { ...trigger, client: "x".repeat(530_000) });
  assert.deepEqual([large.status, large.body.status], [413, "invalid event"]);
  assert.equal((await it.prism.get(ENQUEUE, { token: null })).status, 405);
  assert.deepEqual(await it.alerts(), []);
});

test("a key acts in its project only, and what is not UTF-8 in length is cut", async (t) => {
  const it = await IntegrationTest.start(t, "pagerduty");
  const shop = await makeProject(it.prism);
  const own = { kind: "pagerduty", name: "shop", projectId: shop.id };
  const { key } = (await it.prism.post<Made>("/api/v1/integrations", own)).body;
  const payload = { ...PAYLOAD, summary: `${"a".repeat(1023)}😀` };
  await it.send(ENQUEUE, { routing_key: key, event_action: "trigger", payload });
  assert.deepEqual(await it.alerts(), []);
  const { body } = await it.prism.get<{ data: { labels: { alertname: string } }[] }>(
    `/api/v1/alerts?projectId=${shop.id}`,
  );
  const alertnames = body.data.map(({ labels }) => labels.alertname);
  assert.deepEqual(alertnames, ["a".repeat(1023)]);
});

test("curl's default content type is accepted", async (t) => {
  const it = await IntegrationTest.start(t, "pagerduty");
  const event = { routing_key: it.integration.key, event_action: "trigger", payload: PAYLOAD };
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  await answered(202, it.prism.request("POST", ENQUEUE, JSON.stringify(event), { token: null, headers }));
});

test("members of a body are charged to its address before they are parsed; small events of other addresses pass whatever strangers sent", async (t) => {
  const settings = { trustedProxies: "127.0.0.1", "rateLimit.enabled": "false" };
  const prism = await startPrism(t, { clock: new FakeClock(), settings });
  const { body: integration } = await prism.post<Made>("/api/v1/integrations", { kind: "pagerduty", name: "cluster" });
  // With spaces before it, as text, and still JSON for the parser.
  const send = (address: string, body: unknown) =>
    prism.post<Answer>(ENQUEUE, `  \n${JSON.stringify(body)}`, {
      token: null,
      headers: { "Content-Type": "text/plain", "x-forwarded-for": address },
    });
  const wide = { routing_key: "a".repeat(32), payload: Array.from({ length: 19_000 }, () => 1) };
  const passedOf = async (address: string): Promise<number> => {
    for (let passed = 0; passed < 20; passed++) if ((await send(address, wide)).status === 429) return passed;
    return 20;
  };
  // 38 ms each, of 250 for an address.
  assert.equal(await passedOf("10.0.0.1"), 7);
  let passed = 0;
  for (let i = 2; i < 20; i++) passed += await passedOf(`10.0.0.${i}`);
  assert.ok(passed < 70, `${passed} requests of all strangers together`);
  const trigger = { routing_key: integration.key, event_action: "trigger", dedup_key: "disk-2", payload: PAYLOAD };
  assert.equal((await send("192.0.2.1", trigger)).status, 202);
});
