// Which files of the console load first, as one script: those of the frame around the pages, and all
// that two or more later scripts need. Otherwise esbuild makes a file for each set of users, and a
// page on a slow line waits for a dozen of them.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const STATIC_IMPORT = /^(?:import|export)\b(?! type\b)(?:[^;"]*?\bfrom)? ?"(\.[^"]+\.tsx?)"/gm;
const LATE_IMPORT = /\bimport\("(\.[^"]+\.tsx?)"\)/g;

/** @param folder of the console @returns paths of the files that load first, and of those that begin later scripts */
export function consoleParts(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(({ name }) => /\.tsx?$/.test(name))
    .map(({ parentPath, name }) => join(parentPath, name));
  const texts = new Map(files.map((file) => [file, readFileSync(file, "utf8")]));
  const importsOf = (file, pattern) =>
    [...(texts.get(file) ?? "").matchAll(pattern)].map(([, path]) => join(dirname(file), path));
  const reached = (file, found = new Set()) => {
    if (found.has(file)) return found;
    found.add(file);
    for (const other of importsOf(file, STATIC_IMPORT)) if (texts.has(other)) reached(other, found);
    return found;
  };
  const main = join(folder, "main.tsx");
  const frame = reached(main);
  const late = new Set(files.flatMap((file) => importsOf(file, LATE_IMPORT)));
  const users = new Map();
  for (const begin of late) for (const file of reached(begin)) users.set(file, (users.get(file) ?? 0) + 1);
  const common = [...users].flatMap(([file, count]) => (count > 1 && !late.has(file) ? [file] : []));
  return { first: [...new Set([...frame, ...common])].filter((file) => file !== main), late };
}
