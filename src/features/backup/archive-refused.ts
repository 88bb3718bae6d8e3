import { statfsSync } from "node:fs";

/**
 * Why an archive is not made or not taken. `damaged`: it is not what was written, or never was one; `untrusted`: nothing proves who made it;
 * `newer`: a later version did; `passphrase`: the wrong one; `space`: there is no room for it; `exists`: something is where it would go.
 */
export type ArchiveProblem = "damaged" | "untrusted" | "newer" | "passphrase" | "space" | "exists";

/** An archive cannot be used, or not be made. The message says what to do. */
export class ArchiveRefused extends Error {
  readonly problem: ArchiveProblem;

  constructor(problem: ArchiveProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ArchiveRefused";
    this.problem = problem;
  }
}

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
