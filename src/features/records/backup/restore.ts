import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { SealedBox } from "../../../core/crypto/sealed-box.ts";
import { type freeBytes, SOUNDS_DIR, syncFile } from "../../../core/data-dir.ts";
import { type Clock, type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import { readSequences } from "../../../store/commit/sequences.ts";
import { openForWriting } from "../../../store/sqlite/connection.ts";
import { type AuditHead, readAuditHead } from "../audit/index.ts";
import { ArchiveReader } from "./archive.ts";
import {
  ArchiveRefused,
  type CarriedKeys,
  DATABASE_MEMBER,
  type Manifest,
  openKeys,
  requireRoom,
  requireSigned,
} from "./manifest.ts";
import { checkDatabase, type PreparedRestore, prepareRestored, type ReplacedData } from "./prepare-restored.ts";
import { commitRestore, type DataPaths, foldersOf, isRestorePending } from "./swap.ts";

export interface ArchiveOptions {
  readonly file: string;
  /** The configured encryption key and its predecessors; may be empty. */
  readonly keys: readonly Uint8Array[];
  /** Opens the keys in the archive, which then replace the configured ones. */
  readonly passphrase?: string | undefined;
  /** Accepts an archive without a signature by a known key. */
  readonly trust: boolean;
  readonly free?: typeof freeBytes | undefined;
  onBytes(bytes: number, ofBytes: number): void;
}

export interface RestoreOptions extends ArchiveOptions {
  readonly places: DataPaths;
  readonly clock: Clock;
  /** For tests that interrupt. */
  onStep?(what: string): void;
}

export interface CheckedArchive {
  readonly manifest: Manifest;
  /** Migrations of the archive's database. */
  readonly schema: readonly string[];
}

export interface Restored extends PreparedRestore {
  readonly manifest: Manifest;
  /** Folders with the old data; null if there was none. */
  readonly kept: readonly string[] | null;
  /** The keys came with the archive and are now in secrets.json. */
  readonly keys: CarriedKeys | null;
}

/** Unpacked members need slightly more than their size. */
const OVERHEAD_BYTES = 1_048_576;

/**
 * Checks an archive completely, as a restore would. @param work a new folder, removed by the
 * caller. @throws ArchiveRefused, SchemaRefused, UnsealError
 */
export async function checkArchive(options: ArchiveOptions, work: string): Promise<CheckedArchive> {
  return withArchive(options, async (reader, box) => {
    mkdirSync(work, { recursive: true, mode: 0o700 });
    const schema = await unpackChecked(reader, box, options, [work], (name) => join(work, name));
    return { manifest: reader.manifest, schema };
  });
}

/** Name of the folder for data that is not in use yet. */
export function stagedName(): string {
  return `.restore-${process.pid}.partial`;
}

/**
 * Replaces the current data by an archive's. The caller holds the data directory's lock. The old
 * data is untouched until everything is unpacked, checked and prepared; afterwards it is in a
 * folder beside the new data. @throws ArchiveRefused, SchemaRefused, UnsealError, and errors of
 * SQLite
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const { places, clock } = options;
  const [staged, kept] = [stagedName(), keptName(clock.now())];
  const folders = foldersOf(places, staged);
  const [databaseFolder = "", besides = databaseFolder] = folders;
  const database = join(databaseFolder, basename(places.databaseFile));
  for (const folder of folders) {
    // Left by a killed process with the same number.
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }
  try {
    return await withArchive(options, async (reader, box, keys) => {
      const pathOf = (name: string): string => (name === DATABASE_MEMBER ? database : join(besides, name));
      await unpackChecked(reader, box, options, folders, pathOf);
      const replaced = await readReplaced(places);
      const { manifest } = reader;
      const prepared = await prepareRestored({ file: database, box, clock, manifest, replaced });
      writeBesides(places, besides, prepared.headLine, keys);
      syncFile(database);
      const hadData = existsSync(places.databaseFile);
      commitRestore(places, { staged, kept }, options.onStep);
      const keptFolders = foldersOf(places, kept).filter((folder) => existsSync(folder));
      return { ...prepared, manifest, kept: hadData ? keptFolders : null, keys };
    });
  } finally {
    // Once the marker is written this is the data; the next process moves the rest.
    if (!isRestorePending(places)) for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
}

/** Opens an archive, selects the keys, and checks whether its origin is trusted. */
async function withArchive<T>(
  { file, keys, passphrase, trust }: ArchiveOptions,
  work: (reader: ArchiveReader, box: SealedBox, carried: CarriedKeys | null) => Promise<T>,
): Promise<T> {
  const reader = await ArchiveReader.open(file);
  try {
    const carried = passphrase === undefined ? null : await carriedKeys(reader, passphrase);
    const all = carried ? [carried.encryptionKey, ...carried.previousEncryptionKeys] : keys;
    if (!trust) requireSigned(reader.signed, all);
    const [key, ...previous] = all;
    if (!key)
      throw new ArchiveRefused(
        "untrusted",
        "no encryption key is configured, and the database cannot be read without; set PRISM_ENCRYPTION_KEY",
      );
    return await work(reader, new SealedBox([key, ...previous]), carried);
  } finally {
    await reader.close();
  }
}

async function carriedKeys(reader: ArchiveReader, passphrase: string): Promise<CarriedKeys> {
  const sealed = await reader.keys();
  if (!sealed) throw new ArchiveRefused("damaged", "the archive carries no keys; leave --include-secrets out");
  return openKeys(sealed, passphrase);
}

async function unpackChecked(
  reader: ArchiveReader,
  box: SealedBox,
  { free, onBytes }: ArchiveOptions,
  folders: readonly string[],
  pathOf: (name: string) => string,
): Promise<readonly string[]> {
  const total = reader.contentBytes;
  for (const folder of folders) requireRoom(folder, total + OVERHEAD_BYTES, free);
  let done = 0;
  await reader.unpack(pathOf, (bytes) => {
    done += bytes;
    onBytes(done, total);
  });
  return checkDatabase(pathOf(DATABASE_MEMBER), box);
}

/**
 * The head for the next verification, the keys, and a folder for sounds if there is one now,
 * because that belongs to the old database.
 */
function writeBesides({ dataDir }: DataPaths, folder: string, headLine: string, keys: CarriedKeys | null): void {
  const write = (name: string, text: string): void =>
    writeFileSync(join(folder, name), text, { mode: 0o600, flush: true });
  write("audit.head", headLine);
  if (existsSync(join(dataDir, SOUNDS_DIR))) mkdirSync(join(folder, SOUNDS_DIR), { recursive: true, mode: 0o700 });
  if (!keys) return;
  const [encryptionKey, ...previous] = [keys.encryptionKey, ...keys.previousEncryptionKeys].map((key) =>
    Buffer.from(key).toString("base64"),
  );
  const made = {
    jwtSecret: keys.jwtSecret,
    encryptionKey,
    ...(previous.length > 0 ? { previousEncryptionKeys: previous } : {}),
  };
  write("secrets.json", `${JSON.stringify(made, null, 2)}\n`);
}

/** Null without a readable database: that is a reason to restore. */
async function readReplaced({ dataDir, databaseFile }: DataPaths): Promise<ReplacedData | null> {
  if (!existsSync(databaseFile)) return null;
  try {
    // Closing the last connection moves the log into the file, so the old data is one file.
    const connection = openForWriting({ file: databaseFile, busyTimeoutMs: 1000 });
    try {
      const { events, streams } = readSequences(connection);
      const last = connection.prepare<[], AuditHead>("select seq, hash from audit_log order by seq desc limit 1").get();
      return {
        positions: { events: events.last, streams: streams.last },
        head: last ?? (await readAuditHead(dataDir)),
      };
    } finally {
      connection.close();
    }
  } catch {
    return null;
  }
}

/** Each restore keeps what it replaced, so that a second one does not remove the first's. */
function keptName(now: EpochMs): string {
  return `${toRfc3339(now).replace(/[-:.]/g, "")}.before-restore`;
}
