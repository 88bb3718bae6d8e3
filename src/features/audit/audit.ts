import { actorOf, currentCaller } from "../../core/caller.ts";
import type { Clock } from "../../core/clock.ts";
import { uuidv7 } from "../../core/ids.ts";
import type { Json } from "../../core/json-text.ts";
import type { AuditRow } from "../../store/commit/write-set.ts";
import type { Database, InTransaction } from "../../store/database.ts";

export interface AuditEntry {
  /** `resource.verb` as listed in contract 12.10. */
  readonly action: string;
  readonly resourceType?: string;
  readonly resourceId?: string;
  /** Whose doing it was, where the request only shows that as it goes: logging in. */
  readonly byUser?: string;
  /** Ids and counts; never a mail address, a phone number, a name or a secret. */
  readonly metadata?: Readonly<Record<string, Json>>;
}

/** The audit trail. Actor, address and request id come from the running request, job or command. */
export class AuditService {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /** Records in the transaction of the change when given its `trx`, which is how a change and its record cannot part; else by itself. */
  async record(entry: AuditEntry, options: InTransaction = {}): Promise<void> {
    const row = auditRow(entry, this.#clock.now());
    await this.#database.writeIn(options, async (trx) => this.#database.audit(trx, row));
  }
}

/** Where features record what was done. */
export type AuditTrail = Pick<AuditService, "record">;

/** The row of an entry, before it gets its place in the chain. */
export function auditRow({ action, resourceType, resourceId, byUser, metadata }: AuditEntry, now: number): AuditRow {
  const caller = currentCaller();
  const actor =
    byUser === undefined || caller.principal
      ? actorOf(caller)
      : { actor: JSON.stringify({ type: "user", id: byUser }), userId: byUser };
  return {
    id: uuidv7(),
    action,
    ...actor,
    resourceType: resourceType ?? null,
    resourceId: resourceId ?? null,
    metadata: JSON.stringify(metadata ?? {}),
    ip: caller.ip,
    requestId: caller.requestId,
    timestamp: now,
  };
}
