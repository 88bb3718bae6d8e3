import assert from "node:assert/strict";
import test from "node:test";
import type { BacktestReply } from "../../../src/features/rules/backtest-schema.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { startPrism } from "../../helpers/prism.ts";
import { rowsWith } from "../../helpers/values.ts";
import { backtest, makeRule, PATH, storeEvents } from "./support/backtests.ts";

const DAY_MS = 86_400_000;
const NO_ID = "0198c0de-0000-7000-8000-000000000000";

test("a backtest counts by day, shows samples, and stores nothing", async (t) => {
  const clock = new FakeClock(Date.parse("2026-03-01T12:00:00.000Z"));
  const prism = await startPrism(t, { clock, settings: { "auth.accessExpires": "24h" } });
  await makeUser(prism, "anna", ["Auditor"]);
  const condition = "event.amount > 100";
  for (const amount of [50, 150, 250]) await prism.post("/events", { type: "payment", payload: { amount } });
  clock.advance(DAY_MS - 3_600_000);
  for (const amount of [350, 450]) await prism.post("/events", { type: "payment", payload: { amount } });
  const { tookMs, samples, warnings, series, ...result } = await backtest(prism, { condition, samples: 3 });
  assert.ok(tookMs >= 0);
  assert.deepEqual(warnings, []);
  const none = { suppressed: 0, deduped: 0, cooled: 0, counted: 0, alertsOpened: 0, alertsResolved: 0 };
  assert.deepEqual(result, {
    scanned: 5,
    matched: 4,
    fired: 4,
    ...none,
    errors: 0,
    from: "2026-03-01T12:00:00.000Z",
    to: "2026-03-02T11:00:00.000Z",
    perDay: [
      { day: "2026-03-01", matched: 2, fired: 2, ...none },
      { day: "2026-03-02", matched: 2, fired: 2, ...none },
    ],
    wouldReach: { users: null },
  });
  assert.deepEqual(
    [series.from, series.stepMs, series.fired.length, series.fired[0], series.fired.at(-1), series.firedBefore],
    ["2026-03-01T12:00:00.000Z", 600_000, 139, 2, 2, undefined],
    "buckets of ten minutes are the smallest ones that give at most 200",
  );
  assert.deepEqual(rowsWith(samples, "seq", "type", "title"), [
    [2, "payment", "Payment"],
    [3, "payment", "Payment"],
    [4, "payment", "Payment"],
  ]);

  await t.test("with a time, what came before it decides and is not counted", async () => {
    const day = { from: "2026-03-02T00:00:00Z", cooldownMs: 2 * DAY_MS };
    const cooled = await backtest(prism, { condition, ...day });
    assert.deepEqual([cooled.scanned, cooled.matched, cooled.fired, cooled.cooled], [2, 2, 0, 2]);
    const first = await backtest(prism, { condition, to: "2026-03-02T00:00:00Z" });
    assert.deepEqual([first.scanned, first.matched], [3, 2]);
    const never = await backtest(prism, { condition, from: "2025-01-01T00:00:00Z", to: "2025-02-01T00:00:00Z" });
    assert.deepEqual([never.scanned, never.from, never.to, never.perDay], [0, null, null, []]);
  });

  await t.test("with a rule, its titles, its people and the difference to what is stored", async () => {
    const rule = { name: "r", condition, titleTemplate: "{{event.amount}} paid", targetRoles: ["Auditor"] };
    const ruleId = await makeRule(prism, { ...rule, targetUsers: ["me"] });
    const same = await backtest(prism, { ruleId });
    assert.deepEqual([same.diff, same.wouldReach], [{ added: 0, removed: 0 }, { users: 2 }]);
    assert.equal(same.samples[0]?.title, "150 paid");
    const other = await backtest(prism, { ruleId, condition: "event.amount < 300" });
    assert.deepEqual([other.matched, other.diff], [3, { added: 1, removed: 2 }]);
    assert.deepEqual(
      other.changes?.map(({ change, seq, title, before, after }) => [change, seq, title, before, after]),
      [
        ["added", 1, "50 paid", null, "fired"],
        ["removed", 4, "350 paid", "fired", null],
        ["removed", 5, "450 paid", "fired", null],
      ],
    );
    const bounded = await backtest(prism, { ruleId, condition: "event.amount < 300", changes: 1 });
    assert.deepEqual(
      bounded.changes?.map(({ seq }) => seq),
      [1, 4],
    );
    const sum = (numbers: readonly number[] = []) => numbers.reduce((all, n) => all + n, 0);
    const { series } = other;
    assert.deepEqual([sum(series.matched), sum(series.fired), sum(series.firedBefore)], [3, 3, 4]);
    const stats = await prism.get<{ matched: number }>(`/api/v1/rules/${ruleId}/stats`);
    assert.equal(stats.body.matched, 0, "nothing was decided");
  });
});

test("a backtest that cannot be is refused", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const viewer = await makeUser(prism, "viewer");
  await prism.post(`/api/v1/projects/${shop.id}/members`, { userId: viewer.id, role: "viewer" });
  const stranger = await makeUser(prism, "stranger", ["Viewer"]);
  const condition = "event.n > 1";
  for (const [name, body, status, code, token] of [
    ["nothing to try", {}, 400, "VALIDATION_FAILED"],
    ["a condition that is none", { condition: "event.n >" }, 422, "INVALID_CONDITION"],
    ["a key that is no template", { condition, dedupe: { key: "{{", windowMs: 1000 } }, 422, "INVALID_TEMPLATE"],
    ["too many samples", { condition, samples: 21 }, 400, "VALIDATION_FAILED"],
    [
      "a time that ends before it begins",
      { condition, from: "2026-01-02T00:00:00Z", to: "2026-01-01T00:00:00Z" },
      400,
      "VALIDATION_FAILED",
    ],
    ["an unknown rule", { ruleId: NO_ID }, 404, "RULE_NOT_FOUND"],
    ["an unknown project", { condition, projectId: "nowhere" }, 404, "PROJECT_NOT_FOUND"],
    ["a project of others", { condition, projectId: shop.id }, 404, "PROJECT_NOT_FOUND", stranger.token],
    ["a member who may not read rules", { condition, projectId: shop.id }, 403, "UNAUTHORIZED_ROLE", viewer.token],
  ] as const)
    await t.test(name, async () => {
      const reply = await prism.post<{ error: { code: string } }>(PATH, body, token ? { token } : {});
      assert.deepEqual([reply.status, reply.body.error.code], [status, code], reply.text);
    });
});

test("as NDJSON, progress comes first and the answer last", async (t) => {
  const prism = await startPrism(t);
  await storeEvents(prism, 3000);
  const reply = await prism.post(PATH, { condition: "event.n >= 10" }, { headers: { Accept: "application/x-ndjson" } });
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get("content-type"), "application/x-ndjson");
  const lines = reply.text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Partial<BacktestReply> & { total?: number });
  const last = lines.at(-1);
  assert.deepEqual([last?.scanned, last?.matched], [3000, 2990]);
  const progress = lines.slice(0, -1);
  assert.ok(progress.length > 0);
  for (const line of progress) assert.deepEqual(Object.keys(line).sort(), ["scanned", "total"]);
  assert.deepEqual(progress.at(-1), { scanned: 3000, total: 3000 });
});

/** Takes longer than any test waits: forty patterns on a long text of each event. */
const SLOW = `(${Array.from({ length: 40 }, (_, n) => `matches(event.text, '(a|b|${n})+z')`).join(" or ")})`;
const TEXT = { text: "ab".repeat(400) };

test("a server that stops does not wait for a backtest", async (t) => {
  const prism = await startPrism(t);
  await storeEvents(prism, 20_000, TEXT);
  const answer = prism.post<{ error: { code: string } }>(PATH, { condition: SLOW }).catch((error: Error) => error);
  await eventually("it runs", async () => {
    const other = await prism.post(PATH, { condition: "event.n == 1", to: "2020-01-01T00:00:00Z" });
    return other.status === 200;
  });
  await prism.stop();
  const ended = await answer;
  if (!(ended instanceof Error)) assert.deepEqual([ended.status, ended.body.error.code], [503, "OVERLOADED"]);
});

for (const accept of ["application/json", "application/x-ndjson"])
  test(`two backtests run at a time, a third is refused; closing a request ends its own (${accept})`, async (t) => {
    const prism = await startPrism(t);
    await storeEvents(prism, 20_000, TEXT);
    // The events are scanned again and again, so none of the three ends by itself.
    const asked = [1, 2, 3].map(() => {
      const closing = new AbortController();
      const status = fetch(prism.url + PATH, {
        method: "POST",
        headers: { Authorization: `Bearer ${prism.adminToken}`, "Content-Type": "application/json", Accept: accept },
        body: JSON.stringify({ condition: SLOW }),
        signal: closing.signal,
      }).then(async (reply) => {
        const { error } = (await reply.json()) as { error: { code: string } };
        return `${reply.status} ${error.code}`;
      });
      return { closing, ended: status.catch((error: Error) => error.name) };
    });
    const first = await Promise.race(asked.map(({ ended }, index) => ended.then((outcome) => ({ index, outcome }))));
    assert.equal(first.outcome, "503 OVERLOADED");
    const running = asked.filter((_, index) => index !== first.index);
    for (const { closing } of running) closing.abort();
    assert.deepEqual(await Promise.all(running.map(({ ended }) => ended)), ["AbortError", "AbortError"]);
    await eventually("both are free for others", async () => {
      const replies = await Promise.all([1, 2].map((n) => prism.post(PATH, { condition: `event.n == ${n}` })));
      return replies.every(({ status }) => status === 200);
    });
  });
