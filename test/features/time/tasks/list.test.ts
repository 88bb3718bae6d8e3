import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import fc from "fast-check";
import type { Task } from "../../../../src/client/api-types.gen.ts";
import { uuidv7 } from "../../../../src/core/ids.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, TestPrism } from "../../../helpers/prism.ts";
import { valuesOf } from "../../../helpers/values.ts";

interface Page {
  readonly data: readonly Task[];
  readonly total?: number;
  readonly nextCursor: string | null;
  readonly error?: { readonly code: string };
}

const STATUSES = ["TODO", "IN_PROGRESS", "DONE", "CANCELLED"] as const;
const COUNT = 60;

let prism: TestPrism;
let uma: { id: string; token: string };

/** Many tasks that agree in what they are sorted by, so that the id decides. */
before(async () => {
  prism = await TestPrism.start();
  uma = await makeUser(prism, "uma", ["User"]);
  const vic = await makeUser(prism, "vic", ["User"]);
  await prism.post("/api/v1/tasks", { title: "vic's own" }, { token: vic.token });
  await prism.services.db.write((trx) =>
    trx
      .insertInto("tasks")
      .values(
        Array.from({ length: COUNT }, (_, i) => ({
          id: uuidv7(),
          userId: uma.id,
          title: `task ${i % 7}`,
          description: i % 10 === 0 ? "100% sure_thing" : "",
          status: STATUSES[i % 4] as (typeof STATUSES)[number],
          priority: i % 5,
          dueAt: i % 3 === 0 ? null : 1_700_000_000_000 + (i % 6) * 1000,
          version: 1,
          deletedAt: i % 20 === 19 ? 1 : null,
          createdAt: 1_600_000_000_000 + Math.floor(i / 4) * 1000,
          updatedAt: 1_650_000_000_000 - (i % 8) * 1000,
        })),
      )
      .execute(),
  );
});

after(() => prism.stop());

const list = (query: string, token = uma.token) => prism.get<Page>(`/api/v1/tasks?${query}`, { token });
const LIVE = COUNT - COUNT / 20;

test("S2-110: every order has each task once, by pages, offsets and cursors alike", async () => {
  const keyOf = (task: Task, field: string): string | number =>
    task[field as "title"] ?? (field === "dueAt" ? "9999" : "");
  const sorts = ["createdAt", "updatedAt", "dueAt", "priority", "title"].flatMap((field) => [field, `-${field}`]);
  for (const sort of sorts) {
    const { body } = await list(`sort=${sort}&limit=100`);
    const field = sort.replace("-", "");
    const sorted = body.data.toSorted((a, b) => {
      const [x, y] = [keyOf(a, field), keyOf(b, field)];
      const order = x < y ? -1 : x > y ? 1 : a.id < b.id ? -1 : 1;
      return sort.startsWith("-") ? -order : order;
    });
    assert.equal(body.data.length, LIVE);
    assert.deepEqual(body.data, sorted, sort);
  }
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...sorts),
      fc.integer({ min: 1, max: 25 }),
      fc.constantFrom("", "&status=TODO", "&status=TODO,DONE", "&priority=2"),
      async (sort, limit, filter) => {
        const whole = (await list(`sort=${sort}&limit=100${filter}`)).body.data.map(({ id }) => id);
        const joined: string[] = [];
        for (let cursor: string | null = ""; cursor !== null; ) {
          const page: Page = (await list(`sort=${sort}&limit=${limit}${filter}${cursor && `&cursor=${cursor}`}`)).body;
          joined.push(...page.data.map(({ id }) => id));
          cursor = page.nextCursor;
        }
        assert.deepEqual(joined, whole);
        const { body: second } = await list(`sort=${sort}&limit=${limit}&page=2${filter}`);
        assert.deepEqual(valuesOf(second.data, "id"), whole.slice(limit, 2 * limit));
        assert.equal(second.total, whole.length);
      },
    ),
    { numRuns: 25 },
  );
});

test("filters take away what does not agree with them", async () => {
  for (const [query, keeps] of [
    ["status=TODO", (task: Task) => task.status === "TODO"],
    ["status=TODO,CANCELLED", (task: Task) => task.status === "TODO" || task.status === "CANCELLED"],
    ["priority=0", (task: Task) => task.priority === 0],
    ["q=TASK 3", (task: Task) => task.title === "task 3"],
    ["q=_", (_: Task, i: number) => i % 10 === 0],
    ["q=100%25", (_: Task, i: number) => i % 10 === 0],
    ["q=nowhere", () => false],
    ["status=DONE&priority=2&q=task", (task: Task) => task.status === "DONE" && task.priority === 2],
  ] as const) {
    const all = (await list("limit=100&sort=createdAt")).body.data;
    const indexes = new Map(
      Array.from({ length: COUNT }, (_, i) => i)
        .filter((i) => i % 20 !== 19)
        .map((i, at) => [at, i]),
    );
    const wanted = all.filter((task, at) => keeps(task, indexes.get(at) ?? -1)).map(({ id }) => id);
    const { body } = await list(`${query}&limit=100&sort=createdAt`);
    assert.deepEqual(valuesOf(body.data, "id"), wanted, query);
    assert.equal((await list(`${query}&page=1`)).body.total, wanted.length, query);
  }
});

test("another user's list is for callers who may read all tasks, by any name of that user", async () => {
  for (const name of [uma.id, "uma"])
    assert.equal((await list(`userId=${name}&page=1`, prism.adminToken)).body.total, LIVE);
  assert.equal((await list("userId=me&page=1", prism.adminToken)).body.total, 0);
  assert.equal((await list(`userId=${uma.id}&page=1`)).body.total, LIVE, "one's own goes by its id, too");
  const unknown = await list("userId=nobody", prism.adminToken);
  assert.deepEqual([unknown.status, unknown.body.error?.code], [404, "USER_NOT_FOUND"]);
  for (const name of ["vic", "nobody"]) {
    const reply = await list(`userId=${name}`);
    assert.deepEqual([reply.status, reply.body.error?.code], [403, "UNAUTHORIZED_ROLE"], name);
  }
});

test("an invalid query is refused", async () => {
  const cursor = Buffer.from('["a","b"]').toString("base64url");
  for (const [query, code] of [
    ["status=OPEN", "VALIDATION_FAILED"],
    ["status=", "VALIDATION_FAILED"],
    ["priority=1001", "VALIDATION_FAILED"],
    ["q=", "VALIDATION_FAILED"],
    ["sort=id", "VALIDATION_FAILED"],
    ["page=1&offset=1", "VALIDATION_FAILED"],
    ["limit=1001", "VALIDATION_FAILED"],
    [`cursor=${cursor}`, "INVALID_CURSOR"],
    ["due=1", "VALIDATION_FAILED"],
  ] as const) {
    const reply = await list(query);
    assert.deepEqual([reply.status, reply.body.error?.code], [400, code], query);
  }
  assert.equal((await list(`sort=title&cursor=${cursor}`)).status, 200, "a title is a text");
});

test("S3-14: a list answers a tag of all it shows, and 304 to who has it", async () => {
  const as = { token: uma.token };
  const first = await list("sort=-priority");
  const tag = first.headers.get("etag") ?? "";
  assert.match(tag, /^"[0-9a-f]{32}"$/);
  assert.equal(first.headers.get("cache-control"), "private, no-cache");
  const again = (path: string, known = tag) => prism.get(path, { ...as, headers: { "If-None-Match": known } });
  assert.deepEqual([(await again("/api/tasks?sort=-priority")).status, (await again("/api/tasks")).status], [304, 200]);
  const task = first.body.data[0];
  await prism.put(`/api/tasks/${task?.id}`, { title: "another" }, as);
  const changed = await answered(200, again("/api/tasks?sort=-priority"));
  assert.notEqual(changed.headers.get("etag"), tag);
});

test("GET /api/tasks gives all tasks, and how many there are; an offset within a page has no page number", async (t) => {
  const own = await startPrism(t);
  for (let i = 0; i < 26; i++) await own.post("/api/tasks", { title: `t${i}` });
  const get = async (query: string) =>
    (await own.get<{ data: unknown[]; total: number; page: number | null }>(`/api/tasks${query}`)).body;
  const all = await get("");
  assert.deepEqual([all.data.length, all.total, all.page], [26, 26, 1]);
  const rest = await get("?limit=20&offset=20");
  assert.deepEqual([rest.data.length, rest.total, rest.page], [6, 26, 2]);
  assert.equal((await get("?limit=20&offset=5")).page, null);
});
