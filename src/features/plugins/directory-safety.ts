import { lstatSync, type Stats } from "node:fs";
import { dirname } from "node:path";

/** Mode bits that let the group or others write. */
const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * Why another user could change the code that runs here: the path must belong to root or to the
 * user of this process, and must not be writable by others.
 * @param path with its {@link Stats}. @returns undefined if it is safe; always on Windows, which
 * has other permissions.
 */
export function unsafeReason(path: string, { uid, mode }: Pick<Stats, "uid" | "mode">): string | undefined {
  const own = process.getuid?.();
  if (own === undefined) return undefined;
  if (uid !== 0 && uid !== own) return `${path} belongs to another user; chown it to the user that runs Prism`;
  if ((mode & WRITABLE_BY_OTHERS) !== 0) return `${path} can be written by others; chmod go-w ${path}`;
  return undefined;
}

/**
 * Checks every directory from here to the root. One with the sticky bit, such as /tmp, may be
 * writable by all: only the owner of an entry can replace it there.
 * @param path a real path, without links. @returns the first reason found.
 */
export function findUnsafeParent(path: string): string | undefined {
  const stats = lstatSync(path);
  const reason = unsafeReason(path, stats);
  if (reason !== undefined) return reason;
  for (let at = path; dirname(at) !== at; ) {
    at = dirname(at);
    const above = lstatSync(at);
    const isSticky = (above.mode & STICKY) !== 0;
    const found = unsafeReason(at, isSticky ? { uid: above.uid, mode: above.mode & ~WRITABLE_BY_OTHERS } : above);
    if (found !== undefined) return found;
  }
  return undefined;
}
