import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import bcrypt from "bcrypt";
import Database from "better-sqlite3";
import { runCli } from "../../cli/run-cli.ts";
import { startPrism } from "../../helpers/prism.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { Moved } from "./moving.ts";

/** Columns as those of Gotify 2.7 to 2.9; rows of our own. */
const TABLES = `
create table users (id integer primary key, name varchar(180), pass blob, admin numeric, created_at datetime, oidc_id text);
create table applications (id integer primary key, token varchar(180), user_id integer, name text, description text,
  internal numeric, image text, default_priority integer, last_used datetime, sort_key blob);
create table clients (id integer primary key, token varchar(180), user_id integer, name text, created_at datetime,
  last_used datetime, elevated_until datetime, expires_after_inactivity_seconds integer not null default 0,
  expires_at datetime);
create table plugin_confs (id integer primary key, user_id integer, module_path text, token varchar(180),
  application_id integer, enabled numeric, config blob, storage blob);
create table messages (id integer primary key, application_id integer, message text, title text, priority integer,
  extras blob, date datetime);
`;
const PASSWORD = "correct horse battery";
const APP = "AbC.d-_EfGhIjKl";
const CLIENT = "CbC.d-_EfGhIjKl";

function gotifyOf(file: string, oldest = false) {
  const database = new Database(file);
  database.pragma("journal_mode = wal");
  database.exec(oldest ? TABLES.replace(/,\s+expires_after_inactivity_seconds.*?0/s, "") : TABLES);
  const hash = Buffer.from(bcrypt.hashSync(PASSWORD, 4));
  const rows: readonly (readonly [string, ...unknown[]])[] = [
    ["users (id, name, pass, admin) values (?, ?, ?, ?)", 1, "Gina", hash, 1],
    ["users (id, name, pass, admin, oidc_id) values (?, ?, ?, ?, ?)", 2, "hal", null, 0, "https://id.example.com#7"],
    ["users (id, name, pass, admin) values (?, ?, ?, ?)", 3, "a b", hash, 0],
    [
      "applications (token, user_id, name, description, default_priority, image) values (?, ?, ?, ?, ?, ?)",
      APP,
      1,
      "NAS",
      "in the cellar",
      7,
      "nas.png",
    ],
    ["applications (token, user_id, name, internal) values (?, ?, ?, ?)", "AinternalToken1", 1, "echo", 1],
    ["applications (token, user_id, name) values (?, ?, ?)", "Astranger.Token", 3, "lost"],
    [
      "applications (token, user_id, name) values (?, ?, ?)",
      "gtfyA.secretform",
      1,
      "\u001b[2J\u202e# [x](http://evil)",
    ],
    ["clients (token, user_id, name) values (?, ?, ?)", CLIENT, 1, "Phone"],
    ["plugin_confs (user_id, module_path, token, enabled) values (?, ?, ?, ?)", 1, "github.com/x/echo", "Pplugin", 1],
    ["messages (application_id, message) values (?, ?)", 1, "an old one"],
  ];
  for (const [sql, ...values] of rows) database.prepare(`insert into ${sql}`).run(...values);
  return database;
}

test("users, applications and clients of Gotify go on: a sender with its token, the app with its token or password", async (t) => {
  const file = join(temporaryDir(t), "gotify.db");
  // Gotify holds it open; the rows are in its WAL.
  const database = gotifyOf(file);
  t.after(() => database.close());
  const moved = await Moved.from(t, "gotify", file);
  assert.equal(moved.status, 8);
  moved.assertHidden([APP, CLIENT]);
  assert.ok(!JSON.stringify(moved.files()).includes("an old one"));
  assert.deepEqual(moved.report(), [
    "account Gina: to do",
    "account hal: to do",
    "account a b: not taken",
    "application NAS: to do",
    "application echo: not taken",
    "application lost: not taken",
    "application \u001b[2J\u202e# [x](http://evil): not taken",
    "plugin github.com/x/echo: not taken",
    "messages 1: not taken",
  ]);
  assert.match(moved.text("report.md"), /\\\[x\\\]/);
  assert.doesNotMatch(moved.stdout, /prism (check|apply)/);
  assert.match(moved.stdout, /prism user import .*users\.ndjson\n.*prism import tokens .*tokens\.ndjson/);

  const prism = await startPrism(t);
  await moved.apply(prism);
  const sent = await prism.post(`/gotify/message?token=${APP}`, { message: "Disk full" }, { token: null });
  assert.equal(sent.status, 200, sent.text);
  const by = (headers: Readonly<Record<string, string>>) => prism.get("/gotify/message", { headers, token: null });
  assert.match((await by({ "x-gotify-key": CLIENT })).text, /Disk full/);
  const login = `Basic ${Buffer.from(`Gina:${PASSWORD}`).toString("base64")}`;
  const signedIn = await prism.post(
    "/gotify/client",
    { name: "Tablet" },
    { headers: { authorization: login }, token: null },
  );
  assert.equal(signedIn.status, 200, signedIn.text);
});

test("an older database has fewer columns; another database ends with 7", async (t) => {
  const folder = temporaryDir(t);
  gotifyOf(join(folder, "old.db"), true).close();
  const moved = await Moved.from(t, "gotify", join(folder, "old.db"));
  assert.deepEqual(
    moved.rows("tokens.ndjson").map(({ name }) => name),
    ["NAS", "Phone"],
  );
  const other = new Database(join(folder, "other.db"));
  other.exec("create table songs (id integer); create view users as select 1; create view applications as select 1");
  other.close();
  for (const name of ["other.db", "gone.db"]) {
    const { status, stderr } = await runCli(["import", "gotify", name, "--out", "out"], { cwd: folder, env: {} });
    assert.equal(status, 7, stderr);
  }
});

test("generated columns, views and what only calls itself a table are not read", async (t) => {
  const folder = temporaryDir(t);
  const database = gotifyOf(join(folder, "odd.db"));
  // Reading it would take all memory.
  database.exec("alter table users add column oidc_id_2 text as (hex(zeroblob(900000000))) virtual");
  database.exec("alter table users drop column oidc_id");
  database.exec("alter table users rename column oidc_id_2 to oidc_id");
  database.close();
  const moved = await Moved.from(t, "gotify", join(folder, "odd.db"));
  assert.deepEqual(
    moved.rows("users.ndjson").map(({ username, externalId }) => [username, externalId]),
    [
      ["gina", undefined],
      ["hal", undefined],
    ],
  );
  const other = new Database(join(folder, "liar.db"));
  other.exec("create table applications (id integer); create view users as select 1");
  other.unsafeMode();
  other.pragma("writable_schema = on");
  other.exec("update sqlite_master set type = 'table', rootpage = 2 where name = 'users'");
  other.close();
  const { status } = await runCli(["import", "gotify", "liar.db", "--out", "out"], { cwd: folder, env: {} });
  assert.equal(status, 7);
});

test("tables of MySQL and PostgreSQL are read as those of SQLite", async (t) => {
  const folder = temporaryDir(t);
  const database = gotifyOf(join(folder, "gotify.db"));
  const one = await Moved.from(t, "gotify", join(folder, "gotify.db"));
  /** As `mysql -B` and `copy … to stdout` print values. */
  const kinds = {
    mysql: (value: unknown) => (value === null ? "NULL" : textOf(value)),
    postgres: (value: unknown, column: string) => {
      if (value === null) return "\\N";
      if (Buffer.isBuffer(value)) return `\\\\x${value.toString("hex")}`;
      return ["admin", "internal", "enabled"].includes(column) ? (value === 1 ? "t" : "f") : textOf(value);
    },
  };
  for (const [kind, cellOf] of Object.entries(kinds)) {
    const tables = join(folder, kind);
    mkdirSync(tables);
    for (const table of ["users", "applications", "clients", "plugin_confs", "messages"]) {
      const rows = database.prepare(`select * from ${table}`).all() as Record<string, unknown>[];
      const names = Object.keys(rows[0] ?? {});
      const lines = rows.map((row) => names.map((name) => cellOf(row[name], name)).join("\t"));
      writeFileSync(join(tables, `${table}.tsv`), `${[names.join("\t"), ...lines].join("\n")}\n`);
    }
    assert.deepEqual((await Moved.from(t, "gotify", tables)).files(), one.files(), kind);
  }
  database.close();
});

function textOf(value: unknown): string {
  const text = Buffer.isBuffer(value) ? value.toString("utf8") : String(value);
  return text.replaceAll("\\", "\\\\").replaceAll("\t", "\\t").replaceAll("\n", "\\n");
}
