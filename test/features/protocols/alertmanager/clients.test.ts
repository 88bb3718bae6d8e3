import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { parse } from "yaml";
import { eventually } from "../../../helpers/eventually.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered, type Reply, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { applyConfiguration } from "./support/apply.ts";
import { amtool, makeKey, urlWithKey } from "./support/programs.ts";

const ALERTS = "/alertmanager/api/v2/alerts";
const SILENCES = "/alertmanager/api/v2/silences";
const NO_ID = "0198c0de-0000-7000-8000-000000000000";

function basic(secret: string): Readonly<Record<string, string>> {
  return { Authorization: `Basic ${Buffer.from(`any:${secret}`).toString("base64")}` };
}

async function start(t: TestContext): Promise<{ prism: TestPrism; key: string }> {
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false" } });
  return { prism, key: await makeKey(prism) };
}

async function post(prism: TestPrism, labels: Readonly<Record<string, string>>): Promise<void> {
  const reply = await prism.post(ALERTS, [{ labels }]);
  assert.deepEqual([reply.status, reply.text], [200, ""]);
}

test("a project's key or a user's token is accepted as bearer token and as basic password, and nothing else", async (t) => {
  const { prism, key } = await start(t);
  const get = async (headers: Readonly<Record<string, string>>, path = ALERTS) =>
    (await prism.get(path, { token: null, headers })).status;
  assert.equal(await get({ Authorization: `Bearer ${key}` }), 200);
  assert.equal(await get({ "X-API-Key": key }), 200);
  assert.equal(await get(basic(key)), 200);
  assert.equal(await get(basic(prism.adminToken)), 200);
  assert.equal(await get({}), 401);
  assert.equal(await get(basic("")), 401);
  assert.equal(await get(basic(`${key}x`)), 401);
  assert.equal(await get({ Authorization: `Basic ${btoa("no colon")}` }), 401);
  assert.equal(await get(basic(key), "/api/v1/events"), 401, "no other route takes basic authentication");
  const { token: reader } = await makeUser(prism, "vera", ["Viewer"]);
  assert.equal(await get(basic(reader)), 200, "events:read reads the default project");
  const { token } = await makeUser(prism, "ann", []);
  assert.equal(await get(basic(token)), 403);
  const denied = await answered(403, prism.post(ALERTS, [{ labels: { a: "b" } }], { token }));
  const { code, message, error } = denied.body as { code: number; message: string; error: { code: string } };
  assert.deepEqual([code, error.code, message.length > 0], [403, "UNAUTHORIZED_ROLE", true]);
});

test("a large request is stored in parts, and each of its problems is in the answer", async (t) => {
  const { prism } = await start(t);
  const alerts = Array.from({ length: 1200 }, (_, at) => ({
    labels: at % 400 === 0 ? {} : { alertname: "A", at: `${at}` },
  }));
  const reply = await prism.post(ALERTS, alerts);
  const problem = "at least one label pair required";
  assert.deepEqual([reply.status, reply.body], [400, [problem, problem, problem].join("\n")]);
  const { body } = await prism.get<readonly unknown[]>(ALERTS);
  assert.equal(body.length, 1197);
});

test("refusals have Alertmanager's statuses and bodies", async (t) => {
  const { prism } = await start(t);
  const matcher = { name: "a", value: "b", isRegex: false };
  const silence = { matchers: [matcher], startsAt: "2026-01-01", endsAt: "2099-01-01", createdBy: "", comment: "" };
  const framework = (code: number, message: string) => ({ code, message });
  const cases: [method: string, path: string, body: unknown, status: number, reply: unknown][] = [
    ["POST", ALERTS, [{ labels: {} }], 400, "at least one label pair required"],
    ["POST", ALERTS, [{}], 422, framework(602, "0.labels in body is required")],
    ["POST", ALERTS, undefined, 422, framework(602, "alerts in body is required")],
    ["POST", ALERTS, "null", 200, null],
    ["POST", ALERTS, [], 200, null],
    [
      "POST",
      ALERTS,
      [{ labels: { a: "b" }, generatorURL: "x y" }],
      422,
      framework(601, '0.generatorURL in body must be of type uri: "x y"'),
    ],
    [
      "POST",
      ALERTS,
      [{ labels: { a: "b" }, startsAt: "2099-01-02", endsAt: "2099-01-01" }],
      400,
      "start time must be before end time",
    ],
    [
      "POST",
      ALERTS,
      Array(20_001).fill({ labels: { a: "b" } }),
      400,
      framework(400, 'parsing alerts body from "" failed, because it has more than 20000 alerts'),
    ],
    [
      "POST",
      ALERTS,
      [{ labels: Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`l${at}`, "x"])) }],
      400,
      "an alert has at most 100 labels",
    ],
    ["GET", `${ALERTS}?filter=bad`, undefined, 400, "bad matcher format: bad"],
    [
      "POST",
      SILENCES,
      { ...silence, matchers: [] },
      422,
      framework(612, "matchers in body should have at least 1 items"),
    ],
    ["POST", SILENCES, { ...silence, id: NO_ID }, 404, "silence not found"],
    ["GET", `/alertmanager/api/v2/silence/${NO_ID}`, undefined, 404, null],
    [
      "GET",
      "/alertmanager/api/v2/silence/x",
      undefined,
      422,
      framework(601, 'silenceID in path must be of type uuid: "x"'),
    ],
    ["GET", "/alertmanager/api/v2/nope", undefined, 404, framework(404, "path /api/v2/nope was not found")],
    ["DELETE", ALERTS, undefined, 405, framework(405, "method DELETE is not allowed, but [POST,GET] are")],
  ];
  for (const [method, path, body, status, expected] of cases) {
    const reply = await prism.request(method, path, body);
    const given = reply.text === "" ? null : (JSON.parse(reply.text) as object | string);
    const { error: _, ...members } = Object(given) as { error?: unknown };
    const shown = typeof given === "object" && given !== null ? members : given;
    const label = `${method} ${path} ${JSON.stringify(body)?.slice(0, 200)}`;
    assert.deepEqual([reply.status, shown], [status, expected], label);
  }
  const text = await prism.request("POST", ALERTS, "x", { headers: { "Content-Type": "text/plain" } });
  assert.deepEqual(
    [text.status, (text.body as { message?: string }).message],
    [415, 'unsupported media type "text/plain", only [application/json] are allowed'],
  );
});

test("of a batch the valid alerts are stored, whatever the others are; names may be any UTF-8", async (t) => {
  const { prism } = await start(t);
  const reply = await prism.post(ALERTS, [
    { labels: { alertname: "Kept" } },
    { labels: { x: "" } },
    { labels: { "a.b é": "1" } },
  ]);
  assert.deepEqual([reply.status, reply.body], [400, "at least one label pair required"]);
  const { body } = await prism.get<{ labels: object }[]>(ALERTS);
  assert.deepEqual(body.map(({ labels }) => labels).sort(), [{ "a.b é": "1" }, { alertname: "Kept" }].sort());
});

test("web pages of any origin may read, a slash at the end is ignored, and the old API is gone", async (t) => {
  const { prism, key } = await start(t);
  const headers = { ...basic(key), Origin: "https://karma.example.com" };
  const token = null;
  const reply = await prism.get(`${ALERTS}/`, { token, headers });
  assert.deepEqual([reply.status, originOf(reply)], [200, "*"]);
  assert.equal(originOf(await prism.get(ALERTS, { token, headers: { Origin: headers.Origin } })), "*", "401 too");
  const asked = { "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization" };
  const preflight = await prism.request("OPTIONS", ALERTS, undefined, {
    token: null,
    headers: { ...headers, ...asked },
  });
  assert.deepEqual([preflight.status, originOf(preflight)], [204, "*"]);
  assert.match(String(preflight.headers.get("access-control-allow-methods")), /POST/);
  assert.equal(originOf(await prism.get("/api/v1/events", { headers: { Origin: headers.Origin } })), null);
  for (const path of ["/-/healthy", "/-/ready"]) {
    const probe = await prism.get(`/alertmanager${path}`, { token: null });
    assert.deepEqual([probe.status, probe.text], [200, "OK"]);
  }
  assert.equal((await prism.get("/alertmanager/api/v1/alerts")).status, 410);
  const head = await prism.request("HEAD", ALERTS);
  assert.deepEqual([head.status, head.text, head.headers.get("cache-control")], [200, "", "no-store"]);
});

function originOf({ headers }: Reply<unknown>): string | null {
  return headers.get("access-control-allow-origin");
}

test("Grafana's data source: its test, the silences, the groups and the contact points", async (t) => {
  const { prism, key } = await start(t);
  const get = <T>(path: string) => prism.get<T>(`/alertmanager/default${path}`, { token: null, headers: basic(key) });
  assert.notEqual((await get("/alertmanager/api/v2/status")).status, 200, "200 would mean Mimir");
  const status = await get<{ config: { original: string }; cluster: object; uptime: string }>("/api/v2/status");
  assert.equal(status.status, 200);
  const original = parse(status.body.config.original) as { receivers: unknown };
  assert.deepEqual(original.receivers, [{ name: "default" }]);
  assert.deepEqual(status.body.cluster, { peers: [], status: "disabled" });
  assert.equal((await get("/api/v1/status/buildinfo")).status, 404, "its errors are ignored");
  await post(prism, { alertname: "Disk", instance: "i" });
  const silence = {
    matchers: [{ name: "alertname", value: "Disk", isRegex: false, isEqual: true }],
    startsAt: new Date().toISOString(),
    endsAt: new Date(Date.now() + 3_600_000).toISOString(),
    createdBy: "grafana",
    comment: "created by Grafana",
  };
  const made = await prism.post<{ silenceID: string }>("/alertmanager/default/api/v2/silences", silence, {
    token: null,
    headers: basic(key),
  });
  const listed = await get<{ id: string; status: object }[]>("/api/v2/silences?ruleMetadata=true&accesscontrol=true");
  const rows = listed.body.map(({ id, status: state }) => [id, state]);
  assert.deepEqual(rows, [[made.body.silenceID, { state: "active" }]]);
  const groups = await get<{ alerts: { status: object }[]; labels: object; receiver: object }[]>(
    "/api/v2/alerts/groups?silenced=true&active=true&inhibited=true",
  );
  assert.deepEqual(
    groups.body.map(({ alerts, labels, receiver }) => [labels, receiver, alerts.map(({ status: state }) => state)]),
    [
      [
        { alertname: "Disk" },
        { name: "default" },
        [{ inhibitedBy: [], mutedBy: [], silencedBy: [made.body.silenceID], state: "suppressed" }],
      ],
    ],
  );
  const ended = await prism.delete(`/alertmanager/default/api/v2/silence/${made.body.silenceID}`, {
    token: null,
    headers: basic(key),
  });
  assert.deepEqual([ended.status, ended.text], [200, ""]);
});

test("Karma: the version in the metrics, the groups with arrays, and an acknowledgement by a silence", async (t) => {
  const { prism, key } = await start(t);
  await post(prism, { alertname: "Disk" });
  const { text } = await prism.get("/alertmanager/metrics", { token: null, headers: basic(key) });
  const [, version = ""] = /^alertmanager_build_info\{[^}]*version="([^"]+)"/m.exec(text) ?? [];
  assert.ok(Number(version.split(".")[1]) >= 22, version);
  for (const line of [
    'alertmanager_alerts{state="active"} 1',
    'alertmanager_alerts_received_total{status="firing",version="v2"} 1',
    'alertmanager_silences{state="active"} 0',
    "alertmanager_config_last_reload_successful 1",
  ])
    assert.ok(text.includes(`${line}\n`), line);
  const until = new Date(Date.now() + 900_000).toISOString();
  const ack = {
    matchers: [
      { name: "alertname", value: "Disk", isRegex: false },
      { name: "instance", value: "^(a|b|)$", isRegex: true },
    ],
    startsAt: new Date().toISOString(),
    endsAt: until,
    createdBy: "karma-ack",
    comment: "ACK! This alert was acknowledged using karma",
  };
  const made = await prism.post<{ silenceID: string }>(SILENCES, ack, { token: null, headers: basic(key) });
  assert.equal(made.status, 200, made.text);
  const prolonged = await prism.post(
    SILENCES,
    { ...ack, id: made.body.silenceID, endsAt: "2099-01-01T00:00:00Z" },
    {
      token: null,
      headers: basic(key),
    },
  );
  assert.equal(prolonged.status, 200);
});

test("a group is muted by a time interval of its route, and can be hidden", async (t) => {
  const { prism } = await start(t);
  await applyConfiguration(
    prism,
    `
route: { receiver: default, routes: [ { matchers: [ a=b ], mute_time_intervals: [ always ] } ] }
time_intervals: [ { name: always, time_intervals: [ { times: [ { start_time: '00:00', end_time: '24:00' } ] } ] } ]
receivers: [ { name: default } ]
`,
  );
  await post(prism, { a: "b" });
  const groups = async (query: string) =>
    (await prism.get<{ alerts: { status: { state: string; mutedBy: string[] } }[] }[]>(`${ALERTS}/groups${query}`))
      .body;
  const [group] = await groups("");
  assert.deepEqual(
    group?.alerts.map(({ status }) => [status.state, status.mutedBy]),
    [["suppressed", ["always"]]],
  );
  assert.deepEqual(await groups("?muted=false"), []);
  const [alert] = (await prism.get<{ status: object }[]>(ALERTS)).body;
  assert.deepEqual(
    alert?.status,
    { state: "active", silencedBy: [], inhibitedBy: [], mutedBy: [] },
    "the alert is not",
  );
});

test("a silence made by amtool withholds a notification, and its end lets it through", async (t) => {
  const { prism, key } = await start(t);
  const { id } = await makeUser(prism, "ann", []);
  await prism.post("/api/v1/projects/default/members", { userId: id, role: "editor" });
  const url = urlWithKey(prism, key);
  const silence = await amtool(url, "silence", "add", "alertname=Disk", "-c", "maintenance");
  assert.equal(silence.code, 0, silence.stderr);
  await post(prism, { alertname: "Disk" });
  await post(prism, { alertname: "Other" });
  const titles = async (): Promise<string[]> => {
    const { body } = await prism.get<{ data: { title: string }[] }>("/api/v1/notifications/all?limit=50");
    return body.data.map(({ title }) => title).sort();
  };
  await eventually("the other alert is notified", async () =>
    (await titles()).some((title) => title.includes("Other")),
  );
  assert.ok(!(await titles()).some((title) => title.includes("Disk")));
  await amtool(url, "silence", "expire", silence.stdout.trim());
  await eventually("the alert is notified", async () => (await titles()).some((title) => title.includes("Disk")));
});

test("receiver_matchers compare the labels of receivers, of which policies have none", async (t) => {
  const { prism } = await start(t);
  await post(prism, { alertname: "A" });
  const API = "/alertmanager/api/v2";
  const count = async (path: string, matcher: string) => {
    const reply = await prism.get<unknown[]>(`${API}/${path}?receiver_matchers=${encodeURIComponent(matcher)}`);
    return reply.status === 200 ? reply.body.length : reply.status;
  };
  for (const path of ["alerts", "alerts/groups", "receivers"]) {
    assert.equal(await count(path, 'owner="payments"'), 0, path);
    assert.equal(await count(path, 'owner!="payments"'), 1, path);
    assert.equal(await count(path, "owner=~("), 400, path);
    assert.equal(await count(path, "="), 400, path);
  }
});

test("an alert that has ended does not change: the first of two ends counts", async (t) => {
  const { prism } = await start(t);
  const send = (annotations: Readonly<Record<string, string>>, times: object = {}) =>
    answered(200, prism.post(ALERTS, [{ labels: { alertname: "A" }, annotations, ...times }]));
  const ended = async () =>
    (await prism.get<{ data: { annotations: object }[] }>("/api/v1/alerts?state=resolved")).body.data;
  const ago = (seconds: number) => ({ endsAt: new Date(Date.now() - seconds * 1000).toISOString() });
  await send({ n: "1" });
  await send({ n: "2" }, ago(2));
  const [first] = await ended();
  await send({ n: "3" }, ago(1));
  assert.deepEqual(await ended(), [first]);
  assert.deepEqual((await prism.get<unknown[]>(ALERTS)).body, []);
});
