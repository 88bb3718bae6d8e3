import assert from "node:assert/strict";
import test from "node:test";
import { ProjectStorage } from "../../../../src/features/access/index.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";

interface Answer {
  id: string;
  apiKey: string;
  url: string;
  error?: { code: string; details?: { setting?: string; limit?: number }[] };
}

/** The smallest that the setting allows. */
const LIMIT = 1_048_576;
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

const sizeInMemory = (prism: TestPrism, projectId: string) =>
  prism.parts.core.access.projects.storage.bytesOf(projectId);

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
  const topic = await prism.post<Answer>("/ntfy/eves", "m", { apiKey: eve.apiKey });
  assert.equal(topic.status, 507, topic.text);
  assert.equal(await send(prism, uma.apiKey, 10), "202");
  const admins = await makeProject(prism, "admins");
  for (let n = 0; n < 7; n++) assert.equal(await send(prism, admins.apiKey, 209_600), "202", "an administrator's");
  const own = await prism.post("/api/v1/events", { type: "a", payload: {} });
  assert.equal(own.status, 202, "the default project");

  const deleted = await prism.delete(`/api/v1/projects/${eve.id}/events`, { token: eve.token });
  assert.equal(deleted.status, 200, deleted.text);
  assert.equal(sizeInMemory(prism, eve.id), 0);
  assert.equal(await send(prism, eve.apiKey, 10), "202", "after a delete");
});

test("alerts, resolves and pings pass; the events beside them from a reserve of a tenth", async (t) => {
  const prism = await startPrism(t, { settings: SETTINGS });
  const eve = await ownedBy(prism, "eve");
  const made = await prism.post<Answer>(
    "/api/v1/receivers",
    { projectId: eve.id, name: "r", preset: "generic", mapping: { output: "both" } },
    { token: eve.token },
  );
  assert.equal(made.status, 201, made.text);
  const path = new URL(made.body.url).pathname;
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
  assert.deepEqual(
    states.map(({ state }) => state),
    ["resolved", "firing"],
  );
  assert.equal((await prism.get(new URL(heartbeat.body.pingUrl).pathname, { token: null })).status, 200);
  const alerts = [{ key: "api", labels: { alertname: "Api" } }];
  const opened = await prism.post("/api/v1/alerts", { projectId: eve.id, alerts }, { token: eve.token });
  assert.equal(opened.status, 200, opened.text);
});

test("an owner's projects have five times the limit together, and all owners ten times that", async (t) => {
  const prism = await startPrism(t, {
    settings: { ...SETTINGS, "limits.creatorFactor": "1", "limits.serverFactor": "2" },
  });
  const eve = await ownedBy(prism, "eve");
  const second = (await prism.post<Answer>("/api/v1/projects", { name: "b" }, { token: eve.token })).body;
  assert.equal(await send(prism, second.apiKey, 10), "202");
  await fill(prism, eve.apiKey);
  assert.equal(await send(prism, second.apiKey, 10), "507 STORAGE_LIMIT_REACHED", "of the creator");
  const uma = await ownedBy(prism, "uma");
  await fill(prism, uma.apiKey);
  const third = await ownedBy(prism, "third");
  assert.equal(await send(prism, third.apiKey, 10), "507 STORAGE_LIMIT_REACHED", "of all");
  const role = await prism.patch(`/api/v1/users/${third.userId}`, { roles: ["Admin"] });
  assert.equal(role.status, 200, role.text);
  assert.equal(await send(prism, third.apiKey, 10), "202", "an administrator's, from now on");
});

/** The counters as another start would build them from the file now, also after a crash. */
function counted(prism: TestPrism): ProjectStorage {
  const { reader, database: db, clock, log, settings } = prism.parts.base;
  const { defaultProjectId: defaultId } = prism.parts.core.access;
  const storage = new ProjectStorage({ reader, db, clock, log, defaultId, limits: () => settings.limits });
  storage.load();
  return storage;
}

test("sizes are those of the events, also after a stop, a crash, a delete and an upgrade", async (t) => {
  const prism = await startPrism(t, { settings: SETTINGS });
  const eve = await ownedBy(prism, "eve");
  const isRight = (text: string) => {
    assert.equal(sizeInMemory(prism, eve.id), sizeInTable(prism, eve.id), text);
    assert.equal(counted(prism).bytesOf(eve.id), sizeInTable(prism, eve.id), `${text}, after a crash`);
  };
  const sendAll = async () => {
    for (const bytes of [10, 20_000, 3]) await send(prism, eve.apiKey, bytes);
    await prism.post("/api/v1/events", { type: "a", payload: { text: "Grüße 🎉" } }, { apiKey: eve.apiKey });
    const batch = [1, 2, 3].map((n) => ({ type: "b", payload: { n } }));
    await prism.post("/api/v1/events", batch, { apiKey: eve.apiKey });
    await prism.post("/ntfy/eves", "m", { apiKey: eve.apiKey });
  };
  const { storage } = prism.parts.core.access.projects;
  await sendAll();
  await storage.flush();
  await sendAll();
  isRight("before a flush");
  await storage.flush();
  isRight("after a flush");
  await sendAll();
  const middle = scalarOf<number>(
    prism,
    `select receivedAt from events where projectId = '${eve.id}' limit 1 offset 9`,
  );
  const before = encodeURIComponent(new Date(middle ?? 0).toISOString());
  await prism.delete(`/api/v1/projects/${eve.id}/events?before=${before}`, { token: eve.token });
  isRight("after a delete of counted events and others");
  await prism.restart();
  isRight("after a stop");

  await prism.services.db.write(async (trx) => {
    await trx.deleteFrom("project_storage").execute();
    await trx.deleteFrom("settings").where("key", "like", "storage.counted%").execute();
  });
  const upgraded = counted(prism);
  assert.equal(upgraded.bytesOf(eve.id), 0, "nothing is counted before the port opens");
  upgraded.start();
  await eventually("all is counted", () => upgraded.bytesOf(eve.id) === sizeInTable(prism, eve.id));
  await upgraded.stop();
  isRight("after an upgrade");
});
