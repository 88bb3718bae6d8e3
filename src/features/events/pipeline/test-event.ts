import { uuidv7 } from "../../../core/ids.ts";
import { deferred } from "../../../core/promises.ts";
import type { Uses } from "../../../module/feature.ts";
import { emptyContent, type SealedSet } from "../../../store/commit/committer.ts";
import { type EventToStore, eventColumns } from "../../../store/commit/event-columns.ts";
import { commitError } from "../../../store/sqlite/sqlite-errors.ts";
import type { Backlog } from "./backlog.ts";
import type { EventPipeline } from "./pipeline.ts";

/** The project of test events, which has no row: no one is a member, and no list has it. */
const HIDDEN_PROJECT = "prism:watch";
const TYPE = "prism.watch";

export interface TestEventParts extends Uses<"committer" | "clock"> {
  readonly pipeline: Pick<EventPipeline, "requireRoom">;
  readonly backlog: Pick<Backlog, "isBehind">;
}

/**
 * Stores an event as ingest does: the same limits, its turn at the writer, the same statements and
 * commit. The commit also removes it, so that no rule, list, stream, digest or figure ever has it.
 * Resolves when it is on disk. @throws STORAGE_FULL, OVERLOADED, DATABASE_UNAVAILABLE,
 * SHUTTING_DOWN; Error while the rules are behind
 */
export async function storeTestEvent({ committer, pipeline, backlog, clock }: TestEventParts): Promise<void> {
  pipeline.requireRoom(0);
  const stored = deferred<void>();
  const seal = (): SealedSet => {
    const event = testEvent(committer.sequences.events.next(), clock.now());
    return {
      content: { ...emptyContent(), events: eventColumns([event]), withdrawn: [event.seq] },
      settle: (outcome) =>
        outcome.ok ? stored.resolve() : stored.reject(commitError(outcome.failure, new Error(outcome.message))),
    };
  };
  committer.wantSet({ seal, dropped: stored.reject });
  await stored.promise;
  if (backlog.isBehind) throw new Error("the rules are behind");
}

function testEvent(seq: number, now: number): EventToStore {
  const id = uuidv7();
  const times = { occurredAt: now, receivedAt: now, processedAt: now };
  const rest = { dedupeKey: null, givenCorrelationId: null, payloadText: "{}", source: TYPE };
  return { seq, id, projectId: HIDDEN_PROJECT, type: TYPE, level: "info", ...times, ...rest };
}
