import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { crashImage } from "../../../helpers/crash-image.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { allDecided } from "./support/all-decided.ts";

const RULES = 24;
const TEXT = "B".repeat(16_384);
/** Just below what one evaluation may do: 60 copies of the text. */
const costly = (copies: number): string =>
  Array.from({ length: copies }, (_, i) => `lower(event.a) != 'x${i}'`).join(" and ");
const COSTLY = costly(60);

const RULE = { projectId: "default", targetUsers: ["me"], dedupe: null };

async function makeRules(prism: TestPrism): Promise<void> {
  const rules = Array.from({ length: RULES }, (_, i) => ({
    ...RULE,
    name: `r${i}`,
    condition: COSTLY,
    priority: i % 5,
  }));
  await answered(200, prism.post("/api/v1/rules/import", { rules }));
}

const slicesOf = async (prism: TestPrism): Promise<number> => {
  const { text } = await prism.get("/metrics");
  return Number(/^prism_rule_slices_total (\d+)/m.exec(text)?.[1] ?? 0);
};

/** Every rule has fired once on every event, in rule order. */
function assertFiredOnce(prism: TestPrism, events: number): void {
  assert.deepEqual([countOf(prism, "decisions"), countOf(prism, "notifications")], [events * RULES, events * RULES]);
  const order = rowsOf<{ seq: number; priority: number }>(
    prism,
    `select e.seq, n.priority from notification_recipients r join notifications n on n.id = r.notificationId
     join events e on e.id = n.eventId order by r.seq`,
  );
  const sorted = order.toSorted((a, b) => a.seq - b.seq || b.priority - a.priority);
  assert.deepEqual(order, sorted);
  assert.equal(scalarOf(prism, "select count(*) from rule_stats where errors > 0 or fired <> ?", events), 0);
  assert.equal(countOf(prism, "event_slices"), 0);
}

test("rules that are each just below the limit of one evaluation all fire on one event, one rule a slice", async (t) => {
  const prism = await startPrism(t);
  await makeRules(prism);
  await answered(202, prism.post("/api/v1/events", [{ type: "x", a: TEXT }, { type: "small" }]));
  await allDecided(prism);
  // The small event comes after all slices; `lower` of nothing is null, so no rule matches it.
  assertFiredOnce(prism, 1);
  assert.equal(await slicesOf(prism), RULES);
});

/** What is on disk after the fifth rule has fired. */
function imageAfterFive(t: TestContext, prism: TestPrism): Promise<string> {
  let fired = 0;
  return new Promise((resolve, reject) => {
    prism.parts.offers.announcer.onNotifications((told) => {
      fired += told.length;
      if (fired === 5) crashImage(t, prism).then(resolve, reject);
    });
  });
}

test("after a kill in the middle the rules that remain are asked, and no slice is repeated", async (t) => {
  const prism = await startPrism(t);
  await makeRules(prism);
  const image = imageAfterFive(t, prism);
  assert.equal((await prism.post("/api/v1/events", { type: "x", a: TEXT })).status, 202);
  const again = await startPrism(t, { dir: await image });
  await allDecided(again);
  assertFiredOnce(again, 1);
  const slices = await slicesOf(again);
  assert.ok(slices > 0 && slices < RULES - 4, `${slices} slices after the kill`);
});

test("a rule that exceeds the limit by itself is one error among rules that fire, also where its event is decided again", async (t) => {
  const prism = await startPrism(t);
  await makeRules(prism);
  const bad = { ...RULE, name: "bad", condition: costly(70), priority: 2 };
  const { body } = await prism.post<{ id: string }>("/api/v1/rules", bad);
  assert.equal((await prism.post("/api/v1/events", { type: "x", a: TEXT })).status, 202);
  await allDecided(prism);
  assert.equal(countOf(prism, "decisions"), RULES);
  assert.deepEqual(rowsOf(prism, "select ruleId, errors from rule_stats where errors > 0"), [
    { ruleId: body.id, errors: 1 },
  ]);
  const [event] = rowsOf<{ id: string }>(prism, "select id from events where type = 'x'");
  assert.equal((await prism.post(`/api/v1/events/${event?.id}/reprocess`, {})).status, 202);
  await eventually(
    "it is decided again",
    () => scalarOf(prism, "select errors from rule_stats where ruleId = ?", body.id) === 2,
  );
  assert.equal(countOf(prism, "decisions"), RULES);
});

test("rules that are changed between slices are asked as they are by then", async (t) => {
  const prism = await startPrism(t);
  await makeRules(prism);
  const last = scalarOf<string>(prism, "select id from rules order by priority, createdAt desc, id desc limit 1") ?? "";
  const changed = new Promise<void>((resolve) => {
    prism.parts.offers.announcer.onNotifications(() =>
      resolve(prism.delete(`/api/v1/rules/${last}`).then(() => undefined)),
    );
  });
  await prism.post("/api/v1/events", { type: "x", a: TEXT });
  await Promise.all([changed, allDecided(prism)]);
  assert.ok(countOf(prism, "decisions") >= RULES - 1);
  assert.equal(countOf(prism, "event_slices"), 0);
});
