import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { User } from "../../../../src/client/api-types.gen.ts";
import { uuidv7 } from "../../../../src/core/ids.ts";
import { signInFindings } from "../../../../src/features/access/group-rights/findings.ts";
import { overSocket } from "../../../helpers/control.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { answered, type Reply, type TestPrism } from "../../../helpers/prism.ts";
import { basic } from "../../protocols/gotify/support.ts";
import { call, logIn, makeAccount, outcomeOf, PASSWORD, startAccounts } from "./support/auth-client.ts";

const PROXY = {
  "auth.proxyHeader.name": "Remote-User",
  "auth.proxyHeader.from": "127.0.0.1",
  "auth.proxyHeader.secret": "a secret of the proxy",
  "auth.proxyHeader.label": "Company sign-in",
};

/** A server with a provider, the administrator `root` and the person `uma`; the one of the test itself has no password. */
async function setUp(t: TestContext, localLogin: "on" | "admins" | "off" = "on", more = {}) {
  const prism = await startAccounts(t, { settings: { ...PROXY, "auth.localLogin": localLogin, ...more } });
  const root = await makeAccount(prism, { username: "root", email: "root@example.com" }, { roles: ["Admin"] });
  const uma = await makeAccount(prism, { username: "uma", email: "uma@example.com" });
  return { prism, root, uma };
}

function identify(prism: TestPrism, userId: string, issuer = "proxy:remote-user"): Promise<unknown> {
  const values = { id: uuidv7(), issuer, subject: userId, userId, linkedAt: 1 };
  return prism.services.db.write((trx) => trx.insertInto("identities").values(values).execute());
}

const login = (prism: TestPrism, name: string, password = PASSWORD) =>
  call(prism, "/api/v1/auth/login", { login: name, password });

function reload(prism: TestPrism, localLogin: "on" | "admins" | "off"): void {
  const { config } = prism.parts.base;
  prism.app.reload({ ...config, auth: { ...config.auth, localLogin } });
}

const OFF = "403 LOCAL_LOGIN_OFF";
const messageOf = ({ body }: Reply<unknown>) => (body as { error: { message: string } }).error.message;

test("off counts once an active administrator has an identity of a provider in the settings", async (t) => {
  const { prism, root, uma } = await setUp(t, "off");
  const problems = async () =>
    (await signInFindings(prism.parts.base.config, prism.services.db.read)).map(({ text }) => text);
  const isOpenForAdmins = async () => {
    assert.deepEqual([outcomeOf(await login(prism, "root")), outcomeOf(await login(prism, "uma"))], ["200", OFF]);
    assert.match((await problems()).join(), /auth.localLogin is off, and administrators still sign in with passwords/);
    const { body } = await answered(200, prism.get("/api/v1/attention"));
    assert.match(JSON.stringify(body), /administrators still sign in with passwords/);
  };
  await isOpenForAdmins();
  await identify(prism, uma.id);
  await identify(prism, root.id, "https://gone.example.com");
  await isOpenForAdmins();
  await identify(prism, root.id);
  assert.equal(outcomeOf(await login(prism, "root")), OFF);
  assert.match(messageOf(await login(prism, "root")), /off here: use Company sign-in/);
  assert.equal(outcomeOf(await login(prism, "nobody", "wrong")), OFF, "it tells no names");
  assert.deepEqual(await problems(), []);

  await answered(200, prism.patch(`/api/v1/users/${root.id}`, { status: "disabled" }));
  await makeAccount(prism, { username: "other" }, { roles: ["Admin"] });
  assert.equal(
    outcomeOf(await login(prism, "other")),
    "200",
    "the identity of a disabled administrator does not count",
  );
});

test("a link of the operator always signs in", async (t) => {
  const { prism, root } = await setUp(t, "off");
  await identify(prism, root.id);
  const { body } = await answered(201, overSocket(prism.dir, "POST", "/api/v1/operator/users/uma/sign-in-link"));
  const [, token] = /#token=(.*)$/.exec((body as { url: string }).url) ?? [];
  const { body: opened } = await answered(200, call(prism, "/api/v1/auth/sign-in-link", { token }));
  await answered(200, prism.get("/api/v1/users/me", { token: opened.token }));
});

test("admins: others are told with the right password only", async (t) => {
  const { prism } = await setUp(t, "admins");
  assert.equal(outcomeOf(await login(prism, "root")), "200");
  assert.equal(outcomeOf(await login(prism, "uma", "a wrong password")), "401 INVALID_CREDENTIALS");
  const refused = await login(prism, "uma");
  assert.equal(outcomeOf(refused), OFF);
  assert.match(messageOf(refused), /except for administrators: use Company sign-in/);
});

test("registration, invitations and new passwords by mail are refused, and a first administrator is not", async (t) => {
  const { prism, root, uma } = await setUp(t, "on", { "auth.registration": "open", "smtp.host": "127.0.0.1" });
  const { body: invited } = await answered(
    201,
    prism.post<User & { inviteUrl?: string }>("/api/v1/users", { username: "ivy", roles: ["User"] }),
  );
  const inviteToken = /token=([^&]*)/.exec(invited.inviteUrl ?? "")?.[1];
  assert.ok(inviteToken);
  await answered(202, call(prism, "/api/v1/auth/forgot-password", { email: "uma@example.com" }));
  const resets = () =>
    prism.parts.base.reader.prepare("select 1 from one_time_tokens where kind = 'reset_password'").all();
  await eventually("a link is made", () => resets().length === 1);
  const { createOneTimeToken } = await import("../../../../src/features/access/sessions/mail-links.ts");
  const resetToken = await prism.services.db.write((trx) =>
    createOneTimeToken(prism.parts.base.clock, uma.id, "reset_password", trx),
  );
  await identify(prism, root.id);
  for (const policy of ["admins", "off"] as const) {
    reload(prism, policy);
    const { body: setup } = await prism.get("/api/v1/setup", { token: null });
    assert.deepEqual([setup["registration"], setup["localLogin"]], ["closed", policy]);
    const register = (more: object) => call(prism, "/api/v1/auth/register", { password: PASSWORD, ...more });
    assert.equal(outcomeOf(await register({ username: "new" })), OFF);
    assert.equal(outcomeOf(await register({ inviteToken })), OFF);
    const reset = await call(prism, "/api/v1/auth/reset-password", { token: resetToken, password: `${PASSWORD} 2` });
    assert.equal(outcomeOf(reset), OFF);
    const wrongSetup = await register({ username: "first", setupToken: "wrong" });
    assert.equal(outcomeOf(wrongSetup), "403 FORBIDDEN", "the setup token decides");
  }
  assert.equal(outcomeOf(await call(prism, "/api/v1/auth/forgot-password", { email: "uma@example.com" })), OFF);
  reload(prism, "on");
  assert.equal(outcomeOf(await login(prism, "uma")), "200", "a reload opens it again");
});

test("apps of Gotify and ntfy keep their tokens, and passwords in requests are refused at once", async (t) => {
  const { prism, root } = await setUp(t);
  const ask = (path: string, headers: Record<string, string>) => prism.get(path, { token: null, headers });
  const made = await prism.request<{ token: string }>(
    "POST",
    "/gotify/client",
    { name: "phone" },
    {
      ...{ token: null, headers: basic("uma") },
    },
  );
  const ntfy = await prism.request<{ token: string }>(
    "POST",
    "/ntfy/v1/account/token",
    {},
    {
      ...{ token: null, headers: basic("uma") },
    },
  );
  assert.deepEqual([made.status, ntfy.status], [200, 200], `${made.text} ${ntfy.text}`);
  const paths = ["/gotify/current/user", "/ntfy/v1/account"];
  for (const path of paths) assert.equal((await ask(path, basic("uma"))).status, 200, path);
  const session = await logIn(prism, "uma");
  await identify(prism, root.id);
  reload(prism, "off");
  for (const path of paths) {
    assert.equal((await ask(path, basic("uma"))).status, 403, path);
    assert.equal((await ask(path, basic("root"))).status, 403, path);
  }
  assert.equal((await ask("/gotify/current/user", { "X-Gotify-Key": made.body.token })).status, 200);
  const bearer = { Authorization: `Bearer ${ntfy.body.token}` };
  assert.equal((await ask("/ntfy/v1/account", bearer)).status, 200);
  assert.equal((await prism.get("/api/v1/users/me", { token: session.token })).status, 200, "sessions go on");
  reload(prism, "admins");
  for (const path of paths)
    assert.deepEqual(
      [(await ask(path, basic("uma"))).status, (await ask(path, basic("root"))).status],
      [403, 200],
      path,
    );
});
