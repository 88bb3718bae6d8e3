// Compiles the tests and the sources they import into a folder, once for all test processes: the
// TypeScript loader costs each process and each thread a second of processor time.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import * as esbuild from "esbuild";

const FOLDERS = ["bench", "bin", "examples", "migrations", "scripts", "src", "test"];
const SCRIPT_IMPORT = /^import "(\.{1,2}\/[^"\n]+\.mjs)";$/gm;
const RELATIVE_IMPORT = /\b((?:from|import) ?\(? ?")(\.{1,2}\/[^"\n]+)\.ts(")/g;

/** Compiles each `.ts` file below `root` to a `.js` file at the same path below `folder`. */
export async function compileTests(root, folder) {
  const files = FOLDERS.flatMap((name) => find(root, name));
  await Promise.all(files.map((file) => compile(root, folder, file)));
  await bundleThreads(folder);
}

/** One file per role: each server starts threads, and each of them loads all its imports. */
async function bundleThreads(folder) {
  await esbuild.build({
    entryPoints: [join(folder, "src/worker.js")],
    outdir: join(folder, "src"),
    allowOverwrite: true,
    bundle: true,
    splitting: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node24",
    logLevel: "warning",
  });
}

async function compile(root, folder, file) {
  const source = join(root, file);
  // Files that a module reads from its own folder are not copied. In src and in `*-thread.ts`,
  // `import.meta.url` finds the compiled entry of threads.
  const literals = { "import.meta.dirname": JSON.stringify(dirname(source)) };
  if (!file.startsWith("src/") && !file.endsWith("-thread.ts"))
    literals["import.meta.url"] = JSON.stringify(pathToFileURL(source).href);
  // Scripts are not copied.
  const text = readFileSync(source, "utf8")
    .replace(RELATIVE_IMPORT, "$1$2.js$3")
    .replace(SCRIPT_IMPORT, (_, path) => `import ${JSON.stringify(pathToFileURL(join(dirname(source), path)).href)};`);
  const { code, map } = await esbuild.transform(text, {
    loader: "ts",
    format: "esm",
    target: "node24",
    define: literals,
    sourcefile: source,
    sourcemap: "external",
    sourcesContent: false,
  });
  const output = join(folder, file.replace(/\.ts$/, ".js"));
  mkdirSync(dirname(output), { recursive: true });
  writeFileSync(output, code);
  writeFileSync(`${output}.map`, map);
}

function find(root, folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return find(root, path);
    return entry.name.endsWith(".ts") && !entry.name.endsWith(".d.ts") ? [path] : [];
  });
}
