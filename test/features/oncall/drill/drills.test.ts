import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered } from "../../../helpers/prism.ts";
import { scalarOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { ntfyServer } from "../../channels/presets/ntfy.ts";
import { telegramBot } from "../../channels/presets/telegram.ts";
import { startStandIn } from "../../channels/support/stand-in.ts";
import {
  drillWorld,
  hookLink,
  mailLink,
  manager,
  PATH,
  setMail,
  settled,
  startDrill,
  tap,
  textOf,
  waysOf,
} from "./support.ts";

interface NtfyMessage {
  readonly priority: number;
  readonly message: string;
  readonly click: string;
  readonly actions: readonly { readonly action: string; readonly label: string; readonly url: string }[];
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

test("a drill goes to each way of a person, and a tap on its link proves that way", async (t) => {
  const world = await drillWorld(t);
  const { prism, clock, ada, mail, hook } = world;
  assert.deepEqual(await waysOf(world, ada), ["mail: no proof", "webhook: no proof"]);
  const { id } = await startDrill(world, ada.token);
  const link = await mailLink(world);
  await hookLink(world);
  await settled(world, id, ["mail accepted", "webhook accepted"]);
  const text = textOf(mail.accepted[0] ?? "");
  assert.match(text, /^Subject: Drill: tap to confirm that pages reach you/m);
  assert.match(text, /This is a drill: nothing is broken/);
  assert.match(text, /Confirm: http:/);
  assert.doesNotMatch(text, /Acknowledge|List-Unsubscribe/);
  assert.doesNotMatch(text, /^(Importance|X-Priority):/im, "nothing is broken");
  assert.deepEqual(hook.posts[0]?.body.data.action?.label, "Confirm");
  assert.notEqual(await hookLink(world), link, "each way has its own link");

  for (const method of ["GET", "HEAD"]) assert.equal((await fetch(link, { method })).status, 200);
  assert.match(await (await fetch(link)).text(), /Confirm\?[\s\S]*<form method="post">/);
  await settled(world, id, ["mail accepted", "webhook accepted"]);
  clock.advance(3100);
  const tapped = await tap(link);
  assert.deepEqual([tapped.status, /Confirmed/.test(await tapped.text())], [200, true]);
  await settled(world, id, ["mail confirmed", "webhook accepted"]);
  assert.deepEqual(await waysOf(world, ada), [
    "mail: proven just now, 3.1 s",
    "webhook: accepted just now, not confirmed",
  ]);

  clock.advance(6 * DAY);
  assert.equal((await tap(link)).status, 200, "a second tap");
  assert.deepEqual(await waysOf(world, ada), [
    "mail: proven 6 days ago, 3.1 s",
    "webhook: accepted 6 days ago, not confirmed",
  ]);
  assert.equal((await tap(`${link.slice(0, -2)}xx`)).status, 401, "another signature");
  assert.equal((await prism.post("/api/v1/push/acknowledge", { token: "drill-1.2.3.x" }, { token: null })).status, 401);
  const actions = scalarOf<number>(
    prism,
    "select count(*) from audit_log where action in ('drill.start', 'drill.confirm')",
  );
  assert.equal(actions, 2);
});

test("a drill is no incident: no list, figure, event or row of incidents has it", async (t) => {
  const world = await drillWorld(t);
  const { prism, ada, projectId } = world;
  const { id } = await startDrill(world, ada.token);
  await settled(world, id, ["mail accepted", "webhook accepted"]);
  for (const table of ["incidents", "alerts", "events", "failed_ways", "way_notices", "incident_log"])
    assert.equal(scalarOf(prism, `select count(*) from ${table}`), 0, table);
  const incidents = await prism.get<{ data: unknown[] }>(`/api/v1/incidents?projectId=${projectId}`);
  assert.deepEqual(incidents.body.data, []);
  const data = JSON.parse(scalarOf<string>(prism, "select data from notifications where title like 'Drill%'") ?? "{}");
  assert.deepEqual(data, { drillId: id, source: "prism:drill", labels: { prism_drill: "true" } });
});

test("a way that fails in a drill is told to the person by the others, and nothing follows later", async (t) => {
  const world = await drillWorld(t);
  const { prism, clock, ada, hook, mail } = world;
  hook.status = 503;
  const { id } = await startDrill(world, ada.token);
  await settled(world, id, ["mail accepted", "webhook trying"]);
  const { pages } = prism.parts.offers;
  for (let seconds = 0; seconds < 50; seconds += 5) {
    clock.advance(5000);
    await pages.check();
    await pages.idle();
  }
  await settled(world, id, ["mail accepted", "webhook failed"]);
  await eventually("a mail says which way failed", () => mail.accepted.length === 2);
  assert.match(textOf(mail.accepted[1] ?? ""), /A drill failed for:[\s\S]*webhook: /);
  assert.match((await waysOf(world, ada))[1] ?? "", /^webhook: failed just now: .*503/);
  hook.status = 200;
  clock.advance(10 * MINUTE);
  await pages.check();
  await pages.idle();
  assert.equal(hook.posts.filter(({ body }) => body.data.title.startsWith("Drill: tap")).length, 0);
  assert.equal(scalarOf(prism, "select count(*) from pages where endedAt is null"), 0);
  assert.equal(scalarOf(prism, "select count(*) from failed_ways"), 0);
});

test("a message of a drill that could not leave for 15 minutes is not sent", async (t) => {
  const world = await drillWorld(t);
  const { prism, clock, ada } = world;
  const { id } = await startDrill(world, ada.token);
  await settled(world, id, ["mail accepted", "webhook accepted"]);
  await prism.parts.offers.pages.stop();
  const late = await startDrill(world, ada.token);
  clock.advance(16 * MINUTE);
  await eventually(
    "the pages are kept",
    () => scalarOf(prism, "select count(*) from pages where endedAt is null") === 2,
  );
  await prism.restart();
  await settled(world, late.id, ["mail not-sent", "webhook not-sent"]);
});

test("an address that changed has no proof, and one that is gone is no way", async (t) => {
  const world = await drillWorld(t);
  const { prism, ada } = world;
  await startDrill(world, ada.token);
  assert.equal((await tap(await mailLink(world))).status, 200);
  assert.match((await waysOf(world, ada))[0] ?? "", /^mail: proven/);
  await setMail(prism, ada, "other@example.com");
  assert.equal((await waysOf(world, ada))[0], "mail: no proof");
  await setMail(prism, ada, "ADA@example.com");
  assert.match((await waysOf(world, ada))[0] ?? "", /^mail: proven/);
  await setMail(prism, ada, null);
  assert.deepEqual((await waysOf(world, ada)).length, 1);
});

test("the link of a person who was disabled meanwhile is refused", async (t) => {
  const world = await drillWorld(t);
  const { prism, ada } = world;
  const { id } = await startDrill(world, ada.token);
  const link = await mailLink(world);
  await prism.services.db.write((trx) =>
    trx.updateTable("users").set({ status: "disabled" }).where("id", "=", ada.id).execute(),
  );
  assert.equal((await tap(link)).status, 401);
  await settled(world, id, ["mail accepted", "webhook accepted"]);
});

test("contact rules for high urgency name the ways, also those that follow later", async (t) => {
  const world = await drillWorld(t);
  const { prism, ada } = world;
  const high = [
    { afterMs: 0, channels: ["in_app"] },
    { afterMs: 10 * MINUTE, channels: ["email"] },
  ];
  const rules = { high, low: [{ afterMs: 0, channels: ["webhook"] }] };
  await answered(200, prism.put("/api/v1/users/me/contact-rules", rules, { token: ada.token }));
  const { ways } = await startDrill(world, ada.token);
  assert.deepEqual(valuesOf(ways, "name"), ["mail"]);
});

test("others are drilled by those who may change their schedules, six times in an hour", async (t) => {
  const world = await drillWorld(t);
  const { prism, clock, ada, grace } = world;
  const boss = await manager(world, "boss");
  const stranger = await makeUser(prism, "stranger");
  const start = (token: string, body: object) => prism.post(PATH, body, { token });
  assert.equal((await start(grace.token, { users: ["ada"] })).body["error"] !== undefined, true);
  assert.equal((await start(grace.token, { users: ["ada"] })).status, 403);
  assert.equal((await start(boss.token, { users: ["stranger"] })).status, 422);
  const prefs = { quietHours: { from: "00:00", to: "23:59" } };
  await prism.put("/api/v1/users/me/preferences", prefs, { token: ada.token });
  assert.equal((await start(boss.token, { users: ["ada"] })).status, 409, "quiet hours");
  for (let n = 0; n < 6; n += 1)
    assert.equal((await start(boss.token, { users: ["ada"], now: true })).status, 202, String(n));
  const refused = await answered(429, start(boss.token, { users: ["ada"], now: true }));
  assert.equal(refused.headers.get("retry-after"), "3600");
  clock.advance(HOUR + 1);
  assert.equal((await start(boss.token, { users: ["ada"], now: true })).status, 202);
  const listed = await prism.get<{ data: unknown[] }>(`${PATH}?user=ada`, { token: boss.token });
  assert.equal(listed.body.data.length, 7);
  const hidden = await prism.get<{ data: { id: string }[] }>(PATH, { token: stranger.token });
  assert.deepEqual(hidden.body.data, []);
});

test("in a chat a drill does not look like an alarm", async (t) => {
  const world = await drillWorld(t);
  const { prism, ada } = world;
  const chat = await startStandIn(t, telegramBot());
  const channel = { name: "Chat", preset: "telegram", fields: telegramBot().fields(chat.url) };
  await answered(201, prism.post("/api/v1/channels", channel, { token: ada.token }));
  await startDrill(world, ada.token);
  await eventually("the drill arrives", () => chat.seen.length === 1);
  assert.match(chat.seen[0]?.text ?? "", /🔵 Drill: tap to confirm/);
});

test("on ntfy a drill rings as a page does, with a button that proves the way", async (t) => {
  const world = await drillWorld(t);
  const { prism, ada } = world;
  const service = ntfyServer();
  const server = await startStandIn(t, service);
  const channel = { name: "Phone", preset: "ntfy", fields: service.fields(server.url) };
  await answered(201, prism.post("/api/v1/channels", channel, { token: ada.token }));
  await startDrill(world, ada.token);
  await eventually("the drill arrives", () => server.requests.length === 1);
  const sent = JSON.parse(server.requests[0]?.text ?? "{}") as NtfyMessage;
  assert.equal(sent.priority, 5);
  const rows = sent.actions.map(({ action, label, url }) => [action, label, url === sent.click]);
  assert.deepEqual(rows, [["view", "Confirm", true]]);
  assert.match(sent.message, /Open this message and tap Confirm/);
});

test("a token that only reads starts no drill", async (t) => {
  const { prism } = await drillWorld(t);
  for (const [scope, status] of [
    ["events:read", 403],
    ["account:own", 202],
  ] as const) {
    const scopes = [...new Set(["events:read", scope])];
    const made = await answered(201, prism.post<{ token: string }>("/api/v1/users/me/tokens", { name: scope, scopes }));
    const reply = await prism.post<{ error?: { code: string } }>(PATH, {}, { token: made.body.token });
    assert.equal(reply.status, status, reply.text);
  }
});
