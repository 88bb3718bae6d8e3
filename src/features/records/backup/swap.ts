import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Config } from "../../../config/load.ts";
import { SOUNDS_DIR, syncDir } from "../../../core/data-dir.ts";
import { beatFileOf } from "../../../store/write-health.ts";

/*
 * How restored data replaces old data. First the new data is complete, checked and on disk in a
 * separate folder. Then a marker is written, and from that moment the new data counts: each file is
 * moved, old files into a folder that is kept, and the marker is removed. The next holder of the
 * data directory's lock finishes an interrupted swap. So the old data is in use before the marker,
 * and the new data after it.
 */

/** Location of an installation's data. */
export type DataPaths = Pick<Config, "dataDir" | "databaseFile">;

const MARKER = "restore.pending";
/** Files of the data directory that belong to the data, besides the database. */
const BESIDES = ["audit.head", "secrets.json", SOUNDS_DIR] as const;

interface Marker {
  /** Folder with the new data. */
  readonly staged: string;
  /** Folder that keeps the old data. */
  readonly kept: string;
}

/** Folders of a restore: in the data directory, and beside the database if that is elsewhere. */
export function foldersOf({ dataDir, databaseFile }: DataPaths, name: string): readonly string[] {
  return [...new Set([join(dirname(databaseFile), name), join(dataDir, name)])];
}

/** Whether a restore was interrupted while moving files. */
export function isRestorePending({ dataDir }: Pick<DataPaths, "dataDir">): boolean {
  return existsSync(join(dataDir, MARKER));
}

/**
 * Makes the staged data current and moves it. The caller holds the data directory's lock, and the
 * databases are closed.
 * @param onStep called before each step, for tests that interrupt there.
 */
export function commitRestore(paths: DataPaths, marker: Marker, onStep?: (what: string) => void): void {
  const file = join(paths.dataDir, MARKER);
  onStep?.("marker");
  writeFileSync(`${file}.new`, `${JSON.stringify(marker)}\n`, { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
  syncDir(paths.dataDir);
  finishRestore(paths, onStep);
}

/** Finishes a restore whose data counts, after any interruption. @returns whether there was one */
export function finishRestore(paths: DataPaths, onStep: (what: string) => void = () => undefined): boolean {
  if (!isRestorePending(paths)) return false;
  const { dataDir, databaseFile } = paths;
  const { staged, kept } = readMarker(dataDir);
  const move = (from: string, to: string): void => {
    onStep(`${basename(from)} to ${to}`);
    renameSync(from, to);
  };
  const swap = (file: string, parts: readonly string[]): void => {
    const fresh = join(dirname(file), staged, basename(file));
    // This file is already moved.
    if (!existsSync(fresh)) return;
    for (const old of parts.filter((part) => existsSync(part))) {
      const folder = join(dirname(old), kept);
      if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
      move(old, join(folder, basename(old)));
    }
    move(fresh, file);
  };
  // SQLite would apply a log to any database beside it: both are moved before the new one arrives.
  swap(databaseFile, [`${databaseFile}-wal`, `${databaseFile}-shm`, databaseFile]);
  for (const name of BESIDES) swap(join(dataDir, name), [join(dataDir, name)]);
  // It records the progress of the replaced database.
  rmSync(beatFileOf(dataDir), { force: true });
  const folders = foldersOf(paths, staged);
  for (const folder of foldersOf(paths, kept)) if (existsSync(folder)) syncDir(folder);
  for (const folder of folders) syncDir(dirname(folder));
  for (const folder of folders) {
    onStep(`remove ${folder}`);
    rmSync(folder, { recursive: true, force: true });
  }
  onStep("remove the marker");
  rmSync(join(dataDir, MARKER));
  syncDir(dataDir);
  return true;
}

function readMarker(dataDir: string): Marker {
  const { staged, kept } = JSON.parse(readFileSync(join(dataDir, MARKER), "utf8")) as Marker;
  // Accepts only names that a restore creates: one of the folders is removed with its content.
  if (!/^\.restore-\d+\.partial$/.test(String(staged)) || !/^[\dA-Za-z]+\.before-restore$/.test(String(kept)))
    throw new Error(`${join(dataDir, MARKER)} is damaged`);
  return { staged, kept };
}
