import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import WebSocket from "ws";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";

interface Deleted {
  deleted?: number;
  jobId?: string;
  error?: { code: string };
}

const gaps = (prism: TestPrism, projectId: string) =>
  rowsOf<{ from: number; to: number }>(
    prism,
    'select fromSeq as "from", toSeq as "to" from stream_gaps where stream = ? order by 1',
    `project:${projectId}`,
  );

test("S1-36: a project's events are removed with what belongs to them, others' stay, and the stream has a gap", async (t) => {
  keepsPromise(t, "S1-36");
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const rule = await prism.post<{ id: string }>("/api/v1/rules", {
    name: "r",
    condition: "event.type == 'x'",
    targetUsers: ["me"],
  });
  const send = (apiKey?: string) =>
    prism.post("/api/v1/events", Array(3).fill({ type: "x" }), apiKey ? { apiKey } : {});
  await send(shop.apiKey);
  await send();
  await send(shop.apiKey);
  const { status, body } = await prism.delete<Deleted>(`/projects/${shop.id}/events`);
  assert.deepEqual([status, body], [200, { deleted: 6 }]);
  assert.deepEqual(rowsOf(prism, "select seq from events"), [{ seq: 4 }, { seq: 5 }, { seq: 6 }]);
  assert.deepEqual(rowsOf(prism, "select eventSeq as seq from decisions"), [{ seq: 4 }, { seq: 5 }, { seq: 6 }]);
  assert.equal(countOf(prism, "notifications"), 9, "who was told keeps what he was told");
  assert.equal(scalarOf(prism, "select matched from rule_stats where ruleId = ?", rule.body.id), 9);
  assert.deepEqual(gaps(prism, shop.id), [{ from: 0, to: 9 }]);
  assert.deepEqual((await prism.delete<Deleted>(`/projects/${shop.id}/events`)).body, { deleted: 0 });
  const [entry] = rowsOf<{ metadata: string }>(prism, "select metadata from audit_log where action = 'project.update'");
  assert.equal((JSON.parse(entry?.metadata ?? "") as { events: string }).events, "deleted");
});

test("with before only what was received earlier is removed", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const shop = await makeProject(prism, "shop");
  const send = () => prism.post("/ingest", { type: "x" }, { apiKey: shop.apiKey });
  await send();
  clock.advance(1000);
  const before = new Date(clock.now()).toISOString();
  await send();
  const { body } = await prism.delete<Deleted>(`/projects/shop/events?before=${before}`);
  assert.deepEqual([body, rowsOf(prism, "select seq from events")], [{ deleted: 1 }, [{ seq: 2 }]]);
  assert.deepEqual(gaps(prism, shop.id), [{ from: 0, to: 1 }]);
  assert.equal((await prism.delete("/projects/shop/events?before=now")).status, 400);
});

test("more than 10 000 events are removed by a job", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const lines = '{"type":"x"}\n'.repeat(10_000);
  const headers = { "Content-Type": "application/x-ndjson" };
  for (const body of [lines, '{"type":"x"}'])
    assert.equal((await prism.post("/ingest", body, { apiKey: shop.apiKey, headers })).status, 202);
  const { body } = await answered(202, prism.delete<Deleted>(`/projects/${shop.id}/events`));
  await eventually(
    "the job has ended",
    () => scalarOf(prism, "select state from jobs where id = ?", body.jobId) === "succeeded",
    120_000,
  );
  assert.equal(countOf(prism, "events"), 0);
  assert.equal(scalarOf(prism, "select result from jobs"), '{"deleted":10001}');
  assert.deepEqual(gaps(prism, shop.id), [{ from: 0, to: 10_001 }]);
});

test("a follower who resumes across removed events gets a gap instead of them", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  await prism.post("/ingest", Array(4).fill({ type: "x" }), { apiKey: shop.apiKey });
  await prism.delete(`/projects/${shop.id}/events`);
  await prism.post("/ingest", { type: "y" }, { apiKey: shop.apiKey });
  const socket = new WebSocket(`${prism.wsUrl}/ws`, { headers: { Authorization: `Bearer ${prism.adminToken}` } });
  const heard: Record<string, unknown>[] = [];
  socket.on("message", (data: Buffer) => {
    const message = JSON.parse(data.toString()) as Record<string, unknown>;
    heard.push(message);
    if (message["op"] === "welcome")
      socket.send(JSON.stringify({ op: "subscribe", id: "1", stream: `project:${shop.id}`, from: 2 }));
  });
  await eventually("the event behind it comes", () => heard.some(({ op }) => op === "event"));
  socket.close();
  const told = heard
    .filter(({ op }) => op === "gap" || op === "event")
    .map(({ op, from, to, offset }) => [op, from ?? offset, to]);
  assert.deepEqual(told, [
    ["gap", 2, 4],
    ["event", 5, undefined],
  ]);
});

test("whatever is removed in whatever order, the gaps are exactly what cannot be read, and adjoining ones are one", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  let number = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ mine: fc.boolean(), jumpMs: fc.integer({ min: -40, max: 60 }) }), {
        minLength: 1,
        maxLength: 12,
      }),
      fc.array(fc.integer({ min: -100, max: 700 }), { minLength: 1, maxLength: 4 }),
      async (events, cuts) => {
        const project = await makeProject(prism, `p${++number}`);
        const start = clock.now();
        const mine: { seq: number; at: number }[] = [];
        for (const { mine: isMine, jumpMs } of events) {
          clock.advance(jumpMs);
          const reply = await prism.post<{ seq: number }>(
            "/ingest",
            { type: "x" },
            isMine ? { apiKey: project.apiKey } : {},
          );
          if (isMine) mine.push({ seq: reply.body.seq, at: clock.now() });
        }
        for (const cut of cuts) {
          const before = new Date(start + cut).toISOString();
          assert.equal((await prism.delete(`/projects/${project.id}/events?before=${before}`)).status, 200);
        }
        const last = Math.max(...cuts) + start;
        const kept = mine.filter(({ at }) => at >= last).map(({ seq }) => seq);
        const gone = mine.filter(({ at }) => at < last).map(({ seq }) => seq);
        const found = gaps(prism, project.id);
        assert.ok(gone.every((seq) => found.filter(({ from, to }) => from < seq && seq <= to).length === 1));
        assert.ok(kept.every((seq) => found.every(({ from, to }) => seq <= from || seq > to)));
        for (const [i, { to }] of found.entries()) {
          const next = found[i + 1];
          if (next)
            assert.ok(
              kept.some((seq) => seq > to && seq <= next.from),
              "an event stands between two gaps",
            );
        }
        clock.advance(2000 - Math.min(0, clock.now() - start));
      },
    ),
    { numRuns: 40 },
  );
});
