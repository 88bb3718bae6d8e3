import assert from "node:assert/strict";
import { test } from "node:test";
import { startPrism } from "../../helpers/prism.ts";
import { GotifyTest } from "../gotify/support.ts";
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
  assert.deepEqual([refused.class, refused.status], ["disable", 401]);
});

test("the preset ntfy sends to the API of ntfy that Prism has itself", async (t) => {
  const prism = await startPrism(t);
  const fields = { url: `${prism.url}/ntfy`, topic: "alerts", token: prism.adminToken };
  const outcome = await sendTo("ntfy", fields);
  assert.equal(outcome.class, "ok", JSON.stringify(outcome));
  const { text } = await prism.request("GET", "/ntfy/alerts/json?poll=1");
  const message = JSON.parse(text.trim()) as Record<string, unknown>;
  assert.deepEqual([message.id, message.title, message.priority], [outcome.ref?.id, "Disk almost full", 5]);
  const refused = await sendTo("ntfy", { ...fields, token: "tk_abcdefghijklmnopqrstuvwxyz012" });
  assert.equal(refused.class, "disable", JSON.stringify(refused));
});
