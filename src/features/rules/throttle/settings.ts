import { compileTemplate, type Template } from "../language/language.ts";

/** What a rule says of storms, as it is stored (contract 4.8). */
export interface SuppressionSetting {
  readonly count: number;
  readonly windowMs: number;
  /** Default `suppress`. */
  readonly mode?: "suppress" | "batch" | undefined;
  /** Template; matches of one key have a window of their own. */
  readonly key?: string | undefined;
}

export interface DedupeSetting {
  /** Template. */
  readonly key: string;
  readonly windowMs: number;
}

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
