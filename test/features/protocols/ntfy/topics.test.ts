import assert from "node:assert/strict";
import test from "node:test";
import { NTFY_SWEEPS } from "../../../../src/features/protocols/ntfy/retention.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { refuseWrites } from "../../../helpers/refuse-writes.ts";
import { countOf, scalarOf } from "../../../helpers/tables.ts";
import { rowsWith, valuesOf } from "../../../helpers/values.ts";
import { startNtfy } from "./support/api.ts";

const PATH = "/api/v1/ntfy/topics";

test("an events topic shows events of its project by type", async (t) => {
  const ntfy = await startNtfy(t);
  const { prism } = ntfy;
  const shop = await makeProject(prism);
  const made = await prism.post(PATH, { name: "deploys", kind: "events", projectId: shop.id, patterns: ["deploy.*"] });
  assert.equal(made.status, 201, made.text);
  const emit = (type: string, level: string, payload: object) =>
    prism.post("/api/v1/events", { type, level, payload, projectId: shop.id });
  await emit("deploy.failed", "error", { title: "Deploy 7", message: "tests are red" });
  await emit("order.new", "info", { id: 1 });
  const socket = await ntfy.socket(t, "/deploys/ws?since=all").opened();
  await emit("deploy.done", "info", { version: "1.2", seconds: 9 });
  await eventually("both", () => socket.messages.length === 2);
  const [, first, second] = socket.events;
  assert.deepEqual(
    [first?.title, first?.message, first?.priority, first?.tags],
    ["Deploy 7", "tests are red", 5, ["error", "deploy.failed"]],
  );
  assert.deepEqual(
    [second?.title, second?.message, second?.tags],
    ["deploy.done", "version: 1.2\nseconds: 9", ["info"]],
  );
  assert.match(first?.id ?? "", /^E[0-9a-z]{11}$/);
  assert.deepEqual(valuesOf(await ntfy.poll("deploys", `&since=${first?.id}`), "id"), [second?.id]);
  assert.deepEqual((await ntfy.poll("deploys", "&since=latest")).length, 1);
  assert.equal((await ntfy.publish("deploys", "m")).status, 403, "nothing can be published there");
  const stranger = await makeUser(prism, "vera", ["Viewer"]);
  assert.equal((await ntfy.send("GET", "/deploys/auth", { auth: `Bearer ${stranger.token}` })).status, 403);
});

test("an inbox shows its user's notifications, with a button that acknowledges, and clears what is acknowledged", async (t) => {
  const ntfy = await startNtfy(t);
  const { prism } = ntfy;
  prism.app.reload({ ...prism.parts.base.config, publicUrl: "https://prism.example.org" });
  const user = await makeUser(prism, "olga", ["User"]);
  const auth = `Bearer ${user.token}`;
  assert.equal((await prism.post(PATH, { name: "olgas", kind: "inbox" }, { token: user.token })).status, 201);
  const socket = await ntfy.socket(t, "/olgas/ws", { auth }).opened();
  const sent = await prism.post<{ id: string }>("/api/v1/notifications", {
    userId: user.id,
    title: "Disk",
    message: "full",
    priority: 600,
  });
  await eventually("the notification", () => socket.messages.length === 1);
  const [, message] = socket.events;
  assert.deepEqual([message?.title, message?.message, message?.priority], ["Disk", "full", 5]);
  const [action] = message?.actions ?? [];
  assert.deepEqual([action?.["label"], action?.["method"], action?.["clear"]], ["Acknowledge", "POST", true]);
  const { pathname, search } = new URL(String(action?.["url"]));
  const pressed = await prism.client.send(prism.url + pathname + search, {
    method: "POST",
    headers: action?.["headers"] as Record<string, string>,
    body: String(action?.["body"]),
  });
  assert.equal(pressed.status, 200);
  await eventually("it is cleared", () => socket.events.length === 3);
  assert.deepEqual([socket.events[2]?.event, socket.events[2]?.sequence_id], ["message_clear", message?.sequence_id]);
  assert.ok(sent.status < 300);
  assert.equal((await ntfy.send("GET", "/olgas/auth")).status, 403, "not even an administrator reads it");
  assert.deepEqual(valuesOf(await ntfy.poll("olgas", "&since=all", { auth }), "event"), ["message", "message_clear"]);
});

test("topics are listed, made and deleted; their messages go with them", async (t) => {
  const ntfy = await startNtfy(t);
  const { prism } = ntfy;
  await ntfy.publish("first", "m");
  for (const [body, status, code] of [
    [{ name: "first", kind: "messages" }, 409, "NAME_TAKEN"],
    [{ name: "settings", kind: "messages" }, 400, "VALIDATION_FAILED"],
    [{ name: "a b", kind: "messages" }, 400, "VALIDATION_FAILED"],
    [{ name: "x", kind: "messages", projectId: "none" }, 404, "PROJECT_NOT_FOUND"],
  ] as const) {
    const reply = await prism.post<{ error: { code: string } }>(PATH, body);
    assert.deepEqual([reply.status, reply.body.error.code], [status, code]);
  }
  const { body } = await prism.get<{ data: { name: string; kind: string }[] }>(PATH);
  assert.deepEqual(rowsWith(body.data, "name", "kind"), [["first", "messages"]]);
  const socket = await ntfy.socket(t, "/first/ws").opened();
  assert.equal((await prism.delete(`${PATH}/first`)).status, 204);
  assert.deepEqual(await ntfy.poll("first"), []);
  assert.equal((await prism.delete(`${PATH}/first`)).status, 404);
  await eventually("its subscriber is cut", () => socket.closed);
  const { body: audit } = await prism.get<{ data: { action: string }[] }>("/api/v1/audit?resourceType=ntfyTopic");
  assert.deepEqual(audit.data.map(({ action }) => action).sort(), ["ntfy_topic.create", "ntfy_topic.delete"]);
});

test("a deleted topic shows nothing from then on, also made anew; its messages go in short transactions, also after a kill", async (t) => {
  const clock = new FakeClock();
  const ntfy = await startNtfy(t, { clock, settings: { "rateLimit.enabled": "false" } });
  const { prism } = ntfy;
  const messages = () => countOf(prism, "ntfy_messages");
  const texts = async (topic: string, since: string) => valuesOf(await ntfy.poll(topic, `&since=${since}`), "message");
  const ids: string[] = [];
  for (let sent = 0; sent < 600; sent += 50) {
    const replies = await Promise.all(Array.from({ length: 50 }, (_, n) => ntfy.publish("t", `old ${sent + n}`)));
    ids.push(...replies.map(({ body }) => body.id));
  }
  await ntfy.publish("t", "old, due later", { In: "30s" });
  await ntfy.publish("beside", "kept");
  await prism.post("/api/v1/queues/retention/pause");

  assert.equal((await prism.delete(`${PATH}/t`)).status, 204);
  assert.deepEqual([messages(), scalarOf(prism, "select count(*) from ntfy_messages where dueAt > 0")], [601, 0]);
  assert.deepEqual(await texts("t", "all"), []);
  await ntfy.publish("t", "new");
  const starts = ["all", "latest", "10m", ids[0] ?? "", ids.at(-1) ?? ""];
  for (const since of starts) assert.deepEqual(await texts("t", since), ["new"], since);
  await prism.restart();
  for (const since of starts) assert.deepEqual(await texts("t", since), ["new"], since);
  clock.advance(31_000);
  await prism.parts.offers.ntfy.publisher.due.check();
  assert.deepEqual(await texts("t", "all"), ["new"]);

  /** How many messages there were before each transaction. */
  const before: number[] = [];
  const counted = (isStored: (left: number) => boolean) => () => isStored(before[before.push(messages()) - 1] ?? 0);
  refuseWrites(
    prism,
    counted((left) => left > 500),
  );
  await prism.post("/api/v1/queues/retention/resume");
  await eventually("some are removed", () => messages() <= 500);
  await prism.restart(() => clock.advance(600_000));
  refuseWrites(
    prism,
    counted(() => true),
  );
  const gaps = () => scalarOf(prism, "select count(*) from stream_gaps where stream = 'ntfy:t'");
  await eventually("all are removed", () => messages() === 2 && gaps() === 0);
  assert.equal(scalarOf(prism, "select count(*) from stream_log where stream like 'ntfy:%'"), 2);
  const most = Math.max(...before.slice(1).map((left, n) => (before[n] ?? 0) - left));
  assert.ok(most > 0 && most <= 500, `${most} at once`);
  assert.deepEqual([await texts("t", "all"), await texts("beside", "all")], [["new"], ["kept"]]);
});

test("S4: topics of a key stop at the project's limit, and others still publish", async (t) => {
  const ntfy = await startNtfy(t, { settings: { "limits.topicsPerProject": "20" } });
  const { prism } = ntfy;
  const eve = await makeUser(prism, "eve", ["User"]);
  const uma = await makeUser(prism, "uma", ["User"]);
  const keyOf = async (token: string) =>
    (await prism.post<{ apiKey: string }>("/api/v1/projects", { name: "p" }, { token })).body.apiKey;
  const [eves, umas] = [await keyOf(eve.token), await keyOf(uma.token)];
  const fill = (n: number) => ntfy.publish(`fill${n}`, "m", {}, { auth: `Bearer ${eves}` });
  const replies = await Promise.all(Array.from({ length: 30 }, (_, n) => fill(n)));
  assert.equal(replies.filter(({ status }) => status === 200).length, 20);
  const refused = replies.find(({ status }) => status !== 200);
  assert.deepEqual([refused?.status, refused?.body.code], [429, 42904]);
  assert.match(refused?.body.error ?? "", /limits\.topicsPerProject allows 20/);
  const known = replies.findIndex(({ status }) => status === 200);
  assert.equal((await fill(known)).status, 200, "a topic that exists");
  assert.equal((await ntfy.publish("umas", "m", {}, { auth: `Bearer ${umas}` })).status, 200);
  assert.equal((await prism.post(PATH, { name: "admins", kind: "messages" })).status, 201);
});

test("a topic that a publish made expires after 30 days without messages and subscribers", async (t) => {
  const clock = new FakeClock();
  const ntfy = await startNtfy(t, { clock });
  const { prism } = ntfy;
  const { database } = prism.parts.base;
  const names = async () =>
    (await database.read.selectFrom("ntfy_topics").select("name").orderBy("name").execute()).map(({ name }) => name);
  const days = async (n: number) => {
    clock.advance(n * 86_400_000);
    for (const { sweep } of NTFY_SWEEPS) await sweep(database, clock.now(), () => false);
  };
  await prism.post(PATH, { name: "made", kind: "messages" });
  const token = JSON.parse((await ntfy.send("POST", "/v1/account/token", { body: '{"expires":0}' })).text);
  const auth = `Bearer ${token.token}`;
  for (const name of ["followed", "unused", "used"]) await ntfy.publish(name, "m", {}, { auth });
  await ntfy.socket(t, "/followed/ws", { auth }).opened();
  await days(20);
  await ntfy.publish("used", "m", {}, { auth });
  await ntfy.publish("waits", "m", { In: "2d" }, { auth });
  await prism.parts.offers.ntfy.storeUses();
  await days(20);
  assert.deepEqual(await names(), ["followed", "made", "used", "waits"]);
  assert.equal((await ntfy.publish("unused", "m", {}, { auth })).status, 200, "it can be made again");
});
