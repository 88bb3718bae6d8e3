import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Config, LoadedConfig } from "../../../config/load.ts";
import { CommandError, EXIT } from "../../../core/command-error.ts";
import { archivesIn, BACKUPS_DIR, freeName, PARTIAL, syncDir } from "../../../core/data-dir.ts";
import { type Logger, silentLogger } from "../../../core/log.ts";
import { systemClock } from "../../../core/time/clock.ts";
import { hasAuditKey } from "../../../store/sealed-settings.ts";
import { reading } from "../../../store/sqlite/connection.ts";
import { type MigrationStep, migrateInThread } from "../../../store/sqlite/migrate.ts";
import { createBackup, recordInFile } from "./create-backup.ts";

/** Archives of upgrades, in the directory of backups; `prism backup --keep` leaves them alone. */
const UPGRADES_DIR = "upgrade";
const KEPT = 2;
/** Lists what was pending at the backup of an upgrade that has not ended. */
const UNFINISHED = "unfinished.json";
const LOG_EVERY_MS = 10_000;

interface Shown {
  progress(label: string): { show(state: string): void; end(): void };
  note(text: string): void;
}

/** Where an upgrade is, for the log, the port and the terminal. */
export interface UpgradeProgress {
  /** From 0 to 100. */
  readonly percent: number;
  /** The current step, in a few words. */
  readonly doing: string;
}

export interface UpgradeOptions {
  readonly out: Shown;
  /** Why a backup failed, for people; undefined for an unexpected error. */
  describe(error: unknown): string | undefined;
  readonly loaded: LoadedConfig;
  readonly pending: readonly string[];
  /** Overrides `store.backupBeforeUpgrade`. */
  readonly withBackup?: boolean | undefined;
  readonly log?: Logger | undefined;
  /** The first call comes before anything is changed. It may throw, which ends the upgrade. */
  readonly onProgress?: ((progress: UpgradeProgress) => Promise<void> | void) | undefined;
}

/**
 * Upgrades an existing database: a verified backup, then the pending migrations, in a thread. The
 * caller holds the data directory's lock.
 * @returns the applied migrations. @throws CommandError 3 without room for the backup or without
 * its key; SchemaRefused, and errors of SQLite and the file system
 */
export async function upgrade(options: UpgradeOptions): Promise<readonly string[]> {
  const { out, loaded, pending, log = silentLogger, onProgress } = options;
  const { config } = loaded;
  let current: UpgradeProgress = { percent: 0, doing: "starting" };
  const shown = out.progress("migrating");
  const tell = (percent: number, doing: string): Promise<void> | void => {
    current = { percent: Math.floor(percent), doing };
    shown.show(`${current.percent} % ${doing}`);
    return onProgress?.(current);
  };
  log.info({ migrations: pending.length, from: pending[0] }, "upgrading the database");
  await tell(0, current.doing);
  const timer = setInterval(() => log.info({ ...current }, "upgrading the database"), LOG_EVERY_MS);
  try {
    const isSaved = (options.withBackup ?? config.store.backupBeforeUpgrade) && isUsed(config.databaseFile);
    // Saving and migrating copy about the same bytes.
    const share = isSaved ? 50 : 0;
    if (isSaved) await backUp(options, log, (done) => tell(done * share, "making a backup"));
    let last = "";
    const onStep = ({ name, at, of, done }: MigrationStep): void => {
      if (name !== last) log.info({ migration: name, at, of }, "migrating");
      last = name;
      void tell(share + done * (100 - share), `migration ${name} (${at} of ${of})`);
    };
    const applied = await migrateInThread(config.databaseFile, onStep);
    rmSync(join(folderOf(config), UNFINISHED), { force: true });
    return applied;
  } finally {
    clearInterval(timer);
    shown.end();
  }
}

/** A database on which no server has run has nothing to lose. */
function isUsed(file: string): boolean {
  return reading(file, (connection) => hasAuditKey(connection));
}

function folderOf({ dataDir }: Config): string {
  return join(dataDir, BACKUPS_DIR, UPGRADES_DIR);
}

/**
 * An archive that `prism restore` of the earlier version takes. An upgrade that was killed between
 * two migrations has its archive already: one of its half would push that out.
 * @param onDone from 0 to 1
 */
async function backUp(
  { loaded: { config }, pending, describe }: UpgradeOptions,
  log: Logger,
  onDone: (done: number) => void,
): Promise<void> {
  const folder = folderOf(config);
  const unfinished = join(folder, UNFINISHED);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Left by a kill: the holder of the lock is alone here.
  for (const name of readdirSync(folder).filter((each) => each.endsWith(PARTIAL)))
    rmSync(join(folder, name), { recursive: true, force: true });
  if (continues(unfinished, pending) && archivesIn(folder).length > 0) {
    log.info({ folder }, "continuing an interrupted upgrade; its backup was made before");
    return;
  }
  if (!config.secrets.hasEncryptionKey) throw refused("it needs the encryption key (PRISM_ENCRYPTION_KEY)");
  const startedAt = performance.now();
  const file = freeName(folder, systemClock.now());
  log.info({ file }, "making a verified backup before the upgrade");
  const { bytes } = await createBackup({
    ...{ config, clock: systemClock, file, verify: true },
    record: (entry) => recordInFile(config, { ...entry, upgrade: true }, systemClock),
    onBytes: (done, of) => onDone(Math.min(1, done / of)),
  }).catch((error: unknown) => {
    const reason = describe(error);
    throw reason === undefined ? error : refused(reason, error);
  });
  writeFileSync(unfinished, JSON.stringify(pending), { mode: 0o600 });
  syncDir(folder);
  for (const name of archivesIn(folder).slice(KEPT)) rmSync(join(folder, name));
  log.info({ file, bytes, durationMs: Math.round(performance.now() - startedAt) }, "backup made and verified");
}

/**
 * Whether migrations of the recorded upgrade have been applied since its backup: no earlier version
 * has written since. With all of them pending one may have.
 */
function continues(unfinished: string, pending: readonly string[]): boolean {
  if (!existsSync(unfinished)) return false;
  const before: unknown = JSON.parse(readFileSync(unfinished, "utf8"));
  if (!Array.isArray(before) || before.length <= pending.length) return false;
  return before.slice(-pending.length).join() === pending.join();
}

function refused(reason: string, cause?: unknown): CommandError {
  const message = `no backup could be made before the upgrade: ${reason}; nothing was changed`;
  const way = "store.backupBeforeUpgrade=false (prism migrate --no-backup) upgrades without one";
  return new CommandError(EXIT.refused, `${message}. ${way}`, { cause });
}
