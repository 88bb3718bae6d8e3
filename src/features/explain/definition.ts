import type { RuleEvent, SuppressionSetting } from "../rules/index.ts";
import { compileTemplate } from "../rules/index.ts";

/** What a stored version of a rule says; versions from before a member existed lack it. */
export interface Definition {
  readonly projectId: string | null;
  readonly name: string;
  readonly condition: string;
  /** Names as they were then. */
  readonly targetRoles: readonly string[];
  readonly targetUsers: readonly string[];
  readonly channels: readonly string[];
  readonly active: boolean;
  readonly suppression?: SuppressionSetting | null;
  readonly dedupe?: { readonly key: string; readonly windowMs: number } | null;
  readonly cooldownMs?: number;
}

export function definitionOf(json: string | null): Definition | null {
  return json === null ? null : (JSON.parse(json) as Definition);
}

const MAX_KEY_LENGTH = 256;

/** The value of a key's template, as the rule saw it; '' where it has none or cannot be read any more. */
export function keyOf(template: string | undefined, event: RuleEvent): string {
  if (template === undefined) return "";
  try {
    return compileTemplate(template, "key").render(event, MAX_KEY_LENGTH);
  } catch {
    return "";
  }
}
