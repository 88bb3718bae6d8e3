import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import bcrypt from "bcrypt";
import Database from "better-sqlite3";
import { parse } from "yaml";
import { runCli } from "../../cli/run-cli.ts";
import { answered, startPrism } from "../../helpers/prism.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { Moved } from "./moving.ts";

/** Columns of Uptime Kuma 2.0 to 2.5 that an import reads, with their types; rows of our own. */
const TABLES = `
create table user (id integer primary key, username varchar(255), password varchar(255), active boolean not null default 1,
  timezone varchar(150), twofa_secret varchar(64), twofa_status boolean not null default 0);
create table monitor (id integer primary key, name varchar(150), active boolean not null default 1, user_id integer,
  interval integer not null default 20, url text, type varchar(20), weight integer default 2000, hostname varchar(255),
  maxretries integer not null default 0, upside_down boolean not null default 0, retry_interval integer not null default 0,
  push_token varchar(32), resend_interval integer not null default 0, description text, parent integer);
create table notification (id integer primary key, name varchar(255), active boolean not null default 1, user_id integer,
  is_default boolean not null default 0, config longtext);
create table monitor_notification (id integer primary key, monitor_id integer not null, notification_id integer not null);
create table tag (id integer primary key, name varchar(255) not null, color varchar(255) not null);
create table monitor_tag (id integer primary key, monitor_id integer not null, tag_id integer not null, value text);
create table status_page (id integer primary key, slug varchar(255) not null, title varchar(255) not null, description text,
  icon varchar(255) not null default '', theme varchar(30) not null default 'auto', published boolean not null default 1,
  password varchar(255));
create table "group" (id integer primary key, name varchar(255) not null, public boolean not null default 0,
  active boolean not null default 1, weight integer not null default 1000, status_page_id integer);
create table monitor_group (id integer primary key, monitor_id integer not null, group_id integer not null,
  weight integer not null default 1000, send_url boolean not null default 0);
create table maintenance (id integer primary key, title varchar(150) not null, description text not null, user_id integer,
  active boolean not null default 1, strategy varchar(50) not null default 'single', start_date datetime, end_date datetime,
  start_time time, end_time time, weekdays varchar(250) default '[]', days_of_month text default '[]',
  interval_day integer, cron text, timezone varchar(255), duration integer);
create table monitor_maintenance (id integer primary key, monitor_id integer not null, maintenance_id integer not null);
create table setting (id integer primary key, key varchar(200) not null, value text, type varchar(20));
`;
const PUSH = "pUsHtOkEn1234567890abcdefghijkl0";
const BOT = "123456:ABC-DEF1234ghIkl-zyx57W2v";
const HOOK = "https://hooks.slack.com/services/T000/B000/SECRETHOOK";
const PASSWORD = "correct horse battery";

const ROWS: Readonly<Record<string, readonly Readonly<Record<string, string | number | null>>[]>> = {
  user: [
    { id: 1, username: "kim", password: bcrypt.hashSync(PASSWORD, 4), timezone: "Europe/Berlin", twofa_status: 1 },
  ],
  monitor: [
    { id: 1, name: "Servers", type: "group" },
    {
      ...{ id: 2, name: "Nightly: backup # 1", type: "push", interval: 3600, maxretries: 2, retry_interval: 120 },
      ...{ push_token: PUSH, resend_interval: 2, description: "Copies\tthe NAS", parent: 1 },
    },
    { id: 3, name: "Shop (web)", type: "http", interval: 60, url: "https://shop.example.com" },
    { id: 4, name: "Quiet", type: "ping", interval: 60 },
    { id: 5, name: "Paused", type: "push", active: 0, push_token: "pausedToken1" },
    { id: 6, name: "Upside", type: "push", upside_down: 1, push_token: "upsideToken1" },
    { id: 7, name: "Often", type: "push", interval: 20, push_token: "oftenToken123" },
  ],
  notification: [
    {
      ...{ id: 1, name: "Bot", is_default: 1 },
      config: JSON.stringify({
        type: "telegram",
        telegramBotToken: BOT,
        telegramChatID: "-100123",
        telegramUseTemplate: true,
      }),
    },
    { id: 2, name: "Room", config: JSON.stringify({ type: "slack", slackwebhookURL: HOOK }) },
    {
      id: 3,
      name: "Mail",
      config: JSON.stringify({ type: "smtp", smtpTo: "Ada <ada@example.com>, no address", smtpPassword: "mailpass" }),
    },
    {
      id: 4,
      name: "Bark",
      config: JSON.stringify({ type: "Bark", barkEndpoint: "https://bark.example.com/KEYOFBARK" }),
    },
    {
      id: 5,
      name: "Bad hook",
      config: JSON.stringify({ type: "discord", discordWebhookUrl: "https://evil.example.com/x" }),
    },
    { id: 6, name: "Off", active: 0, config: "{}" },
    { id: 7, name: "Broken", config: "{" },
  ],
  monitor_notification: [
    { id: 1, monitor_id: 2, notification_id: 1 },
    { id: 2, monitor_id: 2, notification_id: 3 },
    { id: 3, monitor_id: 3, notification_id: 2 },
    { id: 4, monitor_id: 3, notification_id: 4 },
    { id: 5, monitor_id: 7, notification_id: 2 },
  ],
  tag: [
    { id: 1, name: "team", color: "#fff" },
    { id: 2, name: "two words", color: "#fff" },
  ],
  monitor_tag: [
    { id: 1, monitor_id: 2, tag_id: 1, value: "storage" },
    { id: 2, monitor_id: 2, tag_id: 2, value: "" },
  ],
  status_page: [
    { id: 1, slug: "all", title: "All of it" },
    { id: 2, slug: "other", title: "Another" },
  ],
  group: [{ id: 1, name: "Services", status_page_id: 1 }],
  monitor_group: [
    { id: 1, monitor_id: 3, group_id: 1, weight: 1 },
    { id: 2, monitor_id: 2, group_id: 1, weight: 2 },
    { id: 3, monitor_id: 5, group_id: 1, weight: 3 },
  ],
  maintenance: [
    {
      ...{ id: 1, title: "Move", description: "to the new hall", strategy: "single", timezone: "SAME_AS_SERVER" },
      ...{ start_date: "2099-12-24 22:00:00", end_date: "2099-12-25 04:00:00" },
    },
    {
      ...{ id: 2, title: "Patches", description: "", strategy: "recurring-weekday", timezone: "UTC" },
      ...{ cron: "30 2 * * 1,4", duration: 5400 },
    },
    { id: 3, title: "By hand", description: "", strategy: "manual" },
    {
      id: 4,
      title: "Each third day",
      description: "",
      strategy: "recurring-interval",
      interval_day: 3,
      cron: "0 3 * * *",
      duration: 60,
    },
    {
      ...{ id: 5, title: "Of what is paused", description: "", strategy: "recurring-weekday", timezone: "UTC" },
      ...{ cron: "30 2 * * 1,4", duration: 5400 },
    },
  ],
  monitor_maintenance: [
    { id: 1, monitor_id: 2, maintenance_id: 1 },
    { id: 2, monitor_id: 3, maintenance_id: 1 },
    { id: 3, monitor_id: 3, maintenance_id: 2 },
    { id: 4, monitor_id: 3, maintenance_id: 3 },
    { id: 5, monitor_id: 3, maintenance_id: 4 },
    { id: 6, monitor_id: 5, maintenance_id: 5 },
  ],
  setting: [{ id: 1, key: "serverTimezone", value: '"Europe/Berlin"' }],
};

/** Empty, made by scripts/uptime-kuma-database.mjs: the tables are then those of Uptime Kuma's own migrations. */
const REAL = process.env["TEST_KUMA_DATABASE"];

function kumaIn(file: string) {
  if (REAL !== undefined) copyFileSync(REAL, file);
  const database = new Database(file);
  if (REAL === undefined) database.exec(TABLES);
  // Rows need the users and tags that they name, which come after them.
  database.pragma("foreign_keys = off");
  database.exec("delete from setting");
  for (const [table, rows] of Object.entries(ROWS)) {
    // What an import does not read, and the real tables need.
    const needed = database.prepare(`select name from pragma_table_info(?) where "notnull" and dflt_value is null`);
    const others = Object.fromEntries((needed.all(table) as { name: string }[]).map(({ name }) => [name, 1]));
    for (const row of rows) {
      const all = { ...others, ...row };
      const names = Object.keys(all).map((name) => `"${name}"`);
      const sql = `insert into "${table}" (${names.join()}) values (${names.map(() => "?").join()})`;
      database.prepare(sql).run(...Object.values(all));
    }
  }
  return database;
}

test("push monitors of Uptime Kuma go on with their URLs, as heartbeats with the same recipients", async (t) => {
  const file = join(temporaryDir(t), "kuma.db");
  kumaIn(file).close();
  const moved = await Moved.from(t, "uptime-kuma", file);
  assert.equal(moved.status, 8);
  moved.assertHidden([PUSH, BOT, HOOK]);
  for (const secret of ["mailpass", "KEYOFBARK"]) assert.ok(!JSON.stringify(moved.files()).includes(secret), secret);
  const [project] = parse(moved.text("uptime-kuma.yaml")).projects;
  assert.deepEqual(project.heartbeats[0], {
    name: "Nightly: backup # 1",
    ping: { env: "PRISM_SECRET_UPTIME_KUMA_NIGHTLY_BACKUP_1_PING" },
    description: "Copies\tthe NAS",
    timeout: "1h",
    grace: "4m",
    tags: ["team:storage", "two-words"],
    labels: { team: "storage", group: "Servers" },
    channels: ["Bot, Mail"],
  });
  assert.deepEqual(project.policies, [
    {
      name: "Bot, Mail",
      steps: [
        { type: "channel", name: "Bot" },
        { type: "notify", users: ["ada"] },
      ],
    },
    { name: "Room", steps: [{ type: "channel", name: "Room" }] },
    { name: "No notification", opensIncidents: false, steps: [] },
    { name: "Bot", steps: [{ type: "channel", name: "Bot" }] },
  ]);
  assert.deepEqual(project.routes.route.routes, [
    { matchers: ['monitor=~"Servers|Quiet"'], policy: "No notification" },
    { matchers: ['heartbeat="Nightly: backup # 1"'], policy: "Bot, Mail", repeat: "2h" },
    { matchers: ['heartbeat="Often"'], policy: "Room" },
    { matchers: ['monitor="Shop (web)"'], policy: "Room" },
  ]);
  // A push monitor that nothing reports here would always be shown as working.
  assert.deepEqual(
    project.statusPage.groups[0].components.map(({ name }: { name: string }) => name),
    ["Shop (web)", "Nightly: backup # 1"],
  );
  assert.deepEqual(parse(moved.text("people.yaml")).people, [
    { username: "ada", email: "ada@example.com", invite: true },
  ]);
  assert.deepEqual(parse(moved.text("runtime.yaml")).projects[0].runtime.silences, [
    ...['heartbeat="Nightly: backup # 1"', 'monitor="Shop (web)"'].map((matcher) => ({
      matchers: [matcher],
      startsAt: "2099-12-24T21:00:00.000Z",
      endsAt: "2099-12-25T03:00:00.000Z",
      comment: "Move: to the new hall",
    })),
    {
      matchers: ['monitor="Shop (web)"'],
      recurrence: { cron: "30 2 * * 1,4", duration: "90m", timezone: "UTC" },
      comment: "Patches",
    },
  ]);
  assert.deepEqual(moved.report(), [
    "account kim: to do",
    "notification Bot: changed",
    "mail address  no address: not taken",
    "notification Mail: changed",
    "notification Bark: not taken",
    "channel Bad hook: not taken",
    "notification Off: not taken",
    "notification Broken: not taken",
    "push monitor Paused: not taken",
    "push monitor Upside: not taken",
    "push monitor Often: changed",
    "status page Another: not taken",
    "status page All of it: changed",
    "status page All of it: not taken",
    "monitors 2: to do",
    "maintenance By hand: not taken",
    "maintenance Each third day: not taken",
    "maintenance Of what is paused: not taken",
  ]);
  await moved.check();

  const prism = await startPrism(t);
  await moved.apply(prism);
  const pushed = await prism.get<{ ok: boolean }>(`/api/push/${PUSH}?status=up&msg=OK&ping=`, { token: null });
  assert.deepEqual([pushed.status, pushed.body.ok], [200, true]);
  const login = { login: "kim", password: PASSWORD };
  await answered(200, prism.post("/api/v1/auth/login", login, { token: null }));
  const silences = await prism.get<{ data: object[] }>("/api/v1/silences?projectId=uptime-kuma");
  assert.equal(silences.body.data.length, 3);
});

test("tables of MariaDB are read as those of SQLite; a folder without monitors ends with 7", async (t) => {
  const folder = temporaryDir(t);
  kumaIn(join(folder, "kuma.db")).close();
  mkdirSync(join(folder, "tables"));
  for (const [table, rows] of Object.entries(ROWS)) {
    const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    const defaults: Readonly<Record<string, string>> = {
      active: "1",
      is_default: "0",
      upside_down: "0",
      interval: "20",
      published: "1",
    };
    const cell = (value: string | number | null | undefined, name: string) =>
      value === undefined || value === null
        ? (defaults[name] ?? "NULL")
        : String(value).replaceAll("\\", "\\\\").replaceAll("\t", "\\t").replaceAll("\n", "\\n");
    const columns = [
      ...new Set([...names, ...(table === "user" || table === "group" || table === "maintenance" ? ["active"] : [])]),
    ];
    if (table === "status_page") columns.push("published");
    const lines = rows.map((row) => columns.map((name) => cell(row[name], name)).join("\t"));
    writeFileSync(join(folder, "tables", `${table}.tsv`), `${[columns.join("\t"), ...lines].join("\n")}\n`);
  }
  const [one, other] = [
    await Moved.from(t, "uptime-kuma", join(folder, "kuma.db")),
    await Moved.from(t, "uptime-kuma", join(folder, "tables")),
  ];
  assert.deepEqual(other.files(), one.files());
  mkdirSync(join(folder, "empty"));
  const { status } = await runCli(["import", "uptime-kuma", "empty", "--out", "out"], { cwd: folder, env: {} });
  assert.equal(status, 7);
});

test("a project called runtime or people has files of its own; groups that a page cannot have are told", async (t) => {
  const file = join(temporaryDir(t), "kuma.db");
  const database = kumaIn(file);
  for (let id = 2; id <= 22; id++)
    database.prepare(`insert into "group" (id, name, status_page_id) values (?, ?, 1)`).run(id, `Group ${id}`);
  database.close();
  for (const project of ["runtime", "people"]) {
    const moved = await Moved.from(t, "uptime-kuma", file, "--project", project);
    assert.match(moved.text(`${project}-2.yaml`), /heartbeats:/);
    assert.match(moved.text("runtime.yaml"), /silences:/);
    assert.match(moved.text("people.yaml"), /ada@example\.com/);
    assert.match(moved.stdout, / --runtime$/m);
    assert.match(moved.text("report.md"), /it has 22 groups; only the first 20 were taken/);
    await moved.check();
  }
});
