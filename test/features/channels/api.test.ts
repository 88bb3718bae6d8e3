import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Delivery } from "../../../src/client/api-types.gen.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { LogLines } from "../../helpers/log-lines.ts";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { type PrismOptions, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";
import { telegramBot } from "./presets/telegram.ts";
import { type StandIn, startStandIn } from "./support/stand-in.ts";

const PATH = "/api/v1/channels";

interface View {
  readonly id: string;
  readonly fields: Record<string, string>;
  readonly active: boolean;
  readonly version: number;
  readonly disabledReason: string | null;
  readonly error: { readonly code: string; readonly details: readonly { readonly path: string }[] };
}

interface World {
  readonly prism: TestPrism;
  readonly service: StandIn;
  readonly clock: FakeClock;
}

async function open(t: TestContext, options: PrismOptions = {}): Promise<World> {
  const service = await startStandIn(t, telegramBot());
  const clock = new FakeClock();
  const settings = {
    ...{ "webhooks.allowPrivateCidrs": "127.0.0.0/8", "rateLimit.enabled": "false" },
    ...{ "auth.accessExpires": "86400000", ...options.settings },
  };
  return { prism: await startPrism(t, { ...options, clock, settings }), service, clock };
}

/** A channel to the stand-in, of Telegram's bot. */
function create({ prism, service }: World, body: object = {}, token?: string) {
  const channel = { name: "Room", preset: "telegram", fields: service.service.fields(service.url), ...body };
  return prism.post<View>(PATH, channel, token === undefined ? {} : { token });
}

async function notify({ prism }: World, recipients: readonly string[], body: object = {}): Promise<string> {
  const made = await prism.post<{ id: string }>("/api/v1/notifications", {
    ...{ recipients, title: "Disk full", message: "db-1 <b>", ...body },
  });
  assert.equal(made.status, 201, made.text);
  return made.body.id;
}

const deliveriesOf = ({ prism }: World, notificationId: string): Delivery[] =>
  rowsOf<Delivery>(prism, "select * from deliveries where notificationId = ? and channel = 'service'", notificationId);

const until = (world: World, notificationId: string, is: (delivery: Delivery) => boolean): Promise<Delivery> =>
  eventually("the delivery is as expected", () => deliveriesOf(world, notificationId).find(is) ?? null);

test("a user's channel gets the user's notifications, without naming it anywhere", async (t) => {
  const world = await open(t);
  const { prism, service } = world;
  const ann = await makeUser(prism, "ann", ["User"]);
  const ben = await makeUser(prism, "ben", ["User"]);
  const made = await create(world, {}, ann.token);
  assert.equal(made.status, 201, made.text);
  const id = await notify(world, [ann.id, ben.id]);
  await until(world, id, ({ state }) => state === "delivered");
  assert.equal(deliveriesOf(world, id).length, 1);
  assert.match(service.seen[0]?.text ?? "", /Disk full\ndb-1 <b>/);
  const other = await prism.get<View>(`${PATH}/${made.body.id}`, { token: ben.token });
  assert.deepEqual([other.status, other.body.error.code], [404, "CHANNEL_NOT_FOUND"]);
  const { text } = await prism.get("/metrics");
  assert.match(text, /prism_channel_calls_total\{preset="telegram",class="ok"\} 1/);
});

test("secrets are sealed, shown masked, kept by a change without them, and in no log, row or answer", async (t) => {
  const log = new LogLines("debug");
  const world = await open(t, { log });
  const { prism, service } = world;
  const ann = await makeUser(prism, "ann", ["User"]);
  const made = await create(world, {}, ann.token);
  const [secret = ""] = service.service.secrets;
  assert.equal(made.body.fields["token"], `•••• ${secret.slice(-4)}`);
  const path = `${PATH}/${made.body.id}`;
  const options = { token: ann.token, headers: { "If-Match": `"${made.body.version}"` } };
  const changed = await prism.patch<View>(path, { fields: { token: made.body.fields["token"], topic: 7 } }, options);
  assert.equal(changed.status, 200, changed.text);
  assert.equal(changed.body.fields["topic"], "7");
  const late = await prism.patch<View>(path, { name: "Late" }, options);
  assert.deepEqual([late.status, late.body.error.code], [412, "VERSION_CONFLICT"]);
  service.next.push({ status: 500, body: { description: `no ${secret} here`, url: service.requests[0]?.path } });
  service.next.push({ status: 400, body: { ok: false, description: `Bad Request: bot${secret}` } });
  const first = await notify(world, [ann.id]);
  const failed = await until(world, first, ({ state }) => state === "failed");
  assert.match(failed.lastError ?? "", /answered 500: .*•••/);
  await until(world, await notify(world, [ann.id]), ({ state }) => state === "dead" || state === "delivered");
  const tried = await prism.post(`${path}/test`, {}, { token: ann.token });
  const explained = await prism.get(`/api/v1/explain/notification/${first}`);
  const audit = await prism.get("/api/v1/audit?limit=100");
  const errors = log.lines.map(({ fields, message }) => [message, fields, String(fields["err"])]);
  for (const [name, text] of [
    ...Object.entries({ made, changed, tried, explained, audit }).map(([name, { text }]) => [name, text]),
    ["log", JSON.stringify(errors)],
    ["rows", JSON.stringify([...rowsOf(prism, "select * from deliveries"), ...rowsOf(prism, "select * from jobs")])],
  ])
    assert.ok(!text?.includes(secret) && !text?.includes(encodeURIComponent(secret)), `${name} holds the secret`);
  for (const file of readdirSync(prism.dir).filter((each) => each.includes(".db")))
    assert.ok(!readFileSync(join(prism.dir, file)).includes(secret), file);
});

test("fields that do not fit the preset are refused, each with its path", async (t) => {
  const world = await open(t, { settings: { "webhooks.allowPrivateCidrs": "10.0.0.0/8" } });
  const { prism, service } = world;
  const fields = { token: "no", chat: "a b", color: "red" };
  const refused = await create(world, { fields });
  assert.equal(refused.status, 400);
  assert.deepEqual(refused.body.error.details.map(({ path }) => path).sort(), [
    ...["fields.chat", "fields.color", "fields.token"],
  ]);
  const unknown = await create(world, { preset: "pigeon" });
  assert.deepEqual([unknown.status, unknown.body.error.details[0]?.path], [400, "preset"]);
  const near = await create(world);
  assert.deepEqual([near.status, near.body.error.code], [422, "URL_REFUSED"]);
  const elsewhere = { preset: "http", fields: { url: "http://169.254.169.254/latest" } };
  assert.equal((await create(world, elsewhere)).status, 422);
  for (const template of [{ title: "{{ field.token }}" }, { title: 5 }, { request: {} }, { nope: "x" }])
    assert.equal((await create(world, { template })).status, 400, JSON.stringify(template));
  assert.equal(service.requests.length, 0);
  assert.equal(scalarOf(prism, "select count(*) from channels"), 0);
});

test("a service that asks to wait is asked no earlier, and no attempt is used up", async (t) => {
  const world = await open(t);
  const ann = await makeUser(world.prism, "ann", ["User"]);
  await create(world, {}, ann.token);
  world.service.next.push({ status: 429, body: { ok: false, parameters: { retry_after: 120 } } });
  const first = await notify(world, [ann.id]);
  const waiting = await until(world, first, ({ reason }) => reason === "asked to wait");
  assert.equal(waiting.state, "queued");
  const second = await notify(world, [ann.id]);
  await until(world, second, ({ reason }) => reason === "asked to wait");
  assert.equal(world.service.requests.length, 1);
  const { jobControl } = world.prism.parts.offers;
  assert.ok(jobControl);
  world.clock.advance(130_000);
  world.prism.parts.offers.runner.reload();
  await until(world, first, ({ state }) => state === "delivered");
  await until(world, second, ({ state }) => state === "delivered");
  assert.deepEqual(rowsOf(world.prism, "select max(attempts) as n from jobs where kind = 'delivery.attempt'"), [
    { n: 1 },
  ]);
});

test("a channel that its service no longer knows is disabled, and its owner is notified", async (t) => {
  const world = await open(t);
  const { prism, service } = world;
  const ann = await makeUser(prism, "ann", ["User"]);
  const { body } = await create(world, {}, ann.token);
  service.next.push({ status: 403, body: { ok: false, description: "Forbidden: bot was blocked by the user" } });
  const id = await notify(world, [ann.id]);
  await until(world, id, ({ state }) => state === "dead");
  const shown = await prism.get<View>(`${PATH}/${body.id}`, { token: ann.token });
  assert.equal(shown.body.active, false);
  assert.match(shown.body.disabledReason ?? "", /blocked or removed/);
  const inbox = await prism.get<{ data: { title: string }[] }>("/api/v1/notifications", { token: ann.token });
  assert.ok(inbox.body.data.some(({ title }) => title === "The channel Room is disabled"));
  const actions = async () => {
    const { body } = await prism.get<{ data: { action: string }[] }>("/api/v1/audit?limit=100");
    return body.data.flatMap(({ action }) => (action.startsWith("channel.") ? [action] : [])).sort();
  };
  assert.deepEqual(await actions(), ["channel.create", "channel.disable"]);
  const later = await notify(world, [ann.id]);
  const enabled = await prism.patch<View>(`${PATH}/${body.id}`, { active: true }, { token: ann.token });
  assert.deepEqual([enabled.status, enabled.body.active, enabled.body.disabledReason], [200, true, null]);
  await until(world, await notify(world, [ann.id]), ({ state }) => state === "delivered");
  assert.deepEqual(deliveriesOf(world, later), []);
  assert.equal((await prism.delete(`${PATH}/${body.id}`, { token: ann.token })).status, 204);
  assert.deepEqual(await actions(), ["channel.create", "channel.delete", "channel.disable", "channel.update"]);
});

test("a channel whose credentials are refused stays active, its messages wait, and its owner is notified once", async (t) => {
  const world = await open(t);
  const { prism, service, clock } = world;
  const ann = await makeUser(prism, "ann", ["User"]);
  const { body } = await create(world, {}, ann.token);
  const refusal = { status: 401, body: { ok: false, description: "Unauthorized" } };
  service.next.push(refusal, refusal);
  const first = await notify(world, [ann.id]);
  const waiting = await until(world, first, ({ reason }) => reason === "provider paused");
  assert.match(waiting.lastError ?? "", /answered 401.*the bot token is not valid/);
  const pass = (): void => {
    clock.advance(61_000);
    prism.parts.offers.runner.reload();
  };
  pass();
  await eventually("it is tried again", () => service.requests.length === 2);
  await until(world, first, ({ reason }) => reason === "provider paused");
  const shown = await prism.get<View>(`${PATH}/${body.id}`, { token: ann.token });
  assert.equal(shown.body.active, true);
  const titles = async () => {
    const inbox = await prism.get<{ data: { title: string }[] }>("/api/v1/notifications", { token: ann.token });
    return inbox.body.data.map(({ title }) => title).filter((title) => title !== "Disk full");
  };
  assert.deepEqual(await titles(), ["The channel Room does not work"]);
  await eventually("it arrives once the token is accepted", () => {
    pass();
    return service.seen.length === 1;
  });
  await until(world, first, ({ state, attempts }) => state === "delivered" && attempts === 3);
});

test("a project's channel gets one message per notification of the project", async (t) => {
  const world = await open(t);
  const { prism, service } = world;
  const { id: projectId } = await makeProject(prism);
  const ann = await makeUser(prism, "ann", ["User"]);
  const ben = await makeUser(prism, "ben", ["User"]);
  for (const { id } of [ann, ben])
    await prism.post(`/api/v1/projects/${projectId}/members`, { userId: id, role: "viewer" });
  const refused = await create(world, { projectId }, ann.token);
  assert.deepEqual([refused.status, refused.body.error.code], [403, "UNAUTHORIZED_ROLE"]);
  const made = await create(world, { projectId, minPriority: 100 });
  assert.equal(made.status, 201, made.text);
  await prism.post("/api/v1/rules", {
    ...{ name: "full", projectId, condition: "event.type == 'disk.full'", targetUsers: [ann.id, ben.id] },
    ...{ titleTemplate: "Full: {{event.payload.host}}", priority: 500 },
  });
  await prism.post("/api/v1/events", { projectId, type: "disk.full", payload: { host: "db-1" } });
  await eventually("the message arrives", () => service.seen.length > 0);
  assert.match(service.seen[0]?.text ?? "", /Full: db-1/);
  const states = () => rowsOf<{ state: string }>(prism, "select state from deliveries where channel = 'service'");
  await eventually("it is delivered", () => states().some(({ state }) => state === "delivered"));
  assert.deepEqual(states(), [{ state: "delivered" }]);
});

test("preferences and quiet hours hold for a user's channels", async (t) => {
  const world = await open(t);
  const { prism } = world;
  const ann = await makeUser(prism, "ann", ["User"]);
  await create(world, {}, ann.token);
  const prefer = (body: object) => prism.put("/api/v1/users/me/preferences", body, { token: ann.token });
  await prefer({ channels: { direct: ["in_app", "email"] } });
  const off = await until(world, await notify(world, [ann.id]), ({ state }) => state === "skipped");
  assert.equal(off.reason, "channel off");
  const now = new Date(world.clock.now());
  const time = (hours: number): string => `${String((now.getUTCHours() + hours + 24) % 24).padStart(2, "0")}:00`;
  await prefer({ quietHours: { from: time(-2), to: time(3) } });
  const held = await notify(world, [ann.id]);
  assert.equal((await until(world, held, ({ reason }) => reason !== null)).reason, "quiet hours");
  await until(world, await notify(world, [ann.id], { priority: 900 }), ({ state }) => state === "delivered");
});

test("a dry run shows the request and sends nothing; a test sends and changes the message", async (t) => {
  const world = await open(t);
  const { prism, service } = world;
  const made = await create(world, { template: { title: "[prod] {{ n.title }}" } });
  const path = `${PATH}/${made.body.id}/test`;
  const dry = await prism.post<{ request: { body: string; url: string }; class: null; cut: string[] }>(path, {
    ...{ dryRun: true, event: { title: "T", message: "x".repeat(9000) } },
  });
  assert.equal(dry.status, 200, dry.text);
  assert.match(dry.body.request.body, /\[prod\] T/);
  assert.match(dry.body.request.url, /bot•••\/sendMessage$/);
  assert.deepEqual([dry.body.class, dry.body.cut, service.requests.length], [null, ["text"], 0]);
  const sent = await prism.post<{ class: string; ref: object; update: { class: string } }>(path, { update: true });
  assert.deepEqual(
    [sent.body.class, sent.body.ref, sent.body.update.class],
    ["ok", { id: "17", chat: "-100123" }, "ok"],
  );
  assert.deepEqual([service.seen.length, service.seen[0]?.edits], [1, 1]);
  service.next.push({ status: 400, body: { ok: false, description: "Bad Request: chat not found" } });
  const failed = await prism.post<{ class: string; hint: string }>(path, {});
  assert.equal(failed.body.class, "refused");
  assert.match(failed.body.hint, /write to the bot first/);
  assert.equal(scalarOf(prism, "select failures from channels"), 0);
  assert.equal(scalarOf(prism, "select active from channels"), 1);
});

test("messages of an alert change the first one, in order, and while the service is down only the last is sent", async (t) => {
  const world = await open(t);
  const { prism, service, clock } = world;
  const { id: projectId } = await makeProject(prism);
  const { body } = await create(world, { projectId });
  const { outbox } = prism.parts.offers.serviceChannels;
  const show = (title: string, status: "firing" | "acknowledged" | "resolved", key = "incident:1") =>
    prism.services.db.write((trx) =>
      outbox.enqueue(
        trx,
        {
          channelId: body.id,
          notice: { title, message: "", severity: "critical", status, priority: 800, key, atMs: clock.now() },
        },
        { incidentId: key, projectId, step: 0, reason: "step", urgency: "high" },
      ),
    );
  const text = (at: number): string => service.seen[at]?.text ?? "";
  await show("Disk full", "firing");
  await eventually("it is sent", () => text(0).includes("Disk full"));
  await show("Disk full, Ann looks", "acknowledged");
  await eventually("it is changed", () => text(0).includes("Ann looks"));
  await show("Disk is fine", "resolved");
  await eventually("it is changed again", () => text(0).includes("Disk is fine"));
  assert.equal(service.seen.length, 1);
  // The message was deleted meanwhile: the next change is a new message.
  service.seen.length = 0;
  await show("Disk full again", "resolved");
  await eventually("it is sent anew", () => text(0).includes("full again"));
  // The channel's rate lets the next one through.
  clock.advance(60_000);
  service.next.push({ status: 429, body: { ok: false, parameters: { retry_after: 60 } } });
  await show("Second", "firing", "incident:2");
  const asked = service.requests.length;
  await eventually("it waits", () => service.requests.length > asked || service.next.length === 0);
  await show("Second, later", "acknowledged", "incident:2");
  await show("Second, over", "resolved", "incident:2");
  clock.advance(61_000);
  prism.parts.offers.runner.reload();
  await eventually("the last one is sent", async () => {
    await prism.parts.offers.pages.check();
    return text(1).includes("Second, over");
  });
  assert.equal(service.seen.length, 2);
});

test("presets in files are added and replace built-in ones; a broken file is a warning", async (t) => {
  const log = new LogLines();
  const world = await open(t, { log });
  const { prism } = world;
  const folder = join(prism.dir, "presets", "channels");
  mkdirSync(folder, { recursive: true });
  const own = {
    ...{ name: "own", title: "Own", group: "generic", docs: "http", setup: ["a", "b", "c"], ok: [{ status: "2xx" }] },
    fields: [{ key: "url", title: "URL", type: "url", example: "https://example.com" }],
    send: { url: "{{ field.url }}", type: "text", body: "{{ n.title | raw }}" },
    rate: { perSecond: 1, burst: 1 },
  };
  writeFileSync(join(folder, "own.json"), JSON.stringify(own));
  writeFileSync(join(folder, "ntfy.json"), JSON.stringify({ ...own, name: "ntfy", title: "Our ntfy" }));
  writeFileSync(join(folder, "broken.json"), '{"name": "broken"');
  writeFileSync(join(folder, "wrong.json"), JSON.stringify({ ...own, send: { url: "https://example.com" } }));
  prism.parts.base.bus.emit("system:reloaded");
  const { body } = await prism.get<{ presets: { name: string; title: string }[] }>(`${PATH}/presets`);
  const titles = new Map(body.presets.map(({ name, title }) => [name, title]));
  assert.deepEqual([titles.get("own"), titles.get("ntfy"), titles.get("broken")], ["Own", "Our ntfy", undefined]);
  const warned = log.lines.filter(({ message }) => message === "cannot open file in data directory");
  const shown = warned.map(({ fields }) => String(fields["path"]).split("/").at(-1));
  assert.deepEqual(shown, ["broken.json", "wrong.json"]);
});

test("hostile input leaves nothing behind and breaks nothing", async (t) => {
  const world = await open(t);
  const { prism, service } = world;
  const fields = service.service.fields(service.url);
  const refused: object[] = [
    { fields: [] },
    { fields: { ...fields, token: "x\r\nHost: evil" } },
    { fields: { ...fields, token: "9".repeat(5000) } },
    { fields: { ...fields, chat: { $gt: "" } } },
    { fields: { ...fields, api: "file:///etc/passwd" } },
    { fields: { ...fields, api: "http://user:pw@127.0.0.1/" } },
    { fields: JSON.parse('{"__proto__": {"x": 1}, "constructor": "x"}') as object },
    { template: { title: "{{ n.__proto__.x }}" } },
    { template: { title: "{{ n.title | " } },
    { template: { title: "{{ process.env.PATH }}" } },
    { preset: "http", fields: { url: "http://[::ffff:10.0.0.1]/" } },
    { preset: "http", fields: { url: "http://0x0a000001/" } },
    { preset: "http", fields: { url: "gopher://127.0.0.1/" } },
    { preset: "http", fields: { url: service.url }, template: { request: { url: "https://evil.example/" } } },
    {
      preset: "http",
      fields: { url: service.url },
      template: { request: { url: "{{ field.url }}", type: "text", body: "{{ n.title }}" } },
    },
    {
      preset: "http",
      fields: { url: service.url },
      template: { request: { url: "{{ field.url }}", headers: { Host: "x" } } },
    },
    {
      preset: "http",
      fields: { url: service.url },
      template: { request: { url: "{{ field.url }}", headers: { "A\r\nB": "x" } } },
    },
    { preset: "http", fields: { url: service.url }, template: { ok: [{ status: "2xx", text: "(" }] } },
    { preset: "http", fields: { url: service.url }, template: { ok: [{ text: "^(a+)+$" }] } },
    { preset: "slack", fields: { url: "https://hooks.slack.com.evil.example/services/T/B/X" } },
    { preset: "discord", fields: { url: "https://discord.com@evil.example/api/webhooks/1/x" } },
    { name: "" },
    { name: "x".repeat(101) },
    { eventTypes: [] },
    { minPriority: -1 },
  ];
  for (const body of refused) {
    const { status } = await create(world, body);
    assert.ok(status === 400 || status === 422, `${status} ${JSON.stringify(body)}`);
  }
  t.diagnostic(`${refused.length} hostile channels refused`);
  assert.equal(scalarOf(prism, "select count(*) from channels"), 0);
  assert.equal(service.requests.length, 0);
});

test("callers who may not test a channel take no slot of those who may", async (t) => {
  const world = await open(t);
  const { prism } = world;
  const made = await create(world);
  const stranger = await makeUser(prism, "stranger");
  const path = `${PATH}/${made.body.id}/test`;
  const refused = Array.from({ length: 20 }, () => prism.post(path, { dryRun: true }, { token: stranger.token }));
  const mine = await prism.post(path, { dryRun: true });
  assert.equal(mine.status, 200, mine.text);
  assert.deepEqual(valuesOf(await Promise.all(refused), "status"), Array(20).fill(404));
});
