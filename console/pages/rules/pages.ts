export { default as NewRule } from "./new-rule.tsx";
export { default as RulePage } from "./rule-page.tsx";
export { default as RulesPage } from "./rules-page.tsx";
