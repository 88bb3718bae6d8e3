import assert from "node:assert/strict";
import test from "node:test";
import { OPERATOR } from "../../../src/core/caller.ts";
import { managedPolicies } from "../../../src/features/alerts/policies/manage.ts";
import { requirePolicies, storeRouting } from "../../../src/features/alerts/policies/routing-service.ts";
import { channels } from "../../../src/features/channels/manage.ts";
import { newChannel } from "../../../src/features/channels/service.ts";
import { receivers } from "../../../src/features/intake/receivers/manage.ts";
import type { Trx } from "../../../src/store/database.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";

const ROUTING = {
  route: { policy: "Night", groupBy: ["alertname"] },
  timeIntervals: [{ name: "office", intervals: [{ weekdays: ["mon:fri"] }] }],
};

/** The contexts that the features give their routes. */
function contextsOf({ parts }: TestPrism) {
  const { context } = parts.features;
  const { channelManagement, pagingWarnings: warnings, originOfChannel: originOf } = context;
  return {
    projectId: context.defaultProjectId,
    channel: channelManagement,
    policy: { ...context, warnings, originOf },
    receiver: { ...context, presets: context.receiverPresets, mailDomain: () => null },
  };
}

/** Ends a transaction that is to leave nothing. */
class Undone extends Error {
  override readonly name = "Undone";
}

test("one transaction stores channel, intervals, policy, routes and receiver that name each other, or nothing", async (t) => {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const { channel, policy, receiver, projectId } = contextsOf(prism);
  const { db } = prism.parts.features.context;
  const fields = { url: "https://127.0.0.1:8443/", topic: "duty" };
  const prepared = await newChannel(channel, OPERATOR, { projectId }, { name: "Room", preset: "ntfy", fields });
  const storeAll = async (trx: Trx) => {
    const room = await channels.insert(channel, trx, OPERATOR, prepared);
    await storeRouting(policy, OPERATOR, trx, projectId, { ...ROUTING, route: { policy: "default" } });
    const steps = [
      { type: "onlyIn" as const, interval: "office" },
      { type: "channel" as const, id: room.row.id },
    ];
    const night = await managedPolicies.insert(policy, trx, OPERATOR, { projectId, input: { name: "Night", steps } });
    await requirePolicies(trx, projectId, ROUTING);
    await storeRouting(policy, OPERATOR, trx, projectId, ROUTING);
    const shop = await receivers.insert(receiver, trx, OPERATOR, { projectId, name: "Shop", preset: "generic" });
    return { room: room.row, night: night.row, shop: shop.row, url: shop.issued?.url ?? "" };
  };
  const stored = async () => {
    const paths = ["channels?projectId=default", "policies", "receivers"];
    const lists = await Promise.all(paths.map((path) => prism.get<{ data: { name: string }[] }>(`/api/v1/${path}`)));
    return lists.map(({ body }) => body.data.map(({ name }) => name));
  };
  const undone = db.write(async (trx) => {
    await storeAll(trx);
    throw new Undone();
  });
  await assert.rejects(undone, Undone);
  assert.deepEqual(await stored(), [[], ["default"], []]);

  const { room, night, shop, url } = await db.write(storeAll);
  assert.deepEqual(await stored(), [["Room"], ["default", "Night"], ["Shop"]]);
  const sent = await fetch(url.replace(/^.*\/in\//, `${prism.url}/in/`), { method: "POST", body: '{"title":"t"}' });
  assert.equal(sent.status, 200);

  // Each is in use until the transaction has removed what names it.
  await assert.rejects(
    db.write((trx) => managedPolicies.remove(policy, trx, night, OPERATOR, undefined)),
    { code: "INVALID_STATE" },
  );
  await assert.rejects(
    db.write((trx) => channels.remove(channel, trx, room, OPERATOR, undefined)),
    { code: "CHANNEL_IN_USE" },
  );
  await db.write(async (trx) => {
    await storeRouting(policy, OPERATOR, trx, projectId, { route: { policy: "default" } });
    await managedPolicies.remove(policy, trx, night, OPERATOR, undefined);
    await channels.remove(channel, trx, room, OPERATOR, undefined);
    await receivers.remove(receiver, trx, shop, OPERATOR, undefined);
  });
  assert.deepEqual(await stored(), [[], ["default"], []]);
});
