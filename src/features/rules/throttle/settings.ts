import { compileTemplate, type Template } from "../language/language.ts";
import type { CreateRule } from "../schema.ts";

/** As it is stored. */
export type SuppressionSetting = NonNullable<CreateRule["suppression"]>;
export type DedupeSetting = NonNullable<CreateRule["dedupe"]>;

/** How a rule is kept from telling too much: read once, when the rule comes into force. */
export interface ThrottleSettings {
  /** Null: what the configuration says for rules that say nothing. */
  readonly suppression: (Omit<SuppressionSetting, "key"> & { readonly key: Template | null }) | null;
  readonly dedupe: { readonly key: Template; readonly windowMs: number } | null;
  /** 0: none. */
  readonly cooldownMs: number;
}

/** @throws INVALID_TEMPLATE */
export function throttleSettings(row: {
  readonly suppression: string | null;
  readonly dedupe: string | null;
  readonly cooldownMs: number;
}): ThrottleSettings {
  const suppression = row.suppression === null ? null : (JSON.parse(row.suppression) as SuppressionSetting);
  const dedupe = row.dedupe === null ? null : (JSON.parse(row.dedupe) as DedupeSetting);
  return {
    suppression: suppression && {
      ...suppression,
      key: suppression.key === undefined ? null : compileTemplate(suppression.key, "suppression.key"),
    },
    dedupe: dedupe && { windowMs: dedupe.windowMs, key: compileTemplate(dedupe.key, "dedupe.key") },
    cooldownMs: row.cooldownMs,
  };
}
