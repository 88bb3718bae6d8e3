import assert from "node:assert/strict";
import test from "node:test";
import { sql } from "kysely";
import { sql as migration } from "../../../../migrations/0067_ping_bodies.ts";
import { DAY_MS } from "../../../../src/core/time/clock.ts";
import { checkStored } from "../../../../src/features/access/doctor.ts";
import { ProjectStorage } from "../../../../src/features/access/projects/storage.ts";
import { alertSweep, incidentSweep } from "../../../../src/features/alerts/retention.ts";
import { sweepAll } from "../../../../src/store/retention.ts";
import { runCli } from "../../../cli/run-cli.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { rowsWith, valuesOf } from "../../../helpers/values.ts";

interface Answer {
  id: string;
  apiKey: string;
  url: string;
  error?: { code: string; details?: { setting?: string; limit?: number }[] };
}

/** The smallest that the setting allows. */
const LIMIT = 1_048_576;
const SECRET = "the-secret-of-the-sender";
const SETTINGS = { "limits.storageBytesPerProject": String(LIMIT), "ingest.maxEventBytes": "262144" };

async function ownedBy(prism: TestPrism, name: string) {
  const { id, token } = await makeUser(prism, name, ["User"]);
  const project = (await prism.post<Answer>("/api/v1/projects", { name }, { token })).body;
  return { userId: id, token, id: project.id, apiKey: project.apiKey };
}

const send = async (prism: TestPrism, apiKey: string, bytes: number) => {
  const { status, body } = await prism.post<Answer>(
    "/api/v1/events",
    { type: "big", payload: { x: "x".repeat(bytes) } },
    { apiKey },
  );
  return body.error ? `${status} ${body.error.code}` : String(status);
};

/** Fills a project to its limit, in five events. */
async function fill(prism: TestPrism, apiKey: string): Promise<void> {
  for (let n = 0; n < 5; n++) assert.equal(await send(prism, apiKey, 209_600), "202");
}

const sizeInTable = (prism: TestPrism, projectId: string): number | undefined =>
  scalarOf<number>(prism, `select sum(octet_length(payload) + 300) from events where projectId = '${projectId}'`);

const sizeInMemory = (prism: TestPrism, projectId: string) => prism.parts.offers.projects.storage.bytesOf(projectId);

test("S6: a project that stores its bytes is refused more with 507, and others are not", async (t) => {
  const prism = await startPrism(t, { settings: SETTINGS });
  const [eve, uma] = [await ownedBy(prism, "eve"), await ownedBy(prism, "uma")];
  await fill(prism, eve.apiKey);
  assert.equal(await send(prism, eve.apiKey, 10), "507 STORAGE_LIMIT_REACHED");
  const { body } = await prism.post<Answer>("/api/v1/events", { type: "a", projectId: eve.id }, { token: eve.token });
  assert.deepEqual(
    body.error?.details?.map(({ setting, limit }) => [setting, limit]),
    [["limits.storageBytesPerProject", LIMIT]],
  );
  const topic = await answered(507, prism.post<Answer>("/ntfy/eves", "m", { apiKey: eve.apiKey }));
  assert.match(topic.text, /"error":"The project stores all.*"code":50700.*"prism":"STORAGE_LIMIT_REACHED"/);
  assert.equal(await send(prism, uma.apiKey, 10), "202");
  const admins = await makeProject(prism, "admins");
  for (let n = 0; n < 7; n++) assert.equal(await send(prism, admins.apiKey, 209_600), "202", "an administrator's");
  const own = await prism.post("/api/v1/events", { type: "a", payload: {} });
  assert.equal(own.status, 202, "the default project");

  await answered(200, prism.delete(`/api/v1/projects/${eve.id}/events`, { token: eve.token }));
  assert.equal(sizeInMemory(prism, eve.id), 0);
  assert.equal(await send(prism, eve.apiKey, 10), "202", "after a delete");
});

test("alerts, resolves and pings pass; the events beside them from a reserve of a tenth", async (t) => {
  const prism = await startPrism(t, { settings: SETTINGS });
  const eve = await ownedBy(prism, "eve");
  const made = await prism.post<Answer>(
    "/api/v1/receivers",
    { projectId: eve.id, name: "r", preset: "generic", mapping: { output: "both" }, secret: SECRET },
    { token: eve.token },
  );
  assert.equal(made.status, 201, made.text);
  const path = `${new URL(made.body.url).pathname}?token=${SECRET}`;
  const post = (body: object) => prism.post<Answer>(path, body, { token: null });
  const heartbeat = await prism.post<{ pingUrl: string }>(
    "/api/v1/heartbeats",
    { projectId: eve.id, name: "backup", timeoutMs: 3_600_000 },
    { token: eve.token },
  );
  await fill(prism, eve.apiKey);
  assert.equal((await post({ title: "no alert", message: "x" })).body.error?.code, "STORAGE_LIMIT_REACHED");
  const log = await prism.get<{ data: { result: string; status: number }[] }>(
    `/api/v1/receivers/${made.body.id}/requests`,
    { token: eve.token },
  );
  assert.deepEqual([log.body.data[0]?.result, log.body.data[0]?.status], ["refused", 507], "its owner sees it");
  const events = () => scalarOf<number>(prism, `select count(*) from events where source = 'r'`) ?? 0;
  const before = events();
  const firing = { status: "firing", key: "disk", title: "Disk full" };
  assert.equal((await post(firing)).status, 200);
  assert.equal(events(), before + 1, "from the reserve");
  await prism.services.db.write((trx) => trx.deleteFrom("receiver_requests").execute());
  for (let n = 0; n < 9 && sizeInMemory(prism, eve.id) < LIMIT * 1.1; n++)
    await post({ ...firing, key: `k${n}`, message: "x".repeat(15_000) });
  assert.ok(sizeInMemory(prism, eve.id) >= LIMIT * 1.1, String(sizeInMemory(prism, eve.id)));
  const full = events();
  assert.equal((await post({ ...firing, key: "last" })).status, 200);
  assert.equal((await post({ status: "resolved", key: "disk" })).status, 200);
  assert.equal(events(), full, "alerts without their events");
  const states = rowsOf<{ key: string; state: string }>(
    prism,
    `select key, state from alerts where key like '%:disk' or key like '%:last' order by key`,
  );
  assert.deepEqual(valuesOf(states, "state"), ["resolved", "firing"]);
  assert.equal((await prism.get(new URL(heartbeat.body.pingUrl).pathname, { token: null })).status, 200);
  const alerts = [{ key: "api", labels: { alertname: "Api" } }];
  await answered(200, prism.post("/api/v1/alerts", { projectId: eve.id, alerts }, { token: eve.token }));
});

test("a full project ends what goes into it, also for its owner, and nothing of other projects", async (t) => {
  const factors = { "limits.creatorFactor": "1", "limits.serverFactor": "1" };
  const prism = await startPrism(t, { settings: { ...SETTINGS, ...factors } });
  const eve = await ownedBy(prism, "eve");
  const second = (await prism.post<Answer>("/api/v1/projects", { name: "b" }, { token: eve.token })).body;
  await fill(prism, eve.apiKey);
  assert.equal(await send(prism, eve.apiKey, 10), "507 STORAGE_LIMIT_REACHED");
  assert.equal(await send(prism, second.apiKey, 10), "202", "of the same owner: the factors are those of numbers");
  const uma = await ownedBy(prism, "uma");
  assert.equal(await send(prism, uma.apiKey, 10), "202", "of another one");
  await answered(200, prism.patch(`/api/v1/users/${eve.userId}`, { roles: ["Admin"] }));
  assert.equal(await send(prism, eve.apiKey, 10), "202", "an administrator's, from now on");
});

const textsInTable = (prism: TestPrism, projectId: string): number => {
  const alerts = `select sum(300 + octet_length(key) + octet_length(labels) + octet_length(annotations)
    + ifnull(octet_length(generatorUrl), 0)) from alerts where projectId = '${projectId}'`;
  const timelines = `select sum(100 + octet_length(l.data)) from incident_log l join incidents i on i.id = l.incidentId
    where i.projectId = '${projectId}'`;
  const requests = `select sum(300 + octet_length(q.query) + octet_length(q.headers) + ifnull(octet_length(q.body), 0)
    + octet_length(q.outcome)) from receiver_requests q join receivers r on r.id = q.receiverId
    where r.projectId = '${projectId}'`;
  return [alerts, timelines, requests].reduce((sum, select) => sum + (scalarOf<number>(prism, select) ?? 0), 0);
};

/** Both of what the table has, and of what memory and another start have. */
function isRightNow(prism: TestPrism, projectId: string, text: string): void {
  const stored = (sizeInTable(prism, projectId) ?? 0) + textsInTable(prism, projectId);
  assert.equal(sizeInMemory(prism, projectId), stored, text);
  assert.equal(counted(prism).bytesOf(projectId), stored, `${text}, after a crash`);
}

interface PostedAlerts {
  data: { status: string; id: string; error: string | null }[];
  error?: { code: string; message: string; details?: { setting?: string }[] };
}

test("alerts, timelines and logged requests count as stored bytes, with every change of them", async (t) => {
  const prism = await startPrism(t);
  const eve = await ownedBy(prism, "eve");
  const post = (alert: object) =>
    prism.post<PostedAlerts>("/api/v1/alerts", { projectId: eve.id, alerts: [alert] }, { token: eve.token });
  assert.equal((await post({ key: "first", labels: { alertname: "First" } })).status, 200);
  const disk = { key: "disk", labels: { alertname: "Disk" } };
  await prism.parts.offers.projects.storage.flush();
  assert.equal((await post({ ...disk, annotations: { summary: "x".repeat(50_000) } })).status, 200);
  assert.ok(sizeInMemory(prism, eve.id) > 100_000, "the alert, and its event");
  isRightNow(prism, eve.id, "of a new alert");
  await post({ ...disk, annotations: { summary: "é".repeat(20_000) } });
  await prism.parts.offers.alerts.flush();
  isRightNow(prism, eve.id, "after a repetition");
  const incidents = await prism.get<{ data: { id: string }[] }>(`/api/v1/incidents?projectId=${eve.id}`, {
    token: eve.token,
  });
  for (const { id } of incidents.body.data) {
    await answered(200, prism.post(`/api/v1/incidents/${id}/notes`, { text: "n".repeat(3000) }, { token: eve.token }));
  }
  isRightNow(prism, eve.id, "after a note");
  const made = await prism.post<Answer>(
    "/api/v1/receivers",
    { projectId: eve.id, name: "r", preset: "generic" },
    { token: eve.token },
  );
  for (let n = 0; n < 3; n++)
    await prism.post(new URL(made.body.url).pathname, { title: "t", message: "x".repeat(9000) }, { token: null });
  isRightNow(prism, eve.id, "after requests of a receiver");
  await prism.delete(`/api/v1/receivers/${made.body.id}`, { token: eve.token });
  isRightNow(prism, eve.id, "after the receiver is deleted");
  await post({ ...disk, status: "resolved" });
  isRightNow(prism, eve.id, "after the end");
  await prism.restart();
  isRightNow(prism, eve.id, "after a restart");
  await post({ key: "first", labels: { alertname: "First" }, status: "resolved" });
  const { database, log } = prism.parts.base;
  const clock = new FakeClock(Date.now() + 30 * DAY_MS);
  await sweepAll({ database, clock, log }, [incidentSweep(() => 1), alertSweep(() => 1)]);
  isRightNow(prism, eve.id, "after retention");
  assert.equal(scalarOf(prism, `select bytes from project_texts where projectId = '${eve.id}'`), 0, "all are removed");
});

test("past the reserve alerts come without annotations, at twice the limit no new one; ends and pages pass", async (t) => {
  const prism = await startPrism(t, { settings: SETTINGS });
  const [eve, uma] = [await ownedBy(prism, "eve"), await ownedBy(prism, "uma")];
  const post = (owner: typeof eve, key: string, more: object = {}) =>
    prism.post<PostedAlerts>(
      "/api/v1/alerts",
      { projectId: owner.id, alerts: [{ key, labels: { alertname: key }, annotations: { summary: "s" }, ...more }] },
      { token: owner.token },
    );
  const annotationsOf = (key: string) =>
    scalarOf<string>(prism, `select annotations from alerts where key = 'api:${key}'`);
  await fill(prism, eve.apiKey);
  await prism.parts.offers.projects.storage.flush();
  await post(eve, "reserve", { annotations: { summary: "x".repeat(50_000) } });
  assert.equal(annotationsOf("reserve")?.length, 50_000 + '{"summary":""}'.length, "from the reserve");
  await post(eve, "second", { annotations: { summary: "x".repeat(50_000) } });
  assert.ok(sizeInMemory(prism, eve.id) >= LIMIT * 1.1, String(sizeInMemory(prism, eve.id)));
  const short = await post(eve, "short", { generatorUrl: "https://example.com/" });
  assert.deepEqual([short.status, short.body.data[0]?.status, annotationsOf("short")], [200, "opened", "{}"]);
  await post(eve, "reserve", { annotations: { summary: "y".repeat(60_000) } });
  await prism.parts.offers.alerts.flush();
  assert.ok(annotationsOf("reserve")?.includes("xxx"), "a repetition keeps the annotations");

  const made = await prism.post<Answer>(
    "/api/v1/receivers",
    { projectId: eve.id, name: "r", preset: "generic", mapping: { output: "both" }, secret: SECRET },
    { token: eve.token },
  );
  const path = `${new URL(made.body.url).pathname}?token=${SECRET}`;
  const receive = (body: object) => prism.post<Answer>(path, { title: "Disk full", ...body }, { token: null });
  assert.equal((await receive({ status: "firing", key: "disk", message: "x".repeat(9000) })).status, 200);
  const logged = rowsOf<{ body: Buffer | null; headers: string }>(prism, "select body, headers from receiver_requests");
  assert.deepEqual(rowsWith(logged, "body", "headers"), [[null, "{}"]], "the log has no texts");

  const label = "x".repeat(16_000);
  for (let n = 0; n < 60 && sizeInMemory(prism, eve.id) < 2 * LIMIT; n++)
    await post(eve, `k${n}`, { labels: { alertname: `k${n}`, label } });
  const full = sizeInMemory(prism, eve.id);
  const refused = await post(eve, "last");
  assert.deepEqual([refused.status, refused.body.error?.code], [507, "STORAGE_LIMIT_REACHED"], refused.text);
  assert.equal((await receive({ status: "firing", key: "other" })).body.error?.code, "STORAGE_LIMIT_REACHED");
  assert.equal((await post(eve, "k0", { labels: { alertname: "k0", label } })).body.data[0]?.status, "repeated");
  assert.equal((await receive({ status: "resolved", key: "disk" })).status, 200);
  assert.equal((await post(eve, "k0", { status: "resolved" })).body.data[0]?.status, "resolved");
  assert.ok(sizeInMemory(prism, eve.id) < full + 60_000, "ends take little");
  assert.deepEqual(
    valuesOf(rowsOf<{ state: string }>(prism, "select state from alerts where key like '%:disk'"), "state"),
    ["resolved"],
  );
  const others = await post(uma, "umas");
  assert.deepEqual([others.status, annotationsOf("umas")], [200, '{"summary":"s"}'], "others are not concerned");
  isRightNow(prism, eve.id, "at the end");
});

test("a project shows what it stores, and an administrator alone gives it a limit of its own", async (t) => {
  const prism = await startPrism(t, { settings: SETTINGS });
  const eve = await ownedBy(prism, "eve");
  interface Shown {
    storage: { bytes: number; limit: number | null; isOwnLimit: boolean };
  }
  const storageOf = async (id: string) => (await prism.get<Shown>(`/api/v1/projects/${id}`)).body.storage;
  assert.deepEqual(await storageOf(eve.id), { bytes: 0, limit: LIMIT, isOwnLimit: false });
  assert.equal((await storageOf("default")).limit, null);
  await fill(prism, eve.apiKey);
  const setLimit = (storageBytes: number | null, token?: string) =>
    prism.patch<Answer>(`/api/v1/projects/${eve.id}`, { storageBytes }, token === undefined ? {} : { token });
  const own = await setLimit(3 * LIMIT, eve.token);
  assert.deepEqual([own.status, own.body.error?.code], [403, "UNAUTHORIZED_ROLE"], "not its owner");
  assert.equal(await send(prism, eve.apiKey, 10), "507 STORAGE_LIMIT_REACHED");

  assert.equal((await setLimit(2 * LIMIT)).status, 200);
  const bytes = sizeInTable(prism, eve.id);
  assert.deepEqual(await storageOf(eve.id), { bytes, limit: 2 * LIMIT, isOwnLimit: true });
  await fill(prism, eve.apiKey);
  const full = await prism.post<Answer>("/api/v1/events", { type: "a" }, { apiKey: eve.apiKey });
  assert.deepEqual(
    full.body.error?.details?.map(({ setting, limit }) => [setting, limit]),
    [["storageBytes of the project", 2 * LIMIT]],
  );
  await prism.restart();
  assert.equal(await send(prism, eve.apiKey, 10), "507 STORAGE_LIMIT_REACHED", "also after a restart");

  const admins = await makeProject(prism, "admins");
  await prism.patch(`/api/v1/projects/${admins.id}`, { storageBytes: LIMIT });
  await fill(prism, admins.apiKey);
  assert.equal(await send(prism, admins.apiKey, 10), "507 STORAGE_LIMIT_REACHED", "also an administrator's project");
  assert.equal((await setLimit(null)).status, 200);
  assert.deepEqual((await storageOf(eve.id)).limit, LIMIT);
});

test("operators see projects at their limit in status, doctor and metrics; others see no names", async (t) => {
  const prism = await startPrism(t, { settings: SETTINGS });
  const [eve, uma] = [await ownedBy(prism, "eve"), await ownedBy(prism, "uma")];
  const { storage } = prism.parts.offers.projects;
  interface Status {
    fullProjects: { count: number; shown: { slug: string; bytes: number; limit: number }[] };
  }
  const statusOf = async (token?: string) =>
    (await prism.get<Status>("/api/v1/status", token === undefined ? {} : { token })).body.fullProjects;
  const { database, config } = prism.parts.base;
  const doctor = async () => (await checkStored(database.read, config))[0];
  assert.deepEqual(await statusOf(), { count: 0, shown: [] });
  assert.equal((await doctor())?.severity, "ok");

  await fill(prism, eve.apiKey);
  await send(prism, uma.apiKey, 10);
  await storage.flush();
  const shown = await statusOf();
  assert.deepEqual(
    [shown.count, shown.shown.map(({ slug, bytes, limit }) => [slug, bytes, limit])],
    [1, [["eve", sizeInTable(prism, eve.id), LIMIT]]],
  );
  const check = await doctor();
  assert.equal(check?.severity, "warning");
  assert.match(check?.text ?? "", /: eve \(1\.0 MiB of 1\.0 MiB\)$/);
  const options = { cwd: prism.dir, env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } };
  assert.match((await runCli(["status"], options)).stdout, /\nprojects at .*: eve \(1\.0 MiB of 1\.0 MiB\)\n/);
  const { text } = await prism.get("/metrics");
  assert.match(text, /\nprism_projects_full 1\n/);
  assert.ok(text.includes(`prism_project_stored_bytes{project="${eve.id}"} ${sizeInMemory(prism, eve.id)}\n`), text);

  await answered(201, prism.post("/api/v1/roles", { name: "Watcher", permissions: ["system:status"] }));
  const { token } = await makeUser(prism, "wanda", ["Watcher"]);
  assert.deepEqual(await statusOf(token), { count: 1, shown: [] }, "without the names of others");

  await prism.patch(`/api/v1/projects/${uma.id}`, { storageBytes: LIMIT });
  await fill(prism, uma.apiKey);
  await prism.patch(`/api/v1/projects/${eve.id}`, { storageBytes: 2 * LIMIT });
  assert.deepEqual(valuesOf((await statusOf()).shown, "slug"), ["uma"], "by limits of their own");
});

test("a request of a key is checked for room once, whatever the number of its events", async (t) => {
  const prism = await startPrism(t);
  const eve = await ownedBy(prism, "eve");
  const { storage } = prism.parts.offers.projects;
  const calls = t.mock.method(storage, "requireRoom");
  const batch = [1, 2, 3].map((n) => ({ type: "b", payload: { n } }));
  assert.equal((await prism.post("/api/v1/events", batch, { apiKey: eve.apiKey })).status, 202);
  assert.equal(calls.mock.callCount(), 1);
});

test("after a kill the counters are right again: few events are counted at the start, many in the background", async (t) => {
  const prism = await startPrism(t);
  const eve = await ownedBy(prism, "eve");
  const { storage } = prism.parts.offers.projects;
  await send(prism, eve.apiKey, 10);
  await storage.flush();
  const countedTo = () => scalarOf<number>(prism, "select value from settings where key = 'storage.countedTo'") ?? 0;
  const before = countedTo();
  const events = Array.from({ length: 1000 }, () => ({ type: "b", payload: {} }));
  const sendBatch = async (): Promise<void> => {
    assert.equal((await prism.post("/api/v1/events", events, { apiKey: eve.apiKey })).status, 202);
  };
  for (let n = 0; n < 21; n++) await sendBatch();
  await eventually("the counters are written before a minute is over", () => countedTo() > before);
  isRightNow(prism, eve.id, "with the events since then");

  for (let n = 0; n < 21; n++) await sendBatch();
  await prism.services.db.write((trx) =>
    trx.updateTable("settings").set({ value: before }).where("key", "=", "storage.countedTo").execute(),
  );
  const killed = counted(prism);
  assert.equal(killed.bytesOf(eve.id), 0, "more than a start counts");
  killed.start();
  await eventually("all is counted", () => killed.bytesOf(eve.id) === sizeInTable(prism, eve.id));
  await killed.stop();
  isRightNow(prism, eve.id, "after another kill");
});

/** The counters as another start would build them from the file now, also after a crash. */
function counted(prism: TestPrism): ProjectStorage {
  const { reader, database: db, clock, log, settings } = prism.parts.base;
  const { defaultProjectId: defaultId } = prism.parts.offers;
  const storage = new ProjectStorage({ reader, db, clock, log, defaultId, limits: () => settings.limits });
  storage.load();
  return storage;
}

test("sizes and numbers are those of the events, also after a stop, a crash, a delete and an upgrade", async (t) => {
  const prism = await startPrism(t, { settings: SETTINGS });
  const eve = await ownedBy(prism, "eve");
  const inTable = () => scalarOf<number>(prism, `select count(*) from events where projectId = '${eve.id}'`);
  const isRight = async (text: string) => {
    assert.equal(sizeInMemory(prism, eve.id), sizeInTable(prism, eve.id), text);
    assert.equal(counted(prism).bytesOf(eve.id), sizeInTable(prism, eve.id), `${text}, after a crash`);
    const { body } = await prism.get<{ eventCount: number }>(`/api/v1/projects/${eve.id}`, { token: eve.token });
    assert.deepEqual([body.eventCount, await counted(prism).eventsOf(eve.id)], [inTable(), inTable()], text);
  };
  const sendAll = async () => {
    for (const bytes of [10, 20_000, 3]) await send(prism, eve.apiKey, bytes);
    await prism.post("/api/v1/events", { type: "a", payload: { text: "Grüße 🎉" } }, { apiKey: eve.apiKey });
    const batch = [1, 2, 3].map((n) => ({ type: "b", payload: { n } }));
    await prism.post("/api/v1/events", batch, { apiKey: eve.apiKey });
    await prism.post("/ntfy/eves", "m", { apiKey: eve.apiKey });
  };
  const { storage } = prism.parts.offers.projects;
  await sendAll();
  await storage.flush();
  await sendAll();
  await isRight("before a flush");
  await storage.flush();
  await isRight("after a flush");
  await sendAll();
  const middle = scalarOf<number>(
    prism,
    `select receivedAt from events where projectId = '${eve.id}' limit 1 offset 9`,
  );
  const before = encodeURIComponent(new Date(middle ?? 0).toISOString());
  await prism.delete(`/api/v1/projects/${eve.id}/events?before=${before}`, { token: eve.token });
  await isRight("after a delete of counted events and others");
  await prism.restart();
  await isRight("after a stop");

  await prism.services.db.write(async (trx) => {
    await trx.deleteFrom("project_storage").execute();
    await trx.deleteFrom("settings").where("key", "like", "storage.counted%").execute();
  });
  const upgraded = counted(prism);
  assert.equal(upgraded.bytesOf(eve.id), 0, "nothing is counted before the port opens");
  assert.equal(await upgraded.eventsOf(eve.id), inTable(), "what is not counted yet is read");
  upgraded.start();
  await eventually("all is counted", () => upgraded.bytesOf(eve.id) === sizeInTable(prism, eve.id));
  await upgraded.stop();
  await isRight("after an upgrade");
});

const pingSizes = `select coalesce(sum(100 + octet_length(p.body)), 0) from heartbeat_pings p
  join heartbeats h on h.id = p.heartbeatId where p.body is not null and h.projectId = `;

test("bodies of pings count, also after a crash and an upgrade, until they are removed; in a full project a ping counts without its body", async (t) => {
  const prism = await startPrism(t, { settings: { ...SETTINGS, "rateLimit.enabled": "false" } });
  const eve = await ownedBy(prism, "eve");
  const isRight = (text: string): number => {
    const size = scalarOf<number>(prism, `${pingSizes}'${eve.id}'`) ?? 0;
    assert.equal(sizeInMemory(prism, eve.id), size, text);
    assert.equal(counted(prism).bytesOf(eve.id), size, `${text}, after a crash`);
    return size;
  };
  const make = async (name: string) => {
    const body = { projectId: eve.id, name, timeoutMs: 3_600_000 };
    return (await prism.post<{ id: string; pingUrl: string }>("/api/v1/heartbeats", body, { token: eve.token })).body;
  };
  const [backup, other] = [await make("backup"), await make("other")];
  const ping = async ({ pingUrl }: { pingUrl: string }, body?: string) => {
    const path = new URL(pingUrl).pathname;
    assert.equal((await fetch(prism.url + path, body === undefined ? {} : { method: "POST", body })).status, 200);
  };
  const text = "x".repeat(9000);
  await ping(backup);
  assert.equal(isRight("a ping without a body"), 0);
  await ping(backup, text);
  await ping(other, text);
  assert.equal(isRight("two bodies"), 2 * 9100);
  for (let n = 0; n < 200; n++) await ping(other, "y");
  assert.ok((scalarOf<number>(prism, "select count(*) from heartbeat_pings") ?? 0) < 202, "the oldest are removed");
  isRight("after the oldest were removed");
  await prism.delete(`/api/v1/heartbeats/${other.id}`, { token: eve.token });
  assert.equal(isRight("after a heartbeat was deleted"), 9100);

  await prism.services.db.write(async (trx) => {
    for (const name of ["added", "removed"]) await sql.raw(`drop trigger heartbeat_pings_texts_${name}`).execute(trx);
    await sql.raw("drop index heartbeats_creator").execute(trx);
    await trx.deleteFrom("project_texts").execute();
    for (const part of migration.split(/;\n+(?=insert|create)/)) await sql.raw(part).execute(trx);
  });
  await prism.restart();
  assert.equal(isRight("after an upgrade"), 9100);

  for (let n = 0; n < 4; n++) assert.equal(await send(prism, eve.apiKey, 209_600), "202");
  for (let n = 0; n < 99; n++) await ping(backup, "z".repeat(10_000));
  const before = sizeInMemory(prism, eve.id);
  assert.ok(before >= 1.1 * LIMIT, `${before}`);
  await ping(backup, text);
  assert.ok(sizeInMemory(prism, eve.id) <= before, "its body is not stored");
  const { body } = await prism.get<{ pingCount: number }>(`/api/v1/heartbeats/${backup.id}`, { token: eve.token });
  assert.equal(body.pingCount, 102);
});
