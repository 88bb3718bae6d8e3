import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Config, sealedBoxOf } from "../../../config/load.ts";
import { COMMAND_LINE, runAs } from "../../../core/caller.ts";
import { createDatabaseFile, freeBytes, SOUNDS_DIR, syncDir } from "../../../core/data-dir.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { VERSION } from "../../../core/runtime.ts";
import { type Clock, toRfc3339 } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import { appendAudit, requireAuditKey } from "../../../store/commit/audit-chain.ts";
import { readSequences } from "../../../store/commit/sequences.ts";
import { reading } from "../../../store/sqlite/connection.ts";
import { requireOwnSchema, SchemaRefused } from "../../../store/sqlite/migrate.ts";
import { snapshotBytes, snapshotDatabase } from "../../../store/sqlite/snapshot.ts";
import { auditRow } from "../audit/index.ts";
import {
  ArchiveReader,
  type ArchiveSource,
  type MeasuredSource,
  measure,
  type WrittenArchive,
  writeArchive,
} from "./archive.ts";
import {
  ArchiveRefused,
  type CarriedKeys,
  DATABASE_MEMBER,
  KEYS_MEMBER,
  type Manifest,
  requireRoom,
  sealKeys,
  signManifest,
} from "./manifest.ts";
import { checkDatabase } from "./prepare-restored.ts";

export interface BackupParts extends Uses<"config" | "clock"> {
  /** The archive's path, which must not exist. */
  readonly file: string;
  /** Seals the secrets with it and adds them to the archive. */
  readonly passphrase?: string | undefined;
  /** Checks the archive as a restore would, before it gets its name. */
  readonly verify: boolean;
  readonly free?: typeof freeBytes;
  /** Records the archive in the audit trail, before it gets its name. */
  record(entry: BackupRecord): Promise<void> | void;
  /** Progress. Each byte is copied twice: from the database, and into the archive. */
  onBytes(bytes: number, ofBytes: number): void;
}

/** The audit record of a backup. */
export interface BackupRecord {
  readonly id: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly withSecrets: boolean;
  /** In a cluster: the node that made it, and its path there. */
  readonly node?: string;
  readonly file?: string;
  /** Made before an upgrade; it is no backup by which `doctor` and `status` go. */
  readonly upgrade?: true;
}

export interface Backup extends WrittenArchive {
  readonly file: string;
  readonly manifest: Pick<Manifest, "id" | "schema" | "offsets" | "members">;
}

/** Manifest, headers, padding. */
const OVERHEAD_BYTES = 1_048_576;
const LOOK_EVERY_MS = 200;

/** Working directory of a backup: beside the archive, so that the last step is a rename. */
export function workDirOf(file: string): string {
  return join(dirname(file), `.${basename(file)}.${process.pid}.partial`);
}

/**
 * Writes an archive of the database as of one commit, and of the sounds. It gets its name once it
 * is complete, on disk, and recorded in the audit trail. Until then its files are in {@link
 * workDirOf}, which is removed at the end in any case.
 * @throws ArchiveRefused, UnsealError, and errors of SQLite and the file system
 */
export async function createBackup(parts: BackupParts): Promise<Backup> {
  const { config, file, verify, clock } = parts;
  // Checked before the long work: it would fail at the end with another key, or with a schema that
  // no restore accepts.
  requireAuditKey(config.databaseFile, sealedBoxOf(config));
  requireRestorableSchema(config.databaseFile);
  const expected = snapshotBytes(config.databaseFile);
  const sounds = soundsIn(config.dataDir);
  requireSpace(parts, expected, sounds);
  const work = workDirOf(file);
  mkdirSync(work, { mode: 0o700 });
  try {
    const snapshot = join(work, DATABASE_MEMBER);
    await takeSnapshot(parts, snapshot, expected);
    if (verify) await checkDatabase(snapshot, sealedBoxOf(config));
    const facts = { id: uuidv7(), version: VERSION, createdAt: toRfc3339(clock.now()), ...factsOf(snapshot) };
    const members = await measureAll(parts, [{ name: DATABASE_MEMBER, content: { file: snapshot } }, ...sounds]);
    const named = members.map(({ name, bytes, sha256 }) => ({ name, bytes, sha256 }));
    const manifest = signManifest({ ...facts, members: named }, config.secrets.encryptionKey);
    const total = members.reduce((sum, { bytes }) => sum + bytes, 0);
    const partial = join(work, "archive");
    const written = await writeArchive(partial, manifest, members, clock.now(), counting(parts, total));
    if (verify) await readBack(partial);
    // An unrecorded archive must not exist.
    await parts.record({
      id: facts.id,
      bytes: written.bytes,
      sha256: written.sha256,
      withSecrets: parts.passphrase !== undefined,
    });
    // A file with this name may have been created in the meantime.
    requireNew(file);
    renameSync(partial, file);
    syncDir(dirname(file));
    return { file, ...written, manifest: { ...facts, members: named } };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** @throws ArchiveRefused if the path exists: an archive never overwrites anything. */
export function requireNew(file: string): void {
  if (existsSync(file))
    throw new ArchiveRefused(
      "exists",
      `${file} is there already, and archives are never replaced; choose another name`,
    );
}

/** @throws SchemaRefused when a restore would refuse the schema. */
function requireRestorableSchema(file: string): void {
  try {
    reading(file, requireOwnSchema);
  } catch (error) {
    if (!(error instanceof SchemaRefused)) throw error;
    throw new SchemaRefused(`${error.message}; a restore would refuse it, so no archive was made: drop it first`);
  }
}

function requireSpace(
  { config, file, free = freeBytes }: BackupParts,
  expected: number,
  sounds: readonly ArchiveSource[],
): void {
  const dir = dirname(file);
  const soundBytes = sounds.reduce(
    (sum, { content }) => sum + (Buffer.isBuffer(content) ? 0 : statSync(content.file).size),
    0,
  );
  // With less free space, a server on the same disk would refuse events.
  const kept = statSync(dir).dev === statSync(config.dataDir).dev ? config.minFreeBytes : 0;
  requireRoom(dir, 2 * expected + soundBytes + OVERHEAD_BYTES + kept, free);
}

/** SQLite reports no progress: the size of the growing file does. */
async function takeSnapshot({ config, onBytes }: BackupParts, into: string, expected: number): Promise<void> {
  createDatabaseFile(into);
  const timer = setInterval(() => {
    onBytes(statSync(into, { throwIfNoEntry: false })?.size ?? 0, 2 * expected);
  }, LOOK_EVERY_MS);
  try {
    await snapshotDatabase({ file: config.databaseFile, into });
  } finally {
    clearInterval(timer);
  }
}

function factsOf(snapshot: string): Pick<Manifest, "schema" | "offsets"> {
  return reading(snapshot, (connection) => {
    const schema = connection
      .prepare<[], { name: string; checksum: string }>("select name, checksum from migrations order by name")
      .all();
    const { events, streams } = readSequences(connection);
    return { schema, offsets: { events: events.last, streams: streams.last } };
  });
}

async function measureAll(parts: BackupParts, sources: readonly ArchiveSource[]): Promise<MeasuredSource[]> {
  const keys = parts.passphrase === undefined ? [] : [await keysMember(parts.config, parts.passphrase)];
  const measured: MeasuredSource[] = [];
  // The keys come first: a restore may need them before anything else.
  for (const source of [...keys, ...sources]) measured.push(await measure(source));
  return measured;
}

async function keysMember({ secrets, previousEncryptionKeys }: Config, passphrase: string): Promise<ArchiveSource> {
  const keys: CarriedKeys = {
    jwtSecret: secrets.access,
    encryptionKey: secrets.encryptionKey,
    previousEncryptionKeys,
  };
  return { name: KEYS_MEMBER, content: await sealKeys(keys, passphrase) };
}

/** Plain files with valid names; sounds have generated names, and no other files belong there. */
function soundsIn(dataDir: string): ArchiveSource[] {
  const dir = join(dataDir, SOUNDS_DIR);
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .filter((name) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/.test(name) && lstatSync(join(dir, name)).isFile())
    .sort()
    .map((name) => ({ name: `${SOUNDS_DIR}/${name}`, content: { file: join(dir, name) } }));
}

async function readBack(file: string): Promise<void> {
  const reader = await ArchiveReader.open(file);
  try {
    await reader.readThrough();
  } finally {
    await reader.close();
  }
}

/**
 * {@link BackupParts.record} into the database itself, whose schema may be behind. The caller holds
 * the lock on the data directory.
 */
export function recordInFile(config: Config, { id, ...metadata }: BackupRecord, clock: Clock): void {
  const entry = { action: "backup.create", resourceType: "backup", resourceId: id, metadata };
  const row = runAs(COMMAND_LINE, () => auditRow(entry, clock.now()));
  appendAudit(config.databaseFile, sealedBoxOf(config), row);
}

/** Progress of the second half. */
function counting({ onBytes }: BackupParts, total: number): (bytes: number) => void {
  let done = total;
  return (bytes) => {
    done += bytes;
    onBytes(done, 2 * total);
  };
}
