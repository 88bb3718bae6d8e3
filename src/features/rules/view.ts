import type * as v from "valibot";
import { toRfc3339, toRfc3339OrNull } from "../../core/clock.ts";
import type { SoundUrlOf } from "../sounds/index.ts";
import type { BrokenRule } from "./deciding/rule-book.ts";
import type { RuleRow, RuleWithStats, STATS } from "./queries.ts";
import type { RuleView } from "./schema.ts";

/**
 * A rule as clients see it. Only a running server knows which rules are broken. Roles are stored by
 * id, so that a renamed one keeps its meaning, and shown by name.
 */
export function ruleView(
  row: RuleWithStats,
  roles: ReadonlyMap<string, string>,
  soundUrlOf: SoundUrlOf,
  broken: BrokenRule | null = null,
) {
  return {
    id: row.id,
    ...definitionView(row, roles),
    soundUrl: soundUrlOf(row.sound),
    version: row.version,
    createdBy: row.createdBy,
    createdAt: toRfc3339(row.createdAt),
    updatedAt: toRfc3339(row.updatedAt),
    broken,
    stats: countsView(row),
  };
}

/** The content of a version of a rule. */
export function definitionView(row: RuleRow, roles: ReadonlyMap<string, string>) {
  return {
    projectId: row.projectId,
    name: row.name,
    description: row.description,
    condition: row.condition,
    targetRoles: (JSON.parse(row.targetRoles) as string[]).map((id) => roles.get(id) ?? id),
    targetUsers: JSON.parse(row.targetUsers) as string[],
    channels: JSON.parse(row.channels) as View["channels"],
    titleTemplate: row.titleTemplate,
    messageTemplate: row.messageTemplate,
    sound: row.sound,
    action: parsedOrNull<View["action"]>(row.action),
    priority: row.priority,
    active: row.active === 1,
    suppression: parsedOrNull<View["suppression"]>(row.suppression),
    dedupe: parsedOrNull<View["dedupe"]>(row.dedupe),
    cooldownMs: row.cooldownMs,
    threshold: parsedOrNull<View["threshold"]>(row.threshold),
    absence: parsedOrNull<View["absence"]>(row.absence),
    alert: parsedOrNull<View["alert"]>(row.alert),
  };
}

type View = v.InferInput<typeof RuleView>;

function parsedOrNull<T>(json: string | null): T | null {
  return json === null ? null : JSON.parse(json);
}

export function countsView(counts: Pick<RuleWithStats, (typeof STATS)[number]>) {
  return {
    matched: counts.matched ?? 0,
    fired: counts.fired ?? 0,
    suppressed: counts.suppressed ?? 0,
    deduped: counts.deduped ?? 0,
    cooled: counts.cooled ?? 0,
    noRecipients: counts.noRecipients ?? 0,
    counted: counts.counted ?? 0,
    alertsOpened: counts.alertsOpened ?? 0,
    alertsResolved: counts.alertsResolved ?? 0,
    errors: counts.errors ?? 0,
    lastMatchedAt: toRfc3339OrNull(counts.lastMatchedAt ?? null),
    lastError: counts.lastError ?? null,
  };
}
