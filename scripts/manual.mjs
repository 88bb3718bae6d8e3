// Writes docs/ as a server and `prism docs search` read it: pages as HTML, the page of results, and
// what is searched (dist/manual).
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");
const output = join(root, "dist/manual");
const STAMP = "sections.txt";
const INPUTS = [
  "docs",
  "README.md",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "scripts/manual",
  "scripts/manual.mjs",
];

/** Takes half a second, so only after a change. */
export async function writeManualIfStale() {
  const stamp = join(output, STAMP);
  const sources = [...INPUTS, "src/features/health/status"].map((name) => join(root, name));
  if (existsSync(stamp) && newest(sources) < statSync(stamp).mtimeMs) return;
  const { manualPage, searchPage } = await import("./manual/page.ts");
  const { readingOrder } = await import("./manual/pages.ts");
  const { manualSections } = await import("./manual/sections.ts");
  const topics = ["index", ...readingOrder()];
  const files = new Map(topics.map((topic) => [`${topic}.html`, manualPage(topic)]));
  files.set("_search.html", searchPage()).set(STAMP, manualSections());
  for (const name of manualFiles()) if (!files.has(name)) rmSync(join(output, name));
  for (const [name, text] of files) {
    mkdirSync(dirname(join(output, name)), { recursive: true });
    writeFileSync(join(output, name), text);
  }
}

/** The files in dist/manual. */
export function manualFiles() {
  if (!existsSync(output)) return [];
  const entries = readdirSync(output, { recursive: true }).map((name) => name.replaceAll("\\", "/"));
  return entries.filter((name) => statSync(join(output, name)).isFile());
}

function newest(paths) {
  const times = paths.map((path) => {
    const stat = statSync(path);
    return stat.isDirectory() ? newest(readdirSync(path).map((name) => join(path, name))) : stat.mtimeMs;
  });
  return Math.max(...times);
}
