import type { ExplainedRule } from "./rule-outcomes.ts";

/** Of the traces of an answer's rules together. */
const MAX_BYTES = 4_194_304;

/** Leaves out the traces that would make an answer too large: one can have 0.4 MB, and an answer has up to a hundred of each kind. */
export class TraceBudget {
  #leftBytes: number;

  constructor(bytes = MAX_BYTES) {
    this.#leftBytes = bytes;
  }

  fit(rule: ExplainedRule): ExplainedRule {
    const { trace } = rule.view;
    if (trace === null) return rule;
    this.#leftBytes -= JSON.stringify(trace).length;
    return this.#leftBytes >= 0 ? rule : { ...rule, view: { ...rule.view, trace: null } };
  }
}
