/*
 * Loads the program in the packed executable, in the main thread and in every worker: gives it its
 * assets and native addons, and reads its scripts when they are needed. An addon cannot be loaded
 * from memory, so it is unpacked once, by its content's hash, into a private cache folder. Before it
 * is loaded, every folder above it must be safe from other users, and the file must have the hash
 * that the build has noted, or the stamp of a file that had it.
 * DIGEST is put in by build.mjs.
 */
const crypto = require("node:crypto");
const sea = require("node:sea");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const vm = require("node:vm");
const worker = require("node:worker_threads");
const { unsafeReason, findUnsafeParent } = require("./features/plugins/directory-safety.ts");

// Until the command line sets its handlers: by default Node opens its debugger at this signal.
if (worker.isMainThread) process.on("SIGUSR1", () => {});

const loaded = new Map();

function native(name) {
  const known = loaded.get(name);
  if (known) return known.exports;
  const problems = [];
  const path = `prism ${name}`;
  // Of another file the thread would get a second copy: two copies of SQLite in one process drop each
  // other's locks. A library that is loaded is found by its path, also when the file is gone.
  const shared = worker.getEnvironmentData(path);
  const ways = [...cacheFolders().map((base) => fromCache(base)), fromTemporary];
  for (const load of shared === undefined ? ways : [(_, open) => open(shared)]) {
    try {
      const module = { exports: {} };
      load(name, (file) => {
        process.dlopen(module, file);
        worker.setEnvironmentData(path, file);
      });
      loaded.set(name, module);
      return module.exports;
    } catch (error) {
      problems.push(error.message);
    }
  }
  const message = `${reasonOf(name, problems)}\n  ${problems.join("\n  ")}`;
  if (!worker.isMainThread) throw new Error(message);
  process.stderr.write(`prism: ${message}\n`);
  process.exit(4);
}

function reasonOf(name, problems) {
  if (problems.some((problem) => /version `GLIBC_[\d.]+' not found/.test(problem))) {
    const { glibc } = JSON.parse(asset("about.json"));
    const { glibcVersionRuntime } = process.report.getReport().header;
    return `this build needs glibc ${glibc} or newer, and this system has ${glibcVersionRuntime}`;
  }
  return `cannot unpack ${name}; set PRISM_CACHE_DIR to a folder that can be written \
and executed from, and that only you and root can write`;
}

function cacheFolders() {
  return [
    process.env.PRISM_CACHE_DIR,
    process.env.XDG_CACHE_HOME,
    process.env.HOME && path.join(process.env.HOME, ".cache"),
  ].filter((folder) => folder && path.isAbsolute(folder));
}

/** Loads from a folder that stays, and unpacks into it what it does not hold unchanged. */
function fromCache(base) {
  return (name, open) => {
    const folder = ownFolder(path.join(base, "prism-native", DIGEST[name].slice(0, 16)));
    const file = path.join(folder, name);
    if (!isUnchanged(name, file)) {
      const aside = asideOf(file);
      unpack(name, aside);
      fs.renameSync(aside, file);
    }
    open(file);
  };
}

/** Loads from a new folder, which no other user can have prepared. A loaded addon no longer needs its file. */
function fromTemporary(name, open) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "prism-"));
  try {
    const file = path.join(ownFolder(folder), name);
    unpack(name, file);
    open(file);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Makes the folder. @returns its real path, which has no links. @throws when another user could
 * change what it holds
 */
function ownFolder(folder) {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const real = fs.realpathSync(folder);
  const reason = findUnsafeParent(real);
  if (reason !== undefined) throw new Error(reason);
  return real;
}

/**
 * Whether the file is there, is safe, and holds exactly this addon. Its hash is computed once; later
 * starts compare the stamp of the file that had it, since they would read 9 MB.
 */
function isUnchanged(name, file) {
  const stats = fs.lstatSync(file, { throwIfNoEntry: false, bigint: true });
  if (!isSafeFile(file, stats)) return false;
  const stamp = [DIGEST[name], stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs, stats.uid].join(" ");
  const stampFile = `${file}.stamp`;
  if (safeTextOf(stampFile) === stamp) return true;
  if (hashOf(file) !== DIGEST[name]) return false;
  try {
    const aside = asideOf(stampFile);
    fs.writeFileSync(aside, stamp, { mode: 0o600, flag: "wx" });
    fs.renameSync(aside, stampFile);
  } catch {
    // The folder is read-only or full: the next start computes the hash, too.
  }
  return true;
}

function isSafeFile(file, stats) {
  return stats?.isFile() && unsafeReason(file, { mode: Number(stats.mode), uid: Number(stats.uid) }) === undefined;
}

/** @returns undefined if there is no such file, or another user could have written it */
function safeTextOf(file) {
  const stats = fs.lstatSync(file, { throwIfNoEntry: false });
  return isSafeFile(file, stats) ? fs.readFileSync(file, "latin1") : undefined;
}

/** Reads the file in pieces: all addons together are 9 MB. */
function hashOf(file) {
  const hash = crypto.createHash("sha256");
  const piece = Buffer.allocUnsafe(262_144);
  const opened = fs.openSync(file, "r");
  try {
    for (let bytes = fs.readSync(opened, piece); bytes > 0; bytes = fs.readSync(opened, piece))
      hash.update(piece.subarray(0, bytes));
  } finally {
    fs.closeSync(opened);
  }
  return hash.digest("hex");
}

/** A file is written aside and renamed: several processes may start at once. */
function asideOf(file) {
  return `${file}.${process.pid}.${crypto.randomBytes(8).toString("hex")}`;
}

function unpack(name, file) {
  fs.writeFileSync(file, Buffer.from(sea.getRawAsset(name)), { mode: 0o700, flag: "wx" });
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

const asset = (name) => Buffer.from(sea.getRawAsset(name));

globalThis.__packed = { asset, native, importFile, load };

/** The chunks of each script that was read (scripts/chunks.mjs), as functions until they are called. */
const scripts = new Map();
const chunks = new Map();

/** @returns what a chunk exports; `id` is its script and its number there */
function load(id) {
  let exports = chunks.get(id);
  if (exports === undefined) {
    const [script, number] = id.split("/");
    if (!scripts.has(script)) scripts.set(script, compiled(`${script}.js`));
    const functions = scripts.get(script);
    exports = functions[number](load, late, require, process.execPath, path.dirname(process.execPath)) ?? {};
    chunks.set(id, exports);
    // Its code ran once.
    functions[number] = undefined;
  }
  return exports;
}

/** What import() is in a chunk. */
async function late(id) {
  return id.startsWith("node:") ? require(id) : load(id);
}

/** With the compiled functions of a run at the build. Under other flags of V8, it compiles them itself. */
function compiled(name) {
  const cachedData = asset(`${name}.cache`);
  // The build leaves only ASCII in the scripts.
  const text = asset(name).toString("latin1");
  return new vm.Script(text, { filename: `prism/${name}`, cachedData }).runInThisContext();
}

load(worker.isMainThread ? "main/0" : "worker/0");
