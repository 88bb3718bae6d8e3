import type {
  Rule as ApiRule,
  RuleVersion as ApiRuleVersion,
  CreateRule,
  RuleWithWarnings,
} from "../../../src/client/api-types.gen.ts";

/** Members of the form; one version of a rule. */
export type Definition = Pick<ApiRule, Exclude<keyof CreateRule, "threshold" | "absence" | "alert">>;

/** Warnings are not in lists. */
export type Rule = ApiRule & Partial<Pick<RuleWithWarnings, "warnings">>;

export interface RuleVersion extends ApiRuleVersion {
  readonly definition: Definition;
}
