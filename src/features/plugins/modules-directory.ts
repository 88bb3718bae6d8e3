import { existsSync, type FSWatcher, readdirSync, type Stats, statSync, watch } from "node:fs";
import { copyFile, lstat, mkdir, readdir, realpath, stat } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import type { Logger } from "../../core/log.ts";
import { loadsTypeScript } from "../../core/runtime.ts";
import { findUnsafeParent, unsafeReason } from "./directory-safety.ts";
import { ModuleFailure } from "./module-failure.ts";

/** A folder with a module. */
export interface ModuleFolder {
  /** Its name in the modules directory; the module's own name may differ. */
  readonly folder: string;
  readonly path: string;
  readonly entry: string;
}

const SOURCES = ["index.ts", "index.mts"] as const;
const ENTRIES = ["index.js", "index.mjs", ...(loadsTypeScript ? SOURCES : [])];
/** Where S0 keeps its modules, below the working directory. */
const SOURCE_MODULES = join("src", "modules");

/**
 * The directories that modules are read from, in this order: the configured one, and `src/modules` of
 * the working directory where TypeScript is loaded. The first folder of a name counts.
 */
export function modulesDirs(modulesDir: string): readonly string[] {
  const sources = resolve(SOURCE_MODULES);
  const isRead = loadsTypeScript && sources !== modulesDir && existsSync(sources);
  return isRead ? [modulesDir, sources] : [modulesDir];
}

/**
 * Folders of `src/modules` that this program cannot load because it is compiled, with the command
 * that compiles each into the modules directory.
 */
export function uncompiledModules(modulesDir: string): readonly { readonly folder: string; readonly reason: string }[] {
  const sources = resolve(SOURCE_MODULES);
  if (loadsTypeScript || sources === modulesDir || !existsSync(sources)) return [];
  return foldersOf(sources).flatMap((folder) => {
    const source = SOURCES.find((name) => existsSync(join(sources, folder, name)));
    const target = join(modulesDir, folder);
    if (source === undefined || ENTRIES.some((name) => existsSync(join(target, name)))) return [];
    const from = join(SOURCE_MODULES, folder, source);
    return [{ folder, reason: `not loaded: only npm run dev loads TypeScript; compile it: ${compile(from, target)}` }];
  });
}

function compile(source: string, folder: string): string {
  return `npx esbuild ${source} --bundle --platform=node --format=esm --outfile=${join(folder, "index.mjs")}`;
}

interface FoundModules {
  /** In the order of their folders' names. */
  readonly modules: readonly ModuleFolder[];
  /** Folders without an entry file, with the next step for each. */
  readonly empty: readonly { readonly folder: string; readonly reason: string }[];
}

/** Lists modules directories; empty if missing. Ignores names with a dot, and node_modules. */
export function findModules(dirs: readonly string[]): FoundModules {
  const folders = [...new Set(dirs.flatMap(foldersOf))].sort();
  const found = folders.map((folder) => [folder, moduleAt(dirs, folder)] as const);
  return {
    modules: found.flatMap(([, module]) => (module ? [module] : [])),
    empty: found.flatMap(([folder, module]) => (module ? [] : [{ folder, reason: whyEmpty(dirs, folder) }])),
  };
}

function foldersOf(directory: string): readonly string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => !name.startsWith(".") && name !== "node_modules" && isDirectory(join(directory, name)))
    .sort();
}

/** Why a folder is not a module, with the next step. */
export function whyEmpty(dirs: readonly string[], folder: string): string {
  const source = SOURCES.find((name) => dirs.some((dir) => existsSync(join(dir, folder, name))));
  if (source === undefined) return "no module: the folder has no index.js and no index.mjs";
  return `no module: the folder has TypeScript only; compile it: ${compile(source, "")}`;
}

/** @returns undefined for a missing folder or one without an entry file. */
export function moduleAt(dirs: readonly string[], folder: string): ModuleFolder | undefined {
  for (const path of dirs.map((dir) => join(dir, folder))) {
    const entry = ENTRIES.find((name) => existsSync(join(path, name)));
    if (entry !== undefined) return { folder, path, entry };
  }
  return undefined;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

const MAX_FILES = 20_000;
const MAX_BYTES = 268_435_456;

interface Entry {
  /** Its real path: links are resolved. */
  readonly path: string;
  /** Relative to the module's folder; '' for the folder. */
  readonly name: string;
  readonly stats: Stats;
}

/**
 * Copies a module's folder to a new path, from which the engine imports all files again and where
 * no other user can write. @param isStrict as in {@link moduleFiles}. @throws ModuleFailure
 */
export async function copyModule(from: string, to: string, isStrict: boolean): Promise<void> {
  for await (const { path, name, stats } of moduleFiles(from, isStrict)) {
    if (stats.isDirectory()) await mkdir(join(to, name), { recursive: true, mode: 0o700 });
    else await copyFile(path, join(to, name));
  }
}

/**
 * The content of a module's folder, directories before their entries.
 * @param isStrict as in production: others must not be able to change anything, and links must not
 * leave the folder.
 * @throws ModuleFailure for content that is unsafe, cyclic, or too large
 */
export async function* moduleFiles(folder: string, isStrict: boolean): AsyncGenerator<Entry> {
  const root = await realpath(folder);
  // The modules directory must be safe without its sticky bit, and so must a link's target.
  const reason = isStrict ? (findUnsafeParent(await realpath(dirname(folder))) ?? findUnsafeParent(root)) : undefined;
  if (reason !== undefined) throw new ModuleFailure(`not loaded: ${reason}`);
  const sums = { files: 0, bytes: 0 };
  for await (const entry of tree({ path: root, name: "", stats: await stat(root) }, [], root, isStrict)) {
    sums.files++;
    sums.bytes += entry.stats.size;
    if (sums.files > MAX_FILES || sums.bytes > MAX_BYTES)
      throw new ModuleFailure(`the folder has more than ${MAX_FILES} files or ${MAX_BYTES / 1_048_576} MiB`);
    yield entry;
  }
}

/** @param above real paths of the enclosing folders: a link to one of those is a cycle. */
async function* tree(folder: Entry, above: readonly string[], root: string, isStrict: boolean): AsyncGenerator<Entry> {
  if (above.includes(folder.path)) throw new ModuleFailure(`${folder.path} contains a link to itself`);
  yield folder;
  for (const child of await readdir(folder.path)) {
    const entry = await entryAt(join(folder.path, child), join(folder.name, child), root, isStrict);
    if (entry.stats.isDirectory()) yield* tree(entry, [...above, folder.path], root, isStrict);
    else if (entry.stats.isFile()) yield entry;
  }
}

/** @throws ModuleFailure for a link that leaves the module, or a file writable by others */
async function entryAt(path: string, name: string, root: string, isStrict: boolean): Promise<Entry> {
  const own = await lstat(path);
  const target = own.isSymbolicLink() ? await realpath(path) : path;
  const stats = own.isSymbolicLink() ? await stat(target) : own;
  if (!isStrict) return { path: target, name, stats };
  if (own.isSymbolicLink() && !target.startsWith(root + sep))
    throw new ModuleFailure(`not loaded: ${path} is a symbolic link that leaves the module's folder`);
  const reason = unsafeReason(target, stats);
  if (reason !== undefined) throw new ModuleFailure(`not loaded: ${reason}`);
  return { path: target, name, stats };
}

/** An editor or compiler writes several files: they count as one change after this quiet time. */
const QUIET_MS = 200;

/** Watches the modules directories during development. */
export class ModuleWatch {
  readonly #dirs: readonly string[];
  readonly #isWanted: boolean;
  readonly #onChange: (folder: string) => Promise<void>;
  readonly #log: Logger;
  readonly #changed = new Map<string, NodeJS.Timeout>();
  #watchers: FSWatcher[] = [];

  constructor(dirs: readonly string[], isWanted: boolean, onChange: (folder: string) => Promise<void>, log: Logger) {
    this.#dirs = dirs;
    this.#isWanted = isWanted;
    this.#onChange = onChange;
    this.#log = log;
  }

  start(): void {
    for (const dir of this.#isWanted ? this.#dirs : []) if (existsSync(dir)) this.#watch(dir);
  }

  #watch(dir: string): void {
    try {
      const watcher = watch(dir, { recursive: true, persistent: false });
      watcher.on("change", (_kind, file) => this.#noteChange(String(file ?? "")));
      watcher.on("error", (error) => this.#failed(error));
      this.#watchers.push(watcher);
    } catch (error) {
      this.#failed(error);
    }
  }

  stop(): void {
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers = [];
    for (const timer of this.#changed.values()) clearTimeout(timer);
    this.#changed.clear();
  }

  #noteChange(file: string): void {
    const [folder = ""] = file.split(sep);
    if (folder === "" || folder.startsWith(".") || folder === "node_modules") return;
    clearTimeout(this.#changed.get(folder));
    const timer = setTimeout(() => {
      this.#changed.delete(folder);
      this.#onChange(folder).catch((error: unknown) => {
        this.#log.warn({ folder, err: error }, "cannot load a changed module");
      });
    }, QUIET_MS);
    this.#changed.set(folder, timer);
  }

  #failed(error: unknown): void {
    this.#log.warn({ err: error }, "cannot watch the modules directory");
  }
}
