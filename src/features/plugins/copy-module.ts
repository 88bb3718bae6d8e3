import type { Stats } from "node:fs";
import { copyFile, lstat, mkdir, readdir, realpath, stat } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { unsafeReason, unsafeWayTo } from "./directory-safety.ts";
import { ModuleFailure } from "./module-failure.ts";

const MAX_FILES = 20_000;
const MAX_BYTES = 268_435_456;

/** A file or directory of a module. */
interface Entry {
  /** Where it really is: what links lead to stands in their place. */
  readonly path: string;
  /** Within the module's folder; '' for that itself. */
  readonly name: string;
  readonly stats: Stats;
}

/**
 * Copies a module's folder to where it is imported from: a path that the engine has not seen yet, so that all its files are read anew, and that
 * nobody else writes. @param isStrict as of {@link moduleFiles}. @throws ModuleFailure
 */
export async function copyModule(from: string, to: string, isStrict: boolean): Promise<void> {
  for await (const { path, name, stats } of moduleFiles(from, isStrict)) {
    if (stats.isDirectory()) await mkdir(join(to, name), { recursive: true, mode: 0o700 });
    else await copyFile(path, join(to, name));
  }
}

/**
 * What a module's folder holds, each directory before what is in it.
 * @param isStrict as in production: others must not be able to change anything, nor may links lead out of the folder.
 * @throws ModuleFailure for what is not safe, has no end, or is too much
 */
export async function* moduleFiles(folder: string, isStrict: boolean): AsyncGenerator<Entry> {
  const root = await realpath(folder);
  // The modules directory itself must be safe without its sticky bit, and so must the folder where a link leads to.
  const reason = isStrict ? (unsafeWayTo(await realpath(dirname(folder))) ?? unsafeWayTo(root)) : undefined;
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

/** @param above real paths of the folders that this one is in: one that links to those has no end. */
async function* tree(folder: Entry, above: readonly string[], root: string, isStrict: boolean): AsyncGenerator<Entry> {
  if (above.includes(folder.path)) throw new ModuleFailure(`${folder.path} contains a link to itself`);
  yield folder;
  for (const child of await readdir(folder.path)) {
    const entry = await entryAt(join(folder.path, child), join(folder.name, child), root, isStrict);
    if (entry.stats.isDirectory()) yield* tree(entry, [...above, folder.path], root, isStrict);
    else if (entry.stats.isFile()) yield entry;
  }
}

/** @throws ModuleFailure for a link that leaves the module, and what others can write, where that is refused */
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
