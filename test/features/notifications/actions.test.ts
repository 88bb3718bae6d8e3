import assert from "node:assert/strict";
import test from "node:test";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeUser } from "../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { countOf, rowsOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";

interface Note {
  id: string;
  read: boolean;
  acknowledgedBy: string[];
  me: { readAt: string | null; acknowledgedAt: string | null; openedAt: string | null };
  error?: { code: string };
}

const PATH = "/api/v1/notifications";

async function send(prism: TestPrism, recipients: string[] = ["me"], title = "t"): Promise<string> {
  return (await prism.post<Note>(PATH, { title, message: "m", recipients })).body.id;
}

/** What the user's own stream says, by type, with the data of each entry. */
function streamOf(prism: TestPrism, userId: string): { type: string; data: Record<string, unknown> }[] {
  const rows = rowsOf<{ type: string; data: string }>(
    prism,
    "select type, data from stream_log where stream = ? order by seq",
    `user:${userId}`,
  );
  return rows.map(({ type, data }) => ({ type, data: JSON.parse(data) as Record<string, unknown> }));
}

test("S0-32: a recipient marks a notification read, once; the other recipients' rows stay as they are", async (t) => {
  keepsPromise(t, "S0-32");
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const uma = await makeUser(prism, "uma");
  const id = await send(prism, ["uma", "me"]);
  const first = await prism.patch<Note>(`/notifications/${id}/read`, undefined, { token: uma.token });
  assert.deepEqual([first.status, first.body.read], [200, true]);
  assert.equal(first.body.me.readAt, new Date(clock.now()).toISOString());
  clock.advance(1000);
  const again = await prism.patch<Note>(`${PATH}/${id}/read`, {}, { token: uma.token });
  assert.deepEqual([again.status, again.body.me.readAt], [200, first.body.me.readAt]);
  assert.equal((await prism.get<Note>(`${PATH}/${id}`)).body.read, false);
  const stream = streamOf(prism, uma.id);
  assert.deepEqual(valuesOf(stream, "type"), ["notification.read", "unread-count"], "told once");
  assert.deepEqual([stream[0]?.data["id"], stream[0]?.data["read"]], [id, true]);
  assert.deepEqual(stream[1]?.data, { count: 0, unreadCount: 0 });
});

test("S2-39: acknowledging also reads; the first time is kept; it is audited without the note", async (t) => {
  keepsPromise(t, "S2-39");
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const uma = await makeUser(prism, "uma");
  const id = await send(prism, ["uma"]);
  const path = `${PATH}/${id}/acknowledge`;
  const first = await answered(200, prism.put<Note>(path, { note: "call uma@example.test" }, { token: uma.token }));
  assert.deepEqual([first.body.acknowledgedBy, first.body.read], [[uma.id], true]);
  clock.advance(5000);
  const again = await prism.put<Note>(path, undefined, { token: uma.token });
  assert.deepEqual(again.body.me, first.body.me);
  const [entry, ...more] = rowsOf<{ resourceId: string; userId: string; metadata: string }>(
    prism,
    "select resourceId, userId, metadata from audit_log where action = 'notification.acknowledged'",
  );
  assert.deepEqual([entry?.resourceId, entry?.userId, more.length], [id, uma.id, 0]);
  assert.doesNotMatch(entry?.metadata ?? "", /uma/);
  assert.deepEqual(valuesOf(streamOf(prism, uma.id), "type"), ["notification.acknowledged", "unread-count"]);
  assert.equal((await prism.put(path, { note: "x".repeat(501) }, { token: uma.token })).status, 400);
});

test("acknowledging what was read before keeps the time of reading", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const id = await send(prism);
  const read = await prism.patch<Note>(`${PATH}/${id}/read`);
  clock.advance(1000);
  const { body } = await prism.put<Note>(`${PATH}/${id}/acknowledge`);
  assert.equal(body.me.readAt, read.body.me.readAt);
  assert.notEqual(body.me.acknowledgedAt, body.me.readAt);
});

test("S2-40: an action of the app is logged and audited, and the first opening is kept", async (t) => {
  keepsPromise(t, "S2-40");
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const uma = await makeUser(prism, "uma");
  const id = await send(prism, ["uma"]);
  const path = `${PATH}/${id}/webview-action`;
  const first = await prism.post(path, undefined, { token: uma.token });
  assert.deepEqual([first.status, first.body], [201, { logged: true }]);
  const openedAt = new Date(clock.now()).toISOString();
  clock.advance(1000);
  const more = { action: "buy", url: "https://example.test/x", metadata: { name: "Uma", __proto__x: 1 } };
  assert.equal((await prism.post(path, more, { token: uma.token })).status, 201);
  const { body } = await prism.get<Note>(`${PATH}/${id}`, { token: uma.token });
  assert.deepEqual([body.me.openedAt, body.read], [openedAt, false]);
  const audited = rowsOf<{ metadata: string }>(
    prism,
    "select metadata from audit_log where action = 'notification.webview' order by seq",
  );
  const shown = audited.map(({ metadata }) => JSON.parse(metadata));
  assert.deepEqual(shown, [
    { action: "open", metadataMembers: 0 },
    { action: "buy", metadataMembers: 2 },
  ]);
  assert.deepEqual(
    valuesOf(streamOf(prism, uma.id), "type"),
    ["notification.updated", "notification.updated"],
    "one for each action that differs from the last",
  );
  for (const bad of [
    { url: "javascript:alert(1)" },
    { url: "not a url" },
    { url: "ftp://example.test/x" },
    { action: "" },
    { action: "x".repeat(101) },
    { metadata: { x: "y".repeat(4096) } },
    { other: 1 },
  ])
    assert.equal((await prism.post(path, bad, { token: uma.token })).status, 400, JSON.stringify(bad).slice(0, 60));
});

test("S2-42: deleting removes only the caller's own row from the caller's list", async (t) => {
  keepsPromise(t, "S2-42");
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const id = await send(prism, ["uma", "me"]);
  const remove = () => prism.delete<Note>(`${PATH}/${id}`, { token: uma.token });
  assert.equal((await remove()).status, 204);
  const again = await remove();
  assert.deepEqual([again.status, again.body.error?.code], [404, "NOTIFICATION_NOT_FOUND"]);
  assert.equal((await prism.get<{ data: unknown[] }>(PATH, { token: uma.token })).body.data.length, 0);
  assert.equal((await prism.get<{ data: unknown[] }>(PATH)).body.data.length, 1);
  assert.equal(countOf(prism, "notification_recipients"), 2, "it is kept, marked");
  const [entry, count] = streamOf(prism, uma.id);
  assert.deepEqual(
    [entry?.type, entry?.data["id"], count?.data],
    ["notification.deleted", id, { count: 0, unreadCount: 0 }],
  );
  for (const [method, path] of [
    ["PATCH", "read"],
    ["PUT", "acknowledge"],
    ["POST", "webview-action"],
  ] as const)
    assert.equal((await prism.request(method, `${PATH}/${id}/${path}`, {}, { token: uma.token })).status, 404);
});

test("S2-41: the unread count counts what is neither read nor removed", async (t) => {
  keepsPromise(t, "S2-41");
  const prism = await startPrism(t);
  const { token } = await makeUser(prism, "uma");
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) ids.push(await send(prism, ["uma", "me"]));
  const count = async () => (await prism.get(`${PATH}/unread-count`, { token })).body;
  assert.deepEqual(await count(), { count: 5, unreadCount: 5 });
  await prism.patch(`${PATH}/${ids[0]}/read`, {}, { token });
  await prism.put(`${PATH}/${ids[1]}/acknowledge`, {}, { token });
  await prism.delete(`${PATH}/${ids[2]}`, { token });
  await prism.delete(`${PATH}/${ids[0]}`, { token });
  assert.deepEqual(await count(), { count: 2, unreadCount: 2 });
});

test("read-all reads what is there, or what was made before a time, and says so once", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const uma = await makeUser(prism, "uma");
  const { token } = uma;
  const ids: string[] = [];
  for (let i = 0; i < 4; i++) {
    ids.push(await send(prism, ["uma", "me"]));
    clock.advance(1000);
  }
  await prism.patch(`${PATH}/${ids[0]}/read`, {}, { token });
  const before = new Date(clock.now() - 2000).toISOString();
  const readAll = async (body?: object) => (await prism.post(`${PATH}/read-all`, body, { token })).body;
  const others = await send(prism, ["me"]);
  assert.deepEqual(await readAll({ ids: [ids[0], ids[3], ids[3], others] }), { updated: 1 }, "only own unread ones");
  assert.equal((await prism.get<Note & { read: boolean }>(`${PATH}/${ids[3]}`, { token })).body.read, true);
  assert.deepEqual(await readAll({ ids: [ids[3]] }), { updated: 0 });
  assert.deepEqual(await readAll({ before }), { updated: 1 });
  assert.deepEqual(await readAll(), { updated: 1 });
  assert.deepEqual(await readAll(), { updated: 0 });
  const told = streamOf(prism, uma.id).slice(4);
  const rows = told.map(({ type, data }) => [type, data["before"], data["updated"], data["count"]]);
  assert.deepEqual(rows, [
    ["notification.read", before, 1, undefined],
    ["unread-count", undefined, undefined, 1],
    ["notification.read", null, 1, undefined],
    ["unread-count", undefined, undefined, 0],
  ]);
  assert.deepEqual((await prism.get(`${PATH}/unread-count`)).body, { count: 5, unreadCount: 5 }, "others' stay unread");
  assert.equal((await prism.post(`${PATH}/read-all`, { before: "now" }, { token })).status, 400);
});

test("another user's notification is not found, for every operation", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const auditor = await makeUser(prism, "auditor", ["Auditor"]);
  const id = await send(prism, ["uma"]);
  for (const { token } of [auditor, await makeUser(prism, "vic")]) {
    for (const [method, path] of [
      ["PATCH", `/notifications/${id}/read`],
      ["PATCH", `${PATH}/${id}/read`],
      ["PUT", `${PATH}/${id}/acknowledge`],
      ["POST", `${PATH}/${id}/webview-action`],
      ["DELETE", `${PATH}/${id}`],
      ["PATCH", `${PATH}/nonsense/read`],
    ] as const) {
      const reply = await prism.request<Note>(method, path, method === "DELETE" ? undefined : {}, { token });
      assert.deepEqual([reply.status, reply.body.error?.code], [404, "NOTIFICATION_NOT_FOUND"], `${method} ${path}`);
    }
  }
  const { body } = await prism.get<Note>(`${PATH}/${id}`, { token: uma.token });
  assert.deepEqual(body.me, {
    delivered: false,
    readAt: null,
    acknowledgedAt: null,
    acknowledgeNote: null,
    openedAt: null,
    webviewAction: null,
  });
  const shop = await prism.post<{ apiKey: string }>("/api/v1/projects", { name: "shop" });
  assert.equal((await prism.get(PATH, { apiKey: shop.body.apiKey })).status, 403, "keys have no notifications");
});

test("an administrator acknowledges and reads for another user, with both permissions and a row in the audit trail", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const holder = async (username: string, permissions: readonly string[]) => {
    await prism.post("/api/v1/roles", { name: username, permissions });
    return makeUser(prism, username, [username]);
  };
  const manager = await holder("manager", ["users:manage", "users:read"]);
  const reader = await holder("reader", ["notifications:read_all", "users:read"]);
  const id = await send(prism, ["uma"]);
  await send(prism, ["uma"], "second");
  const paths = [`/${id}/acknowledge?userId=uma`, `/${id}/read?userId=uma`, "/read-all?userId=uma"] as const;
  const act = (path: (typeof paths)[number], token?: string) =>
    prism.request<Note & { updated?: number }>(
      path.includes("acknowledge") ? "PUT" : path.includes("read-all") ? "POST" : "PATCH",
      PATH + path,
      {},
      token === undefined ? {} : { token },
    );
  for (const path of paths)
    for (const { token } of [manager, reader]) assert.equal((await act(path, token)).status, 403, path);
  assert.ok(!streamOf(prism, uma.id).some(({ type }) => type.startsWith("notification.")));

  const [acknowledged, read, all] = [await act(paths[0]), await act(paths[1]), await act(paths[2])];
  assert.deepEqual([acknowledged.status, read.status, all.status, all.body.updated], [200, 200, 200, 1]);
  assert.deepEqual(acknowledged.body.acknowledgedBy, [uma.id]);
  const types = streamOf(prism, uma.id).map(({ type }) => type);
  assert.deepEqual(types, ["notification.acknowledged", "unread-count", "notification.read", "unread-count"]);
  const rows = rowsOf<{ userId: string; metadata: string }>(
    prism,
    "select userId, metadata from audit_log where action = 'notification.acknowledged'",
  );
  assert.deepEqual(
    rows.map(({ userId, metadata }) => [userId === uma.id, JSON.parse(metadata)]),
    [[false, { onBehalfOf: uma.id }]],
  );
  assert.equal((await prism.put(`${PATH}/${id}/acknowledge?userId=nix`, {})).status, 404);
  const own = await prism.put<Note>(`${PATH}/${id}/acknowledge?userId=uma`, {}, { token: uma.token });
  assert.equal(own.status, 200, "one's own name is the caller");
});

test("marks at the same time are made one on top of the other, and each caller sees what it may", async (t) => {
  const prism = await startPrism(t);
  const [uma, vic] = [await makeUser(prism, "uma"), await makeUser(prism, "vic")];
  const ids: string[] = [];
  for (let n = 0; n < 6; n++) ids.push(await send(prism, ["uma", "vic", "me"]));
  const callers = [{ token: uma.token }, {}, { token: vic.token }, { token: uma.token }];
  const unknown = "01a211f3-67d0-704e-ad2a-bea9c255ccb0";
  const replies = await Promise.all(
    [...ids, unknown].flatMap((id, n) =>
      callers.map((options) =>
        n % 2 === 0
          ? prism.put<Note>(`${PATH}/${id}/acknowledge`, {}, options)
          : prism.patch<Note>(`${PATH}/${id}/read`, {}, options),
      ),
    ),
  );
  for (const [n, { status, body }] of replies.entries()) {
    const at = Math.floor(n / callers.length);
    assert.equal(status, at < ids.length ? 200 : 404);
    if (status !== 200) continue;
    assert.deepEqual([body.read, body.me.acknowledgedAt !== null], [true, at % 2 === 0]);
    // A user without the right sees no other recipient.
    if (n % callers.length === 0) assert.deepEqual(body.acknowledgedBy, at % 2 === 0 ? [uma.id] : []);
  }
  const seen = (await prism.get<Note>(`${PATH}/${ids[0]}`)).body.acknowledgedBy;
  assert.deepEqual([seen.length, seen.includes(uma.id), seen.includes(vic.id)], [3, true, true]);
  for (const { id } of [uma, vic]) {
    const counts = streamOf(prism, id).flatMap(({ type, data }) => (type === "unread-count" ? [data["count"]] : []));
    assert.deepEqual(counts, [5, 4, 3, 2, 1, 0], "a repetition says nothing");
  }
  assert.equal(countOf(prism, "audit_log where action = 'notification.acknowledged'"), 9);
});
