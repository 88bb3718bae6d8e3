import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { makeUser } from "../../../helpers/people.ts";
import { telegramBot } from "../../channels/presets/telegram.ts";
import { startStandIn } from "../../channels/support/stand-in.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

const INSTANT = /\d{4}-\d\d-\d\dT[\d:.]+Z/g;

/** What a lock screen shows: the title, and about 80 characters of the text in one line. */
async function lockScreen(world: IncidentWorld): Promise<string> {
  const last = await world.db.read
    .selectFrom("notifications")
    .select(["title", "message"])
    .orderBy("createdAt", "desc")
    .orderBy("id", "desc")
    .executeTakeFirstOrThrow();
  const text = last.message.replaceAll(INSTANT, "<at>").replaceAll(/\s+/g, " ");
  return `${last.title} | ${text.slice(0, 80)}`;
}

interface Case {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly shown: string;
}

const CASES: readonly Case[] = [
  {
    name: "Prometheus",
    labels: { alertname: "DiskFull", instance: "db-1:9100", severity: "warning", device: "/dev/sda1" },
    annotations: { summary: "/var is 98 % full", description: "It is full in about 2 hours." },
    shown:
      "Warning: DiskFull (db-1:9100) | /var is 98 % full It is full in about 2 hours. device=/dev/sda1, instance=db-1:9",
  },
  {
    name: "Uptime Kuma, whose summary is the name",
    labels: { alertname: "Shop is down", monitor: "Shop", severity: "critical" },
    annotations: { summary: "Shop is down", description: "timeout of 48000ms exceeded" },
    shown: "Critical: Shop is down | timeout of 48000ms exceeded monitor=Shop Firing since <at>. Incident 2. Acknowle",
  },
  {
    name: "an alert without a text and a severity",
    labels: { alertname: "BackupFailed", host: "nas" },
    shown:
      "Firing: BackupFailed (nas) | host=nas Firing since <at>. Incident 3. Acknowledge this notification if you tak",
  },
  {
    name: "a word of the sender for its severity",
    labels: { alertname: "Trapper", host: "sw-2", severity: "Disaster" },
    annotations: { message: "Link down on port 7" },
    shown:
      "Critical: Trapper (sw-2) | Link down on port 7 host=sw-2, severity=Disaster Firing since <at>. Incident 4. ",
  },
];

test("on a lock screen an incident says how bad, what and where, and why", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  for (const { name, labels, annotations, shown } of CASES) {
    await world.fire(name, { labels, ...(annotations && { annotations }) });
    assert.equal(await lockScreen(world), shown, name);
  }
});

test("the lock screen of an incident's life: more alerts, no answer, an end by a person and one by its alerts", async (t) => {
  const world = await IncidentWorld.start(t);
  const ann = await world.member("ann");
  const disk = (host: string) => ({
    labels: { alertname: "DiskFull", host, severity: "error" },
    annotations: { summary: `/var of ${host} is full` },
    source: "alertmanager" as const,
  });
  await world.fire("a", disk("a"));
  assert.match(await lockScreen(world), /^Error: DiskFull \(a\) \| \/var of a is full host=a Firing since <at>\. /);
  await world.fire("b", disk("b"));
  await world.pass(MINUTE);
  assert.match(
    await lockScreen(world),
    /^Error: DiskFull, 2 alerts \| - \/var of b is full \(host=b\), since <at> - \/var/,
  );
  await world.resolveAlert("b", disk("b"));
  await world.pass(241 * MINUTE);
  assert.match(
    await lockScreen(world),
    /^Error: DiskFull \(a\) \| \/var of a is full host=a Not acknowledged yet\. Firing/,
  );
  const { id } = await world.only();
  await world.incidents.resolve(id, { id: ann.id, via: "api" });
  const byPerson =
    "Resolved: DiskFull | Resolved by ann at <at>, after 4 h 2 min. 1 alert still fires, and notifies no";
  assert.ok((await lockScreen(world)).startsWith(byPerson), await lockScreen(world));

  await world.fire("c", disk("c"));
  await world.resolveAlert("c", disk("c"));
  await world.pass(MINUTE);
  assert.match(
    await lockScreen(world),
    /^Resolved: DiskFull \(c\) \| Resolved at <at>, after 1 min\. host=c Incident 2\.$/,
  );
});

test("a page to a person begins with what the person wrote, also while it is not acknowledged", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("bob");
  const { token } = await makeUser(world.prism, "carol", ["Admin"]);
  const body = { projectId: world.projectId, users: ["bob"], title: "Call me", message: "The till does not open" };
  const reply = await world.prism.post("/api/v1/incidents", body, { token });
  assert.equal(reply.status, 201, reply.text);
  assert.match(await lockScreen(world), /^Call me \| The till does not open carol opened this incident at <at>\. /);
});

test("in a person's chat the page of an incident has its severity, and its end is no alarm", async (t) => {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { token } = await world.member("ann");
  const chat = await startStandIn(t, telegramBot());
  const channel = { name: "Chat", preset: "telegram", fields: telegramBot().fields(chat.url) };
  assert.equal((await world.prism.post("/api/v1/channels", channel, { token })).status, 201);
  const disk = { labels: { alertname: "DiskFull", severity: "warning" }, annotations: { summary: "/var is full" } };
  await world.fire("DiskFull", disk);
  await eventually("it arrives", () => /🟠 Warning: DiskFull[\s\S]*\/var is full/.test(chat.seen[0]?.text ?? ""));
  await world.resolveAlert("DiskFull", disk);
  await world.pass(10 * MINUTE);
  await eventually("its end", () => chat.seen.some(({ text = "" }) => /✅ Resolved: DiskFull/.test(text)));
});

test("a page ends with its runbook, its source, and its key at a receiver; other texts are no links", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  const text = async () =>
    (await world.db.read.selectFrom("notifications").select("message").orderBy("id", "desc").executeTakeFirstOrThrow())
      .message;
  const annotations = { summary: "/var is full", runbook_url: "https://wiki.example/disk" };
  const generatorUrl = "https://prometheus.example/graph?g0.expr=up";
  await world.fire("DiskFull", { labels: { alertname: "DiskFull" }, annotations, generatorUrl });
  assert.match(
    await text(),
    /take care of it\.\n\nRunbook: https:\/\/wiki\.example\/disk\nSource: https:\/\/prometheus\.example\/graph\?g0\.expr=up$/,
  );
  const turned = { alertname: "Pay \u202egro.elpmaxe\u202c\u0000" };
  await world.fire("Turned", { labels: turned, annotations: { summary: "\u2066now\u2069" } });
  assert.doesNotMatch(`${await lockScreen(world)}${await text()}`, /[\0\u202a-\u202e\u2066-\u2069]/);
  const of = { source: "receiver", sourceId: "r1", key: "rc:r1:backup/db-1" } as const;
  await world.fire("Backup", { ...of, labels: { alertname: "Backup" }, annotations: { runbook: "ask Bob" } });
  assert.match(await text(), /take care of it\.\n\nKey: backup\/db-1$/);
});
