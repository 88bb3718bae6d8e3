import assert from "node:assert/strict";
import test from "node:test";
import { EventSource } from "eventsource";
import { io } from "socket.io-client";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { LogLines } from "../helpers/log-lines.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { leave, PusherClient } from "./support/pusher-client.ts";
import { WebSocketClient } from "./support/web-socket-client.ts";

const LIFE_MS = 50_000;
const SHORT = { "auth.accessExpires": `${LIFE_MS}ms` };
const CLIENTS = 200;

async function notify(prism: TestPrism, userId: string, title: string, token: string): Promise<void> {
  const { status } = await prism.post("/api/v1/notifications", { userId, title, body: "x" }, { token });
  assert.equal(status, 201);
}

/** The tokens of one user, the newest on request; and those of an administrator. */
async function people(prism: TestPrism) {
  const { accessTokens } = prism.parts.offers;
  const uma = await makeUser(prism, "uma", ["Operator"]);
  const admin = await makeUser(prism, "boss", ["Admin"]);
  const fresh = async (id: string) => (await accessTokens.issue(id)).token;
  return { uma, admin, fresh };
}

test("a plain socket.io-client with a newer token reconnects after the old one expires", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: SHORT });
  const { uma, admin, fresh } = await people(prism);
  let { token } = uma;
  const socket = io(prism.url, {
    transports: ["websocket"],
    forceNew: true,
    reconnectionDelay: 20,
    auth: (give) => give({ token }),
  });
  prism.onClose.push(() => socket.disconnect());
  const titles: string[] = [];
  let connects = 0;
  socket.on("connect", () => connects++);
  socket.on("notification", ({ title }: { title: string }) => titles.push(title));
  await eventually("it is connected", () => connects === 1);
  clock.advance(LIFE_MS - 10_000);
  token = await fresh(uma.id);
  clock.advance(15_000);
  await eventually("it is back", () => connects === 2);
  await notify(prism, uma.id, "after", await fresh(admin.id));
  await eventually("it hears", () => titles.includes("after"));
});

test("a plain socket.io-client with only the expired token tries once and stops", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: SHORT });
  const { uma } = await people(prism);
  const socket = io(prism.url, {
    transports: ["websocket"],
    forceNew: true,
    reconnectionDelay: 20,
    auth: { token: uma.token },
  });
  prism.onClose.push(() => socket.disconnect());
  const refusals: string[] = [];
  let isConnected = false;
  socket.on("connect", () => {
    isConnected = true;
  });
  socket.on("connect_error", (error) => refusals.push(String((error as { data?: { code?: string } }).data?.code)));
  await eventually("it is connected", () => isConnected);
  clock.advance(LIFE_MS + 10_000);
  await eventually("it is refused", () => refusals.length > 0);
  assert.deepEqual([refusals, socket.active], [["TOKEN_EXPIRED"], false]);
});

test("a plain socket.io-client whose token has just expired is not connected again", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: SHORT });
  const { uma } = await people(prism);
  const socket = io(prism.url, { forceNew: true, reconnectionDelay: 20, auth: { token: uma.token } });
  prism.onClose.push(() => socket.disconnect());
  let connects = 0;
  const refusals: string[] = [];
  socket.on("connect", () => connects++);
  socket.on("connect_error", (error) => refusals.push(String((error as { data?: { code?: string } }).data?.code)));
  await eventually("it is connected", () => connects === 1);
  clock.advance(LIFE_MS);
  await eventually("it is refused", () => refusals.length > 0);
  assert.deepEqual([connects, refusals], [1, ["TOKEN_EXPIRED"]]);
});

test("a plain pusher-js reconnects after the expiry of a token without a login, and rejoins with a newer one", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: SHORT });
  const { uma, admin, fresh } = await people(prism);
  let { token } = uma;
  const client = await PusherClient.connect(t, prism, {
    options: {
      channelAuthorization: {
        endpoint: `${prism.url}/pusher/auth`,
        transport: "ajax",
        headersProvider: () => ({ Authorization: `Bearer ${token}` }),
      },
    },
  });
  await client.join(`private-user-${uma.id}`);
  const first = client.socketId;
  clock.advance(LIFE_MS - 10_000);
  token = await fresh(uma.id);
  clock.advance(15_000);
  await eventually("another connection", () => client.socketId !== undefined && client.socketId !== first);
  await eventually(
    "subscribed once more",
    () => client.heard.filter(({ event }) => event === "pusher:subscription_succeeded").length === 2,
  );
  await notify(prism, uma.id, "after", await fresh(admin.id));
  await eventually("it hears", () => client.dataOf("notification").length === 1);
});

test("EventSource.onmessage receives the events of a project", async (t) => {
  const prism = await startPrism(t);
  const { id, apiKey } = await makeProject(prism);
  const source = new EventSource(`${prism.url}/realtime/${id}/sse?token=${apiKey}`);
  prism.onClose.push(() => source.close());
  const types: string[] = [];
  source.onmessage = ({ data }) => types.push((JSON.parse(String(data)) as { type: string }).type);
  await new Promise((resolve) => {
    source.onopen = resolve;
  });
  await prism.post("/ingest", { type: "door.opened" }, { apiKey });
  await eventually("it is heard", () => types.length === 1);
  assert.deepEqual(types, ["door.opened"]);
});

test(`${CLIENTS} pusher-js clients of one address connect and subscribe at once`, async (t) => {
  const prism = await startPrism(t);
  const clients = Array.from({ length: CLIENTS }, () => new PusherClient(prism).pusher);
  prism.onClose.push(() => {
    for (const client of clients) leave(client);
  });
  let subscribed = 0;
  let failures = 0;
  for (const client of clients) {
    client.connection.bind("error", () => failures++);
    client.subscribe("news").bind("pusher:subscription_succeeded", () => subscribed++);
  }
  await eventually("all are subscribed", () => subscribed === CLIENTS);
  assert.equal(failures, 0, "none had to try again");
});

test("a refusal for too many connections of one address is a warning that names the setting, once a minute", async (t) => {
  const log = new LogLines();
  const clock = new FakeClock();
  const settings = { "realtime.maxPerIp": "1" };
  const prism = await startPrism(t, { log, clock, settings });
  const connect = () => WebSocketClient.openFor(t, `${prism.wsUrl}/ws?token=${prism.adminToken}`);
  const warnings = () => log.lines.filter(({ message }) => message.includes("trustedProxies"));
  await connect();
  for (let i = 0; i < 3; i++) await assert.rejects(connect());
  assert.deepEqual(
    warnings().map(({ level, fields }) => [level, fields["setting"]]),
    [["warn", "realtime.maxPerIp"]],
  );
  clock.advance(60_000);
  // The first connection may have ended by then: it was silent for a minute.
  await assert.rejects(async () => {
    for (;;) await connect();
  });
  assert.equal(warnings().length, 2);
});

test("a token of /dev/token lives for a day, and access tokens may live for up to 30 days", async (t) => {
  const prism = await startPrism(t, { settings: { "auth.devTokenExpires": "1d", "auth.accessExpires": "30d" } });
  const payload = (token: string) =>
    JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { iat: number; exp: number };
  const dev = payload(prism.adminToken);
  assert.equal(dev.exp - dev.iat, 86_400);
  const user = payload((await makeUser(prism, "uma")).token);
  assert.equal(user.exp - user.iat, 30 * 86_400);
});

test("streams name a project by its slug or its id", async (t) => {
  const prism = await startPrism(t);
  const { id, apiKey } = await makeProject(prism, "shop");
  const client = await WebSocketClient.welcomed(t, prism.wsUrl, prism.adminToken);
  for (const [name, resolved] of [
    ["project:shop", `project:${id}`],
    [`project:${id}`, `project:${id}`],
    ["channel:shop/orders", `channel:${id}/orders`],
    ["channel:default/orders", "channel:orders"],
  ])
    assert.equal((await client.ask({ op: "subscribe", id: String(name), stream: name }))["stream"], resolved);
  const unknown = await client.ask({ op: "subscribe", id: "x", stream: "project:none" });
  assert.equal((unknown["error"] as { code: string }).code, "CHANNEL_FORBIDDEN");
  await prism.post("/ingest", { type: "door.opened" }, { apiKey });
  await client.expect({ op: "event", stream: `project:${id}` });
});

for (const [path, kind, warning, renewed, answer] of [
  ["/ws/updates", "AUTH", "AUTH_EXPIRING", "AUTHENTICATED", "ERROR"],
  ["/realtime/default", "auth", "auth_expiring", "authenticated", "error"],
] as const) {
  test(`${path} warns 60 s before its token expires, and accepts a new one`, async (t) => {
    const clock = new FakeClock();
    const prism = await startPrism(t, { clock, settings: { "auth.accessExpires": "90s" } });
    const { admin, uma, fresh } = await people(prism);
    const client = await WebSocketClient.openFor(t, `${prism.wsUrl}${path}?token=${admin.token}`);
    clock.advance(25_000);
    assert.equal(client.all({ type: warning }).length, 0);
    clock.advance(10_000);
    const notice = await client.expect({ type: warning });
    assert.ok(Date.parse(String(notice["expiresAt"])) > clock.now());
    client.send({ type: kind, token: uma.token });
    assert.equal((await client.expect({ type: answer }))["code"], "FORBIDDEN");
    client.send({ type: kind, token: await fresh(admin.id) });
    await client.expect({ type: renewed });
    clock.advance(57_000);
    client.send({ type: kind === "AUTH" ? "PING" : "ping" });
    await client.expect({ type: kind === "AUTH" ? "PONG" : "pong" });
    clock.advance(40_000);
    assert.equal((await client.end).reason, "expired");
  });
}
