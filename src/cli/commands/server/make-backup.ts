import { existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { systemClock } from "../../../core/clock.ts";
import { type Backup, createBackup, requireNew, workDirOf } from "../../../features/backup/create-backup.ts";
import { failureOf, sqliteCode } from "../../../store/sqlite/sqlite-errors.ts";
import { type Context, refuseUrl } from "../../context.ts";
import { requireSomeDatabase } from "../../data-dir.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { mebibytes } from "../../output/output.ts";
import { cleaningUp } from "../../output/process-ends.ts";
import { readPassphrase } from "../access/prompt.ts";
import { bytesText } from "../doctor/check.ts";
import { archiveName, archivesIn, archiveTime, BACKUPS_DIR } from "./archives.ts";

export interface BackupFlags {
  readonly verify?: boolean;
  readonly includeSecrets?: boolean;
  readonly stdin?: boolean;
  readonly keep?: number;
}

/** @param given the archive, or a directory for it. @throws CommandError, ArchiveRefused, ConfigRefused, SchemaRefused, UnsealError */
export async function makeBackup(context: Context, given: string | undefined, flags: BackupFlags): Promise<void> {
  refuseUrl(context, "backup");
  const { out } = context;
  const { config } = context.loadConfig("require");
  requireSomeDatabase(config);
  const file = targetOf(config.dataDir, given);
  if (flags.keep !== undefined && archiveTime(basename(file)) === undefined)
    throw new CommandError(EXIT.usage, `--keep needs a directory that exists, and ${file} is none`);
  requireNew(file);
  const passphrase = await passphraseOf(flags);
  const progress = out.progress("backing up, MiB");
  const tell = (bytes: number, ofBytes: number): void => progress.update(mebibytes(bytes), mebibytes(ofBytes));
  const made = await cleaningUp(
    () => rmSync(workDirOf(file), { recursive: true, force: true }),
    () => {
      const verify = flags.verify === true;
      return createBackup({ config, clock: systemClock, file, passphrase, verify, onBytes: tell });
    },
  )
    .catch((error: unknown) => {
      throw writingFailed(error, file);
    })
    .finally(() => progress.end());
  report(context, made, flags);
}

function report({ out }: Context, { file, bytes, sha256, manifest }: Backup, { keep }: BackupFlags): void {
  const removed = keep === undefined ? [] : removeOlder(file, keep);
  const schema = manifest.schema.at(-1)?.name ?? null;
  out.result({ file, bytes, sha256, schema, ...(keep === undefined ? {} : { removed }) }, () => [
    file,
    `${bytesText(bytes)}, SHA-256 ${sha256}`,
  ]);
  if (removed.length > 0) out.note(`${removed.length} older ${removed.length === 1 ? "archive" : "archives"} removed`);
}

/** A name with the time for what is a directory; the default one is made where it is missing. */
function targetOf(dataDir: string, given: string | undefined): string {
  const path = given === undefined ? join(dataDir, BACKUPS_DIR) : resolve(given);
  if (given === undefined && !existsSync(path)) mkdirSync(path, { mode: 0o700 });
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return freeName(path);
  if (!existsSync(dirname(path))) throw new CommandError(EXIT.failure, `there is no directory ${dirname(path)}`);
  return path;
}

/** Names have whole seconds: a second backup within one takes the next second's name. */
function freeName(folder: string): string {
  let at = systemClock.now();
  while (existsSync(join(folder, archiveName(at)))) at += 1000;
  return join(folder, archiveName(at));
}

async function passphraseOf({ includeSecrets, stdin }: BackupFlags): Promise<string | undefined> {
  if (includeSecrets) return readPassphrase({ fromStdin: stdin === true, isNew: true });
  if (stdin) throw new CommandError(EXIT.usage, "--stdin is for the passphrase of --include-secrets");
  return undefined;
}

/** Removes what is older than the newest `keep`; never the one that was just made, whatever the clock says. */
function removeOlder(file: string, keep: number): string[] {
  const dir = dirname(file);
  const others = archivesIn(dir).filter((name) => name !== basename(file));
  const old = others.slice(keep - 1);
  for (const name of old) rmSync(join(dir, name));
  return old;
}

/** What the disk of the archive refuses is not the database's fault. */
function writingFailed(error: unknown, file: string): unknown {
  // SQLite does not tell a quota from other reasons for which the file system takes no more.
  if (failureOf(error) === "full" || sqliteCode(error) === "SQLITE_IOERR_WRITE")
    return new CommandError(EXIT.failure, `${file} cannot be written: the disk is full`, { cause: error });
  if (!(error instanceof Error && "syscall" in error)) return error;
  return new CommandError(EXIT.failure, `${file} cannot be written: ${error.message}`, { cause: error });
}
