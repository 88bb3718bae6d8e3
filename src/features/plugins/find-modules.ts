import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** A folder that holds a module. */
export interface ModuleFolder {
  /** Its name in the modules directory; the module's own may be another. */
  readonly folder: string;
  readonly path: string;
  readonly entry: (typeof ENTRIES)[number];
}

const ENTRIES = ["index.js", "index.mjs"] as const;

export interface FoundModules {
  /** In the order of their folders' names. */
  readonly modules: readonly ModuleFolder[];
  /** Folders without an entry file, and what to do about each. */
  readonly empty: readonly { readonly folder: string; readonly reason: string }[];
}

/** What stands in the modules directory; nothing where there is none. Names with a leading dot, and node_modules, are nobody's. */
export function findModules(modulesDir: string): FoundModules {
  if (!existsSync(modulesDir)) return { modules: [], empty: [] };
  const folders = readdirSync(modulesDir)
    .filter((name) => !name.startsWith(".") && name !== "node_modules" && isDirectory(join(modulesDir, name)))
    .sort();
  const found = folders.map((folder) => [folder, moduleAt(modulesDir, folder)] as const);
  return {
    modules: found.flatMap(([, module]) => (module ? [module] : [])),
    empty: found.flatMap(([folder, module]) =>
      module ? [] : [{ folder, reason: whyEmpty(join(modulesDir, folder)) }],
    ),
  };
}

const SOURCES = ["index.ts", "index.mts"] as const;

/** Why a folder is no module, with the next step. */
export function whyEmpty(path: string): string {
  const source = SOURCES.find((name) => existsSync(join(path, name)));
  if (source === undefined) return "no module: the folder has no index.js and no index.mjs";
  return `no module: the folder has TypeScript only; compile it: npx esbuild ${source} --bundle --platform=node --format=esm --outfile=index.mjs`;
}

/** @returns undefined where the folder has no entry file, or is not there. */
export function moduleAt(modulesDir: string, folder: string): ModuleFolder | undefined {
  const path = join(modulesDir, folder);
  const entry = ENTRIES.find((name) => existsSync(join(path, name)));
  return entry === undefined ? undefined : { folder, path, entry };
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
