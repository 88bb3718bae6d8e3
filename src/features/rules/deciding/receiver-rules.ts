import type { Database as Sqlite } from "better-sqlite3";
import { HOUR_MS } from "../../../core/clock.ts";
import { DEFAULT_CHANNELS } from "../../../http/shapes.ts";
import type { EffectOf } from "../../../store/effect.ts";
import type { ReceiversTable } from "../../../store/schema.ts";
import { readCondition } from "../language/language.ts";
import type { RuleRow } from "../queries.ts";
import { textsOf } from "../texts.ts";
import { throttleSettings } from "../throttle/throttle.ts";
import type { ActiveRule } from "./rule-book.ts";

/** Events that a receiver could not read. */
const UNMAPPED_TYPE = "receiver.unmapped";

type Notifying = Pick<ReceiversTable, "id" | "projectId" | "name">;

/** The last rules of an event of a receiver: they fire when no other rule takes it. */
interface Rules {
  readonly row: RuleRow;
  readonly event: ActiveRule;
  /** At most once an hour: each request of a sender with a wrong mapping makes such an event. */
  readonly unmapped: ActiveRule;
}

/**
 * Receivers that notify their project's members, each as a rule without a row (docs/receivers.md).
 * A copy of their table, kept current by the effect `receivers-changed`.
 */
export class ReceiverRules {
  readonly #rules = new Map<string, Rules>();
  readonly #all;

  constructor(reader: Sqlite) {
    this.#all = reader.prepare<[], Notifying>("select id, projectId, name from receivers where notifies = 1");
    this.reload();
  }

  reload(): void {
    this.#rules.clear();
    for (const receiver of this.#all.all()) this.#rules.set(receiver.id, rulesOf(receiver));
  }

  changed({ changed = [], deleted = [] }: Omit<EffectOf<"receivers-changed">, "type">): void {
    for (const id of [...deleted, ...changed.map((row) => row.id)]) this.#rules.delete(id);
    for (const row of changed) if (row.notifies === 1) this.#rules.set(row.id, rulesOf(row));
  }

  /** The rule that fires for an event of the receiver when no other does; null: none. */
  ruleOf(receiverId: string, type: string): ActiveRule | null {
    const rules = this.#rules.get(receiverId);
    if (!rules) return null;
    return type === UNMAPPED_TYPE ? rules.unmapped : rules.event;
  }

  /** The rule of a receiver as a row, for summaries of what its limit held back. */
  rowOf(receiverId: string): RuleRow | undefined {
    return this.#rules.get(receiverId)?.row;
  }
}

function rulesOf({ id, projectId, name }: Notifying): Rules {
  const row: RuleRow = {
    ...{ id, projectId, name, description: "", condition: "true", targetRoles: "[]", targetUsers: "[]" },
    // A server that only has mail must reach people, too.
    ...{
      channels: JSON.stringify([...DEFAULT_CHANNELS, "email"]),
      sound: null,
      action: null,
      priority: 0,
      active: 1,
      version: 0,
    },
    ...{ createdBy: null, deletedAt: null, createdAt: 0, updatedAt: 0, suppression: null, dedupe: null },
    ...{ cooldownMs: 0, tooCostlyVersion: null, threshold: null, absence: null, alert: null },
    ...{ titleTemplate: null, messageTemplate: null },
  };
  const event: ActiveRule = {
    ...{ row, condition: readCondition(row.condition), ...textsOf(row), throttling: throttleSettings(row) },
    ...{ overTime: null, isResolve: false, isReceiver: true },
  };
  const hourly = { ...row, dedupe: JSON.stringify({ key: "unmapped", windowMs: HOUR_MS }) };
  return { row, event, unmapped: { ...event, throttling: throttleSettings(hourly) } };
}
