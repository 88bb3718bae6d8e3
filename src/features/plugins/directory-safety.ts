import { lstatSync, type Stats } from "node:fs";
import { dirname } from "node:path";

/** Bits of a mode by which the group and everybody else may write. */
const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * Why somebody else could change what runs here: the path must belong to root or the user of this
 * process, and nobody else may write it.
 * @param path as {@link Stats} were read of it. @returns undefined when all is well; also on
 * Windows, whose rights are not these.
 */
export function unsafeReason(path: string, { uid, mode }: Pick<Stats, "uid" | "mode">): string | undefined {
  const own = process.getuid?.();
  if (own === undefined) return undefined;
  if (uid !== 0 && uid !== own) return `${path} belongs to another user; chown it to the user that runs Prism`;
  if ((mode & WRITABLE_BY_OTHERS) !== 0) return `${path} can be written by others; chmod go-w ${path}`;
  return undefined;
}

/**
 * The same of every directory from here to the root. One with the sticky bit, such as /tmp, may be
 * open to everybody: nobody but the owner of an entry can replace it there.
 * @param path a real path, without links. @returns the first reason there is.
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
