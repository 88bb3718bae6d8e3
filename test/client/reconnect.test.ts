import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import { PrismClient, PrismError } from "../../src/client/index.ts";
import { REAL_ENVIRONMENT } from "../../src/client/wire.ts";
import { deferred } from "../../src/core/promises.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { LiveServer } from "../live/support/live-server.ts";
import { FakeTime } from "./support/fake-time.ts";
import { Relay } from "./support/relay.ts";
import { ScriptedServer } from "./support/scripted-server.ts";
import { followProject, type Observed, startClient, stateIs } from "./support/start-client.ts";

const DEFAULTS = { minMs: 1000, maxMs: 30_000 };

interface Scene extends Observed {
  readonly server: ScriptedServer;
  readonly time: FakeTime;
}

async function connect(t: TestContext, getToken?: () => string | Promise<string>): Promise<Scene> {
  const server = await ScriptedServer.start(t);
  const time = new FakeTime();
  const credential = getToken ? { getToken } : { token: "t1" };
  const observed = startClient(t, { url: server.url, ...credential, environment: time, reconnect: DEFAULTS });
  observed.client.connect();
  await stateIs(observed.client, "open");
  return { ...observed, server, time };
}

/** Closes the nth connection. @returns for how long the client waits. */
async function waitAfter({ client, server, time }: Scene, nth: number, code: number): Promise<number> {
  (await server.client(nth)).close(code, "why");
  await stateIs(client, "waiting");
  const { state } = client;
  assert.ok(state.state === "waiting");
  time.advance(state.delayMs);
  await stateIs(client, "open");
  return state.delayMs;
}

test("waits are random below a limit that doubles up to a maximum, and is reset after a stable connection", async (t) => {
  const scene = await connect(t);
  const waits: number[] = [];
  for (let nth = 1; nth <= 7; nth++) waits.push(await waitAfter(scene, nth, 1012));
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
  scene.time.advance(10_000);
  scene.time.chance = 0.999;
  assert.equal(await waitAfter(scene, 8, 4008), 999);
  scene.time.chance = 0;
  assert.equal(await waitAfter(scene, 9, 1011), 0);
});

for (const code of [1013, 4429]) {
  test(`after ${code} the client waits longer than after a restart`, async (t) => {
    const scene = await connect(t);
    scene.time.chance = 0;
    assert.equal(await waitAfter(scene, 1, code), 5000);
    scene.time.chance = 0.5;
    assert.equal(await waitAfter(scene, 2, code), 6000);
  });
}

for (const code of [4400, 4401, 4403, 4404]) {
  test(`after ${code} the client stays away, and says why`, async (t) => {
    const { client, server, time, codes } = await connect(t);
    (await server.client(1)).close(code, "why");
    await stateIs(client, "closed");
    time.advance(3_600_000);
    assert.ok(client.state.state === "closed" && client.state.error instanceof PrismError);
    const { error } = client.state;
    assert.deepEqual([error.code, error.status], ["CONNECTION_CLOSED", code]);
    assert.match(error.message, new RegExp(`${code} \\(why\\)`));
    assert.deepEqual(codes(), ["CONNECTION_CLOSED"]);
    assert.equal(server.sockets.length, 1);
  });
}

test("after 4401 the client reconnects with another token, and stays disconnected without one", async (t) => {
  const tokens = ["t1", "t2", "t2"];
  const scene = await connect(t, () => tokens.shift() ?? "");
  assert.equal(await waitAfter(scene, 1, 4401), 500);
  assert.deepEqual(scene.server.offers, ["prism.v1,bearer.t1", "prism.v1,bearer.t2"]);
  (await scene.server.client(2)).close(4401);
  await stateIs(scene.client, "closed");
  assert.equal(tokens.length, 0);
});

test("a renewal by a ticket is not a failure: the client is away as shortly as at first", async (t) => {
  const server = await ScriptedServer.start(t);
  const time = new FakeTime();
  const getTicket = () => "once";
  const { client } = startClient(t, { url: server.url, getTicket, environment: time, reconnect: DEFAULTS });
  client.connect();
  const waits: number[] = [];
  for (let nth = 1; nth <= 4; nth++) {
    await stateIs(client, "open");
    time.advance(10_000);
    (await server.client(nth)).send(JSON.stringify({ op: "auth_expiring", expiresAt: "soon" }));
    await stateIs(client, "waiting");
    assert.ok(client.state.state === "waiting");
    waits.push(client.state.delayMs);
    time.advance(client.state.delayMs);
  }
  assert.deepEqual(waits, [500, 500, 500, 500]);
});

test("while another token is requested after 4401 the client is not open", async (t) => {
  const later = deferred<string>();
  const tokens: (string | Promise<string>)[] = ["t1", later.promise];
  const { client, server } = await connect(t, () => tokens.shift() ?? "");
  (await server.client(1)).close(4401);
  await stateIs(client, "connecting");
  later.resolve("t2");
  await stateIs(client, "waiting");
});

test("the page of a proxy that refuses a request is no verdict about the token", async (t) => {
  const server = createServer((_request, response) => response.writeHead(403).end("<h1>Maintenance</h1>"));
  server.on("upgrade", (_request, socket) => socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { client, states } = startClient(t, { url, token: "t" });
  client.connect();
  await eventually("attempts", () => states.filter(({ state }) => state === "waiting").length >= 3);
  assert.ok(!states.some(({ state }) => state === "closed"));
});

test("after a silence the client asks, and leaves a line on which nothing answers", async (t) => {
  const server = await LiveServer.start(t);
  const relay = await Relay.start(t, server.prism.url);
  const time = new FakeTime();
  const { client, states } = startClient(t, { url: relay.url, token: server.apiKey, environment: time });
  const { numbers } = followProject(client, server.projectId);
  await server.feed.publish();
  await eventually("one", () => numbers.length === 1);

  relay.silence();
  await server.feed.publish();
  time.advance(59_999);
  assert.equal(client.state.state, "open", "asked, not left");
  time.advance(1);
  const left = states.at(-1);
  assert.ok(left?.state === "waiting" && left.error.message.includes("silent"));
  time.advance(left.delayMs);
  await eventually("what the line did not carry", () => numbers.length === 2);
  assert.deepEqual(numbers, [1, 2]);
});

test("a line over which answers come is kept", async (t) => {
  const server = await LiveServer.start(t);
  const time = new FakeTime();
  const { client, states } = startClient(t, { url: server.prism.url, token: server.apiKey, environment: time });
  const { numbers } = followProject(client, server.projectId);
  for (let n = 1; n <= 5; n++) {
    await server.feed.publish();
    await eventually("the next", () => numbers.length === n);
    time.advance(29_000);
  }
  assert.equal(states.length, 2, "connecting and open");
});

test("a server that accepts no client is left after 10 s", async (t) => {
  const server = createServer((_request, response) => response.writeHead(503, { "Retry-After": "7" }).end());
  let upgrades = 0;
  server.on("upgrade", (_request, socket) => {
    upgrades++;
    t.after(() => socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const time = new FakeTime();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { client } = startClient(t, { url, token: "t", environment: time, reconnect: DEFAULTS });
  client.connect();
  await eventually("asked", () => upgrades === 1);
  time.advance(10_000);
  await stateIs(client, "waiting");
  assert.ok(client.state.state === "waiting");
  assert.equal(client.state.delayMs, 7500, "as long as the server says, and a random part");
});

for (const [name, token, code] of [
  ["a token that is none", "nonsense", "TOKEN_INVALID"],
  ["a key that is none", `prk_${"0".repeat(40)}`, "INVALID_API_KEY"],
] as const) {
  test(`${name} ends the client with the server's own words, though a handshake does not carry them`, async (t) => {
    const server = await LiveServer.start(t);
    const { client, states } = startClient(t, { url: server.prism.url, token });
    client.connect();
    await stateIs(client, "closed");
    assert.ok(client.state.state === "closed" && client.state.error);
    const { error } = client.state;
    assert.deepEqual([error.code, error.status], [code, 401]);
    assert.match(String(error.requestId), /^[\w-]{10,}$/);
    assert.ok(!JSON.stringify([error, error.message]).includes(token));
    assert.deepEqual(
      states.map(({ state }) => state),
      ["connecting", "closed"],
    );
  });
}

test("an account that was disabled ends the client", async (t) => {
  const server = await LiveServer.start(t);
  const { prism } = server;
  const { id, token } = await makeUser(prism, "uma");
  const { client } = startClient(t, { url: prism.url, getToken: () => token });
  client.subscribe("user:me");
  await stateIs(client, "open");
  const reply = await prism.patch(`/api/v1/users/${id}`, { status: "disabled" });
  assert.equal(reply.status, 200, reply.text);
  await stateIs(client, "closed");
  assert.ok(client.state.state === "closed" && client.state.error?.status === 4401);
});

test("a server that cannot be reached is tried again until it can", async (t) => {
  const server = await LiveServer.start(t);
  const relay = await Relay.start(t, server.prism.url);
  relay.down();
  const { client, states } = startClient(t, { url: relay.url, token: server.apiKey });
  client.connect();
  await eventually("attempts", () => states.filter(({ state }) => state === "waiting").length >= 3);
  relay.up();
  await stateIs(client, "open");
});

test("without a WebSocket, a credential or an address the constructor says what is missing", () => {
  const had = Object.getOwnPropertyDescriptor(globalThis, "WebSocket");
  Object.defineProperty(globalThis, "WebSocket", { value: undefined, configurable: true });
  try {
    assert.throws(() => new PrismClient({ url: "http://localhost", token: "t" }), {
      code: "NO_WEBSOCKET",
      message: /ws/,
    });
  } finally {
    if (had) Object.defineProperty(globalThis, "WebSocket", had);
    else Reflect.deleteProperty(globalThis, "WebSocket");
  }
  assert.throws(() => new PrismClient({ url: "http://localhost" }), { code: "NO_TOKEN" });
  for (const url of ["", "prism.example", "ftp://prism.example"])
    assert.throws(() => new PrismClient({ url, token: "t" }), TypeError);
});

test("a clock that is set back keeps the client from nothing: it would wait for as long before it calls a line dead", (t) => {
  const before = REAL_ENVIRONMENT.now();
  t.mock.method(Date, "now", () => 0);
  assert.ok(REAL_ENVIRONMENT.now() >= before);
});
