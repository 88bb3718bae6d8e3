import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import test, { type TestContext } from "node:test";
import { runCli } from "../../../cli/run-cli.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { MailServer } from "../../access/sessions/support/mail-server.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

async function digestWorld(t: TestContext, more: Readonly<Record<string, string>> = { "digest.enabled": "false" }) {
  const server = await MailServer.start(t);
  const clock = new FakeClock(Date.parse("2026-06-01T05:00:00Z"));
  const settings = { "rateLimit.enabled": "false", "auth.accessExpires": "1d", ...server.settings, ...more };
  const prism = await startPrism(t, { clock, settings });
  return { prism, clock, server, ...(await makeProject(prism)) };
}

type World = Awaited<ReturnType<typeof digestWorld>>;

async function join({ prism, id: projectId }: World, name: string, email: string, prefs: object = {}): Promise<string> {
  const { db } = prism.services;
  const { clock } = prism.parts.base;
  const { rightsChanged } = prism;
  const { id } = await makeUser(prism, name);
  await db.write(async (trx) => {
    await trx
      .updateTable("users")
      .set({ email, prefs: JSON.stringify(prefs) })
      .where("id", "=", id)
      .execute();
    const member = { projectId, userId: id, role: "viewer", createdAt: clock.now() } as const;
    await trx.insertInto("project_members").values(member).execute();
  });
  rightsChanged();
  return id;
}

const scheduleOf = (prism: TestPrism) =>
  rowsOf<{ id: string; cron: string; timezone: string; nextRunAt: number }>(
    prism,
    "select id, cron, timezone, nextRunAt from schedules where queue = 'digest'",
  )[0];

async function want({ prism, id }: World, digest: unknown): Promise<void> {
  await answered(200, prism.patch(`/api/v1/projects/${id}`, { settings: { digest } }));
  await eventually("its schedule follows", () => (scheduleOf(prism) !== undefined) === (digest !== false));
}

/** The schedule fires, and everything that comes of it is done. */
async function morning({ prism }: World): Promise<void> {
  await prism.parts.offers.schedules.due.check();
  await settled(prism);
}

async function settled(prism: TestPrism): Promise<void> {
  const open = "select count(*) from jobs where queue in ('digest', 'notification-delivery') and finishedAt is null";
  await eventually("all is sent", () => scalarOf<number>(prism, open) === 0);
}

const digests = (prism: TestPrism) =>
  rowsOf<{ id: string; title: string; message: string }>(
    prism,
    "select id, title, message from notifications where kind = 'digest' order by id",
  );

test("S1-10 each morning in the project's time zone its members get a summary, once, and their unread notifications", async (t) => {
  keepsPromise(t, "S1-10");
  const world = await digestWorld(t);
  const { prism, clock, server, id: projectId, apiKey } = world;
  const uma = await join(world, "uma", "uma@example.com");
  await join(world, "vera", "vera@example.com", { digest: false });
  const wim = await join(world, "wim", "wim@example.com", { channels: { digest: ["in_app"] } });
  const rule = { name: "errors <b>", condition: "event.level == 'error'", targetUsers: ["uma"], projectId };
  assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  await want(world, { timezone: "Europe/Berlin" });
  assert.equal(scheduleOf(prism)?.nextRunAt, Date.parse("2026-06-01T06:00:00Z"), "eight o'clock in Berlin");
  const events = [{ type: "door.opened" }, { type: "door.opened" }, { type: "failed", level: "error" }];
  await answered(202, prism.post("/api/v1/events", events, { apiKey }));
  clock.advance(HOUR);
  await morning(world);

  const [digest] = digests(prism);
  assert.equal(digest?.title, "shop: 3 events in the last 24 hours");
  assert.match(digest?.message ?? "", /By level: error 1, info 2\./);
  assert.match(digest?.message ?? "", /By type:\n- door\.opened: 2\n- failed: 1\n/);
  assert.match(digest?.message ?? "", /- errors <b>: notified for 1 of 1 matches/);
  const told = rowsOf<{ userId: string }>(
    prism,
    "select userId from notification_recipients where notificationId = ?",
    digest?.id,
  );
  assert.deepEqual(told.map(({ userId }) => userId).sort(), [uma, wim, prism.parts.offers.devUserId].sort());
  const raw = (await server.mailTo("uma@example.com")).raw.replaceAll("=\r\n", "");
  assert.match(raw, /^List-Unsubscribe: <mailto:prism@example\.com\?subject=unsubscribe%20digest>\r$/m);
  assert.match(raw, /^Subject: shop: 3 events in the last 24 hours\r$/m);
  assert.match(raw, /- errors &lt;b&gt;: notified for 1 of 1 matches/);
  assert.match(raw, /You have 1 notification that you have not read\./);
  assert.equal(server.mails.length, 1);

  const again = scheduleOf(prism)?.id ?? "";
  await prism.parts.offers.schedules.run(again);
  await settled(prism);
  assert.deepEqual([digests(prism).length, server.mails.length], [1, 1], "once a day, whoever has it run");

  clock.advance(DAY);
  await morning(world);
  assert.equal(digests(prism)[1]?.title, "shop: no events in the last 24 hours");
  assert.equal(server.mails.length, 2, "something waits to be read");
  const { db } = prism.services;
  await db.write((trx) => trx.updateTable("notification_recipients").set({ readAt: clock.now() }).execute());
  clock.advance(DAY);
  await morning(world);
  assert.deepEqual([digests(prism).length, server.mails.length], [2, 2], "nothing to say, no mail");
});

test("a project without a digest has no schedule; another zone is another time", async (t) => {
  const world = await digestWorld(t);
  const { prism, id } = world;
  assert.equal(scheduleOf(prism), undefined);
  await want(world, true);
  const { cron, timezone } = scheduleOf(prism) ?? {};
  assert.deepEqual([cron, timezone], ["0 8 * * *", "UTC"]);
  await want(world, { timezone: "Asia/Tokyo" });
  await eventually("the zone is taken over", () => scheduleOf(prism)?.timezone === "Asia/Tokyo");
  await prism.restart();
  assert.equal(scheduleOf(prism)?.timezone, "Asia/Tokyo");
  await answered(400, prism.patch(`/api/v1/projects/${id}`, { settings: { digest: { timezone: "Nowhere/No" } } }));
  await want(world, false);
  assert.equal(countOf(prism, "schedules"), 0);
});

test("projects that say nothing have a digest on days with events, where mail is set up or digest.enabled is true", async (t) => {
  const world = await digestWorld(t, {});
  const { prism, clock, apiKey, server } = world;
  await join(world, "uma", "uma@example.com");
  const quiet = await makeProject(prism, "quiet");
  const own = await makeProject(prism, "own");
  await prism.patch(`/api/v1/projects/${own.id}`, { settings: { digest: false } });
  const schedules = () => countOf(prism, "schedules where queue = 'digest'");
  assert.equal(schedules(), 1, "one schedule for all of them");
  await prism.patch(`/api/v1/projects/${quiet.id}`, { settings: { digest: { timezone: "Asia/Tokyo" } } });
  await eventually("a project's own comes first", () => schedules() === 2);
  for (const key of [apiKey, own.apiKey]) await prism.post("/api/v1/events", { type: "door.opened" }, { apiKey: key });
  clock.advance(3 * HOUR);
  await morning(world);
  assert.deepEqual(
    valuesOf(digests(prism), "title"),
    ["shop: 1 event in the last 24 hours"],
    `not ${quiet.id}, where nothing happened, and not own, which wants none`,
  );
  assert.equal((await server.mailTo("uma@example.com")).raw.includes("Subject: shop: 1 event"), true);
  clock.advance(DAY);
  await morning(world);
  assert.equal(digests(prism).length, 1, "what is unread is no reason for another");
});

test("without a mail server there is no digest by default, and digest.enabled sends it in the app", async (t) => {
  const clock = new FakeClock(Date.parse("2026-06-01T05:00:00Z"));
  const silent = await startPrism(t, { clock });
  assert.equal(countOf(silent, "schedules"), 0);
  const settings = { "digest.enabled": "true", "auth.accessExpires": "1d" };
  const prism = await startPrism(t, { clock, settings });
  await prism.post("/api/v1/events", { type: "door.opened" });
  clock.advance(3 * HOUR);
  await prism.parts.offers.schedules.due.check();
  await settled(prism);
  await eventually("it is in the app", () => digests(prism).length === 1);
});

test("the digest of a project that was deleted ends with its next run", async (t) => {
  const world = await digestWorld(t);
  const { prism, id, clock } = world;
  await want(world, true);
  assert.equal((await prism.delete(`/api/v1/projects/${id}`)).status, 204);
  clock.advance(3 * HOUR);
  await morning(world);
  assert.deepEqual([countOf(prism, "schedules"), digests(prism).length], [0, 0]);
});

test("a server with an invalid digest.cron does not start, and reports why", async (t) => {
  const cwd = mkdtempSync(joinPath(tmpdir(), "prism-test-"));
  t.after(() => rmSync(cwd, { recursive: true, force: true }));
  const { status, stderr } = await runCli(["serve", "--port", "0"], { cwd, env: { PRISM_DIGEST_CRON: "at eight" } });
  assert.equal(status, 3, stderr);
  assert.match(stderr, /digest\.cron: The pattern cannot be used/);
});
