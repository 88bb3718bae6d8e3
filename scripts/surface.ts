/**
 * What the executable of this checkout shows to its users, beside that of another commit:
 *
 *     npm run surface -- [--against <commit>] [--self] [recorder]…
 *
 * Each file in scripts/surface/ records one side of it as text into `.build/surface/<commit>/`. The
 * difference is printed without what scripts/surface/accepted.json lists; the exit code is 0 if
 * nothing else remains. `--self` records the other commit a second time instead of this checkout:
 * a recording that is not the same twice is an error of its recorder.
 */
import "./node-version.mjs";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { buildOf } from "../bench/lib/build-of.ts";
import { Context, type Recorder } from "./surface/lib/context.ts";
import { type Accepted, differenceOf, judge } from "./surface/lib/difference.ts";

const root = join(import.meta.dirname, "..");
const sources = join(root, "scripts/surface");
const folder = join(root, ".build/surface");
/** It reads which statements the processes of the other recorders have compiled. */
const LAST = "query-plans";
const { values, positionals } = parseArgs({
  options: { against: { type: "string" }, self: { type: "boolean", default: false } },
  allowPositionals: true,
});
const all = readdirSync(sources).flatMap((name) => (name.endsWith(".ts") ? [basename(name, ".ts")] : []));
const unknown = positionals.filter((name) => !all.includes(name));
if (unknown.length > 0) fail(`no such recorder: ${unknown.join(", ")}; there are ${all.join(", ")}`);
const chosen = positionals.length > 0 ? positionals : all;
const names = [...chosen].sort((a, b) => Number(a === LAST) - Number(b === LAST));
const before = buildOf(values.against ?? readJson<{ commit: string }>("baseline.json").commit);
const after = values.self ? { dist: before.dist, name: "again" } : { dist: join(root, "dist"), name: "checkout" };

for (const name of names) await recordOnce(name);
for (const name of names) await recordOf(name, after.dist, after.name);
process.exitCode = names.map(compare).includes(false) ? 1 : 0;

/** The recording of the other commit is kept until a recorder changes. */
async function recordOnce(name: string): Promise<void> {
  const stamp = join(folder, before.commit, `${name}.stamp`);
  const digest = digestOf(name);
  if (name !== LAST && existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  rmSync(stamp, { force: true });
  await recordOf(name, before.dist, before.commit);
  writeFileSync(stamp, digest);
}

async function recordOf(name: string, dist: string, into: string): Promise<void> {
  const startedAt = Date.now();
  const out = join(folder, into, name);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const scratch = mkdtempSync(join(tmpdir(), "prism-surface-"));
  const { record } = (await import(join(sources, `${name}.ts`))) as { record: Recorder };
  const context = new Context(dist, scratch, out, before.dist);
  try {
    await record(context);
  } finally {
    context.end();
    rmSync(scratch, { recursive: true, force: true });
  }
  console.error(`${into}: ${name} recorded in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
}

/** @returns whether only accepted differences remain. */
function compare(name: string): boolean {
  const accepted = readJson<Accepted[]>("accepted.json").filter(({ file }) => file.startsWith(`${name}/`));
  const difference = differenceOf(folder, join(before.commit, name), join(after.name, name));
  const { open, counts } = judge(difference, accepted);
  for (const [index, { file, lines, reason }] of accepted.entries())
    console.log(
      `${name}: ${counts[index] === 0 ? "no longer occurs" : `${counts[index]} lines`}: ${file} ${lines} (${reason})`,
    );
  console.log(open === "" ? `${name}: nothing else differs` : open);
  return open === "";
}

/** Of the recorder and all that it imports from this folder. */
function digestOf(name: string): string {
  const files = new Set([join(sources, `${name}.ts`), join(sources, "lib/preload.cjs")]);
  const hash = createHash("sha256");
  for (const file of files) {
    const text = readFileSync(file, "utf8");
    hash.update(text);
    for (const [, path = ""] of text.matchAll(/\bfrom "(\.[^"]+)"/g)) {
      const imported = join(dirname(file), path);
      if (imported.startsWith(sources)) files.add(imported);
    }
  }
  return hash.digest("hex");
}

function readJson<T>(name: string): T {
  return JSON.parse(readFileSync(join(sources, name), "utf8")) as T;
}

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}
