import assert from "node:assert/strict";
import test from "node:test";
import { WebSocket } from "ws";
import { eventually } from "../../../helpers/eventually.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { type JobPage, jobOf, makeJob } from "./support/make-jobs.ts";

interface Result {
  readonly matched: number;
  readonly changed: number;
  readonly skipped: number;
  readonly nextCursor: string | null;
  readonly error?: { readonly code: string };
}

const found = async (prism: TestPrism, query: string, token?: string): Promise<JobPage> => {
  const { body } = await answered(200, prism.get<JobPage>(`/api/v1/jobs?${query}`, token ? { token } : {}));
  return body;
};
const ids = ({ data }: JobPage): string[] => data.map(({ id }) => id);
const act = (prism: TestPrism, action: string, body: object) => prism.post<Result>(`/api/v1/jobs/${action}`, body);
const numbers = ({ body: { matched, changed, skipped } }: { body: Result }) => [matched, changed, skipped];

test("a search finds text in payloads and errors as the caller sees them, and never in what is masked", async (t) => {
  const prism = await startPrism(t);
  const order = await makeJob(prism, { payload: { orderId: "A-17", say: 'two "words"', password: "hunter2" } });
  const other = await makeJob(prism, { payload: { orderId: "B-18", password: "hunter2" } });
  const long = await makeJob(prism, { payload: { text: "x".repeat(5000), last: "needle" } });
  const dead = await makeJob(prism, { kind: "unknown", delayMs: 0 });
  await eventually("one is dead", async () => (await jobOf(prism, dead)).state === "dead");
  for (const [q, expected] of [
    ["a-17", [order]],
    ['"orderId":"B', [other]],
    ['two "words"', [order]],
    ["orderid", [other, order]],
    ["needle", [long]],
    ["no handler", [dead]],
    ["hunter", []],
  ] as const) {
    const query = `q=${encodeURIComponent(q)}`;
    assert.deepEqual(ids(await found(prism, query)), expected, q);
    const paged = await found(prism, `${query}&page=1&limit=1`);
    assert.deepEqual([ids(paged), paged.total], [expected.slice(0, 1), expected.length], q);
    const first = await found(prism, `${query}&limit=1`);
    assert.equal(first.nextCursor !== null, expected.length > 1, `${q}: what is masked shows in no cursor either`);
    const counts = await prism.get<{ total: number }>(`/api/v1/jobs/counts?${query}`);
    assert.equal(counts.body.total, expected.length, q);
    assert.equal(
      (await act(prism, "cancel", { filter: { q }, dryRun: true })).body.matched,
      expected.filter((id) => id !== dead).length,
      q,
    );
  }
  assert.equal((await found(prism, "q=needle")).data[0]?.payload, null, "long payloads are left out of lists");
});

test("texts of others' scheduled notifications are found by those only who may read them", async (t) => {
  const prism = await startPrism(t);
  const at = new Date(Date.now() + 86_400_000).toISOString();
  const note = { recipients: ["me"], title: "Surprise party", message: "Bring cake", sendAt: at };
  const { status, text } = await prism.post("/api/v1/notifications", note);
  assert.ok(status < 300, text);
  const viewer = await makeUser(prism, "vic", ["Viewer"]);
  assert.equal((await found(prism, "q=cake")).data.length, 1);
  assert.equal((await found(prism, "q=cake", viewer.token)).data.length, 0);
});

test("jobs are counted by state, with the filters of the list", async (t) => {
  const prism = await startPrism(t);
  for (let i = 0; i < 3; i++) await makeJob(prism, { queue: "alert" });
  const gone = await makeJob(prism);
  await prism.post(`/api/v1/jobs/${gone}/cancel`);
  const count = async (query: string) => (await prism.get(`/api/v1/jobs/counts?${query}`)).body;
  const none = { scheduled: 0, ready: 0, running: 0, retrying: 0, succeeded: 0, dead: 0, cancelled: 0 };
  assert.deepEqual(await count("queue=alert"), { total: 3, states: { ...none, scheduled: 3 }, complete: true });
  assert.deepEqual(await count("queue=digest"), { total: 1, states: { ...none, cancelled: 1 }, complete: true });
  assert.deepEqual(await count("state=dead"), { total: 0, states: none, complete: true });
});

test("a preview changes nothing; then the same jobs are cancelled, retried, promoted and deleted", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/api/v1/queues/digest/pause");
  const made: string[] = [];
  for (let i = 0; i < 600; i++) made.push(await makeJob(prism, { label: i % 2 === 0 ? "even" : "odd" }));
  const filter = { label: "even" };
  const states = async () => (await prism.get<{ states: object }>("/api/v1/jobs/counts?queue=digest")).body.states;
  const before = await states();
  assert.deepEqual(numbers(await act(prism, "cancel", { filter, dryRun: true })), [300, 300, 0]);
  assert.deepEqual(await states(), before);
  const done = await act(prism, "cancel", { filter });
  assert.deepEqual([...numbers(done), done.body.nextCursor], [300, 300, 0, null]);
  assert.deepEqual(numbers(await act(prism, "cancel", { filter })), [0, 0, 0]);
  assert.deepEqual(numbers(await act(prism, "retry", { filter: { ...filter, state: ["cancelled"] } })), [300, 300, 0]);
  assert.deepEqual(numbers(await act(prism, "promote", { filter: { label: "odd" } })), [300, 300, 0]);
  const queue = await prism.get<{ ready: number; scheduled: number }>("/api/v1/queues/digest");
  assert.deepEqual([queue.body.ready, queue.body.scheduled], [600, 0]);
  assert.equal(prism.parts.offers.runner.waitingIn("digest"), 600);
  assert.deepEqual(numbers(await act(prism, "cancel", { ids: [made[0], made[1], made[0]] })), [2, 2, 1]);
  assert.deepEqual(numbers(await act(prism, "delete", { filter: { queue: "digest" } })), [2, 2, 0]);
  assert.equal((await prism.get(`/api/v1/jobs/${made[0]}`)).status, 404);
  const { body: audit } = await prism.get<{ data: { metadata: { action: string; changed: number; ids: string[] } }[] }>(
    "/api/v1/audit?action=job.bulk&limit=100",
  );
  const changed = (action: string) =>
    audit.data
      .filter(({ metadata }) => metadata.action === action)
      .reduce((n, { metadata }) => n + metadata.changed, 0);
  assert.deepEqual(["cancel", "retry", "promote", "delete"].map(changed), [302, 300, 300, 2]);
  assert.ok(audit.data.every(({ metadata }) => metadata.ids.length === metadata.changed));
});

test("a job with a dedupe key in use is skipped, and a large selection continues by cursor", async (t) => {
  const prism = await startPrism(t);
  const { database, clock } = prism.parts.base;
  const first = await makeJob(prism, { dedupeKey: "k" });
  await prism.post(`/api/v1/jobs/${first}/cancel`);
  await makeJob(prism, { dedupeKey: "k" });
  assert.deepEqual(numbers(await act(prism, "retry", { filter: {} })), [1, 0, 1]);
  const now = clock.now();
  const row = {
    queue: "alert",
    kind: "none",
    payload: "{}",
    priority: 500,
    runAt: now,
    maxAttempts: 1,
    createdAt: now,
  };
  await database.write(async (trx) => {
    for (let i = 0; i < 10_300; i++)
      await trx
        .insertInto("jobs")
        .values({
          ...row,
          id: `0198c0de-0000-7000-8000-${String(i).padStart(12, "0")}`,
          state: "dead",
          finishedAt: now,
        })
        .execute();
  });
  const filter = { queue: "alert", state: ["dead"] };
  assert.deepEqual(numbers(await act(prism, "delete", { filter, dryRun: true })), [10_300, 10_300, 0]);
  const part = await act(prism, "delete", { filter });
  assert.equal(part.body.changed, 10_000);
  assert.ok(part.body.nextCursor);
  const rest = await act(prism, "delete", { filter, cursor: part.body.nextCursor });
  assert.deepEqual([...numbers(rest), rest.body.nextCursor], [300, 300, 0, null]);
});

test("an action names its jobs by a filter or by ids, and only operators may", async (t) => {
  const prism = await startPrism(t);
  for (const body of [{}, { filter: {}, ids: [await makeJob(prism)] }, { filter: { state: ["lost"] } }])
    assert.deepEqual((await act(prism, "cancel", body)).body.error?.code, "VALIDATION_FAILED");
  assert.equal((await act(prism, "cancel", { filter: {}, cursor: "eHg" })).body.error?.code, "INVALID_CURSOR");
  assert.deepEqual(numbers(await act(prism, "cancel", { filter: { state: ["running"] } })), [0, 0, 0]);
});

test("who follows the stream system gets at most one entry a second about changed jobs", async (t) => {
  const prism = await startPrism(t);
  const { database } = prism.parts.base;
  const written = async () =>
    (await database.read.selectFrom("stream_log").select("data").where("type", "=", "jobs.changed").execute()).length;
  await makeJob(prism, { queue: "alert" });
  const socket = new WebSocket(`${prism.wsUrl}/ws?token=${prism.adminToken}`);
  prism.onClose.push(() => socket.terminate());
  const entries: { entryType?: string; data?: { queues: string[] } }[] = [];
  socket.on("message", (text) => entries.push(JSON.parse(String(text))));
  await new Promise((resolve) => socket.once("open", resolve));
  socket.send(JSON.stringify({ op: "subscribe", id: "1", stream: "system" }));
  const { hub } = prism.parts.core;
  await eventually("it follows", () => hub.hasListeners({ kind: "system" }) || hub.isFollowed("system"));
  assert.equal(await written(), 0, "nothing is stored while no client follows");
  for (let i = 0; i < 50; i++) await makeJob(prism, { queue: "alert" });
  await eventually("the entry", () => entries.some((entry) => JSON.stringify(entry).includes("jobs.changed")));
  assert.ok((await written()) < 10);
});
