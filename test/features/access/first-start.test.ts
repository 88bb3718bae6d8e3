import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { isTokenOf } from "../../../src/core/crypto/tokens.ts";
import { setPassword } from "../../../src/features/access/sessions/login.ts";
import { createUser } from "../../../src/features/access/users/create-user.ts";
import { LogLines } from "../../helpers/log-lines.ts";
import { startPrism, TestPrism } from "../../helpers/prism.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { rowsOf, scalarOf } from "../../helpers/tables.ts";
import {
  call,
  type LoginBody,
  logIn,
  makeAccount,
  outcomeOf,
  PASSWORD,
  startAccounts,
} from "./sessions/support/auth-client.ts";

/** As in production, but for secrets of one's own and the cost of passwords. */
const DEPLOYED = { env: "test", "auth.bcryptCost": "4", "rateLimit.enabled": "false" };

const register = (prism: TestPrism, body: object) =>
  call(prism, "/api/v1/auth/register", { password: PASSWORD, ...body });

test("D51: at the first start outside development a setup token makes the first account an Admin, once", async (t) => {
  const log = new LogLines();
  const prism = await startPrism(t, { settings: { ...DEPLOYED, "auth.registration": "closed" }, log });
  const { firstAdmin } = prism.app;
  assert.ok(firstAdmin.state === "setupToken");
  const { token: setupToken } = firstAdmin;

  await t.test("it is not in the log, and the database contains its hash only", () => {
    assert.ok(isTokenOf("prs", setupToken));
    assert.ok(log.lines.some(({ level, message }) => level === "warn" && /no administrator yet/.test(message)));
    assert.ok(!JSON.stringify(log.lines).includes(setupToken.slice(4, 20)));
    for (const name of readdirSync(prism.dir).filter((each) => each.startsWith("prism.db")))
      assert.ok(!readFileSync(join(prism.dir, name)).includes(setupToken.slice(4, 20)), name);
  });

  await t.test("another token, or none, creates no administrator", async () => {
    assert.equal(outcomeOf(await register(prism, { username: "eve", setupToken: "prs_nonsense" })), "403 FORBIDDEN");
    assert.equal(outcomeOf(await register(prism, { username: "eve" })), "403 REGISTRATION_CLOSED");
  });

  await t.test("a registration that fails for another reason does not use it up", async () => {
    assert.equal(outcomeOf(await register(prism, { username: "x", setupToken })), "400 VALIDATION_FAILED");
    assert.equal(
      outcomeOf(await register(prism, { username: "root", setupToken, password: "short" })),
      "422 WEAK_PASSWORD",
    );
  });

  await t.test("of two who use it at the same moment one is Admin", async () => {
    const replies = await Promise.all(["ann", "bob"].map((username) => register(prism, { username, setupToken })));
    assert.deepEqual(replies.map(outcomeOf).sort(), ["201", "403 FORBIDDEN"]);
    const { status, user, accessToken } = (replies.find((reply) => reply.status === 201)?.body ?? {}) as LoginBody;
    assert.deepEqual([status, user.roles], ["active", ["Admin"]]);
    assert.equal((await prism.get("/api/v1/users", { token: accessToken })).status, 200);
    assert.equal(scalarOf(prism, "select count(*) from users"), 1);
    assert.equal(outcomeOf(await register(prism, { username: "late", setupToken })), "403 FORBIDDEN");
  });

  await t.test("the next start has an administrator and makes no token", async () => {
    await prism.restart();
    assert.deepEqual(prism.app.firstAdmin, { state: "exists" });
    assert.equal(scalarOf(prism, "select count(*) from settings where key like 'setup.%'"), 0);
  });
});

test("D51: a token that was shown is not shown again, remains valid, and expires when an Admin exists by other means", async (t) => {
  const prism = await startPrism(t, { settings: DEPLOYED });
  const { firstAdmin } = prism.app;
  assert.ok(firstAdmin.state === "setupToken");
  await prism.restart();
  assert.deepEqual(prism.app.firstAdmin, { state: "awaited" });
  const { db } = prism.services;
  await db.write((trx) => createUser(prism.parts.base, { username: "root", roles: ["Admin"] }, trx));
  const late = await register(prism, { username: "late", setupToken: firstAdmin.token });
  assert.equal(outcomeOf(late), "403 FORBIDDEN");
});

test("D51: the administrator of development mode is not one elsewhere, until it has a password", async (t) => {
  const dir = temporaryDir(t);
  await startAndStop({ dir, settings: { ...DEPLOYED, env: "development" } });
  const deployed = await startPrism(t, { dir, settings: DEPLOYED });
  const { firstAdmin } = deployed.app;
  assert.ok(firstAdmin.state === "setupToken", "dev has no way in");
  assert.equal((await deployed.get("/dev/token", { token: null })).status, 404);
  const root = await register(deployed, { username: "root", setupToken: firstAdmin.token });
  assert.deepEqual([root.status, root.body.user.roles], [201, ["Admin"]]);
  const out = await deployed.delete(`/api/v1/users/${root.body.user.id}`, { token: root.body.accessToken });
  assert.equal(outcomeOf(out), "409 LAST_ADMIN", "dev would not be one");
});

test("auth.bootstrapAdmin makes an Admin at a start without users, once", async (t) => {
  const settings = {
    ...DEPLOYED,
    "auth.bootstrapAdmin.email": "Root@Example.org",
    "auth.bootstrapAdmin.password": "the first of all passwords",
  };
  const prism = await startPrism(t, { settings });
  assert.deepEqual(prism.app.firstAdmin, { state: "exists" });
  const login = await logIn(prism, "root@example.org", settings["auth.bootstrapAdmin.password"]);
  assert.deepEqual(login.user.roles, ["Admin"]);
  const files = readdirSync(prism.dir).filter((each) => each.startsWith("prism.db"));
  for (const name of files) assert.ok(!readFileSync(join(prism.dir, name)).includes("the first of all"), name);

  await t.test("later starts leave the account as it is, whatever the settings say", async () => {
    const { token, user } = login;
    const change = { currentPassword: settings["auth.bootstrapAdmin.password"], password: "chosen by its owner" };
    assert.equal((await prism.put("/api/v1/users/me/password", change, { token })).status, 204);
    await prism.restart();
    assert.equal((await logIn(prism, "root@example.org", "chosen by its owner")).user.id, user.id);
    assert.equal(rowsOf(prism, "select 1 from users").length, 1);
  });
});

test("auth.bootstrapAdmin does not come back after its account was removed, and development has it beside dev", async (t) => {
  const settings = {
    "auth.bootstrapAdmin.email": "root@example.org",
    "auth.bootstrapAdmin.password": "a good long one",
  };
  const prism = await startAccounts(t, { settings });
  const { user } = await logIn(prism, "root@example.org", "a good long one");
  assert.equal((await prism.delete(`/api/v1/users/${user.id}`)).status, 204);
  await prism.restart();
  assert.deepEqual(rowsOf(prism, "select username from users where deletedAt is null"), [{ username: "dev" }]);
});

test("auth.bootstrapAdmin that cannot be an account stops the start and says why, without the password", async (t) => {
  for (const c of [
    { settings: { email: "root@example.org", password: "password" }, says: /WEAK|most used/ },
    { settings: { email: "no address", password: "a good long one" }, says: /email: must be a mail address/ },
    { settings: { email: "root@example.org" }, says: /both email and password/ },
  ])
    await t.test(String(c.says), async (t) => {
      const entries = Object.entries(c.settings).map(([name, value]) => [`auth.bootstrapAdmin.${name}`, value]);
      const settings = { ...DEPLOYED, ...(Object.fromEntries(entries) as Record<string, string>) };
      await assert.rejects(refusedStart(t, settings), (error: Error & { problems?: string[] }) => {
        assert.match(String(error.problems), c.says);
        assert.doesNotMatch(String(error.problems), /a good long one/);
        return true;
      });
    });
});

test("development is ready at once: an Admin dev with a token to fetch, who may get a password", async (t) => {
  const prism = await startAccounts(t);
  assert.deepEqual(prism.app.firstAdmin, { state: "exists" });
  const { body } = await prism.get<{ id: string; roles: string[] }>("/api/v1/users/me");
  assert.deepEqual(body.roles, ["Admin"]);
  assert.equal((await makeAccount(prism, { username: "ann" })).status, "active");
  await setPassword(prism.parts.offers.accounts, body.id, PASSWORD);
  assert.equal((await logIn(prism, "dev")).user.id, body.id);
});

async function startAndStop(options: { dir: string; settings: Record<string, string> }): Promise<void> {
  await (await TestPrism.start(options)).stop();
}

function refusedStart(t: TestContext, settings: Record<string, string>): Promise<TestPrism> {
  return startPrism(t, { dir: temporaryDir(t), settings });
}
