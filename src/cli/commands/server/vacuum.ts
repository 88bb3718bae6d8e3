import { existsSync, realpathSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { createDatabaseFile, freeBytes, syncDir, syncFile } from "../../../core/data-dir.ts";
import { bytesText } from "../../../core/text/clean-text.ts";
import { closing, openForWriting } from "../../../store/sqlite/connection.ts";
import { snapshotBytes, snapshotDatabase } from "../../../store/sqlite/snapshot.ts";
import { type CommandContext, refuseUrl } from "../../context.ts";
import { requireDatabase, withDataDirLock } from "../../data-dir.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { mebibytes } from "../../output/output.ts";
import { cleaningUp } from "../../output/process-ends.ts";

/**
 * Copies the rows into a new file, checks it, and replaces the database with one rename: an
 * interrupted run changes nothing.
 * @throws CommandError 1 without space for the copy, 4 while a server runs, 7 for a damaged
 * database
 */
export async function vacuum(context: CommandContext): Promise<void> {
  refuseUrl(context, "vacuum");
  const loaded = context.loadConfig("none");
  requireDatabase(loaded);
  const { config } = loaded;
  await withDataDirLock(config, async () => {
    const file = realpathSync(config.databaseFile);
    closeLog(file);
    const before = statSync(file).size;
    const expected = snapshotBytes(file);
    requireRoom(dirname(file), expected);
    const copy = `${file}.vacuum.partial`;
    rmSync(copy, { force: true });
    await cleaningUp(
      () => rmSync(copy, { force: true }),
      () => copyRows(context, file, copy, expected),
    );
    removeEmptyLog(file);
    renameSync(copy, file);
    syncDir(dirname(file));
    const after = statSync(file).size;
    context.out.result({ database: file, beforeBytes: before, afterBytes: after }, () => [
      `${file}: ${bytesText(before)} before, ${bytesText(after)} now`,
    ]);
  });
}

const LOOK_EVERY_MS = 200;

async function copyRows({ out }: CommandContext, file: string, copy: string, expected: number): Promise<void> {
  const progress = out.progress("copying, MiB");
  const timer = setInterval(() => {
    progress.update(mebibytes(statSync(copy, { throwIfNoEntry: false })?.size ?? 0), mebibytes(expected));
  }, LOOK_EVERY_MS);
  try {
    createDatabaseFile(copy);
    await snapshotDatabase({ file, into: copy });
    requireSound(copy);
    syncFile(copy);
  } catch (error) {
    rmSync(copy, { force: true });
    throw error;
  } finally {
    clearInterval(timer);
    progress.end();
  }
}

/** Moves the write-ahead log into the database, so that the file is complete. */
function closeLog(file: string): void {
  closing(openForWriting({ file, busyTimeoutMs: 0 }), (connection) => connection.pragma("wal_checkpoint(TRUNCATE)"));
  // The last connection removes the log when it closes.
  if (existsSync(`${file}-wal`))
    throw new CommandError(EXIT.unreachable, `another program has ${file} open; stop it first`);
}

/** A read-only connection leaves an empty log, which must not stay beside the new file. */
function removeEmptyLog(file: string): void {
  for (const name of ["-wal", "-shm"]) rmSync(`${file}${name}`, { force: true });
}

/** @throws CommandError 7 if the copy is damaged, as the database is */
function requireSound(copy: string): void {
  const verdict = closing(openForWriting({ file: copy, busyTimeoutMs: 0 }), (connection) =>
    connection.pragma("quick_check", { simple: true }),
  );
  if (verdict !== "ok")
    throw new CommandError(EXIT.conflict, `the database is damaged (${String(verdict)}); it was not changed`);
}

/** @throws CommandError 1 */
export function requireRoom(dir: string, bytes: number): void {
  const free = freeBytes(dir);
  if (free < bytes)
    throw new CommandError(
      EXIT.failure,
      `the copy needs ${bytesText(bytes)} in ${dir}, and ${bytesText(free)} are free; nothing was changed`,
    );
}
