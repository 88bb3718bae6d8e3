/**
 * Every bound of the rule language (contract 6.1, 6.2, 6.3). Characters are Unicode code points, units are UTF-16 units.
 * A rule is written once and run millions of times by people who did not write it, so all of them are checked before it is stored.
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
   * Of a compiled `matches` pattern. Linear time is linear in text times program: `\p{L}{1000}` written 20 times has 220 characters,
   * 20 000 instructions, and takes 3 s on a text of 16 384 units; with 512 no text found took more than 50 ms.
   */
  patternInstructions: 512,
  /** Longest string that `matches`, `lower`, `upper`, `split` and `contains` look at. */
  inspectedUnits: 16_384,
  /** Longest string that `dec`, `number` and `time` look at. */
  convertedUnits: 64,
  /** All strings that one evaluation makes, together: 1 MiB. */
  madeUnits: 1_048_576,
  splitParts: 256,
  placeholders: 32,
} as const;
