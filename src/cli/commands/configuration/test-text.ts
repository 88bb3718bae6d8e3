import type { PlacedTest } from "./local-check.ts";

/** Failed tests with what was expected, what came and why, and how many passed. */
export function testLines(tests: readonly PlacedTest[]): string[] {
  if (tests.length === 0) return [];
  const failed = tests.filter(({ ok }) => !ok);
  return [
    ...failed.flatMap(({ file, line, column, name, failures, sentence }) => [
      `${file}:${line}:${column}: test failed: ${name}`,
      ...failures.map((failure) => `  ${failure}`),
      ...(sentence === "" ? [] : [`  ${sentence}`]),
    ]),
    testCounts(tests),
  ];
}

export function testCounts(tests: readonly PlacedTest[]): string {
  const failed = tests.filter(({ ok }) => !ok).length;
  const passed = `tests: ${tests.length - failed} passed`;
  return failed === 0 ? passed : `${passed}, ${failed} failed`;
}
