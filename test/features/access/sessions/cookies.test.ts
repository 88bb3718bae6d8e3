import assert from "node:assert/strict";
import test from "node:test";
import { createUser } from "../../../../src/features/access/users/create-user.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { answered } from "../../../helpers/prism.ts";
import { call, cookieOf, makeAccount, outcomeOf, PASSWORD, startAccounts } from "./support/auth-client.ts";

/** Beside the routes: with a public address there is no development token to call them with. */
async function makeAnn({ parts }: TestPrism): Promise<void> {
  const passwordHash = await parts.offers.accounts.passwords.hash(PASSWORD);
  await parts.base.database.write((trx) => createUser(parts.base, { username: "ann", roles: [], passwordHash }, trx));
}

async function logInByCookie(prism: TestPrism, headers: Readonly<Record<string, string>> = {}) {
  const reply = await answered(200, call(prism, "/auth/login", { login: "ann", password: PASSWORD }, headers));
  return cookieOf(reply);
}

test("the refresh cookie is out of reach of scripts and other sites, and over https of other hosts too", async (t) => {
  for (const [publicUrl, name, isSecure] of [
    ["http://localhost:3000", "prism_refresh", false],
    ["https://prism.example", "__Host-prism_refresh", true],
    ["https://prism.example/alerts", "__Host-prism_refresh", true],
  ] as const) {
    await t.test(publicUrl, async (t) => {
      const prism = await startAccounts(t, {
        clock: new FakeClock(),
        settings: { publicUrl, "auth.refreshExpires": "1d" },
      });
      await makeAnn(prism);
      const { pair, attributes } = await logInByCookie(prism);
      assert.match(pair, new RegExp(`^${name}=prr_[\\w-]{43}$`));
      assert.deepEqual(attributes, [
        "Max-Age=86400",
        "HttpOnly",
        "SameSite=Strict",
        "Path=/",
        ...(isSecure ? ["Secure"] : []),
      ]);
      // The other name is another cookie: a plain one set by another site is ignored here.
      const foreign = pair.replace(name, isSecure ? "prism_refresh" : "__Host-prism_refresh");
      assert.equal(outcomeOf(await call(prism, "/auth/refresh", {}, { Cookie: foreign })), "401 UNAUTHENTICATED");
      assert.equal((await call(prism, "/auth/refresh", {}, { Cookie: pair })).status, 200);
    });
  }
});

test("the cookie opens refresh and logout, and no other route", async (t) => {
  const prism = await startAccounts(t);
  await makeAccount(prism, { username: "ann" });
  const { pair } = await logInByCookie(prism);
  const options = { token: null, headers: { Cookie: pair } };
  for (const path of ["/api/v1/users/me", "/api/v1/auth/sessions", "/projects", "/api/v1/notifications"])
    assert.equal(outcomeOf(await prism.get(path, options)), "401 UNAUTHENTICATED", path);
  assert.equal(outcomeOf(await prism.post("/api/v1/realtime/ticket", {}, options)), "401 UNAUTHENTICATED");
});

test("contract 12.3: a page of another origin cannot use the cookie, whatever Host it names", async (t) => {
  const settings = { publicUrl: "https://prism.example", "cors.origins": "https://app.example" };
  const prism = await startAccounts(t, { settings });
  await makeAnn(prism);
  let { pair } = await logInByCookie(prism);
  const own = `127.0.0.1:${prism.app.port}`;
  for (const [name, headers, isServed] of [
    ["no browser", {}, true],
    ["the server's own page", { Origin: "https://prism.example", "Sec-Fetch-Site": "same-origin" }, true],
    ["a listed origin", { Origin: "https://app.example", "Sec-Fetch-Site": "cross-site" }, true],
    ["typed into the address bar", { "Sec-Fetch-Site": "none" }, true],
    ["its own page, without Origin", { "Sec-Fetch-Site": "same-origin" }, true],
    ["another origin", { Origin: "https://evil.example" }, false],
    ["one that ends alike", { Origin: "https://evil-app.example" }, false],
    ["one that begins alike", { Origin: "https://app.example.evil" }, false],
    ["another scheme", { Origin: "http://app.example" }, false],
    ["another port", { Origin: "https://app.example:8443" }, false],
    ["a sandboxed page", { Origin: "null" }, false],
    ["the address that was called", { Origin: `http://${own}` }, false],
    ["cross-site, without Origin", { "Sec-Fetch-Site": "cross-site" }, false],
    ["same-site, without Origin", { "Sec-Fetch-Site": "same-site" }, false],
    ["same-site, another origin", { Origin: "https://evil.prism.example", "Sec-Fetch-Site": "same-site" }, false],
  ] as const) {
    await t.test(`${name}: ${isServed ? "served" : "refused"}`, async () => {
      const reply = await call(prism, "/auth/refresh", {}, { Cookie: pair, ...headers });
      assert.equal(outcomeOf(reply), isServed ? "200" : "403 ORIGIN_REFUSED");
      if (isServed) pair = cookieOf(reply).pair;
      else {
        assert.equal(
          outcomeOf(await call(prism, "/auth/logout", {}, { Cookie: pair, ...headers })),
          "403 ORIGIN_REFUSED",
        );
        assert.deepEqual(reply.headers.getSetCookie(), []);
      }
    });
  }
  const refreshToken = pair.split("=")[1];
  const inBody = await call(prism, "/auth/refresh", { refreshToken }, { Origin: "https://evil.example" });
  assert.equal(inBody.status, 200, "a token in the body is no cookie: who sends it has it");
});

test("contract 12.3: without publicUrl the server's own origin is this machine, also in production", async (t) => {
  const prism = await startAccounts(t, { settings: { "cors.origins": "https://app.example" } });
  await makeAccount(prism, { username: "ann" });
  const { pair } = await logInByCookie(prism);
  const at = (origin: string) => call(prism, "/auth/refresh", {}, { Cookie: pair, Origin: origin });
  assert.equal(outcomeOf(await at(`http://localhost:${prism.app.port + 1}`)), "403 ORIGIN_REFUSED");
  assert.equal((await at(`http://localhost:${prism.app.port}`)).status, 200);
});

test("D58: /auth takes no Idempotency-Key: each attempt is one of its own, and no answer is kept", async (t) => {
  const prism = await startAccounts(t, { settings: { "auth.registration": "open" } });
  const headers = { "Idempotency-Key": "the-same" };
  const account = { email: "ann@example.com", password: PASSWORD };
  assert.equal((await call(prism, "/auth/register", account, headers)).status, 201);
  assert.equal(outcomeOf(await call(prism, "/auth/register", account, headers)), "409 EMAIL_TAKEN");
  const first = await call(prism, "/auth/login", account, headers);
  const second = await call(prism, "/auth/login", account, headers);
  assert.notEqual(first.body.token, second.body.token);
  const refreshToken = cookieOf(second).pair.split("=")[1];
  const refreshed = await call(prism, "/auth/refresh", { refreshToken }, headers);
  const next = refreshed.body.refreshToken;
  assert.equal((await call(prism, "/auth/refresh", { refreshToken: next }, headers)).status, 200);
  assert.equal(outcomeOf(await call(prism, "/auth/refresh", { refreshToken }, headers)), "401 REFRESH_REUSED");
  const { reader } = prism.parts.base.store;
  assert.equal(reader.prepare("select count(*) from idempotency_keys").pluck().get(), 0);
  for (const reply of [first, second]) assert.equal(reply.headers.get("idempotency-replayed"), null);
});

test("a login with rememberMe: false has a cookie that ends with the browser, and so has each refresh after it", async (t) => {
  const prism = await startAccounts(t);
  await makeAccount(prism, { username: "ann" });
  const log = async (rememberMe: boolean) => {
    const { headers } = await call(prism, "/api/v1/auth/login", { login: "ann", password: PASSWORD, rememberMe });
    return headers.get("set-cookie") ?? "";
  };
  assert.match(await log(true), /Max-Age=\d+/);
  const cookie = await log(false);
  assert.doesNotMatch(cookie, /Max-Age|Expires/i);
  const [pair = ""] = cookie.split(";");
  const refreshed = await answered(200, call(prism, "/api/v1/auth/refresh", {}, { Cookie: pair, Origin: prism.url }));
  assert.doesNotMatch(refreshed.headers.get("set-cookie") ?? "", /Max-Age|Expires/i);
});
