import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { packEffects, unpackEffects } from "../../src/store/commit/packed-effects.ts";
import type { Effects } from "../../src/store/commit/write-set.ts";

const word = fc.constantFrom("a", "b", "é");
const wordOrNull = fc.option(word);
const number = fc.integer({ min: 0, max: 3 });

const decision = fc.record({
  ...{ eventSeq: number, ruleId: word, ruleVersion: number, notificationId: wordOrNull, at: number, key: wordOrNull },
  outcome: fc.constantFrom("fired", "suppressed", "no recipients"),
});
const notification = fc.record({
  ...{ id: word, ruleId: wordOrNull, eventId: wordOrNull, projectId: wordOrNull, title: word },
  ...{ message: word, sound: wordOrNull, action: wordOrNull, data: wordOrNull, priority: number },
  ...{ dedupeKey: wordOrNull, correlationId: word, createdAt: number, channels: wordOrNull },
  kind: fc.constantFrom("rule", "message"),
});
const recipient = fc.record({ notificationId: word, userId: word, seq: number });
const job = fc.record({
  ...{ id: word, queue: word, kind: word, payload: word, priority: number, runAt: number, maxAttempts: number },
  ...{ dedupeKey: wordOrNull, label: wordOrNull, module: wordOrNull, createdBy: wordOrNull, scheduleId: wordOrNull },
  ...{ correlationId: wordOrNull, createdAt: number, state: fc.constantFrom("scheduled", "ready") },
});
const rare = <T>(value: T): fc.Arbitrary<T | null> => fc.option(fc.constant(value), { freq: 9, nil: null });
const effects = fc.record({
  ...{ eventSeq: number, correlationId: word, poison: rare("refused"), processedAt: rare(7) },
  decisions: fc.array(decision, { maxLength: 3 }),
  notifications: fc.array(notification, { maxLength: 3 }),
  recipients: fc.array(recipient, { maxLength: 3 }),
  jobs: fc.array(job, { maxLength: 2 }),
  signals: fc.constantFrom([], [{ eventSeq: 1, ruleId: "a", action: "fire", projectId: "b", input: "{}", at: 2 }]),
  slice: rare({ after: null }),
  resolves: rare({ consumer: "rule-engine", at: 3 }),
  retry: fc.constant({ at: 1, runAt: 2, maxAttempts: 3 }),
}) as fc.Arbitrary<Effects>;

test("effects reach the writer's thread as they were", () =>
  fc.assert(
    fc.property(fc.array(effects), (all) => {
      assert.deepEqual(unpackEffects(structuredClone(packEffects(all))), structuredClone(all));
    }),
  ));
