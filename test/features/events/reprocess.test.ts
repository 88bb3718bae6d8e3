import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { makeUser } from "../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { countOf, rowsOf, scalarOf } from "../../helpers/tables.ts";

async function reprocess(prism: TestPrism, id: string): Promise<void> {
  const { body } = await answered(202, prism.post<{ jobId: string }>(`/api/v1/events/${id}/reprocess`, {}));
  await eventually(
    "the job has ended",
    () => scalarOf<string>(prism, "select state from jobs where id = ?", body.jobId) === "succeeded",
  );
}

const stats = (prism: TestPrism, ruleId: string) =>
  rowsOf(prism, "select matched, fired, noRecipients from rule_stats where ruleId = ?", ruleId)[0];

test("reprocessing asks the rules of today; a rule that has already notified about the event is skipped", async (t) => {
  const prism = await startPrism(t);
  const rule = { condition: "event.type == 'a'", targetUsers: ["me"] };
  const old = await prism.post<{ id: string }>("/api/v1/rules", { ...rule, name: "old" });
  const { body } = await prism.post<{ id: string }>("/api/v1/events", { type: "a" });
  const added = await prism.post<{ id: string }>("/api/v1/rules", { ...rule, name: "added" });
  await prism.post("/api/v1/rules", { ...rule, name: "other", condition: "event.type == 'b'" });

  await reprocess(prism, body.id);
  await reprocess(prism, body.id);
  assert.deepEqual(
    rowsOf(prism, "select r.name, d.outcome from decisions d join rules r on r.id = d.ruleId order by r.name"),
    [
      { name: "added", outcome: "fired" },
      { name: "old", outcome: "fired" },
    ],
  );
  assert.equal(countOf(prism, "notifications"), 2);
  for (const { body: each } of [old, added])
    assert.deepEqual(stats(prism, each.id), { matched: 1, fired: 1, noRecipients: 0 });
});

test("a rule that had no recipients decides again, and its row is replaced", async (t) => {
  const prism = await startPrism(t);
  const rule = await prism.post<{ id: string }>("/api/v1/rules", {
    name: "r",
    condition: "event.type == 'a'",
    targetRoles: ["Auditor"],
  });
  const { body } = await prism.post<{ id: string }>("/api/v1/events", { type: "a" });
  await reprocess(prism, body.id);
  assert.deepEqual(rowsOf(prism, "select outcome from decisions"), [{ outcome: "no recipients" }]);
  assert.deepEqual(stats(prism, rule.body.id), { matched: 1, fired: 0, noRecipients: 1 });

  await makeUser(prism, "auditor", ["Auditor"]);
  await reprocess(prism, body.id);
  assert.deepEqual(rowsOf(prism, "select outcome from decisions"), [{ outcome: "fired" }]);
  assert.deepEqual(stats(prism, rule.body.id), { matched: 1, fired: 1, noRecipients: 0 });
  assert.equal(countOf(prism, "notification_recipients"), 1);
});

test("only who manages jobs may reprocess, and only an event that exists; it is audited", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<{ id: string }>("/api/v1/events", { type: "a" });
  const operator = await makeUser(prism, "ops", ["Operator"]);
  const manager = await makeUser(prism, "rum", ["RuleManager"]);
  const path = `/api/v1/events/${body.id}/reprocess`;
  const missing = "/api/v1/events/0198c0de-0000-7000-8000-00000000dead/reprocess";
  for (const { name, at, caller, status } of [
    { name: "without jobs:manage", at: path, caller: { token: manager.token }, status: 403 },
    { name: "an event that does not exist", at: missing, caller: {}, status: 404 },
    { name: "an invalid id", at: "/api/v1/events/x/reprocess", caller: {}, status: 404 },
    { name: "an operator", at: path, caller: { token: operator.token }, status: 202 },
  ])
    await t.test(name, async () => assert.equal((await prism.post(at, { rulesOnly: true }, caller)).status, status));
  const audited = rowsOf<{ userId: string; resourceId: string }>(
    prism,
    "select userId, resourceId from audit_log where action = 'job.reprocess'",
  );
  assert.deepEqual(audited, [{ userId: operator.id, resourceId: body.id }]);
});

test("while a job waits to reprocess an event, further requests get the same job; afterwards there is a new one", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<{ id: string }>("/api/v1/events", { type: "a" });
  const other = await prism.post<{ id: string }>("/api/v1/events", { type: "a" });
  await prism.post("/api/v1/queues/event-processing/pause");
  const ask = async (id: string): Promise<string> => {
    const reply = await prism.post<{ jobId: string }>(`/api/v1/events/${id}/reprocess`, { rulesOnly: true });
    assert.equal(reply.status, 202);
    return reply.body.jobId;
  };
  const first = await ask(body.id);
  assert.deepEqual([await ask(body.id), await ask(body.id)], [first, first]);
  assert.notEqual(await ask(other.body.id), first, "each event has its own");
  await prism.post("/api/v1/queues/event-processing-queue/resume");
  await eventually("both have run", () => countOf(prism, "jobs where state = 'succeeded'") === 2);
  assert.notEqual(await ask(body.id), first);
});

test("an event that was deleted before its job came has nothing left to do", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<{ id: string; seq: number }>("/api/v1/events", { type: "a" });
  await prism.services.db.write(async (trx) => {
    await trx.deleteFrom("events").where("seq", "=", body.seq).execute();
    await prism.parts.offers.jobs.enqueue(
      { queue: "event-processing", kind: "event.process", payload: { eventSeq: body.seq, again: true }, runAt: 0 },
      { trx },
    );
  });
  await eventually("the job has ended", () => scalarOf(prism, "select state from jobs") === "succeeded");
  assert.equal(countOf(prism, "decisions"), 0);
});
