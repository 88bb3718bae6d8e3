import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { User } from "../../../../src/client/api-types.gen.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { answered, type PrismOptions, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { call, type LoginBody, makeAccount, startAccounts } from "../sessions/support/auth-client.ts";
import { protect, secondStep } from "../sessions/support/second-factor.ts";
import { get, PROXY, proxied, SECRET } from "./support.ts";

function start(t: TestContext, settings: Readonly<Record<string, string>> = {}, options: PrismOptions = {}) {
  return startAccounts(t, { ...options, settings: { ...PROXY, ...settings } });
}

/** An account without a password, as administrators make them for a provider. */
async function account(prism: TestPrism, username: string, more: object = {}): Promise<User> {
  const { body } = await answered(201, prism.post<User>("/api/v1/users", { username, status: "active", ...more }));
  return body;
}

const link = (prism: TestPrism, id: string, subject: string) =>
  answered(201, prism.post(`/api/v1/users/${id}/identities`, { provider: "proxy:remote-user", subject }));

const cookieOf = (headers: { "set-cookie"?: string[] | undefined }) => headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
const sessions = (prism: TestPrism) => scalarOf<number>(prism, "select count(*) from sessions");
const fragmentOf = (location = "") => location.replace(/^http:\/\/localhost:\d+/, "");

test("the header opens a session of the linked account, with its groups, for the page of the console", async (t) => {
  const prism = await start(t, {
    "auth.proxyHeader.groups": "Remote-Groups",
    "auth.proxyHeader.roles": '{"ops": ["Operator", "Auditor"]}',
    "auth.proxyHeader.label": "Company",
    "auth.proxyHeader.autoRedirect": "true",
  });
  const grace = await account(prism, "grace");
  await link(prism, grace.id, "Grace@corp");
  const { body: setup } = await prism.get<Record<string, unknown>>("/api/v1/setup", { token: null });
  assert.deepEqual(setup["providers"], [{ name: "proxy:remote-user", label: "Company", url: "/auth/proxy" }]);
  assert.equal(setup["autoRedirect"], "/auth/proxy");

  const opened = await get(`${prism.url}/auth/proxy?returnTo=%2Fincidents%3Fa%3D1`, {
    ...proxied("Grace@corp", { "remote-groups": "ops, others" }),
  });
  assert.equal(opened.status, 302, opened.text);
  assert.equal(fragmentOf(opened.headers.location), "/dashboard/incidents?a=1#signed-in=");
  const [line = ""] = opened.headers["set-cookie"] ?? [];
  assert.match(line, /^prism_refresh=prr_.*HttpOnly; SameSite=Strict/);
  const Cookie = cookieOf(opened.headers);
  const { body } = await answered(
    200,
    prism.post<LoginBody>("/api/v1/auth/refresh", {}, { token: null, headers: { Cookie } }),
  );
  assert.equal(body.user.id, grace.id);
  assert.deepEqual(body.user.roles, ["Auditor", "Operator", "User"]);
  const { body: list } = await prism.get<{ data: { via: string }[] }>("/api/v1/auth/sessions", { token: body.token });
  assert.deepEqual(
    list.data.map(({ via }) => via),
    ["proxy:remote-user"],
  );

  await get(`${prism.url}/auth/proxy`, proxied("Grace@corp", { "remote-groups": "" }));
  const { body: after } = await prism.get<User>("/api/v1/users/me", { token: body.token });
  assert.deepEqual(after.roles, ["User"], "the next request follows the groups of the newest sign-in");
  const logins = rowsOf<{ metadata: string }>(
    prism,
    `select metadata from audit_log where action = 'auth.login' and resourceId = '${grace.id}'`,
  );
  assert.equal((JSON.parse(logins[0]?.metadata ?? "") as { via: string }).via, "proxy:remote-user");
});

test("no other request is authenticated by the header", async (t) => {
  const prism = await start(t);
  const grace = await account(prism, "grace", { roles: ["Admin"] });
  await link(prism, grace.id, "grace");
  for (const path of [
    "/api/v1/users/me",
    "/api/v1/events",
    "/api/v1/auth/sessions",
    "/gotify/current/user",
    "/metrics",
  ]) {
    const { status } = await get(`${prism.url}${path}`, proxied("grace", { "X-Forwarded-For": "203.0.113.9" }));
    assert.ok([401, 403, 404].includes(status), `${path} ${status}`);
  }
  assert.equal(sessions(prism), 1, "the test's own");
});

test("who is not the proxy is refused with a sentence, and opens nothing", async (t) => {
  const prism = await start(t, { trustedProxies: "127.0.0.2" });
  const grace = await account(prism, "grace");
  await link(prism, grace.id, "grace");
  const before = sessions(prism);
  const { "Prism-Proxy-Secret": _secret, ...noSecret } = proxied("grace");
  const OUTSIDE = "127.0.0.2";
  const cases: readonly [name: string, headers: Parameters<typeof get>[1], from: string, text: RegExp][] = [
    ["from outside", proxied("grace"), "127.0.0.3", /address of auth.proxyHeader.from/],
    [
      "from outside, with an address in X-Forwarded-For",
      proxied("grace", { "X-Forwarded-For": "127.0.0.1" }),
      "127.0.0.3",
      /address/,
    ],
    ["through a trusted proxy", proxied("grace", { "X-Forwarded-For": "127.0.0.1" }), OUTSIDE, /address/],
    ["through a trusted proxy, as itself", proxied("grace"), OUTSIDE, /address/],
    ["without the secret", noSecret, "127.0.0.1", /secret/],
    ["with a wrong secret", proxied("grace", { "Prism-Proxy-Secret": "a secret of the proxY" }), "127.0.0.1", /secret/],
    [
      "with a part of the secret",
      proxied("grace", { "Prism-Proxy-Secret": SECRET.slice(0, -1) }),
      "127.0.0.1",
      /secret/,
    ],
    ["with the header twice", proxied("grace", { "Remote-User": ["grace", "root"] }), "127.0.0.1", /Remote-User twice/],
    ["with the same header twice", proxied("grace", { "Remote-User": ["grace", "grace"] }), "127.0.0.1", /twice/],
    ["with the secret twice", proxied("grace", { "Prism-Proxy-Secret": [SECRET, SECRET] }), "127.0.0.1", /twice/],
    ["without a person", proxied(""), "127.0.0.1", /names no one/],
    ["with a long name", proxied("g".repeat(256)), "127.0.0.1", /names no one/],
  ];
  for (const [name, headers, from, text] of cases)
    await t.test(name, async () => {
      const refused = await get(`${prism.url}/auth/proxy`, headers, from);
      assert.equal(refused.status, 403, refused.text);
      const { error } = JSON.parse(refused.text) as { error: { code: string; message: string } };
      assert.equal(error.code, "PROXY_REFUSED");
      assert.match(error.message, text);
      assert.ok(!refused.text.includes(SECRET));
      assert.equal(refused.headers["set-cookie"], undefined);
    });
  assert.equal(sessions(prism), before);
  const spelled = { "REMOTE-USER": "grace", "prism-proxy-secret": SECRET, "X-Forwarded-For": "203.0.113.9" };
  assert.equal((await get(`${prism.url}/auth/proxy`, spelled)).status, 302, "names of headers have no case");
});

test("the way back is a page of the console only", async (t) => {
  const prism = await start(t);
  const grace = await account(prism, "grace");
  await link(prism, grace.id, "grace");
  for (const given of [
    "//evil.example",
    "https://evil.example/",
    "/\\evil.example",
    "/../api/v1/events",
    "%2F%2Fevil",
    "",
  ]) {
    const { headers } = await get(`${prism.url}/auth/proxy?returnTo=${encodeURIComponent(given)}`, proxied("grace"));
    assert.equal(fragmentOf(headers.location), "/dashboard/#signed-in=", given);
  }
});

const refusalOf = async (prism: TestPrism, user: string) => {
  const { status, headers } = await get(`${prism.url}/auth/proxy`, proxied(user));
  assert.deepEqual([status, headers["set-cookie"]], [302, undefined]);
  return fragmentOf(headers.location);
};

test("accounts are linked by the operator; with link also by name, unless they have more to lose", async (t) => {
  const unlinked = "/dashboard/sign-in#error=ACCOUNT_NOT_LINKED";
  for (const way of ["username", "email"] as const) {
    const prism = await start(t, { "auth.proxyHeader.link": way });
    const nameOf = (user: string) => (way === "username" ? user : `${user}@example.com`);
    const made = (user: string, more: object = {}) => account(prism, user, { email: `${user}@example.com`, ...more });
    await makeAccount(prism, { username: "passworded", email: "passworded@example.com" });
    await made("admin", { roles: ["Admin"] });
    const factored = await makeAccount(prism, { username: "factored", email: "factored@example.com" });
    await protect(prism, "factored");
    await prism.services.db.write((trx) =>
      trx.updateTable("users").set({ passwordHash: null }).where("id", "=", factored.id).execute(),
    );
    for (const user of ["passworded", "admin", "factored", "stranger"])
      assert.equal(await refusalOf(prism, nameOf(user)), unlinked, user);
    const grace = await made("grace");
    const opened = await get(`${prism.url}/auth/proxy`, proxied(nameOf("Grace")));
    assert.equal(fragmentOf(opened.headers.location), "/dashboard/#signed-in=");
    const linked = rowsOf<{ userId: string }>(prism, "select userId from identities");
    assert.deepEqual(
      linked.map(({ userId }) => userId),
      [grace.id],
    );
    if (way === "email") {
      const eve = await made("eve");
      await prism.services.db.write((trx) =>
        trx.updateTable("users").set({ isEmailVerified: 0 }).where("id", "=", eve.id).execute(),
      );
      assert.equal(await refusalOf(prism, "eve@example.com"), unlinked, "not confirmed");
    }
    assert.equal(await refusalOf(prism, way === "username" ? "grace@example.com" : "grace"), unlinked);
    await prism.stop();
  }
  const prism = await start(t);
  await account(prism, "grace");
  assert.equal(await refusalOf(prism, "grace"), unlinked, "none is the default");
});

test("a disabled account is told on the sign-in page, and its session ends as any", async (t) => {
  const prism = await start(t);
  const grace = await account(prism, "grace");
  await link(prism, grace.id, "grace");
  const Cookie = cookieOf((await get(`${prism.url}/auth/proxy`, proxied("grace"))).headers);
  await answered(200, prism.patch(`/api/v1/users/${grace.id}`, { status: "disabled" }));
  const { status } = await prism.post("/api/v1/auth/refresh", {}, { token: null, headers: { Cookie } });
  assert.equal(status, 401);
  assert.equal(await refusalOf(prism, "grace"), "/dashboard/sign-in#error=ACCOUNT_DISABLED");
});

test("a second factor is asked for, and the session then ends after sessionMax", async (t) => {
  const clock = new FakeClock();
  const prism = await start(t, { "auth.proxyHeader.sessionMax": "2h" }, { clock });
  const { id } = await makeAccount(prism, { username: "ann" });
  const { app } = await protect(prism, "ann");
  await link(prism, id, "ann");
  const { headers } = await get(`${prism.url}/auth/proxy?returnTo=/rules`, proxied("ann"));
  assert.equal(headers["set-cookie"], undefined);
  const [, challenge] =
    /^\/dashboard\/sign-in\?next=%2Frules#challenge=([\w-]+)&factors=code\+recoveryCode$/.exec(
      fragmentOf(headers.location),
    ) ?? [];
  assert.ok(challenge, headers.location);
  clock.advance(60_000);
  const { body } = await answered(200, secondStep(prism, { challenge, code: app.code(), tokenDelivery: "body" }));
  const refresh = (refreshToken?: string) =>
    call(prism, "/api/v1/auth/refresh", { refreshToken, tokenDelivery: "body" });
  clock.advance(3_600_000);
  const { body: next } = await answered(200, refresh(body.refreshToken));
  clock.advance(3_600_000);
  const late = await refresh(next.refreshToken);
  assert.equal(late.status, 401, "however often it was refreshed");
  assert.equal(
    scalarOf(prism, `select via from sessions where userId = '${id}' order by createdAt desc limit 1`),
    "proxy:remote-user",
  );
});

test("without the setting there is no such page; it needs addresses and a secret", async (t) => {
  const prism = await startAccounts(t);
  assert.equal((await get(`${prism.url}/auth/proxy`, proxied("grace"))).status, 404);
  await prism.stop();
  for (const missing of ["from", "secret"] as const) {
    const { [`auth.proxyHeader.${missing}` as const]: _missing, ...settings } = PROXY;
    await assert.rejects(
      startAccounts(t, { settings }),
      /auth.proxyHeader.name needs auth.proxyHeader.from and auth.proxyHeader.secret/,
    );
  }
});

test("a username that another provider's person chose is not linked", async (t) => {
  const prism = await start(t, { "auth.proxyHeader.link": "username" });
  const { id } = await account(prism, "victim");
  await prism.services.db.write((trx) =>
    trx
      .insertInto("identities")
      .values({
        ...{ id: "i-1", issuer: "https://id.example.com", subject: "mallory", userId: id, provider: "company" },
        ...{ name: "mallory", linkedAt: 0, lastUsedAt: null, tokens: null, groupsAt: null },
      })
      .execute(),
  );
  assert.equal(await refusalOf(prism, "victim"), "/dashboard/sign-in#error=ACCOUNT_NOT_LINKED");
});
