// One executable: esbuild bundles -> SEA blob with addons and assets (packed by @yao-pkg/pkg) ->
// dist/prism
import "./scripts/node-version.mjs";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import * as esbuild from "esbuild";
import { adaptAddon, addonFile } from "./scripts/adapt-uws.mjs";
import { buildConsole } from "./scripts/build-console.mjs";
import { buildScripts } from "./scripts/chunks.mjs";
import { writeClientPackage } from "./scripts/client-package.mjs";
import { manualFiles } from "./scripts/manual.mjs";
import { writeModuleTypes } from "./scripts/module-types.mjs";
import { documentFiles } from "./scripts/operations.mjs";
import { newestGlibc, newestOf } from "./scripts/package/glibc.mjs";

const root = import.meta.dirname;
const work = join(root, ".build");
const output = join(root, "dist", "prism");
const require = createRequire(import.meta.url);
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

const ASSETS = {
  "demo.json": "examples/demo.json",
  "operations.json": "dist/operations.json",
  "web/docs.html": "src/web/docs.html",
  "web/docs.js": "src/web/docs.js",
  "web/manual.css": "src/web/manual.css",
  "web/prism-client.js": "dist/prism-client/index.js",
  "web/swagger-ui.css": "node_modules/swagger-ui-dist/swagger-ui.css",
  "web/swagger-ui-bundle.js": "node_modules/swagger-ui-dist/swagger-ui-bundle.js",
  ...Object.fromEntries([...docsFiles(), ...serviceFiles()].map((file) => [file, file])),
};

/**
 * Code that is read together. The main script is in every process; the server has what must work when
 * the disk is full. Other code that is imported late is read by itself.
 */
const TOGETHER = {
  main: ["<stdin>"],
  server: [
    "src/app/start.ts",
    "src/features/health/emergency/emergency.ts",
    "src/features/health/emergency/message.ts",
    "src/features/health/emergency/ways.ts",
  ],
  commands: ["src/cli/program.ts"],
};

/** The pages of /docs with what the search reads. */
function manual() {
  return Object.fromEntries(manualFiles().map((name) => [`manual/${name}`, `dist/manual/${name}`]));
}

/** The console with the list of its files. */
function consoleFiles() {
  const names = [...JSON.parse(readFileSync(join(root, "dist/console/files.json"), "utf8")), "files.json"];
  return Object.fromEntries(names.map((name) => [`console/${name}`, `dist/console/${name}`]));
}

/** The pages of `prism docs` and the images of /docs, by their names in the repository. */
function docsFiles() {
  const pages = readdirSync(join(root, "docs"), { recursive: true }).filter((name) => name.endsWith(".md"));
  const images = readdirSync(join(root, "docs/images")).map((name) => `images/${name}`);
  const others = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"];
  return [...others, ...[...pages, ...images].map((name) => `docs/${name.replaceAll("\\", "/")}`)];
}

/** The files that `prism service install` installs. */
function serviceFiles() {
  const entries = readdirSync(join(root, "deploy/systemd"), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)).replaceAll("\\", "/"));
}

/** Replaces packages that search for their addon on disk, and missing optional packages. */
const packedNatives = {
  name: "packed-natives",
  setup(build) {
    const contents = {
      "./binding": 'exports.getBinding = () => globalThis.__packed.native("better_sqlite3.node");',
      "node-gyp-build": 'module.exports = () => globalThis.__packed.native("bcrypt.node");',
      "uWebSockets.js": 'module.exports = globalThis.__packed.native("uws.node");',
      // Optional packages of ws and debug: loading them with the executable's own require would
      // make Node print a warning.
      bufferutil: 'throw new Error("absent");',
      "utf-8-validate": 'throw new Error("absent");',
      "supports-color": 'throw new Error("absent");',
      // node-fetch uses it only without a URL in Node: a twelfth of the bundle.
      "whatwg-url": "module.exports = { URL };",
    };
    const filter = /^(uWebSockets\.js|node-gyp-build|bufferutil|utf-8-validate|supports-color|whatwg-url)$/;
    build.onResolve({ filter }, ({ path }) => ({ path, namespace: "packed" }));
    build.onResolve({ filter: /^\.\/binding$/ }, ({ path, importer }) =>
      /[\\/]better-sqlite3[\\/]/.test(importer) ? { path, namespace: "packed" } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: "packed" }, ({ path }) => ({ contents: contents[path] }));
  },
};

/** Modules of Node that packages ask for at the start and use in rare cases: they are read then. */
const lateBuiltins = {
  name: "late-builtins",
  setup(build) {
    const contents = {
      assert: 'module.exports = (...given) => process.getBuiltinModule("node:assert")(...given);',
      "node:child_process":
        'exports.spawn = (...given) => process.getBuiltinModule("node:child_process").spawn(...given);',
    };
    build.onResolve({ filter: /^(assert|node:child_process)$/ }, ({ path, importer }) =>
      /[\\/](?:commander|sonic-boom|thread-stream)[\\/]/.test(importer)
        ? { path, namespace: "late-builtin" }
        : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: "late-builtin" }, ({ path }) => ({ contents: contents[path] }));
  },
};

/**
 * valibot gives each schema a member for other libraries (Standard Schema). Prism asks for it in
 * schemas of modules only, which bring their own valibot.
 */
const plainSchemas = {
  name: "plain-schemas",
  setup(build) {
    build.onLoad({ filter: /[\\/]valibot[\\/]dist[\\/]index\.mjs$/ }, ({ path }) => {
      const text = readFileSync(path, "utf8");
      const contents = text.replace(/(function _standardSchema\(schema\) \{)[\s\S]*?(\n\treturn schema;\n\})/, "$1$2");
      if (contents === text) throw new Error("valibot: _standardSchema is written in another way");
      return { contents };
    });
  },
};

/**
 * Passkeys with an attestation certificate are refused (passkeys/manage.ts), and what the package needs for
 * certificates is three quarters of it.
 */
const withoutCertificates = {
  name: "without-certificates",
  setup(build) {
    const files =
      /[\\/]@simplewebauthn[\\/]server[\\/]esm[\\/].*[\\/](?:validateCertificatePath|isCertRevoked|getCertificateInfo|convertX509PublicKeyToCOSE|mapX509SignatureAlgToCOSEAlg|validateExtFIDOGenCEAAGUID|verifyAttestation(?:AndroidKey|AndroidSafetyNet|Apple|FIDOU2F|TPM)|metadataService|verifyMDSBlob|verifyJWS)\.js$/;
    build.onLoad({ filter: files }, ({ path }) => {
      const names = [...readFileSync(path, "utf8").matchAll(/^export (?:async )?(?:function|const|class) (\w+)/gm)];
      if (names.length === 0) throw new Error(`${path} exports nothing that is known`);
      const refused = '{ throw new Error("certificates are not supported"); }';
      return { contents: names.map(([, name]) => `export function ${name}() ${refused}`).join("\n") };
    });
  },
};

/**
 * The package for patterns is read when the first one is compiled, at once: it is a twelfth of a
 * server's code, and most rules and matchers have none.
 */
const latePatterns = {
  name: "late-patterns",
  setup(build) {
    build.onResolve({ filter: /^re2js$/ }, ({ path, kind }) =>
      kind === "dynamic-import" ? undefined : { path, namespace: "late" },
    );
    const contents = `let all;
const read = () => (all ??= $now(import("re2js")));
export const RE2JS = { compile: (...given) => read().RE2JS.compile(...given) };
export class RE2JSException {
  static [Symbol.hasInstance](error) { return all !== undefined && error instanceof all.RE2JSException; }
}`;
    build.onLoad({ filter: /.*/, namespace: "late" }, () => ({ contents, resolveDir: root }));
  },
};

const startedAt = Date.now();
mkdirSync(work, { recursive: true });
// Executables of other commits (bench/lib/build-of.ts) and recordings of them (scripts/surface/).
const KEPT = ["against", "surface"];
for (const name of readdirSync(work))
  if (!KEPT.includes(name)) rmSync(join(work, name), { recursive: true, force: true });
mkdirSync(dirname(output), { recursive: true });
execFileSync(process.execPath, [join(root, "scripts/collect.mjs")], { stdio: "inherit" });
writeModuleTypes(join(root, "dist/module.d.ts"));
await writeClientPackage(join(root, "dist/prism-client"));
const { firstLoad, total, inputs } = await buildConsole();
const natives = findNatives();
const scripts = await bundle(natives);
inputs.push(...scripts.inputs);
const bundledAt = Date.now();
writeParts(inputs);
const assets = {
  ...natives,
  ...Object.fromEntries(documentFiles().map((name) => [name, join(root, "dist", name)])),
  ...Object.fromEntries(
    Object.entries({ ...ASSETS, ...manual(), ...consoleFiles() }).map(([name, file]) => [name, join(root, file)]),
  ),
  ...Object.fromEntries(
    ["about.json", "start.js", ...scripts.names.flatMap((name) => [`${name}.js`, `${name}.js.cache`])].map((name) => [
      name,
      join(work, name),
    ]),
  ),
};
// For runs of the bundle outside the executable: the one below, and those of tests.
writeFileSync(join(work, "assets.json"), JSON.stringify(assets));
execFileSync(process.execPath, [join(root, "scripts/code-cache.mjs"), work], { stdio: "inherit" });
await pack(assets);
report();

/**
 * The addons for exactly this platform and Node. They are loaded once, so that the build fails on a
 * machine where they do not run.
 */
function findNatives() {
  const abi = process.versions.modules;
  adaptAddon();
  const files = {
    "uws.node": addonFile(),
    "bcrypt.node": join(root, `node_modules/bcrypt/prebuilds/${process.platform}-${process.arch}/bcrypt.${libc()}node`),
    "better_sqlite3.node": join(root, `node_modules/better-sqlite3/prebuilds/${process.platform}-${process.arch}.node`),
  };
  for (const [name, file] of Object.entries(files)) {
    const here = `Node ${process.versions.node} on ${process.platform}-${process.arch}`;
    const remedy = `Build with npm run build; this is ${here}.`;
    if (!existsSync(file)) fail(`${name}: there is no addon for this platform and Node (ABI ${abi}).\n${remedy}`);
    try {
      process.dlopen({ exports: {} }, file);
    } catch (error) {
      fail(`${name} does not load here: ${error.message}\n${remedy}`);
    }
  }
  return files;
}

/** Prebuilt files for Linux are named by their C library. */
function libc() {
  if (process.platform !== "linux") return "";
  return process.report.getReport().header.glibcVersionRuntime ? "glibc." : "musl.";
}

/** @returns the scripts by their names, and the files in them */
async function bundle(natives) {
  const digest = Object.fromEntries(Object.entries(natives).map(([name, file]) => [name, sha256(readFileSync(file))]));
  const common = {
    bundle: true,
    platform: "node",
    target: "node24",
    minify: true,
    legalComments: "none",
    logLevel: "warning",
    metafile: true,
    plugins: [packedNatives, lateBuiltins, plainSchemas, withoutCertificates, latePatterns],
    // Packages require it, and the chunks take no module that is required.
    alias: { tslib: "tslib/tslib.js" },
    define: {
      "import.meta.dirname": "__dirname",
      "import.meta.url": "__filename",
      "import.meta.resolve": "undefined",
      DIGEST: JSON.stringify(digest),
      VERSION: JSON.stringify(version),
    },
  };
  const start = await esbuild.build({
    ...common,
    format: "iife",
    entryPoints: [join(root, "src/prelude.cjs")],
    outfile: join(work, "start.js"),
  });
  // A host that runs several commands waits for `ended` (test/cli/command-host.ts).
  const main = await buildScripts(common, {
    code: 'import { main } from "./src/cli/main.ts"; globalThis.__packed.ended = main(process.argv);',
    resolveDir: root,
    together: TOGETHER,
  });
  const worker = await buildScripts(common, {
    code: 'import "./src/worker.ts";',
    resolveDir: root,
    together: { worker: ["<stdin>"] },
    prefix: "worker-",
  });
  const scripts = { ...main.scripts, ...worker.scripts };
  for (const [name, text] of Object.entries(scripts)) writeFileSync(join(work, `${name}.js`), text);
  return {
    names: Object.keys(scripts),
    inputs: [...Object.keys(start.metafile.inputs), ...worker.inputs, ...main.inputs],
  };
}

/**
 * Writes about.json, which `prism version --all` prints, and packages.json, the paths of all packages in
 * the executable for scripts/package.mjs.
 */
function writeParts(files) {
  const database = new (require("better-sqlite3"))(":memory:");
  const addon = join(root, "node_modules/uWebSockets.js");
  const binaries = process.platform === "linux" ? [process.execPath, ...Object.values(natives)] : [];
  const about = {
    // Set by scripts/release.mjs, which builds in a copy without a repository; empty for changed sources.
    commit: process.env.PRISM_COMMIT || null,
    sqlite: database.prepare("SELECT sqlite_version()").pluck().get(),
    uWebSockets: require(join(addon, "package.json")).version,
    glibc: newestOf(binaries.map((file) => newestGlibc(readFileSync(file)))),
    platform: `${process.platform}-${process.arch}`,
  };
  database.close();
  writeFileSync(join(work, "about.json"), JSON.stringify(about));
  const assets = Object.values({ ...ASSETS, ...natives });
  // Scripts copy parts of them into the sources (scripts/collect.mjs, scripts/console-logos.mjs).
  const data = ["cldr-core", "simple-icons"].map((name) => join(root, "node_modules", name, "package.json"));
  const packages = [...files, ...assets, join(addon, "package.json"), ...data]
    .map(packageOf)
    .filter((path) => path !== null);
  writeFileSync(join(work, "packages.json"), JSON.stringify([...new Set(packages)].sort()));
}

/** @returns such as node_modules/a/node_modules/@b/c; null for a file that is in no package */
function packageOf(file) {
  return /node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+/.exec(file.replaceAll("\\", "/"))?.[0] ?? null;
}

/**
 * Packs the Node that runs this build: no download, and the same result on a machine without
 * internet. pkg's command line cannot do that; its SEA function can. It is not a documented
 * interface, so its version is pinned.
 */
async function pack(assets) {
  const temporary = `${output}.tmp`;
  rmSync(temporary, { force: true });
  const sea = require("@yao-pkg/pkg/lib-es5/sea.js").default;
  // pkg's own folder.
  process.env.TMPDIR = work;
  const platform = { darwin: "macos", win32: "win" }[process.platform] ?? "linux";
  await sea(join(work, "start.js"), {
    targets: [{ nodeRange: `node${process.versions.node}`, platform, arch: process.arch, output: temporary }],
    useLocalNode: true,
    signature: true,
    seaConfig: {
      disableExperimentalSEAWarning: true,
      useSnapshot: false,
      useCodeCache: true,
      assets,
      // Relative to pkg's own folder .build/pkg-sea-<x>, so that the executable contains no path of
      // this machine.
      main: "../start.js",
    },
  });
  // pkg ignores a failed injection and leaves a copy of plain Node, so the executable is run to
  // check its version.
  const answer = execFileSync(temporary, ["--version"], { encoding: "utf8" }).trim();
  if (answer !== version) fail(`the packed executable answered ${answer}, not ${version}`);
  renameSync(temporary, output);
}

function report() {
  const size = (statSync(output).size / 1_048_576).toFixed(1);
  writeFileSync(join(work, "built"), `${version}\n`);
  console.log(
    `dist/prism ${size} MiB (bundled in ${bundledAt - startedAt} ms, packed in ${Date.now() - bundledAt} ms)`,
  );
  console.log(`dist/console: first load ${firstLoad} bytes, all ${total} (gzip)`);
}

function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
