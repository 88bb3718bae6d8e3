import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import type { Task } from "../../../../src/client/api-types.gen.ts";
import { deferred } from "../../../../src/core/promises.ts";
import { Scanner } from "../../../../src/store/scanner.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { openBeside } from "../../../helpers/store.ts";
import { WebSocketClient } from "../../../live/support/web-socket-client.ts";

interface Page {
  readonly data: readonly Task[];
}

const PATH = "/api/v1/tasks";

/** What `prism_cache_hits_total` says of a cache. */
async function lookUps(prism: TestPrism, cache: string): Promise<{ hit: number; miss: number }> {
  const { text } = await prism.get("/metrics");
  const of = (result: string) =>
    Number(new RegExp(`^prism_cache_hits_total{cache="${cache}",result="${result}"} (\\d+)$`, "m").exec(text)?.[1]);
  return { hit: of("hit"), miss: of("miss") };
}

for (const writer of ["main", "thread"] as const) {
  test(`S3-15 S3-37 writer ${writer}: while tasks are written, no read that begins after an answer shows less than that answer`, async (t) => {
    keepsPromise(t, ["S3-15", "S3-37"]);
    const settings = { "store.writer": writer, "rateLimit.enabled": "false" };
    const prism = await startPrism(t, { settings });
    const uma = await makeUser(prism, "uma", ["User"]);
    const as = { token: uma.token };
    const tasks = await Promise.all(
      Array.from({ length: 3 }, async (_, i) => (await prism.post<Task>(PATH, { title: `task ${i}` }, as)).body),
    );
    /** The last version in a response, by task. */
    const answered = new Map(tasks.map(({ id }) => [id, 1]));
    let isWriting = true;
    const write = async ({ id }: Task): Promise<void> => {
      for (let i = 0; i < 60; i++) {
        const { body } = await prism.put<Task>(`${PATH}/${id}`, { priority: i, status: "TODO" }, as);
        answered.set(id, Math.max(answered.get(id) ?? 0, body.version));
      }
    };
    const check = (task: Task | undefined, atLeast: ReadonlyMap<string, number>, what: string): void => {
      assert.ok(task);
      const wanted = atLeast.get(task.id) ?? 0;
      assert.ok(task.version >= wanted, `${what}: version ${task.version} after ${wanted} was answered`);
    };
    let reads = 0;
    const readLists = async (query: string): Promise<void> => {
      for (let tag = ""; isWriting; reads++) {
        const atLeast = new Map(answered);
        const reply = await prism.get<Page>(`${PATH}?${query}`, { ...as, headers: { "If-None-Match": tag } });
        if (reply.status === 304) continue;
        tag = reply.headers.get("etag") ?? "";
        assert.equal(reply.body.data.length, tasks.length);
        for (const task of reply.body.data) check(task, atLeast, query);
      }
    };
    const readOne = async ({ id }: Task): Promise<void> => {
      for (; isWriting; reads++) {
        const atLeast = new Map(answered);
        check((await prism.get<Task>(`${PATH}/${id}`, as)).body, atLeast, id);
      }
    };
    // The first list is read in this thread, the other ones in that for scans.
    const readers = [
      ...["", "", "status=TODO", "sort=title", `userId=${uma.id}&page=1`].map(readLists),
      ...tasks.map(readOne),
    ];
    await Promise.all(tasks.map(write)).finally(() => {
      isWriting = false;
    });
    await Promise.all(readers);
    assert.ok(reads > tasks.length);
    const { body } = await prism.get<Page>(PATH, as);
    assert.deepEqual(new Set(body.data.map(({ version }) => version)), new Set([61]));
  });
}

test("S3-15: a read that a write overtakes is not kept, though it answers last", async (t) => {
  keepsPromise(t, "S3-15");
  const prism = await startPrism(t);
  const { body: task } = await prism.post<Task>(PATH, { title: "before" });
  const query = Scanner.prototype.query;
  const hasRead = deferred<void>();
  const mayAnswer = deferred<void>();
  t.after(() => {
    Scanner.prototype.query = query;
  });
  Scanner.prototype.query = async function (this: Scanner, sql, parameters) {
    const rows = await query.call(this, sql, parameters);
    hasRead.resolve();
    await mayAnswer.promise;
    return rows;
  };
  const slow = prism.get<Page>(`${PATH}?sort=title&limit=20`);
  await hasRead.promise;
  await prism.put(`${PATH}/${task.id}`, { title: "after" });
  mayAnswer.resolve();
  assert.equal((await slow).body.data[0]?.title, "before");
  assert.equal((await prism.get<Page>(`${PATH}?sort=title&limit=20`)).body.data[0]?.title, "after");
});

test("a client that gets a change over a socket and reads at once sees it", async (t) => {
  const prism = await startPrism(t);
  const { body: task } = await prism.post<Task>(PATH, { title: "t" });
  const client = await WebSocketClient.openFor(t, `${prism.wsUrl}/ws/updates?token=${prism.adminToken}`);
  client.send({ type: "SUBSCRIBE_TASKS" });
  await client.expect({ type: "TASKS_SUBSCRIBED" });
  const seen: Promise<number>[] = [];
  client.socket.on("message", (text: Buffer) => {
    const { type } = JSON.parse(text.toString()) as { type: string };
    if (type === "TASK_UPDATED") seen.push(prism.get<Task>(`${PATH}/${task.id}`).then(({ body }) => body.version));
  });
  for (let version = 2; version <= 20; version++) {
    await prism.get(`${PATH}/${task.id}`);
    await prism.put(`${PATH}/${task.id}`, { priority: version });
    await eventually("the change is told", () => seen.length === version - 1);
    assert.ok(((await seen.at(-1)) ?? 0) >= version);
  }
});

test("S3-04 S3-17: what was read is answered from memory, each list and task by a key of its own, until its owner writes", async (t) => {
  keepsPromise(t, ["S3-04", "S3-17"]);
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  const as = { token: uma.token };
  const { body: own } = await prism.post<Task>(PATH, { title: "uma's" }, as);
  await prism.post<Task>(PATH, { title: "dev's", status: "DONE" });
  const paths = ["", "?limit=1", "?status=TODO", "?status=DONE", "?sort=title", "?page=1", `/${own.id}`];
  const readAll = () => Promise.all(paths.map(async (path) => (await prism.get(PATH + path, as)).text));
  const readByAdmin = () => prism.get<Page>(PATH);
  const first = await readAll();
  assert.equal(new Set(first).size, 4, "lists that show the same are the same");
  assert.equal((await readByAdmin()).body.data[0]?.title, "dev's");
  const before = await lookUps(prism, "tasks");
  assert.deepEqual(await readAll(), first);
  assert.deepEqual(await lookUps(prism, "tasks"), { hit: before.hit + paths.length, miss: before.miss });

  await prism.put(`${PATH}/${own.id}`, { title: "changed" }, as);
  const second = await readAll();
  assert.ok(second.every((text, i) => text !== first[i] || !text.includes("uma's")));
  await readByAdmin();
  const after = await lookUps(prism, "tasks");
  assert.equal(after.miss, before.miss + paths.length, "the writer's own are read again");
  assert.equal(after.hit, before.hit + paths.length + 1, "the administrator's are not");
});

test("S3-37: searches are not cached, because they are rarely repeated", async (t) => {
  keepsPromise(t, "S3-37");
  const prism = await startPrism(t);
  const before = await lookUps(prism, "tasks");
  for (let i = 0; i < 3; i++) await prism.get(`${PATH}?q=anything`);
  assert.deepEqual(await lookUps(prism, "tasks"), before);
});

test("D35: a write of another process is seen without a notification", async (t) => {
  keepsPromise(t, "S3-37");
  const prism = await startPrism(t, { settings: { "cache.ttlMs": "1s" } });
  const { body: task } = await prism.post<Task>(PATH, { title: "before" });
  const titles = async () => {
    const one = await prism.get<Task>(`${PATH}/${task.id}`);
    const list = await prism.get<Page>(PATH);
    return [one.body.title, list.body.data[0]?.title];
  };
  assert.deepEqual(await titles(), ["before", "before"]);
  openBeside(t, join(prism.dir, "prism.db")).prepare("update tasks set title = 'beside'").run();
  await eventually("both show it", async () => (await titles()).every((title) => title === "beside"));
});

test("a right that is taken counts for what is kept, too", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  const as = { token: uma.token };
  const { body: task } = await prism.post<Task>(PATH, { title: "t" }, as);
  for (const path of [PATH, `${PATH}/${task.id}`]) assert.equal((await prism.get(path, as)).status, 200);
  await prism.patch(`/api/v1/users/${uma.id}`, { roles: ["Auditor"] });
  for (const path of [PATH, `${PATH}/${task.id}`]) assert.equal((await prism.get(path, as)).status, 403);
});
