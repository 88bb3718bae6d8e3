import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import type { IssuedApiKey as Key, User } from "../../src/client/api-types.gen.ts";
import { isTokenOf } from "../../src/core/crypto/tokens.ts";
import { temporaryDir } from "../helpers/store.ts";
import { valuesOf } from "../helpers/values.ts";
import { databaseIn, eachCase, makeDatabase, runCli, runJson } from "./run-cli.ts";

interface Token {
  readonly id: string;
  readonly token: string;
  readonly scopes: string[];
  readonly expiresAt: string | null;
}

test("user, token and key work on a new database without a server", async (t) => {
  const cwd = temporaryDir(t);
  const env = { USER: "operator" };
  await makeDatabase({ cwd });

  await t.test("S1-23: the first command furnishes the database", async () => {
    const args = ["user", "create", "--username", "Ann", "--email", "Ann@Example.org", "--name", "Ann Lee"];
    const user = await runJson<User & { email: string }>([...args, "--role", "admin", "--role", "Admin"], { cwd, env });
    assert.deepEqual(
      [user.username, user.email, user.roles, user.status],
      ["ann", "ann@example.org", ["Admin"], "active"],
    );
  });

  await t.test("users are listed by role and state, in a table for people", async () => {
    const { users } = await runJson<{ users: User[] }>(["user", "list", "--role", "ADMIN", "--status", "active"], {
      cwd,
    });
    const table = await runCli(["user", "list", "--username", "ann"], { cwd });
    assert.deepEqual(users.map(({ username }) => username).sort(), ["ann", "dev"]);
    assert.match(
      table.stdout,
      /^ID +USERNAME +EMAIL +NAME +STATUS +ROLES\n\S+ +ann +ann@example.org +Ann Lee +active +Admin\n$/,
    );
  });

  await t.test("an empty list says that it is empty, and an unknown role is an error", async () => {
    for (const args of [
      ["user", "list", "--status", "pending"],
      ["token", "list"],
      ["key", "list"],
    ]) {
      const { status, stdout, stderr } = await runCli(args, { cwd });
      assert.deepEqual([status, stdout, stderr], [0, `no ${args[0]}s\n`, ""]);
    }
    const { status, stderr } = await runCli(["user", "list", "--role", "Admn"], { cwd });
    assert.deepEqual([status, stderr], [6, "prism: there is no role Admn; did you mean Admin?\n"]);
  });

  const refusedUsers = [
    { args: ["--username", "ann"], status: 7, says: /USERNAME_TAKEN/ },
    { args: ["--username", "x"], status: 7, says: /username: must be 2 to 64/ },
    { args: ["--username", "bob", "--role", "Admn"], status: 6, says: /there is no role Admn; did you mean Admin\?/ },
    { args: ["--role", "Admin"], status: 2, says: /give --username, --email or --external-id/ },
    { args: ["--username", "bob", "--status", "gone"], status: 2, says: /Allowed choices are pending, active/ },
  ].map((c) => ({ ...c, name: `user create ${c.args.join(" ")} ends with ${c.status}` }));
  await eachCase(t, "users who are refused leave nothing", refusedUsers, async (c) => {
    const { status, stdout, stderr } = await runCli(["user", "create", ...c.args], { cwd });
    assert.deepEqual([status, stdout], [c.status, ""]);
    assert.match(stderr, c.says);
  });

  await t.test("a token is the only output on stdout, shown once; only its hash is stored", async () => {
    const { stdout, stderr } = await runCli(["token", "create", "--user", "ann@example.org", "--expires", "30d"], {
      cwd,
    });
    const token = stdout.trim();
    assert.ok(isTokenOf("prt", token));
    assert.match(stderr, /Token \S+ of ann, valid until 20\d\d-.*not shown again/);
    const list = await runCli(["token", "list", "--user", "ann", "--json"], { cwd });
    assert.doesNotMatch(list.stdout, new RegExp(token));
    const [listed] = (JSON.parse(list.stdout) as { tokens: Record<string, unknown>[] }).tokens;
    const { user, name, state, expiresAt, lastUsedAt, revokedAt } = listed ?? {};
    assert.deepEqual(
      { user, name, state, lastUsedAt, revokedAt },
      { user: "ann", name: "cli", state: "active", lastUsedAt: null, revokedAt: null },
    );
    assert.match(String(expiresAt), /^20\d\d-\d\d-\d\dT/);
  });

  await t.test("a token carries the scopes it is given, and can be revoked once", async () => {
    const args = ["token", "create", "--user", "ann", "--name", "ci", "--scopes", "events:write,events:read"];
    const token = await runJson<Token>(args, { cwd });
    assert.deepEqual([token.scopes, token.expiresAt], [["events:write", "events:read"], null]);
    assert.deepEqual(await runJson(["token", "revoke", token.id], { cwd }), { id: token.id, revoked: true });
    const again = await runCli(["token", "revoke", token.id], { cwd });
    assert.equal(again.status, 6);
    const { tokens } = await runJson<{ tokens: { id: string; state: string }[] }>(["token", "list", "--all"], { cwd });
    assert.equal(tokens.find(({ id }) => id === token.id)?.state, "revoked");
  });

  const refused = [
    { args: ["token", "create", "--user", "nobody"], status: 6, says: /There is no user nobody/ },
    {
      args: ["token", "create", "--user", "ann", "--scopes", "events:wite"],
      status: 2,
      says: /did you mean events:write\?/,
    },
    { args: ["token", "create", "--user", "ann", "--expires", "2020-01-01"], status: 7, says: /has passed/ },
    { args: ["token", "create"], status: 2, says: /required option '--user <user>'/ },
    { args: ["key", "create", "--project", "nix"], status: 6, says: /PROJECT_NOT_FOUND/ },
    { args: ["key", "rotate", "nix"], status: 6, says: /There is no API key nix/ },
    { args: ["key", "rotate", "nix", "--grace", "8d"], status: 2, says: /Use 7d at most/ },
  ].map((c) => ({ ...c, name: `${c.args.join(" ")} ends with ${c.status}` }));
  await eachCase(t, "tokens and keys that are refused", refused, async (c) => {
    const { status, stderr } = await runCli(c.args, { cwd });
    assert.equal(status, c.status);
    assert.match(stderr, c.says);
  });

  await t.test("a key is made, rotated with a grace, and revoked", async () => {
    const key = await runJson<Key>(["key", "create", "--name", "shop", "--scopes", "events:write"], { cwd });
    assert.ok(isTokenOf("prk", key.key));
    const rotated = await runJson<Key>(["key", "rotate", key.id, "--grace", "1h"], { cwd });
    assert.notEqual(rotated.key, key.key);
    assert.deepEqual(rotated.scopes, ["events:write"]);
    await runJson(["key", "revoke", rotated.id, "--project", "default"], { cwd });
    const { keys } = await runJson<{ keys: Record<string, unknown>[] }>(["key", "list", "--all"], { cwd });
    const states = new Map(keys.map(({ id, state }) => [id, state]));
    assert.deepEqual([states.get(key.id), states.get(rotated.id)], ["active", "revoked"]);
    const [first] = keys.filter(({ id }) => id === key.id);
    assert.match(String(first?.["expiresAt"]), /^20\d\d-/, "the end of the grace");
    assert.equal(first?.["lastUsedAt"], null);
    assert.ok(keys.every((each) => !("hash" in each) && !("key" in each)));
  });

  await t.test("each change left one audit row in the name of the operator", () => {
    const db = new SqliteDatabase(databaseIn(join(cwd, "data")), { readonly: true });
    const rows = db
      .prepare<[], { action: string; actor: string; userId: string | null }>(
        "select action, actor, userId from audit_log order by seq",
      )
      .all();
    db.close();
    assert.deepEqual(valuesOf(rows, "action"), [
      "user.register",
      "user.register",
      "token.create",
      "token.create",
      "token.revoke",
      "key.create",
      "key.rotate",
      "key.revoke",
    ]);
    // The first start creates the administrator of development, whichever command starts first.
    assert.deepEqual(
      rows.map(({ actor, userId }) => [actor, userId]),
      rows.map((_, at) => [at === 0 ? '{"type":"system"}' : '{"type":"operator"}', null]),
    );
  });
});

test("two commands that find a new database furnish it once", async (t) => {
  const cwd = temporaryDir(t);
  await makeDatabase({ cwd });
  const results = await Promise.all(
    ["ann", "bob"].map((name) => runCli(["user", "create", "--username", name], { cwd })),
  );
  const rows = results.map(({ status, stderr }) => [status, /Error/.test(stderr)]);
  assert.deepEqual(
    rows,
    [
      [0, false],
      [0, false],
    ],
    results.map(({ stderr }) => stderr).join(""),
  );
  const { users } = await runJson<{ users: User[] }>(["user", "list"], { cwd });
  assert.deepEqual(users.map(({ username }) => username).sort(), ["ann", "bob", "dev"]);
});

test("production refuses to make secrets up", async (t) => {
  const cwd = temporaryDir(t);
  await makeDatabase({ cwd });
  const env = { NODE_ENV: "production" };
  const { status, stderr } = await runCli(["user", "create", "--username", "ann"], { cwd, env });
  assert.equal(status, 3);
  assert.match(stderr, /the configuration is not valid:\n {2}- PRISM_ENCRYPTION_KEY/);
});

test("a database that was made with another encryption key ends with 3 and says so", async (t) => {
  const cwd = temporaryDir(t);
  await makeDatabase({ cwd });
  await runJson(["user", "create", "--username", "ann"], { cwd });
  const env = { PRISM_ENCRYPTION_KEY: Buffer.alloc(32, "another key").toString("base64") };
  const { status, stderr } = await runCli(["user", "list"], { cwd, env });
  assert.equal(status, 3);
  assert.match(stderr, /the encryption key is not the one this database was made with/);
});
