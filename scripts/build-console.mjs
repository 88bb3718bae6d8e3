// Builds the console from console/ into dist/console: hashed files in assets/, the page, and
// files.json with the list that the server serves. build.mjs packs them into the executable.
// Usage: node scripts/build-console.mjs [--dev]; --dev adds the gallery of components.
import "./node-version.mjs";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import { consoleParts } from "./console-parts.mjs";

const root = join(import.meta.dirname, "..");
const source = join(root, "console");
const output = join(root, "dist/console");
/** Bytes, compressed: before the first page can be used, and of all files. */
const FIRST_LOAD_LIMIT = 120_000;
const TOTAL_LIMIT = 500_000;
/** Bytes of the service worker, uncompressed, with the names of the files. */
const WORKER_LIMIT = 8 * 1024;

export async function buildConsole({ isDevelopment = false } = {}) {
  const common = {
    absWorkingDir: root,
    bundle: true,
    minify: true,
    // The first versions with light-dark() and the popover API, which the style sheet and menus need.
    target: ["es2022", "chrome123", "firefox125", "safari17.5"],
    legalComments: "none",
    logLevel: "warning",
    define: { DEVELOPMENT: String(isDevelopment) },
    jsx: "automatic",
    jsxImportSource: "preact",
    write: false,
    metafile: true,
    outdir: output,
  };
  const application = await esbuild.build({
    ...common,
    entryPoints: { main: join(source, "main.tsx") },
    entryNames: "assets/[name]-[hash]",
    chunkNames: "assets/[name]-[hash]",
    format: "esm",
    splitting: true,
    plugins: [withoutGrammars, withFirstParts],
  });
  const scripts = await esbuild.build({
    ...common,
    entryPoints: { theme: join(source, "ui/theme-boot.ts") },
    entryNames: "assets/[name]-[hash]",
    format: "iife",
  });
  rmSync(output, { recursive: true, force: true });
  mkdirSync(join(output, "assets"), { recursive: true });
  const style = styleOf(application.metafile);
  // The first style sheet has the rules of all pages; those of other files repeat them.
  for (const { path, contents } of [...application.outputFiles, ...scripts.outputFiles])
    if (!path.endsWith(".css") || basename(path) === style) writeFileSync(path, contents);
  cpSync(join(source, "public"), output, { recursive: true });
  const theme = basename(scripts.outputFiles[0].path);
  const first = firstFiles(application.metafile);
  writeFileSync(join(output, "index.html"), page(theme, first));
  const files = readdirSync(output, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(output, join(entry.parentPath ?? entry.path, entry.name)).replaceAll("\\", "/"));
  const worker = await buildWorker(common, files);
  writeFileSync(join(output, "files.json"), JSON.stringify([...files, worker].sort()));
  const size = sizes(
    files,
    [theme, ...first].map((name) => `assets/${name}`),
  );
  if (!isDevelopment) requireSmall(size);
  return { ...size, inputs: [application, scripts].flatMap(({ metafile }) => Object.keys(metafile.inputs)) };
}

/**
 * The rule editor has a list of tokens in place of a grammar. Completion and history of CodeMirror
 * ask for the syntax tree all the same, so they get an empty one: 17 KiB less (compressed).
 */
const withoutGrammars = {
  name: "without-grammars",
  setup(build) {
    const token = "{ name: '', from: 0, to: 0, parent: null, firstChild: null }";
    const names = ["IndentContext", "getIndentation", "indentString", "matchBrackets", "getIndentUnit", "indentUnit"];
    const contents = `export const syntaxTree = () => ({ resolveInner: () => (${token}) });
      export const ${[...names, "NodeProp"].map((name) => `${name} = null`).join(", ")};`;
    build.onResolve({ filter: /^(@codemirror\/language|@lezer\/common)$/ }, ({ path }) => ({
      path,
      namespace: "no-grammar",
    }));
    build.onLoad({ filter: /./, namespace: "no-grammar" }, () => ({ contents }));
  },
};

/** The first script and all later ones import what loads first, so that it is one file (console-parts.mjs). */
const withFirstParts = {
  name: "with-first-parts",
  setup(build) {
    const { first, late } = consoleParts(source);
    const main = join(source, "main.tsx");
    const statement = 'import "first-parts";\n';
    build.onResolve({ filter: /^first-parts$/ }, ({ path }) => ({ path, namespace: "first-parts" }));
    build.onLoad({ filter: /./, namespace: "first-parts" }, () => ({
      contents: first.map((file) => `import ${JSON.stringify(file)};`).join("\n"),
      resolveDir: source,
    }));
    build.onLoad({ filter: /[\\/]console[\\/].*\.tsx?$/ }, ({ path }) => {
      if (path !== main && !late.has(path)) return undefined;
      const text = readFileSync(path, "utf8");
      // Last in the first script: what it imports itself may not depend on the others.
      const contents = path === main ? `${text}\n${statement}` : statement + text;
      return { contents, loader: path.endsWith("x") ? "tsx" : "ts" };
    });
  },
};

/** The service worker, which keeps the page and its assets. @returns its file's name */
async function buildWorker(common, files) {
  const name = "service-worker.js";
  const assets = files.filter((each) => each.startsWith("assets/")).map((each) => basename(each));
  const version = createHash("sha256")
    .update(readFileSync(join(output, "index.html")))
    .update(assets.join(" "));
  const { outputFiles } = await esbuild.build({
    ...common,
    entryPoints: [join(source, name.replace(".js", ".ts"))],
    format: "iife",
    define: {
      ASSETS: JSON.stringify(assets.join(" ")),
      VERSION: JSON.stringify(version.digest("hex").slice(0, 12)),
    },
  });
  const [{ contents }] = outputFiles;
  if (contents.length > WORKER_LIMIT) throw new Error(`the service worker is ${contents.length} bytes`);
  writeFileSync(join(output, name), contents);
  return name;
}

function entryOf({ outputs }) {
  return Object.keys(outputs).find((path) => outputs[path].entryPoint?.endsWith("main.tsx"));
}

function styleOf(metafile) {
  return basename(metafile.outputs[entryOf(metafile)].cssBundle);
}

/** The files that the first page needs: its style sheet, the entry, and what it imports. */
function firstFiles(metafile) {
  const { outputs } = metafile;
  const found = new Set();
  const add = (path) => {
    if (found.has(path)) return;
    found.add(path);
    for (const { path: imported, kind } of outputs[path].imports) if (kind === "import-statement") add(imported);
  };
  add(entryOf(metafile));
  return [styleOf(metafile), ...[...found].map((path) => basename(path))];
}

function page(theme, [style, entry, ...chunks]) {
  const head = [
    `<script src="%BASE%assets/${theme}"></script>`,
    `<link rel="stylesheet" href="%BASE%assets/${style}" />`,
    `<script type="module" src="%BASE%assets/${entry}"></script>`,
    ...chunks.map((name) => `<link rel="modulepreload" href="%BASE%assets/${name}" />`),
  ];
  return readFileSync(join(source, "index.html"), "utf8").replace("%HEAD%", head.join("\n    "));
}

/** Bytes, compressed. */
function sizes(files, first) {
  const size = (name) => gzipSync(readFileSync(join(output, name))).length;
  const sum = (names) => names.reduce((total, name) => total + size(name), 0);
  const firstLoad = sum(first);
  const total = sum(files.filter((name) => name.startsWith("assets/")));
  return { firstLoad, total };
}

/** @throws Error when the console is larger than it may be */
function requireSmall({ firstLoad, total }) {
  if (firstLoad > FIRST_LOAD_LIMIT) throw new Error(`the console's first load is ${firstLoad} bytes (gzip)`);
  if (total > TOTAL_LIMIT) throw new Error(`the console is ${total} bytes (gzip)`);
}

if (process.argv[1] === import.meta.filename) {
  const { firstLoad, total } = await buildConsole({ isDevelopment: process.argv.includes("--dev") });
  const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
  console.log(`dist/console: first load ${kib(firstLoad)}, all ${kib(total)} (gzip)`);
}
