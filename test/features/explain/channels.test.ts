import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { ExplainView } from "../../../src/features/explain/schema.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { WebSocketClient } from "../../live/support/web-socket-client.ts";
import { DeliveryWorld } from "../delivery/support/delivery-world.ts";
import { FCM_REFUSALS, FcmServer } from "../delivery/support/fcm-server.ts";
import { mailPeer } from "../delivery/support/mail-peer.ts";

/** Mail and push, at one o'clock in the night, and a rule that notifies all users named by both. */
async function open(t: TestContext, settings: Record<string, string> = {}) {
  const [peer, fcm] = [await mailPeer(t), await FcmServer.start(t)];
  const { credentials, endpoint = "", tokenEndpoint = "" } = fcm.options;
  const world = await DeliveryWorld.open(t, {
    clock: new FakeClock(new Date().setUTCHours(25, 0, 0, 0)),
    settings: {
      ...peer.settings,
      "fcm.credentials": credentials,
      "fcm.endpoint": endpoint,
      "fcm.tokenEndpoint": tokenEndpoint,
      ...settings,
    },
  });
  let doors = 0;
  const tell = async (...targetUsers: string[]): Promise<string> => {
    const rule = {
      name: `door ${++doors}`,
      condition: `event.to == '${targetUsers[0]}'`,
      targetUsers,
      channels: ["in_app", "fcm", "email"],
    };
    const made = await world.prism.post("/api/v1/rules", { ...rule, priority: 10 });
    assert.equal(made.status, 201, made.text);
    const event = await world.prism.post<{ id: string }>("/events", { type: "a", payload: { to: targetUsers[0] } });
    return event.body.id;
  };
  const phone = async ({ token }: { token: string }, fcmToken: string): Promise<void> => {
    const { status, text } = await world.prism.put("/api/v1/users/me/push-tokens", { fcm: fcmToken }, { token });
    assert.equal(status, 200, text);
  };
  const reasons = async (subject: string, userId: string): Promise<readonly string[]> => {
    const { body } = await world.prism.get<ExplainView>(`/api/v1/explain/${subject}?userId=${userId}`);
    return (body.user?.reasons ?? []).map((reason) => reason.replace(/^door \d+:/, "door:"));
  };
  const says = async (subject: string, userId: string, reason: string): Promise<void> => {
    let said: readonly string[] = [];
    await eventually(`explain says: ${reason}`, async () => {
      said = await reasons(subject, userId);
      return said.includes(reason);
    }).catch((error: Error) => assert.fail(`${error.message}; it says ${JSON.stringify(said)}`));
  };
  return { world, peer, fcm, tell, phone, says };
}

test("explain returns for each channel why it was not delivered, as the delivery recorded it", async (t) => {
  const { world, peer, fcm, tell, phone, says } = await open(t);

  await t.test("quiet hours, of a rule's notification and of one that was sent directly", async () => {
    const ann = await world.person("ann", { quietHours: { from: "00:00", to: "06:00" } });
    await says(`event/${await tell(ann.id)}`, ann.id, "door: email is queued: quiet hours");
    const direct = await world.notify([ann.id], ["email"]);
    await says(`notification/${direct}`, ann.id, "Door open: email is queued: quiet hours");
  });

  await t.test("a channel that is off, and a priority that is too low", async () => {
    const ben = await world.person("ben", { channels: { rule: ["in_app", "push"] } });
    const cem = await world.person("cem", { minPriority: 11 });
    const event = await tell(ben.id, cem.id);
    await says(`event/${event}`, ben.id, "door: email is skipped: channel off");
    await says(`event/${event}`, cem.id, "door: email is skipped: below minimum priority");
  });

  await t.test("no address; no device; a token that is dead, then and later", async () => {
    const dan = await world.person("dan");
    await world.prism.services.db.write((trx) =>
      trx.updateTable("users").set({ email: null }).where("id", "=", dan.id).execute(),
    );
    const event = await tell(dan.id);
    await says(`event/${event}`, dan.id, "door: email: the user has no address");
    await says(`event/${event}`, dan.id, "door: fcm: the user has no such device");
    await phone(dan, "token-of-dan");
    fcm.next(FCM_REFUSALS.unregistered);
    const first = (await world.prism.post<{ id: string }>("/events", { type: "a", payload: { to: dan.id } })).body.id;
    await says(
      `event/${first}`,
      dan.id,
      "door: fcm is dead: FCM answered 404 UNREGISTERED: Requested entity was not found.",
    );
    const second = (await world.prism.post<{ id: string }>("/events", { type: "a", payload: { to: dan.id } })).body.id;
    await says(`event/${second}`, dan.id, "door: fcm: the token of every such device is dead");
  });

  await t.test("connected, and delivered live", async (t) => {
    const eve = await world.person("eve");
    await phone(eve, "token-of-eve");
    const client = await WebSocketClient.welcomed(t, world.prism.wsUrl, eve.token);
    await client.ask({ op: "subscribe", id: "s", stream: "user:me" });
    const id = await world.notify([eve.id], ["in_app", "fcm"]);
    await says(`notification/${id}`, eve.id, "Door open: fcm is queued: connected");
    const waiting = await world.untilHeld(id, "connected");
    await world.passToAttempt(waiting.id);
    await says(`notification/${id}`, eve.id, "Door open: fcm is skipped: delivered live");
  });

  await t.test("a provider that is paused, which holds up no other", async () => {
    const fay = await world.person("fay");
    await phone(fay, "token-of-fay");
    peer.answer("deny");
    const event = await tell(fay.id);
    await says(`event/${event}`, fay.id, "door: email is queued: provider paused");
    await eventually("the push is there", () => fcm.requests.some(({ message }) => message.token === "token-of-fay"));
  });
});

test("explain reports that a rate limited message waits, and then its aggregate", async (t) => {
  const { world, says } = await open(t, { "delivery.perUser": "1", "delivery.perUserBurst": "1" });
  const ann = await world.person("ann");
  const ids: string[] = [];
  for (let n = 0; n < 8; n++) {
    ids.push(await world.notify([ann.id], ["email"]));
    await eventually("it is planned", () => world.deliveries(ids.at(-1) ?? "").length === 1);
  }
  const last = `notification/${ids.at(-1)}`;
  await says(last, ann.id, "Door open: email is queued: rate limited");
  world.pass(5 * 60_000);
  await says(last, ann.id, "Door open: email is skipped: merged");
});
