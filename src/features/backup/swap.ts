import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Config } from "../../config/load.ts";
import { SOUNDS_DIR, syncDir } from "../../core/data-dir.ts";
import { beatFileOf } from "../../store/write-health.ts";

/*
 * How restored data takes the place of old data. First everything new stands whole, checked and on
 * disk in a folder of its own; then a marker is written, and from that moment the new data counts:
 * each file is moved, the old ones into a folder that is kept, and the marker goes. Whoever takes
 * the data directory's lock next finishes what a crash has interrupted. So there is the old data
 * before the marker, and the new after it.
 */

/** Where an installation's data is. */
export type DataPlaces = Pick<Config, "dataDir" | "databaseFile">;

const MARKER = "restore.pending";
/** Files of the data directory that are part of its data, besides the database. */
const BESIDES = ["audit.head", "secrets.json", SOUNDS_DIR] as const;

interface Marker {
  /** Of the folder in which the new data waits. */
  readonly staged: string;
  /** Of the folder in which the old data is kept. */
  readonly kept: string;
}

/** Folders of a restore: in the data directory, and beside the database where that is elsewhere. */
export function foldersOf({ dataDir, databaseFile }: DataPlaces, name: string): readonly string[] {
  return [...new Set([join(dirname(databaseFile), name), join(dataDir, name)])];
}

/** Whether a restore was interrupted when it had begun to move files. */
export function isRestorePending({ dataDir }: Pick<DataPlaces, "dataDir">): boolean {
  return existsSync(join(dataDir, MARKER));
}

/**
 * Lets the staged data count, and moves it into place. The caller holds the data directory's lock,
 * and nobody has the databases open.
 * @param onStep told before each step, for tests that interrupt there.
 */
export function commitRestore(places: DataPlaces, marker: Marker, onStep?: (what: string) => void): void {
  const file = join(places.dataDir, MARKER);
  onStep?.("marker");
  writeFileSync(`${file}.new`, `${JSON.stringify(marker)}\n`, { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
  syncDir(places.dataDir);
  finishRestore(places, onStep);
}

/**
 * Does what is left of a restore whose data counts. Done again after any interruption, it ends the
 * same. @returns whether there was one
 */
export function finishRestore(places: DataPlaces, onStep: (what: string) => void = () => undefined): boolean {
  if (!isRestorePending(places)) return false;
  const { dataDir, databaseFile } = places;
  const { staged, kept } = readMarker(dataDir);
  const move = (from: string, to: string): void => {
    onStep(`${basename(from)} to ${to}`);
    renameSync(from, to);
  };
  const swap = (file: string, parts: readonly string[]): void => {
    const fresh = join(dirname(file), staged, basename(file));
    // Without it this file's turn is over.
    if (!existsSync(fresh)) return;
    for (const old of parts.filter((part) => existsSync(part))) {
      const folder = join(dirname(old), kept);
      if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
      move(old, join(folder, basename(old)));
    }
    move(fresh, file);
  };
  // A log beside another database than its own would be played into it: both are gone before the
  // new one comes.
  swap(databaseFile, [`${databaseFile}-wal`, `${databaseFile}-shm`, databaseFile]);
  for (const name of BESIDES) swap(join(dataDir, name), [join(dataDir, name)]);
  // It tells how far the replaced database had got.
  rmSync(beatFileOf(dataDir), { force: true });
  const folders = foldersOf(places, staged);
  for (const folder of foldersOf(places, kept)) if (existsSync(folder)) syncDir(folder);
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
  // The names that a restore gives, and no others: one of the folders is removed with all that is
  // in it.
  if (!/^\.restore-\d+\.partial$/.test(String(staged)) || !/^[\dA-Za-z]+\.before-restore$/.test(String(kept)))
    throw new Error(`${join(dataDir, MARKER)} is damaged`);
  return { staged, kept };
}
