import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { basic, makePasswordUser, PASSWORD, startNtfy } from "./support/api.ts";

const encoded = (value: string): string => Buffer.from(value).toString("base64url");

test("a caller is known by a password, a token of ntfy, a key or a token of Prism", async (t) => {
  const ntfy = await startNtfy(t);
  const { prism } = ntfy;
  const olga = await makePasswordUser(prism, "olga");
  const shop = await makeProject(prism);
  const { body: made } = await ntfy.send("POST", "/v1/account/token", { auth: olga.basic, body: '{"label":"phone"}' });
  const { token } = made as unknown as { token: string };
  assert.match(token, /^tk_[A-Za-z0-9]{29}$/);
  const service = await prism.post<{ token: string }>("/api/v1/users/me/tokens", {
    name: "x",
    scopes: ["events:read", "events:write"],
  });
  for (const [name, auth] of [
    ["password", olga.basic],
    ["password again, from memory", olga.basic],
    ["token", `Bearer ${token}`],
    ["token as password, without a user", basic("", token)],
    ["token as password", basic("olga", token)],
    ["access token", `Bearer ${olga.token}`],
    ["service token", `Bearer ${service.body.token}`],
    ["service token as password", basic("anything", service.body.token)],
    ["API key", `Bearer ${shop.apiKey}`],
  ] as const) {
    await t.test(name, async () => {
      const topic = name.replace(/\W/g, "-");
      assert.deepEqual((await ntfy.send("GET", `/${topic}/auth`, { auth })).text, '{"success":true}');
      assert.equal((await ntfy.send("POST", `/${topic}`, { auth, body: "m" })).status, 200);
      const query = `auth=${encoded(auth)}`;
      assert.equal((await ntfy.send("GET", `/${topic}/json?poll=1&${query}`, { auth: null })).body.message, "m");
      const socket = await ntfy.socket(t, `/${topic}/ws?since=all&${query}`, { auth: null }).opened();
      await eventually("the message", () => socket.messages.length === 1);
    });
  }
});

test("wrong credentials are refused everywhere, without a challenge, and count", async (t) => {
  const ntfy = await startNtfy(t);
  await makePasswordUser(ntfy.prism, "olga");
  for (const auth of [
    "Bearer tk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "Bearer nonsense",
    basic("olga", "wrong password"),
    basic("nobody", "x".repeat(20)),
    "Basic !!!",
    "Bearer prk_x",
  ]) {
    for (const path of ["/v1/health", "/t/auth", "/t/json?poll=1"]) {
      const { status, body, headers } = await ntfy.send("GET", path, { auth });
      assert.deepEqual([status, body.code, headers["www-authenticate"]], [401, 40101, undefined], `${auth} ${path}`);
    }
  }
  assert.equal((await ntfy.send("GET", "/t/auth?auth=%21", { auth: null })).body.code, 40101);
  const socket = ntfy.socket(t, "/t/ws", { auth: "Bearer nonsense" });
  await eventually("refused", () => socket.refused);
  assert.equal(socket.refused, 401);
  for (const _ of Array.from({ length: 40 })) await ntfy.send("GET", "/v1/health", { auth: "Bearer nonsense" });
  const { status, body } = await ntfy.send("GET", "/v1/health", { auth: "Bearer nonsense" });
  assert.deepEqual([status, body.code], [429, 42909]);
  assert.equal((await ntfy.send("GET", "/t/auth")).status, 200, "good credentials still count");
});

test("another scheme counts as no credential", async (t) => {
  const ntfy = await startNtfy(t, { settings: { "ntfy.anonymous": "read-write" } });
  assert.equal((await ntfy.send("POST", "/up1?up=1", { auth: "WebPush eyJ0", body: "m" })).status, 200);
  assert.equal((await ntfy.send("POST", "/up1?up=1", { auth: "vapid t=x, k=y", body: "m" })).status, 200);
});

test("nothing is open without credentials, unless ntfy.anonymous says so", async (t) => {
  for (const [anonymous, reads, writes] of [
    ["none", 403, 403],
    ["read", 200, 403],
    ["write", 403, 200],
    ["read-write", 200, 200],
  ] as const) {
    await t.test(anonymous, async (t) => {
      const ntfy = await startNtfy(t, { settings: { "ntfy.anonymous": anonymous } });
      const shop = await makeProject(ntfy.prism);
      await ntfy.send("POST", "/closed", { auth: `Bearer ${shop.apiKey}`, body: "of the shop" });
      for (const [path, status] of [
        ["/open", reads],
        ["/closed", 403],
      ] as const) {
        assert.equal((await ntfy.send("GET", `${path}/auth`, { auth: null })).status, status);
        assert.equal((await ntfy.send("GET", `${path}/json?poll=1`, { auth: null })).status, status);
        const socket = ntfy.socket(t, `${path}/ws`, { auth: null });
        await eventually("open or refused", () =>
          status === 200 ? socket.texts.length > 0 : socket.refused === status,
        );
      }
      assert.equal((await ntfy.send("POST", "/open", { auth: null, body: "m" })).status, writes);
      assert.equal((await ntfy.send("POST", "/closed", { auth: null, body: "m" })).status, 403);
    });
  }
});

test("rights of Prism decide: readers may not write, and others' projects are closed", async (t) => {
  const ntfy = await startNtfy(t);
  const { prism } = ntfy;
  const viewer = await makeUser(prism, "vera", ["Viewer"]);
  const shop = await makeProject(prism);
  await ntfy.send("POST", "/shop", { auth: `Bearer ${shop.apiKey}`, body: "m" });
  await ntfy.publish("news", "m");
  const auth = `Bearer ${viewer.token}`;
  const status = async (method: string, path: string): Promise<number> =>
    (await ntfy.send(method, path, { auth, body: method === "GET" ? undefined : "m" })).status;
  assert.deepEqual(
    [await status("GET", "/news/auth"), await status("POST", "/news"), await status("PUT", "/other")],
    [200, 403, 403],
  );
  assert.deepEqual([await status("GET", "/shop/auth"), await status("GET", "/news,shop/json?poll=1")], [403, 403]);
  assert.deepEqual([await status("DELETE", "/news/seq"), await status("PUT", "/news/seq/clear")], [403, 403]);
});

test("an account with a second factor cannot use its password here", async (t) => {
  const ntfy = await startNtfy(t);
  const { prism } = ntfy;
  const olga = await makePasswordUser(prism, "olga");
  assert.equal((await ntfy.send("GET", "/t/auth", { auth: olga.basic })).status, 200);
  const { database } = prism.parts.base;
  await database.write((trx) =>
    trx
      .insertInto("second_factors")
      .values({ userId: olga.id, secret: Buffer.from("x"), recoveryCodes: "[]", enabledAt: 1, createdAt: 1 } as never)
      .execute(),
  );
  assert.equal((await ntfy.send("GET", "/t/auth", { auth: olga.basic })).status, 401, "also from memory");
  assert.equal((await ntfy.send("GET", "/t/auth", { auth: `Bearer ${olga.token}` })).status, 200);
});

test("a new password ends the old one's connections; so does the end of a token or an account", async (t) => {
  const ntfy = await startNtfy(t);
  const { prism } = ntfy;
  const olga = await makePasswordUser(prism, "olga");
  const { body } = await ntfy.send("POST", "/v1/account/token", { auth: olga.basic });
  const { token } = body as unknown as { token: string };
  const byPassword = await ntfy.socket(t, "/t/ws", { auth: olga.basic }).opened();
  const byToken = await ntfy.socket(t, "/t/ws", { auth: `Bearer ${token}` }).opened();
  const changed = await prism.put(
    "/api/v1/users/me/password",
    { currentPassword: PASSWORD, password: "another horse battery" },
    { token: olga.token },
  );
  assert.ok(changed.status < 300, changed.text);
  await eventually("the password's connection is cut", () => byPassword.closed);
  assert.equal((await ntfy.send("GET", "/t/auth", { auth: olga.basic })).status, 401);
  assert.ok(byToken.closed === null);
  assert.equal(
    (await ntfy.send("DELETE", "/v1/account/token", { auth: `Bearer ${token}`, headers: { "X-Token": token } })).text,
    '{"success":true}',
  );
  await eventually("the token's connection is cut", () => byToken.closed);
  assert.deepEqual(valuesOf([byPassword, byToken], "closed"), [{ code: 1006 }, { code: 1006 }]);
});

test("tokens: label, end, extension, at most 60", async (t) => {
  const clock = new FakeClock();
  const ntfy = await startNtfy(t, { clock });
  const olga = await makePasswordUser(ntfy.prism, "olga");
  const create = async (body?: string) =>
    JSON.parse((await ntfy.send("POST", "/v1/account/token", { auth: olga.basic, body })).text) as {
      token: string;
      expires: number;
      label?: string;
    };
  const first = await create();
  assert.equal(first.expires, Math.floor((clock.now() + 72 * 3_600_000) / 1000));
  clock.advance(3_600_000);
  const extended = JSON.parse(
    (await ntfy.send("PATCH", "/v1/account/token", { auth: `Bearer ${first.token}` })).text,
  ) as { expires: number };
  assert.equal(extended.expires, first.expires + 3600);
  const named = await create('{"label":"Home Assistant","expires":0}');
  assert.deepEqual([named.label, named.expires], ["Home Assistant", 0]);
  clock.advance(73 * 3_600_000);
  assert.equal((await ntfy.send("GET", "/t/auth", { auth: `Bearer ${first.token}` })).status, 401, "expired");
  assert.equal((await ntfy.send("GET", "/t/auth", { auth: `Bearer ${named.token}` })).status, 200);
  for (const _ of Array.from({ length: 60 })) await create();
  const { tokens } = JSON.parse((await ntfy.send("GET", "/v1/account", { auth: olga.basic })).text) as {
    tokens: unknown[];
  };
  assert.equal(tokens.length, 60);
  assert.equal(
    (await ntfy.send("GET", "/t/auth", { auth: `Bearer ${named.token}` })).status,
    401,
    "the oldest made room",
  );
  assert.equal((await ntfy.send("POST", "/v1/account/token", { auth: null })).status, 401);
});
