import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { type TestContext, test } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { mattermostBot, mattermostHook } from "../../channels/presets/mattermost.ts";
import { pushoverApi } from "../../channels/presets/pushover.ts";
import { slackBot, slackWebhook } from "../../channels/presets/slack.ts";
import { telegramBot } from "../../channels/presets/telegram.ts";
import { at, type Service, type StandIn, startStandIn, textAt } from "../../channels/support/stand-in.ts";
import { IncidentWorld } from "./support.ts";

const PUBLIC_URL = "http://localhost:4321/base";
const SETTINGS = { "webhooks.allowPrivateCidrs": "127.0.0.0/8", publicUrl: PUBLIC_URL };
const SIGNING_SECRET = "0123456789abcdef0123456789abcdef";
const WEBHOOK_SECRET = "webhook-secret-of-the-bot";
const DAY = 86_400_000;

interface Room extends StandIn {
  readonly id: string;
}

type Fields = Readonly<Record<string, string>>;

async function roomOf(t: TestContext, world: IncidentWorld, service: Service, more: Fields = {}): Promise<Room> {
  const standIn = await startStandIn(t, service);
  const fields = { ...service.fields(standIn.url), ...more };
  const body = { name: `${service.preset} ${standIn.url}`, preset: service.preset, fields, projectId: world.projectId };
  const made = await world.prism.post<{ id: string }>("/api/v1/channels", body);
  assert.equal(made.status, 201, made.text);
  return { ...standIn, id: made.body.id };
}

/** An incident whose message is in a room. */
async function firing(t: TestContext, service: Service, more: Fields = {}) {
  const world = await IncidentWorld.start(t, SETTINGS);
  const room = await roomOf(t, world, service, more);
  await sendTo(world, [room]);
  await world.fire("A");
  await eventually("it arrives", () => room.seen.length === 1);
  return { world, room };
}

async function sendTo(world: IncidentWorld, rooms: readonly Room[]): Promise<void> {
  const path = `/api/v1/policies/${world.projectId}`;
  const current = await world.prism.get<{ version: number }>(path);
  const headers = { "If-Match": `"${current.body.version}"` };
  const reply = await world.prism.put(path, { steps: rooms.map(({ id }) => ({ type: "channel", id })) }, { headers });
  assert.equal(reply.status, 200, reply.text);
}

async function change(world: IncidentWorld, room: Room, body: object): Promise<void> {
  const path = `/api/v1/channels/${room.id}`;
  const current = await world.prism.get<{ version: number }>(path);
  const reply = await world.prism.patch(path, body, { headers: { "If-Match": `"${current.body.version}"` } });
  assert.equal(reply.status, 200, reply.text);
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function post(url: string, body: string, headers: Fields): Promise<Answer> {
  const reply = await fetch(url, { method: "POST", headers, body });
  return { status: reply.status, text: await reply.text() };
}

/** The URL in a message, at the server of the test. */
function served(world: IncidentWorld, url: string): string {
  assert.ok(url.startsWith(`${PUBLIC_URL}/hooks/channels/`), url);
  return world.prism.url + url.slice(PUBLIC_URL.length);
}

async function acksOf(world: IncidentWorld) {
  const rows = await world.db.read.selectFrom("incident_acks").selectAll().execute();
  return rows.map(({ userId, via }) => [userId, via]);
}

/** It is acknowledged, once and as a reader of the room. */
async function assertAcknowledged(world: IncidentWorld, room: Room, via: string): Promise<void> {
  const { id, state } = await world.only();
  assert.equal(state, "acknowledged");
  assert.deepEqual(await acksOf(world), [[`channel:${room.id}`, via]]);
  assert.equal((await world.log(id)).filter((kind) => kind === "acknowledged").length, 1);
  const explained = await world.prism.get(`/api/v1/explain/incident/${id}`);
  assert.ok(explained.text.includes(`A reader of a channel (${via}) acknowledged it`), explained.text);
}

const JSON_TYPE = { "Content-Type": "application/json" };

function mattermostAction(room: Room): { url: string; token: string } {
  const { json } = room.requests[0] ?? {};
  const attachments = at(json, "attachments") ?? at(json, "props", "attachments");
  const integration = at(attachments, 0, "actions", 0, "integration");
  return { url: textAt(integration, "url"), token: textAt(integration, "context", "token") };
}

const pressMattermost = (url: string, token: unknown) =>
  post(url, JSON.stringify({ user_id: "u", user_name: "anna", context: { token } }), JSON_TYPE);

for (const makeService of [mattermostHook, mattermostBot])
  test(`${makeService().preset}: a press acknowledges the incident, a second one changes nothing`, async (t) => {
    const { world, room } = await firing(t, makeService());
    const { url, token } = mattermostAction(room);
    const target = served(world, url);
    assert.equal(new URL(target).pathname, `/hooks/channels/${room.id}/mattermost`);
    const first = await pressMattermost(target, token);
    assert.deepEqual(first, { status: 200, text: '{"ephemeral_text":"You have acknowledged incident 1"}' });
    const second = await pressMattermost(target, token);
    assert.deepEqual(second, { status: 200, text: '{"ephemeral_text":"Incident 1 is acknowledged already"}' });
    await assertAcknowledged(world, room, "mattermost:anna");
    if (makeService === mattermostBot)
      await eventually("the post changes", () => room.seen[0]?.edits === 1 && /Acknowledged/.test(room.seen[0].text));
  });

test("two presses at once acknowledge once", async (t) => {
  const { world, room } = await firing(t, mattermostBot());
  const { url, token } = mattermostAction(room);
  const answers = await Promise.all([1, 2, 3, 4].map(() => pressMattermost(served(world, url), token)));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  await assertAcknowledged(world, room, "mattermost:anna");
});

test("a token that is absent, changed, cut or old is refused", async (t) => {
  const { world, room } = await firing(t, mattermostHook());
  const { url, token } = mattermostAction(room);
  const target = served(world, url);
  const changed = (index: number) =>
    token.slice(0, index) + (token[index] === "A" ? "B" : "A") + token.slice(index + 1);
  const bad = [
    undefined,
    "",
    5,
    token.slice(0, -2),
    `${token}AAAA`,
    ...Array.from(token, (_, index) => changed(index)),
  ];
  for (const each of bad) assert.equal((await pressMattermost(target, each)).status, 401, String(each));
  for (const body of ["", "{", "null", "[]", '"x"', '{"context":null}', `{"context":{"token":"${"x".repeat(9999)}"}}`])
    assert.equal((await post(target, body, JSON_TYPE)).status, 401, body);
  assert.equal((await post(target, "x".repeat(300_000), JSON_TYPE)).status, 413);
  world.clock.advance(8 * DAY);
  assert.match((await pressMattermost(target, token)).text, /TOKEN_EXPIRED/);
  assert.deepEqual(await acksOf(world), []);
});

test("a press at another service, another project's channel, or a channel without buttons is refused", async (t) => {
  const { world, room } = await firing(t, mattermostHook());
  const { url, token } = mattermostAction(room);
  const target = served(world, url);
  const shop = await world.prism.post<{ id: string }>("/api/v1/projects", { slug: "shop", name: "Shop" });
  assert.equal(shop.status, 201, shop.text);
  const other = { name: "other", preset: "mattermost", fields: mattermostHook().fields(room.url) };
  const path = "/api/v1/channels";
  const foreign = await world.prism.post<{ id: string }>(path, { ...other, projectId: shop.body.id });
  const own = await world.prism.post<{ id: string }>(path, other);
  const press = async (to: string): Promise<string> => {
    const { status, text } = await pressMattermost(to, token);
    return `${status} ${/"code":"(\w+)"/.exec(text)?.[1]}`;
  };
  assert.equal(await press(target.replace(room.id, foreign.body.id)), "401 TOKEN_INVALID");
  assert.equal(await press(target.replace(room.id, own.body.id)), "404 CHANNEL_NOT_FOUND");
  assert.equal(await press(target.replace(room.id, "nothing")), "404 CHANNEL_NOT_FOUND");
  for (const service of ["slack", "telegram", "pushover", "constructor", "discord"])
    assert.equal(await press(target.replace(/mattermost$/, service)), "404 CHANNEL_NOT_FOUND");
  for (const off of [{ acknowledgeLink: false }, { acknowledgeLink: true, active: false }]) {
    await change(world, room, off);
    assert.equal(await press(target), "404 CHANNEL_NOT_FOUND");
  }
  assert.equal((await world.only()).state, "open");
});

test("a button of an incident that is over says so", async (t) => {
  const { world, room } = await firing(t, mattermostHook());
  const { url, token } = mattermostAction(room);
  await world.resolveAlert("A");
  await world.pass(60_000);
  assert.match((await pressMattermost(served(world, url), token)).text, /Incident 1 is resolved already/);
  assert.deepEqual(await acksOf(world), []);
});

const RESPONSE_URL = "https://hooks.slack.com/actions/T0/1/secret";

function slackPress(value: string, actionId = "ack", responseUrl = RESPONSE_URL): string {
  const action = { type: "button", action_id: actionId, value };
  const user = { id: "U1", username: "anna" };
  const payload = { type: "block_actions", user, actions: [action], response_url: responseUrl };
  return new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
}

function signedBySlack(world: IncidentWorld, body: string, { key = SIGNING_SECRET, ageS = 0 } = {}): Fields {
  const time = String(Math.floor(world.clock.now() / 1000) - ageS);
  return {
    "Content-Type": "application/x-www-form-urlencoded",
    "X-Slack-Request-Timestamp": time,
    "X-Slack-Signature": `v0=${createHmac("sha256", key).update(`v0:${time}:${body}`).digest("hex")}`,
  };
}

function slackButtons(room: Room): unknown[] {
  const blocks = at(room.requests[0]?.json, "attachments", 0, "blocks") as { elements?: unknown[]; type: string }[];
  return blocks.find(({ type }) => type === "actions")?.elements ?? [];
}

test("slack-api: a signed press acknowledges, other requests are refused", async (t) => {
  const { world, room } = await firing(t, slackBot(), { signingSecret: SIGNING_SECRET });
  const [, button] = slackButtons(room);
  assert.equal(at(button, "url"), undefined);
  assert.equal(at(button, "action_id"), "ack");
  const body = slackPress(textAt(button, "value"));
  const url = `${world.prism.url}/hooks/channels/${room.id}/slack`;
  const bad = [
    { "Content-Type": "application/x-www-form-urlencoded" },
    signedBySlack(world, body, { key: "f".repeat(32) }),
    signedBySlack(world, `${body}&x=1`),
    signedBySlack(world, body, { ageS: 301 }),
    signedBySlack(world, body, { ageS: -302 }),
  ];
  for (const headers of bad) assert.match((await post(url, body, headers)).text, /SIGNATURE_INVALID/);
  for (const other of [slackPress("x", "open"), "payload=%7B", "ssl_check=1"])
    assert.deepEqual(await post(url, other, signedBySlack(world, other)), { status: 200, text: "" });
  const forged = slackPress("x".repeat(64));
  assert.equal((await post(url, forged, signedBySlack(world, forged))).status, 401);
  assert.deepEqual(await acksOf(world), []);

  const headers = signedBySlack(world, body, { ageS: 299 });
  for (const _ of [1, 2]) assert.deepEqual(await post(url, body, headers), { status: 200, text: "" });
  await assertAcknowledged(world, room, "slack:anna");
  await eventually("the message changes", () => room.seen[0]?.edits === 1);
  const view = await world.prism.get(`/api/v1/channels/${room.id}`);
  assert.ok(!view.text.includes(SIGNING_SECRET));
});

test("slack: the reader who presses a webhook's button gets an answer, at Slack's own address only", async (t) => {
  const { world, room } = await firing(t, slackWebhook(), { signingSecret: SIGNING_SECRET });
  const token = textAt(slackButtons(room)[1], "value");
  const url = `${world.prism.url}/hooks/channels/${room.id}/slack`;
  const others = ["http://hooks.slack.com/actions/a", "https://hooks.slack.com.example.com/actions/a", "https://[", ""];
  for (const responseUrl of [...others, RESPONSE_URL]) {
    const body = slackPress(token, "ack", responseUrl);
    assert.equal((await post(url, body, signedBySlack(world, body))).status, 200);
  }
  await eventually("it is answered", () => room.requests.some(({ path }) => path === "/actions/T0/1/secret"));
  const answers = room.requests.filter(({ path }) => path.startsWith("/actions/"));
  const text = "Incident 1 is acknowledged already";
  assert.deepEqual(valuesOf(answers, "json"), [{ response_type: "ephemeral", replace_original: false, text }]);
  await assertAcknowledged(world, room, "slack:anna");
});

test("slack-api: without the secret the button is a link, and no request is accepted", async (t) => {
  const { world, room } = await firing(t, slackBot());
  const [, button] = slackButtons(room);
  assert.match(textAt(button, "url"), /account\/acknowledge\?token=channel-/);
  const body = slackPress("x");
  const headers = signedBySlack(world, body, { key: "" });
  assert.equal((await post(`${world.prism.url}/hooks/channels/${room.id}/slack`, body, headers)).status, 401);
});

test("slack-api: the channels of one app share a URL within a project", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const [room, second] = [
    await roomOf(t, world, slackBot(), { signingSecret: SIGNING_SECRET }),
    await roomOf(t, world, slackBot(), { signingSecret: SIGNING_SECRET }),
  ];
  await sendTo(world, [room, second]);
  await world.fire("A");
  await eventually("both have it", () => room.seen.length === 1 && second.seen.length === 1);
  const body = slackPress(textAt(slackButtons(second)[1], "value"));
  const url = `${world.prism.url}/hooks/channels/${room.id}/slack`;
  assert.equal((await post(url, body, signedBySlack(world, body))).status, 200);
  await assertAcknowledged(world, second, "slack:anna");
});

function telegramUpdate(data: string): string {
  const from = { id: 7, is_bot: false, first_name: "Anna", username: "anna" };
  return JSON.stringify({ update_id: 1, callback_query: { id: "4382", from, data, chat_instance: "1" } });
}

function telegramButton(room: Room): unknown {
  return at(room.requests[0]?.json, "reply_markup", "inline_keyboard", 0, 1);
}

test("telegram: a press acknowledges and is answered; without the secret token it is refused", async (t) => {
  const { world, room } = await firing(t, telegramBot(), { webhookSecret: WEBHOOK_SECRET });
  const data = textAt(telegramButton(room), "callback_data");
  assert.ok(data !== "" && Buffer.byteLength(data) <= 64, data);
  assert.equal(at(telegramButton(room), "url"), undefined);
  const url = `${world.prism.url}/hooks/channels/${room.id}/telegram`;
  const header = (secret: string) => ({ ...JSON_TYPE, "X-Telegram-Bot-Api-Secret-Token": secret });
  for (const headers of [JSON_TYPE, header("wrong"), header("")])
    assert.equal((await post(url, telegramUpdate(data), headers)).status, 401);
  const answerTo = async (update: string): Promise<string> => {
    const { status, text } = await post(url, update, header(WEBHOOK_SECRET));
    assert.equal(status, 200, text);
    return text;
  };
  assert.equal(await answerTo('{"update_id":2,"message":{"text":"hello"}}'), "");
  // Telegram repeats an update that is refused, so this is an answer for the reader.
  assert.match(await answerTo(telegramUpdate("x".repeat(64))), /"answerCallbackQuery".*not signed/);
  assert.deepEqual(await acksOf(world), []);

  const text = "You have acknowledged incident 1";
  const answer = { method: "answerCallbackQuery", callback_query_id: "4382", text };
  assert.deepEqual(JSON.parse(await answerTo(telegramUpdate(data))), answer);
  assert.match(await answerTo(telegramUpdate(data)), /acknowledged already/);
  await assertAcknowledged(world, room, "telegram:anna");
});

test("telegram: without the secret the button is a link, and no update is accepted", async (t) => {
  const { world, room } = await firing(t, telegramBot());
  assert.match(textAt(telegramButton(room), "url"), /account\/acknowledge\?token=channel-/);
  const url = `${world.prism.url}/hooks/channels/${room.id}/telegram`;
  const headers = { ...JSON_TYPE, "X-Telegram-Bot-Api-Secret-Token": "" };
  assert.equal((await post(url, telegramUpdate("x"), headers)).status, 401);
});

test("pushover: a receipt that is acknowledged on the phone acknowledges the incident", async (t) => {
  const { world, room } = await firing(t, pushoverApi());
  const callback = textAt(room.requests[0]?.json, "callback");
  const url = served(world, callback);
  assert.equal(new URL(url).pathname, `/hooks/channels/${room.id}/pushover`);
  const form = { "Content-Type": "application/x-www-form-urlencoded" };
  const receipt = "receipt=Kr1&acknowledged_at=1712000000&acknowledged_by=uKEY&acknowledged_by_device=phone";
  assert.deepEqual(await post(url, `${receipt}&acknowledged=0`, form), { status: 200, text: "" });
  for (const query of ["", "?token=", "?token=x"])
    assert.equal((await post(url.replace(/\?.*/, query), `${receipt}&acknowledged=1`, form)).status, 401);
  assert.deepEqual(await acksOf(world), []);
  for (const _ of [1, 2])
    assert.deepEqual(await post(url, `${receipt}&acknowledged=1`, form), { status: 200, text: "" });
  await assertAcknowledged(world, room, "pushover:phone");
});
