import assert from "node:assert/strict";
import test from "node:test";
import type { ReadDb } from "../../src/store/database.ts";
import { makeUser } from "../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../helpers/prism.ts";

interface Page {
  readonly data: readonly Record<string, unknown>[];
  readonly nextCursor: string | null;
}

const MEBIBYTE = 1_048_576;
/** Four bytes in UTF-8. */
const WIDE = "\u{1f514}";

/** The bytes of the largest result that the database has given since. */
function watchReads({ parts }: TestPrism): { largestBytes: number } {
  const watched = { largestBytes: 0 };
  const watch = (db: ReadDb): void => {
    const executor = db.getExecutor();
    const execute = executor.executeQuery.bind(executor);
    executor.executeQuery = async <R>(...query: Parameters<typeof executor.executeQuery>) => {
      const result = await execute<R>(...query);
      watched.largestBytes = Math.max(watched.largestBytes, Buffer.byteLength(JSON.stringify(result.rows)));
      return result;
    };
  };
  watch(parts.base.database.read);
  watch(parts.base.database.scan);
  return watched;
}

const LISTS: readonly {
  readonly name: string;
  readonly path: string;
  readonly key: string;
  readonly limit: number;
  readonly count: number;
  readonly make: (prism: TestPrism, i: number) => Promise<{ status: number; text: string }>;
}[] = [
  {
    name: "tasks",
    path: "/api/v1/tasks",
    key: "id",
    limit: 1000,
    count: 250,
    make: (prism, i) => prism.post("/api/v1/tasks", { title: `t${i}`, description: WIDE.repeat(10_000) }),
  },
  {
    name: "timers",
    path: "/api/v1/timers",
    key: "jobId",
    limit: 100,
    count: 100,
    make: (prism) => prism.post("/api/v1/time/trigger", { label: "l", delayMs: 86_400_000, action: largeAction() }),
  },
  {
    name: "schedules",
    path: "/api/v1/schedules",
    key: "id",
    limit: 100,
    count: 80,
    make: (prism, i) => prism.post("/api/v1/schedules", scheduleOf(i)),
  },
  {
    name: "rules",
    path: "/api/v1/rules",
    key: "id",
    limit: 100,
    count: 100,
    make: (prism, i) => prism.post("/api/v1/rules", ruleOf(i)),
  },
  {
    name: "notifications",
    path: "/api/v1/notifications",
    key: "id",
    limit: 100,
    count: 100,
    make: (prism) => prism.post("/api/v1/notifications", notificationTo("me")),
  },
];

function largeAction() {
  return { type: "event", event: "e", payload: { text: "x".repeat(60_000) } };
}

function scheduleOf(i: number) {
  return { name: `s${i}`, queue: "timers", kind: "timer", cron: "0 0 1 1 *", payload: { action: largeAction() } };
}

function ruleOf(i: number) {
  const text = WIDE.repeat(4000);
  const condition = [1, 2, 3].map((n) => `event.a${n} == "${WIDE.repeat(1000)}"`).join(" or ");
  return { name: `r${i}`, condition, description: text, messageTemplate: text, targetUsers: ["dev"] };
}

function notificationTo(...recipients: string[]) {
  return { title: "t", message: WIDE.repeat(4000), data: { text: "x".repeat(16_000) }, recipients };
}

test("a list reads no more large rows than a page shows, and its cursors lead over all of them", async (t) => {
  const work = { "work.projectMsPerSecond": "10000", "work.creatorMsPerSecond": "10000" };
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false", ...work } });
  for (const { name, path, key, limit, count, make } of LISTS)
    await t.test(name, async () => {
      const made = await Promise.all(Array.from({ length: count }, (_, i) => make(prism, i)));
      for (const { status, text } of made) assert.ok(status < 300, text.slice(0, 300));
      const watched = watchReads(prism);
      const keys: unknown[] = [];
      let pages = 0;
      for (let cursor: string | null = ""; cursor !== null; pages++) {
        const after: string = cursor === "" ? "" : `&cursor=${cursor}`;
        const { body, text } = await answered(200, prism.get<Page>(`${path}?limit=${limit}${after}`));
        assert.ok(Buffer.byteLength(text) <= 4.5 * MEBIBYTE, `${text.length} characters`);
        keys.push(...body.data.map((row) => row[key]));
        cursor = body.nextCursor;
      }
      assert.ok(pages > 1);
      assert.deepEqual([keys.length, new Set(keys).size], [count, count]);
      assert.ok(watched.largestBytes <= 4.5 * MEBIBYTE, `${watched.largestBytes} bytes at once`);
      assert.equal((await prism.get(`${path}?page=1&limit=${limit}`)).status, 400);
    });
});

test("missed?ack=true marks what the page shows, and leaves the rest for the next one", async (t) => {
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false" } });
  const { token } = await makeUser(prism, "uma");
  const sent = Array.from({ length: 100 }, () => prism.post("/api/v1/notifications", notificationTo("uma")));
  for (const { status } of await Promise.all(sent)) assert.equal(status, 201);
  const missed = async (): Promise<unknown[]> => {
    const { body } = await prism.get<Page>("/api/v1/notifications/missed?limit=100&ack=true", { token });
    return body.data.map(({ id }) => id);
  };
  const first = await missed();
  assert.ok(first.length > 0 && first.length < 100, `${first.length} of 100`);
  const second = await missed();
  assert.equal(new Set([...first, ...second]).size, 100);
  assert.equal(first.length + second.length, 100);
  assert.deepEqual(await missed(), []);
});
