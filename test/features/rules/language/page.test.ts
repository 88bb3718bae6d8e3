import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { trialEvent } from "../../../../src/features/events/bus.ts";
import {
  compileCondition,
  compileTemplate,
  InvalidCondition,
} from "../../../../src/features/rules/language/language.ts";
import { runCli } from "../../../cli/run-cli.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { allDecided } from "../support/backtests.ts";

/** Runs every example of docs/rules.md. */
const page = readFileSync(join(import.meta.dirname, "../../../../docs/rules.md"), "utf8");
const [, eventText = ""] = /```json event\n([\s\S]*?)```/.exec(page) ?? [];
const event = trialEvent(JSON.parse(eventText) as Record<string, unknown>, "default", Date.UTC(2026, 0, 31, 8, 15, 1));

/** The rows of all tables with such headings; a bar within a cell is written `\|`. */
function rowsUnder(...headings: readonly string[]): string[][] {
  const head = `| ${headings.join(" | ")} |\n`;
  return page
    .split(head)
    .slice(1)
    .flatMap((part) => (part.split("\n\n")[0] ?? "").split("\n").slice(1))
    .map((line) =>
      line
        .replace(/^\| | \|$/g, "")
        .split(/ (?<!\\)\| /)
        .map((cell) => cell.replaceAll("\\|", "|").replace(/^`([^`]*)`$/, "$1")),
    );
}

test("every condition on the page is what the page says", () => {
  const rows = rowsUnder("condition", "is");
  assert.ok(rows.length > 30, String(rows.length));
  for (const [condition = "", answer] of rows)
    assert.equal(String(compileCondition(condition).test(event)), answer, condition);
});

test("every condition that the page calls refused is, at the place it names", () => {
  const rows = rowsUnder("condition", "refused at", "because");
  assert.ok(rows.length > 5, String(rows.length));
  for (const [condition = "", position] of rows) {
    assert.throws(
      () => compileCondition(condition),
      (error) => error instanceof InvalidCondition && String(error.position) === position,
      condition,
    );
  }
});

test("every template on the page becomes what the page says", () => {
  const rows = rowsUnder("template", "becomes");
  assert.ok(rows.length > 5, String(rows.length));
  for (const [template = "", text] of rows)
    assert.equal(compileTemplate(template, "messageTemplate").render(event, 255), text, template);
});

test("every command line on the page runs", async (t) => {
  const cwd = temporaryDir(t);
  const lines = [...page.matchAll(/^prism (rules test .*)$/gm)].map(([, line = ""]) => line);
  assert.ok(lines.length > 0);
  for (const line of lines) {
    const args = [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? "");
    const { status, stderr } = await runCli(args, { cwd });
    assert.equal(status, 0, `${line}\n${stderr}`);
  }
});

test("every rule on the page does to its events what the page says", async (t) => {
  const clock = new FakeClock(Date.UTC(2026, 0, 31, 8));
  const prism = await startPrism(t, { clock });
  const parts = page.split("```json rule\n").slice(1);
  assert.equal(parts.length, 5);
  for (const part of parts) {
    const [json = "", rest = ""] = part.split("```\n");
    const rule = await answered(201, prism.post<{ id: string; name: string }>("/api/v1/rules", JSON.parse(json)));
    const startedAt = clock.now();
    const rows = (rest.split("| after | payload | outcome |\n|---|---|---|\n")[1] ?? "").split("\n\n")[0] ?? "";
    for (const [, seconds = "", payload = "", outcome] of rows.matchAll(/^\| (\d+) s \| `(.*)` \| (.*) \|$/gm)) {
      clock.advance(startedAt + Number(seconds) * 1000 - clock.now());
      assert.equal(await outcomeOf(prism, rule.body.id, payload), outcome, `${rule.body.name} after ${seconds} s`);
    }
    await prism.delete(`/api/v1/rules/${rule.body.id}`);
  }
});

async function outcomeOf(prism: TestPrism, ruleId: string, payload: string): Promise<string | undefined> {
  const sent = { type: "payment.failed", payload: JSON.parse(payload) as object };
  const { body } = await prism.post<{ seq: number }>("/api/v1/events", sent);
  // Events of alerts before it may have to be decided first.
  await allDecided(prism);
  const decision = await prism.services.db.read
    .selectFrom("decisions")
    .select("outcome")
    .where("eventSeq", "=", body.seq)
    .where("ruleId", "=", ruleId)
    .executeTakeFirst();
  return decision?.outcome;
}
