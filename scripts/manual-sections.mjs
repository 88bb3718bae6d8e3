// Writes the sections of docs/ as `searchManual` reads them in the executable.
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as esbuild from "esbuild";

const root = join(import.meta.dirname, "..");

/** @param file the file to write, in a folder of the build */
export async function writeManualSections(file) {
  const program = `${file}.mjs`;
  await esbuild.build({
    entryPoints: [join(root, "src/features/health/status/manual-search.ts")],
    outfile: program,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    // Of the file that reads pages.
    define: { "import.meta.dirname": JSON.stringify(join(root, "src/core")) },
    logLevel: "warning",
  });
  const { manualSections } = await import(pathToFileURL(program));
  writeFileSync(file, await manualSections());
  rmSync(program);
}
