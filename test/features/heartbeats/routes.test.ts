import assert from "node:assert/strict";
import test from "node:test";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { answered, startPrism } from "../../helpers/prism.ts";
import { valuesOf } from "../../helpers/values.ts";

const PATH = "/api/v1/heartbeats";
type Body = Record<string, unknown> & { readonly id: string; readonly pingUrl: string };

test("a heartbeat is created, changed, paused, resumed, rotated and deleted, each with an audit row", async (t) => {
  const prism = await startPrism(t);
  const created = await prism.post<Body>(PATH, {
    name: "Nightly backup!",
    tags: ["db", "prod"],
    schedule: "30 2 * * *",
    timezone: "Europe/Berlin",
  });
  assert.equal(created.status, 201, created.text);
  const { id, pingUrl } = created.body;
  const shown = ["slug", "kind", "status", "tags", "dueAt"].map((name) => created.body[name]);
  assert.deepEqual(shown, ["nightly-backup", "cron", "new", ["db", "prod"], null]);
  const calendar = await prism.patch<Body>(`${PATH}/${id}`, { schedule: "Mon..Fri 08:00" });
  assert.deepEqual([calendar.body["kind"], calendar.headers.get("etag")?.slice(0, 2)], ["oncalendar", '"2']);
  await answered(412, prism.request("PATCH", `${PATH}/${id}`, { graceMs: 60_000 }, { headers: { "If-Match": '"1"' } }));
  const simple = await prism.patch<Body>(`${PATH}/${id}`, { schedule: null, timeoutMs: 60_000 });
  assert.deepEqual([simple.body["kind"], simple.body["schedule"]], ["simple", null]);
  assert.equal((await prism.post<Body>(`${PATH}/${id}/pause`, {})).body["status"], "paused");
  assert.equal((await prism.post<Body>(`${PATH}/${id}/resume`, {})).body["status"], "new");
  const rotated = await prism.post<Body>(`${PATH}/${id}/rotate`, {});
  assert.notEqual(rotated.body.pingUrl, pingUrl);
  assert.equal((await prism.get(new URL(pingUrl).pathname)).status, 404);
  assert.equal((await prism.get(new URL(rotated.body.pingUrl).pathname)).status, 200);
  const key = await prism.post<{ pingKey: string; projectId: string }>(`${PATH}/key/rotate`, {});
  assert.match(key.body.pingKey, /^[A-Za-z0-9_-]{22}$/);
  assert.equal((await prism.get<{ pingKey: string }>(`${PATH}/key`)).body.pingKey, key.body.pingKey);
  assert.equal((await prism.delete(`${PATH}/${id}`)).status, 204);
  assert.equal((await prism.get(`${PATH}/${id}`)).status, 404);
  const { body: trail } = await prism.get<{ data: { action: string; resourceId: string }[] }>(
    "/api/v1/audit?limit=100",
  );
  const actions = trail.data.filter(({ resourceId }) => [id, key.body.projectId].includes(resourceId));
  assert.deepEqual(actions.map(({ action }) => action).reverse(), [
    "heartbeat.create",
    "heartbeat.update",
    "heartbeat.update",
    "heartbeat.pause",
    "heartbeat.resume",
    "heartbeat.rotate",
    "heartbeat.key",
    "heartbeat.delete",
  ]);
});

test("a plan that cannot be used is refused with its reason, and so is a slug that another heartbeat has", async (t) => {
  const prism = await startPrism(t);
  for (const [body, status, code] of [
    [{ name: "a", schedule: "61 * * * *" }, 400, "INVALID_CRON"],
    [{ name: "a", schedule: "*-02-30" }, 400, "INVALID_CRON"],
    [{ name: "a", kind: "oncalendar", schedule: "Foo 08:00" }, 400, "INVALID_CRON"],
    [{ name: "a", kind: "cron" }, 400, "INVALID_CRON"],
    [{ name: "a", schedule: "* * * * *", timezone: "Mars/Olympus" }, 400, "INVALID_TIMEZONE"],
    [{ name: "a", timeoutMs: 59_999 }, 400, "VALIDATION_FAILED"],
    [{ name: "a", slug: "A" }, 400, "VALIDATION_FAILED"],
    [{ name: "first", slug: "same" }, 201, undefined],
    [{ name: "second", slug: "same" }, 409, "NAME_TAKEN"],
  ] as const) {
    const reply = await prism.post<{ error?: { code: string } }>(PATH, body);
    assert.deepEqual([reply.status, reply.body.error?.code], [status, code], JSON.stringify(body));
  }
});

test("the list is filtered by the status shown, its grace time included", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: { "auth.accessExpires": "1d" } });
  const plan = { timeoutMs: 600_000, graceMs: 600_000 };
  const ping = async (name: string, rest = ""): Promise<Body> => {
    const { body } = await prism.post<Body>(PATH, { name, ...plan });
    assert.equal((await prism.get(new URL(body.pingUrl).pathname + rest, { token: null })).status, 200);
    return body;
  };
  const late = await ping("late");
  await prism.post<Body>(PATH, { name: "new", ...plan });
  clock.advance(595_000);
  const early = await ping("running");
  await ping("up");
  clock.advance(10_000);
  await prism.get(`${new URL(early.pingUrl).pathname}/start`, { token: null });
  await prism.get(`${new URL(late.pingUrl).pathname}/start`, { token: null });
  const named = async (status: string) => {
    const { body } = await prism.get<{ data: { name: string; status: string }[] }>(`${PATH}?status=${status}`);
    return body.data.map((each) => `${each.name} ${each.status}`).sort();
  };
  assert.deepEqual(await named("grace"), ["late grace"]);
  assert.deepEqual(await named("up"), ["late grace", "running up", "up up"]);
  assert.deepEqual(await named("new"), ["new new"]);
});

test("an API key with events:read reads heartbeats of its project without their ping URLs", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<Body>(PATH, { name: "job" });
  const project = String(body["projectId"]);
  const key = await prism.post<{ key: string }>(`/api/v1/projects/${project}/keys`, {
    name: "k",
    scopes: ["events:read"],
  });
  const seen = await prism.get<Body>(`${PATH}/${body.id}`, { apiKey: key.body.key });
  assert.deepEqual([seen.status, seen.body.pingUrl, seen.body["pushUrl"]], [200, null, null]);
  const listed = await prism.get<{ data: Body[] }>(PATH, { apiKey: key.body.key });
  assert.deepEqual(valuesOf(listed.body.data, "id"), [body.id]);
});
