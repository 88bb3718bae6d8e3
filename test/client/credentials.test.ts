import assert from "node:assert/strict";
import test from "node:test";
import type { PrismClient, TokenReason } from "../../src/client/index.ts";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { FakeTime } from "./support/fake-time.ts";
import { type Observed, startClient, stateIs, subscribed } from "./support/start-client.ts";

const LIFE_MS = 15 * 60_000;

/**
 * Time passes for the server, to which the client says something now and then: it must not seem to
 * have gone.
 */
async function pass(clock: FakeClock, client: PrismClient, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 30_000) {
    clock.advance(Math.min(left, 30_000));
    const subscription = client.subscribe("channel:tick");
    await subscribed(client);
    await subscription.close();
  }
}

async function notify(prism: TestPrism, userId: string, title: string): Promise<void> {
  const { body } = await prism.get<{ token: string }>("/dev/token", { token: null });
  prism.adminToken = body.token;
  const reply = await prism.post("/api/v1/notifications", { userId, title, message: "m" });
  assert.equal(reply.status, 201, reply.text);
}

/** A user who may follow the default project's channels. */
async function viewer(prism: TestPrism, username: string) {
  const user = await makeUser(prism, username);
  const { body } = await prism.get<{ token: string }>("/dev/token", { token: null });
  prism.adminToken = body.token;
  await prism.post("/api/v1/projects/default/members", { userId: user.id, role: "viewer" });
  return user;
}

interface Scene extends Observed {
  readonly prism: TestPrism;
  readonly clock: FakeClock;
  readonly time: FakeTime;
  readonly userId: string;
  readonly titles: string[];
  /** Why tokens were asked for. */
  readonly reasons: TokenReason[];
}

/** A client of a new user's, whose tokens are good for a quarter of an hour. */
async function follow(
  t: test.TestContext,
  give: (issue: () => Promise<string>, nth: number) => Promise<string | null>,
) {
  const clock = new FakeClock();
  const time = new FakeTime();
  const prism = await startPrism(t, { clock });
  const { id } = await viewer(prism, "uma");
  const issue = async () => (await prism.parts.offers.accessTokens.issue(id)).token;
  const reasons: TokenReason[] = [];
  const getToken = (reason: TokenReason) => give(issue, reasons.push(reason));
  const observed = startClient(t, { url: prism.url, getToken, environment: time });
  const titles: string[] = [];
  observed.client.subscribe("user:me").on("notification", ({ data }) => void titles.push(data.title));
  await subscribed(observed.client);
  const scene: Scene = { ...observed, prism, clock, time, userId: id, titles, reasons };
  return scene;
}

test("a token is renewed over the open connection, as often as it ends", async (t) => {
  const { client, states, problems, prism, clock, userId, titles, reasons } = await follow(t, (issue) => issue());
  for (let nth = 1; nth <= 2; nth++) {
    await pass(clock, client, LIFE_MS - 50_000);
    await eventually("asked", () => reasons.length === nth + 1);
    await notify(prism, userId, String(nth));
    await eventually("heard", () => titles.length === nth);
  }
  assert.deepEqual(reasons, ["none", "expiring", "expiring"]);
  assert.deepEqual(
    states.map(({ state }) => state),
    ["connecting", "open"],
  );
  assert.equal(client.state.state, "open");
  assert.deepEqual(problems, []);
});

test("a renewal that fails is tried again before the token ends", async (t) => {
  const { client, states, codes, clock, time, reasons } = await follow(t, async (issue, nth) => {
    if (nth === 2) throw new Error("the other server is down");
    return issue();
  });
  await pass(clock, client, LIFE_MS - 50_000);
  await eventually("told", () => codes().length === 1);
  assert.deepEqual(codes(), ["CREDENTIALS_FAILED"]);
  time.advance(10_000);
  await eventually("asked again", () => reasons.length === 3);
  assert.deepEqual(
    states.map(({ state }) => state),
    ["connecting", "open"],
  );
});

test("a token that expired without a successor is replaced later, and nothing is missed", async (t) => {
  let isThere = true;
  const { client, states, prism, clock, time, userId, titles, reasons } = await follow(t, (issue) => {
    if (!isThere) return Promise.reject(new Error("the other server is down"));
    return issue();
  });
  isThere = false;
  await pass(clock, client, LIFE_MS - 50_000);
  await eventually("asked", () => reasons.length >= 2);
  await pass(clock, client, 60_000 - 20_000);
  clock.advance(20_000);
  await eventually("refused", () => states.some((state) => state.state === "waiting"));
  await notify(prism, userId, "while away");
  isThere = true;
  await eventually("back", () => {
    time.advance(1000);
    return client.state.state === "open";
  });
  await eventually("heard", () => titles.length === 1);
  assert.ok(reasons.includes("refused"));
});

test("a client without a token from getToken does not connect", async (t) => {
  const prism = await startPrism(t);
  const { client, codes } = startClient(t, { url: prism.url, getToken: () => null });
  client.subscribe("user:me");
  await stateIs(client, "closed");
  assert.deepEqual(codes(), ["NO_TOKEN"]);
});

test("tickets open connections in place of a token, one for each, and renew what ends", async (t) => {
  const clock = new FakeClock();
  const time = new FakeTime();
  const prism = await startPrism(t, { clock });
  const { id } = await viewer(prism, "uma");
  let tickets = 0;
  const getTicket = async () => {
    tickets++;
    const { token } = await prism.parts.offers.accessTokens.issue(id);
    const { body } = await prism.post<{ ticket: string }>("/api/v1/realtime/ticket", {}, { token });
    return body.ticket;
  };
  const { client, problems } = startClient(t, { url: prism.url, getTicket, environment: time });
  const titles: string[] = [];
  client.subscribe("user:me").on("notification", ({ data }) => void titles.push(data.title));
  await subscribed(client);
  await notify(prism, id, "one");
  await eventually("heard", () => titles.length === 1);
  await pass(clock, client, LIFE_MS - 45_000);
  await eventually("a second connection", () => {
    time.advance(100);
    return tickets === 2 && client.state.state === "open";
  });
  await notify(prism, id, "two");
  await eventually("heard", () => titles.length === 2);
  assert.deepEqual(titles, ["one", "two"]);
  assert.deepEqual(problems, []);
  await assert.rejects(client.api.unreadCount(), { code: "NO_TOKEN" });
});

test("another user's token makes another connection, and nothing of the one before is handled as the other's", async (t) => {
  const tokens: string[] = [];
  const { client, prism, clock, time, userId, titles } = await follow(t, async (issue, nth) =>
    nth === 1 ? issue() : (tokens[0] ?? null),
  );
  await notify(prism, userId, "for uma");
  await eventually("heard", () => titles.length === 1);
  await pass(clock, client, 30_000);
  const vic = await viewer(prism, "vic");
  tokens.push(vic.token);
  const told: string[] = [];
  client.on("subscribed", ({ stream }) => told.push(stream));
  await pass(clock, client, LIFE_MS - 105_000);
  // The server now announces the end of the token; the new connection waits for the client's time.
  clock.advance(30_000);
  await eventually("vic's", () => {
    time.advance(100);
    return told.includes(`user:${vic.id}`);
  });
  await notify(prism, userId, "for uma again");
  await notify(prism, vic.id, "for vic");
  await eventually("heard", () => titles.includes("for vic"));
  assert.deepEqual(titles, ["for uma", "for vic"]);
});
