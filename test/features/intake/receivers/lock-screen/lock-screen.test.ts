import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import PostalMime from "postal-mime";
import type { Notification } from "../../../../../src/client/api-types.gen.ts";
import { eventually } from "../../../../helpers/eventually.ts";
import { makeUser } from "../../../../helpers/people.ts";
import { answered } from "../../../../helpers/prism.ts";
import { slackWebhook } from "../../../channels/presets/slack.ts";
import { startStandIn } from "../../../channels/support/stand-in.ts";
import { mailPeer } from "../../../delivery/support/mail-peer.ts";
import { MailInTest } from "../../mail-in/support.ts";
import { signerOf } from "../presets/support/sign.ts";
import { SENDERS, type Sender } from "./senders.ts";

/** Ann, a member of the default project, with a chat and a mail address of her own. */
async function annOf(t: TestContext) {
  const peer = await mailPeer(t);
  const chat = await startStandIn(t, slackWebhook());
  const hosts = { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };
  const world = await MailInTest.start(t, { settings: { ...peer.settings, ...hosts } });
  const { prism } = world;
  const ann = await makeUser(prism, "ann");
  await prism.services.db.write(async (trx) => {
    await trx.updateTable("users").set({ email: "ann@example.com" }).where("id", "=", ann.id).execute();
    const projectId = prism.parts.offers.defaultProjectId;
    await trx
      .insertInto("project_members")
      .values({ projectId, userId: ann.id, role: "editor", createdAt: Date.now() })
      .execute();
  });
  prism.rightsChanged();
  const fields = chat.service.fields(chat.url);
  await answered(201, prism.post("/api/v1/channels", { name: "Ann", preset: "slack", fields }, { token: ann.token }));
  const rule = {
    ...{ name: "Everything", condition: "true", targetUsers: ["ann"], channels: ["service", "email"] },
    suppression: { count: 1000, windowMs: 60_000, mode: "suppress" },
  };
  assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  return { world, peer, chat, ann };
}

async function send(world: MailInTest, sender: Sender, number: number): Promise<void> {
  const { body, headers = {} } = sender;
  if (sender.preset === "alertmanager-api") {
    await answered(200, world.prism.post("/alertmanager/api/v2/alerts", body));
    return;
  }
  const { secret, sign } = signerOf(sender.preset);
  const receiver = await world.make({
    name: `${sender.preset}-${number}`,
    preset: sender.preset,
    ...(sender.secret ? { secret } : {}),
  });
  if (sender.preset === "mail") {
    const answer = await world.mail({ ...(body as object), to: receiver.mailAddress ?? "" });
    assert.match(answer, /^250/, answer);
    return;
  }
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const at = { seconds: Math.floor(Date.now() / 1000), id: "msg_1" };
  const signed = sender.secret ? sign(text, at) : {};
  const reply = await world.send(receiver, text, {
    headers: { "content-type": "application/json", ...headers, ...signed },
  });
  assert.ok(reply.status < 300, `${sender.name}: ${reply.status} ${reply.text}`);
}

/** A mail as its reader sees it. */
async function mailOf(raw: string): Promise<string> {
  const { subject = "", text = "", headers } = await PostalMime.parse(raw);
  const importance = headers.find(({ key }) => key === "importance")?.value ?? "normal";
  return `${subject} (importance ${importance})\n${text.trim()}`;
}

/** How bad it is: a word on the lock screen and in a mail, a mark in a chat. */
const BAD = {
  none: { word: /^(?![\s\S]*\b(?:Warning|Error|Critical)\b)/, mark: /^🔵/u },
  warning: { word: /\bWarning\b/, mark: /^🟠/u },
  error: { word: /\b(?:Error|Critical)\b/, mark: /^(?:🔴|🔥)/u },
};

test("what 25 senders report is understood from a lock screen, a mail and a chat, without a template", async (t) => {
  const { world, peer, chat, ann } = await annOf(t);
  const inbox = async () =>
    (await world.prism.get<{ data: Notification[] }>("/api/v1/notifications?limit=100", { token: ann.token })).body
      .data;
  for (const [count, sender] of SENDERS.entries()) {
    await send(world, sender, count);
    await eventually(`${sender.name} leaves`, () => peer.accepted.length > count && chat.seen.length > count);
    assert.deepEqual([peer.accepted.length, chat.seen.length], [count + 1, count + 1], `${sender.name}: one message`);
    const mail = await mailOf(peer.accepted[count] ?? "");
    const notification = (await inbox()).find(({ title }) => mail.startsWith(title));
    assert.ok(notification, mail);
    const lockScreen = `${notification.title}\n${notification.message.slice(0, 80)}`;
    const message = chat.seen[count]?.text ?? "";
    t.diagnostic(`\n=== ${sender.name}\n--- lock screen\n${lockScreen}\n--- mail\n${mail}\n--- chat\n${message}`);
    for (const text of [lockScreen, mail, message]) {
      assert.match(text, sender.what, `${sender.name}: what`);
      assert.match(text, sender.where, `${sender.name}: where`);
    }
    const { word, mark } = BAD[sender.bad];
    for (const text of [lockScreen, mail]) assert.match(text, word, `${sender.name}: how bad`);
    assert.match(message, mark, `${sender.name}: how bad, in a chat`);
  }
});
