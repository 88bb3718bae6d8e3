import { RE2JS } from "re2js";
import { evaluationBudget, FREE_UNITS } from "../evaluate/evaluation-budget.ts";
import { LIMITS } from "../limits.ts";
import { Refusal } from "../refusal.ts";
import { estimateSize } from "./estimate-size.ts";

/** What an automaton may keep. With the library's 8 MiB the worst patterns take four times as long, not less. */
const AUTOMATON_BYTES = 65_536;
/** Room for this many states, also for patterns of Unicode classes, whose states are large. */
const AUTOMATON_STATES = 24;
const POINTER_BYTES = 8;
/** Measured: an instruction with its part in the tables of the engines, and a bound of a character class. */
const INSTRUCTION_BYTES = 400;
const BOUND_BYTES = 8;
const BOUNDS_PER_SIZE = 256;
/** Compiling a pattern, and building states of an automaton. */
const BYTES_PER_STEP = 2;

type Re2 = ReturnType<RE2JS["re2"]>;

/** A compiled pattern that charges what a search costs. */
export class Program {
  /** See `LIMITS.patternSize`. */
  readonly size: number;
  /** Of the program without its automaton, estimated. */
  readonly ownBytes: number;
  readonly #re2: Re2;
  /** Linear in the text whatever the size: a literal, or a pattern that is never in two states at once. */
  readonly isPlain: boolean;
  #automaton: Re2["dfa"] | null = null;
  /** Of the search that runs. */
  #textUnits = 0;
  #bytesBefore = 0;

  /** @throws Refusal LIMIT for a pattern that is too large, RE2JSException for one that is none. */
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

  /** What compiling costs, in steps. */
  get loadSteps(): number {
    return Math.ceil(this.ownBytes / BYTES_PER_STEP);
  }

  /** Bytes that the automaton keeps. It grows with the texts it sees, up to a limit. */
  get automatonBytes(): number {
    return this.#automaton ? this.#automaton.maxMem - this.#automaton.memBudget : 0;
  }

  /** Whether some part of `text` matches. @throws ConditionTooCostly */
  test(text: string): boolean {
    if (text.length > FREE_UNITS) evaluationBudget.charge(text.length);
    if (this.isPlain) return this.#re2.match(text);
    this.#automaton ??= this.#openAutomaton();
    this.#textUnits = text.length;
    this.#bytesBefore = this.automatonBytes;
    return this.#re2.match(text);
  }

  /** The automaton with its memory bounded. When that is full it gives up, and begins with empty memory the next time. */
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
        // The library goes on step by step: 12 ns for each unit of text and instruction, at worst.
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
