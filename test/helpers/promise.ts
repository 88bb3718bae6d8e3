import { appendFileSync } from "node:fs";
import type { TestContext } from "node:test";

/**
 * Says that a test shows that promises of docs/promises.md are kept. When it has ended without an
 * error, the file and the ids are recorded; scripts/test.mjs compares them with the page.
 */
export function keepsPromise(t: TestContext & { readonly passed?: boolean }, ids: string | readonly string[]): void {
  const file = callingTest();
  t.after(() => {
    if (t.passed) note(file, ids);
  });
}

function note(file: string, ids: string | readonly string[]): void {
  const { TEST_PROMISES: path } = process.env;
  const lines = [ids].flat().map((id) => `${file}#${id}\n`);
  if (path !== undefined) appendFileSync(path, lines.join(""));
}

/** {@link keepsPromise} as a wrapper of the test's function. */
export function promise<Given extends readonly unknown[], Result>(
  ids: string | readonly string[],
  show: (...given: Given) => Result,
): (...given: Given) => Result {
  const file = callingTest();
  const record = (): void => note(file, ids);
  return (...given) => {
    const result = show(...given);
    if (!(result instanceof Promise)) {
      record();
      return result;
    }
    return result.then((value: unknown) => {
      record();
      return value;
    }) as Result;
  };
}

/** The test file that calls, by its path below `test/` without `.test.ts`. */
function callingTest(): string {
  const [, file] = /.*[\\/]test[\\/](.+)\.test\.[jt]s/.exec(new Error("where").stack ?? "") ?? [];
  if (file === undefined) throw new TypeError("keepsPromise() belongs into a test file");
  return file.replaceAll("\\", "/");
}
