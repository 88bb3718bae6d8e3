import assert from "node:assert/strict";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { patternPool } from "../../../src/features/rules/language/language.ts";
import { crashImage } from "../../helpers/crash-image.ts";
import { eventually } from "../../helpers/eventually.ts";
import { LogLines } from "../../helpers/log-lines.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import { openBeside } from "../../helpers/store.ts";
import { countOf, rowsOf } from "../../helpers/tables.ts";
import { allDecided } from "../events/pipeline/support/all-decided.ts";

interface View {
  readonly id: string;
  readonly broken: { readonly code: string; readonly message: string } | null;
  readonly stats: { readonly errors: number; readonly lastError: string | null };
}

interface Refused {
  readonly error: { readonly code: string; readonly message: string; readonly details: readonly { code: string }[] };
}

const RULE = { name: "r", targetUsers: ["me"] };
/** Without a period that the automaton of the pattern below could profit from. */
const TEXT = Array.from({ length: 16_384 }, (_, i) => ((Math.imul(i, 2654435761) >>> 13) & 1 ? "a" : "b")).join("");
const SLOW = Array.from({ length: 8 }, (_, i) => `[ab]*a[ab]{${i + 200}}[cd]`);

const matchesOf = (patterns: readonly string[]): string =>
  patterns.map((pattern) => `matches(event.a, '${pattern}')`).join(" or ");

const view = async (prism: TestPrism, id: string): Promise<View> => (await prism.get<View>(`/api/v1/rules/${id}`)).body;

/** Stores the condition as an earlier version of the program did, which had no limits. */
function storeUnchecked(t: TestContext, prism: TestPrism, conditionById: ReadonlyMap<string, string>): void {
  const store = openBeside(t, join(prism.dir, "prism.db"));
  const update = store.prepare("update rules set condition = ?, version = version + 1 where id = ?");
  for (const [id, condition] of conditionById) update.run(condition, id);
}

test("a rule whose patterns compile large is refused, alone and together with the others of its project", async (t) => {
  const prism = await startPrism(t, { settings: { "limits.patternsPerProject": "4000" } });
  const many = matchesOf(Array.from({ length: 100 }, (_, i) => `x{${i + 10}}[0-9]`));
  for (const { condition, message } of [
    { condition: "matches(event.a, '\\\\pL{0,250}\\\\d')", message: /too costly/ },
    { condition: many, message: /compile to \d+; at most 2048/ },
  ]) {
    const { status, body } = await prism.post<Refused>("/api/v1/rules", { ...RULE, condition });
    assert.deepEqual([status, body.error.code, body.error.details[0]?.code], [422, "INVALID_CONDITION", "LIMIT"]);
    assert.match(body.error.message, message);
  }
  const rules = Array.from({ length: 5 }, (_, i) => ({
    ...RULE,
    name: `r${i}`,
    projectId: "default",
    condition: matchesOf(["a", "b"].map((letter) => `${letter}{400}x${i}`)),
  }));
  const imported = await prism.post<Refused>("/api/v1/rules/import", { rules });
  assert.deepEqual([imported.status, imported.body.error.code], [422, "INVALID_CONDITION"]);
  assert.match(imported.body.error.message, /compile to \d+; limits\.patternsPerProject is 4000/);
  assert.equal(countOf(prism, "rules"), 0);
});

test("rules that were stored without limits are broken, and the server starts and decides by the others", async (t) => {
  const lines = new LogLines();
  const prism = await startPrism(t, { log: lines, settings: { "limits.patternsPerProject": "4000" } });
  const { body: good } = await prism.post<View>("/api/v1/rules", { ...RULE, condition: "event.type == 'x'" });
  const conditions = [
    matchesOf(Array.from({ length: 110 }, (_, i) => `\\\\pL{0,${i + 140}}[0-9]`)),
    matchesOf(Array.from({ length: 100 }, (_, i) => `x{${i + 10}}[0-9]`)),
  ];
  const stored = new Map<string, string>();
  for (let i = 0; i < 40; i++) {
    const { body } = await prism.post<View>("/api/v1/rules", { ...RULE, name: `${i}`, condition: "false == true" });
    stored.set(body.id, conditions[i % 2] ?? "");
  }
  storeUnchecked(t, prism, stored);
  await prism.restart();
  await eventually("all of them are broken", async () => {
    const views = await Promise.all([...stored.keys()].map((id) => view(prism, id)));
    return views.every(({ broken }) => broken?.code === "INVALID_CONDITION");
  });
  assert.ok(patternPool.usedBytes < 8 * 1024 * 1024, `${patternPool.usedBytes} bytes`);
  assert.equal((await view(prism, good.id)).broken, null);
  const { body: event } = await prism.post<{ seq: number }>("/api/v1/events", { type: "x", a: "xxx" });
  assert.deepEqual(rowsOf(prism, "select ruleId from decisions where eventSeq = ?", event.seq), [{ ruleId: good.id }]);
  assert.ok(lines.lines.some(({ message }) => message === "skipping a broken rule until it is changed"));
  const { body: mended } = await prism.patch<View>(`/api/v1/rules/${[...stored.keys()][0]}`, {
    condition: "event.type == 'x'",
  });
  assert.equal(mended.broken, null);
});

test("a condition that takes too long on an event stops, and its rule is broken when that repeats, also after a crash", async (t) => {
  const prism = await startPrism(t);
  const condition = matchesOf(SLOW);
  const tried = await prism.post<{ matched: boolean; error: string }>("/api/v1/rules/test", {
    condition,
    event: { a: TEXT },
  });
  assert.equal(tried.body.matched, false);
  assert.match(tried.body.error, /takes too long/);

  const { body: slow } = await prism.post<View>("/api/v1/rules", { ...RULE, name: "slow", condition, priority: 5 });
  const { body: good } = await prism.post<View>("/api/v1/rules", { ...RULE, condition: "exists(event.a)" });
  await prism.post("/api/v1/events", { type: "x", a: TEXT });
  assert.match((await view(prism, slow.id)).stats.lastError ?? "", /takes too long/);

  const events = Array.from({ length: 20 }, () => ({ type: "x", a: TEXT }));
  assert.equal((await prism.post("/api/v1/events", events)).status, 202);
  const again = await startPrism(t, { dir: await crashImage(t, prism) });
  await allDecided(again);
  for (let i = 0; i < 10; i++) await again.post("/api/v1/events", { type: "x", a: TEXT });
  await eventually("it is broken", async () => (await view(again, slow.id)).broken?.code === "TOO_COSTLY");
  assert.equal((await view(again, good.id)).broken, null);
  assert.deepEqual(rowsOf(again, "select distinct ruleId from decisions"), [{ ruleId: good.id }]);
  assert.equal(countOf(again, "decisions"), 31);
  await eventually("it is in the audit trail", () =>
    rowsOf<{ resourceId: string }>(again, "select resourceId from audit_log where action = 'rule.break'").some(
      ({ resourceId }) => resourceId === slow.id,
    ),
  );

  const { errors } = (await view(again, slow.id)).stats;
  await again.restart();
  assert.equal((await view(again, slow.id)).broken?.code, "TOO_COSTLY");
  await again.post("/api/v1/events", { type: "x", a: TEXT });
  await allDecided(again);
  assert.equal((await view(again, slow.id)).stats.errors, errors, "it is not evaluated again after a restart");
  const { body: mended } = await again.patch<View>(`/api/v1/rules/${slow.id}`, { condition: "exists(event.a)" });
  assert.equal(mended.broken, null);
  await again.restart();
  assert.equal((await view(again, slow.id)).broken, null);
});

test("a template whose filters could multiply its text is refused wherever a template is written", async (t) => {
  const prism = await startPrism(t);
  const chain = `{{event.a${"|json".repeat(28)}}}`;
  const tried = await prism.post<Refused>("/api/v1/rules/test", {
    condition: "exists(event.a)",
    event: { a: '"' },
    templates: { message: chain },
  });
  assert.deepEqual([tried.status, tried.body.error.code], [422, "INVALID_TEMPLATE"]);
  const rule = { ...RULE, condition: "exists(event.a)" };
  for (const part of [
    { titleTemplate: chain },
    { messageTemplate: `{{event.a${"|upper".repeat(5)}}}` },
    { dedupe: { key: chain, windowMs: 1000 } },
    { suppression: { count: 1, windowMs: 1000, key: chain } },
  ]) {
    const { status, body } = await prism.post<Refused>("/api/v1/rules", { ...rule, ...part });
    assert.deepEqual([status, body.error.code], [422, "INVALID_TEMPLATE"]);
  }
});
