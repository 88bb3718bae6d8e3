import { RE2JS } from "re2js";
import { estimatePatternSize } from "../../../core/text/pattern-size.ts";
import { Refusal } from "./errors.ts";
import { evaluationBudget, FREE_UNITS } from "./evaluate/values.ts";
import { LIMITS } from "./limits.ts";

/** The pattern of a `matches`, compiled on first use. */
export class Pattern {
  readonly source: string;
  #pooled: PooledProgram | null = null;

  constructor(source: string) {
    this.source = source;
  }

  /** Compiles the pattern and returns its size. @throws Refusal LIMIT, RE2JSException */
  measure(): number {
    return this.#program(false).size;
  }

  /** Whether a part of `text` matches. @throws ConditionTooCostly, Refusal LIMIT, RE2JSException */
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

const DEFAULT_LIMIT_BYTES = 67_108_864;

interface PooledProgram {
  readonly source: string;
  /** Null after it was dropped to free memory. */
  program: Program | null;
  /** Its counted size. */
  bytes: number;
  wasUsed: boolean;
}

/**
 * Compiled patterns. Equal patterns share one program. A program is compiled on first use and
 * dropped when others need its memory, however many rules there are.
 */
export class PatternPool {
  #limitBytes: number;
  #usedBytes = 0;
  /** In the order in which they are considered for eviction. */
  readonly #pooled = new Map<string, PooledProgram>();

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Limit of the estimated memory of all programs. The one in use is always kept. */
  set limitBytes(bytes: number) {
    this.#limitBytes = bytes;
    this.#makeRoom(null);
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  find(source: string): PooledProgram | undefined {
    return this.#pooled.get(source);
  }

  /** Compiles a pattern that is not in the pool. @throws Refusal LIMIT, RE2JSException */
  compile(source: string): PooledProgram {
    const program = new Program(source);
    const pooled = { source, program, bytes: program.ownBytes, wasUsed: true };
    this.#pooled.set(source, pooled);
    this.#usedBytes += pooled.bytes;
    this.#makeRoom(pooled);
    return pooled;
  }

  /** Updates the counted size of a program in the pool. */
  recount(pooled: PooledProgram): void {
    if (pooled.program === null) return;
    const bytes = pooled.program.ownBytes + pooled.program.automatonBytes;
    if (bytes === pooled.bytes) return;
    this.#usedBytes += bytes - pooled.bytes;
    pooled.bytes = bytes;
    this.#makeRoom(pooled);
  }

  /** Drops programs that were not used since the last check. */
  #makeRoom(kept: PooledProgram | null): void {
    let turns = 2 * this.#pooled.size;
    for (const pooled of this.#pooled.values()) {
      if (this.#usedBytes <= this.#limitBytes || turns-- === 0) return;
      this.#pooled.delete(pooled.source);
      if (pooled.wasUsed || pooled === kept) {
        pooled.wasUsed = false;
        this.#pooled.set(pooled.source, pooled);
      } else {
        this.#usedBytes -= pooled.bytes;
        pooled.program = null;
      }
    }
  }
}

/** One per thread. */
export const patternPool = new PatternPool(DEFAULT_LIMIT_BYTES);

/** Memory limit of an automaton. With the default 8 MiB the worst patterns take 4 times longer. */
const AUTOMATON_BYTES = 65_536;
/** Minimum number of states, also for patterns of Unicode classes, whose states are large. */
const AUTOMATON_STATES = 24;
const POINTER_BYTES = 8;
/** Measured: an instruction with its share of the tables, and a bound of a character class. */
const INSTRUCTION_BYTES = 400;
const BOUND_BYTES = 8;
const BOUNDS_PER_SIZE = 256;
/** Compiling a pattern, and building states of an automaton. */
const BYTES_PER_STEP = 2;

type Re2 = ReturnType<RE2JS["re2"]>;

/** A compiled pattern that charges the cost of searches. */
class Program {
  /** See `LIMITS.patternSize`. */
  readonly size: number;
  /** Estimated size of the program without its automaton. */
  readonly ownBytes: number;
  readonly #re2: Re2;
  /** Linear in the text for any size: a literal, or a pattern that is in one state at a time. */
  readonly isPlain: boolean;
  #automaton: Re2["dfa"] | null = null;
  /** Length of the text being searched. */
  #textUnits = 0;
  #bytesBefore = 0;

  /** @throws Refusal LIMIT for a pattern that is too large, RE2JSException for an invalid one. */
  constructor(source: string) {
    if (estimatePatternSize(source) > 4 * LIMITS.patternSize) throw tooLarge();
    this.#re2 = RE2JS.compile(source).re2();
    let bounds = 0;
    for (const { runes } of this.#re2.prog.inst as readonly { readonly runes: Int32Array }[]) bounds += runes.length;
    const instructions = this.#re2.numberOfInstructions();
    this.size = instructions + Math.floor(bounds / BOUNDS_PER_SIZE);
    if (this.size > LIMITS.patternSize) throw tooLarge();
    this.ownBytes = instructions * INSTRUCTION_BYTES + bounds * BOUND_BYTES;
    this.isPlain = this.#re2.onepass !== null || this.#re2.prefixComplete;
  }

  /** Cost of compiling, in steps. */
  get loadSteps(): number {
    return Math.ceil(this.ownBytes / BYTES_PER_STEP);
  }

  /** Size of the automaton. It grows with the texts, up to a limit. */
  get automatonBytes(): number {
    return this.#automaton ? this.#automaton.maxMem - this.#automaton.memBudget : 0;
  }

  /** Whether a part of `text` matches. @throws ConditionTooCostly */
  test(text: string): boolean {
    if (text.length > FREE_UNITS) evaluationBudget.charge(text.length);
    if (this.isPlain) return this.#re2.match(text);
    this.#automaton ??= this.#openAutomaton();
    this.#textUnits = text.length;
    this.#bytesBefore = this.automatonBytes;
    return this.#re2.match(text);
  }

  /**
   * Opens the automaton with bounded memory. When that is full it gives up and starts with empty
   * memory the next time.
   */
  #openAutomaton(): Re2["dfa"] {
    const automaton = this.#re2.dfa;
    const bytes = Math.max(AUTOMATON_BYTES, AUTOMATON_STATES * POINTER_BYTES * automaton.numClasses);
    automaton.maxMem = bytes;
    automaton.stateBudget = bytes;
    automaton.memBudget = bytes;
    automaton.resetCache = () => null;
    const match = automaton.match.bind(automaton);
    automaton.match = (input: unknown, from: unknown, anchor: unknown) => {
      const found = match(input, from, anchor);
      const builtBytes = Math.max(0, this.automatonBytes - this.#bytesBefore);
      if (found === null) automaton.clearCache();
      if (builtBytes > 0) evaluationBudget.charge(Math.ceil(builtBytes / BYTES_PER_STEP));
      if (found === null) {
        // The library falls back to single steps: at worst 12 ns per unit of text and instruction.
        evaluationBudget.charge(this.#textUnits * this.size);
      }
      return found;
    };
    return automaton;
  }
}

function tooLarge(): Refusal {
  return new Refusal("LIMIT", 0, "this pattern is too costly; write smaller repetition counts");
}
