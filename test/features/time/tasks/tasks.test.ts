import assert from "node:assert/strict";
import test from "node:test";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { makeServiceToken } from "../../../http/support/access/makers.ts";

interface Task {
  readonly id: string;
  readonly title: string;
  readonly status: string;
  readonly priority: number;
  readonly version: number;
  readonly [member: string]: unknown;
}

interface Failure {
  readonly error: { readonly code: string; readonly details?: readonly { readonly path: string }[] };
}

/** As S3 has it, to the letter. */
const NEW = { title: "Task Title", description: "Task Description", status: "TODO", priority: 1 };

test("a task from its making to its end, by S3's own paths and bodies", async (t) => {
  const clock = new FakeClock(1_700_000_000_000);
  const prism = await startPrism(t, { clock });
  const uma = await makeUser(prism, "uma", ["User"]);
  const as = { token: uma.token };
  const made = await prism.post<Task>("/api/tasks", NEW, as);

  await t.test("S3-27: POST /api/tasks makes it", (t) => {
    keepsPromise(t, "S3-27");
    assert.equal(made.status, 201, made.text);
    assert.deepEqual(made.body, {
      id: made.body.id,
      userId: uma.id,
      ...NEW,
      dueAt: null,
      version: 1,
      createdAt: "2023-11-14T22:13:20.000Z",
      updatedAt: "2023-11-14T22:13:20.000Z",
    });
    assert.deepEqual([made.headers.get("etag"), made.headers.get("cache-control")], ['"1"', "private, no-cache"]);
  });

  await t.test("S3-25: GET /api/tasks lists it", async (t) => {
    keepsPromise(t, "S3-25");
    const { body } = await answered(200, prism.get<{ data: Task[]; nextCursor: null }>("/api/tasks", as));
    assert.deepEqual(body, { data: [made.body], page: 1, limit: 1000, total: 1, nextCursor: null });
  });

  await t.test("S3-26: GET /api/tasks/:id shows it, by either path", async (t) => {
    keepsPromise(t, "S3-26");
    for (const path of ["/api/tasks", "/api/v1/tasks"])
      assert.deepEqual((await prism.get<Task>(`${path}/${made.body.id}`, as)).body, made.body);
  });

  await t.test("S3-28: PUT /api/tasks/:id changes what it names and nothing else; PATCH does the same", async (t) => {
    keepsPromise(t, "S3-28");
    clock.advance(60_000);
    const put = await answered(200, prism.put<Task>(`/api/tasks/${made.body.id}`, { status: "IN_PROGRESS" }, as));
    const started = { ...made.body, status: "IN_PROGRESS", version: 2, updatedAt: "2023-11-14T22:14:20.000Z" };
    assert.deepEqual(put.body, started);
    const dueAt = "2024-02-29T12:00:00+02:00";
    const patch = await prism.patch<Task>(`/api/tasks/${made.body.id}`, { dueAt, priority: 1000, title: "New" }, as);
    const changed = { ...started, dueAt: "2024-02-29T10:00:00.000Z", priority: 1000, title: "New", version: 3 };
    assert.deepEqual(patch.body, changed);
    const undated = await prism.put<Task>(`/api/tasks/${made.body.id}`, { dueAt: null, description: "" }, as);
    assert.deepEqual(undated.body, { ...changed, dueAt: null, description: "", version: 4 });
    assert.deepEqual((await prism.get<Task>(`/api/tasks/${made.body.id}`, as)).body, undated.body);
  });

  await t.test("S3-29: DELETE /api/tasks/:id removes it from every view; the row stays", async (t) => {
    keepsPromise(t, "S3-29");
    const gone = await prism.delete(`/api/tasks/${made.body.id}`, as);
    assert.deepEqual([gone.status, gone.text], [204, ""]);
    for (const reply of [
      await prism.get<Failure>(`/api/tasks/${made.body.id}`, as),
      await prism.put<Failure>(`/api/tasks/${made.body.id}`, { status: "DONE" }, as),
      await prism.delete<Failure>(`/api/tasks/${made.body.id}`, as),
    ])
      assert.deepEqual([reply.status, reply.body.error.code], [404, "TASK_NOT_FOUND"]);
    assert.deepEqual((await prism.get<{ data: Task[] }>("/api/tasks", as)).body.data, []);
    const [row] = rowsOf<{ deletedAt: number; version: number }>(prism, "select deletedAt, version from tasks");
    assert.deepEqual(row, { deletedAt: clock.now(), version: 4 });
  });
});

test("D46: only a title is needed; what is left out has its default", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<Task>("/api/v1/tasks", { title: "  Buy\u202e milk\u0000 " });
  assert.deepEqual(
    [body.title, body["description"], body.status, body.priority, body["dueAt"]],
    ["  Buy milk ", "", "TODO", 0, null],
  );
  for (const status of ["TODO", "IN_PROGRESS", "DONE", "CANCELLED"])
    assert.equal((await prism.put<Task>(`/api/v1/tasks/${body.id}`, { status })).body.status, status);
});

test("an invalid task is refused with its wrong members, and nothing is stored", async (t) => {
  const prism = await startPrism(t);
  const { body: task } = await prism.post<Task>("/api/v1/tasks", NEW);
  for (const [member, value] of [
    ["title", ""],
    ["title", "x".repeat(256)],
    ["title", 7],
    ["title", null],
    ["description", "x".repeat(10_001)],
    ["status", "todo"],
    ["status", "BLOCKED"],
    ["priority", -1],
    ["priority", 1001],
    ["priority", 1.5],
    ["priority", "1"],
    ["dueAt", "tomorrow"],
    ["dueAt", "2024-02-30T00:00:00Z"],
    ["userId", "me"],
    ["version", 3],
  ] as const) {
    for (const reply of [
      await prism.post<Failure>("/api/v1/tasks", { title: "t", [member]: value }),
      await prism.put<Failure>(`/api/v1/tasks/${task.id}`, { [member]: value }),
    ]) {
      const { error } = reply.body;
      const told = [reply.status, error.code, error.details?.[0]?.path];
      assert.deepEqual(told, [400, "VALIDATION_FAILED", member], `${member}: ${JSON.stringify(value)}`);
    }
  }
  assert.equal((await prism.post<Failure>("/api/v1/tasks", {})).body.error.details?.[0]?.path, "title");
  assert.deepEqual((await prism.get<Task>(`/api/v1/tasks/${task.id}`)).body, task);
  assert.equal(scalarOf(prism, "select count(*) from tasks"), 1);
  assert.equal(scalarOf(prism, "select count(*) from stream_log"), 1);
});

test("text of the greatest length, in characters of four bytes, is stored and sent", async (t) => {
  const prism = await startPrism(t);
  const large = { title: "🦊".repeat(255), description: "🦊".repeat(10_000) };
  const { body } = await answered(201, prism.post<Task>("/api/v1/tasks", large));
  assert.deepEqual([body.title, body["description"]], [large.title, large.description]);
  assert.ok((scalarOf<number>(prism, "select max(length(cast(data as blob))) from stream_log") ?? 0) <= 65_536);
});

test("S3-14: a task answers its ETag, and 304 to who has it; If-Match of another version changes nothing", async (t) => {
  const prism = await startPrism(t);
  const { body: task } = await prism.post<Task>("/api/v1/tasks", NEW);
  const path = `/api/v1/tasks/${task.id}`;
  const asked = (tag: string) => prism.get<Task>(path, { headers: { "If-None-Match": tag } });
  assert.equal((await asked('"1"')).status, 304);
  const changed = await prism.put<Task>(path, { priority: 2 }, { headers: { "If-Match": '"1"' } });
  assert.deepEqual([changed.status, changed.headers.get("etag"), changed.body.version], [200, '"2"', 2]);
  assert.deepEqual([(await asked('"1"')).status, (await asked('"2"')).status], [200, 304]);
  const late = await prism.put<Failure>(path, { priority: 3 }, { headers: { "If-Match": '"1"' } });
  assert.deepEqual([late.status, late.body.error.code], [412, "VERSION_CONFLICT"]);
  assert.equal((await prism.get<Task>(path)).body.priority, 2);
  assert.equal((await prism.put(path, { priority: 3 })).status, 200, "without If-Match the last write wins");
});

test("a service token that is not for tasks reads and writes none, not even its user's", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  const { body: task } = await prism.post<Task>("/api/v1/tasks", NEW, { token: uma.token });
  const { token } = await makeServiceToken(prism, uma.id, { scopes: ["events:write"] });
  for (const [reply, code] of [
    [await prism.get<Failure>("/api/v1/tasks", { token }), "UNAUTHORIZED_ROLE"],
    [await prism.get<Failure>(`/api/v1/tasks/${task.id}`, { token }), "SCOPE_MISSING"],
    [await prism.put<Failure>(`/api/v1/tasks/${task.id}`, {}, { token }), "UNAUTHORIZED_ROLE"],
  ] as const)
    assert.deepEqual([reply.status, reply.body.error.code], [403, code]);
});
