// Node's spec reporter, which repeats failures at the end, for logs that keep only the last page.
// For scripts/test.mjs, and for Node's own runner, which measures coverage.
import { Readable } from "node:stream";
import { spec as Spec } from "node:test/reporters";
import { originalOf, withoutCompiled } from "./positions.mjs";

export default async function* report(events) {
  yield* Readable.from(withSources(events)).pipe(new Spec());
}

async function* withSources(events) {
  for await (const event of events) {
    const { data } = event;
    if (data?.file && data.line) Object.assign(data, originalOf(data.file, data.line, data.column));
    mapStacks(data?.details?.error);
    yield event;
  }
}

/** Rewrites the stacks of an error, its causes and its parts. */
function mapStacks(error) {
  if (typeof error !== "object" || error === null) return;
  if (typeof error.stack === "string") {
    const stack = withoutCompiled(error.stack);
    Object.defineProperty(error, "stack", { value: stack, writable: true, configurable: true });
  }
  mapStacks(error.cause);
  if (Array.isArray(error.errors)) error.errors.forEach(mapStacks);
}
