/** What decides which rule comes first: priority descending, then createdAt, then key. */
export interface RuleOrder {
  readonly priority: number;
  readonly createdAt: number;
}

/** Where a rule is in rule order. */
export interface RulePosition extends RuleOrder {
  readonly key: string;
}

/** Before all rules. */
export const RULES_START: RulePosition = { priority: Number.MAX_SAFE_INTEGER, createdAt: 0, key: "" };

/** @returns negative where `left` comes first. */
export function inRuleOrder(left: RulePosition, right: RulePosition): number {
  return (
    right.priority - left.priority ||
    left.createdAt - right.createdAt ||
    (left.key < right.key ? -1 : left.key > right.key ? 1 : 0)
  );
}
