import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { logIn, makeAccount, outcomeOf, startAccounts } from "../sessions/support/auth-client.ts";

const PATH = "/api/v1/users/me/push-tokens";
const FCM = "fcm-registration-token:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx";
const APNS = "0123456789abcdef".repeat(4);

interface Devices {
  readonly devices: readonly { kind: string; device: string; createdAt: string }[];
}

const named = ({ devices }: Devices): string[] => devices.map(({ kind, device }) => `${kind}:${device}`);

test("S2-47: push tokens in both forms, encrypted at rest and never shown", async (t) => {
  keepsPromise(t, "S2-47");
  const prism = await startAccounts(t);
  await makeAccount(prism, { username: "ann" });
  await makeAccount(prism, { username: "bob" });
  const ann = { token: (await logIn(prism, "ann")).token };
  const bob = { token: (await logIn(prism, "bob")).token };
  const put = async (body: object, as = ann): Promise<Devices> => {
    const reply = await prism.put<Devices>(PATH, body, as);
    assert.equal(reply.status, 200, reply.text);
    assert.ok(!reply.text.includes(FCM) && !reply.text.includes(APNS));
    return reply.body;
  };

  await t.test("{fcm, apns} sets the device default of each kind; what is left out stays, null removes", async () => {
    assert.deepEqual(named(await put({ fcm: FCM, apns: APNS })), ["apns:default", "fcm:default"]);
    const { body: me } = await prism.get<{ pushTokens: unknown }>("/api/v1/users/me", ann);
    assert.deepEqual(me.pushTokens, { fcm: true, apns: true });
    assert.deepEqual(named(await put({ apns: null })), ["fcm:default"]);
    assert.deepEqual(named(await put({})), ["fcm:default"]);
    assert.deepEqual(named(await put({ fcm: null, apns: APNS })), ["apns:default"]);
  });

  await t.test("{devices} is the whole list; a device that stays keeps its age", async () => {
    const tablet = { kind: "fcm", device: "tablet", token: `${FCM}-2` };
    const first = await put({ devices: [{ kind: "apns", device: "phone", token: APNS }, tablet] });
    assert.deepEqual(named(first), ["apns:phone", "fcm:tablet"]);
    const second = await put({ devices: [tablet, { kind: "fcm", device: "watch", token: `${FCM}-3` }] });
    assert.deepEqual(named(second), ["fcm:tablet", "fcm:watch"]);
    assert.equal(second.devices[0]?.createdAt, first.devices[1]?.createdAt);
    assert.deepEqual(named(await put({ fcm: FCM })), ["fcm:default", "fcm:tablet", "fcm:watch"], "the other form adds");
  });

  await t.test("who says the same token again is enabled, and what is on its way finds it by the same id", async () => {
    const find = "select id, disabledAt from push_devices where kind = 'apns'";
    const ids = (): unknown => rowsOf(prism, find);
    await put({ apns: APNS });
    const before = ids();
    await prism.services.db.write((trx) => trx.updateTable("push_devices").set({ disabledAt: 1 }).execute());
    await put({ apns: APNS });
    assert.deepEqual(ids(), before);
    await prism.services.db.write((trx) => trx.updateTable("push_devices").set({ disabledAt: null }).execute());
    await put({ apns: null });
  });

  await t.test("a token names one device: the last user who registers it owns it", async () => {
    assert.deepEqual(named(await put({ fcm: FCM }, bob)), ["fcm:default"]);
    assert.deepEqual(named(await put({})), ["fcm:tablet", "fcm:watch"]);
    const same = { kind: "fcm", token: `${FCM}-4` };
    assert.deepEqual(
      named(
        await put({
          devices: [
            { ...same, device: "old" },
            { ...same, device: "new" },
          ],
        }),
      ),
      ["fcm:new"],
    );
  });

  for (const body of [
    { fcm: "" },
    { fcm: "x".repeat(4097) },
    { apns: "not hexadecimal" },
    { apns: "ab".repeat(31) },
    { devices: [{ kind: "apns", device: "phone", token: FCM }] },
    { devices: [{ kind: "sms", device: "phone", token: FCM }] },
    { devices: [{ kind: "fcm", device: "", token: FCM }] },
    { devices: Array.from({ length: 21 }, (_, at) => ({ kind: "fcm", device: `d${at}`, token: `${FCM}${at}` })) },
    { fcm: FCM, devices: [] },
    { gcm: FCM },
  ])
    await t.test(`${JSON.stringify(body).slice(0, 50)} is refused`, async () =>
      assert.equal(outcomeOf(await prism.put(PATH, body, ann)), "400 VALIDATION_FAILED"),
    );

  await t.test("the files of the database hold no token, and the rows open with the key only", () => {
    const rows = rowsOf<{ id: string; token: Buffer }>(prism, "select id, token from push_devices");
    const { box } = prism.parts.base;
    const opened = rows.map(({ id, token }) => box.open(`push_devices.token.${id}`, token).toString());
    assert.deepEqual(opened.sort(), [FCM, `${FCM}-4`]);
    const files = readdirSync(prism.dir).filter((name) => name.startsWith("prism.db"));
    assert.ok(files.length > 1, "the log of what was written belongs to it");
    for (const name of files) {
      const bytes = readFileSync(join(prism.dir, name));
      assert.ok(!bytes.includes("fcm-registration-token") && !bytes.includes(APNS), name);
    }
  });
});
