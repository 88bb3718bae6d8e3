import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { uuidv7 } from "../../../../src/core/ids.ts";
import { crashImage } from "../../../helpers/crash-image.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";

/** Conditions beside what plain JavaScript says of the same event. */
const CONDITIONS = [
  { text: "event.n % 2 == 0", holds: ({ n }: Payload) => n % 2 === 0 },
  { text: "event.n in [1, 5, 9]", holds: ({ n }: Payload) => [1, 5, 9].includes(n) },
  { text: "event.n >= 5 && event.kind != 'b'", holds: ({ n, kind }: Payload) => n >= 5 && kind !== "b" },
  {
    text: "startsWith(event.kind, 'a') or event.n < 1",
    holds: ({ n, kind }: Payload) => kind.startsWith("a") || n < 1,
  },
] as const;

interface Payload {
  readonly n: number;
  readonly kind: string;
}

type Step =
  | { readonly do: "ingest"; readonly events: readonly Payload[]; readonly copies: number }
  | { readonly do: "make rule"; readonly condition: number; readonly hasRecipients: boolean }
  | { readonly do: "change rule"; readonly at: number; readonly condition: number; readonly active: boolean }
  | { readonly do: "delete rule"; readonly at: number }
  | { readonly do: "restart" }
  | { readonly do: "crash" };

const payload = fc.record({ n: fc.nat(9), kind: fc.constantFrom("a", "ab", "b") });
const condition = fc.nat(CONDITIONS.length - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("ingest" as const),
      events: fc.array(payload, { minLength: 1, maxLength: 12 }),
      // Hundreds of events in one request use up the budget of a seal.
      copies: fc.constantFrom(1, 1, 60),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("make rule" as const), condition, hasRecipients: fc.boolean() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("change rule" as const), at: fc.nat(20), condition, active: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete rule" as const), at: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.constant({ do: "restart" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "crash" as const }) },
);

interface ModelRule {
  readonly id: string;
  readonly outcome: "fired" | "no recipients";
  version: number;
  condition: number;
  active: boolean;
}

/** What should have been decided, by plain JavaScript. */
class Model {
  readonly rules: ModelRule[] = [];
  readonly decisions: { eventSeq: number; ruleId: string; ruleVersion: number; outcome: string }[] = [];

  decide(eventSeq: number, event: Payload): void {
    for (const { id, version, condition: at, active, outcome } of this.rules) {
      if (!active || !CONDITIONS[at]?.holds(event)) continue;
      this.decisions.push({ eventSeq, ruleId: id, ruleVersion: version, outcome });
    }
  }
}

test("over any sequence of events, rule changes, stops and crashes the decisions are those of plain JavaScript, each once", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
      await t.test(`${steps.length} steps`, async (inner) => {
        let prism = await startPrism(inner);
        const model = new Model();
        for (const each of steps) {
          if (each.do === "restart") await prism.restart();
          else if (each.do === "crash") prism = await startPrism(inner, { dir: await crashImage(inner, prism) });
          else await apply(prism, model, each);
        }
        await settled(prism);
        assertSame(prism, model);
      });
    }),
    { numRuns: 12, seed: 20_260_131, endOnFailure: true },
  );
});

async function apply(prism: TestPrism, model: Model, step: Exclude<Step, { do: "restart" | "crash" }>): Promise<void> {
  const rule = "at" in step ? model.rules[step.at % Math.max(1, model.rules.length)] : undefined;
  switch (step.do) {
    case "ingest": {
      const events = Array.from({ length: step.copies }, () => step.events).flat();
      const body = events.map((payload) => ({ type: "t", payload }));
      const reply = await prism.post<{ accepted: number; firstSeq: number }>("/api/v1/events", body);
      assert.deepEqual([reply.status, reply.body.accepted], [202, events.length]);
      for (const [i, event] of events.entries()) model.decide(reply.body.firstSeq + i, event);
      return;
    }
    case "make rule": {
      const targets = step.hasRecipients ? { targetUsers: ["me"] } : { targetRoles: ["Auditor"] };
      const made = { name: uuidv7(), condition: CONDITIONS[step.condition]?.text, ...targets };
      await settled(prism);
      const { body } = await prism.post<{ id: string }>("/api/v1/rules", made);
      const outcome = step.hasRecipients ? "fired" : "no recipients";
      model.rules.push({ id: body.id, version: 1, condition: step.condition, active: true, outcome });
      return;
    }
    case "change rule": {
      if (!rule) return;
      await settled(prism);
      const change = { condition: CONDITIONS[step.condition]?.text, active: step.active };
      assert.equal((await prism.put(`/api/v1/rules/${rule.id}`, change)).status, 200);
      rule.version++;
      rule.condition = step.condition;
      rule.active = step.active;
      return;
    }
    case "delete rule": {
      if (!rule) return;
      await settled(prism);
      assert.equal((await prism.delete(`/api/v1/rules/${rule.id}`)).status, 204);
      model.rules.splice(model.rules.indexOf(rule), 1);
    }
  }
}

/**
 * Pending events may see a rule before or after its change; the model knows only one of the two.
 */
async function settled(prism: TestPrism): Promise<void> {
  await eventually("nothing waits to be decided", () => !prism.parts.offers.backlog.isBehind);
  // What was decided last may be on its way to the disk; a write comes after it.
  await prism.services.db.write(async () => undefined);
}

function assertSame(prism: TestPrism, { decisions }: Model): void {
  const stored = rowsOf<Model["decisions"][number]>(
    prism,
    "select eventSeq, ruleId, ruleVersion, outcome from decisions order by eventSeq, ruleId",
  );
  const expected = decisions.toSorted((a, b) => a.eventSeq - b.eventSeq || (a.ruleId < b.ruleId ? -1 : 1));
  assert.deepEqual(stored, expected);
  const told = rowsOf<{ eventSeq: number; ruleId: string; recipients: number }>(
    prism,
    `select e.seq as eventSeq, n.ruleId, count(*) as recipients from notifications n join events e on e.id = n.eventId
     join notification_recipients r on r.notificationId = n.id group by n.id order by 1, 2`,
  );
  const due = expected.filter(({ outcome }) => outcome === "fired");
  assert.deepEqual(
    told,
    due.map(({ eventSeq, ruleId }) => ({ eventSeq, ruleId, recipients: 1 })),
    "one notification for each rule that fired on an event, and no other",
  );
  const sums = rowsOf(prism, "select ruleId, matched, fired, noRecipients from rule_stats order by ruleId");
  const counted = rowsOf(
    prism,
    `select ruleId, count(*) as matched, sum(outcome = 'fired') as fired, sum(outcome = 'no recipients') as noRecipients
     from decisions group by ruleId order by ruleId`,
  );
  assert.deepEqual(sums, counted);
}
