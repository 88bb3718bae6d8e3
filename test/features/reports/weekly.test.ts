import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { answered } from "../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../helpers/tables.ts";
import { startRecorder } from "../../helpers/webhook-recorder.ts";
import { MailServer } from "../access/sessions/support/mail-server.ts";
import { DAY, IncidentWorld, Maker, MINUTE } from "./support.ts";

test("each week the people and rooms of a project get incidents, noise and schedules, and no word about people", async (t) => {
  const mails = await MailServer.start(t);
  const room = await startRecorder<unknown>(t);
  const world = await IncidentWorld.start(t, {
    ...{ "auth.accessExpires": "30d", "webhooks.allowPrivateCidrs": "127.0.0.0/8", "digest.enabled": "false" },
    ...mails.settings,
  });
  const { prism, clock, projectId } = world;
  const ann = await world.member("ann");
  const address = { email: "ann@example.com", isEmailVerified: 1 } as const;
  await world.db.write((trx) => trx.updateTable("users").set(address).where("id", "=", ann.id).execute());
  const channel = { projectId, name: "Ops", preset: "http", fields: { url: room.url } };
  await answered(201, prism.post("/api/v1/channels", channel));
  await answered(201, prism.post("/api/v1/oncall/schedules", { projectId, name: "Duty", timezone: "UTC" }));
  const schedule = () =>
    rowsOf<{ id: string; cron: string; timezone: string }>(
      prism,
      "select id, cron, timezone from schedules where name = ?",
      `prism:weekly:${projectId}`,
    )[0];
  for (const weekly of ["monday 09:00", "mon 24:00", "mon 9:00"])
    await answered(400, prism.patch(`/api/v1/projects/${projectId}`, { settings: { digest: { weekly } } }));
  const digest = { weekly: "mon 09:00", timezone: "Europe/Berlin", daily: false };
  await answered(200, prism.patch(`/api/v1/projects/${projectId}`, { settings: { digest } }));
  await eventually(
    "its schedule follows",
    () => schedule()?.cron === "0 9 * * 1" && schedule()?.timezone === "Europe/Berlin",
  );
  assert.equal(scalarOf(prism, "select count(*) from schedules where name = ?", `prism:digest:${projectId}`), 0);

  const maker = await Maker.of(world);
  const openedAt = clock.now() - DAY;
  const groupLabels = JSON.stringify({ alertname: "DiskFull" });
  const incident = maker.incident({ openedAt, notifiedAt: openedAt, resolvedAt: openedAt + 5 * MINUTE, groupLabels });
  const page = {
    incidentId: String(incident["id"]),
    projectId,
    userId: ann.id,
    createdAt: openedAt,
    deliveredAt: openedAt,
  };
  await maker.store([{ incident, log: [], pages: [maker.page(page)] }]);
  await prism.parts.offers.reports.collect();
  room.posts.length = 0;
  await prism.parts.offers.schedules.run(schedule()?.id ?? "");
  await eventually("a mail arrives", () => mails.mails.length > 0);
  await eventually("the room has it", () => room.posts.length > 0);
  const [sent] = rowsOf<{ title: string; message: string }>(
    prism,
    "select title, message from notifications where kind = 'digest'",
  );
  assert.match(sent?.title ?? "", /: 1 incident in 7 days$/);
  assert.match(sent?.message ?? "", /What paged most:\nDiskFull: 1 page of 1 incident, 0 % with a response/);
  assert.match(sent?.message ?? "", /On call:\nDuty: no shifts, 168 h without anyone/);
  assert.doesNotMatch(sent?.message ?? "", /ann/);

  await prism.parts.offers.schedules.run(schedule()?.id ?? "");
  await eventually(
    "the second job is done",
    () => scalarOf(prism, "select count(*) from jobs where kind = 'digest.weekly' and finishedAt is null") === 0,
  );
  assert.equal(scalarOf(prism, "select count(*) from notifications where kind = 'digest'"), 1);
  await answered(200, prism.patch(`/api/v1/projects/${projectId}`, { settings: { digest: null } }));
  await eventually("its schedule goes", () => schedule() === undefined);
});
