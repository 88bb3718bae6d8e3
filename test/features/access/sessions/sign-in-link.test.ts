import assert from "node:assert/strict";
import test from "node:test";
import { runJson } from "../../../cli/run-cli.ts";
import { overSocket } from "../../../helpers/control.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { answered } from "../../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { call, cookieOf, type LoginBody, logIn, makeAccount, outcomeOf, startAccounts } from "./support/auth-client.ts";

const PATH = "/api/v1/auth/sign-in-link";

/** The token of a new link, made by the operator. */
async function tokenFor(prism: TestPrism, user: string): Promise<string> {
  const { body } = await answered(201, overSocket(prism.dir, "POST", `/api/v1/operator/users/${user}/sign-in-link`));
  const { url } = body as { url: string };
  const [, token = ""] = /^http:\/\/localhost:\d+\/dashboard\/sign-in-link#token=([\w-]{43})$/.exec(url) ?? [];
  return token;
}

test("a sign-in link opens one session, with the cookie of a login", async (t) => {
  const prism = await startAccounts(t);
  const { id } = await makeAccount(prism, { username: "ann" }, { roles: ["Operator"] });
  const token = await tokenFor(prism, "ann");

  const reply = await call(prism, PATH, { token });
  assert.deepEqual([reply.status, reply.body.user.id], [200, id], reply.text);
  assert.equal((await prism.get("/api/v1/users/me", { token: reply.body.token })).status, 200);
  const { pair, attributes } = cookieOf(reply);
  assert.ok(attributes.includes("HttpOnly") && attributes.includes("SameSite=Strict"));
  await answered(200, prism.post("/api/v1/auth/refresh", {}, { token: null, headers: { Cookie: pair } }));

  assert.equal(outcomeOf(await call(prism, PATH, { token })), "410 LINK_EXPIRED");
  assert.equal(outcomeOf(await call(prism, PATH, { token: "unknown" })), "410 LINK_EXPIRED");
  const trail = rowsOf<{ action: string; actor: string; metadata: string }>(
    prism,
    "select action, actor, metadata from audit_log where resourceId = ? and action <> 'user.register' order by seq",
    id,
  );
  const rows = trail.map(({ action, actor, metadata }) => [action, JSON.parse(actor).type, JSON.parse(metadata).by]);
  assert.deepEqual(rows, [
    ["user.sign_in_link", "operator", undefined],
    ["auth.login", "user", "sign-in link"],
  ]);
  assert.ok(!JSON.stringify(rowsOf(prism, "select hash from one_time_tokens")).includes(token), "only its hash");
});

test("a sign-in link ends after 15 minutes, with a newer one, a new password, and a disabled account", async (t) => {
  const clock = new FakeClock();
  const prism = await startAccounts(t, { clock });
  const { id } = await makeAccount(prism, { username: "ann" });
  const open = async (token: string) => outcomeOf(await call(prism, PATH, { token }));

  const first = await tokenFor(prism, "ann");
  const second = await tokenFor(prism, "ann");
  assert.equal(await open(first), "410 LINK_EXPIRED", "a newer one ends it");
  clock.advance(15 * 60_000);
  assert.equal(await open(second), "410 LINK_EXPIRED", "its time is over");

  const third = await tokenFor(prism, "ann");
  assert.equal(
    (await overSocket(prism.dir, "POST", `/api/v1/operator/users/${id}/password`, { password: "a new horse battery" }))
      .status,
    204,
  );
  assert.equal(await open(third), "410 LINK_EXPIRED", "a new password ends it");

  const fourth = await tokenFor(prism, "ann");
  const admin = (await prism.get<{ token: string }>("/dev/token", { token: null })).body.token;
  assert.equal((await prism.patch(`/api/v1/users/${id}`, { status: "disabled" }, { token: admin })).status, 200);
  assert.equal(await open(fourth), "410 LINK_EXPIRED", "a disabled account");
  const refused = await overSocket(prism.dir, "POST", `/api/v1/operator/users/${id}/sign-in-link`);
  assert.equal(outcomeOf({ ...refused, headers: new Headers() }), "409 INVALID_STATE");
});

test("of two requests with one sign-in link at the same moment one is served, and attempts are limited", async (t) => {
  const prism = await startAccounts(t, { settings: { "rateLimit.enabled": "true", "rateLimit.auth": "4" } });
  await makeAccount(prism, { username: "ann" });
  const token = await tokenFor(prism, "ann");
  const replies = await Promise.all([call(prism, PATH, { token }), call(prism, PATH, { token })]);
  assert.deepEqual(replies.map(outcomeOf).sort(), ["200", "410 LINK_EXPIRED"]);
  for (const outcome of ["410 LINK_EXPIRED", "410 LINK_EXPIRED", "429 RATE_LIMITED"])
    assert.equal(outcomeOf(await call(prism, PATH, { token: "guess" })), outcome);
});

test("prism user sign-in-link prints a link for the only administrator, and asks which one of several", async (t) => {
  const prism = await startAccounts(t);
  const cli = (...args: string[]) =>
    runJson<{ url: string }>(["user", "sign-in-link", ...args, "--data-dir", prism.dir], { cwd: prism.dir });
  const signIn = async ({ url }: { url: string }) =>
    (await call<LoginBody>(prism, PATH, { token: url.split("#token=")[1] })).body.user.username;
  assert.equal(await signIn(await cli()), "dev");
  await makeAccount(prism, { username: "ann" }, { roles: ["Admin"] });
  assert.equal(await signIn(await cli("ann")), "ann");
  await assert.rejects(cli(), /name the account; administrators are dev, ann/);
  await prism.stop();
  const offline = await cli("ann");
  await prism.restart();
  assert.equal(await signIn(offline), "ann", "made without a server");
});

test("GET /setup says what a sign-in page needs, without a credential", async (t) => {
  const inDevelopment = await startAccounts(t);
  const { body: development } = await inDevelopment.get("/api/v1/setup", { token: null });
  const { version, ...rest } = development;
  assert.match(String(version), /^\d+\.\d+\.\d+/);
  assert.deepEqual(rest, {
    needsAdmin: false,
    registration: "approval",
    passwordMin: 8,
    mailConfigured: false,
    localLogin: "on",
    providers: [],
    autoRedirect: null,
    passkeys: false,
    development: true,
  });

  const settings = {
    env: "test",
    "auth.registration": "closed",
    "auth.passwordMin": "12",
    "smtp.host": "127.0.0.1",
    "smtp.from": "prism@example.com",
  };
  const deployed = await startAccounts(t, { settings });
  const before = await deployed.get("/api/v1/setup", { token: null });
  assert.deepEqual(before.body, {
    needsAdmin: true,
    registration: "closed",
    passwordMin: 12,
    mailConfigured: true,
    localLogin: "on",
    providers: [],
    autoRedirect: null,
    passkeys: false,
    development: false,
    version,
  });
  const { firstAdmin } = deployed.app;
  assert.ok(firstAdmin.state === "setupToken");
  const registration = { username: "root", password: "correct horse battery", setupToken: firstAdmin.token };
  assert.equal((await call(deployed, "/api/v1/auth/register", registration)).status, 201);
  assert.equal((await deployed.get("/api/v1/setup", { token: null })).body["needsAdmin"], false);
  assert.equal((await logIn(deployed, "root")).user.roles[0], "Admin");
  assert.equal(scalarOf(deployed, "select count(*) from users"), 1);
});
