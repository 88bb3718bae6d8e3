import assert from "node:assert/strict";
import test from "node:test";
import * as v from "valibot";
import { PrismError } from "../../src/core/errors.ts";
import { Metrics } from "../../src/core/metrics.ts";
import { route, undescribed } from "../../src/http/api/route.ts";
import { microsOf, Turns, type WorkAccount, WorkBudget, type WorkLimits } from "../../src/http/limits/work-budget.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { startBareKernel, testUser } from "./support/bare-kernel.ts";
import { errorCodeOf, exchangeRaw, requestText } from "./support/raw-connection.ts";

const LIMITS: WorkLimits = { projectMsPerSecond: 100, creatorMsPerSecond: 200, allMsPerSecond: 500 };
/** Steps of 100 ms. */
const TENTH_S = { steps: 8_000_000 };

function open(limits = LIMITS) {
  const clock = new FakeClock();
  const metrics = new Metrics();
  const ownerOf = (id: string) => (id.startsWith("free") ? null : (id.split("-")[0] ?? null));
  const budget = new WorkBudget({ clock, metrics, limits: () => limits, ownerOf });
  return { budget, clock, metrics };
}

/** How often an account may do work of 100 ms before it is refused. */
function tenthsOf(budget: WorkBudget, account: WorkAccount): number {
  for (let done = 0; ; done++) {
    if (refusalOf(budget, account) !== null) return done;
    budget.charge(account, TENTH_S);
  }
}

function refusalOf(budget: WorkBudget, account: WorkAccount): PrismError | null {
  try {
    budget.require(account);
    return null;
  } catch (error) {
    assert.ok(error instanceof PrismError && error.code === "WORK_LIMITED");
    return error;
  }
}

test("work is counted: bytes, members and steps have a fixed cost each", () => {
  assert.equal(microsOf(TENTH_S), 100_000);
  assert.equal(microsOf({ members: 1000 }), 2000);
  assert.equal(microsOf({ bytes: 1_000_000 }), 8000);
  assert.equal(microsOf({ read: 1_000_000 }), 1000);
  assert.equal(microsOf({}), 0);
});

test("a project may take a second at once and then 100 ms a second; debt refuses the next request, which is told when to come again", () => {
  const { budget, clock } = open();
  const project = budget.ofProject("eve-1");
  // The last one goes below zero: what it takes is known afterwards.
  assert.equal(tenthsOf(budget, project), 11);
  assert.equal(refusalOf(budget, project)?.retryAfterMs, 1000);
  const [detail] = refusalOf(budget, project)?.details ?? [];
  assert.deepEqual(
    [detail?.["by"], detail?.["setting"], detail?.["limit"], detail?.["retryAfterMs"]],
    ["project", "work.projectMsPerSecond", 100, 1000],
  );
  clock.advance(1000);
  assert.equal(refusalOf(budget, project), null);
  clock.advance(5000);
  assert.equal(tenthsOf(budget, project), 6);
});

test("a creator has twice of that for all projects together", () => {
  const { budget } = open();
  const done = ["eve-1", "eve-2", "eve-3", "eve-4"].map((id) => tenthsOf(budget, budget.ofProject(id)));
  const total = done.reduce((sum, each) => sum + each, 0);
  assert.equal(total, 21);
  assert.equal(
    tenthsOf(budget, budget.ofPrincipal(testUser("eve")) as WorkAccount),
    0,
    "the account's own requests, too",
  );
  assert.equal(tenthsOf(budget, budget.ofProject("bob-1")), 11);
});

test("when all together take more than half of the thread, who has used little still passes", () => {
  const { budget } = open();
  for (const owner of ["a", "b", "c", "d", "e", "f"])
    for (const n of [1, 2]) tenthsOf(budget, budget.ofProject(`${owner}-${n}`));
  const quiet = budget.ofProject("quiet-1");
  const busy = budget.ofProject("busy-1");
  assert.equal(refusalOf(budget, quiet), null);
  for (let i = 0; i < 6; i++) budget.charge(busy, TENTH_S);
  assert.match(refusalOf(budget, busy)?.message ?? "", /all together/);
  assert.equal(refusalOf(budget, quiet), null);
});

test("one account that uses up all its budgets of work, reads and exports takes nothing from others", () => {
  const { budget } = open();
  const busy = budget.ofProject("busy-1");
  for (let i = 0; i < 6; i++) budget.charge(busy, TENTH_S);
  const key = { kind: "apiKey", projectId: "eve-1" } as Parameters<WorkBudget["ofReader"]>[0];
  for (const kind of ["reads", "exports"] as const)
    for (const who of [testUser("eve"), key]) tenthsOf(budget, budget.ofReader(who, kind) as WorkAccount);
  for (const n of [1, 2]) tenthsOf(budget, budget.ofProject(`eve-${n}`));
  for (let i = 0; i < 8; i++) tenthsOf(budget, budget.ofProject("eve-1", { address: `192.0.2.${i}`, url: "r" }));
  assert.equal(refusalOf(budget, busy), null);
});

test("what asks for a debt counts no refusal; a refused sender without a proof reads half of the limit of all", () => {
  const { budget, metrics } = open();
  const eve = budget.ofProject("eve-1");
  for (let i = 0; i < 11; i++) budget.charge(eve, TENTH_S);
  assert.equal(budget.debtOf(eve)?.level, "project");
  assert.doesNotMatch(metrics.render(), /prism_work_refused_total\{/);
  assert.equal(budget.useOf("eve-1").refused, 0);
  for (let i = 0; i < 100; i++) tenthsOf(budget, budget.ofAddress(`10.0.0.${i}`, `receiver:${i}`));
  const refusal = refusalOf(budget, budget.ofAddress("192.0.2.1", "receiver:x"));
  assert.match(refusal?.message ?? "", /all together .*work\.allMsPerSecond: 250 ms/);
  assert.equal(refusal?.details?.[0]?.["limit"], 250);
});

test("senders that have proved nothing have budgets of their own, by address and by URL", () => {
  const { budget } = open();
  assert.equal(tenthsOf(budget, budget.ofAddress("192.0.2.1", "receiver:1")), 3);
  assert.equal(tenthsOf(budget, budget.ofAddress("192.0.2.2", "receiver:1")), 3, "another address");
  assert.equal(tenthsOf(budget, budget.ofAddress("192.0.2.1", "receiver:2")), 3, "another URL");
  for (const n of [3, 4, 5]) tenthsOf(budget, budget.ofAddress(`192.0.2.${n}`, "receiver:1"));
  assert.match(refusalOf(budget, budget.ofAddress("192.0.2.9", "receiver:1"))?.message ?? "", /this URL/);
  assert.equal(refusalOf(budget, budget.ofProject("eve-1")), null, "the owner's budget is untouched");
});

test("a thousand addresses together have a quarter of the thread, and take none of the owners' part", () => {
  const { budget } = open();
  let done = 0;
  for (let i = 0; i < 1000; i++)
    done += tenthsOf(budget, budget.ofAddress(`10.0.${i >> 8}.${i & 255}`, `receiver:${i}`));
  assert.equal(done, 26);
  assert.equal(tenthsOf(budget, budget.ofProject("eve-1")), 11);
});

test("a thousand addresses that know URLs of a creator use up half of that budget at once, and nothing of the owners' part", () => {
  const { budget } = open();
  let done = 0;
  for (let i = 0; i < 1000; i++) {
    const from = { address: `10.${i >> 8}.${i & 255}.1`, url: `r${i}` };
    done += tenthsOf(budget, budget.ofProject(`eve-${i}`, from));
  }
  assert.equal(done, 11);
  for (const owner of ["a", "b", "c"]) assert.equal(tenthsOf(budget, budget.ofProject(`${owner}-1`)), 11);
});

test("debt is at most a full budget, however much is charged", () => {
  const { budget, clock } = open();
  const project = budget.ofProject("free-1");
  for (let i = 0; i < 100; i++) budget.charge(project, TENTH_S);
  clock.advance(10_001);
  assert.equal(refusalOf(budget, project), null);
});

test("operators set all three limits, and a reload changes them at once", () => {
  const limits = { ...LIMITS };
  const { budget } = open(limits);
  assert.equal(tenthsOf(budget, budget.ofProject("free-1")), 11);
  limits.projectMsPerSecond = 20;
  assert.equal(tenthsOf(budget, budget.ofProject("free-1")), 3);
});

test("metrics show the work of the 20 projects with the most, and of all others together", () => {
  const { budget, metrics } = open();
  for (let i = 0; i < 30; i++) budget.charge(budget.ofProject(`free-${i}`), { steps: 80_000 * (i + 1) });
  tenthsOf(budget, budget.ofProject("free-0"));
  const text = metrics.render();
  assert.match(text, /prism_work_seconds_total\{project="free-29"\} 0\.03\n/);
  assert.match(text, /prism_work_seconds_total\{project="other"\} /);
  assert.equal(text.match(/^prism_work_seconds_total\{/gm)?.length, 21);
  assert.match(text, /prism_work_refused_total\{by="project"\} 1\n/);
  assert.deepEqual([budget.useOf("free-0").refused, budget.useOf("free-0").left], [1, 0]);
  assert.deepEqual(budget.useOf("free-29"), { usedMs: 30, refused: 0, left: 0.97 });
});

test("a turn of the loop does 4 ms of work; the rest waits for later turns, owner by owner", async () => {
  const turns: (() => void)[] = [];
  const all = new Turns((run) => void turns.push(run));
  const done: string[] = [];
  const work = (name: string) => () => {
    done.push(name);
    all.spend(1500);
  };
  const running = ["a1", "a2", "a3", "a4", "a5", "b1", "b2"].map((name) => all.run(name.slice(0, 1), work(name)));
  assert.deepEqual(done, ["a1", "a2", "a3"]);
  turns.shift()?.();
  assert.deepEqual(done.slice(3), ["a4", "b1", "a5"], "one of each in turn");
  turns.shift()?.();
  await Promise.all(running);
  assert.equal(done.at(-1), "b2");
  assert.equal(all.waiting, 0);
});

test("a payer in debt whose small body a handler refuses as too large learns that, and no debt", async (t) => {
  const taken = route({
    ...{ method: "POST", path: "/things", summary: "", tag: "test", access: {}, maxBodyBytes: 1_000_000 },
    body: v.unknown(),
    response: undescribed,
    handle: (_exchange, { body }) => {
      if (body === 7) throw new PrismError("PAYLOAD_TOO_LARGE", "There are too many elements");
      return "pong";
    },
  });
  const bare = startBareKernel(t, { routes: [taken], authenticate: ({ secret }) => testUser(secret) });
  const send = (body: string) =>
    exchangeRaw(
      t,
      bare.port,
      requestText("POST", "/things", ["Authorization: Bearer eve", "Content-Type: application/json"], body),
    );
  const wide = `[${"{},".repeat(9_000)}{}]`;
  let status: number | undefined = 200;
  while (status === 200) status = (await send(wide)).status;
  assert.equal(status, 429);
  const refused = await send("7");
  assert.deepEqual([refused.status, errorCodeOf(refused)], [413, "PAYLOAD_TOO_LARGE"]);
});

test("a body is charged by its bytes before it is read and by its members before it is parsed; debt answers 429 WORK_LIMITED with Retry-After", async (t) => {
  const taken = route({
    ...{ method: "POST", path: "/things", summary: "", tag: "test", access: {}, maxBodyBytes: 1_000_000 },
    body: v.unknown(),
    response: undescribed,
    handle: () => "pong",
  });
  const bare = startBareKernel(t, { routes: [taken], authenticate: ({ secret }) => testUser(secret) });
  const send = (user: string, body: string) =>
    exchangeRaw(
      t,
      bare.port,
      requestText("POST", "/things", [`Authorization: Bearer ${user}`, "Content-Type: application/json"], body),
    );
  const wide = `[${"{},".repeat(9_000)}{}]`;
  let answered = 0;
  for (;;) {
    const reply = await send("eve", wide);
    if (reply.status !== 200) {
      assert.deepEqual([reply.status, errorCodeOf(reply)], [429, "WORK_LIMITED"]);
      assert.ok(Number(reply.headers.get("retry-after")) >= 1);
      break;
    }
    answered++;
  }
  // 18 002 members of 2 µs, 27 KB of 8 ns.
  assert.equal(answered, Math.ceil(2_000_000 / (18_002 * 2 + wide.length * 0.008)));
  assert.equal((await send("bob", wide)).status, 200, "others are not refused");
  bare.clock.advance(1000);
  assert.equal((await send("eve", "{}")).status, 200);
  const tooMany = await send("bob", `[${"{},".repeat(20_000)}{}]`);
  assert.deepEqual([tooMany.status, errorCodeOf(tooMany)], [413, "PAYLOAD_TOO_LARGE"]);
});
