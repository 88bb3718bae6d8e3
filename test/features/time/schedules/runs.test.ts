import assert from "node:assert/strict";
import test from "node:test";
import type { PastRunPage as Page } from "../../../../src/client/api-types.gen.ts";
import { rowsWith } from "../../../helpers/values.ts";
import { HOUR, MINUTE, scheduleWorld } from "./support.ts";

test("the runs of a schedule are listed with their jobs, and the skipped ones with the reason", async (t) => {
  const world = await scheduleWorld(t);
  const { prism } = world;
  const { id } = await world.create({ cron: "0 * * * *", missed: "skip" });
  await world.create({ name: "other", cron: "0 * * * *", missed: "skip" });
  await world.pass(HOUR);
  await world.idle();
  await world.downFor(2 * HOUR + 5 * MINUTE);
  await world.skipped(2);
  assert.equal((await prism.post(`/api/v1/schedules/${id}/run`)).status, 201);
  await world.idle();
  const { status, body, text } = await prism.get<Page>(`/api/v1/schedules/${id}/runs`);
  assert.equal(status, 200, text);
  assert.deepEqual(rowsWith(body.data, "at", "trigger", "reason", "count"), [
    ["2026-06-01T13:05:00.000Z", "manual", null, 1],
    ["2026-06-01T12:00:00.000Z", "schedule", "missed", 2],
    ["2026-06-01T11:00:00.000Z", "schedule", null, 1],
  ]);
  assert.deepEqual([body.data[1]?.state, body.data[1]?.jobId], ["skipped", null]);
  assert.match(body.data[1]?.explanation ?? "", /no server ran/);
  assert.ok(body.data[2]?.jobId);
  const first = await prism.get<Page>(`/api/v1/schedules/${id}/runs?limit=2`);
  const rest = await prism.get<Page>(`/api/v1/schedules/${id}/runs?limit=2&cursor=${first.body.nextCursor}`);
  assert.deepEqual([...first.body.data, ...rest.body.data], body.data);
  assert.equal(rest.body.nextCursor, null);
  assert.equal((await prism.get("/api/v1/schedules/none/runs")).status, 404);
});
