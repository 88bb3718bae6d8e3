// Writes the types of the module API, `prism/module`, as one file: src/module/module-api.ts and all
// types it refers to.
// Usage: node scripts/module-types.mjs [file]; by default dist/module.d.ts. build.mjs calls it.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const root = join(import.meta.dirname, "..");
const ENTRY = "module/module-api";

/** Packages whose types the file refers to; compiling a module needs them installed. */
const PACKAGES = /^import type \{[^}]*\} from "(?:kysely|luxon)";$/gm;
const OWN_IMPORTS = /^import type \{[^}]*\} from "(\.[^"]+)\.ts";$/gm;
/** Re-exports of files that are in the bundle themselves. */
const LISTS = /^export (?:type )?(?:\{[^}]*\}|\*)(?: from "[^"]+")?;$/gm;
/** Functions are removed: types do not refer to them. */
const FUNCTIONS = /^(?:\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?export declare function .*(?:\n[ }].*)*$/gm;

export function writeModuleTypes(output) {
  const work = mkdtempSync(join(tmpdir(), "prism-types-"));
  try {
    emitTypes(work, ENTRY, ["--types", "node"]);
    const files = dependenciesOf(work, ENTRY);
    const text = withTables(bundle(files.map((file) => read(work, file))), resourceTables(work));
    mkdirSync(dirname(output), { recursive: true });
    writeFileSync(output, text);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Tables of resources: the files of their declarations add them to the interface `Schema`. */
const ADDED = /^declare module ".*store\/schema\.ts" \{\n {2}interface Schema \{\n {4}(\w+): \w+;$/m;

/** The rows of these tables, by name, as object types with all columns. */
function resourceTables(work) {
  const features = join(root, "src/features");
  const found = readdirSync(features, { recursive: true })
    .sort()
    .map((file) => ({
      file,
      table: file.endsWith(".ts") && ADDED.exec(readFileSync(join(features, file), "utf8"))?.[1],
    }))
    .filter(({ table }) => table);
  const imports = found.map(({ file }) => `import "../src/features/${file}";`);
  const constants = found.map(({ table }) => `export const ${table} = rowOf<Schema["${table}"]>();`);
  const source = `${imports.join("\n")}
import type { Schema } from "../src/store/schema.ts";
// Files of features add to its types.
import type {} from "../src/module/feature.ts";
declare function rowOf<T>(): { [K in keyof T]: T[K] };
${constants.join("\n")}
`;
  // The compiler writes inferred types in full.
  const name = `.build/resource-tables-${process.pid}`;
  const file = join(root, `${name}.ts`);
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, source);
    // What features offer each other is not in this program; the type check of the whole has it.
    emitTypes(work, name, ["--types", "node", "--noCheck"], root);
  } finally {
    rmSync(file, { force: true });
  }
  const text = read(work, name);
  return new Map(
    found.map(({ table }) => [
      table,
      text.match(new RegExp(`^export declare const ${table}: (\\{\n[^]*?^\\});`, "m"))[1],
    ]),
  );
}

function withTables(text, tables) {
  const members = [...tables].map(([table, row]) => `    ${table}: ${row.replaceAll("\n", "\n    ")};\n`);
  return text.replace(/^interface Schema extends [^{]*\{\n/m, (head) => head + members.join(""));
}

/** Writes the types of a file of src and of its imports, each into a separate file. */
export function emitTypes(outDir, entry, more, from = join(root, "src")) {
  const tsc = createRequire(import.meta.url).resolve("typescript/package.json");
  const { bin } = JSON.parse(readFileSync(tsc, "utf8"));
  const flags = [
    ...[
      "--ignoreConfig",
      "--declaration",
      "--emitDeclarationOnly",
      "--strict",
      "--skipLibCheck",
      "--exactOptionalPropertyTypes",
    ],
    ...[
      "--verbatimModuleSyntax",
      "--allowImportingTsExtensions",
      "--module",
      "nodenext",
      "--moduleResolution",
      "nodenext",
    ],
    ...["--target", "es2022", "--lib", "es2023", "--rootDir", from, "--outDir", outDir, ...more],
  ];
  const args = [join(dirname(tsc), bin.tsc), join(from, `${entry}.ts`), ...flags];
  execFileSync(process.execPath, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
}

/** Dependencies first, the entry last. */
function dependenciesOf(work, file, found = []) {
  if (found.includes(file)) return found;
  for (const [, specifier] of read(work, file).matchAll(OWN_IMPORTS))
    dependenciesOf(work, join(dirname(file), specifier), found);
  if (!found.includes(file)) found.push(file);
  return found;
}

/** Only the entry's own exports are exported, by the names it gives them: a list of exports hides the rest. */
function bundle(texts) {
  const entry = texts.at(-1);
  const packages = [...new Set(texts.flatMap((text) => text.match(PACKAGES) ?? []))];
  const bodies = texts.map((text) => text.replace(PACKAGES, "").replace(OWN_IMPORTS, "").replace(FUNCTIONS, "").trim());
  const hidden = bodies.slice(0, -1).map((body) => body.replace(LISTS, "").replace(/^export /gm, ""));
  const names = bodies.flatMap((body) => [
    ...body.matchAll(/^(?:export )?(?:declare )?(?:interface|type|const|function) (\w+)/gm),
  ]);
  const seen = new Set();
  for (const [, name] of names) {
    if (seen.has(name)) throw new Error(`two of the types for modules are called ${name}`);
    seen.add(name);
  }
  const head = entry.match(/^\/\*\*[\s\S]*?\*\//)?.[0] ?? "";
  const own = bodies.at(-1).replace(head, "").trim();
  const text = `${[head, packages.join("\n"), own, ...hidden].join("\n\n")}\n`;
  const renamed = [...entry.matchAll(/\b(\w+) as (\w+),/g)];
  return renamed.reduce(
    (all, [given, from, to]) => all.replace(given, `${to},`).replaceAll(new RegExp(`\\b${from}\\b`, "g"), to),
    text,
  );
}

function read(work, file) {
  return readFileSync(join(work, `${file}.d.ts`), "utf8");
}

if (process.argv[1] === import.meta.filename)
  writeModuleTypes(resolve(process.argv[2] ?? join(root, "dist/module.d.ts")));
