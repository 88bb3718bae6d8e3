import { evaluationBudget } from "../evaluate/evaluation-budget.ts";
import { type PooledProgram, patternPool } from "./pattern-pool.ts";
import type { Program } from "./program.ts";

/** The pattern of a `matches`, compiled when it is first needed. */
export class Pattern {
  readonly source: string;
  #pooled: PooledProgram | null = null;

  constructor(source: string) {
    this.source = source;
  }

  /** Compiles the pattern and tells its size. @throws Refusal LIMIT, RE2JSException */
  measure(): number {
    return this.#program(false).size;
  }

  /** Whether some part of `text` matches. @throws ConditionTooCostly, Refusal LIMIT, RE2JSException */
  test(text: string): boolean {
    const program = this.#pooled?.program ?? this.#program(true);
    const pooled = this.#pooled;
    if (pooled === null) return false;
    pooled.wasUsed = true;
    if (program.isPlain) return program.test(text);
    try {
      return program.test(text);
    } finally {
      patternPool.recount(pooled);
    }
  }

  #program(isCharged: boolean): Program {
    const found = patternPool.find(this.source);
    const pooled = found ?? patternPool.compile(this.source);
    this.#pooled = pooled;
    if (pooled.program === null) throw new TypeError("a pattern in the pool has no program");
    if (!found && isCharged) evaluationBudget.charge(pooled.program.loadSteps);
    return pooled.program;
  }
}
