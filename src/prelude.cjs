/*
 * Runs first in the packed executable, in the main thread and in every worker: gives the bundle its assets and native addons.
 * An addon cannot be loaded from memory, so it is unpacked once, by its content's hash, into a private cache folder.
 * DIGEST is put in by build.mjs.
 */
const sea = require("node:sea");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const vm = require("node:vm");
const worker = require("node:worker_threads");

const loaded = new Map();

function native(name) {
  const known = loaded.get(name);
  if (known) return known.exports;
  const problems = [];
  for (const base of cacheFolders()) {
    try {
      const module = { exports: {} };
      process.dlopen(module, unpack(name, path.join(base, "prism-native", DIGEST[name].slice(0, 16))));
      loaded.set(name, module);
      return module.exports;
    } catch (error) {
      problems.push(`${base}: ${error.message}`);
    }
  }
  const message = `cannot unpack ${name}; set PRISM_CACHE_DIR to a folder that can be written and executed from\n  ${problems.join("\n  ")}`;
  if (!worker.isMainThread) throw new Error(message);
  process.stderr.write(`prism: ${message}\n`);
  process.exit(4);
}

function cacheFolders() {
  const own = process.getuid ? process.getuid() : 0;
  return [
    process.env.PRISM_CACHE_DIR,
    process.env.XDG_CACHE_HOME,
    process.env.HOME && path.join(process.env.HOME, ".cache"),
    path.join(os.tmpdir(), `prism-${own}`),
  ].filter((folder) => folder && path.isAbsolute(folder));
}

function unpack(name, folder) {
  const file = path.join(folder, name);
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  // A folder that somebody else could have prepared must not decide what this process runs. In our own, named by the content's hash, a file
  // is whole when it is there: comparing it would read 9 MB into memory at every start.
  if (process.getuid && fs.statSync(folder).uid !== process.getuid())
    throw new Error(`${folder} belongs to another user`);
  if (fs.existsSync(file)) return file;
  // Written aside and renamed: several processes may start at once.
  const aside = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  fs.writeFileSync(aside, Buffer.from(sea.getRawAsset(name)), { mode: 0o700 });
  fs.renameSync(aside, file);
  return file;
}

const importFile = vm.compileFunction("return import(url)", ["url"], {
  importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
});

// Node 20 prints a notice about the loader constant; it is nothing that an operator could do anything about.
const { emitWarning } = process;
process.emitWarning = function (warning, ...rest) {
  if (String(warning?.message ?? warning).startsWith("vm.USE_MAIN_CONTEXT_DEFAULT_LOADER")) return;
  emitWarning.call(this, warning, ...rest);
};

globalThis.__packed = { asset: (name) => Buffer.from(sea.getRawAsset(name)), native, importFile };
