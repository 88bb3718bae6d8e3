import { appendFileSync } from "node:fs";

/**
 * Wraps the function that shows that promises of docs/promises.md are kept. When it has ended without
 * an error, the file and the ids are recorded; scripts/test.mjs compares them with the page.
 */
export function promise<Given extends readonly unknown[], Result>(
  ids: string | readonly string[],
  show: (...given: Given) => Result,
): (...given: Given) => Result {
  const file = callingTest();
  const record = (): void => {
    const { TEST_PROMISES: path } = process.env;
    if (path !== undefined)
      appendFileSync(
        path,
        [ids]
          .flat()
          .map((id) => `${file}#${id}\n`)
          .join(""),
      );
  };
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
  if (file === undefined) throw new TypeError("promise() belongs into a test file");
  return file.replaceAll("\\", "/");
}
