import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import type { User } from "../../src/client/api-types.gen.ts";
import { temporaryDir } from "../helpers/store.ts";
import { databaseIn, eachCase, makeDatabase, runCli, runJson } from "./run-cli.ts";

const env = { PRISM_AUTH_BCRYPT_COST: "4" };
const PASSWORD = "correct horse battery";

test("S2-97: accounts are administered without a server: approve, disable, enable, role, passwd, delete, unlock", async (t) => {
  const cwd = temporaryDir(t);
  const options = { cwd, env };
  await makeDatabase(options);
  const run = (...args: string[]) => runCli(["user", ...args], options);
  const json = <T = User>(...args: string[]) => runJson<T>(["user", ...args], options);
  const ann = await json("create", "--username", "ann", "--email", "ann@example.org", "--status", "pending");
  const value = <T>(sql: string, ...parameters: unknown[]): T | undefined => {
    const db = new SqliteDatabase(databaseIn(join(cwd, "data")), { readonly: true });
    try {
      return db
        .prepare<unknown[], T>(sql)
        .pluck()
        .get(...parameters);
    } finally {
      db.close();
    }
  };

  await t.test("approve lets in with roles, by any name of the account", async () => {
    assert.deepEqual((await json("list", "--status", "pending")) as unknown as { users: User[] }, {
      users: [(await json<{ users: User[] }>("list", "--username", "ann")).users[0]],
    });
    const approved = await json("approve", "ann@example.org", "--role", "operator", "--role", "RuleManager");
    assert.deepEqual([approved.id, approved.status, approved.roles], [ann.id, "active", ["Operator", "RuleManager"]]);
  });

  await t.test("role replaces, adds and removes", async () => {
    assert.deepEqual((await json("role", "ann", "--role", "Viewer")).roles, ["Viewer"]);
    assert.deepEqual((await json("role", ann.id, "--add", "User", "--add", "auditor", "--remove", "Viewer")).roles, [
      "Auditor",
      "User",
    ]);
  });

  await t.test("name sets the display name", async () => {
    const { stdout, status } = await run("name", "ann", "Ann\u202e Lee");
    assert.deepEqual([status, stdout], [0, `${ann.id}  ann  active  Auditor, User  Ann Lee\n`]);
    assert.equal(value("select name from users where id = ?", ann.id), "Ann Lee");
    assert.deepEqual([(await run("name", "ann", " ")).status, (await run("name", "nobody", "x")).status], [7, 6]);
  });

  await t.test("passwd takes the password from stdin, and keeps its hash", async () => {
    const { status, stdout, stderr } = await runCli(["user", "passwd", "ann", "--stdin"], {
      ...options,
      input: `${PASSWORD}\n`,
    });
    assert.deepEqual([status, stdout], [0, `${ann.id}  ann  active  Auditor, User\n`]);
    assert.ok(!stderr.includes(PASSWORD));
    assert.match(value<string>("select passwordHash from users where id = ?", ann.id) ?? "", /^\$2b\$04\$/);
  });

  await t.test("create takes one, too", async () => {
    const made = await runCli(["user", "create", "--username", "bob", "--stdin"], { ...options, input: PASSWORD });
    assert.deepEqual([made.status, /user passwd/.test(made.stderr)], [0, false]);
    assert.match(value<string>("select passwordHash from users where username = 'bob'") ?? "", /^\$2b\$04\$/);
    const without = await run("create", "--username", "cid");
    assert.match(without.stderr, /A password for cid: prism user passwd cid\n/);
    assert.equal(value("select passwordHash from users where username = 'cid'"), null);
  });

  await t.test("create takes short names, as the initials of a person", async () => {
    for (const name of ["jo", "p1", "al"]) assert.equal((await json("create", "--username", name)).username, name);
  });

  await t.test("disable and enable; repeating it is not an error and is audited once", async () => {
    for (let i = 0; i < 2; i++) assert.equal((await json("disable", "ann")).status, "disabled");
    for (let i = 0; i < 2; i++) assert.equal((await json("enable", "ann")).status, "active");
    const traces = value(
      "select group_concat(action) from audit_log where action like 'user.%lock' and resourceId = ?",
      ann.id,
    );
    assert.equal(traces, "user.lock,user.unlock");
  });

  await t.test("unlock is audited, with the user it was for", async () => {
    assert.deepEqual(await json<unknown>("unlock", "ann"), { id: ann.id, unlocked: true });
    assert.deepEqual(await json<unknown>("unlock"), { id: null, unlocked: true });
    const last = "select resourceId from audit_log where action = 'user.unlock' order by seq desc limit 1 offset ?";
    assert.deepEqual([value(last, 0), value(last, 1)], [null, ann.id]);
  });

  await t.test("delete asks, and without a terminal deletes nothing", async () => {
    const refused = await run("delete", "bob");
    assert.deepEqual([refused.status, refused.stdout], [2, ""]);
    assert.match(refused.stderr, /nothing was deleted; --yes/);
    const { id } = await json<{ id: string; deleted: boolean }>("delete", "bob", "--yes");
    assert.equal(value("select username from users where id = ? and deletedAt is not null", id), "bob");
  });

  const refused = [
    { args: ["approve", "ann"], status: 7, says: /active, not pending \(INVALID_STATE\)/ },
    { args: ["approve", "nobody"], status: 6, says: /There is no user nobody/ },
    { args: ["approve", "ann", "--role", "Admn"], status: 6, says: /did you mean Admin\?/ },
    { args: ["disable", "dev"], status: 7, says: /LAST_ADMIN/ },
    { args: ["role", "dev", "--role", "User"], status: 7, says: /LAST_ADMIN/ },
    { args: ["delete", "dev", "--yes"], status: 7, says: /LAST_ADMIN/ },
    { args: ["delete", "bob", "--yes"], status: 6, says: /There is no user bob/ },
    { args: ["role", "ann"], status: 2, says: /give --role, or --add and --remove/ },
    { args: ["role", "ann", "--role", "User", "--add", "Viewer"], status: 2, says: /give --role, or/ },
    { args: ["passwd", "ann"], status: 2, says: /no terminal to ask for the password; give it with --stdin/ },
    { args: ["passwd", "ann", "secret words"], status: 2, says: /too many arguments/ },
    { args: ["passwd", "ann", "--stdin"], input: "short", status: 7, says: /WEAK_PASSWORD/ },
    { args: ["passwd", "ann", "--stdin"], input: "\n", status: 7, says: /the password is empty/ },
    { args: ["create", "--username", "eve", "--stdin"], input: "eve", status: 7, says: /WEAK_PASSWORD/ },
    { args: ["create", "--username", "eve", "--password"], status: 2, says: /no terminal/ },
    { args: ["unlock", "nobody"], status: 6, says: /There is no user nobody/ },
    { args: ["enable", "ann", "--url", "http://127.0.0.1:1"], status: 2, says: /works on the data directory/ },
  ].map((c) => ({ ...c, name: `user ${c.args.join(" ")} ends with ${c.status}` }));
  const audited = value("select count(*) from audit_log");
  await eachCase(t, "what is refused", refused, async (c) => {
    const { status, stdout, stderr } = await runCli(["user", ...c.args], { ...options, input: c.input ?? "" });
    assert.deepEqual([status, stdout], [c.status, ""], stderr);
    assert.match(stderr, c.says);
    assert.doesNotMatch(stderr, /\n {4}at /);
  });
  assert.equal(value("select count(*) from audit_log"), audited, "nothing refused leaves a trace");
});
