import assert from "node:assert/strict";
import type { TestPrism } from "../../helpers/prism.ts";

const PATH = "/api/v1/webhooks";
const URL = "https://1.1.1.1/hook";

/** Uses every route of webhooks but the one that calls them, and asks which are to be called. */
export async function useWebhooks(prism: TestPrism): Promise<void> {
  const { body } = await prism.post<{ id: string; userId: string }>(PATH, { url: URL });
  await prism.post(PATH, { url: URL, projectId: "default" });
  const cursor = Buffer.from(JSON.stringify([body.id])).toString("base64url");
  for (const filter of ["", "projectId=default"])
    for (const query of ["", "limit=1", "page=1", "offset=1", `cursor=${cursor}`]) {
      const { status, text } = await prism.get(`${PATH}?${[filter, query].filter(Boolean).join("&")}`);
      assert.equal(status, 200, text);
    }
  assert.equal((await prism.get(`${PATH}/${body.id}`)).status, 200);
  assert.equal((await prism.put(`${PATH}/${body.id}`, { rotateSecret: true, eventTypes: ["x"] })).status, 200);
  const { db } = prism.services;
  const { channels } = prism.parts.offers;
  const sender = channels.get("webhook");
  assert.ok(sender);
  for (const notification of await db.read
    .selectFrom("notifications")
    .selectAll()
    .where("id", ">", "")
    .orderBy("id")
    .limit(5)
    .execute())
    await sender.targets([body.userId, "nobody"], notification, db.read);
  await db.write(async (trx) => sender.disable?.(body.id, trx));
  assert.equal((await prism.delete(`${PATH}/${body.id}`)).status, 204);
}
