import { RE2JS } from "re2js";
import { Refusal } from "./errors.ts";
import { evaluationBudget, FREE_UNITS } from "./evaluate/evaluation-budget.ts";
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
    if (estimateSize(source) > 4 * LIMITS.patternSize) throw tooLarge();
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

/** Size of a character class of Unicode properties: `\pL` has about 1300 bounds. */
const PROPERTY_SIZE = 6;
const REPEAT = /\{([0-9]{1,4})(,([0-9]{0,4}))?\}/y;
const ESCAPE = /\\(?:[pP](?:\{[^}]*\}|.)|x\{[^}]*\}|x..|[0-7]{1,3}|.)/suy;

/**
 * Estimates the compiled size of `pattern` from its text in linear time, within a factor of about
 * two. Compiling the worst pattern of 256 characters would take 100 ms and 60 MB.
 */
export function estimateSize(pattern: string): number {
  const outer: number[] = [];
  let sum = 0;
  let last = 0;
  for (let at = 0; at < pattern.length; ) {
    const { size, end, kind } = atomAt(pattern, at);
    at = end;
    if (kind === "repeat") {
      // The repeated part is already counted once.
      sum += last * (size - 1);
      last *= size;
    } else if (kind === "open") {
      outer.push(sum);
      sum = 0;
      last = 0;
    } else if (kind === "close") {
      last = sum + 2;
      sum = (outer.pop() ?? 0) + last;
    } else {
      last = size;
      sum += size;
    }
  }
  return outer.reduce((total, part) => total + part, sum);
}

interface Atom {
  readonly kind: "atom" | "repeat" | "open" | "close";
  readonly size: number;
  readonly end: number;
}

function atomAt(pattern: string, at: number): Atom {
  switch (pattern[at]) {
    case "\\":
      return escapeAt(pattern, at);
    case "[":
      return classAt(pattern, at);
    case "(":
      return { kind: "open", size: 0, end: at + 1 };
    case ")":
      return { kind: "close", size: 0, end: at + 1 };
    case "{":
      return repeatAt(pattern, at);
    default:
      return { kind: "atom", size: 1, end: at + 1 };
  }
}

function escapeAt(pattern: string, at: number): Atom {
  if (pattern.startsWith("\\Q", at)) {
    const closing = pattern.indexOf("\\E", at);
    const end = closing === -1 ? pattern.length : closing + 2;
    return { kind: "atom", size: end - at, end };
  }
  const text = matchAt(ESCAPE, pattern, at)?.[0] ?? "\\";
  return { kind: "atom", size: /^\\[pP]/.test(text) ? PROPERTY_SIZE : 1, end: at + text.length };
}

function classAt(pattern: string, from: number): Atom {
  let size = 1;
  let at = from + 1;
  if (pattern[at] === "^") at += 1;
  // A bracket in first position is a member.
  if (pattern[at] === "]") at += 1;
  while (at < pattern.length && pattern[at] !== "]") {
    if (pattern[at] === "\\") {
      const member = escapeAt(pattern, at);
      size += member.size - 1;
      at = member.end;
    } else if (pattern.startsWith("[:", at) && pattern.includes(":]", at)) at = pattern.indexOf(":]", at) + 2;
    else at += 1;
  }
  return { kind: "atom", size, end: at + 1 };
}

function repeatAt(pattern: string, at: number): Atom {
  const match = matchAt(REPEAT, pattern, at);
  if (match === null) return { kind: "atom", size: 1, end: at + 1 };
  const least = Number(match[1]);
  const most = Math.max(least, Number(match[3] ?? 0));
  return { kind: "repeat", size: Math.max(1, most), end: at + match[0].length };
}

function matchAt(sticky: RegExp, text: string, at: number): RegExpExecArray | null {
  sticky.lastIndex = at;
  return sticky.exec(text);
}
