// Writes from the OpenAPI document of the sources what others need of the HTTP API: its operations
// for the command line, which calls them by their ids (dist/operations.json), its types for the
// client and the console (src/client/api-types.gen.ts), what forms of the console need
// (console/forms/*.gen.ts), the document itself for servers with the usual limits
// (dist/openapi-<digest>.json), and the JSON schema of configuration files. scripts/collect.mjs and scripts/test.mjs call it.
// Usage: node scripts/operations.mjs [--if-stale]
import "./node-version.mjs";
import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { apiTypes } from "./api-types.mjs";
import { consoleForms } from "./console-forms.mjs";

const root = join(import.meta.dirname, "..");
const OUTPUT = join(root, "dist/operations.json");
/** The JSON schema of configuration files, for editors. */
const FILE_SCHEMA = join(root, "dist/prism-config.schema.json");
const TYPES = join(root, "src/client/api-types.gen.ts");
const FORMS = join(root, "console/forms");

/** A core without port, work and modules, on an empty database. */
const CORE = `
import { startCommandApp } from "./src/app/start.ts";
import { loadConfig } from "./src/config/load.ts";
import { silentLogger } from "./src/core/log.ts";
import { migrateFile } from "./src/store/sqlite/migrate.ts";
import { VERSION } from "./src/core/runtime.ts";
import { documentName } from "./src/http/api/openapi/stored.ts";
export { resources } from "./src/http/api/resource.ts";
export { operationsOf } from "./src/http/api/openapi/operation-table.ts";
export function nameOf({ parts: { core } }) {
  return documentName(core.router.mounts, VERSION, core.settings.rateLimit);
}
export function start(dataDir, key, env) {
  const loaded = loadConfig({
    flags: { dataDir },
    environment: { NODE_ENV: env, PRISM_MIN_FREE_BYTES: "0", PRISM_CONFIG_DIR: dataDir, PRISM_ENCRYPTION_KEY: key },
    workingDir: dataDir,
    configFile: undefined,
    secrets: "encryption",
  });
  migrateFile(loaded.config.databaseFile);
  const onFatal = (error) => { throw error; };
  return startCommandApp({ loaded, log: silentLogger, onFatal }, dataDir + "/command.sock");
}`;

/** Takes two seconds, so only after a change of a source. */
export async function writeIfStale() {
  if (isStale()) await writeOperations();
}

async function writeOperations() {
  const esbuild = await import("esbuild");
  mkdirSync(join(root, ".build"), { recursive: true });
  const work = mkdtempSync(join(tmpdir(), "prism-operations-"));
  const bundle = join(root, ".build", `operations-${process.pid}.mjs`);
  try {
    await esbuild.build({
      stdin: { contents: CORE, resolveDir: root, loader: "ts" },
      outfile: bundle,
      bundle: true,
      packages: "external",
      platform: "node",
      format: "esm",
      target: "node24",
      // Of the file that reads assets.
      define: { "import.meta.dirname": JSON.stringify(join(root, "src/core")) },
      logLevel: "warning",
    });
    const { nameOf, operationsOf, resources, start } = await import(pathToFileURL(bundle));
    const key = randomBytes(32).toString("hex");
    mkdirSync(dirname(OUTPUT), { recursive: true });
    for (const name of documentFiles()) rmSync(join(root, "dist", name));
    let document;
    for (const env of ["production", "development"]) {
      const app = await start(work, key, env);
      let text;
      let schema;
      try {
        text = await textOf(app.socket, "/openapi.json");
        schema = await textOf(app.socket, "/api/v1/configuration/schema");
      } finally {
        await app.stop();
      }
      writeFileSync(FILE_SCHEMA, `${JSON.stringify(JSON.parse(schema), null, 2)}\n`);
      writeFileSync(join(root, "dist", nameOf(app)), text);
      document = JSON.parse(text);
    }
    writeFileSync(OUTPUT, JSON.stringify(operationsOf(document)));
    write(TYPES, apiTypes(document));
    const forms = consoleForms(document, resources());
    for (const name of generatedForms()) if (!forms.has(name)) rmSync(join(FORMS, name));
    for (const [name, text] of forms) write(join(FORMS, name), text);
  } finally {
    rmSync(work, { recursive: true, force: true });
    if (existsSync(bundle)) rmSync(bundle);
  }
}

/** Packages made of an unchanged file are older otherwise. */
function write(path, text) {
  if (!existsSync(path) || readFileSync(path, "utf8") !== text) writeFileSync(path, text);
}

function generatedForms() {
  return readdirSync(FORMS).filter((name) => name.endsWith(".gen.ts"));
}

function textOf(socketPath, path) {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, agent: false }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part) => {
        text += part;
      });
      answer.once("error", reject).once("end", () => resolve(text));
    });
    sent.once("error", reject).end();
  });
}

/** The descriptions that a server has in place of making them (src/http/api/openapi/stored.ts). */
export function documentFiles() {
  return readdirSync(join(root, "dist")).filter((name) => /^openapi-\w+\.json$/.test(name));
}

/** Whether a source is newer than the table. */
function isStale() {
  const hasAll = existsSync(OUTPUT) && existsSync(FILE_SCHEMA) && existsSync(TYPES) && generatedForms().length > 0;
  if (!hasAll || documentFiles().length === 0) return true;
  const scripts = ["operations", "api-types", "console-forms"].map((name) => `scripts/${name}.mjs`);
  const inputs = ["src", "migrations", "package-lock.json", ...scripts];
  return inputs.some((name) => hasNewer(join(root, name), statSync(OUTPUT).mtimeMs));
}

function hasNewer(path, thanMs) {
  if (path.endsWith(".gen.ts")) return false;
  const stat = statSync(path);
  return stat.isDirectory()
    ? readdirSync(path).some((name) => hasNewer(join(path, name), thanMs))
    : stat.mtimeMs > thanMs;
}

if (process.argv[1] === import.meta.filename)
  await (process.argv.includes("--if-stale") ? writeIfStale() : writeOperations());
