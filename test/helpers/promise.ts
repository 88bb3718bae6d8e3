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

/** The test file that calls, by its path below `test/` without `.test.ts`. */
function callingTest(): string {
  const [, file] = /.*[\\/]test[\\/](.+)\.test\.[jt]s/.exec(new Error("where").stack ?? "") ?? [];
  if (file === undefined) throw new TypeError("keepsPromise() belongs into a test file");
  return file.replaceAll("\\", "/");
}
