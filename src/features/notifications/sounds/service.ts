import { sql } from "kysely";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { Context } from "../../../module/feature.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import * as queries from "./queries.ts";
import { Sound, type SoundRow, soundList } from "./sound.ts";
import type { ListSounds, UploadedSound } from "./upload.ts";

export type SoundsContext = Context<"runner" | "jobs" | "sounds">;

const DEFAULT_TTL_MS = 3_600_000;
const MAX_NAMED_RULES = 50;

/** Kind of the job that removes the bytes of a deleted sound. */
export const REMOVE_KIND = "sound.remove";

export interface RemovePayload {
  readonly storage: SoundRow["storage"];
  readonly storageKey: string;
}

/** Stores the file before its row: a row always has its file. @throws NAME_TAKEN, OVERLOADED */
export async function storeSound(ctx: SoundsContext, sound: UploadedSound, createdBy: string | null) {
  const { db, clock, audit, sounds } = ctx;
  const { files } = sounds;
  // Before the bytes are stored, so that a taken name costs nothing.
  await requireFreeName(sound.filename, db.read);
  const id = uuidv7();
  const { filename, kind, bytes, sha256 } = sound;
  await files.put(id, bytes, { mime: kind.mime, sha256 });
  const row = Sound.newRow(
    {},
    {
      ...{ id, filename, mime: kind.mime, bytes: bytes.length, sha256 },
      ...{ storage: files.kind, storageKey: id, createdBy, createdAt: clock.now() },
    },
  );
  try {
    await db.write(async (trx) => {
      await requireFreeName(filename, trx);
      await trx.insertInto("sounds").values(row).execute();
      const metadata = { mime: kind.mime, bytes: bytes.length, sha256, storage: files.kind };
      await audit.record({ action: "sound.create", resourceType: "sound", resourceId: id, metadata }, { trx });
    });
  } catch (error) {
    await files.remove(id).catch(() => undefined);
    throw error;
  }
  return soundView(ctx, row, DEFAULT_TTL_MS, 0);
}

export function soundsPage(ctx: SoundsContext, { ttlMs = DEFAULT_TTL_MS, ...query }: ListSounds) {
  const { db } = ctx;
  return soundList.page(db, { visible: sql`true`, state: undefined }, query, async (rows) => {
    const counts = await queries.ruleCounts(db.read, namesOf(rows));
    return (row) => soundView(ctx, row, ttlMs, counts.get(row.filename.toLowerCase()) ?? 0);
  });
}

export async function getSound(ctx: SoundsContext, id: string, ttlMs = DEFAULT_TTL_MS) {
  const row = await requireStoredSound(ctx.db.read, id);
  const counts = await queries.ruleCounts(ctx.db.read, namesOf([row]));
  return soundView(ctx, row, ttlMs, counts.get(row.filename.toLowerCase()) ?? 0);
}

function namesOf(rows: readonly SoundRow[]): string[] {
  return rows.map(({ filename }) => filename);
}

/** @throws SOUND_NOT_FOUND */
export function requireStoredSound(db: ReadDb | Trx, id: string): Promise<SoundRow> {
  return Sound.require(db, id, "SOUND_NOT_FOUND", "sound");
}

/** A job removes the bytes after the commit, with retries. @throws SOUND_NOT_FOUND, SOUND_IN_USE */
export async function removeSound(
  { db, clock, audit, jobs }: SoundsContext,
  id: string,
  force: boolean,
): Promise<void> {
  await db.write(async (trx) => {
    const row = await requireStoredSound(trx, id);
    const ruleIds = await queries.rulesWith(trx, row.filename, MAX_NAMED_RULES);
    if (ruleIds.length > 0 && !force) throw inUse(ruleIds);
    await trx.updateTable("sounds").set({ deletedAt: clock.now() }).where("id", "=", id).execute();
    const { storage, storageKey } = row;
    const payload: RemovePayload = { storage, storageKey };
    await jobs.enqueue({ queue: "retention", kind: REMOVE_KIND, payload, runAt: clock.now() }, { trx });
    const metadata = { sha256: row.sha256, bytes: row.bytes, forced: ruleIds.length > 0 };
    await audit.record({ action: "sound.delete", resourceType: "sound", resourceId: id, metadata }, { trx });
  });
}

async function requireFreeName(filename: string, db: ReadDb | Trx): Promise<void> {
  if ((await queries.storedName(db, filename)) !== undefined)
    throw new PrismError("NAME_TAKEN", "Another sound has this name");
}

function soundView(ctx: SoundsContext, row: SoundRow, ttlMs: number, rules: number) {
  return Sound.view(row, { rules, ...ctx.sounds.links.linkFor(row.id, ttlMs) });
}

function inUse(ruleIds: readonly string[]): PrismError {
  return new PrismError("SOUND_IN_USE", "Rules use this sound; force=true deletes it anyway", {
    details: ruleIds.map((ruleId) => ({ code: "SOUND_IN_USE", message: "this rule uses the sound", ruleId })),
  });
}
