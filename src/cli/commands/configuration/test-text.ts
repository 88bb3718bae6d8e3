import type { ConfigTestResult } from "./run-tests.ts";

/** Failed tests with what was expected, what came and why, and how many passed. */
export function testLines(tests: readonly ConfigTestResult[]): string[] {
  if (tests.length === 0) return [];
  const failed = tests.filter(({ ok }) => !ok);
  return [
    ...failed.flatMap(({ name, failures, sentence }) => [
      `test failed: ${name}`,
      ...failures.map((failure) => `  ${failure}`),
      ...(sentence === "" ? [] : [`  ${sentence}`]),
    ]),
    testCounts(tests),
  ];
}

export function testCounts(tests: readonly ConfigTestResult[]): string {
  const failed = tests.filter(({ ok }) => !ok).length;
  const passed = `tests: ${tests.length - failed} passed`;
  return failed === 0 ? passed : `${passed}, ${failed} failed`;
}
