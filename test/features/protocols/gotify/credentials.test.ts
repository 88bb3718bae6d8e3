import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { logIn, makeAccount, PASSWORD } from "../../access/sessions/support/auth-client.ts";
import { basic, type GotifyFault, GotifyTest, key } from "./support.ts";

const BEARER = (token: string) => ({ Authorization: `Bearer ${token}` });
const UNAUTHENTICATED: GotifyFault = {
  error: "Unauthorized",
  errorCode: 401,
  errorDescription: "you need to provide a valid access token or user credentials to access this api",
};

test("which credential may do what", async (t) => {
  const it = await GotifyTest.start(t);
  const app = await it.application();
  const client = await it.client();
  const { token: login } = await logIn(it.prism, "uma");
  const service = async (scopes: string[]) =>
    (await it.prism.post<{ token: string }>("/api/v1/users/me/tokens", { name: "t", scopes }, { token: login })).body
      .token;
  const [own, other] = [await service(["notifications:own"]), await service(["tasks:own"])];
  const send = { message: "m", appid: app.id };
  for (const [name, headers, message, list] of [
    ["the application's token", key(app.token), 200, 401],
    ["the client's token", key(client.token), 200, 200],
    ["the client's token as a bearer", BEARER(client.token), 200, 200],
    ["a password", basic("uma"), 200, 200],
    ["a wrong password", basic("uma", "wrong password"), 401, 401],
    ["a password of nobody", basic("nobody"), 401, 401],
    ["a login of Prism", BEARER(login), 200, 200],
    ["a service token with notifications:own", key(own), 200, 200],
    ["such a token as a password", basic("anything", own), 200, 200],
    ["a service token with another scope", key(other), 401, 401],
    ["an unknown token", key("Axxxxxxxxxxxxxx"), 401, 401],
    ["nothing", {}, 401, 401],
    ["no base64", { Authorization: "Basic ####" }, 401, 401],
    ["another scheme", { Authorization: "Digest abc" }, 401, 401],
    ["a good token after a wrong one", { ...key("nonsense"), ...BEARER(client.token) }, 401, 401],
  ] as const) {
    await t.test(name, async () => {
      const sent = await it.request<GotifyFault>("POST", "/message", headers, send);
      const listed = await it.request<GotifyFault>("GET", "/message", headers);
      assert.deepEqual([sent.status, listed.status], [message, list], sent.text);
      for (const reply of [sent, listed])
        if (reply.status === 401)
          assert.deepEqual([reply.body, reply.headers.get("www-authenticate")], [UNAUTHENTICATED, null]);
    });
  }
  await t.test("the token of the query is the first that counts", async () => {
    assert.equal((await it.request("GET", `/message?token=${client.token}`, key("nonsense"))).status, 200);
  });
});

test("a service token without account:own makes no credential and sees none", async (t) => {
  const it = await GotifyTest.start(t);
  const app = await it.application();
  const { token: login } = await logIn(it.prism, "uma");
  const body = { name: "t", scopes: ["notifications:own"] };
  const made = await it.prism.post<{ token: string }>("/api/v1/users/me/tokens", body, { token: login });
  const headers = key(made.body.token);
  for (const [method, path] of [
    ["POST", "/client"],
    ["POST", "/application"],
    ["PUT", `/application/${app.id}`],
  ] as const)
    assert.equal((await it.request(method, path, headers, { name: "x" })).status, 403, path);
  const listed = await it.ok<{ id: number; token: string }[]>("GET", "/application", headers);
  assert.deepEqual([...new Set(listed.map(({ token }) => token))], [""]);
  assert.ok(listed.some(({ id }) => id === app.id));
});

test("objects of another user are unknown", async (t) => {
  const it = await GotifyTest.start(t);
  await makeAccount(it.prism, { username: "vic" });
  const theirs = await it.application("Theirs", {}, "vic");
  const sent = await it.send(theirs.token, { message: "for vic" });
  const client = await it.client("Theirs", "vic");
  const mine = key((await it.client()).token);
  for (const [method, path, body] of [
    ["GET", `/application/${theirs.id}/message`],
    ["DELETE", `/application/${theirs.id}/message`],
    ["PUT", `/application/${theirs.id}`, { name: "x" }],
    ["DELETE", `/application/${theirs.id}`],
    ["DELETE", `/application/${theirs.id}/image`],
    ["DELETE", `/message/${sent.id}`],
    ["PUT", `/client/${client.id}`, { name: "x" }],
    ["DELETE", `/client/${client.id}`],
  ] as const) {
    const reply = await it.request<GotifyFault>(method, path, mine, body);
    assert.deepEqual([method, path, reply.status, reply.body.errorCode], [method, path, 404, 404]);
  }
  const reply = await it.request<GotifyFault>("POST", "/message", mine, { message: "m", appid: theirs.id });
  assert.deepEqual([reply.status, reply.body.errorDescription], [400, "appid not found"]);
  assert.deepEqual((await it.ok<unknown[]>("GET", "/application", mine)).length, 1);
});

test("the tokens and streams of a disabled account end", async (t) => {
  const it = await GotifyTest.start(t);
  const app = await it.application();
  const client = await it.client();
  const byToken = await it.stream(t, client.token);
  const byPassword = await it.stream(t, "", { headers: [`Authorization: ${basic("uma")["Authorization"]}`] });
  assert.deepEqual([byToken.status, byPassword.status], [101, 101]);
  const disabled = await it.prism.patch(`/api/v1/users/${it.userId}`, { status: "disabled" });
  assert.equal(disabled.status, 200, disabled.text);
  await Promise.all([byToken.closed, byPassword.closed]);
  assert.deepEqual([byToken.kinds, byPassword.kinds], [[], []]);
  assert.equal((await it.request("GET", "/message", key(client.token))).status, 401);
  assert.equal((await it.request("GET", "/message", basic("uma"))).status, 401);
  assert.equal((await it.request("POST", "/message", key(app.token), { message: "m" })).status, 401);
});

test("a changed password ends the streams that were opened with it, and no other", async (t) => {
  const clock = new FakeClock();
  const it = await GotifyTest.start(t, { clock });
  const client = await it.client();
  const byToken = await it.stream(t, client.token);
  const byPassword = await it.stream(t, "", { headers: [`Authorization: ${basic("uma")["Authorization"]}`] });
  const { token: login } = await logIn(it.prism, "uma");
  clock.advance(1000);
  const passwords = { currentPassword: PASSWORD, password: "another good password" };
  const changed = await it.prism.put("/api/v1/users/me/password", passwords, { token: login });
  assert.ok(changed.status < 300, changed.text);
  // Before the next ping.
  clock.advance(45_000);
  await byPassword.closed;
  const { token } = await it.application("A", {}, "uma", passwords.password);
  await it.send(token, { message: "m" });
  await eventually("the message", () => byToken.messages.length === 1);
  assert.equal((await it.request("GET", "/current/user", basic("uma"))).status, 401);
});

test("tokens are stored hashed or sealed, and are in no audit row", async (t) => {
  const it = await GotifyTest.start(t);
  const app = await it.application();
  const client = await it.client();
  const { reader } = it.prism.parts.base;
  for (const table of ["gotify_applications", "gotify_clients", "audit_log"]) {
    const rows = reader.prepare(`select * from ${table}`).all() as Record<string, unknown>[];
    const text = rows
      .flatMap((row) =>
        Object.values(row).map((value) => (Buffer.isBuffer(value) ? value.toString("latin1") : String(value))),
      )
      .join("\n");
    for (const token of [app.token, client.token]) assert.ok(!text.includes(token), table);
  }
  const audit = await it.prism.get<{ data: { action: string; userId: string }[] }>("/api/v1/audit?limit=100");
  const actions = audit.body.data.filter(({ userId }) => userId === it.userId).map(({ action }) => action);
  for (const action of ["gotify_application.create", "gotify_client.create"])
    assert.ok(actions.includes(action), action);
});

test("guesses are limited by address; valid tokens are never limited", async (t) => {
  const it = await GotifyTest.start(t, {
    settings: { "rateLimit.ip": "20", "rateLimit.user": "5", "rateLimit.key": "5" },
  });
  const app = await it.application();
  const client = await it.client();
  for (let n = 0; n < 30; n++) await it.send(app.token, { message: `m${n}` });
  for (let n = 0; n < 30; n++) await it.list(client.token, "?limit=1");
  const statuses = new Set<number>();
  for (let n = 0; n < 60; n++) statuses.add((await it.request("GET", "/message", key(`C${n}`))).status);
  assert.deepEqual([...statuses], [401, 429]);
  const limited = await it.request<GotifyFault>("GET", "/message", key("Cnone"));
  assert.deepEqual([limited.body.error, limited.body.errorCode], ["Too Many Requests", 429]);
  assert.ok(limited.headers.get("retry-after"));
  await it.send(app.token, { message: "still accepted" });
});

test("applications have an order of their own, and a token that is replaced ends at once", async (t) => {
  const it = await GotifyTest.start(t);
  const client = await it.client();
  const [one, two, three] = [await it.application("one"), await it.application("two"), await it.application("three")];
  type Sorted = { id: number; name: string; sortKey: string; token: string };
  const listed = () => it.ok<Sorted[]>("GET", "/application", key(client.token));
  assert.deepEqual(
    (await listed()).map(({ name, sortKey }) => `${name} ${sortKey}`),
    ["Prism a0", "one c000", "two c001", "three c002"],
  );
  await it.ok("PUT", `/application/${three.id}`, key(client.token), { name: "three", sortKey: "c000V" });
  await it.ok("PUT", `/application/${one.id}`, key(client.token), { name: "first" });
  assert.deepEqual(
    (await listed()).map(({ name }) => name),
    ["Prism", "first", "three", "two"],
  );
  assert.equal((await it.application("last")).name, "last");
  assert.equal((await listed()).at(-1)?.sortKey, "c002");
  const wrong = await it.request("PUT", `/application/${one.id}`, key(client.token), { name: "x", sortKey: "a b" });
  assert.equal(wrong.status, 400);
  for (const [method, to] of [
    ["PUT", `/application/${one.id}`],
    ["POST", "/application"],
  ] as const) {
    const taken = await it.request<GotifyFault>(method, to, key(client.token), { name: "x", sortKey: "c000V" });
    assert.deepEqual([taken.status, taken.body.errorDescription], [400, "sort key is not unique"], method);
  }
  await it.ok("PUT", `/application/${three.id}`, key(client.token), { name: "three", sortKey: "c000V" });

  const path = `/application/${two.id}/security`;
  type Secured = { regenerateToken?: { token: string } };
  assert.deepEqual(await it.ok<Secured>("PUT", path, key(client.token), {}), {});
  const answer = await it.ok<Secured>("PUT", path, key(client.token), { regenerateToken: true });
  assert.deepEqual(Object.keys(answer), ["regenerateToken"]);
  const secured = { token: answer.regenerateToken?.token ?? "" };
  assert.match(secured.token, /^A.{14}$/);
  assert.notEqual(secured.token, two.token);
  const send = (token: string) => it.request("POST", "/message", key(token), { message: "m" });
  assert.deepEqual([(await send(two.token)).status, (await send(secured.token)).status], [401, 200]);
  const [internal] = await listed();
  const own = `/application/${internal?.id}/security`;
  assert.equal((await it.request("PUT", own, key(client.token), {})).status, 400);
  assert.equal((await it.request("PUT", path, key(secured.token), { regenerateToken: true })).status, 401);
});

test("a client that is not used for its time ends", async (t) => {
  const clock = new FakeClock();
  const it = await GotifyTest.start(t, { clock });
  type Client = { id: number; token: string; expiresAfterInactivitySeconds: number; expiresAt?: string };
  const create = (body: object) => it.ok<Client>("POST", "/client", basic("uma"), body);
  const lasting = await create({ name: "lasting" });
  assert.deepEqual([lasting.expiresAfterInactivitySeconds, "expiresAt" in lasting], [0, false]);
  const client = await create({ name: "short", expiresAfterInactivitySeconds: 3600 });
  assert.equal(client.expiresAt, new Date(clock.now() + 3_600_000).toISOString());
  const isKnown = async () => (await it.request("GET", "/message", key(client.token))).status === 200;
  for (let n = 0; n < 3; n++) {
    clock.advance(3_500_000);
    assert.equal(await isKnown(), true, "it is used");
  }
  clock.advance(3_600_000 + 300_001);
  assert.equal(await isKnown(), false);
  assert.deepEqual(
    (await it.ok<Client[]>("GET", "/client", key(lasting.token))).map(({ id }) => id),
    [lasting.id],
  );
  const renamed = { name: "lasting", expiresAfterInactivitySeconds: 60 };
  const changed = await it.ok<Client>("PUT", `/client/${lasting.id}`, key(lasting.token), renamed);
  assert.equal(changed.expiresAfterInactivitySeconds, 60);
  const negative = { name: "x", expiresAfterInactivitySeconds: -1 };
  assert.equal((await it.request("POST", "/client", basic("uma"), negative)).status, 400);
});
