import assert from "node:assert/strict";
import { createServer } from "node:http";
import test from "node:test";
import { SignJWT } from "jose";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { listening } from "../../../helpers/listening.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { IssuerKey } from "../authenticate/support/issuer.ts";
import { makeAccount, outcomeOf } from "../sessions/support/auth-client.ts";
import { protect, secondStep } from "../sessions/support/second-factor.ts";
import { Browser, refusalOf, startWith } from "./support/browser.ts";
import { FakeProvider, unsigned } from "./support/fake-provider.ts";

const HOUR = 3_600_000;
const PROVISION = { provision: true };

test("a sign-in at a provider opens a session as a password does, and leads to the page that was asked for", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [provider.settings({ ...PROVISION, label: "Example Inc" })]);
  const browser = new Browser(prism);

  const asked = await browser.start("company", "/incidents?status=open");
  assert.deepEqual(
    ["client_id", "response_type", "scope", "code_challenge_method"].map((name) => asked.get(name)),
    ["prism", "code", "openid profile email groups", "S256"],
  );
  assert.equal(asked.get("redirect_uri"), `http://localhost:${prism.app.port}/auth/oidc/company/callback`);
  const cookieNames = [...browser.cookies.keys()];
  assert.match(cookieNames.join(), /^prism_oidc_[0-3]$/);

  const { path, fragment } = await browser.back({ state: asked.get("state") ?? "", code: asked.get("nonce") ?? "" });
  assert.deepEqual([path, fragment.toString()], ["/dashboard/incidents?status=open", "signed-in="]);
  assert.deepEqual([...browser.cookies.keys()], ["prism_refresh"]);
  const [form] = provider.tokenRequests;
  assert.ok((form?.get("code_verifier") ?? "").length > 40);

  const me = await browser.me();
  assert.deepEqual(
    [me["name"], me["email"], me["emailVerified"], me["roles"]],
    ["Ann Lee", "ann@example.com", true, ["User"]],
  );
  const { body } = await prism.get<{ data: { via: string | null }[] }>("/api/v1/auth/sessions", {
    token: await browser.accessToken(),
  });
  assert.deepEqual(
    body.data.map(({ via }) => via),
    ["oidc:company"],
  );

  const { body: setup } = await prism.get("/api/v1/setup", { token: null });
  assert.deepEqual(setup["providers"], [{ name: "company", label: "Example Inc", url: "/auth/oidc/company" }]);
  assert.equal(setup["autoRedirect"], null);
});

test("a cookie of a sign-in is not readable by pages, of ten minutes, and of this host alone with https", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [provider.settings()], { settings: { publicUrl: "https://prism.example.com" } });
  const reply = await prism.get("/auth/oidc/company", { token: null });
  const [line = ""] = reply.headers.getSetCookie();
  assert.match(line, /^__Host-prism_oidc_[0-3]=[\w-]+; Max-Age=600; HttpOnly; SameSite=Lax; Path=\/; Secure$/);
  const uri = new URL(reply.headers.get("location") ?? "").searchParams.get("redirect_uri");
  assert.equal(uri, "https://prism.example.com/auth/oidc/company/callback");
});

test("answers of a provider that must not open a session", async (t) => {
  const provider = await FakeProvider.start(t);
  const other = await IssuerKey.make("k1", "RS256");
  const prism = await startWith(t, [provider.settings(PROVISION)]);
  const secret = Buffer.from("a secret of prism");
  const good = { ...provider.claims };
  const now = Math.floor(Date.now() / 1000);

  const rows: readonly { readonly name: string; readonly set: () => void }[] = [
    { name: "a false key under the name of a true one", set: () => (provider.signer = other) },
    { name: "alg none", set: () => (provider.forge = unsigned) },
    {
      name: "HS256 with the client's secret",
      set: () => (provider.forge = (claims) => new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(secret)),
    },
    {
      name: "HS256 with the public key as the secret",
      set: () => {
        const text = Buffer.from(JSON.stringify(provider.key.jwk));
        provider.forge = (claims) => new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: "k1" }).sign(text);
      },
    },
    { name: "another audience", set: () => (provider.claims = { ...good, aud: "another-client" }) },
    {
      name: "several audiences, for another party",
      set: () => (provider.claims = { ...good, aud: ["prism", "x"], azp: "x" }),
    },
    { name: "another issuer", set: () => (provider.claims = { ...good, iss: "https://evil.example.com" }) },
    { name: "another nonce", set: () => (provider.claims = { ...good, nonce: "of-another-sign-in" }) },
    { name: "no nonce", set: () => (provider.claims = { ...good, nonce: undefined }) },
    { name: "a token that has expired", set: () => (provider.claims = { ...good, exp: now - 120 }) },
    { name: "a token without a subject", set: () => (provider.claims = { ...good, sub: undefined }) },
    { name: "no ID token", set: () => (provider.forge = () => undefined as unknown as string) },
  ];
  for (const { name, set } of rows)
    await t.test(name, async () => {
      Object.assign(provider, { claims: good, signer: provider.key, forge: null });
      set();
      const browser = new Browser(prism);
      assert.equal(await refusalOf(browser.signIn()), "PROVIDER_REFUSED");
      assert.deepEqual([...browser.cookies.keys()], []);
    });
  assert.equal(scalarOf(prism, "select count(*) from sessions where via is not null"), 0);
  assert.equal(scalarOf(prism, "select count(*) from identities"), 0);
  Object.assign(provider, { claims: good, signer: provider.key, forge: null });
  assert.equal(await refusalOf(new Browser(prism).signIn()), null);
});

test("a provider's answer counts once, in the browser and for the provider that it began with", async (t) => {
  const [provider, evil] = [await FakeProvider.start(t), await FakeProvider.start(t)];
  const named = evil.settings({ ...PROVISION, name: "evil" });
  const clock = new FakeClock();
  const prism = await startWith(t, [provider.settings(PROVISION), named], { clock });
  const answerOf = (asked: URLSearchParams) => ({ state: asked.get("state") ?? "", code: asked.get("nonce") ?? "" });

  await t.test("without its cookie", async () => {
    const answer = answerOf(await new Browser(prism).start());
    assert.equal(await refusalOf(new Browser(prism).back(answer)), "SIGN_IN_EXPIRED");
  });
  await t.test("with the cookie of another sign-in", async () => {
    const [mine, theirs] = [new Browser(prism), new Browser(prism)];
    const answer = answerOf(await theirs.start());
    await mine.start();
    for (const [, value] of mine.cookies)
      for (let slot = 0; slot < 4; slot++) mine.cookies.set(`prism_oidc_${slot}`, value);
    assert.equal(await refusalOf(mine.back(answer)), "SIGN_IN_EXPIRED");
  });
  await t.test("with the cookie of another provider (mix-up)", async () => {
    const browser = new Browser(prism);
    const answer = answerOf(await browser.start("evil"));
    assert.equal(await refusalOf(browser.back(answer, "company")), "SIGN_IN_EXPIRED");
    assert.deepEqual(provider.tokenRequests, []);
  });
  await t.test("with the issuer of another provider (RFC 9207)", async () => {
    const browser = new Browser(prism);
    const answer = answerOf(await browser.start());
    assert.equal(await refusalOf(browser.back({ ...answer, iss: evil.url })), "PROVIDER_REFUSED");
    assert.deepEqual(provider.tokenRequests, []);
  });
  await t.test("a second time, with the cookie kept", async () => {
    const browser = new Browser(prism);
    const answer = answerOf(await browser.start());
    const kept = new Map(browser.cookies);
    assert.equal(await refusalOf(browser.back(answer)), null);
    browser.cookies.clear();
    for (const [name, value] of kept) browser.cookies.set(name, value);
    assert.equal(await refusalOf(browser.back(answer)), "SIGN_IN_EXPIRED");
  });
  await t.test("after ten minutes", async () => {
    const browser = new Browser(prism);
    const answer = answerOf(await browser.start());
    clock.advance(600_001);
    assert.equal(await refusalOf(browser.back(answer)), "SIGN_IN_EXPIRED");
  });
  await t.test("with a cookie that Prism has not sealed", async () => {
    const browser = new Browser(prism);
    const answer = answerOf(await browser.start());
    for (const name of browser.cookies.keys()) browser.cookies.set(name, "bm90IHNlYWxlZA");
    assert.equal(await refusalOf(browser.back(answer)), "SIGN_IN_EXPIRED");
  });
  await t.test("when the person or the provider refuses", async () => {
    const browser = new Browser(prism);
    const { state } = answerOf(await browser.start());
    const landing = await browser.back({ state, error: "access_denied", error_description: "<b>words of others</b>" });
    assert.equal(landing.fragment.get("error"), "PROVIDER_REFUSED");
    assert.ok(!JSON.stringify([landing.path, landing.fragment.toString()]).includes("words"));
  });
});

test("a sign-in returns to pages of the console alone", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [provider.settings(PROVISION)]);
  for (const [returnTo, path] of [
    ["/rules/1?tab=versions", "/dashboard/rules/1?tab=versions"],
    ["https://evil.example.com/", "/dashboard/"],
    ["//evil.example.com/", "/dashboard/"],
    ["/\\evil.example.com/", "/dashboard/"],
    ["/../api/v1/users", "/dashboard/"],
    ["/%2e%2e/auth/oidc/company", "/dashboard/"],
    ["/x\r\nSet-Cookie: a=b", "/dashboard/"],
    ["javascript:alert(1)", "/dashboard/"],
    ["/rules#token=x", "/dashboard/rules"],
    ["/x/..//evil.example.com", "/dashboard/"],
  ] as const)
    await t.test(returnTo, async () => {
      const landing = await new Browser(prism).signIn("company", returnTo);
      assert.deepEqual([landing.path, landing.fragment.toString()], [path, "signed-in="]);
    });
});

test("a new account waits for approval until it has a role", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [provider.settings({ roles: { ops: "Operator" } })]);
  const browser = new Browser(prism);
  provider.claims = { ...provider.claims, groups: ["other"] };
  assert.equal(await refusalOf(browser.signIn()), "ACCOUNT_PENDING");
  assert.equal(await refusalOf(browser.signIn()), "ACCOUNT_PENDING");
  const [account] = rowsOf<{ id: string; status: string }>(
    prism,
    "select id, status from users where email = 'ann@example.com'",
  );
  assert.equal(account?.status, "pending");
  provider.claims = { ...provider.claims, groups: ["ops", "other"] };
  assert.equal(await refusalOf(browser.signIn()), null);
  assert.deepEqual((await browser.me())["roles"], ["Operator"]);

  await t.test("and none is made where registration is closed", async () => {
    const closed = await startWith(t, [provider.settings()], { settings: { "auth.registration": "closed" } });
    assert.equal(await refusalOf(new Browser(closed).signIn()), "REGISTRATION_CLOSED");
    assert.equal(scalarOf(closed, "select count(*) from identities"), 0);
  });
});

test("groups may be at a path, at userinfo only, or unknown", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [
    provider.settings({ ...PROVISION, roles: { ops: "Operator" }, groupsClaim: "realm_access.roles" }),
  ]);
  const browser = new Browser(prism);
  const rolesWith = async (claims: Readonly<Record<string, unknown>>) => {
    provider.claims = { sub: "ann-1", name: "Ann", email: "ann@example.com", ...claims };
    assert.equal(await refusalOf(browser.signIn()), null);
    return (await browser.me())["roles"];
  };
  assert.deepEqual(await rolesWith({ realm_access: { roles: "ops" } }), ["Operator", "User"]);
  provider.info = { sub: "ann-1", realm_access: { roles: ["others"] } };
  assert.deepEqual(await rolesWith({}), ["User"]);
  provider.info = { sub: "ann-1", realm_access: { roles: ["ops"] } };
  assert.deepEqual(await rolesWith({}), ["Operator", "User"]);
  // Entra ID gives a link in place of more than 200 groups: they are not none.
  provider.info = null;
  assert.deepEqual(await rolesWith({ _claim_names: { "realm_access.roles": "src1" } }), ["Operator", "User"]);
  const { body } = await prism.get<{ data?: unknown }>("/api/v1/system/attention");
  assert.ok(body);
  provider.info = { sub: "someone-else", realm_access: { roles: ["ops"] } };
  provider.claims = { sub: "ann-1" };
  assert.equal(await refusalOf(browser.signIn()), "PROVIDER_REFUSED");
});

test("an account with a second factor is asked for it, unless the provider proves one that is trusted", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [
    provider.settings(),
    provider.settings({ name: "strong", mfa: "trust", amr: ["hwk", "otp"], acr: ["gold"] }),
  ]);
  const ann = await makeAccount(prism, { username: "ann" });
  const { app } = await protect(prism, "ann");
  const link = { provider: "company", subject: "ann-1" };
  assert.equal((await prism.post(`/api/v1/users/${ann.id}/identities`, link)).status, 201);

  const browser = new Browser(prism);
  const landing = await browser.signIn("company", "/rules");
  assert.equal(landing.path, "/dashboard/sign-in?next=%2Frules");
  assert.deepEqual([...browser.cookies.keys()], []);
  const challenge = landing.fragment.get("challenge") ?? "";
  assert.equal(landing.fragment.get("factors"), "code recoveryCode");
  const reply = await secondStep(prism, { challenge, code: app.code() });
  assert.equal(reply.status, 200, reply.text);
  const session = rowsOf<{ via: string; left: number }>(
    prism,
    "select via, expiresAt - createdAt as left from sessions where via is not null",
  );
  assert.equal(session[0]?.via, "oidc:company");
  assert.ok((session[0]?.left ?? 0) <= 12 * HOUR);

  const outcome = async (claims: object) => {
    provider.claims = { ...provider.claims, ...claims };
    return [...(await new Browser(prism).signIn("strong")).fragment.keys()].join();
  };
  assert.equal(await outcome({ amr: ["pwd"], acr: "gold" }), "challenge,factors");
  assert.equal(await outcome({ amr: ["pwd", "otp"], acr: undefined }), "challenge,factors");
  assert.equal(await outcome({ amr: undefined, acr: "gold" }), "challenge,factors");
  assert.equal(await outcome({ amr: ["pwd", "otp"], acr: "gold" }), "signed-in");
});

test("a session of a provider ends after sessionMax, however often it is refreshed, and its tokens with it", async (t) => {
  const provider = await FakeProvider.start(t);
  const clock = new FakeClock();
  const prism = await startWith(t, [provider.settings({ ...PROVISION, sessionMax: "1h" })], {
    clock,
    settings: { "auth.accessExpires": "45m" },
  });
  const browser = new Browser(prism);
  await browser.signIn();
  clock.advance(HOUR / 2);
  const token = await browser.accessToken();
  assert.equal((await prism.get("/api/v1/users/me", { token })).status, 200);
  clock.advance(HOUR / 2);
  assert.equal(outcomeOf(await browser.request("POST", "/api/v1/auth/refresh", {})), "401 TOKEN_EXPIRED");
  assert.equal((await prism.get("/api/v1/users/me", { token })).status, 401);
});

test("a provider that is dead", async (t) => {
  const provider = await FakeProvider.start(t);
  const port = await listening(
    t,
    createServer((request) => request.socket.destroy()),
  );
  const dead = provider.settings({ name: "dead", issuer: `http://127.0.0.1:${port}` });
  const prism = await startWith(t, [provider.settings({ ...PROVISION, groupsEvery: "1m" }), dead]);

  await t.test(
    "does not keep the server from starting; its sign-in says so, and the next one tries again",
    async () => {
      assert.deepEqual(provider.requests, []);
      assert.equal(await refusalOf(landingOf("dead")), "PROVIDER_UNREACHABLE");
      const found = prism.parts.offers.findings.known().filter(({ code }) => code === "oidc");
      assert.deepEqual(
        found.map(({ subject, severity }) => [subject, severity]),
        [["dead", "warning"]],
      );
      assert.equal(await refusalOf(landingOf("dead")), "PROVIDER_UNREACHABLE");
    },
  );
  await t.test("has an answer that is no answer", async () => {
    provider.refusal = { status: 503, error: "temporarily_unavailable" };
    assert.equal(await refusalOf(new Browser(prism).signIn()), "PROVIDER_UNREACHABLE");
    provider.refusal = null;
    assert.equal(await refusalOf(new Browser(prism).signIn()), null);
    assert.equal(prism.parts.offers.findings.known().filter(({ subject }) => subject === "company").length, 0);
  });

  async function landingOf(name: string) {
    const reply = await prism.get(`/auth/oidc/${name}`, { token: null });
    const { pathname, search, hash } = new URL(reply.headers.get("location") ?? "");
    return { path: pathname + search, fragment: new URLSearchParams(hash.slice(1)) };
  }
});

test("nothing of an incident waits for a provider that hangs", async (t) => {
  const provider = await FakeProvider.start(t);
  const clock = new FakeClock();
  const prism = await startWith(t, [provider.settings({ ...PROVISION, roles: { ops: "Admin" }, groupsEvery: "1m" })], {
    clock,
  });
  provider.claims = { ...provider.claims, groups: ["ops"] };
  provider.refreshToken = "refresh-1";
  const browser = new Browser(prism);
  await browser.signIn();
  const token = await browser.accessToken();
  const { id } = (await prism.get<{ id: string }>("/api/v1/users/me", { token })).body;
  clock.advance(120_000);
  provider.until = new Promise(() => undefined);
  const asked = provider.requests.length;

  const paged = await prism.post<{ id: string }>("/api/v1/incidents", { title: "Disk full", users: [id] });
  assert.equal(paged.status, 201, paged.text);
  const ack = await prism.post(`/api/v1/incidents/${paged.body.id}/acknowledge`, {}, { token });
  assert.equal(ack.status, 200, ack.text);
  assert.equal((await prism.post(`/api/v1/incidents/${paged.body.id}/resolve`, {}, { token })).status, 200);
  assert.equal(provider.requests.length, asked);
});

test("an unknown provider leads to the sign-in page, too", async (t) => {
  const prism = await startWith(t, []);
  const reply = await prism.get("/auth/oidc/none", { token: null });
  assert.deepEqual([reply.status, new URL(reply.headers.get("location") ?? "").hash], [302, "#error=NOT_FOUND"]);
});
