import type { Database as Sqlite } from "better-sqlite3";
import { HOUR_MS } from "../../../core/time/clock.ts";
import { DEFAULT_CHANNELS } from "../../../http/api/shapes.ts";
import type { EffectOf } from "../../../store/effect.ts";
import type { Schema } from "../../../store/schema.ts";
import { compileTemplate, type RuleEvent, readCondition } from "../language/language.ts";
import { textsOf } from "../texts.ts";
import { type DefaultSuppression, type JudgedRule, throttleSettings } from "../throttle/throttle.ts";
import type { ActiveRule } from "./rule-book.ts";

/** Events of what a receiver could not read, and of alerts that its sender has left out. */
const HOURLY_TYPES: ReadonlySet<string> = new Set(["receiver.unmapped", "receiver.truncated"]);

/** All receivers of a project notify this many times as often as one may. */
const PROJECT_FACTOR = 5;
/** Critical events have windows of their own, with this many times the limit. */
const CRITICAL_FACTOR = 3;
const CRITICAL_KEY = compileTemplate("critical", "suppression.key");

type Notifying = Pick<Schema["receivers"], "id" | "projectId" | "name">;

/** The last rules of an event of a receiver: they fire when no other rule takes it. */
interface Rules {
  readonly row: ActiveRule["row"];
  readonly event: ActiveRule;
  /** Equal ones at most once an hour: each request of a sender with a wrong mapping makes such an event. */
  readonly hourly: ActiveRule;
}

/**
 * Receivers that notify their project's members, each as a rule without a row (docs/receivers.md).
 * A copy of their table, kept current by the effect `receivers-changed`.
 */
export class ReceiverRules {
  readonly #rules = new Map<string, Rules>();
  readonly #defaults: DefaultSuppression;
  readonly #all;

  /** @param defaults the limit of a receiver; null: none */
  constructor(reader: Sqlite, defaults: DefaultSuppression) {
    this.#defaults = defaults;
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
  ruleOf(receiverId: string, { type, level }: Pick<RuleEvent, "type" | "level">): ActiveRule | null {
    const rules = this.#rules.get(receiverId);
    if (!rules) return null;
    if (HOURLY_TYPES.has(type)) return rules.hourly;
    const defaults = this.#defaults();
    if (level !== "fatal" || !defaults) return rules.event;
    const suppression = { ...defaults, count: defaults.count * CRITICAL_FACTOR, key: CRITICAL_KEY };
    return { ...rules.event, throttling: { ...rules.event.throttling, suppression } };
  }

  /** The limit of all receivers of a project together, as of a rule; null: none. */
  limitOf({ projectId, level }: Pick<RuleEvent, "projectId" | "level">): JudgedRule | null {
    const defaults = this.#defaults();
    if (!defaults) return null;
    const isCritical = level === "fatal";
    const count = defaults.count * PROJECT_FACTOR * (isCritical ? CRITICAL_FACTOR : 1);
    const suppression = { ...defaults, count, key: isCritical ? CRITICAL_KEY : null };
    return { row: { id: projectId }, throttling: { suppression, dedupe: null, cooldownMs: 0 } };
  }

  /** The rule of a receiver, or of all of a project, as a row, for summaries of what its limit held back. */
  rowOf(id: string): ActiveRule["row"] | undefined {
    const own = this.#rules.get(id)?.row;
    if (own) return own;
    if (![...this.#rules.values()].some(({ row }) => row.projectId === id)) return undefined;
    const defaults = this.#defaults();
    const suppression = defaults && {
      count: defaults.count * PROJECT_FACTOR,
      windowMs: defaults.windowMs,
      mode: "suppress",
    };
    const { row } = rulesOf({ id, projectId: id, name: "All receivers of the project" });
    return { ...row, suppression: suppression && JSON.stringify(suppression) };
  }
}

function rulesOf({ id, projectId, name }: Notifying): Rules {
  const row: ActiveRule["row"] = {
    ...{ id, projectId, name, description: "", condition: "true" },
    ...{ isForMembers: true, targetRoles: "[]", targetUsers: "[]" },
    // A server that only has mail must reach people, too.
    channels: JSON.stringify([...DEFAULT_CHANNELS, "email"]),
    ...{ sound: null, action: null, priority: 0, active: 1, version: 0 },
    ...{ createdBy: null, deletedAt: null, createdAt: 0, updatedAt: 0, suppression: null, dedupe: null },
    ...{ cooldownMs: 0, tooCostlyVersion: null, threshold: null, absence: null, alert: null },
    ...{ titleTemplate: null, messageTemplate: null },
  };
  const event: ActiveRule = {
    ...{ row, condition: readCondition(row.condition), ...textsOf(row), throttling: throttleSettings(row) },
    ...{ overTime: null, isResolve: false },
  };
  // `digest` is the same for bodies that differ in times, counters and ids only.
  const key = "unmapped {{ event.payload.digest }}";
  const hourly = { ...row, dedupe: JSON.stringify({ key, windowMs: HOUR_MS }) };
  const throttling = { ...throttleSettings(hourly), countsTogether: true } as const;
  return { row, event, hourly: { ...event, throttling } };
}
