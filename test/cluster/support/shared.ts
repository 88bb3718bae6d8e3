import { after, before } from "node:test";
import type { Scope } from "../../helpers/scope.ts";

/**
 * For the tests of a suite that use the same servers and nodes, one after the other: it is made before
 * the first of them, and ends after the last. @returns asks for it, in a test
 */
export function shared<T>(make: (t: Scope) => Promise<T>): () => T {
  const ends: (() => unknown)[] = [];
  let made: T | undefined;
  before(async () => {
    made = await make({ after: (end) => void ends.push(end) });
  });
  after(async () => {
    for (const end of ends.reverse()) await end();
  });
  return () => {
    if (made === undefined) throw new Error("it is made before the first test of the suite");
    return made;
  };
}
