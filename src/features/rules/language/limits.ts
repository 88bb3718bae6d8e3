/**
 * Every bound of the rule language. Characters are Unicode code points, units are UTF-16 units. A
 * rule is written once and run millions of times by people who did not write it, so all of them are
 * checked before it is stored.
 */
export const LIMITS = {
  sourceCharacters: 4096,
  tokens: 1024,
  nodes: 512,
  /** Of brackets, and of operators within operators; a chain such as `a + b + c` is one level. */
  depth: 32,
  listElements: 256,
  stringCharacters: 1024,
  arguments: 8,
  pathSegments: 16,
  patternCharacters: 256,
  /**
   * Size of one compiled `matches` pattern: its instructions, and one for every 256 bounds of its
   * character classes.
   */
  patternSize: 512,
  /** Size of all patterns of a condition together; equal patterns count once. */
  conditionPatternSize: 2048,
  /** Longest string that `matches`, `lower`, `upper`, `split` and `contains` look at. */
  inspectedUnits: 16_384,
  /** Longest string that `dec`, `number` and `time` look at. */
  convertedUnits: 64,
  /**
   * Work of one condition on one event, and of all conditions in one turn of the loop. The slowest
   * step measured takes 12 ns (a pattern whose automaton does not fit into its memory, on a text of
   * 16 384 units): 13 ms at most. A made text counts by its length: 1 MiB.
   */
  evaluationSteps: 1_048_576,
  splitParts: 256,
  placeholders: 32,
  placeholderFilters: 4,
} as const;
