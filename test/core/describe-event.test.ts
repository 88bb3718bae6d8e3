import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { describeEvent } from "../../src/core/text/describe-event.ts";
import { processorMs } from "../helpers/cpu-time.ts";

const event = (type: string, payload: object, more: object = {}) => ({
  ...{ type, level: "info", source: null, payload: payload as Record<string, unknown> },
  ...more,
});

const ROWS = [
  {
    name: "title and message",
    event: event("message", { title: "Disk almost full", message: "/var 98 %", host: "db-2" }, { level: "fatal" }),
    title: "Disk almost full",
    text: "Critical · db-2\n/var 98 %",
  },
  {
    name: "a push as GitHub sends it",
    event: event("github.push", {
      ref: "refs/heads/main",
      repository: { full_name: "acme/shop" },
      sender: { login: "anna" },
      head_commit: { message: "fix login\n\nIt was broken." },
    }),
    title: "Push to acme/shop by anna: fix login",
    text: "Info",
  },
  {
    name: "a star",
    event: event("github.star.created", { repository: { full_name: "acme/shop" }, sender: { login: "anna" } }),
    title: "Star created in acme/shop by anna",
    text: "Info",
  },
  {
    name: "a failed workflow has no level of its own",
    event: event("github.workflow_run.completed", {
      repository: { full_name: "acme/shop" },
      workflow_run: { name: "CI", conclusion: "failure", html_url: "https://git.example/1" },
    }),
    title: "Workflow run completed in acme/shop: CI failure",
    text: "Error",
    link: "https://git.example/1",
  },
  {
    name: "Alertmanager's webhook",
    event: event("webhook", {
      status: "firing",
      commonLabels: { severity: "critical" },
      alerts: [
        { labels: { alertname: "InstanceDown", instance: "db-2:9100" }, annotations: { summary: "db-2 is down" } },
      ],
    }),
    title: "db-2 is down",
    text: "Critical · db-2:9100",
  },
  {
    name: "the name of an alert without other words",
    event: event("webhook", { labels: { alertname: "InstanceDown", instance: "db-2" }, status: "firing" }),
    title: "InstanceDown: firing",
    text: "Error · db-2",
  },
  {
    name: "only values",
    event: event("payment.failed", { orderId: "A-1001", amount: 1200 }, { source: "shop" }),
    title: "Payment failed from shop",
    text: "Error\norderId: A-1001, amount: 1200",
  },
  {
    name: "a level that the sender chose stands",
    event: event("payment.failed", { severity: "critical" }, { level: "warn" }),
    title: "Payment failed",
    text: "Warning",
  },
  {
    name: "a text body: its first line is shown once",
    event: event("message", { title: "Backup done", message: "Backup done\n12 GB in 3 min" }, { source: "cron" }),
    title: "Backup done",
    text: "cron\n12 GB in 3 min",
  },
  {
    name: "a message without a title",
    event: event("backup.finished", { message: "12 GB in 3 min", host: "nas" }),
    title: "Backup finished: nas",
    text: "12 GB in 3 min",
  },
  {
    name: "a text that says what the type says, once",
    event: event("backup.failed", { message: "Backup failed" }),
    title: "Backup failed",
    text: "Error",
  },
  {
    name: "a text that begins with what the type says, once",
    event: event("backup.failed", { message: "backup_failed: no space left\nSee the log" }, { source: "nas" }),
    title: "backup_failed: no space left",
    text: "Error · nas\nSee the log",
  },
  {
    name: "a name that says what the type says, once",
    event: event("nightly_backup", { name: "nightly-backup", message: "12 GB" }),
    title: "Nightly backup",
    text: "12 GB",
  },
  {
    name: "a thing and its text that begins with its name",
    event: event("message", { message: "nas: 12 GB in 3 min", host: "nas" }),
    title: "nas: 12 GB in 3 min",
    text: "Info",
  },
  {
    name: "a text that says what the type says beside the thing",
    event: event("backup.failed", { message: "Backup failed", host: "nas" }),
    title: "Backup failed: nas",
    text: "Error",
  },
  {
    name: "a word that only begins like the type",
    event: event("back", { message: "Backup done" }),
    title: "Back: Backup done",
    text: "Info",
  },
  {
    name: "a CloudEvent",
    event: event("com.example.scale.overload", { text: "1250 kg", cloudevent: { id: "1" } }, { source: "/scales/7" }),
    title: "Scale overload: 1250 kg",
    text: "scales/7",
  },
  {
    name: "the end of something",
    event: event("message", { title: "Disk almost full", status: "resolved" }),
    title: "Resolved: Disk almost full",
    text: "Info",
  },
  {
    name: "a request that a receiver has no mapping for",
    event: event(
      "receiver.unmapped",
      { method: "POST", headers: { cookie: "c" }, body: { eventType: "Grab" } },
      { source: "Sonarr" },
    ),
    title: "Request with an unknown form at Sonarr",
    text: "eventType: Grab",
  },
  {
    name: "a bad status as a part of a title that has none of its own",
    event: event("payment", { status: "failed", amount: 1500, host: "web-1" }),
    title: "Payment failed: web-1",
    text: "Error\namount: 1500",
  },
  {
    name: "names that only end as usual ones do, as a receiver reads them",
    event: event("message", { probeName: "Shop", probeStatus: "DOWN", dbPassword: "hunter22" }, { source: "probes" }),
    title: "Shop: DOWN",
    text: "Error · probes",
  },
  {
    name: "what happened, its severity and its page under names that only end as usual ones do",
    event: event("message", {
      ...{ probeName: "Shop", probeStatus: "DOWN", alertSeverity: "critical" },
      ...{ outageReason: "Connection timed out", detailsUrl: "https://probes.example/7" },
    }),
    title: "Shop: DOWN",
    text: "Critical\nConnection timed out",
    link: "https://probes.example/7",
  },
  {
    name: "a level that the sender of unknown names chose",
    event: event("message", { probeName: "Shop", probeStatus: "DOWN" }, { level: "warn" }),
    title: "Shop: DOWN",
    text: "Warning",
  },
  {
    name: "secrets under such names",
    event: event("message", { secret: { testName: "hunter22" }, jobUrl: "https://u:hunter22@x.example" }),
    title: "Event without a text",
    text: "Info",
  },
  { name: "nothing at all", event: event("message", {}), title: "Event without a text", text: "Info" },
];

for (const { name, event: given, title, text, link } of ROWS)
  test(`describes ${name}`, () => {
    const description = describeEvent(given);
    assert.deepEqual([description.title, description.text], [title, text]);
    if (link !== undefined) assert.equal(description.link, link);
  });

test("a long title ends at a word within 80 characters, and the text goes on to 4000", () => {
  const { title, text } = describeEvent(event("x", { title: "word ".repeat(50), message: "y".repeat(9000) }));
  assert.ok(title.length <= 80 && title.endsWith("word…"), title);
  assert.equal(text.length, 4000);
});

test("links are http or https, secrets and other members of no use are no fields", () => {
  const payload = {
    title: "t",
    message: "m",
    url: "javascript:alert(1)",
    link: "https://a.example/",
    password: "p",
    apiKey: "k",
  };
  const { link, fields } = describeEvent(event("x", { ...payload, createdAt: "2026-01-01", region: "eu" }));
  assert.equal(link, "https://a.example/");
  assert.deepEqual(fields, [{ title: "region", value: "eu" }]);
  assert.equal(describeEvent(event("x", { url: "//a.example" })).link, undefined);
});

test("any payload gives a title and a text of the right length in reasonable time", () => {
  fc.assert(
    fc.property(fc.string(), fc.object({ key: fc.constantFrom(...NAMES), maxDepth: 3 }), (type, payload) => {
      const { title, text, fields } = describeEvent(event(type, payload));
      assert.ok(title.trim() !== "" && title.length <= 80 && !/[\r\n]/.test(title));
      assert.ok(text !== "" && text.length <= 4000);
      assert.ok(fields.length <= 8);
    }),
  );
});

const NAMES = [
  "title",
  "message",
  "labels",
  "alerts",
  "repository",
  "status",
  "body",
  "__proto__",
  "host",
  "sender",
  "x",
];

test("values of secrets, URLs with passwords and texts that cannot be seen are left out", () => {
  const secrets = Object.fromEntries(
    [
      ...["pwd", "password", "passwords", "passwd_old", "password_hash", "Passwort", "access_key", "otp", "pin"],
      ...["auth", "bearer", "jwt", "sessionId", "signature", "connectionString", "dsn", "api_key", "clientSecret"],
    ].map((name) => [name, `${name}-ZZZ`]),
  );
  const more = { header: "Bearer ZZZ", database: "postgres://u:ZZZ@h/d", author: "anna" };
  const described = describeEvent(
    event("x.y", {
      ...{ title: "\u200b\u00ad", url: "https://user:ZZZ@evil.example/", ...secrets, ...more },
      data: { object: secrets },
    }),
  );
  assert.doesNotMatch(JSON.stringify(described), /ZZZ/);
  assert.equal(described.link, undefined);
  assert.match(described.title, /^X y/);
  assert.equal(described.text, "anna");
  const link = describeEvent(event("x", { title: "t", url: "HTTPS://evil.example/\u202ereversed" })).link;
  assert.equal(link, "https://evil.example/%E2%80%AEreversed");
});

test("a payload of thousands of members is not read member by member", () => {
  let reads = 0;
  const many = (): object =>
    new Proxy(Object.fromEntries(Array.from({ length: 990 }, (_, n) => [`m${n}`, "a"])), {
      get: (target, name) => {
        reads++;
        return Reflect.get(target, name) as unknown;
      },
    });
  const payload = {
    message: "a b c d ".repeat(1000),
    annotations: many(),
    event: many(),
    alert: many(),
    issue: many(),
  };
  assert.deepEqual(describeEvent(event("x", payload)).fields, []);
  assert.ok(reads < 500, `${reads} members were read`);
});

test("an end does not have the severity of the problem, an acknowledgement says so, a type is no title", () => {
  const of = (payload: Record<string, unknown>, type = "message") =>
    describeEvent({ type, level: "info", source: "ops", payload });
  const end = of({ title: "Disk full on db-1", status: "resolved", labels: { severity: "critical" } });
  assert.deepEqual([end.title, end.level, end.text], ["Resolved: Disk full on db-1", "info", "ops"]);
  const seen = of({ title: "Disk full on db-1", status: "acknowledged" });
  assert.equal(seen.title, "Acknowledged: Disk full on db-1");
  const typed = of({ title: "com.example.disk.full", message: "/var is full" }, "com.example.disk.full");
  assert.equal(typed.title, "Disk full: /var is full");
  assert.equal(of({ title: "x", body: { user: true } }).text.split("\n", 1)[0], "ops");
  assert.equal(of({ title: "x", body: { message: "<b>Disk</b> full<br>now" } }).message, "Disk full\nnow");
});

test("an end has no severity of the problem, with any word for a good state", () => {
  const of = (payload: Record<string, unknown>, level = "info") => describeEvent(event("message", payload, { level }));
  for (const status of ["ok", "closed", "fixed", "up", "healthy", "Recovered"]) {
    const end = of({ title: "Disk full", status, severity: "critical", host: "db-1" });
    assert.deepEqual([end.title, end.level, end.text], ["Resolved: Disk full", "info", "db-1"], status);
    // The level that a sender chose is that of the problem, too, when the title tells of its end.
    const chosen = of({ title: "Disk full", status, host: "db-1" }, "fatal");
    assert.deepEqual([chosen.level, chosen.text], ["info", "db-1"], status);
  }
  const open = of({ title: "Disk full", status: "open", severity: "critical" });
  assert.deepEqual([open.level, open.text], ["fatal", "Critical"]);
  assert.equal(of({ message: "The socket was closed", status: "closed" }, "error").level, "error");
});

test("long texts and names, and many short values beside a long text, take a few milliseconds", () => {
  const long = (text: string): string => text.repeat(8000 / text.length);
  const of = (names: readonly string[], value: unknown) => Object.fromEntries(names.map((name) => [name, value]));
  const names = Array.from({ length: 199 }, (_, n) => `m${n}`);
  const lines = ["title", "subject", "status", "severity", "host", "server", "service", "user", "name", "check"];
  const blank = of([...lines, "text", "message"], long("\u00ad\u202a"));
  const wrapped = ["labels", "data", "body", "event", "alert", "issue", "tags", "release", "incident", "object"];
  const payloads: readonly Record<string, unknown>[] = [
    { message: long("\u00e9 b c "), ...of(names, "\u00e9") },
    of(names, long("\u00e9 a ")),
    of(lines, long("\u00e9 a ")),
    { ...blank, ...of(wrapped, { ...blank, ...of(wrapped, blank) }) },
    Object.fromEntries(names.map((name) => [long("\u00e9 a ") + name, name])),
    of(names, `https://${"a:".repeat(4000)}`),
  ];
  for (const [at, payload] of payloads.entries()) {
    describeEvent(event("message", payload));
    const took = processorMs(() => {
      for (let turn = 0; turn < 10; turn++) describeEvent(event("message", payload));
    });
    // About 1 ms each; without the limits 40 to 3000.
    assert.ok(took < 150, `payload ${at}: ${took} ms for ten`);
  }
});
