// Builds the package prism-client from src/client: one file of JavaScript for browsers and Node,
// one of types, and its package.json. Usage: node scripts/client-package.mjs [folder]; by default
// dist/prism-client. build.mjs calls it.
import "./node-version.mjs";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import * as esbuild from "esbuild";
import { emitTypes } from "./module-types.mjs";

const root = join(import.meta.dirname, "..");
const OWN_IMPORTS = /^import (?:type )?\{[^}]*\} from "\.\/([\w.-]+)\.ts";$/gm;
const LISTS = /^export (?:type )?\{([^}]*)\} from "\.\/([\w.-]+)\.ts";$/gm;
/** The generated types, of which the package has those that its own types use. */
const GENERATED = "api-types.gen";
const FROM_GENERATED = /^(?:import|export) type \{([^}]*)\} from "\.\/api-types\.gen\.ts";$/gm;

export async function writeClientPackage(folder) {
  mkdirSync(folder, { recursive: true });
  const { version, license } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  await esbuild.build({
    entryPoints: [join(root, "src/client/index.ts")],
    outfile: join(folder, "index.js"),
    bundle: true,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    minify: true,
    logLevel: "warning",
  });
  writeFileSync(join(folder, "index.d.ts"), clientTypes());
  cpSync(join(root, "LICENSE"), join(folder, "LICENSE"));
  const manifest = {
    name: "prism-client",
    version,
    description: "Live streams and notifications of a Prism server, in browsers and Node",
    license,
    type: "module",
    sideEffects: false,
    exports: { ".": { types: "./index.d.ts", default: "./index.js" } },
    types: "./index.d.ts",
    engines: { node: ">=20.15" },
  };
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** All files in one; only the exports of index.ts are exported. */
function clientTypes() {
  const work = mkdtempSync(join(tmpdir(), "prism-types-"));
  try {
    emitTypes(work, "client/index", ["--types", "node", "--stripInternal"]);
    const read = (file) => readFileSync(join(work, "client", `${file}.d.ts`), "utf8");
    const lists = [...read("index").matchAll(LISTS)];
    const files = new Set();
    const add = (file) => {
      if (files.has(file)) return;
      files.add(file);
      for (const [, other] of read(file).matchAll(OWN_IMPORTS)) add(other);
    };
    for (const [, , file] of lists) add(file);
    files.delete(GENERATED);
    const sources = [...files].map(read);
    const names = [...sources, read("index")].flatMap((source) => [...source.matchAll(FROM_GENERATED)]);
    const generated = usedOf(read(GENERATED), names.map(([, list]) => list).join());
    const bodies = [...sources, generated].map((body) =>
      body
        .replace(OWN_IMPORTS, "")
        .replace(/^export (?:\{\};)?/gm, "")
        .trim(),
    );
    refuseTwice(bodies);
    const exported = lists.map(([list, names]) => `export ${list.startsWith("export type") ? "type " : ""}{${names}};`);
    return `${[...bodies, ...exported].join("\n\n")}\n`;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The declarations of these names, and of those that they use. */
function usedOf(source, names) {
  const declarations = new Map(
    source.split(/^(?=export (?:interface|type) )/m).map((text) => [/^export \w+ (\w+)/.exec(text)?.[1], text]),
  );
  const used = new Set();
  const add = (text) => {
    for (const [name] of text.replace(/\/\*\*[\s\S]*?\*\//g, "").matchAll(/\b[A-Z]\w*/g)) {
      if (used.has(name) || !declarations.has(name)) continue;
      used.add(name);
      add(declarations.get(name));
    }
  };
  add(names);
  return [...used].map((name) => declarations.get(name)).join("");
}

function refuseTwice(bodies) {
  const names = bodies.flatMap((body) => [
    ...body.matchAll(/^(?:declare )?(?:abstract )?(?:interface|type|class|const|function) (\w+)/gm),
  ]);
  const seen = new Set();
  for (const [, name] of names) {
    if (seen.has(name)) throw new Error(`two of the client's types are called ${name}`);
    seen.add(name);
  }
}

if (process.argv[1] === import.meta.filename)
  await writeClientPackage(resolve(process.argv[2] ?? join(root, "dist/prism-client")));
