import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import test from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What a script prints with `--json`. */
function figures<T>(...args: string[]): T {
  return JSON.parse(execFileSync(process.execPath, [...args, "--json"], { cwd: root, encoding: "utf8" })) as T;
}

test("a walk counts the files and functions that one request runs, and no others", () => {
  type Walk = Record<"files" | "functions" | "rooms" | "run" | "lines", number> & { list: string[] };
  const { walks } = figures<{ walks: [Walk] }>("scripts/walks.mjs", "--walk", "console");
  const [{ files, functions, rooms, run, lines, list }] = walks;
  assert.ok(files > 20 && files < 200 && functions > files && functions < 20 * files, `${functions} in ${files}`);
  assert.ok(rooms > 3 && run > functions && lines > 3 * run, `${rooms} rooms, ${run} of ${lines} lines`);
  assert.equal(list.length, functions);
  assert.match(list.join("\n"), /^http\/.*^features\/alerts\/|^features\/alerts\/.*^http\//ms);
  assert.doesNotMatch(list.join("\n"), /^features\/heartbeats\//m, "it is about no heartbeat");
});

test("each line of src is counted once", () => {
  type Sizes = { lines: Record<string, number>; "all lines": { src: number } };
  const { lines, "all lines": all } = figures<Sizes>("scripts/measure.mjs");
  const sum = Object.values(lines).reduce((before, each) => before + each);
  assert.deepEqual([sum, (lines["logic"] ?? 0) > 0.3 * all.src], [all.src, true]);
});
