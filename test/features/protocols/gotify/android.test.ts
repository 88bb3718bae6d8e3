import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { answered } from "../../../helpers/prism.ts";
import { rowsWith, valuesOf } from "../../../helpers/values.ts";
import { type Application, basic, FrameStream, type GotifyClient, GotifyTest, key, type Paged } from "./support.ts";

const PNG = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex");

test("the Android app: login, list, stream, swipe, share, missed messages, logout", async (t) => {
  const it = await GotifyTest.start(t);

  await t.test("1 to 3: it finds the server, logs in and makes a client", async () => {
    const { version } = await it.ok<{ version: string }>("GET", "/version");
    assert.match(version, /^2\.\d+\.\d+$/);
    const wrong = await it.request("GET", "/current/user", basic("uma", "not the password"));
    assert.deepEqual([wrong.status, wrong.headers.get("www-authenticate")], [401, null]);
    const user = await it.ok<{ id: number; name: string; admin: boolean }>("GET", "/current/user", basic("uma"));
    assert.ok(Number.isSafeInteger(user.id));
    assert.deepEqual([user.name, user.admin], ["uma", false]);
  });
  const client = await it.client();
  assert.match(client.token, /^C[\w.-]{14}$/);
  const mine = key(client.token);

  await t.test("4: each start asks who it is", async () => {
    assert.equal((await it.request("GET", "/current/user", mine)).status, 200);
    await answered(401, it.request("GET", "/current/user", key("Cxxxxxxxxxxxxxx")));
  });

  const backups = await it.application("Backups", { defaultPriority: 4, description: "nightly" });
  assert.match(backups.token, /^A[\w.-]{14}$/);
  const first = await it.send(backups.token, { message: "before the app started" });
  const start = await it.list(client.token, "?limit=1&since=0");
  assert.deepEqual(start.paging, { size: 1, since: 0, limit: 1 });
  const stream = await answered(101, it.stream(t, client.token));

  await t.test("5: the service gets all notifications of the user, each with all members", async () => {
    const extras = { "client::display": { contentType: "text/markdown" }, "android::action": { onReceive: {} } };
    const sent = await it.send(backups.token, { title: "Done", message: "**42** GB", priority: 8, extras });
    await it.prism.post("/api/v1/notifications", { userId: it.userId, title: "Direct", message: "Hi", priority: 300 });
    await eventually("both", () => stream.messages.length === 2);
    const [one, two] = stream.messages;
    assert.deepEqual(one, sent);
    assert.deepEqual(
      { ...one, id: 0, date: "" },
      {
        ...{ id: 0, appid: backups.id, title: "Done", message: "**42** GB", priority: 8, extras, date: "" },
      },
    );
    assert.match(one?.date ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
    assert.ok(first.id < (one?.id ?? 0) && (one?.id ?? 0) < (two?.id ?? 0), "ids grow");
    assert.deepEqual([two?.title, two?.message, two?.priority, two?.appid], ["Direct", "Hi", 3, 1]);
    const names = (await it.ok<Application[]>("GET", "/application", mine)).map(({ id, name }) => `${id} ${name}`);
    assert.deepEqual(names, ["1 Prism", `${backups.id} Backups`]);
  });

  await t.test("6: the list, in pages, of all and of each application, and icons without a token", async () => {
    const all = await it.list(client.token, "?limit=100");
    assert.deepEqual(rowsWith(all.messages, "title", "priority"), [
      ["Direct", 3],
      ["Done", 8],
      ["Backups", 4],
    ]);
    const page = await it.list(client.token, "?limit=2");
    const since = page.messages[1]?.id ?? 0;
    assert.deepEqual(page.paging, { size: 2, since, limit: 2, next: `/message?limit=2&since=${since}` });
    const rest = await it.list(client.token, `?limit=2&since=${since}`);
    assert.deepEqual([rest.messages, rest.paging.since], [[first], 0]);
    const of = (id: number) => it.ok<Paged>("GET", `/application/${id}/message?limit=100`, mine);
    assert.deepEqual((await of(backups.id)).messages, all.messages.slice(1));
    assert.deepEqual((await of(1)).messages, all.messages.slice(0, 1));
    const form = new FormData();
    form.append("file", new Blob([PNG]), "icon.png");
    const uploaded = await fetch(`${it.base}/application/${backups.id}/image`, {
      method: "POST",
      body: form,
      headers: mine,
    });
    const { image } = (await uploaded.json()) as Application;
    assert.match(image, /^image\/[\w-]+\.png$/);
    for (const path of [image, "static/defaultapp.png"]) {
      const icon = await fetch(`${it.base}/${path}`);
      assert.deepEqual([icon.status, icon.headers.get("content-type")], [200, "image/png"]);
    }
    assert.deepEqual(Buffer.from(await (await fetch(`${it.base}/${image}`)).arrayBuffer()), PNG);
  });

  await t.test("7: swipe, share with the token of the list, delete all of an application, delete it", async () => {
    const [direct] = (await it.list(client.token)).messages;
    const swiped = await it.request("DELETE", `/message/${direct?.id}`, mine);
    assert.deepEqual(
      [swiped.status, swiped.text, swiped.headers.get("content-type")],
      [...[200, "", "application/json; charset=utf-8"]],
    );
    assert.equal((await it.request("DELETE", `/message/${direct?.id}`, mine)).status, 404);
    const inbox = await it.prism.get<{ data: { title: string }[] }>(`/api/v1/notifications/user/${it.userId}`);
    assert.deepEqual(valuesOf(inbox.body.data, "title"), ["Done", "Backups"]);
    const [, listed] = await it.ok<Application[]>("GET", "/application", mine);
    assert.equal(listed?.token, backups.token);
    await it.send(listed?.token ?? "", { title: "Shared", message: "https://example.com" });
    await it.ok("DELETE", `/application/${backups.id}/message`, mine);
    assert.deepEqual((await it.list(client.token)).messages, []);
    await it.send(backups.token, { message: "again" });
    await it.ok("DELETE", "/message", mine);
    assert.deepEqual((await it.list(client.token)).messages, []);
    await it.send(backups.token, { message: "last" });
    await it.ok("DELETE", `/application/${backups.id}`, mine);
    assert.deepEqual((await it.list(client.token)).messages, []);
    assert.equal((await it.request("POST", "/message", key(backups.token), { message: "no" })).status, 401);
  });

  await t.test("9: after a break it pages back to the last id that it knows", async () => {
    const alerts = await it.application("Alerts");
    const known = await it.send(alerts.token, { message: "known" });
    for (let n = 1; n <= 12; n++) await it.send(alerts.token, { message: `missed ${n}` });
    const missed: string[] = [];
    for (let since = 0, isDone = false; !isDone; ) {
      const page = await it.list(client.token, `?limit=10${since === 0 ? "" : `&since=${since}`}`);
      const fresh = page.messages.filter(({ id }) => id > known.id);
      missed.push(...fresh.map(({ message }) => message));
      isDone = fresh.length < page.messages.length || page.paging.since === 0;
      since = page.paging.since;
    }
    assert.deepEqual(
      missed,
      Array.from({ length: 12 }, (_, n) => `missed ${12 - n}`),
    );
  });

  await t.test("8: logout finds its own token in the list and ends the stream without a Close frame", async () => {
    await it.client("Tablet");
    const clients = await it.ok<GotifyClient[]>("GET", "/client", mine);
    assert.deepEqual(rowsWith(clients, "name", "token"), [
      ["Pixel 9", client.token],
      ["Tablet", ""],
    ]);
    assert.ok(clients[0]?.lastUsed);
    await it.ok("DELETE", `/client/${client.id}`, mine);
    await stream.closed;
    assert.ok(
      stream.kinds.every((kind) => kind === "text"),
      stream.kinds.join(),
    );
    assert.equal((await it.request("GET", "/current/user", mine)).status, 401);
    assert.equal((await it.stream(t, client.token)).status, 401);
  });
});

test("the API is at the root of a host in gotify.hosts, for the app and its stream, and nothing else of Prism is", async (t) => {
  const it = await GotifyTest.start(t, { settings: { "gotify.hosts": "push.example.org" } });
  const host = { Host: "push.example.org" };
  const at = (path: string, headers = {}) =>
    it.prism.get<{ version?: string }>(path, { token: null, headers: { ...host, ...headers } });
  assert.equal((await at("/version")).status, 200);
  assert.equal((await at("/current/user", basic("uma"))).status, 200);
  assert.equal((await at("/static/defaultapp.png")).status, 200);
  assert.equal((await at("/api/v1/notifications", { Authorization: `Bearer ${it.prism.adminToken}` })).status, 404);
  const { token } = await it.client();
  const open = (headers: string[], path = "/stream") =>
    FrameStream.open(t, it.prism.app.port, { path: `${path}?token=${token}`, headers });
  const stream = await answered(101, open(["Host: push.example.org", "Origin: http://push.example.org"]));
  const { token: sender } = await it.application();
  await it.send(sender, { message: "at the root" });
  await eventually("the message", () => stream.messages[0]?.message === "at the root");
  assert.equal((await open(["Host: push.example.org"], "/ws")).status, 404);
  assert.equal((await open(["Host: other.example.org"])).status, 404);
  assert.equal((await open(["Host: push.example.org", "Origin: https://evil.example"])).status, 403);
});
