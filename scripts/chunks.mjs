// The program as several scripts, so that a process reads and keeps only the code that it runs.
// esbuild splits it at every import(): modules that the same imports reach are one chunk. A script is a
// list of chunks, each a function that src/loader.cjs calls once.
import { Script } from "node:vm";
import * as esbuild from "esbuild";

const PARAMETERS = "$load,$late,require,__filename,__dirname";
/** As esbuild writes it, anywhere in a chunk: `import a,{b as c}from"./d.js";`. */
const IMPORT =
  /(?<![\w$.])import ?(?:([\w$]+),?)?(?:\*as ([\w$]+))?(?:\{([^{}]*)\})?(?: ?from)?"(\.\/[\w.-]+|node:[\w/]+)";/g;
const LATE_IMPORT = /\bimport\("(\.\/[^"]+|node:[^"]+)"\)/g;
/** A late import that is needed at once (`latePatterns` in build.mjs). */
const NEEDED_NOW = /\$now\(\$late\(("[^"]+")\)\)/g;
const EXPORTS = /export\{([^}]*)\};\s*$/;
/** A CommonJS package that is imported late. */
const EXPORTED_PACKAGE = /export default ([\w$]+\(\));\s*$/;

/**
 * `together` has the entries that each script begins with; all that they import is in it, or in the
 * first one. Every other chunk is one script, with a name that begins with `prefix`. @returns the
 * text of each script by its name, and the files in them
 */
export async function buildScripts(options, { code, resolveDir, together, prefix = "" }) {
  const { outputFiles, metafile } = await esbuild.build({
    ...options,
    stdin: { contents: code, resolveDir, loader: "ts" },
    format: "esm",
    splitting: true,
    outdir: ".",
    write: false,
  });
  const texts = new Map(outputFiles.map(({ path, text }) => [fileName(path), text]));
  const chunks = new Map(Object.entries(metafile.outputs).map(([path, output]) => [fileName(path), output]));
  refuseLateValues(metafile, chunks);
  const places = placesOf(chunks, together, prefix);
  const scripts = {};
  for (const [name, { script, index }] of places) {
    scripts[script] ??= [];
    scripts[script][index] = linked(texts.get(name), (other) => {
      const place = places.get(fileName(other));
      return `${place.script}/${place.index}`;
    });
  }
  return {
    scripts: Object.fromEntries(Object.entries(scripts).map(([name, bodies]) => [name, scriptOf(name, bodies)])),
    inputs: Object.keys(metafile.inputs),
  };
}

/**
 * What two scripts need is in the first one, which every process reads. @returns the script and the
 * number in it for each chunk; the first entry of a script is its first chunk
 */
function placesOf(chunks, together, prefix) {
  const places = new Map();
  const sizes = {};
  const place = (name, script) => {
    sizes[script] ??= 0;
    if (!places.has(name)) places.set(name, { script, index: sizes[script]++ });
  };
  const reached = Object.entries(together).map(([script, entries]) => ({
    script,
    names: reachedFrom(
      chunks,
      entries.map((entry) => entryChunk(chunks, entry)),
    ),
  }));
  for (const { script, names } of reached)
    for (const name of names) {
      const isShared = reached.filter((each) => each.names.has(name)).length > 1;
      place(name, isShared ? reached[0].script : script);
    }
  for (const name of chunks.keys()) place(name, `${prefix}${name.slice(0, -".js".length)}`);
  return places;
}

function entryChunk(chunks, entry) {
  const [name] = [...chunks].find(([, { entryPoint }]) => entryPoint === entry) ?? [];
  if (name === undefined) throw new Error(`${entry} is not imported late`);
  return name;
}

/** @returns the chunks and all that they import, each before its imports */
function reachedFrom(chunks, names, found = new Set()) {
  for (const name of names) {
    if (found.has(name)) continue;
    found.add(name);
    reachedFrom(chunks, importsOf(chunks.get(name)), found);
  }
  return found;
}

function importsOf({ imports }) {
  return imports
    .filter(({ kind, external }) => kind === "import-statement" && !external)
    .map(({ path }) => fileName(path));
}

/**
 * A chunk gets the values that others export when it begins, as constants. That needs chunks without
 * cycles, and packages that are not evaluated at their first use.
 */
function refuseLateValues({ inputs }, chunks) {
  for (const [file, { imports }] of Object.entries(inputs))
    for (const { kind, path } of imports)
      if (kind === "require-call" && inputs[path]?.format === "esm")
        throw new Error(`${file} requires the module ${path}`);
  const done = new Set();
  const visit = (name, above) => {
    if (above.includes(name)) throw new Error(`chunks import each other: ${[...above, name].join(", ")}`);
    if (done.has(name)) return;
    for (const other of importsOf(chunks.get(name))) visit(other, [...above, name]);
    done.add(name);
  };
  for (const name of chunks.keys()) visit(name, []);
}

/** The body of a chunk's function: imports are calls of the loader, exports are what it returns. */
function linked(text, placeOf) {
  const heads = [];
  const body = text
    .replace(IMPORT, (_, whole, namespace, names, path) => {
      const value = path.startsWith("./") ? `$load("${placeOf(path)}")` : `require("${path}")`;
      heads.push(...[whole, namespace].filter(Boolean).map((name) => `const ${name}=${value};`));
      if (names !== undefined) heads.push(`const{${names.replaceAll(" as ", ":")}}=${value};`);
      else if (!whole && !namespace) heads.push(`${value};`);
      return "";
    })
    .replace(LATE_IMPORT, (_, path) => `$late("${path.startsWith("./") ? placeOf(path) : path}")`)
    .replace(NEEDED_NOW, "$load($1)")
    .replace(EXPORTS, (_, names) => `return{${names.split(",").map(exportedAs).join(",")}}`)
    .replace(EXPORTED_PACKAGE, (_, call) => `{const $all=${call};return{...$all,default:$all}}`);
  return `${heads.join("")}${body}`;
}

function exportedAs(name) {
  const [local, exported = local] = name.split(" as ");
  return `${exported}:${local}`;
}

function scriptOf(filename, bodies) {
  const list = bodies.map((body) => `function(${PARAMETERS}){"use strict";${body}\n}`);
  const text = toAscii(`[${list.join(",\n")}]`);
  // An import or export that was not found would be a syntax error in a function.
  new Script(text, { filename });
  return text;
}

/**
 * Escapes what esbuild leaves as it is in regular expressions: V8 keeps a script with one character
 * above U+00FF with two bytes for each of its characters.
 */
function toAscii(text) {
  return text.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function fileName(path) {
  return path.replaceAll("\\", "/").split("/").at(-1);
}
