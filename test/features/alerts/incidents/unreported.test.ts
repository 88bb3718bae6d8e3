import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { rowsWith, valuesOf } from "../../../helpers/values.ts";
import { startRecorder } from "../../../helpers/webhook-recorder.ts";
import { telegramBot } from "../../channels/presets/telegram.ts";
import { startStandIn } from "../../channels/support/stand-in.ts";
import { worldOf } from "../book/support.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

const INSTANT = /\d{4}-\d\d-\d\dT[\d:.]+Z/g;
const SETTINGS = { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };

/** Time passes for alerts and incidents. */
async function pass(world: IncidentWorld, ms: number): Promise<void> {
  const { alerts } = worldOf(world.prism, world.clock);
  for (let left = ms; left > 0; left -= MINUTE / 2) {
    world.clock.advance(Math.min(left, MINUTE / 2));
    await alerts().flush();
    await world.incidents.check();
  }
}

const ends = (world: IncidentWorld) => ({ endsAt: world.clock.now() + 4 * MINUTE });

interface Notice {
  readonly title: string;
  readonly lines: readonly string[];
  readonly timedOut: unknown;
}

async function lastNotice(world: IncidentWorld): Promise<Notice> {
  const row = await world.db.read.selectFrom("notifications").selectAll().orderBy("id", "desc").executeTakeFirst();
  const lines = (row?.message ?? "").replaceAll(INSTANT, "<at>").split("\n\n");
  return {
    title: row?.title ?? "",
    lines,
    timedOut: (JSON.parse(row?.data ?? "{}") as { timedOut: unknown }).timedOut,
  };
}

test("the end of an alert that was not repeated reads no longer reported, everywhere", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const ann = await world.member("ann");
  const room = await startStandIn(t, telegramBot());
  const { url, posts } = await startRecorder<Record<string, unknown>>(t);
  const fields = telegramBot().fields(room.url);
  const channel = { name: "room", preset: "telegram", fields, projectId: world.projectId };
  const { body: made } = await world.prism.post<{ id: string }>("/api/v1/channels", channel);
  const steps = [
    { type: "notify", members: true },
    { type: "channel", id: made.id },
    { type: "webhook", url, format: "alertmanager" },
    { type: "webhook", url, format: "prism" },
  ];
  assert.equal((await world.prism.patch(`/api/v1/policies/${world.projectId}`, { steps })).status, 200);
  const labels = { alertname: "DiskFull", host: "a" };
  await world.fire("DiskFull", { labels, annotations: { summary: "Disk of a is full" }, ...ends(world) });
  await eventually("all of them are reached", () => room.seen.length === 1 && posts.length === 2);
  await pass(world, 6 * MINUTE);
  const row = await world.only();
  assert.deepEqual([row.state, row.resolvedBy], ["resolved", "timeout"]);

  assert.deepEqual(await lastNotice(world), {
    title: "No longer reported: DiskFull (a)",
    lines: [
      "The source has not repeated this alert since <at>. It began at <at> and may still fire.",
      "Last report: Disk of a is full",
      "host=a",
      "Incident 1.",
    ],
    timedOut: true,
  });
  await eventually("the room has the end", () => /No longer reported/.test(room.seen[0]?.text ?? ""));
  assert.doesNotMatch(room.seen[0]?.text ?? "", /resolved/i);
  await eventually("the webhooks have the end", () => posts.length === 4);
  const am = posts.find(({ body }) => body["status"] === "resolved")?.body ?? {};
  const own = posts.find(({ body }) => body["reason"] === "resolved")?.body ?? {};
  assert.deepEqual(rowsWith(am["alerts"] as Record<string, unknown>[], "status", "timedOut"), [["resolved", true]]);
  assert.equal((own["incident"] as Record<string, unknown>)["timedOut"], true);

  const explained = await world.prism.get(`/api/v1/explain/incident/${row.id}`, { token: ann.token });
  assert.match(explained.text, /1 alert timed out; 0 fire now\./);
  assert.match(explained.text, /No longer reported: its alerts timed out, as their source did not repeat them\./);
  assert.match(explained.text, /It is no longer reported: everyone notified before: ann notified\./);
  assert.match(explained.text, /The alert is no longer reported: its source did not repeat it\./);
  assert.doesNotMatch(explained.text, /[Rr]esolved[:.;]/);
});

test("an incident is resolved only if the last word on each of its alerts is an end", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  const labels = (host: string) => ({ labels: { alertname: "A", host }, annotations: { summary: `${host} is down` } });
  await world.fire("h1", { ...labels("h1"), ...ends(world) });
  await world.fire("h2", { ...labels("h2"), endsAt: world.clock.now() + 60 * MINUTE });
  await pass(world, 10 * MINUTE);
  await world.resolveAlert("h2", labels("h2"));
  await pass(world, 2 * MINUTE);
  assert.deepEqual(await lastNotice(world), {
    title: "No longer reported: A",
    lines: [
      "The source has not repeated these alerts since <at>. They began at <at> and may still fire.",
      "- host=h1, not reported since <at>; last report: h1 is down\n- host=h2, resolved at <at>",
      "Incident 1.",
    ],
    timedOut: true,
  });

  // One that timed out, fired again and was resolved is resolved.
  await world.fire("h1", { ...labels("h1"), ...ends(world) });
  await world.fire("h2", { ...labels("h2"), endsAt: world.clock.now() + 60 * MINUTE });
  await pass(world, 5 * MINUTE);
  await world.fire("h1", labels("h1"));
  for (const host of ["h1", "h2"]) await world.resolveAlert(host, labels(host));
  await pass(world, 2 * MINUTE);
  const last = await lastNotice(world);
  assert.deepEqual([last.title, last.timedOut], ["Resolved: A", undefined]);
  assert.deepEqual(valuesOf(await world.rows(), "resolvedBy"), ["timeout", "alerts"]);
});

test("the end of heartbeats does not state that they are down", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  const labels = (name: string) => ({ labels: { alertname: "HeartbeatDown", heartbeat: name } });
  const summary = (name: string) => ({ annotations: { summary: `${name} is down` } });
  const more = { source: "heartbeat", resolvesAtOnce: true } as const;
  for (const name of ["hb1", "hb2"]) await world.fire(name, { ...labels(name), ...summary(name), ...more });
  for (const name of ["hb1", "hb2"]) await world.resolveAlert(name, { ...labels(name), ...summary(name), ...more });
  const { title, lines } = await lastNotice(world);
  assert.equal(title, "Resolved: HeartbeatDown");
  assert.deepEqual(lines[1]?.split("\n"), ["- heartbeat=hb1, resolved at <at>", "- heartbeat=hb2, resolved at <at>"]);

  // Nor that of a single one.
  await world.fire("hb3", { ...labels("hb3"), ...summary("hb3"), ...more });
  await world.resolveAlert("hb3", { ...labels("hb3"), ...summary("hb3"), ...more });
  const one = await lastNotice(world);
  assert.equal(one.title, "Resolved: HeartbeatDown (hb3)");
  assert.doesNotMatch(one.lines.join(), /down/);
});
