import assert from "node:assert/strict";
import test from "node:test";
import { alertmanager } from "../../../../../src/features/intake/receivers/presets/alertmanager.ts";
import { grafana } from "../../../../../src/features/intake/receivers/presets/grafana.ts";
import { ReceiverTest } from "../support.ts";
import { azure, MONITORS } from "./known-monitors.ts";
import { PROGRAMS } from "./known-programs.ts";
import { GRAFANA_TEST } from "./support/bodies.ts";

interface Tried {
  readonly result: string;
  readonly problem: string | null;
  readonly events: readonly {
    readonly type: string;
    readonly level: string;
    readonly payload: { readonly title: string; readonly message: string | null; readonly link: string | null };
  }[];
  readonly alerts: readonly { readonly key: string; readonly status: string }[];
}

/** What is shown of a request: type, level, title, message, link, and the alert. */
async function shown(it: ReceiverTest, id: string, body: unknown): Promise<readonly (string | null)[]> {
  const request = { contentType: "application/json", body: JSON.stringify(body) };
  const reply = await it.prism.post<Tried>(`/api/v1/receivers/${id}/test`, { request });
  assert.equal(reply.status, 200, reply.text);
  const { problem, events, alerts } = reply.body;
  assert.equal(problem, null, JSON.stringify(body).slice(0, 200));
  const [event, alert] = [events[0], alerts[0]];
  assert.ok(event, reply.text);
  const { type, level, payload } = event;
  const state = alert === undefined ? null : `${alert.status} ${alert.key}`;
  return [type, level, payload.title, payload.message, payload.link, state];
}

test("the preset generic names what well-known senders report, and knows their states", async (t) => {
  const it = await ReceiverTest.start(t);
  const { id } = await it.make({});
  for (const [name, body, wanted] of [...PROGRAMS, ...MONITORS])
    assert.deepEqual(await shown(it, id, body), wanted, name);
});

test("the receiver's own mapping comes before what is known of a sender", async (t) => {
  const it = await ReceiverTest.start(t);
  const { id } = await it.make({ mapping: { title: "= body.data.essentials.signalType", status: "event" } });
  const [, , title, , , state] = await shown(it, id, azure("Fired"));
  assert.deepEqual([title, state], ["Metric", null]);
});

test("the preset generic knows the words for firing and resolved, and says which one it does not know", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({});
  const firing = ["firing", "active", "ACTIVATED", "fired", "ALARM", "critical", "failed", "error", "Warning", "DOWN"];
  const resolved = ["resolved", "ok", "OK", "inactive", "recovered", "success", "CLEARED", "normal", "UP", "closed"];
  for (const [i, word] of firing.entries()) {
    const names = { key: `k${i}`, title: "Disk" };
    await it.send(receiver, { ...names, status: word });
    assert.equal((await it.alerts()).length, 1, word);
    await it.send(receiver, { ...names, state: resolved[i] });
    assert.deepEqual(await it.alerts(), [], resolved[i]);
  }
  for (const { outcome } of await it.requests(receiver)) assert.equal(outcome["problem"], undefined);
  await it.send(receiver, { title: "Disk", key: "d", status: "Wobbly" });
  const [unknown] = await it.requests(receiver, 1);
  assert.equal(unknown?.outcome["problem"], 'status: "wobbly" is not firing, resolved, acknowledged or event');
  await it.send(receiver, { title: "Built", status: "Wobbly" });
  const [withoutKey] = await it.requests(receiver, 1);
  assert.equal(withoutKey?.outcome["problem"], undefined, "without a key there is no alert to miss");
});

test("the preset generic opens and resolves alerts of Grafana, Alertmanager and OnCall's formatted webhook", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({});
  const endsAt = "2026-01-31T08:20:00Z";
  const group = (status: string) => ({
    ...grafana.sample.body,
    alerts: [{ ...grafana.sample.body.alerts[0], endsAt, status }],
  });
  const onCall = { alert_uid: "08d6891a", title: "The shop is down", message: "Nothing answers" };
  const rows = [
    [group("firing"), "Memory of db-1 is high", group("resolved")],
    [alertmanager.sample.body, "Load of web-1 is high", null],
    [{ ...onCall, state: "alerting" }, "The shop is down", { ...onCall, state: "ok" }],
    [onCall, "The shop is down", { ...onCall, state: "ok" }],
  ] as const;
  for (const [body, title, end] of rows) {
    await it.send(receiver, body);
    const summaries = (await it.alerts()).map(({ annotations }) => annotations["summary"]);
    assert.ok(summaries.includes(title), `${title}: ${summaries}`);
    if (end) await it.send(receiver, end);
  }
  const left = (await it.alerts()).map(({ annotations }) => annotations["summary"]);
  assert.deepEqual(left, ["Load of web-1 is high"]);
  await it.send(receiver, { ...GRAFANA_TEST, groupKey: "{}" });
  assert.equal((await it.alerts()).length, 1, "Grafana never resolves the alert of its button Test");
  for (const { outcome } of await it.requests(receiver)) assert.equal(outcome["problem"], undefined);
});

test("a mapping may give the words of Grafana and OnCall as the status", async (t) => {
  const it = await ReceiverTest.start(t);
  const mapping = { output: "alerts", key: "= body.alert_uid", status: "= body.state" };
  const receiver = await it.make({ mapping });
  await it.send(receiver, { alert_uid: "a", title: "Disk", state: "alerting" });
  assert.equal((await it.alerts()).length, 1);
  await it.send(receiver, { alert_uid: "a", title: "Disk", state: "ok" });
  assert.deepEqual(await it.alerts(), []);
  for (const { outcome } of await it.requests(receiver)) assert.equal(outcome["problem"], undefined);
});

test("a generic receiver with a mapping of its own reads a body with alerts as a whole", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ mapping: { title: "= body.commonLabels.team", key: "= body.groupKey" } });
  await it.send(receiver, grafana.sample.body);
  const summaries = (await it.alerts()).map(({ annotations }) => annotations["summary"]);
  assert.deepEqual(summaries, ["blue"]);
});

test("a form that a preset knows leaves no problem in the log", async (t) => {
  const it = await ReceiverTest.start(t);
  const rows: readonly [string, unknown][] = [
    ["uptime-kuma", { heartbeat: null, monitor: null, msg: "My Kuma Testing" }],
    ["grafana", { ruleId: 7, ruleName: "CPU", title: "[OK] CPU", state: "ok", orgId: 1 }],
    ["cloudevents", { specversion: "1.0", id: "1", source: "/a", type: "a.b", data: { message: "x" } }],
  ];
  for (const [preset, body] of rows) {
    const receiver = await it.make({ name: preset, preset });
    await it.send(receiver, body);
    const [logged] = await it.requests(receiver);
    assert.deepEqual([logged?.result, logged?.outcome["problem"]], ["accepted", undefined], preset);
  }
  const mistaken = await it.make({ preset: "generic", mapping: { split: "body.alert" } });
  await it.send(mistaken, { title: "x", alerts: [] });
  assert.equal((await it.requests(mistaken))[0]?.outcome["problem"], "split: no list");
});

test("a link in a block of a Slack message is kept", async (t) => {
  const it = await ReceiverTest.start(t);
  const { id } = await it.make({ preset: "slack" });
  const block = { type: "section", text: { type: "mrkdwn", text: "See <https://ci.example/7|run 7>" } };
  const button = {
    type: "actions",
    elements: [{ type: "button", url: "https://ci.example/8", text: { text: "Open" } }],
  };
  assert.equal((await shown(it, id, { text: "Failed", blocks: [block] }))[4], "https://ci.example/7");
  assert.equal((await shown(it, id, { text: "Failed", blocks: [button] }))[4], "https://ci.example/8");
});
