import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { answered } from "../../helpers/prism.ts";
import { MailServer } from "../access/sessions/support/mail-server.ts";
import { IncidentWorld, MINUTE } from "../alerts/incidents/support.ts";
import { FCM_REFUSALS, FcmServer } from "./support/fcm-server.ts";

const HOUR = 60 * MINUTE;

/** A world that pages ann by push, and then waits. */
async function start(t: TestContext, waitMs: number) {
  const [fcm, mail] = [await FcmServer.start(t), await MailServer.start(t)];
  const { credentials, endpoint = "", tokenEndpoint = "" } = fcm.options;
  const push = { "fcm.credentials": credentials, "fcm.endpoint": endpoint, "fcm.tokenEndpoint": tokenEndpoint };
  const world = await IncidentWorld.start(t, { ...mail.settings, ...push });
  const { id, token } = await world.member("ann");
  const email = "ann@example.com";
  await world.db.write((trx) => trx.updateTable("users").set({ email }).where("id", "=", id).execute());
  const phone = async (fcmToken: string): Promise<void> => {
    await answered(200, world.prism.put("/api/v1/users/me/push-tokens", { fcm: fcmToken }, { token }));
  };
  await phone("the-phone");
  const rules = [
    { afterMs: 0, channels: ["push"] },
    { afterMs: 30 * MINUTE, channels: ["email"] },
  ];
  await answered(200, world.prism.put("/api/v1/users/me/contact-rules", { high: rules, low: rules }, { token }));
  const notify = { type: "notify", users: ["ann"] };
  const changed = await world.prism.patch(`/api/v1/policies/${world.projectId}`, {
    steps: [notify, { type: "wait", ms: waitMs }, notify],
  });
  assert.equal(changed.status, 200, changed.text);
  return { world, fcm, mail, phone };
}

for (const { waitMs, ttl } of [
  { waitMs: 3 * HOUR, ttl: "10800s" },
  { waitMs: 10 * MINUTE, ttl: "3600s" },
])
  test(`a push service keeps a page for ${ttl} if the next step comes after ${waitMs / MINUTE} min`, async (t) => {
    const { world, fcm } = await start(t, waitMs);
    await world.fire("A");
    const { message } = await eventually("the page", () => fcm.requests[0]);
    assert.equal(message.android?.ttl, ttl);
    const { headers } = message.apns as { headers: Record<string, string> };
    assert.ok(Number(headers["apns-expiration"]) * 1000 >= world.clock.now() + HOUR - 1000);
  });

test("a token that is not registered removes the device and fails the way; the last one is told by one mail", async (t) => {
  const { world, fcm, mail, phone } = await start(t, 3 * HOUR);
  fcm.answer = () => FCM_REFUSALS.unregistered;
  await world.fire("A");
  const page = await eventually("the way fails", () =>
    world.db.read
      .selectFrom("pages")
      .select(["channel", "lastError"])
      .where("failedAt", "is not", null)
      .executeTakeFirst(),
  );
  assert.equal(page.channel, "fcm");
  assert.match(page.lastError ?? "", /UNREGISTERED/);
  const told = (): string[] =>
    mail.mails.flatMap(({ raw }) => (/^Subject: (Push .*)\r$/m.exec(raw)?.[1] ?? []) as string | []);
  await eventually("the mail about the device, and the next contact rule", () => mail.mails.length === 2);
  assert.deepEqual(told(), ["Push messages no longer reach you"]);
  assert.deepEqual(
    await world.db.read.selectFrom("push_devices").select("id").where("disabledAt", "is", null).execute(),
    [],
  );
  await world.fire("B");
  await world.prism.parts.offers.pages.idle();
  assert.equal(told().length, 1, "it is told once");
  await phone("another-phone");
  await world.fire("C");
  await eventually("the end of the next last device is told again", () => told().length === 2);
});
