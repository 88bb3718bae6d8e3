import assert from "node:assert/strict";
import { test } from "node:test";
import { createTransport } from "nodemailer";
import { BUILT_IN_PRESETS } from "../../../../src/features/intake/receivers/presets/index.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { answered } from "../../../helpers/prism.ts";
import { SENTRY } from "../../intake/receivers/presets/support/bodies.ts";
import { ChangeWorld, MINUTE } from "./support.ts";

/* A severity under one key, by every preset whose sender reports both: label, column and notices follow. */

type Level = "warning" | "critical";
interface Sent {
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const as = (level: Level, warning: string, critical: string): string => (level === "warning" ? warning : critical);
const json = (body: unknown, headers: Readonly<Record<string, string>> = {}): Sent => ({ body, headers });
const labelled = (severity: Level): Sent =>
  json({ alerts: [{ status: "firing", fingerprint: "f", labels: { alertname: "Disk", severity } }] });

/** Alerts that get worse. The highest severity of some is `error`. */
const RISING: Readonly<Record<string, (level: Level) => Sent>> = {
  alertmanager: labelled,
  grafana: labelled,
  zabbix: (level) => json({ source: "zabbix", event: "7", name: "Disk", value: "1", severity: as(level, "2", "5") }),
  datadog: (level) => {
    const transition = as(level, "Warn", "Triggered");
    return json({ id: transition, title: "Disk", cycle: "c", transition, alert_type: level });
  },
  "home-assistant": (severity) => json({ title: "Disk", id: "disk", state: "on", severity }),
  github: (level) => {
    const alert = { number: 3, security_advisory: { summary: "Disk", severity: as(level, "medium", "critical") } };
    const body = { action: as(level, "created", "reintroduced"), alert, repository: { full_name: "a/b" } };
    return json(body, { "x-github-event": "dependabot_alert", "x-github-delivery": level });
  },
  sentry: (level) => json(SENTRY.metric(level), { "sentry-hook-resource": "metric_alert" }),
  pagerduty: (level) => {
    const data = { id: "P1", title: "Disk", priority: { summary: as(level, "P3", "P1") } };
    const event_type = as(level, "incident.triggered", "incident.reopened");
    return json({ event: { id: level, event_type, occurred_at: "2026-01-31T08:00:00Z", data } });
  },
  jenkins: (level) => {
    const build = { number: 4, phase: "FINALIZED", status: as(level, "UNSTABLE", "FAILURE") };
    return json({ name: "Disk", url: "job/disk/", build });
  },
  cloudevents: (severity) => {
    const data = { status: "firing", severity, title: "Disk" };
    return json({ specversion: "1.0", id: severity, source: "/s", type: "t.x", subject: "s1", data });
  },
  standardwebhooks: (severity) =>
    json({ type: "disk.full", data: { id: "d", status: "firing", title: "Disk", severity } }),
  apprise: (level) => json({ title: "Disk", message: "full", id: "disk", type: as(level, "warning", "failure") }),
  generic: (severity) => json({ title: "Disk", key: "disk", status: "firing", severity }),
};

/** Presets whose alerts have one severity, or that make no alerts. */
const LEVEL: ReadonlySet<string> = new Set([
  ...["uptime-kuma", "healthchecks", "uptimerobot", "statuscake", "forgejo", "gitlab", "argocd", "cloudwatch"],
  ...["formatted-webhook", "proxmox", "truenas", "unraid", "synology", "dockerhub", "stripe", "slack", "discord"],
]);

test("a severity that rises under one key is told, with its label and column, whichever sender reports it", async (t) => {
  const known = [...Object.keys(RISING), ...LEVEL, "mail"].sort();
  assert.deepEqual(known, BUILT_IN_PRESETS.map(({ name }) => name).sort(), "every preset is here");

  const world = await ChangeWorld.start(t, { "mailIn.port": "0", "mailIn.domain": "in.example" });
  const { prism } = world.world;
  await world.route({ groupBy: ["receiver"] });
  type Made = { id: string; url: string; mailAddress: string | null };
  const make = async (preset: string): Promise<Made> => {
    const isSigned = BUILT_IN_PRESETS.find(({ name }) => name === preset)?.secret === "required";
    const open = isSigned ? { secret: "a secret", verify: [{ scheme: "credential" }] } : {};
    return (await answered(201, prism.post<Made>("/api/v1/receivers", { name: preset, preset, ...open }))).body;
  };
  const doors = new Map<string, (level: Level) => Promise<unknown>>();
  for (const [preset, sent] of Object.entries(RISING)) {
    const url = `${prism.url}${new URL((await make(preset)).url).pathname}`;
    doors.set(preset, async (level) => {
      const { body, headers: own } = sent(level);
      const headers = { "Content-Type": "application/json", Authorization: "Bearer a secret", ...own };
      const reply = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
      assert.ok(reply.ok, `${preset}: ${reply.status} ${await reply.text()}`);
    });
  }
  const { mailAddress } = await make("mail");
  const transport = createTransport({ host: "127.0.0.1", port: prism.parts.offers.mailIn.port, ignoreTLS: true });
  t.after(() => transport.close());
  doors.set("mail", (level) =>
    transport.sendMail({
      ...{ from: "Nagios <nagios@db-1.example>", to: mailAddress ?? "", text: "full" },
      subject: `** PROBLEM Service Alert: db-1/disk is ${level.toUpperCase()} **`,
    }),
  );

  type Shown = { labels: Record<string, string>; severity: string | null };
  const alerts = async (): Promise<ReadonlyMap<string | undefined, Shown>> => {
    const { data } = (await prism.get<{ data: Shown[] }>("/api/v1/alerts?state=firing&limit=100")).body;
    assert.equal(data.length, doors.size, JSON.stringify(data));
    return new Map(data.map((alert) => [alert.labels["receiver"], alert]));
  };
  for (const report of doors.values()) await report("warning");
  await eventually("all fire", async () => (await world.rows()).length === doors.size);
  await world.settle();
  await world.pass(MINUTE);
  const before = await world.notices();
  assert.equal(before.length, doors.size, before.join("\n"));
  for (const [preset, { labels, severity }] of await alerts())
    assert.deepEqual([labels["severity"], severity], ["warning", "warning"], preset);

  for (const report of doors.values()) await report("critical");
  await world.settle();
  await world.pass(MINUTE);
  const rows = new Map(
    (await world.rows()).map((row) => [(JSON.parse(row.groupLabels) as Record<string, string>)["receiver"], row]),
  );
  for (const [preset, { labels, severity }] of await alerts()) {
    const highest = ["jenkins", "apprise"].includes(preset ?? "") ? "error" : "critical";
    assert.deepEqual([labels["severity"], severity, rows.get(preset)?.severity], [highest, highest, highest], preset);
  }
  const told = (await world.notices()).slice(before.length);
  assert.equal(
    told.filter((title) => /^ann: (Critical|Error) \(was warning\): /.test(title)).length,
    doors.size,
    told.join("\n"),
  );
});
