import { statfsSync } from "node:fs";
import { ArchiveRefused } from "./archive-refused.ts";

/** Bytes that a directory's disk still takes. */
export type FreeBytes = (dir: string) => number;

export function freeBytes(dir: string): number {
  const { bavail, bsize } = statfsSync(dir);
  return bavail * bsize;
}

/** @throws ArchiveRefused */
export function requireRoom(dir: string, neededBytes: number, free: FreeBytes = freeBytes): void {
  const found = free(dir);
  if (found >= neededBytes) return;
  // Never the same number twice: what is needed is rounded up, what is there down.
  const [needed, left] = [Math.ceil(neededBytes / 1_048_576), Math.floor(found / 1_048_576)];
  throw new ArchiveRefused(
    "space",
    `there is not enough room in ${dir}: ${needed} MiB are needed, ${left} MiB are free`,
  );
}
