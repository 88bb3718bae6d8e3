// Runs the scripts in .build as the executable does, with a server and some commands, and writes the
// functions that V8 compiled meanwhile beside each script, such as main.js.cache. With them
// dist/prism starts without compiling. V8 ignores them under another version or other flags.
// Usage: node scripts/code-cache.mjs <folder of the scripts>
import "./node-version.mjs";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import vm, { compileFunction } from "node:vm";

const COMMANDS = [
  ["migrate"],
  ["user", "list"],
  ["serve", "--port", "0"],
  ["status"],
  ["user", "list", "--json"],
  ["send", "start.warm", "--json"],
  // The build has made the document of this server (src/http/api/openapi/stored.ts).
  ["api", "getOpenApiDocument"],
  // It ends its process after a second.
  ["--help"],
];

const require = createRequire(import.meta.url);
const work = resolve(process.argv[2]);
const folder = mkdtempSync(join(tmpdir(), "prism-cache-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
process.chdir(folder);
for (const name of Object.keys(process.env)) if (name.startsWith("PRISM_")) delete process.env[name];
Object.assign(process.env, {
  PRISM_CACHE_DIR: folder,
  PRISM_CONFIG_DIR: folder,
  PRISM_STORE_WRITER: "thread",
  PRISM_MIN_FREE_BYTES: "0",
  PRISM_LOG_LEVEL: "error",
});
process.stdout.write = () => true;
// A start of this server would print its address and a sign-in link, which soon do not work.
const notes = [];
const writeError = process.stderr.write.bind(process.stderr);
process.stderr.write = (text) => notes.push(text) > 0;
const scripts = emulate(require, work, emulate.toString());
const start = compileFunction(readFileSync(join(work, "start.js"), "utf8"), ["require"]);
for (const command of COMMANDS) await run(command);
if ([...scripts.keys()].some((name) => name.startsWith("document-"))) {
  writeError("the server makes the OpenAPI document itself: dist/openapi-*.json are of other routes\n");
  process.exit(1);
}
const assets = JSON.parse(readFileSync(join(work, "assets.json"), "utf8"));
const caches = Object.keys(assets).filter((name) => name.endsWith(".cache") && name !== "worker.js.cache");
for (const name of caches) {
  const script = name.slice(0, -".cache".length);
  // Those that no command needed, too; those of other threads are compiled only.
  if (script.startsWith("worker-")) compile(script);
  else __packed.load(script.replace(/\.js$/, "/0"));
}
for (const name of caches) {
  writeFileSync(`${assets[name]}.tmp`, scripts.get(name.slice(0, -".cache".length)).createCachedData());
  renameSync(`${assets[name]}.tmp`, assets[name]);
}
process.exit();

function compile(script) {
  new vm.Script(readFileSync(assets[script], "latin1"), { filename: `prism/${script}` });
}

async function run(command) {
  process.argv = [process.execPath, process.execPath, ...command];
  start(require);
  await __packed.ended;
  if (process.exitCode) {
    writeError(`${notes.join("")}prism ${command.join(" ")} ended with ${process.exitCode}\n`);
    process.exit(1);
  }
}

/**
 * Gives this thread the assets of the executable, and its threads the same. @returns the scripts
 * that it compiles, each once, by their names. Evaluated in each thread from its text.
 */
function emulate(require, work, text) {
  const fs = require("node:fs");
  const vm = require("node:vm");
  const { basename, join } = require("node:path");
  const { isMainThread, workerData } = require("node:worker_threads");
  const files = JSON.parse(fs.readFileSync(join(work, "assets.json"), "utf8"));
  const start = `const made = (${text})(require, ${JSON.stringify(work)}, ${JSON.stringify(text)});`;
  const scripts = new Map();
  const sea = {
    getRawAsset(name) {
      if (name.endsWith(".cache")) return Buffer.alloc(0);
      const bytes = fs.readFileSync(files[name]);
      return name === "start.js" ? Buffer.concat([Buffer.from(start), bytes]) : bytes;
    },
  };
  const module = require("node:module");
  const load = module._load;
  module._load = (name, ...rest) => (name === "node:sea" ? sea : load(name, ...rest));
  const Script = vm.Script;
  vm.Script = function compile(source, { filename }) {
    const name = basename(filename);
    if (!scripts.has(name)) scripts.set(name, new Script(source, { filename }));
    return scripts.get(name);
  };
  // The writer uses most of what threads share.
  if (!isMainThread && workerData.role === "writer")
    workerData.data.port.on("message", () => {
      const path = join(work, "worker.js.cache");
      fs.writeFileSync(`${path}.tmp`, scripts.get("worker.js").createCachedData());
      fs.renameSync(`${path}.tmp`, path);
    });
  return scripts;
}
