import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { ReceiverPreset } from "../../../../src/features/intake/receivers/preset.ts";
import { BUILT_IN_PRESETS } from "../../../../src/features/intake/receivers/presets/index.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { type Made, ReceiverTest } from "./support.ts";

const root = join(import.meta.dirname, "../../../..");

interface Plain {
  readonly body: unknown;
  /** What the title must say. */
  readonly said: string;
  readonly headers?: Record<string, string>;
  /** The severity of the alert or the level of the event, and the words of the body that name it. */
  readonly named?: readonly [severity: string, words: string];
}

/** The plainest body that the sender of each preset can make, without a severity, and what people must read. */
const PLAIN: Readonly<Record<string, Plain>> = {
  alertmanager: {
    body: { alerts: [{ status: "firing", labels: { alertname: "Backup failed" }, fingerprint: "f" }] },
    said: "Backup failed",
  },
  grafana: {
    body: { alerts: [{ status: "firing", labels: { alertname: "Copy failed" }, fingerprint: "f" }] },
    said: "Copy failed",
  },
  "uptime-kuma": { body: { heartbeat: null, monitor: null, msg: "Backup failed" }, said: "Backup failed" },
  healthchecks: {
    body: { name: "Backup", status: "down", uuid: "u" },
    said: "Backup is down",
    named: ["error", "down"],
  },
  uptimerobot: {
    body: { monitorID: "1", monitorFriendlyName: "Backup", alertType: "1" },
    said: "Backup is down",
    named: ["error", '"alertType":"1"'],
  },
  statuscake: {
    body: { Name: "Backup", URL: "https://b.example", Status: "Down" },
    said: "Backup is down",
    named: ["error", "Down"],
  },
  zabbix: { body: { source: "zabbix", event: "7", value: "1", name: "Backup failed" }, said: "Backup failed" },
  datadog: { body: { title: "Backup failed" }, said: "Backup failed" },
  proxmox: { body: { title: "Backup failed", message: "No space" }, said: "Backup failed" },
  truenas: { body: { text: "Backup failed" }, said: "Backup failed" },
  unraid: { body: { subject: "Backup failed", event: "Backup" }, said: "Backup failed" },
  synology: { body: { text: "Backup is not done" }, said: "Backup is not done" },
  "home-assistant": { body: { message: "Backup failed" }, said: "Backup failed" },
  github: {
    body: {
      action: "opened",
      issue: { number: 1, title: "Backup failed" },
      repository: { full_name: "a/b" },
      sender: { login: "ada" },
    },
    said: "Backup failed",
    headers: { "x-github-event": "issues" },
  },
  forgejo: {
    body: {
      action: "opened",
      issue: { number: 1, title: "Backup failed" },
      repository: { full_name: "a/b" },
      sender: { login: "ada" },
    },
    said: "Backup failed",
    headers: { "x-gitea-event": "issues" },
  },
  gitlab: {
    body: {
      object_kind: "issue",
      object_attributes: { title: "Backup failed", action: "open" },
      project: { path_with_namespace: "a/b" },
    },
    said: "Backup failed",
  },
  sentry: { body: { message: "Backup failed" }, said: "Backup failed" },
  pagerduty: {
    body: {
      event: {
        id: "e",
        event_type: "incident.annotated",
        data: { id: "n", incident: { id: "p", summary: "Backup failed" }, content: "Seen" },
      },
    },
    said: "Backup failed",
  },
  jenkins: {
    body: { name: "backup", build: { phase: "FINALIZED", number: 1, status: "ABORTED" } },
    said: "backup #1 was aborted",
  },
  argocd: { body: { id: "backup", health: "Unknown", message: "Backup failed" }, said: "backup: Unknown" },
  dockerhub: {
    body: { push_data: { tag: "1" }, repository: { repo_name: "a/backup" } },
    said: "a/backup:1 was pushed",
  },
  cloudwatch: { body: { Type: "Notification", Message: "Backup failed", TopicArn: "t" }, said: "Backup failed" },
  stripe: {
    body: { id: "e", object: "event", type: "balance.available", data: { object: {} } },
    said: "balance available",
  },
  "formatted-webhook": { body: { title: "Backup failed" }, said: "Backup failed" },
  cloudevents: {
    body: { specversion: "1.0", id: "1", source: "/x", type: "backup.failed", data: { message: "No space" } },
    said: "Backup failed",
  },
  standardwebhooks: { body: { type: "backup.failed", data: { title: "Backup failed" } }, said: "Backup failed" },
  apprise: {
    body: { version: "1.0", title: "Backup failed", message: "No space", attachments: [], type: "info" },
    said: "Backup failed",
  },
  slack: { body: { text: "Backup failed" }, said: "Backup failed" },
  discord: { body: { content: "Backup failed" }, said: "Backup failed" },
  mail: {
    body: { title: "Backup failed", text: "", status: "event", level: null, key: null, automatic: null },
    said: "Backup failed",
  },
  generic: { body: { title: "Backup failed", priority: "normal" }, said: "Backup failed" },
};

/**
 * The presets that keep their plainest message to themselves, since its sender says what it is, with the
 * words of their page about that message.
 */
const SILENT: Readonly<Record<string, RegExp>> = {
  github: /pushes, issues, releases and the like are silent: they have the level info/i,
  forgejo: /pushes, issues, releases and the like are silent: they have the level info/i,
  gitlab: /pushes, issues, merge requests and the like are silent: they have the level info/i,
  stripe: /events are silent, but disputes/i,
};

/** The titles that people are told: of notifications of receivers, and of incidents. */
function notifiedTitles(it: ReceiverTest): string[] {
  return [
    ...rowsOf<{ title: string }>(it.prism, "select title from notifications where kind = 'rule'"),
    ...rowsOf<{ title: string }>(it.prism, "select title from incidents"),
  ].map(({ title }) => title);
}

async function decided(it: ReceiverTest): Promise<void> {
  await eventually("decided", () => scalarOf(it.prism, "select count(*) from events where processedAt is null") === 0);
}

function pageOf({ docs }: Pick<ReceiverPreset, "docs">): string {
  return readFileSync(join(root, "docs/integrations", `${docs}.md`), "utf8").replaceAll(/\s+/g, " ");
}

/** The severity of the alert, or the level of the newest event; `none` is what is stored without one. */
function severityOf(it: ReceiverTest, title: string): { readonly found: string | null; readonly none: string | null } {
  const found = (table: string, column: string) =>
    rowsOf<{ found: string | null }>(
      it.prism,
      `select ${column} as found from ${table} where instr(annotations, '${title}') > 0`,
    );
  const [alert] = found("alerts", "severity");
  if (alert) return { found: alert.found, none: null };
  const [event] = rowsOf<{ level: string }>(it.prism, "select level from events order by seq desc limit 1");
  return { found: event?.level ?? "no event", none: "info" };
}

async function makeOpen(it: ReceiverTest, { name, secret }: ReceiverPreset): Promise<Made> {
  const open = secret === "required" ? { secret: "a secret", verify: [{ scheme: "credential" }] } : {};
  return it.make({ name, preset: name, ...open });
}

test("the plainest message of each preset is told without a severity of Prism's own", async (t) => {
  const it = await ReceiverTest.start(t, { settings: { "rateLimit.enabled": "false" } });
  assert.deepEqual(Object.keys(PLAIN).sort(), BUILT_IN_PRESETS.map(({ name }) => name).sort());
  for (const [i, preset] of BUILT_IN_PRESETS.entries())
    await t.test(preset.name, async () => {
      const { body, said, headers, named } = PLAIN[preset.name] as Plain;
      // Alerts of one name are one incident.
      const numbered = (text: string) => text.replace(/Backup|backup|Copy|balance/g, (word) => `${word} ${i}`);
      const receiver = await makeOpen(it, preset);
      const before = notifiedTitles(it);
      const notified = countOf(it.prism, "receiver_events");
      const sent = { "content-type": "application/json", authorization: "Bearer a secret", ...headers };
      const { status, text } = await it.send(receiver, numbered(JSON.stringify(body)), { headers: sent });
      assert.ok(status < 300, `${status} ${text}`);
      await decided(it);
      const news = () => notifiedTitles(it).filter((each) => !before.includes(each));
      const silent = SILENT[preset.name];
      if (silent) {
        assert.match(pageOf(preset), silent);
        assert.deepEqual([news(), countOf(it.prism, "receiver_events")], [[], notified]);
        return;
      }
      const wanted = numbered(said);
      const titles = await eventually("notified", () => (news().length > 0 ? news() : null));
      assert.ok(
        titles.some((title) => title.includes(wanted)),
        titles.join(" | "),
      );
      const { found, none } = severityOf(it, wanted);
      if (named) assert.ok(numbered(JSON.stringify(body)).includes(named[1]), named[1]);
      assert.equal(found, named?.[0] ?? none);
    });
});

test("a body of another preset's form at generic becomes what it becomes there", async (t) => {
  const it = await ReceiverTest.start(t);
  const generic = await it.make({ name: "any" });
  for (const preset of BUILT_IN_PRESETS.filter(({ shape }) => shape !== undefined)) {
    const { sample, name } = preset;
    const own = await makeOpen(it, preset);
    const request = {
      ...(sample.method !== undefined && { method: sample.method }),
      ...(sample.query !== undefined && { query: sample.query }),
      // Its signature adds this header.
      headers: { ...sample.headers, ...(name === "standardwebhooks" && { "webhook-id": "1" }) },
      contentType: sample.contentType ?? "application/json",
      body: typeof sample.body === "string" ? sample.body : JSON.stringify(sample.body),
    };
    const [there, here] = await Promise.all(
      [own, generic].map(({ id }) => it.prism.post<Tried>(`/api/v1/receivers/${id}/test`, { request })),
    );
    assert.deepEqual(shownOf(here), shownOf(there), name);
    assert.ok((here?.body.events.length ?? 0) + (here?.body.alerts.length ?? 0) > 0, name);
  }
});

interface Tried {
  readonly events: readonly {
    readonly type: string;
    readonly level: string;
    readonly payload: Record<string, unknown>;
  }[];
  readonly alerts: readonly { readonly key: string; readonly status: string; readonly annotations: object }[];
}

/** Without what names the receiver. */
function shownOf(reply: { readonly body: Tried } | undefined) {
  const { events = [], alerts = [] } = reply?.body ?? {};
  return {
    // A group of alerts at generic stores an event for each, too.
    events: (alerts.length > 0 ? [] : events).map(({ type, level, payload: { title, message, status, key } }) => ({
      type,
      level,
      title,
      message,
      status,
      key,
    })),
    alerts: alerts.map(({ key, status, annotations }) => ({ key, status, annotations })),
  };
}

test("what is not understood is told once for each different thing, and the rest in a summary", async (t) => {
  const settings = { "suppression.enforceDefault": "true", "suppression.defaultCount": "4" };
  const it = await ReceiverTest.start(t, { settings });
  const receiver = await it.make({ name: "any" });
  const probe = (PROBENAME: string, more = {}) => ({
    PROBENAME,
    PROBE_STATUS: "DOWN",
    OUTAGE_REASON: "timeout",
    ...more,
  });
  await it.send(receiver, probe("Shop", { PROBE_ID: 1, at: "2026-01-31T08:00:05Z" }));
  await it.send(receiver, probe("Shop", { PROBE_ID: 2, at: "2026-01-31T08:01:05Z" }));
  await it.send(receiver, [probe("Bank"), probe("Bank"), probe("Mail")]);
  await decided(it);
  const titles = () =>
    rowsOf<{ title: string }>(it.prism, "select title from notifications where kind = 'rule'")
      .map(({ title }) => title)
      .sort();
  assert.deepEqual(titles(), ["Bank: DOWN", "Mail: DOWN", "Shop: DOWN"]);
  for (let i = 0; i < 4; i++) await it.send(receiver, probe(`Other${"abcd"[i]}`));
  await decided(it);
  assert.equal(titles().length, 4, "the receiver's limit");
});

test("each check of a list deep in a body is told", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ name: "any" });
  const items = ["Shop", "Bank"].map((check) => ({ check, result: "slow" }));
  await it.send(receiver, { source: "s", result: { items } });
  await it.send(receiver, { data: { alerts: [{ title: "X1", state: "bad" }, { title: "X2" }] } });
  const titles = (await it.events()).map(({ payload }) => payload["title"]);
  assert.deepEqual(titles.sort(), ["Bank: slow", "Shop: slow", "X1", "X2"]);
});

test("an id of a run is no key, a key alone is not understood, and texts are texts", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ name: "any" });
  await it.send(receiver, { id: 2722, title: "Nightly failed", status: "failed" });
  await it.send(receiver, { id: 2723, title: "Nightly failed", status: "failed" });
  assert.equal((await it.alerts()).length, 1);
  await it.send(receiver, { id: 2724, title: "Nightly successful", status: "successful" });
  assert.deepEqual(await it.alerts(), []);
  await it.send(receiver, { id: "7bf7", detailType: "Scan", region: "eu" });
  assert.equal((await it.events("receiver.unmapped")).length, 1);
  const said = async (body: object) => {
    await it.send(receiver, body);
    const { payload } = (await it.events()).at(-1) ?? {};
    return [payload?.["title"], payload?.["message"]];
  };
  assert.deepEqual(await said({ title: null, summary: {}, name: "Deploy", message: ["a", "b"] }), ["Deploy", "a\nb"]);
  assert.deepEqual(await said({ title: { en: "Disk", de: "Platte" }, message: { text: "full" } }), ["Disk", "full"]);
  assert.deepEqual(await said({ title: true, name: { first: "Fan" }, message: 7 }), ["Fan", "7"]);
  assert.deepEqual(await said({ title: "Raid", status: "degraded", message: "disk 3" }), ["Raid: degraded", "disk 3"]);
});

test("of a priority only what is above the middle is a severity", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ name: "any" });
  const rows: readonly [unknown, string][] = [
    ...["normal", "low", "default", "medium", "P4", 1, 3, "info"].map((each) => [each, "info"] as [unknown, string]),
    ...(["high", "P2", 4].map((each) => [each, "error"]) as [unknown, string][]),
    ...(["urgent", "critical", "P1", 5].map((each) => [each, "fatal"]) as [unknown, string][]),
  ];
  for (const [priority, level] of rows) {
    await it.send(receiver, { title: `Raid ${priority}`, message: "disk 3 failed", priority });
    assert.equal((await it.events()).at(-1)?.level, level, String(priority));
  }
  await decided(it);
  assert.equal(countOf(it.prism, "receiver_events"), rows.length, "all of them are told");
});

test("a success of a build that ends nothing is silent, other ends are told", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ name: "any" });
  const build = (status: string) => ({ friendly_name: "Job", name: "Nightly", inventory: "All", status });
  await it.send(receiver, build("successful"));
  await decided(it);
  assert.equal(countOf(it.prism, "receiver_events"), 0);
  await it.send(receiver, build("failed"));
  await it.send(receiver, build("successful"));
  assert.deepEqual(await it.alerts(), []);
  const gitlab = await it.make({ name: "gitlab", preset: "gitlab" });
  const project = { path_with_namespace: "a/b" };
  await it.send(gitlab, { object_kind: "pipeline", object_attributes: { status: "success", ref: "main" }, project });
  await decided(it);
  assert.equal(countOf(it.prism, "receiver_events"), 0);
  await it.send(receiver, { monitor_id: "1", monitor_name: "Shop", monitor_status: "online" });
  await decided(it);
  assert.equal(countOf(it.prism, "receiver_events"), 1);
});
