import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { answered, startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";
import { rowsWith, valuesOf } from "../helpers/values.ts";
import { databaseIn, runCli, runJson } from "./run-cli.ts";
import { DEMO_MADE, env, type Seeded } from "./seed-support.ts";

/** Tables with data of users and producers only, in any state. */
const TABLES = [
  "users",
  "user_roles",
  "projects",
  "project_members",
  "api_keys",
  "service_tokens",
  "sessions",
  "rules",
  "rule_versions",
  "events",
  "tasks",
  "transfer_buckets",
  "messages",
  "schedules",
  "sounds",
  "policies",
  "alert_routing",
  "silences",
  "alerts",
  "incidents",
] as const;

/** Rows by table. */
function rowsIn(dataDir: string): Record<string, number> {
  const db = new SqliteDatabase(databaseIn(dataDir), { readonly: true });
  try {
    const count = (table: string) => db.prepare<[], number>(`select count(*) from ${table}`).pluck().get() ?? 0;
    return Object.fromEntries(TABLES.map((table) => [table, count(table)]));
  } finally {
    db.close();
  }
}

/** The pages that the sources of the console have in its menu. */
function pagesOfMenu(): string[] {
  const folder = join(import.meta.dirname, "../../console/pages");
  const sources = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) =>
    /index\.tsx?$/.test(file),
  );
  const entry = /^ {4}"(\/[^"]*)": \{(.*?)\}(?=,\n(?: {4}["/]| {2}\}))/gms;
  return sources.flatMap((file) =>
    [...readFileSync(join(folder, file), "utf8").matchAll(entry)].flatMap(([, path = "", page = ""]) =>
      /\bnav: \{/.test(page) ? [path] : [],
    ),
  );
}

/** What each page reads; none for those that no data of users fill. */
const SHOWN_ON: Readonly<Record<string, readonly string[]>> = {
  "/": ["/api/v1/incidents?state=unresolved"],
  "/inbox": ["/api/v1/notifications/all"],
  "/events": ["/api/v1/events?projectId=*"],
  "/rules": ["/api/v1/rules"],
  "/policies": ["/api/v1/policies"],
  "/policies/routes": ["/api/v1/routes"],
  "/incidents": ["/api/v1/incidents"],
  "/alerts": ["/api/v1/alerts"],
  "/oncall": ["/api/v1/oncall/now", "/api/v1/oncall/schedules"],
  "/heartbeats": ["/api/v1/heartbeats"],
  "/silences": ["/api/v1/silences"],
  "/status-page": ["default", "infra", "shop"].map((project) => `/api/v1/status-page?projectId=${project}`),
  // They have something to say of a new database with a past only (seed-demo.test.ts).
  "/reports": [],
  "/connect": ["/api/v1/receivers?projectId=default", "/api/v1/channels?projectId=default"],
  "/deliveries": ["/api/v1/deliveries"],
  "/webhooks": ["/api/v1/webhooks?scope=all"],
  "/jobs": ["/api/v1/jobs"],
  "/schedules": ["/api/v1/schedules"],
  "/timers": ["/api/v1/jobs?queue=timers"],
  "/tasks": ["/api/v1/tasks?userId=admin"],
  "/messages": ["/api/v1/messages?userId=admin"],
  "/buckets": ["/api/v1/transfer-buckets"],
  "/projects": ["/api/v1/projects"],
  "/people": ["/api/v1/users"],
  "/sounds": ["/api/v1/sounds"],
  "/audit": ["/api/v1/audit"],
  "/backups": ["/api/v1/backups"],
  "/cluster": [],
  "/configuration": [],
  "/settings": [],
  "/modules": [],
  "/reference": [],
};

test("S1-23, S3-18: seed makes accounts with passwords that log in, rules, tasks and events, and a second run creates nothing again", async (t) => {
  keepsPromise(t, ["S1-06", "S1-23", "S3-18"]);
  const cwd = temporaryDir(t);
  const dataDir = join(cwd, "data");
  const first = await runJson<Seeded>(["seed"], { cwd, env });
  assert.deepEqual(rowsWith(first.accounts, "username", "role"), [
    ["admin", "Admin"],
    ["user", "User"],
  ]);
  assert.deepEqual(first.made, { accounts: 2, rules: 3, buckets: 2, tasks: 5, events: 20 });
  assert.deepEqual(Object.values(first.kept), [0, 0, 0, 0, 0]);
  const before = rowsIn(dataDir);

  await t.test("again: everything is kept, and no password is shown", async () => {
    const { status, stdout, stderr } = await runCli(["seed"], { cwd, env });
    assert.equal(status, 0, stderr);
    assert.match(
      stdout,
      /^KIND +CREATED +EXISTED\naccounts +0 +2\nrules +0 +3\nbuckets +0 +2\ntasks +0 +5\nevents +0 +20\n$/,
    );
    assert.deepEqual(rowsIn(dataDir), before);
  });

  await t.test("the project gets routes and a policy of its own, as in docs/first-alert.md", async (st) => {
    const prism = await startPrism(st, { dir: dataDir, settings: { "auth.bcryptCost": "4" } });
    const steps = [{ type: "notify", users: ["admin"] }];
    assert.equal((await prism.post("/api/v1/policies", { name: "Escalate", steps })).status, 201);
    const routes = [{ matchers: ['severity="critical"'], policy: "Escalate" }];
    const route = { policy: "default", groupBy: ["alertname"], groupWaitMs: 10_000, groupIntervalMs: 60_000, routes };
    assert.equal((await prism.put("/api/v1/routes", { route })).status, 200);
    await prism.stop();
  });

  await t.test("--demo adds what is missing, and also again nothing", async () => {
    const demo = await runJson<Seeded>(["seed", "--demo", "--events", "200", "--users", "6"], { cwd, env });
    assert.deepEqual(demo.made, { ...DEMO_MADE, accounts: 5, rules: 8, buckets: 3, tasks: 20, events: 200 });
    assert.match(demo.apiKey ?? "", /^prk_/);
    const rows = demo.accounts.map(({ role, password }) => [role, password !== null]);
    assert.deepEqual(rows, [
      ["Admin", false],
      ["User", false],
      ["Operator", true],
      ["RuleManager", true],
      ["Viewer", true],
      ["Auditor", true],
      ["User", true],
    ]);
    const then = rowsIn(dataDir);
    const again = await runJson<Seeded>(["seed", "--demo", "--events", "200", "--users", "6"], { cwd, env });
    assert.deepEqual([...new Set(Object.values(again.made))], [0]);
    assert.equal(again.apiKey, null);
    assert.deepEqual(rowsIn(dataDir), then);
  });

  await t.test("--demo has touched everything that a server without others to call can show", async (st) => {
    const db = new SqliteDatabase(databaseIn(dataDir), { readonly: true });
    st.after(() => db.close());
    const one = (sql: string) => db.prepare<[], unknown>(sql).pluck().get();
    for (const [what, sql] of [
      ["a rule sounds", "select 1 from rules join sounds on sounds.filename = rules.sound"],
      ["a rule has versions", "select 1 from rules where version > 2"],
      ["a rule is disabled", "select 1 from rules where active = 0"],
      [
        "users were notified by a rule that sounds",
        "select 1 from notifications where kind = 'rule' and sound is not null",
      ],
      ["events were held back", "select 1 from decisions where outcome = 'suppressed'"],
      ["events were joined", "select 1 from decisions where outcome = 'deduped'"],
      ["a rule was silent", "select 1 from decisions where outcome = 'cooled'"],
      ["a link was opened", "select 1 from notification_recipients where openedAt is not null"],
      ["one is acknowledged with a note", "select 1 from notification_recipients where acknowledgeNote is not null"],
      ["some are unread", "select 1 from notification_recipients where readAt is null"],
      ["a webhook was called where nobody answers", "select 1 from deliveries where state <> 'skipped' limit 1"],
      ["nothing answered", "select count(*) = 0 from deliveries where state = 'delivered'"],
      [
        "events are spread over seven days",
        "select count(distinct occurredAt / 86400000) >= 7 from events where dedupeKey like 'demo:%'",
      ],
      ["a call was skipped", "select 1 from deliveries where state = 'skipped'"],
      ["a user has quiet hours", "select 1 from users where json_extract(prefs, '$.quietHours.from') is not null"],
      ["accounts wait for approval", "select 1 from users where status = 'pending'"],
      ["an account is disabled", "select 1 from users where status = 'disabled'"],
      ["there is a role beside the built-in ones", "select 1 from roles where builtin = 0"],
      ["an invitation is open", "select 1 from project_invitations"],
      ["a project has a digest", "select 1 from schedules where queue = 'digest'"],
      ["balances are watched", "select 1 from schedules where queue = 'bucket-monitoring'"],
      ["one of them is below its threshold", "select 1 from transfer_buckets where state = 'below'"],
      ["a message is on its way", "select 1 from messages where status = 'scheduled'"],
      ["a message is read", "select 1 from messages where status = 'read'"],
      ["a job is dead", "select 1 from jobs where state = 'dead'"],
      ["a job is cancelled", "select 1 from jobs where state = 'cancelled'"],
      ["a timer is pending", "select 1 from jobs where state = 'scheduled' and queue = 'timers'"],
      ["a silence is active", "select 1 from silences where startsAt <= updatedAt and endsAt > updatedAt limit 1"],
      ["a silence recurs", "select 1 from silences where recurrence is not null"],
      ["routes name policies", "select 1 from alert_routing where document like '%Database on call%'"],
      ["an incident is open", "select 1 from incidents where state = 'open' and snoozedUntil is null limit 1"],
      ["one is acknowledged", "select 1 from incidents where state = 'acknowledged' limit 1"],
      ["one is snoozed", "select 1 from incidents where snoozedUntil is not null"],
      ["one is resolved", "select 1 from incidents where state = 'resolved'"],
      ["one is withheld by a silence", "select 1 from incident_log where kind = 'withheld' limit 1"],
      ["one has a note", "select 1 from incident_log where kind = 'note' limit 1"],
      [
        "no rule has notified of Prism's own events",
        `select count(*) = 0 from notifications n join events e on e.id = n.eventId
          where n.kind = 'rule' and e.source like 'prism:%'`,
      ],
      [
        "a night is told from the alert to its end",
        `select count(distinct l.kind) = 4 from incident_log l join incidents i on i.id = l.incidentId
          where i.title like '%QueueBacklog%' and l.kind in ('notified', 'acknowledged', 'note', 'resolved')`,
      ],
      ["a rule has opened an alert", "select 1 from alerts where source = 'rule'"],
      ["a channel has an entry", "select 1 from stream_log where stream = 'channel:news'"],
    ] as const)
      assert.equal(one(sql), 1, what);
  });

  await t.test("its data works: accounts log in by name and mail address, rules have notified users", async (st) => {
    const prism = await startPrism(st, { dir: dataDir, settings: { "auth.bcryptCost": "4" } });
    const pages = pagesOfMenu();
    assert.deepEqual(pages.toSorted(), Object.keys(SHOWN_ON).toSorted(), "every page of the menu is looked at");
    for (const [page, paths] of Object.entries(SHOWN_ON))
      for (const path of paths) {
        const { status, body } = await prism.get<{ data?: unknown[]; version?: number }>(path);
        assert.ok(status === 200 && (body.data?.length ?? body.version ?? 0) > 0, `${page} has data: ${path}`);
      }
    const { body: routing } = await prism.get<{ route: { routes: { policy: string }[] } }>("/api/v1/routes");
    assert.deepEqual(
      valuesOf(routing.route.routes, "policy"),
      ["Demo team", "Escalate"],
      "the project's own routes are kept",
    );
    for (const { username, email, password } of first.accounts) {
      for (const name of [{ username }, { email }]) {
        await answered(200, prism.post("/auth/login", { ...name, password }, { token: null }));
      }
    }
    const { body: rules } = await prism.get<{ data: { name: string; stats: Record<string, number> }[] }>(
      "/api/v1/rules",
    );
    const matched = rules.data.filter(({ stats }) => (stats["matched"] ?? 0) > 0).map(({ name }) => name);
    assert.ok(matched.includes("Errors of a service") && matched.includes("Large payment failed"), matched.join());
    const told = prism.parts.base.store.reader
      .prepare<[], number>("select count(*) from notification_recipients")
      .pluck()
      .get();
    assert.ok((told ?? 0) > 0);
  });
});
