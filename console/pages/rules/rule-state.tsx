import { Badge } from "../../ui/index.ts";
import type { Rule } from "./types.ts";

/** The state of a rule in a word. */
export function RuleState({ rule }: { readonly rule: Pick<Rule, "active" | "broken"> }) {
  if (!rule.active) return <Badge tone="plain">disabled</Badge>;
  if (rule.broken)
    return (
      <Badge tone="bad" title={rule.broken.message}>
        broken
      </Badge>
    );
  return <Badge tone="ok">enabled</Badge>;
}
