import { closeSync, fsyncSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

/** Why a disk takes no bytes. */
export type DiskProblem = "full" | "readonly" | "failed";

const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);
const READONLY = new Set(["EROFS", "EACCES", "EPERM"]);
const PROBE_BYTES = 4096;

/**
 * Writes a small file into a directory, waits for the disk, and removes it: SQLite has one code for a full quota, a read-only file system
 * and a broken disk. @returns null when it worked.
 */
export function diskProblem(dir: string): DiskProblem | null {
  const file = join(dir, `.write-probe-${process.pid}.partial`);
  try {
    const descriptor = openSync(file, "w", 0o600);
    try {
      writeSync(descriptor, Buffer.alloc(PROBE_BYTES));
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    return null;
  } catch (error) {
    return sortErrno(error instanceof Error && "code" in error ? String(error.code) : "");
  } finally {
    rmSync(file, { force: true });
  }
}

/** Sorts an error of the file system by what it means to an operator. */
export function sortErrno(code: string): DiskProblem {
  if (FULL.has(code)) return "full";
  return READONLY.has(code) ? "readonly" : "failed";
}
