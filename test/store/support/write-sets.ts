import { uuidv7 } from "../../../src/core/ids.ts";
import { type Committer, emptyContent, type SetContent, type SetSource } from "../../../src/store/commit/committer.ts";
import { eventColumns as columnsOf, type EventColumns } from "../../../src/store/commit/event-columns.ts";
import type { AuditRow, CommitOutcome, Effects, JobRow, NotificationRow } from "../../../src/store/commit/write-set.ts";

export interface EventSketch {
  readonly seq: number;
  readonly id?: string;
  readonly type?: string;
  readonly payload?: string;
  readonly dedupeKey?: string | null;
  readonly processedAt?: number | null;
}

const NOW = 1_700_000_000_000;

/** The columns of events of which only the interesting members are given. */
export function eventColumns(events: readonly EventSketch[]): EventColumns {
  return columnsOf(
    events.map((event) => ({
      seq: event.seq,
      id: event.id ?? uuidv7(),
      projectId: "project-1",
      type: event.type ?? "test.event",
      level: "info",
      source: null,
      payloadText: event.payload ?? "{}",
      dedupeKey: event.dedupeKey ?? null,
      occurredAt: NOW,
      receivedAt: NOW,
      processedAt: event.processedAt === undefined ? NOW : event.processedAt,
      givenCorrelationId: null,
    })),
  );
}

export function notificationRow(id: string = uuidv7()): NotificationRow {
  return {
    id,
    ruleId: "rule-1",
    eventId: null,
    projectId: null,
    kind: "rule",
    title: "title",
    message: "message",
    sound: null,
    action: null,
    data: null,
    priority: 0,
    dedupeKey: null,
    correlationId: "c",
    createdAt: NOW,
    channels: null,
  };
}

export function jobRow(job: Partial<JobRow> = {}): JobRow {
  return {
    id: uuidv7(),
    queue: "timers",
    kind: "test",
    payload: "{}",
    state: "ready",
    priority: 0,
    runAt: NOW,
    maxAttempts: 3,
    dedupeKey: null,
    label: null,
    module: null,
    createdBy: null,
    scheduleId: null,
    correlationId: null,
    createdAt: NOW,
    ...job,
  };
}

/** One fired rule on one event: decision, notification, one recipient. */
export function effectsOf(eventSeq: number, recipientSeq: number, changes: Partial<Effects> = {}): Effects {
  const notification = notificationRow();
  return {
    eventSeq,
    poison: null,
    processedAt: null,
    decisions: [
      {
        ...({ eventSeq, ruleId: "rule-1", ruleVersion: 1, outcome: "fired", notificationId: notification.id } as const),
        ...{ at: NOW, key: null },
      },
    ],
    notifications: [notification],
    recipients: [{ notificationId: notification.id, userId: "user-1", seq: recipientSeq }],
    jobs: [],
    signals: [],
    slice: null,
    resolves: null,
    correlationId: "correlation-1",
    retry: { at: NOW, runAt: NOW + 1000, maxAttempts: 3 },
    ...changes,
  };
}

export function auditRow(action = "test.action", changes: Partial<AuditRow> = {}): AuditRow {
  return {
    id: uuidv7(),
    action,
    userId: null,
    actor: '{"type":"system"}',
    resourceType: null,
    resourceId: null,
    metadata: "{}",
    ip: null,
    requestId: null,
    timestamp: NOW,
    ...changes,
  };
}

/** Hands contents to the committer as the pipeline does: sealed when the writer is granted. */
export class TestSource implements SetSource {
  readonly #committer: Committer;
  readonly #waiting: { seal: () => Partial<SetContent>; resolve: (outcome: CommitOutcome) => void }[] = [];

  constructor(committer: Committer) {
    this.#committer = committer;
  }

  /** @param seal makes the content when its turn comes. @returns what became of it. */
  write(seal: () => Partial<SetContent>): Promise<CommitOutcome> {
    return new Promise((resolve) => {
      this.#waiting.push({ seal, resolve });
      this.#committer.wantSet(this);
    });
  }

  /** Stores one event under the next number. @returns that number with the outcome. */
  async writeEvent(event: Omit<EventSketch, "seq"> = {}): Promise<{ seq: number; outcome: CommitOutcome }> {
    let seq = 0;
    const outcome = await this.write(() => {
      seq = this.#committer.sequences.events.next();
      return { events: eventColumns([{ ...event, seq }]) };
    });
    return { seq, outcome };
  }

  seal() {
    const next = this.#waiting.shift();
    if (!next) return null;
    if (this.#waiting.length > 0) this.#committer.wantSet(this);
    return { content: { ...emptyContent(), ...next.seal() }, settle: next.resolve };
  }
}

/** The outcome of a set that was written without any loss. */
export const WRITTEN: CommitOutcome = { ok: true, failedEffects: [], claimed: [] };

export function failureOfOutcome(outcome: CommitOutcome): string {
  return outcome.ok ? "written" : `${outcome.failure}${outcome.superseded ? ", superseded" : ""}`;
}
