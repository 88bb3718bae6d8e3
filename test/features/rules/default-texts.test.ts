import assert from "node:assert/strict";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import SqliteDatabase from "better-sqlite3";
import { migrateFile, migrateUp } from "../../../src/store/sqlite/migrate.ts";
import { MIGRATIONS } from "../../../src/store/sqlite/migrations.gen.ts";
import { eventually } from "../../helpers/eventually.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";
import { slackBot } from "../channels/presets/slack.ts";
import { telegramBot } from "../channels/presets/telegram.ts";
import { startStandIn } from "../channels/support/stand-in.ts";
import { mailPeer } from "../delivery/support/mail-peer.ts";
import { ReceiverTest } from "../intake/receivers/support.ts";

interface Notice {
  readonly title: string;
  readonly message: string;
  readonly action: string | null;
  readonly data: string | null;
  readonly priority: number;
}

const noticesOf = (prism: TestPrism) =>
  rowsOf<Notice>(
    prism,
    "select title, message, action, data, priority from notifications where kind = 'rule' order by id",
  );

const EVERYTHING = { name: "Everything", condition: "true", targetUsers: ["me"] };
const HEADERS = { "x-github-event": "push", "x-github-delivery": "1" };

async function sendEvent(prism: TestPrism, query: string, type: string, body: object | string): Promise<void> {
  const { status } = await fetch(`${prism.url}/api/v1/events${query}`, {
    method: "POST",
    headers: { "Content-Type": type, Authorization: `Bearer ${prism.adminToken}` },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  assert.ok(status < 300, `${status}`);
}

test("a rule without templates says what happened, whatever the event came from", async (t) => {
  const it = await ReceiverTest.start(t);
  const { prism } = it;
  const rule = await prism.post<{ titleTemplate: null; messageTemplate: null }>("/api/v1/rules", EVERYTHING);
  assert.deepEqual([rule.body.titleTemplate, rule.body.messageTemplate], [null, null]);
  const [generic, github, mail] = [
    await it.make({ name: "NAS", preset: "generic", notify: "none" }),
    await it.make({ name: "Code", preset: "github", notify: "none" }),
    await it.make({ name: "Mails", preset: "mail", notify: "none" }),
  ];
  const push = {
    ref: "refs/heads/main",
    repository: { full_name: "acme/shop", html_url: "https://github.com/acme/shop" },
    sender: { login: "anna" },
    head_commit: { message: "fix login" },
    compare: "https://github.com/acme/shop/compare/a...b",
  };
  const cloudEvent = { specversion: "1.0", id: "1", source: "/scales/7", type: "com.example.scale.overload" };
  const steps: readonly [() => Promise<unknown>, Partial<Notice>][] = [
    [
      () =>
        it.send(generic, {
          title: "Disk almost full",
          message: "/var 98 %",
          level: "critical",
          url: "https://g.example/1",
        }),
      {
        title: "Disk almost full",
        message: "Critical · NAS\n/var 98 %",
        action: '{"type":"open","url":"https://g.example/1"}',
        data: '{"level":"fatal"}',
        priority: 0,
      },
    ],
    [
      () => it.send(github, push, { headers: HEADERS }),
      {
        title: "acme/shop: anna pushed to main: fix login",
        message: "Code",
        action: '{"type":"open","url":"https://github.com/acme/shop/compare/a...b"}',
      },
    ],
    [
      () =>
        it.send(mail, {
          title: "Cron <root@db-1> backup",
          text: "tar: error",
          status: "event",
          from: { address: "root@db-1" },
          level: "error",
        }),
      { title: "Cron <root@db-1> backup", message: "Error · Mails\ntar: error" },
    ],
    [
      () =>
        sendEvent(prism, "", "application/cloudevents+json", {
          ...cloudEvent,
          severity: "warning",
          data: { message: "1250 kg" },
        }),
      { title: "Scale overload: 1250 kg", message: "Warning · scales/7", data: '{"level":"warn"}' },
    ],
    [
      () => sendEvent(prism, "?source=cron", "text/plain", "Backup done\n12 GB in 3 min"),
      { title: "Backup done", message: "cron\n12 GB in 3 min", data: null, action: null },
    ],
  ];
  for (const [at, [send, expected]] of steps.entries()) {
    await send();
    const notices = await eventually("the notification is stored", () => {
      const rows = noticesOf(prism);
      return rows.length > at ? rows : null;
    });
    const last = notices.at(-1);
    assert.deepEqual({ ...last, ...expected }, last, `step ${at}`);
  }
});

/** A server with an administrator's mailbox and a channel to each service. */
async function withChannels(t: TestContext) {
  const telegram = await startStandIn(t, telegramBot());
  const slack = await startStandIn(t, slackBot());
  const mails = await mailPeer(t);
  const settings = { ...mails.settings, "webhooks.allowPrivateCidrs": "127.0.0.0/8" };
  const prism = await startPrism(t, { settings });
  for (const { service, url } of [telegram, slack]) {
    const made = await prism.post("/api/v1/channels", {
      ...{ name: service.preset, preset: service.preset, fields: service.fields(url) },
    });
    assert.equal(made.status, 201, made.text);
  }
  await prism.parts.base.database.write((trx) => trx.updateTable("users").set({ email: "me@example.com" }).execute());
  return { prism, telegram, slack, mails };
}

test("Telegram, Slack and mail show title, text, colour and link of the event", async (t) => {
  const { prism, telegram, slack, mails } = await withChannels(t);
  await prism.post("/api/v1/rules", { ...EVERYTHING, channels: ["in_app", "service", "email"] });
  await prism.post("/api/v1/events", {
    ...{ type: "disk.full", level: "fatal", source: "grafana" },
    payload: {
      title: "Disk almost full",
      message: "/var 98 %",
      link: "https://g.example/d/1",
      labels: { team: "blue" },
    },
  });
  await eventually("all have it", () => telegram.seen.length + slack.seen.length + mails.accepted.length === 3);
  const [chat, room, mail] = [telegram.seen[0]?.text ?? "", slack.seen[0]?.text ?? "", mails.accepted[0] ?? ""];
  for (const text of [chat, room]) {
    assert.match(text, /🔥.*Disk almost full/);
    assert.match(text, /Critical · grafana\n\/var 98 %/);
  }
  assert.ok(telegram.requests.at(-1)?.text.includes("https://g.example/d/1"));
  const sent = slack.requests.at(-1)?.text ?? "";
  assert.ok(sent.includes("https://g.example/d/1") && sent.includes("#b91c1c") && /team.*blue/s.test(sent), sent);
  assert.match(mail, /^Subject: Disk almost full\r$/m);
  assert.match(mail, /^Importance: high\r$/m);
  assert.match(mail, /https:\/\/g\.example\/d\/1/);
  assert.match(mail, /#d5383f/);
  await prism.post("/api/v1/events", { type: "deploy.done", payload: { title: "Deployed" } });
  const later = await eventually("the second mail is there", () => mails.accepted[1] ?? null);
  assert.ok(!/^Importance/m.test(later));
  assert.match(telegram.seen[1]?.text ?? (await eventually("it is in the chat", () => telegram.seen[1]?.text)), /🔵/);
});

test("templates stand, also beside a default; null brings the default back", async (t) => {
  const prism = await startPrism(t);
  const payload = { title: "Disk full", message: "/var", link: "https://g.example/" };
  const { body: rule } = await prism.post<{ id: string }>("/api/v1/rules", {
    ...{ ...EVERYTHING, messageTemplate: "on {{ event.source }}" },
  });
  const notify = async (count: number) => {
    await prism.post("/api/v1/events", { type: "x", level: "error", source: "nas", payload });
    return eventually("it is stored", () => noticesOf(prism)[count - 1] ?? null);
  };
  const first = await notify(1);
  assert.deepEqual([first.title, first.message, first.action], ["Disk full", "on nas", null]);
  assert.equal(first.data, '{"level":"error"}', "the level is shown with any text");
  await answered(200, prism.patch(`/api/v1/rules/${rule.id}`, { messageTemplate: null, titleTemplate: "Full" }));
  const second = await notify(2);
  assert.deepEqual([second.title, second.message], ["Full", "Error · nas\n/var"]);
  assert.equal((await prism.patch(`/api/v1/rules/${rule.id}`, { titleTemplate: "" })).status, 400);
});

test("a trial and a backtest show the same default", async (t) => {
  const prism = await startPrism(t);
  const event = { type: "payment.failed", source: "shop", payload: { title: "Card refused", reason: "expired" } };
  await prism.post("/api/v1/events", event);
  const templates = { title: null, message: null };
  const trial = await prism.post("/api/v1/rules/test", { condition: "true", event, templates });
  assert.deepEqual([trial.body["title"], trial.body["message"]], ["Card refused", "Error · shop\nexpired"]);
  const { body } = await prism.post<{ samples: { title: string }[] }>("/api/v1/rules/backtest", { condition: "true" });
  assert.deepEqual(valuesOf(body.samples, "title"), ["Card refused"]);
});

test("a threshold says how many, an alert has the words of the event", async (t) => {
  const prism = await startPrism(t);
  const rule = { ...EVERYTHING, threshold: { count: 2, windowMs: 600_000 }, alert: { severity: "critical" } };
  assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  const event = { type: "login.failed", source: "vpn", payload: { title: "Wrong password", message: "for anna" } };
  for (const _ of [1, 2]) await prism.post("/api/v1/events", event);
  const notice = await eventually("the rule has fired", () => noticesOf(prism)[0] ?? null);
  assert.deepEqual([notice.title, notice.message], ["Wrong password", "Error · vpn · 2 within 10 min\nfor anna"]);
  const annotations = await eventually("the alert is open", async () => {
    const { body } = await prism.get<{ data: { annotations: object }[] }>("/api/v1/alerts");
    return body.data[0]?.annotations ?? null;
  });
  assert.deepEqual(annotations, { summary: "Wrong password", description: "for anna" });
});

test("rules that have the earlier default get none; other templates stay", (t) => {
  const file = join(temporaryDir(t), "prism.db");
  const connection = new SqliteDatabase(file);
  migrateUp(
    connection,
    MIGRATIONS.filter(({ name }) => name < "0047"),
  );
  const rows: readonly (readonly [id: string, name: string, title: string, message: string])[] = [
    ["a", "Everything", "Everything", "{{event.type}}"],
    ["b", "Renamed", "Old name", "{{event.type}}"],
    ["c", "a {{b}}", "a { {b}}", "{{event.type}}"],
    ["d", "Own title", "{{event.host}}", "{{event.type}}"],
    ["e", "Own text", "Own text", "{{event.message}}"],
  ];
  const rule = connection.prepare(
    `insert into rules (id, name, condition, targetRoles, targetUsers, channels, titleTemplate, messageTemplate, createdAt, updatedAt)
     values (?, ?, 'true', '[]', '[]', '[]', ?, ?, 1, 1)`,
  );
  const version = connection.prepare("insert into rule_versions values (?, ?, ?, null, 1)");
  for (const [id, name, titleTemplate, messageTemplate] of rows) {
    rule.run(id, name, titleTemplate, messageTemplate);
    const first = id === "b" ? "Old name" : name;
    version.run(id, 1, JSON.stringify({ name: first, titleTemplate, messageTemplate, condition: "true" }));
  }
  connection.close();
  migrateFile(file);
  const migrated = new SqliteDatabase(file, { readonly: true });
  t.after(() => migrated.close());
  const after = [
    ["a", null, null],
    ["b", null, null],
    ["c", null, null],
    ["d", "{{event.host}}", null],
    ["e", "Own text", "{{event.message}}"],
  ];
  assert.deepEqual(
    migrated.prepare("select id, titleTemplate, messageTemplate from rules order by id").raw().all(),
    after,
  );
  const versions = migrated.prepare(
    "select ruleId, definition ->> '$.titleTemplate', definition ->> '$.messageTemplate' from rule_versions order by ruleId",
  );
  assert.deepEqual(versions.raw().all(), after);
});
