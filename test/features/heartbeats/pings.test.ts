import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { badgeUrlOf } from "../../../src/features/heartbeats/badges.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import { rowsWith } from "../../helpers/values.ts";
import { RawConnection } from "../../http/support/raw-connection.ts";

interface Heartbeat {
  readonly id: string;
  readonly status: string;
  readonly slug: string;
  readonly pingUrl: string;
  readonly pushUrl: string;
  readonly version: number;
  readonly pingCount: number;
  readonly isStarted: boolean;
  readonly lastDurationMs: number | null;
}

const PATH = "/api/v1/heartbeats";
const UNKNOWN = "11111111-2222-4333-8444-555555555555";

async function create(prism: TestPrism, body: object = {}): Promise<Heartbeat> {
  const reply = await prism.post<Heartbeat>(PATH, { name: randomUUID(), ...body });
  assert.equal(reply.status, 201, reply.text);
  return reply.body;
}

const pathOf = (url: string): string => new URL(url).pathname;
const get = async (prism: TestPrism, id: string): Promise<Heartbeat> =>
  (await prism.get<Heartbeat>(`${PATH}/${id}`)).body;

async function ping(prism: TestPrism, path: string, init: RequestInit = {}) {
  const reply = await fetch(prism.url + path, init);
  return { status: reply.status, text: await reply.text(), headers: reply.headers };
}

test("ping URLs are answered as at Healthchecks", async (t) => {
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false" } });
  const heartbeat = await create(prism, { slug: "backup" });
  const { body: key } = await prism.post<{ pingKey: string }>(`${PATH}/key/rotate`, {});
  const byUuid = pathOf(heartbeat.pingUrl);
  const bySlug = `/ping/${key.pingKey}/backup`;
  for (const [path, status, text] of [
    [byUuid, 200, "OK"],
    [`${byUuid}/`, 200, "OK"],
    [`${byUuid}/start`, 200, "OK"],
    [`${byUuid}/log`, 200, "OK"],
    [`${byUuid}/fail`, 200, "OK"],
    [`${byUuid}/0`, 200, "OK"],
    [`${byUuid}/255`, 200, "OK"],
    [`${byUuid}/256`, 400, "invalid url format"],
    [`${byUuid}/1.5`, 404, "not found"],
    [`${byUuid}/none`, 404, "not found"],
    [`${byUuid}?rid=${UNKNOWN}`, 200, "OK"],
    [`${byUuid}?rid=${UNKNOWN.toUpperCase()}`, 200, "OK"],
    [`${byUuid}?rid=1`, 400, "invalid uuid format"],
    [`/ping/${UNKNOWN}`, 404, "not found"],
    [`/ping/${UNKNOWN}/256`, 404, "not found"],
    [`/ping/${UNKNOWN}?rid=1`, 404, "not found"],
    [`/ping/${byUuid.slice(6).toUpperCase()}`, 404, "not found"],
    ["/ping/x", 404, "not found"],
    [bySlug, 200, "OK"],
    [`${bySlug}/start`, 200, "OK"],
    [`${bySlug}/fail`, 200, "OK"],
    [`${bySlug}/log`, 200, "OK"],
    [`${bySlug}/3`, 200, "OK"],
    [`/ping/${key.pingKey}/other`, 404, "not found"],
    [`/ping/${key.pingKey}/Backup`, 400, "invalid url format"],
    [`/ping/wrong/backup`, 404, "not found"],
    [`/ping/${key.pingKey}/made?create=1`, 201, "Created"],
    [`/ping/${key.pingKey}/made?create=1`, 200, "OK"],
    [`/ping/${key.pingKey}/broken/fail?create=1`, 201, "Created"],
    [`/ping/${key.pingKey}/${"x".repeat(101)}?create=1`, 400, "a slug has at most 100 characters"],
    [`/ping/${key.pingKey}/a.b?create=1`, 404, "not found"],
  ] as const) {
    const reply = await ping(prism, path);
    assert.deepEqual([reply.status, reply.text], [status, text], path);
    assert.equal(reply.headers.get("content-type"), "text/plain; charset=utf-8", path);
    assert.equal(reply.headers.get("access-control-allow-origin"), "*", path);
    assert.equal(reply.headers.get("ping-body-limit"), "10000", path);
    assert.match(reply.headers.get("cache-control") ?? "", /no-store/, path);
  }
  for (const method of ["HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"])
    assert.equal((await ping(prism, byUuid, { method })).status, 200, method);
  const made = await prism.get<{ data: Heartbeat[] }>(`${PATH}?slug=broken`);
  assert.equal(made.body.data[0]?.status, "down");
});

test("a ping's body is kept as it arrived, up to 10 000 bytes, whatever its type and length", async (t) => {
  const prism = await startPrism(t);
  const { id, pingUrl } = await create(prism);
  const bytes = Buffer.from([0, 255, 254, 10, 13, 37, 38]);
  const form = { "Content-Type": "application/x-www-form-urlencoded" };
  const binary = await ping(prism, pathOf(pingUrl), { method: "POST", body: bytes, headers: form });
  const long = Buffer.alloc(3_000_000, "x");
  const large = await ping(prism, pathOf(pingUrl), { method: "POST", body: long });
  assert.deepEqual([binary.status, large.status], [200, 200]);
  const authorization = { Authorization: `Bearer ${prism.adminToken}` };
  const bodyOf = async (n: number) =>
    Buffer.from(
      await (await fetch(`${prism.url}${PATH}/${id}/pings/${n}/body`, { headers: authorization })).arrayBuffer(),
    );
  assert.deepEqual(await bodyOf(1), bytes);
  assert.equal((await bodyOf(2)).length, 10_000);
  const pings = await prism.get<{ data: { n: number; kind: string; hasBody: boolean }[] }>(`${PATH}/${id}/pings`);
  assert.deepEqual(rowsWith(pings.body.data, "n", "kind", "hasBody"), [
    [2, "success", true],
    [1, "success", true],
  ]);
});

test("filters and a manual pause ignore pings, which are stored and answered with 200", async (t) => {
  const prism = await startPrism(t);
  const onlyPost = await create(prism, { methods: "POST" });
  const ignored = await ping(prism, pathOf(onlyPost.pingUrl));
  assert.deepEqual([ignored.status, ignored.headers.get("prism-ping")], [200, "ignored"]);
  assert.equal((await get(prism, onlyPost.id)).status, "new");
  const filters = { httpBody: true, failureKeywords: "ERROR, panic", successKeywords: "done" };
  const byKeyword = await create(prism, { filters });
  for (const [body, suffix, status] of [
    ["all done", "", "up"],
    ["done, then panic", "", "down"],
    ["all done", "/0", "up"],
    ["nothing", "", "up"],
    // What a sender says outright is not overruled, nor dropped without a keyword.
    ["nothing", "/fail", "down"],
    ["done", "", "up"],
    ["done", "/7", "down"],
  ] as const) {
    await ping(prism, pathOf(byKeyword.pingUrl) + suffix, { method: "POST", body });
    assert.equal((await get(prism, byKeyword.id)).status, status, `${suffix} ${body}`);
  }
  await ping(prism, `${pathOf(byKeyword.pingUrl)}/start`, { method: "POST", body: "nothing" });
  assert.equal((await get(prism, byKeyword.id)).isStarted, true);
  const manual = await create(prism, { manualResume: true });
  await prism.post(`${PATH}/${manual.id}/pause`, {});
  const whilePaused = await ping(prism, pathOf(manual.pingUrl));
  assert.deepEqual([whilePaused.status, whilePaused.headers.get("prism-ping")], [200, "ignored"]);
  assert.equal((await get(prism, manual.id)).status, "paused");
  const resumed = await prism.post<Heartbeat>(`${PATH}/${manual.id}/resume`, {});
  assert.equal(resumed.body.status, "new");
  const again = await prism.post(`${PATH}/${manual.id}/resume`, {});
  assert.equal(again.status, 409);
});

test("an overdue heartbeat goes down at its due time, and a ping brings it up again", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { id, pingUrl } = await create(prism, { timeoutMs: 60_000, graceMs: 60_000 });
  await ping(prism, pathOf(pingUrl));
  const pingedAt = clock.now();
  clock.advance(90_000);
  assert.equal((await get(prism, id)).status, "grace");
  clock.advance(90_000);
  const flips = await eventually("the flip", async () => {
    const { body } = await prism.get<{ data: { at: string; to: string; reason: string }[] }>(`${PATH}/${id}/flips`);
    return body.data.length === 2 ? body.data : null;
  });
  const rows = flips.map(({ at, to, reason }) => [Date.parse(at), to, reason]);
  assert.deepEqual(rows, [
    [pingedAt + 120_000, "down", "timeout"],
    [pingedAt, "up", "ping"],
  ]);
  await ping(prism, pathOf(pingUrl));
  assert.equal((await get(prism, id)).status, "up");
});

test("a run that starts and does not end is down after its grace time; one that ends has a duration", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { id, pingUrl } = await create(prism, { graceMs: 60_000 });
  const path = pathOf(pingUrl);
  await ping(prism, `${path}/start?rid=${UNKNOWN}`);
  assert.equal((await get(prism, id)).isStarted, true);
  clock.advance(5000);
  await ping(prism, `${path}?rid=${UNKNOWN}`);
  const ended = await get(prism, id);
  assert.deepEqual([ended.isStarted, ended.lastDurationMs, ended.status], [false, 5000, "up"]);
  await ping(prism, `${path}/start`);
  clock.advance(61_000);
  await eventually("the flip", async () => {
    const { body } = await prism.get<{ data: { reason: string }[] }>(`${PATH}/${id}/flips`);
    return body.data[0]?.reason === "run-too-long";
  });
});

test("push URLs of Uptime Kuma, OnCall, GoAlert and Opsgenie", async (t) => {
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false" } });
  const { id, pushUrl, pingUrl } = await create(prism, { slug: "job" });
  const { body: key } = await prism.post<{ pingKey: string }>(`${PATH}/key/rotate`, {});
  const push = pathOf(pushUrl);
  const ok = await ping(prism, `${push}?status=up&msg=OK&ping=`);
  assert.deepEqual([ok.status, JSON.parse(ok.text)], [200, { ok: true }]);
  const down = await ping(prism, `${push}?status=down&msg=disk%20full&ping=12.4`);
  assert.deepEqual([down.status, (await get(prism, id)).status], [200, "down"]);
  const bad = await ping(prism, `${push}?ping=-1`);
  assert.deepEqual(
    [bad.status, JSON.parse(bad.text)],
    [404, { ok: false, msg: "Invalid ping value. Must be between 0 and 100000000000 ms." }],
  );
  const missing = await ping(prism, `/api/push/${"a".repeat(32)}`);
  assert.deepEqual(
    [missing.status, JSON.parse(missing.text)],
    [404, { ok: false, msg: "Monitor not found or not active." }],
  );
  const token = pathOf(pushUrl).split("/").at(-1);
  const onCall = await ping(prism, `/integrations/v1/alertmanager/${token}/heartbeat/`);
  assert.deepEqual([onCall.status, onCall.text], [200, '":)"']);
  assert.equal((await get(prism, id)).status, "up");
  const uuid = pathOf(pingUrl).split("/").at(-1);
  const goAlert = await ping(prism, `/api/v2/heartbeat/${uuid}`, { method: "POST" });
  assert.deepEqual([goAlert.status, goAlert.text], [200, ""]);
  assert.equal((await ping(prism, `/api/v2/heartbeat/${UNKNOWN}`, { method: "POST" })).status, 404);
  const headers = { Authorization: `GenieKey ${key.pingKey}` };
  const pong = await ping(prism, "/v2/heartbeats/job/ping", { headers });
  assert.deepEqual([pong.status, JSON.parse(pong.text).result], [202, "PONG - Heartbeat received"]);
  assert.equal((await ping(prism, "/v2/heartbeats/none/ping", { headers })).status, 404);
  assert.equal((await ping(prism, "/v2/heartbeats/job/ping")).status, 401);
});

test("badges show one heartbeat, a tag or the project, as SVG, JSON and for shields.io, if their signature is right", async (t) => {
  const prism = await startPrism(t);
  const heartbeat = await create(prism, { name: "<job>", tags: ["db"] });
  const { body: key } = await prism.get<{ badgeUrl: string }>(`${PATH}/key`);
  const all = pathOf(key.badgeUrl);
  const badge = pathOf((await prism.get<{ badgeUrl: string }>(`${PATH}/${heartbeat.id}`)).body.badgeUrl);
  const svg = await ping(prism, badge);
  assert.deepEqual([svg.status, svg.headers.get("content-type")], [200, "image/svg+xml"]);
  assert.match(svg.text, /&lt;job&gt;.*: up.*#4c1/s);
  await ping(prism, `${pathOf(heartbeat.pingUrl)}/fail`);
  assert.match((await ping(prism, badge)).text, /#e05d44/);
  const json = await ping(prism, all.replace(".svg", ".json"));
  assert.deepEqual(JSON.parse(json.text), { status: "down", total: 1, grace: 0, down: 1 });
  const shields = await ping(prism, badge.replace(".svg", ".shields"));
  assert.deepEqual(JSON.parse(shields.text), {
    schemaVersion: 1,
    label: "<job>",
    message: "down",
    color: "critical",
  });
  const paused = await create(prism, { name: "paused" });
  assert.equal((await prism.post(`${PATH}/${paused.id}/pause`)).status, 200);
  const ofPaused = pathOf((await prism.get<{ badgeUrl: string }>(`${PATH}/${paused.id}`)).body.badgeUrl);
  assert.match((await ping(prism, ofPaused)).text, /paused: paused.*#9f9f9f/s);
  assert.equal(JSON.parse((await ping(prism, ofPaused.replace(".svg", ".json"))).text).status, "paused");
  assert.equal((await prism.delete(`${PATH}/${paused.id}`)).status, 204);
  const [keys] = await prism.services.db.read.selectFrom("heartbeat_keys").selectAll().execute();
  assert.ok(keys);
  const ofTag = pathOf(badgeUrlOf(prism.url, keys, "db", { format: "json" }));
  await create(prism, { name: "other", tags: ["dbx"] });
  const running = await create(prism, { name: "running", tags: ["a", "db"] });
  await ping(prism, `${pathOf(running.pingUrl)}/start`);
  assert.deepEqual(JSON.parse((await ping(prism, ofTag)).text), { status: "down", total: 2, grace: 0, down: 1 });
  const now = Date.now();
  const set = (id: string, columns: object) =>
    prism.services.db.write((trx) => trx.updateTable("heartbeats").set(columns).where("id", "=", id).execute());
  await set(heartbeat.id, { status: "up", dueAt: now + 1_800_000 });
  await set(running.id, { dueAt: now - 1 });
  const late = JSON.parse((await ping(prism, all.replace(".svg", ".json"))).text);
  assert.deepEqual(late, { status: "late", total: 3, grace: 1, down: 0 }, "a run is judged by its start");
  assert.equal((await ping(prism, all.replace(/.\.svg$/, "!.svg"))).status, 404);
  assert.equal((await ping(prism, all.replace(".svg", "/db.svg"))).status, 404);
});

test("a heartbeat that is down opens its alert, and a success, a pause and a deletion resolve it", async (t) => {
  const prism = await startPrism(t);
  const { alerts } = prism.parts.offers;
  for (const end of ["", "pause", "delete"]) {
    const { id, pingUrl } = await create(prism, { labels: { team: "db" }, severity: "critical" });
    await ping(prism, `${pathOf(pingUrl)}/fail`);
    const { body } = await prism.get<{ projectId: string }>(`${PATH}/${id}`);
    const alert = alerts.byKey(body.projectId, `hb:${id}`);
    assert.deepEqual(
      [alert?.state, alert?.label("team"), alert?.label("alertname"), alert?.severity],
      ["firing", "db", "HeartbeatDown", "critical"],
    );
    if (end === "delete") await prism.delete(`${PATH}/${id}`);
    else if (end === "pause") await prism.post(`${PATH}/${id}/pause`, {});
    else await ping(prism, pathOf(pingUrl));
    assert.equal(alerts.byKey(body.projectId, `hb:${id}`), null, end);
  }
  const { body } = await prism.get<{ data: { type: string }[] }>("/api/v1/events?limit=100");
  const types = body.data.map(({ type }) => type).filter((type) => type.startsWith("heartbeat."));
  assert.deepEqual(types.sort(), ["heartbeat.down", "heartbeat.down", "heartbeat.down", "heartbeat.up"]);
});

test("without a routing document the alert goes to the policies that the heartbeat's channels name", async (t) => {
  const prism = await startPrism(t);
  for (const name of ["Database", "Web"]) {
    const steps = [{ type: "notify", members: true }];
    assert.equal((await prism.post("/api/v1/policies", { name, steps })).status, 201);
  }
  const policiesOf = async (channels: readonly string[]): Promise<string[]> => {
    const { id, pingUrl } = await create(prism, { channels });
    await ping(prism, `${pathOf(pingUrl)}/fail`);
    const { body } = await prism.get<{ data: { id: string; sourceId: string }[] }>("/api/v1/alerts?source=heartbeat");
    const alert = body.data.find(({ sourceId }) => sourceId === id);
    const { body: found } = await prism.get<{ incidents: { id: string }[] }>(`/api/v1/alerts/${alert?.id}`);
    const incidents = await Promise.all(
      found.incidents.map((each) => prism.get<{ policy: { name: string } }>(`/api/v1/incidents/${each.id}`)),
    );
    return incidents.map(({ body: incident }) => incident.policy.name).sort();
  };
  assert.deepEqual(await policiesOf(["Database", "Web", "gone"]), ["Database", "Web"]);
  assert.deepEqual(await policiesOf(["gone"]), ["default"]);
  assert.deepEqual(await policiesOf([]), ["default"]);
  const labels = { alertname: "A", channels: "Web,default" };
  const { body } = await prism.post<{ matches: { policy: { name: string }; groupKey: string }[] }>(
    "/api/v1/routes/test",
    { labels },
  );
  assert.deepEqual(
    body.matches.map(({ policy, groupKey }) => `${policy.name} ${groupKey}`),
    ["Web", "default"].map((name) => `${name} {}/{channels="Web,default"}:{alertname="A"}`),
  );
  const document = { route: { policy: "default", groupBy: ["alertname"], groupWaitMs: 0 } };
  assert.equal((await prism.put("/api/v1/routes", document)).status, 200);
  assert.deepEqual(await policiesOf(["Web"]), ["default"], "a document decides by itself");
});

test("a ping creates no heartbeat in a project that has the most it may have", async (t) => {
  const prism = await startPrism(t, { settings: { "limits.heartbeatsPerProject": "1" } });
  await create(prism);
  const { body: key } = await prism.post<{ pingKey: string }>(`${PATH}/key/rotate`, {});
  assert.equal((await ping(prism, `/ping/${key.pingKey}/second?create=1`)).status, 201);
  const reply = await ping(prism, `/ping/${key.pingKey}/one-more?create=1`);
  assert.equal(reply.status, 409);
  assert.match(reply.text, /limits\.heartbeatsPerProject/);
  assert.equal((await ping(prism, `/ping/${key.pingKey}/second?create=1`)).status, 200);
});

test("pings with slugs that the project does not have are limited together, and those of its heartbeats go on", async (t) => {
  const prism = await startPrism(t, { clock: new FakeClock(), settings: { "rateLimit.enabled": "true" } });
  await create(prism, { name: "job" });
  const { body: key } = await prism.post<{ pingKey: string }>(`${PATH}/key/rotate`, {});
  const statuses: number[] = [];
  for (let n = 0; n < 320 && statuses.at(-1) !== 429; n++)
    statuses.push((await ping(prism, `/ping/${key.pingKey}/new-${n}${n % 2 === 0 ? "?create=1" : ""}`)).status);
  assert.deepEqual([...new Set(statuses)].sort(), [201, 404, 429]);
  assert.equal((await ping(prism, `/ping/${key.pingKey}/job`)).status, 200);
  assert.equal((await ping(prism, `/ping/${key.pingKey}/new-0`)).status, 200, "also of one that a ping has made");
});

test("the body of a ping in chunks of one byte costs about its bytes, not an object for each", async (t) => {
  const prism = await startPrism(t);
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const head = `POST /ping/${UNKNOWN} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`;
  collect();
  const before = process.memoryUsage().heapUsed;
  const connections = await Promise.all(Array.from({ length: 50 }, () => RawConnection.open(t, prism.app.port)));
  for (const connection of connections) await connection.sendAlone(head + "1\r\nx\r\n".repeat(9999));
  await prism.get("/health/live");
  collect();
  const grown = process.memoryUsage().heapUsed - before;
  assert.ok(grown < 20_000_000, `${grown} bytes for ${connections.length * 9999}`);
  for (const connection of connections) connection.send("0\r\n\r\n");
  for (const connection of connections) assert.equal((await connection.reply()).status, 404);
});

test("chunks of a ping's body are charged to its address; in debt the ping counts, and no more of its body is read", async (t) => {
  const prism = await startPrism(t, { clock: new FakeClock() });
  const { id, pingUrl } = await create(prism);
  const { work } = prism.parts.core;
  const { mock } = t.mock.method(work, "charge");
  const chunksCharged = (): number => mock.calls.reduce((sum, { arguments: [, { chunks = 0 }] }) => sum + chunks, 0);
  const send = async (chunks: number, end = "") => {
    const connection = await RawConnection.open(t, prism.app.port);
    const head = `POST ${pathOf(pingUrl)}/log HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`;
    connection.send(`${head}${"1\r\nx\r\n".repeat(chunks)}${end}`);
    return connection;
  };
  assert.equal((await (await send(5000, "0\r\n\r\n")).reply()).status, 200);
  assert.equal(chunksCharged(), 5000);
  for (let i = 0; i < 2; i++) work.charge(work.ofAddress("127.0.0.1"), { steps: 80_000_000 });
  const flood = await send(50_000);
  await flood.closed();
  assert.ok(chunksCharged() < 6000, `${chunksCharged()} chunks`);
  assert.equal((await ping(prism, pathOf(pingUrl), { method: "POST", body: "x".repeat(9000) })).status, 200);
  type Pings = { data: { n: number; hasBody: boolean }[] };
  const { body } = await eventually("all pings", async () => {
    const reply = await prism.get<Pings>(`${PATH}/${id}/pings`);
    return reply.body.data.length === 3 ? reply : null;
  });
  assert.ok(body.data.every(({ hasBody }) => hasBody));
});
