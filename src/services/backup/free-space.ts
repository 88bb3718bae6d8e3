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
  const [needed, left] = [neededBytes, found].map((bytes) => `${Math.ceil(bytes / 1_048_576)} MiB`);
  throw new ArchiveRefused("space", `there is not enough room in ${dir}: ${needed} are needed, ${left} are free`);
}
