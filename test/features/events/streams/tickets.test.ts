import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { createServiceToken, revokeServiceToken } from "../../../../src/features/access/users/create-user.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { makeProject } from "../../../helpers/people.ts";
import type { RequestOptions, TestPrism } from "../../../helpers/prism.ts";
import { Refused } from "../../../live/support/live-client.ts";
import { WebSocketClient } from "../../../live/support/web-socket-client.ts";
import { call, logIn, makeAccount, outcomeOf, startAccounts } from "../../access/sessions/support/auth-client.ts";

const TICKET = "/api/v1/realtime/ticket";

async function ticketOf(prism: TestPrism, options: RequestOptions = {}, body: object = {}): Promise<string> {
  const reply = await prism.post<{ ticket: string }>(TICKET, body, options);
  assert.equal(reply.status, 201, reply.text);
  return reply.body.ticket;
}

/** `open`, or the status and code of the refusal. */
async function opened(t: TestContext, url: string, options = {}): Promise<string> {
  try {
    await (await WebSocketClient.openFor(t, url, options)).close();
    return "open";
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return `${error.status} ${error.code}`;
  }
}

test("D38: a ticket opens one live connection of any protocol, once, within a minute", async (t) => {
  const clock = new FakeClock();
  const prism = await startAccounts(t, { clock });
  const reply = await prism.post<{ ticket: string; expiresAt: string }>(TICKET);
  assert.equal(reply.status, 201);
  assert.match(reply.body.ticket, /^[\w-]{43}$/);
  assert.equal(Date.parse(reply.body.expiresAt) - clock.now(), 60_000);
  for (const path of ["/ws", "/realtime/default", "/api/v1/realtime/default"]) {
    const url = `${prism.wsUrl}${path}?ticket=${await ticketOf(prism)}`;
    assert.equal(await opened(t, url), "open", path);
    assert.equal(await opened(t, url), "401 TOKEN_INVALID", path);
  }
  const events = `${prism.url}/realtime/default/sse?ticket=${await ticketOf(prism)}`;
  const stream = await fetch(events);
  assert.deepEqual([stream.status, stream.headers.get("content-type")], [200, "text/event-stream"]);
  await stream.body?.cancel();
  assert.equal((await fetch(events)).status, 401);

  const late = await ticketOf(prism);
  clock.advance(60_000);
  assert.equal(await opened(t, `${prism.wsUrl}/ws?ticket=${late}`), "401 TOKEN_INVALID");
  for (const wrong of ["", "x", "x".repeat(43), prism.adminToken])
    assert.match(await opened(t, `${prism.wsUrl}/ws?ticket=${wrong}`), /^401 (TOKEN_INVALID|UNAUTHENTICATED)$/);
});

test("of two concurrent upgrades with one ticket one is accepted", async (t) => {
  const prism = await startAccounts(t);
  const url = `${prism.wsUrl}/ws?ticket=${await ticketOf(prism)}`;
  const outcomes = await Promise.all(Array.from({ length: 5 }, () => opened(t, url)));
  assert.deepEqual(outcomes.sort(), [...Array.from({ length: 4 }, () => "401 TOKEN_INVALID"), "open"]);
});

test("a ticket is spent by the first upgrade even if that fails", async (t) => {
  const prism = await startAccounts(t);
  for (const [name, path, options, outcome] of [
    ["another origin", "/ws", { headers: { Origin: "https://evil.example" } }, "403 ORIGIN_REFUSED"],
    ["two credentials", "/ws", { headers: { "X-API-Key": "prk_x" } }, "400 AMBIGUOUS_CREDENTIALS"],
    ["no such project", "/realtime/nowhere", {}, "404 PROJECT_NOT_FOUND"],
    ["another version", "/ws", { protocolVersion: 8 }, "426 UPGRADE_REQUIRED"],
  ] as const) {
    await t.test(name, async (t) => {
      const ticket = await ticketOf(prism);
      assert.equal(await opened(t, `${prism.wsUrl}${path}?ticket=${ticket}`, options), outcome);
      assert.equal(await opened(t, `${prism.wsUrl}/ws?ticket=${ticket}`), "401 TOKEN_INVALID");
    });
  }
});

test("a ticket counts on live routes only", async (t) => {
  const prism = await startAccounts(t);
  const ticket = await ticketOf(prism);
  for (const path of ["/api/v1/users/me", "/api/v1/events", "/projects"])
    assert.equal(outcomeOf(await prism.get(`${path}?ticket=${ticket}`, { token: null })), "401 UNAUTHENTICATED", path);
  for (const headers of [{ Authorization: `Bearer ${ticket}` }, { "X-API-Key": ticket }])
    assert.match(outcomeOf(await prism.get("/api/v1/users/me", { token: null, headers })), /^401 /);
  assert.equal(await opened(t, `${prism.wsUrl}/ws?ticket=${ticket}`), "open", "and is not spent elsewhere");
});

test("a ticket allows what its credential allows at that moment, and ends with it", async (t) => {
  const prism = await startAccounts(t);
  const { id } = await makeAccount(prism, { username: "ann" });
  const project = await makeProject(prism);
  const login = await logIn(prism, "ann");
  const { parts } = prism;
  const service = await parts.base.database.write((trx) =>
    createServiceToken(parts.base, { userId: id, name: "t" }, trx),
  );

  const socket = await WebSocketClient.openFor(
    t,
    `${prism.wsUrl}/ws?ticket=${await ticketOf(prism, { token: login.token })}`,
  );
  assert.equal((await socket.expect({ op: "welcome" }))["userId"], id);
  const byKey = `${prism.wsUrl}/realtime/${project.id}?ticket=${await ticketOf(prism, { apiKey: project.apiKey })}`;
  assert.equal(await opened(t, byKey), "open");
  const foreign = `${prism.wsUrl}/realtime/default?ticket=${await ticketOf(prism, { apiKey: project.apiKey })}`;
  assert.equal(await opened(t, foreign), "404 PROJECT_NOT_FOUND");

  const [ofSession, ofToken] = [
    await ticketOf(prism, { token: login.token }),
    await ticketOf(prism, { token: service.token }),
  ];
  await parts.base.database.write((trx) => revokeServiceToken(parts.base, service.id, trx));
  prism.rightsChanged();
  await call(prism, "/auth/logout", undefined, { Authorization: `Bearer ${login.token}` });
  assert.equal((await socket.end).code, 4401, "a socket that a ticket opened ends with the session");
  for (const ticket of [ofSession, ofToken])
    assert.equal(await opened(t, `${prism.wsUrl}/ws?ticket=${ticket}`), "401 TOKEN_INVALID");
});

test("a ticket ends no later than the access token it was got with", async (t) => {
  const clock = new FakeClock();
  const prism = await startAccounts(t, { clock });
  await makeAccount(prism, { username: "ann" });
  const { token } = await logIn(prism, "ann");
  clock.advance(14.5 * 60_000);
  const { body } = await prism.post<{ ticket: string; expiresAt: string }>(TICKET, {}, { token });
  assert.ok(Date.parse(body.expiresAt) - clock.now() <= 30_000);
  clock.advance(31_000);
  assert.equal(await opened(t, `${prism.wsUrl}/ws?ticket=${body.ticket}`), "401 TOKEN_INVALID");
});

test("a ticket for one stream opens no other, whatever its owner may follow", async (t) => {
  const prism = await startAccounts(t);
  const project = await makeProject(prism);
  const { body } = await prism.get<{ id: string }>("/api/v1/users/me");
  const ofProject = { stream: `project:${project.id}` };
  const at = async (path: string, stream: object) =>
    opened(t, `${prism.wsUrl}${path}?ticket=${await ticketOf(prism, {}, stream)}`);
  assert.equal(await at(`/realtime/${project.id}`, ofProject), "open");
  assert.equal(await at("/realtime/default", ofProject), "403 CHANNEL_FORBIDDEN");
  assert.equal(await at(`/realtime/${project.id}`, { stream: "user:me" }), "403 CHANNEL_FORBIDDEN");
  const events = await fetch(`${prism.url}/realtime/default/sse?ticket=${await ticketOf(prism, {}, ofProject)}`);
  assert.equal(events.status, 403);

  const socket = await WebSocketClient.openFor(
    t,
    `${prism.wsUrl}/ws?ticket=${await ticketOf(prism, {}, { stream: "user:me" })}`,
  );
  const subscribe = (id: string, stream: string) => socket.ask({ op: "subscribe", id, stream });
  assert.equal((await subscribe("1", "user:me"))["op"], "subscribed");
  assert.equal((await subscribe("2", ofProject.stream))["op"], "error");
  prism.rightsChanged();
  await prism.post("/api/v1/notifications", { userId: body.id, title: "t", message: "still followed" });
  await socket.expect({ op: "event", type: "notification" });
  assert.equal((await subscribe("3", ofProject.stream))["op"], "error", "also after the rights were read anew");

  for (const stream of ["user:0198c0de-0000-7000-8000-000000000000", "project:x", "all", "", "x".repeat(160)])
    assert.equal(outcomeOf(await prism.post(TICKET, { stream })), "403 CHANNEL_FORBIDDEN", stream);
  assert.equal(outcomeOf(await prism.post(TICKET, { stream: "x".repeat(161) })), "400 VALIDATION_FAILED");
});

test("tickets are in no log and no response but their own", async (t) => {
  const log = new LogLines();
  const prism = await startAccounts(t, { log });
  const ticket = await ticketOf(prism);
  await opened(t, `${prism.wsUrl}/ws?ticket=${ticket}`);
  await opened(t, `${prism.wsUrl}/ws?ticket=${ticket}`);
  await prism.get(`/nowhere?ticket=${ticket}`);
  assert.equal(JSON.stringify(log.lines).includes(ticket), false);
});
