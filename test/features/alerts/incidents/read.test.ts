import assert from "node:assert/strict";
import { test } from "node:test";
import { answered } from "../../../helpers/prism.ts";
import { IncidentWorld } from "./support.ts";

/** A mail server that does not answer: people could be reached outside of the app. */
const SETTINGS = { "smtp.host": "127.0.0.1", "smtp.port": "9" };

test("a person who marks a notification of an incident as read is reached; what others mark for that person does not count", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const { prism } = world;
  const ann = await world.member("ann");
  await world.fire("A");
  const reachedAt = async () => (await world.only()).reachedAt;
  assert.equal(await reachedAt(), null);
  const { id: notificationId } = await world.db.read
    .selectFrom("notifications as n")
    .innerJoin("notification_recipients as r", "r.notificationId", "n.id")
    .select("n.id")
    .where("r.userId", "=", ann.id)
    .where("n.kind", "=", "incident")
    .executeTakeFirstOrThrow();
  const path = `/api/v1/notifications/${notificationId}/read`;
  await answered(200, prism.patch(`${path}?userId=${ann.id}`));
  assert.equal(await reachedAt(), null, "an administrator did it");
  await answered(200, prism.patch(path, {}, { token: ann.token }));
  assert.equal(await reachedAt(), world.clock.now());
  const { id, state } = await world.only();
  assert.equal(state, "open");
  assert.equal((await world.log(id)).filter((kind) => kind === "read").length, 1);
  await prism.patch(path, {}, { token: ann.token });
  assert.equal((await world.log(id)).filter((kind) => kind === "read").length, 1);
  const explained = await prism.get(`/api/v1/explain/incident/${id}`);
  assert.match(explained.text, /ann read a notification of it/);
});
