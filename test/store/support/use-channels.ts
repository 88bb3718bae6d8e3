import assert from "node:assert/strict";
import type { TestPrism } from "../../helpers/prism.ts";

const PATH = "/api/v1/channels";
const CHANNEL = { name: "Room", preset: "http", fields: { url: "https://1.1.1.1/room" } };

/** Uses every route of channels, without a message, and asks which of them are to be sent to. */
export async function useChannels(prism: TestPrism): Promise<void> {
  const { body } = await prism.post<{ id: string; userId: string }>(PATH, CHANNEL);
  const ofProject = await prism.post<{ id: string; projectId: string }>(PATH, { ...CHANNEL, projectId: "default" });
  const cursor = Buffer.from(JSON.stringify([body.id])).toString("base64url");
  for (const filter of ["", "projectId=default", "scope=all"])
    for (const query of ["", "limit=1", "page=1", "offset=1", `cursor=${cursor}`]) {
      const { status, text } = await prism.get(`${PATH}?${[filter, query].filter(Boolean).join("&")}`);
      assert.equal(status, 200, text);
    }
  assert.equal((await prism.get(`${PATH}/${body.id}`)).status, 200);
  assert.equal((await prism.patch(`${PATH}/${body.id}`, { minPriority: 5 })).status, 200);
  assert.equal((await prism.post(`${PATH}/${body.id}/test`, { dryRun: true })).status, 200);
  const { db } = prism.services;
  const sender = prism.parts.offers.channels.get("service");
  assert.ok(sender);
  const notifications = db.read.selectFrom("notifications").selectAll().where("id", ">", "").orderBy("id").limit(5);
  for (const notification of await notifications.execute())
    await sender.targets([body.userId, "nobody"], notification, db.read);
  await sender.sourceOf?.(body.id);
  await db.write(async (trx) => sender.disable?.(body.id, trx));
  const { outbox } = prism.parts.offers.serviceChannels;
  const notice = {
    title: "T",
    message: "",
    severity: "info",
    status: "firing",
    priority: 0,
    key: "k",
    atMs: 0,
  } as const;
  // Disabled at once, because no message is to be sent.
  await db.write(async (trx) => {
    const page = {
      incidentId: "1",
      projectId: ofProject.body.projectId,
      step: 0,
      reason: "step",
      urgency: "high",
    } as const;
    await outbox.enqueue(trx, { channelId: ofProject.body.id, notice }, page);
    await sender.disable?.(ofProject.body.id, trx);
  });
  assert.equal((await prism.delete(`${PATH}/${ofProject.body.id}`)).status, 204);
  assert.equal((await prism.delete(`${PATH}/${body.id}`)).status, 204);
}
