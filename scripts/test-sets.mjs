// Which test files `npm test` runs. test/slow.txt has the files that took more than SLOW_MS when
// everything ran; `npm test` leaves them out, but for those that docs/promises.md names.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";

const SLOW_MS = 1000;
const LINE = /^ *(\d+(?:\.\d)?) (.+)$/;
const HEADER = `# Seconds of each test file that took more than one, on two processors, three files at a time.
# npm test leaves these out, but for those that docs/promises.md names; npm run test:all runs them.
# Written by: npm run test:all -- --record
`;

/** All test files, as paths from the root. */
export function everyFile(root, folder = "test") {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return everyFile(root, path);
      return entry.name.endsWith(".test.ts") ? [path] : [];
    })
    .sort();
}

/** @returns the seconds of each slow file, as measured last */
export function slowFiles(root) {
  const lines = readFileSync(join(root, "test/slow.txt"), "utf8").split("\n");
  return new Map(lines.flatMap((line) => (LINE.test(line) ? [measured(LINE.exec(line))] : [])));
}

const measured = ([, seconds, file]) => [file, Number(seconds)];

/** The files that `npm test` runs. */
export function quickFiles(root) {
  const slow = slowFiles(root);
  const promised = new Set(promiseTests(root).map(([file]) => `test/${file}.test.ts`));
  return everyFile(root).filter((file) => promised.has(file) || !slow.has(file));
}

/** @returns file (below test/, without .test.ts) and id of each test that docs/promises.md names */
export function promiseTests(root) {
  const rows = readFileSync(join(root, "docs/promises.md"), "utf8").split("\n");
  return rows
    .filter((row) => /^\| S\d-\d+ \|/.test(row))
    .flatMap((row) => [...row.matchAll(/`([\w/-]+)#(S\d-\d+)`/g)].map(([, file, id]) => [file, id]));
}

/**
 * @param took milliseconds by file, of a run of all files. Tests that a support file defines count in
 *   equal parts for the test files that import it.
 */
export function recordSlowFiles(root, took) {
  const texts = new Map(everyFile(root).map((file) => [file, readFileSync(join(root, file), "utf8")]));
  const sums = new Map([...texts.keys()].map((file) => [file, 0]));
  for (const [path, ms] of Object.entries(took)) {
    const file = relative(root, path);
    const users = texts.has(file)
      ? [file]
      : [...texts.keys()].filter((each) => texts.get(each).includes(`/${basename(file)}"`));
    for (const user of users) sums.set(user, sums.get(user) + ms / users.length);
  }
  const slow = [...sums].filter(([, ms]) => ms > SLOW_MS);
  const lines = slow.map(([file, ms]) => `${(ms / 1000).toFixed(1).padStart(5)} ${file}\n`);
  writeFileSync(join(root, "test/slow.txt"), HEADER + lines.join(""));
}
