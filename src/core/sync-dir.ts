import { closeSync, fsyncSync, openSync } from "node:fs";
import { open } from "node:fs/promises";

/** Waits until a directory's names are on disk: what was renamed is found there after a power loss. */
export function syncDir(dir: string): void {
  // Windows opens no directories, and keeps its names in order itself.
  if (process.platform !== "win32") sync(dir, "r");
}

/** {@link syncDir} for a server, whose event loop must not wait for a disk. */
export async function syncDirLater(dir: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Waits until a file's content is on disk. Not for a database that is in use. */
export function syncFile(file: string): void {
  sync(file, "r+");
}

function sync(path: string, flags: string): void {
  const descriptor = openSync(path, flags);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
