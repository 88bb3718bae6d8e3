// The way imports may point: bin -> cli -> app -> modules -> services -> pipeline -> {http, realtime, jobs, rules, store} -> {config, base}.
// Also: no module reaches into another module, no cycles, and SQL text is never built from parts.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const root = join(import.meta.dirname, "..");
const RANK = {
  base: 0,
  client: 0,
  config: 1,
  rules: 2,
  store: 2,
  http: 3,
  jobs: 3,
  realtime: 4,
  pipeline: 5,
  services: 6,
  modules: 7,
  app: 8,
  cli: 9,
  bin: 10,
};
/** Files of src itself. The worker is started by name, never imported; the generated list of modules belongs to the composition root. */
const ROOT_FILES = { "src/worker.ts": "app", "src/modules/collected.gen.ts": "app" };
const EXCEPTIONS = new Set(["src/base/runtime.ts -> src/worker.ts"]);

const files = ["src", "bin"].flatMap((folder) => find(join(root, folder))).map((path) => relative(root, path));
const imports = new Map(files.map((file) => [file, importsOf(file)]));
const valueImports = new Map(files.map((file) => [file, importsOf(file, true)]));
const problems = [...imports].flatMap(([file, targets]) => targets.flatMap((target) => check(file, target)));
problems.push(...cycles(), ...files.flatMap(builtSql));
if (problems.length > 0) {
  console.error(problems.join("\n"));
  process.exit(1);
}
console.log(`${files.length} files import one way`);

function check(from, to) {
  const [left, right] = [layerOf(from), layerOf(to)];
  if (EXCEPTIONS.has(`${from} -> ${to}`)) return [];
  if (left === right) {
    const [leftModule, rightModule] = [from, to].map((path) => path.split("/")[2]);
    return left === "modules" && leftModule !== rightModule ? [`${from} reaches into another module: ${to}`] : [];
  }
  return RANK[left] > RANK[right] ? [] : [`${from} (${left}) must not import ${to} (${right})`];
}

function layerOf(file) {
  const layer = ROOT_FILES[file] ?? (file.startsWith("bin/") ? "bin" : file.split("/")[1]);
  if (!(layer in RANK)) throw new Error(`${file} stands in no layer`);
  return layer;
}

/** Relative imports, types included: a type is a dependency too. For cycles only those count that exist when the program runs. */
function importsOf(file, valuesOnly = false) {
  const source = readFileSync(join(root, file), "utf8");
  const text = valuesOnly ? source.replace(/(?:import|export) type [^;]*;/g, "") : source;
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g)].map((match) => match[1]);
  return specifiers
    .map((specifier) => relative(root, join(root, dirname(file), specifier)))
    .filter((target) => target.startsWith("src/") && !target.endsWith(".gen.ts") && exists(target));
}

function cycles() {
  const done = new Set();
  const found = [];
  const visit = (file, path) => {
    if (path.includes(file)) {
      found.push(`cycle: ${[...path.slice(path.indexOf(file)), file].join(" -> ")}`);
      return;
    }
    if (done.has(file)) return;
    for (const target of valueImports.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return found;
}

/**
 * SQL comes from constants, with bound parameters. A template that puts something into a statement is allowed for constants of the code
 * only, which are written in capitals.
 */
function builtSql(file) {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(/(?:prepare(?:<[^(]*>)?|\.exec|pragma)\(\s*`([^`]*)`/g)]
    .filter(([, sql]) =>
      [...sql.matchAll(/\$\{([^}]*)\}/g)].some(([, part]) => !/^[A-Z][A-Z0-9_]*$/.test(part) && !isPragmaNumber(sql)),
    )
    .map(([, sql]) => `${file}: SQL built from parts: ${sql.trim().slice(0, 80)}`);
}

/** `pragma name = <number>` takes no bound parameter. */
function isPragmaNumber(sql) {
  return /^\s*[a-z_]+ = \$\{[^}]*\}\s*$/.test(sql);
}

function find(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? find(path) : entry.name.endsWith(".ts") && !entry.name.endsWith(".d.ts") ? [path] : [];
  });
}

function exists(file) {
  return statSync(join(root, file), { throwIfNoEntry: false })?.isFile() ?? false;
}
