import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { answered, startPrism } from "../../helpers/prism.ts";
import { PASSWORD } from "../access/sessions/support/auth-client.ts";
import { GotifyTest } from "../protocols/gotify/support.ts";
import { sendTo } from "./support/example.ts";

test("the preset gotify sends to the API of Gotify that Prism has itself", async (t) => {
  const it = await GotifyTest.start(t);
  const { token } = await it.application("Prism");
  const outcome = await sendTo("gotify", { url: it.base, token });
  assert.equal(outcome.class, "ok", JSON.stringify(outcome));
  const { messages } = await it.list((await it.client()).token);
  const [message] = messages;
  assert.deepEqual(
    [message?.title, message?.priority, String(message?.id)],
    ["🔥 Disk almost full", 10, outcome.ref?.id],
  );
  assert.match(message?.message ?? "", /^db-1 has 2 % left/);
  const refused = await sendTo("gotify", { url: it.base, token: "Axxxxxxxxxxxxxx" });
  assert.deepEqual([refused.class, refused.status], ["refused", 401]);
});

test("the preset ntfy sends to the API of ntfy that Prism has itself", async (t) => {
  const prism = await startPrism(t);
  const fields = { url: `${prism.url}/ntfy`, topic: "alerts", token: prism.adminToken };
  const outcome = await sendTo("ntfy", fields);
  assert.equal(outcome.class, "ok", JSON.stringify(outcome));
  const { text } = await prism.request("GET", "/ntfy/alerts/json?poll=1");
  const message = JSON.parse(text.trim()) as Record<string, unknown>;
  assert.deepEqual([message.id, message.title, message.priority], [outcome.ref?.id, "Disk almost full", 5]);
  for (const token of ["tk_abcdefghijklmnopqrstuvwxyz012", ""]) {
    const refused = await sendTo("ntfy", { ...fields, token });
    assert.ok(refused.status === 401 || refused.status === 403, JSON.stringify(refused));
    assert.deepEqual([refused.class, refused.hint], ["refused", "the topic needs a token that may publish to it"]);
  }
});

test("a user's channel that points at the user's own application here sends nothing twice", async (t) => {
  const it = await GotifyTest.start(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const { token } = await it.application("Prism");
  const given = { login: "uma", password: PASSWORD };
  const session = await it.prism.post<{ accessToken: string }>("/api/v1/auth/login", given, { token: null });
  const uma = { token: session.body.accessToken };
  const body = { name: "own", preset: "gotify", fields: { url: it.base, token } };
  await answered(201, it.prism.post("/api/v1/channels", body, uma));
  const message = { recipients: ["uma"], title: "Hello", message: "once" };
  const sent = await it.prism.post("/api/v1/notifications", message);
  assert.ok(sent.status < 300, sent.text);
  const client = await it.client();
  const listed = async () => (await it.list(client.token)).messages.map(({ title }) => title);
  await eventually("it comes back as a message", async () => (await listed()).length === 2);
  const { runner } = it.prism.parts.offers;
  await eventually("all is delivered", async () => {
    runner.enqueued([]);
    const rows = await it.prism.services.db.read
      .selectFrom("deliveries")
      .select(["channel", "state"])
      .where("channel", "=", "service")
      .execute();
    return rows.length > 0 && rows.every(({ state }) => state === "delivered");
  });
  assert.equal((await listed()).length, 2);
});
