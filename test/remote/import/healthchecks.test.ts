import assert from "node:assert/strict";
import { pbkdf2Sync } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { parse } from "yaml";
import { runCli } from "../../cli/run-cli.ts";
import { answered, startPrism } from "../../helpers/prism.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { fakeApi } from "./fake-api.ts";
import { Moved } from "./moving.ts";

const PASSWORD = "correct horse battery";
const HASH = pbkdf2Sync(PASSWORD, "saltOfDjango", 100_000, 32, "sha256").toString("base64");
const CODE = "6f1b2e0a-1111-4c7b-9a52-0123456789ab";
const OTHER_CODE = "6f1b2e0a-2222-4c7b-9a52-0123456789ab";
const PING_KEY = "fqOOd6-F4MMNuCEnzTU01w";
const SLACK = "https://hooks.slack.com/services/T000/B000/SECRETHOOK";

const user = (pk: number, name: string, more: object = {}) => ({
  model: "auth.user",
  pk,
  fields: {
    ...{
      username: `u${pk}randomname`,
      email: `${name}@example.com`,
      password: `pbkdf2_sha256$100000$saltOfDjango$${HASH}`,
    },
    ...{ is_active: true, is_superuser: false, first_name: "", groups: [], user_permissions: [] },
    ...more,
  },
});
const check = (pk: number, name: string, more: object = {}) => ({
  model: "api.check",
  pk,
  fields: {
    ...{
      name,
      slug: "",
      tags: "",
      code: `6f1b2e0a-${3000 + pk}-4c7b-9a52-0123456789ab`,
      desc: "",
      project: 1,
      kind: "simple",
    },
    ...{ timeout: "1 00:00:00", grace: "01:00:00", schedule: "* * * * *", tz: "UTC", filter_subject: false },
    ...{ filter_body: false, filter_http_body: false, filter_default_fail: false, start_kw: "", success_kw: "" },
    ...{ failure_kw: "", methods: "", manual_resume: false, badge_key: OTHER_CODE, n_pings: 7, status: "up" },
    ...more,
  },
});
const channel = (pk: number, kind: string, value: string | object, checks: readonly number[], more: object = {}) => ({
  model: "api.channel",
  pk,
  fields: {
    ...{
      name: "",
      code: `7f1b2e0a-${3000 + pk}-4c7b-9a52-0123456789ab`,
      project: 1,
      kind,
      email_verified: true,
      disabled: false,
    },
    ...{ value: typeof value === "string" ? value : JSON.stringify(value), last_error: "", checks },
    ...more,
  },
});

/** As `dumpdata` of Healthchecks 4.3 writes its models; objects of our own. */
const DUMP = [
  user(1, "ada"),
  user(2, "ben", { password: "!unusable" }),
  user(3, "gone", { is_active: false }),
  user(4, "old", { password: `pbkdf2_sha256$36000$saltOfDjango$${HASH}` }),
  { model: "accounts.profile", pk: 1, fields: { user: 1, tz: "Europe/Riga", totp: "ABCDEF", sms_limit: 5 } },
  {
    model: "accounts.project",
    pk: 1,
    fields: {
      code: OTHER_CODE,
      name: "Night jobs",
      owner: 1,
      api_key: "APIKEYOFHC",
      ping_key: PING_KEY,
      badge_key: "b",
    },
  },
  { model: "accounts.member", pk: 1, fields: { user: 2, project: 1, role: "r", transfer_request_date: null } },
  check(1, "Backup: all", {
    ...{ slug: "backup", tags: "nas  db,x", code: CODE, desc: "To the cellar", timeout: "02:30:00", grace: "00:10:00" },
    ...{ methods: "POST", manual_resume: true, filter_http_body: true, failure_kw: "ERROR,FATAL" },
  }),
  check(2, "Backup: two", { slug: "backup", kind: "cron", schedule: "10/20 3 * * 1-5", tz: "Europe/Riga" }),
  check(4, "One way", { grace: "00:00:30" }),
  check(3, "Monthly", { kind: "oncalendar", schedule: "Mon *-*-1..7 08:00", status: "paused" }),
  channel(1, "slack", SLACK, [1], { name: "Room" }),
  channel(2, "email", { value: "Ben@example.com", up: true, down: false }, [1, 2]),
  channel(3, "email", "cy@example.com", [4]),
  channel(4, "sms", { value: "+4930123456" }, [1]),
  channel(5, "shell", { cmd_down: "rm SECRETCOMMAND", cmd_up: "" }, [1], { name: "Run" }),
  channel(6, "group", `7f1b2e0a-3001-4c7b-9a52-0123456789ab`, [2]),
  channel(7, "webhook", { url_down: "http://127.0.0.1:9/SECRETPATH", headers_down: { "X-A": "b" } }, [], {
    name: "Hook",
  }),
  channel(8, "trello", {}, [], { disabled: true }),
];

function dumped(folder: string, objects: readonly object[]): string {
  const file = join(folder, "hc.json");
  writeFileSync(file, JSON.stringify(objects));
  return file;
}

test("checks of Healthchecks go on with their URLs, people with their passwords, integrations as channels", async (t) => {
  const moved = await Moved.from(t, "healthchecks", dumped(temporaryDir(t), DUMP));
  assert.equal(moved.status, 8);
  moved.assertHidden([CODE, PING_KEY, SLACK, "http://127.0.0.1:9/SECRETPATH"]);
  for (const secret of ["SECRETCOMMAND", "APIKEYOFHC"])
    assert.ok(!JSON.stringify(moved.files()).includes(secret), secret);
  const [project] = parse(moved.text("night-jobs.yaml")).projects;
  assert.deepEqual(project.members, { ben: "viewer", cy: "viewer", ada: "owner" });
  assert.deepEqual(project.policies, [
    { name: "Room", steps: [{ type: "channel", name: "Room" }] },
    { name: "Mail to Ben@example.com", steps: [{ type: "notify", users: ["ben"] }] },
    { name: "Mail to cy@example.com", steps: [{ type: "notify", users: ["cy"] }] },
    { name: "Hook", steps: [{ type: "channel", name: "Hook" }] },
  ]);
  assert.deepEqual(project.heartbeats, [
    {
      ...{ name: "Backup: all", slug: "backup", ping: { env: "PRISM_SECRET_NIGHT_JOBS_BACKUP_ALL_PING" } },
      ...{ tags: ["nas", "db", "x"], description: "To the cellar", timeout: "150m", grace: "10m", methods: "POST" },
      ...{ manualResume: true, filters: { httpBody: true, failureKeywords: "ERROR,FATAL" } },
      channels: ["Room", "Mail to Ben@example.com"],
    },
    {
      ...{ name: "Backup: two", slug: "backup-two", ping: { env: "PRISM_SECRET_NIGHT_JOBS_BACKUP_TWO_PING" } },
      ...{ kind: "cron", schedule: "10-59/20 3 * * 1-5", timezone: "Europe/Riga", grace: "1h" },
      channels: ["Mail to Ben@example.com", "Room"],
    },
    {
      ...{ name: "One way", slug: "one-way", ping: { env: "PRISM_SECRET_NIGHT_JOBS_ONE_WAY_PING" } },
      ...{ timeout: "1d", grace: "1m", channels: ["Mail to cy@example.com"] },
    },
    {
      ...{ name: "Monthly", slug: "monthly", ping: { env: "PRISM_SECRET_NIGHT_JOBS_MONTHLY_PING" } },
      ...{ kind: "oncalendar", schedule: "Mon *-*-1..7 08:00", timezone: "UTC", grace: "1h" },
    },
  ]);
  assert.deepEqual(moved.report(), [
    "account ada@example.com: to do",
    "account ben@example.com: to do",
    "account gone@example.com: not taken",
    "account old@example.com: to do",
    "integration Mail to Ben@example.com: changed",
    "integration sms: not taken",
    "integration Run: not taken",
    "integration Hook: changed",
    "integration trello: not taken",
    "check Backup: two: changed",
    "check One way: changed",
    "check Monthly: changed",
    "check Monthly: to do",
    "API keys night-jobs: not taken",
    "badges all: not taken",
  ]);
  assert.deepEqual(parse(moved.text("tests.yaml")).tests, [
    {
      ...{ name: "One way goes to Mail to cy@example.com", project: "night-jobs" },
      alert: { alertname: "HeartbeatDown", heartbeat: "One way", slug: "one-way", channels: "Mail to cy@example.com" },
      expect: { policy: "Mail to cy@example.com" },
    },
  ]);
  await moved.check();

  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  await moved.apply(prism);
  const ping = (path: string, method: "get" | "post" = "get") =>
    method === "get"
      ? prism.get(`/ping/${path}`, { token: null })
      : prism.post(`/ping/${path}`, { log: "FATAL" }, { token: null });
  assert.equal((await ping(CODE, "post")).status, 200);
  assert.equal((await ping(`${PING_KEY}/backup-two`)).status, 200);
  const { body } = await prism.get<{ data: Record<string, unknown>[] }>("/api/v1/heartbeats?projectId=night-jobs");
  const counts = body.data.map(
    ({ name, pingCount, status }) => `${String(name)} ${String(pingCount)} ${String(status)}`,
  );
  assert.deepEqual(counts.sort(), ["Backup: all 1 down", "Backup: two 1 up", "Monthly 0 new", "One way 0 new"]);
  const login = { login: "ada@example.com", password: PASSWORD };
  await answered(200, prism.post("/api/v1/auth/login", login, { token: null }));
});

test("checks by the API go on with their URLs; integrations and accounts, which it does not show, are told", async (t) => {
  const common = {
    ...{ tags: "nas", desc: "", grace: 600, n_pings: 3, status: "up", started: false, manual_resume: false },
    ...{ methods: "", start_kw: "", success_kw: "", failure_kw: "ERROR", filter_subject: false, filter_body: false },
    ...{
      filter_http_body: true,
      filter_default_fail: false,
      badge_url: "https://hc.example.com/b/2/BADGEKEY-0123-4567-89ab-cdef01234567.svg",
    },
  };
  const room = "7f1b2e0a-3001-4c7b-9a52-0123456789ab";
  const checks: object[] = [
    { ...common, name: "Backup", slug: "backup", uuid: CODE, timeout: 9000, channels: room },
    { ...common, name: "Cron", slug: "cron", uuid: OTHER_CODE, schedule: "10/20 3 * * 1-5", tz: "Europe/Riga" },
    { ...common, name: "Calendar", slug: "", uuid: `${OTHER_CODE}x`, schedule: "Mon *-*-1..7 08:00", tz: "UTC" },
  ];
  const api = await fakeApi(t, () => ({
    "/api/v3/checks/": { checks },
    "/api/v3/channels/": { channels: [{ id: room, name: "Room", kind: "slack" }] },
  }));
  const cwd = temporaryDir(t);
  const run = (...words: string[]) =>
    runCli(["import", "healthchecks", "--project", "jobs", ...words], { cwd, env: { PRISM_IMPORT_TOKEN: "hc-key" } });
  const { status, stderr } = await run("--from-url", api.url, "--out", "one", "--record", "recording");
  assert.equal(status, 8, stderr);
  assert.deepEqual([...new Set(api.requests.map(({ method }) => method))], ["GET"]);
  assert.equal((await run("--from-recording", "recording", "--out", "two")).status, 8);
  assert.equal(api.requests.length, 2);
  const read = (name: string) => readFileSync(join(cwd, name), "utf8");
  assert.equal(read("one/jobs.yaml"), read("two/jobs.yaml"));
  for (const name of readdirSync(join(cwd, "recording")))
    for (const secret of [CODE, OTHER_CODE, "BADGEKEY", "hc-key"])
      assert.ok(!read(`recording/${name}`).includes(secret));
  assert.match(read("one/import-secrets.env"), new RegExp(CODE));
  const [project] = parse(read("one/jobs.yaml")).projects;
  assert.deepEqual(project.heartbeats[0], {
    ...{ name: "Backup", slug: "backup", ping: { env: "PRISM_SECRET_JOBS_BACKUP_PING" }, tags: ["nas"] },
    ...{ timeout: "150m", grace: "10m", filters: { httpBody: true, failureKeywords: "ERROR" } },
  });
  assert.deepEqual(
    project.heartbeats.map(({ kind, schedule }: Record<string, string>) => [kind, schedule]),
    [
      [undefined, undefined],
      ["cron", "10-59/20 3 * * 1-5"],
      ["oncalendar", "Mon *-*-1..7 08:00"],
    ],
  );
  assert.match(read("one/report.md"), /integration Room: slack: .* Backup/);
  assert.match(read("one/report.md"), /accounts all: /);
  assert.equal((await runCli(["check", "-f", "one"], { cwd, env: {} })).status, 0);
  // A read-only key shows no UUIDs; without a file and without an address there is nothing to read.
  checks.push({ ...common, name: "Read", slug: "read", unique_key: "u", timeout: 60 });
  assert.equal((await run("--from-url", api.url, "--out", "three")).status, 7);
  assert.equal((await run("--out", "three")).status, 2);
  assert.equal((await run("hc.json", "--from-url", api.url, "--out", "three")).status, 2);
});

test("what is no dump of Healthchecks ends with 7, and names no value", async (t) => {
  const folder = temporaryDir(t);
  const refused = [
    [[], /has no projects/],
    [[{ model: "accounts.project", pk: 1, fields: { code: 5 } }], /accounts\.project: 0\.code is not as described/],
    [{ secret: "swordfish" } as unknown as object[], /the dump: it is not as described/],
  ] as const;
  for (const [objects, message] of refused) {
    const { status, stderr } = await runCli(["import", "healthchecks", dumped(folder, objects), "--out", "out"], {
      cwd: folder,
      env: {},
    });
    assert.equal(status, 7, stderr);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /swordfish/);
  }
});
