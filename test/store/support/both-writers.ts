import test, { type TestContext } from "node:test";
import { WRITERS, type WriterKind } from "../../helpers/store.ts";

/** One test for each implementation of the committer's writer: what they promise is the same. */
export function testBothWriters(title: string, run: (t: TestContext, writer: WriterKind) => Promise<void>): void {
  for (const writer of WRITERS) test(`${title} (writer: ${writer})`, (t) => run(t, writer));
}
