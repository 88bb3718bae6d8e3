import { randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import SqliteDatabase, { type Database as Sqlite } from "better-sqlite3";
import { sha256Hex } from "../../../../../src/core/crypto/tokens.ts";
import { systemClock } from "../../../../../src/core/time/clock.ts";
import { paddingOf, TAR_END_BYTES, tarHeader } from "../../../../../src/features/records/backup/archive.ts";
import { type ArchiveMember, signManifest } from "../../../../../src/features/records/backup/manifest.ts";
import { type RestoreOptions, restore } from "../../../../../src/features/records/backup/restore.ts";
import { MIGRATIONS } from "../../../../../src/store/sqlite/migrations.gen.ts";
import { openTestStore, TEST_KEY, temporaryDir } from "../../../../helpers/store.ts";

export interface CraftedMember {
  readonly name: string;
  readonly content: Buffer;
  /** Replaces the correct header. */
  readonly header?: Buffer;
  /** What the manifest says of it; null: nothing. */
  readonly listed?: Partial<ArchiveMember> | null;
}

export interface Crafted {
  readonly members: readonly CraftedMember[];
  /** Signs; {@link TEST_KEY} by default. */
  readonly key?: Uint8Array;
  /** Changes the manifest's text after it was signed. */
  change?(manifest: string): string;
  /** Data after the end. */
  readonly tail?: Buffer;
}

/** An archive that an attacker could write from the format's description. @returns its path */
export function craft(t: TestContext, { members, key = TEST_KEY, change, tail }: Crafted): string {
  const listed = members
    .filter((member) => member.listed !== null)
    .map(({ name, content, listed }) => ({ name, bytes: content.length, sha256: sha256Hex(content), ...listed }));
  // Past the schema's own rules, which are under test: a signature does not make a manifest good.
  const plain = { name: "prism.db", bytes: 0, sha256: "0".repeat(64) };
  const facts = {
    id: randomUUID(),
    version: "0.1.0",
    createdAt: "2026-01-31T08:00:00.000Z",
    schema: MIGRATIONS.map(({ name, sql }) => ({ name, checksum: sha256Hex(sql) })),
    offsets: { events: 0, streams: 0 },
  };
  let isOrdinary = true;
  let manifest: Buffer;
  try {
    manifest = signManifest({ ...facts, members: listed }, key);
  } catch {
    isOrdinary = false;
    manifest = signManifest({ ...facts, members: [plain] }, key);
  }
  let text = manifest.toString();
  if (!isOrdinary) {
    const whole = JSON.parse(text) as { manifest: { members: unknown } };
    whole.manifest.members = listed;
    text = JSON.stringify(whole);
  }
  const manifestBytes = Buffer.from(change?.(text) ?? text);
  const parts = [{ name: "manifest.json", content: manifestBytes }, ...members].flatMap((member: CraftedMember) => [
    member.header ?? tarHeader({ name: member.name, bytes: member.content.length }, 0),
    member.content,
    Buffer.alloc(paddingOf(member.content.length)),
  ]);
  const file = join(temporaryDir(t), "crafted.tar");
  writeFileSync(file, Buffer.concat([...parts, Buffer.alloc(TAR_END_BYTES), tail ?? Buffer.alloc(0)]));
  return file;
}

/**
 * A database as a server has left it, with a trail of three rows and `change` applied by a SQLite
 * shell, as bytes.
 */
export async function databaseBytes(t: TestContext, change?: (db: Sqlite) => void): Promise<Buffer> {
  const store = openTestStore(t);
  for (const action of ["one", "two", "three"])
    await store.database.write(async (trx) => {
      store.database.audit(trx, {
        id: randomUUID(),
        action,
        userId: null,
        actor: "{}",
        resourceType: null,
        resourceId: null,
        metadata: "{}",
        ip: null,
        requestId: null,
        timestamp: Date.now(),
      });
    });
  await store.close();
  const db = new SqliteDatabase(store.file);
  db.pragma("foreign_keys = OFF");
  change?.(db);
  db.pragma("wal_checkpoint(TRUNCATE)");
  db.close();
  return readFileSync(store.file);
}

/** Restores into a directory as the command does that holds its lock. */
export function restoreInto(
  dir: string,
  file: string,
  options: Partial<RestoreOptions> = {},
): ReturnType<typeof restore> {
  return restore({
    file,
    keys: [TEST_KEY],
    trust: false,
    places: { dataDir: dir, databaseFile: join(dir, "prism.db") },
    clock: systemClock,
    onBytes: () => undefined,
    ...options,
  });
}
