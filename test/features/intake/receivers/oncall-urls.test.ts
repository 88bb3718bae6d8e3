import assert from "node:assert/strict";
import test from "node:test";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";
import { configure, type FileObject } from "../../records/configuration/configuration.ts";

const TOKEN = "mReAoNwDm0eMwKo1mTeTwYo12";

async function withReceiver(prism: TestPrism, preset: string, more: object = {}): Promise<void> {
  const files: readonly FileObject[] = [
    ["projects", null, { slug: "duty", name: "Duty" }],
    ["receivers", "duty", { name: "Moved", preset, token: { env: "PRISM_SECRET_T" }, ...more }],
    ["heartbeats", "duty", { name: "Moved", timeout: "1d", ping: { env: "PRISM_SECRET_T" } }],
  ];
  const secrets = { "env:PRISM_SECRET_T": TOKEN, "env:PRISM_SECRET_S": "the-secret-of-the-sender" };
  await answered(200, configure(prism, "apply", files, { secrets }));
}

const url = (type: string, token = TOKEN) => `/integrations/v1/${type}/${token}/`;
const send = (prism: TestPrism, path: string, body: unknown, headers = {}) =>
  prism.post(path, body, { token: null, headers });
const alerts = (prism: TestPrism) =>
  rowsOf<{ key: string; state: string; labels: string }>(prism, "select key, state, labels from alerts order by key");

test("a sender of OnCall goes on at its URL, whose type decides nothing", async (t) => {
  const prism = await startPrism(t);
  await withReceiver(prism, "formatted-webhook");
  const body = { alert_uid: "a", title: "The shop is down", state: "alerting", message: "Nothing answers" };
  for (const path of [url("formatted_webhook"), url("formatted_webhook").slice(0, -1), url("webhook"), url("zabbix")]) {
    const { status, text } = await send(prism, path, body);
    assert.deepEqual([status, text], [200, '"Ok."'], path);
  }
  assert.deepEqual(
    alerts(prism).map(({ state }) => state),
    ["firing"],
  );
  assert.equal((await send(prism, url("formatted_webhook"), { ...body, state: "Ok" })).status, 200);
  assert.deepEqual(
    alerts(prism).map(({ state }) => state),
    ["resolved"],
  );
  assert.equal((await prism.get(`${url("webhook")}heartbeat/`, { token: null })).status, 200);
  assert.equal((await send(prism, `${url("webhook")}heartbeat`, {})).status, 200);
});

test("the formatted webhook groups by alert_uid, and pages without it and without a state", async (t) => {
  const prism = await startPrism(t);
  await withReceiver(prism, "formatted-webhook");
  const bodies = [
    { alert_uid: 7, title: "A" },
    { title: "B", state: "" },
    { message: "C" },
    { alert_uid: "", title: "D" },
  ];
  for (const body of bodies) assert.equal((await send(prism, url("formatted_webhook"), body)).status, 200);
  assert.deepEqual(
    alerts(prism).map(({ state }) => state),
    bodies.map(() => "firing"),
  );
  for (const body of bodies) await send(prism, url("formatted_webhook"), { ...body, state: "OK" });
  assert.deepEqual(
    alerts(prism).map(({ state }) => state),
    bodies.map(() => "resolved"),
  );
});

test("bodies without OnCall's members are an alert each, which says what it is about", async (t) => {
  const prism = await startPrism(t);
  await withReceiver(prism, "formatted-webhook");
  const bodies = [
    { check_name: "Disk of db1", error: "91 % full" },
    { check_name: "Disk of db2", error: "95 % full" },
    [{ host: "web1", reason: "no answer" }],
    {},
    { title: {}, password: "not-in-a-key" },
  ];
  for (const body of [...bodies, ...bodies]) assert.equal((await send(prism, url("webhook"), body)).status, 200);
  const rows = alerts(prism);
  assert.deepEqual(
    rows.map(({ state }) => state),
    bodies.map(() => "firing"),
  );
  assert.ok(
    rows.every(({ key }) => /:[0-9a-f]{32}$/.test(key)),
    JSON.stringify(rows),
  );
  const names = rows.map(({ labels }) => (JSON.parse(labels) as { alertname: string }).alertname).join("\n");
  assert.match(names, /Disk of db1/);
  assert.match(names, /Disk of db2/);
  assert.match(names, /web1/);
  await send(prism, url("webhook"), "the disk is full", { "content-type": "text/plain" });
  assert.equal(alerts(prism).length, bodies.length + 1);
});

test("unknown types and tokens are 404 in OnCall's form, and other methods are refused", async (t) => {
  const prism = await startPrism(t);
  await withReceiver(prism, "generic");
  for (const path of [
    url("maintenance"),
    url("direct_paging"),
    url("nothing"),
    url("constructor"),
    url("webhook", "a".repeat(25)),
  ]) {
    for (const answer of [await send(prism, path, { title: "x" }), await prism.get(path, { token: null })]) {
      assert.equal(answer.status, 404, path);
      assert.equal((answer.body as { detail?: string }).detail, "There is no receiver at this URL");
    }
  }
  assert.equal((await prism.put(url("webhook"), {}, { token: null })).status, 405);
  assert.equal(countOf(prism, "events"), 0);
});

test("a browser that opens the URL gets a page, and nothing is stored", async (t) => {
  const prism = await startPrism(t);
  await withReceiver(prism, "generic");
  const page = await prism.get(`${url("webhook")}?title=x`, { token: null });
  assert.deepEqual([page.status, page.headers.get("content-type")], [200, "text/html; charset=utf-8"]);
  assert.ok(!page.text.includes(TOKEN));
  const head = await fetch(new URL(url("webhook"), prism.url), { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(countOf(prism, "events") + countOf(prism, "receiver_requests"), 0);
});

test("the secret of the receiver is asked for, whatever the type; the log hides the token", async (t) => {
  const prism = await startPrism(t);
  await withReceiver(prism, "alertmanager", { secret: { env: "PRISM_SECRET_S" } });
  const body = {
    ...{ version: "4", groupKey: "g", status: "firing", receiver: "r", groupLabels: {}, commonLabels: {} },
    alerts: [
      {
        status: "firing",
        labels: { alertname: "Disk" },
        annotations: {},
        startsAt: "2026-01-01T00:00:00Z",
        fingerprint: "f",
      },
    ],
  };
  for (const type of ["alertmanager", "grafana", "webhook"])
    assert.equal((await send(prism, url(type), body)).status, 401, type);
  const headers = { authorization: "Bearer the-secret-of-the-sender" };
  const { status, text } = await send(prism, url("alertmanager"), body, headers);
  assert.deepEqual([status, text], [200, '"Ok."']);
  assert.equal(alerts(prism).length, 1);
  assert.ok(!JSON.stringify(rowsOf(prism, "select * from receiver_requests")).includes(TOKEN));
});
