/**
 * All limits of the rule language. Characters are Unicode code points, units are UTF-16 units. A
 * rule is written once and run millions of times, so limits are checked before it is stored.
 */
export const LIMITS = {
  sourceCharacters: 4096,
  tokens: 1024,
  nodes: 512,
  /** Depth of brackets and nested operators; a chain such as `a + b + c` is one level. */
  depth: 32,
  listElements: 256,
  stringCharacters: 1024,
  arguments: 8,
  pathSegments: 16,
  patternCharacters: 256,
  /** Size of one compiled `matches` pattern: instructions, plus one per 256 class bounds. */
  patternSize: 512,
  /** Total size of a condition's patterns; equal patterns count once. */
  conditionPatternSize: 2048,
  /** Longest string that `matches`, `lower`, `upper`, `split` and `contains` read. */
  inspectedUnits: 16_384,
  /** Longest string that `dec`, `number` and `time` read. */
  convertedUnits: 64,
  /**
   * Work of one condition on one event, and of all conditions in one turn of the loop. The slowest
   * step measured takes 12 ns (a pattern whose automaton exceeds its memory, on a text of 16 384
   * units): at most 13 ms. A built text counts by its length: 1 MiB.
   */
  evaluationSteps: 1_048_576,
  splitParts: 256,
  placeholders: 32,
  placeholderFilters: 4,
} as const;

/** Reading a character of an expression takes about 1 µs. */
export const STEPS_PER_CHARACTER = 80;
/** Compiling takes about 2.5 µs for each instruction of a pattern. */
export const STEPS_PER_INSTRUCTION = 200;
