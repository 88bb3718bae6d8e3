import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { nodeOf } from "../../../config/checks.ts";
import type { LoadedConfig } from "../../../config/load.ts";
import { UnsealError } from "../../../core/crypto/sealed-box.ts";
import { archivesIn, archiveTime, BACKUPS_DIR, freeName } from "../../../core/data-dir.ts";
import { bytesText, countText } from "../../../core/text/clean-text.ts";
import { systemClock } from "../../../core/time/clock.ts";
import {
  type Backup,
  type BackupRecord,
  createBackup,
  recordInFile,
  requireNew,
  workDirOf,
} from "../../../features/records/backup/create-backup.ts";
import { ArchiveRefused } from "../../../features/records/backup/manifest.ts";
import {
  type ArchiveOptions,
  checkArchive,
  type Restored,
  restore,
  stagedName,
} from "../../../features/records/backup/restore.ts";
import { type DataPaths, foldersOf, isRestorePending } from "../../../features/records/backup/swap.ts";
import { followerHere } from "../../../remote/running-server.ts";
import { SchemaRefused } from "../../../store/sqlite/migrate.ts";
import { failureOf, sqliteCode } from "../../../store/sqlite/sqlite-errors.ts";
import { type CommandContext, refuseUrl } from "../../context.ts";
import { requireSomeDatabase, withDataDirLock } from "../../data-dir.ts";
import { CommandError, describeFailure, EXIT } from "../../output/exit-codes.ts";
import { mebibytes } from "../../output/output.ts";
import { cleaningUp } from "../../output/process-ends.ts";
import { servedOrLocked } from "../../with-server.ts";
import { confirm, readPassphrase } from "../access/prompt.ts";

export interface BackupFlags {
  readonly verify?: boolean;
  readonly includeSecrets?: boolean;
  readonly stdin?: boolean;
  readonly keep?: number;
}

/**
 * @param given the archive, or a directory for it. @throws CommandError, ArchiveRefused,
 * ConfigRefused, SchemaRefused, UnsealError
 */
export async function makeBackup(
  context: CommandContext,
  given: string | undefined,
  flags: BackupFlags,
): Promise<void> {
  refuseUrl(context, "backup");
  const { out } = context;
  const loaded = context.loadConfig("encryption");
  const { config } = loaded;
  const follower = await followerHere(config);
  // A timer runs on every node, because each may lead.
  if (follower !== null) {
    const { node, leader } = follower;
    const why = `no archive: this node (${node}) follows, and the node that leads makes the archives`;
    out.result({ file: null, node, leader }, () => (out.quiet || leader === null ? [] : [why]));
    if (leader !== null) return;
    throw new CommandError(EXIT.checkFailed, "no archive: no node leads, and the node that leads makes the archives");
  }
  requireSomeDatabase(loaded);
  const file = targetOf(config.dataDir, given);
  if (flags.keep !== undefined && archiveTime(basename(file)) === undefined)
    throw new CommandError(EXIT.usage, `--keep needs an existing directory, and ${file} is not one`);
  requireNew(file);
  const passphrase = await passphraseOf(flags, true);
  const progress = out.progress("backing up, MiB");
  const onBytes = (bytes: number, ofBytes: number): void => progress.update(mebibytes(bytes), mebibytes(ofBytes));
  const made = await cleaningUp(
    () => rmSync(workDirOf(file), { recursive: true, force: true }),
    () => {
      const verify = flags.verify === true;
      const made = config.cluster.servers.length === 0 ? {} : { node: nodeOf(config), file };
      const record = (entry: BackupRecord) => recordBackup(context, loaded, { ...entry, ...made });
      return createBackup({ config, clock: systemClock, file, passphrase, verify, record, onBytes });
    },
  )
    .catch((error: unknown) => {
      throw writingFailed(error, file);
    })
    .finally(() => progress.end());
  reportBackup(context, made, flags);
}

/** By the server that runs; without one in the database itself, whose schema may be behind. */
function recordBackup(context: CommandContext, loaded: LoadedConfig, entry: BackupRecord): Promise<void> {
  return servedOrLocked(
    context,
    loaded,
    (api) => api.post<void>("/api/v1/operator/backups", entry),
    () => recordInFile(loaded.config, entry, systemClock),
  );
}

function reportBackup({ out }: CommandContext, { file, bytes, sha256, manifest }: Backup, { keep }: BackupFlags): void {
  const removed = keep === undefined ? [] : removeOlder(file, keep);
  const schema = manifest.schema.at(-1)?.name ?? null;
  const said = { file, bytes, sha256, schema, ...(keep === undefined ? {} : { removed }) };
  // With --quiet a timer sends no mail about a successful backup.
  out.result(said, () => (out.quiet ? [] : [file, `${bytesText(bytes)}, SHA-256 ${sha256}`]));
  if (removed.length > 0) out.note(`${countText(removed.length, "older archive")} removed`);
}

/** For a directory a name with the time; creates the default directory. */
function targetOf(dataDir: string, given: string | undefined): string {
  const path = given === undefined ? join(dataDir, BACKUPS_DIR) : resolve(given);
  if (given === undefined && !existsSync(path)) mkdirSync(path, { mode: 0o700 });
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return freeName(path, systemClock.now());
  if (!existsSync(dirname(path))) throw new CommandError(EXIT.failure, `there is no directory ${dirname(path)}`);
  return path;
}

/** Removes all but the newest `keep`, and never the one just made, whatever the clock shows. */
function removeOlder(file: string, keep: number): string[] {
  const dir = dirname(file);
  const others = archivesIn(dir).filter((name) => name !== basename(file));
  const old = others.slice(keep - 1);
  for (const name of old) rmSync(join(dir, name));
  return old;
}

/** An error of the archive's disk does not concern the database. */
function writingFailed(error: unknown, file: string): unknown {
  // SQLite does not distinguish a quota from other write errors of the file system.
  if (failureOf(error) === "full" || sqliteCode(error) === "SQLITE_IOERR_WRITE")
    return new CommandError(EXIT.failure, `${file} cannot be written: the disk is full`, { cause: error });
  if (!(error instanceof Error && "syscall" in error)) return error;
  return new CommandError(EXIT.failure, `${file} cannot be written: ${error.message}`, { cause: error });
}

export interface RestoreFlags {
  readonly yes?: boolean;
  readonly check?: boolean;
  readonly to?: string;
  readonly trustArchive?: boolean;
  readonly includeSecrets?: boolean;
  readonly stdin?: boolean;
}

/** @throws CommandError, ArchiveRefused, ConfigRefused, SchemaRefused, UnsealError */
export async function restoreArchive(context: CommandContext, given: string, flags: RestoreFlags): Promise<void> {
  refuseUrl(context, "restore");
  const file = resolve(given);
  if (!existsSync(file)) throw new CommandError(EXIT.notFound, `there is no archive ${file}`);
  if (flags.check && (flags.to !== undefined || flags.yes))
    throw new CommandError(EXIT.usage, "--check changes nothing; use it without --to and --yes");
  // Keys in the archive are used instead of configured ones.
  const loaded = context.loadConfig(flags.includeSecrets ? "none" : "encryption");
  const passphrase = await passphraseOf(flags, false);
  const { secrets, previousEncryptionKeys } = loaded.config;
  const keys = flags.includeSecrets ? [] : [secrets.encryptionKey, ...previousEncryptionKeys];
  const progress = context.out.progress("unpacking, MiB");
  const archive = {
    file,
    keys,
    passphrase,
    trust: flags.trustArchive === true,
    onBytes: (bytes: number, ofBytes: number) => progress.update(mebibytes(bytes), mebibytes(ofBytes)),
  };
  try {
    if (flags.check) await check(context, archive);
    else await replace(context, archive, loaded, flags);
  } finally {
    progress.end();
  }
}

async function check({ out }: CommandContext, archive: ArchiveOptions): Promise<void> {
  // A new directory with an unpredictable name: others may write into the parent.
  const work = mkdtempSync(join(tmpdir(), "prism-check-"));
  const cleanUp = (): void => rmSync(work, { recursive: true, force: true });
  const { file } = archive;
  try {
    const { manifest, schema } = await cleaningUp(cleanUp, () => checkArchive(archive, work));
    const { id, version, createdAt, offsets } = manifest;
    out.result({ ok: true, file, id, version, createdAt, schema: schema.at(-1), offsets }, () => [
      `${file} can be restored`,
      `made ${createdAt} by Prism ${version}, schema ${schema.at(-1)}`,
    ]);
  } catch (error) {
    if (!isFinding(error)) throw error;
    const problem = describeFailure(error)?.message ?? "";
    if (out.json) out.result({ ok: false, file, problem }, () => []);
    throw new CommandError(EXIT.checkFailed, problem, { cause: error });
  } finally {
    cleanUp();
  }
}

/** Whether the error is about the archive; lack of space or a wrong passphrase is not. */
function isFinding(error: unknown): boolean {
  if (error instanceof ArchiveRefused) return error.problem !== "space" && error.problem !== "passphrase";
  return error instanceof SchemaRefused || error instanceof UnsealError;
}

async function replace(
  context: CommandContext,
  archive: ArchiveOptions,
  loaded: LoadedConfig,
  flags: RestoreFlags,
): Promise<void> {
  const places = pathsOf(loaded, flags.to);
  if (existsSync(places.databaseFile) && !flags.yes) {
    const question = `Replace ${places.databaseFile} by ${archive.file}? The replaced data is kept beside it.`;
    if (!(await confirm(question)))
      throw new CommandError(EXIT.usage, "nothing was restored; --yes restores without asking");
  }
  const cleanUp = (): void => {
    if (isRestorePending(places)) return;
    for (const folder of foldersOf(places, stagedName())) rmSync(folder, { recursive: true, force: true });
  };
  await withDataDirLock(places, async () => {
    const restored = await cleaningUp(cleanUp, () => restore({ ...archive, places, clock: systemClock }));
    reportRestore(context, archive.file, places, restored);
    noteKeys(context, places, restored, loaded);
  });
}

function pathsOf({ config }: LoadedConfig, to: string | undefined): DataPaths {
  if (to === undefined) return config;
  const dataDir = resolve(to);
  // Lock files remain from an earlier try.
  const found = existsSync(dataDir) ? readdirSync(dataDir).filter((name) => !name.endsWith(".lock")) : [];
  if (found.length > 0)
    throw new CommandError(EXIT.conflict, `${dataDir} is not empty; --to takes a new or empty directory`);
  return { dataDir, databaseFile: join(dataDir, "prism.db") };
}

function reportRestore({ out }: CommandContext, file: string, places: DataPaths, restored: Restored): void {
  const { manifest, offsets, paused, migrated, kept } = restored;
  const { id, version, createdAt } = manifest;
  const { dataDir, databaseFile: database } = places;
  out.result({ file, id, version, createdAt, dataDir, database, offsets, migrated, paused, kept }, () => [
    `${database} has its state of ${createdAt} again`,
    ...(kept ?? []).map((folder) => `the replaced data is kept in ${folder}`),
  ]);
  out.note(
    "Users must log in again. " +
      `Streams continue at offset ${offsets.events} (events) and ${offsets.streams} (all others).`,
  );
  out.note(`Paused until prism queue resume --all: ${paused.join(", ")}.`);
}

/** The database needs its keys, whose location varies. */
function noteKeys(
  { out }: CommandContext,
  { dataDir }: DataPaths,
  { keys }: Restored,
  { config, origins }: LoadedConfig,
): void {
  const isGenerated = origins.get("encryptionKey") === "generated";
  if (keys) {
    out.note(`The keys are in ${join(dataDir, "secrets.json")}, which is read only in development.`);
    if (config.env === "production" || !isGenerated)
      out.note("Set PRISM_ENCRYPTION_KEY and JWT_SECRET to its encryptionKey and jwtSecret.");
    if (keys.previousEncryptionKeys.length > 0)
      out.note("Set PRISM_PREVIOUS_ENCRYPTION_KEYS to its previousEncryptionKeys.");
  } else if (isGenerated && dataDir !== config.dataDir)
    out.note(`The database needs the keys in ${join(config.dataDir, "secrets.json")}: copy that file to ${dataDir}.`);
}

async function passphraseOf(
  { includeSecrets, stdin }: Pick<BackupFlags, "includeSecrets" | "stdin">,
  isNew: boolean,
): Promise<string | undefined> {
  if (includeSecrets) return readPassphrase({ fromStdin: stdin === true, isNew });
  if (stdin) throw new CommandError(EXIT.usage, "--stdin is for the passphrase of --include-secrets");
  return undefined;
}
