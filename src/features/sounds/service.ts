import { toRfc3339 } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { isUuid, uuidv7 } from "../../core/ids.ts";
import { isFarPage, pageBody, readPage } from "../../http/pagination.ts";
import type { Context } from "../../module/feature.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import * as queries from "./queries.ts";
import type { ListQuery, UploadedSound } from "./upload.ts";

export type SoundsContext = Context<"runner" | "jobs" | "sounds">;

const DEFAULT_TTL_MS = 3_600_000;
const MAX_NAMED_RULES = 50;

/** Kind of the job that removes the bytes of a deleted sound. */
export const REMOVE_KIND = "sound.remove";

export interface RemovePayload {
  readonly storage: queries.SoundRow["storage"];
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
  const row: queries.SoundRow = {
    id,
    filename,
    mime: kind.mime,
    bytes: bytes.length,
    sha256,
    storage: files.kind,
    storageKey: id,
    durationMs: null,
    createdBy,
    createdAt: clock.now(),
    deletedAt: null,
  };
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

export async function soundsPage(ctx: SoundsContext, { ttlMs = DEFAULT_TTL_MS, ...query }: ListQuery) {
  const { db } = ctx;
  const request = readPage(query, ["number", "string"]);
  const rows = await queries.listSounds(isFarPage(request) ? db.scan : db.read, request);
  const total = request.wantsTotal ? await queries.countSounds(db.scan) : undefined;
  const counts = await queries.ruleCounts(db.read, namesOf(rows));
  return pageBody(
    request,
    rows,
    (row) => soundView(ctx, row, ttlMs, counts.get(row.filename.toLowerCase()) ?? 0),
    (row) => [row.createdAt, row.id],
    total,
  );
}

export async function getSound(ctx: SoundsContext, id: string, ttlMs = DEFAULT_TTL_MS) {
  const row = await requireStoredSound(ctx.db.read, id);
  const counts = await queries.ruleCounts(ctx.db.read, namesOf([row]));
  return soundView(ctx, row, ttlMs, counts.get(row.filename.toLowerCase()) ?? 0);
}

function namesOf(rows: readonly queries.SoundRow[]): string[] {
  return rows.map(({ filename }) => filename);
}

/** @throws SOUND_NOT_FOUND */
export async function requireStoredSound(db: ReadDb | Trx, id: string): Promise<queries.SoundRow> {
  const row = isUuid(id) ? await queries.findSound(db, id) : undefined;
  if (!row) throw new PrismError("SOUND_NOT_FOUND", "No such sound");
  return row;
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
    throw new PrismError("NAME_TAKEN", "There is a sound of this name");
}

function soundView(ctx: SoundsContext, row: queries.SoundRow, ttlMs: number, rules: number) {
  return {
    id: row.id,
    filename: row.filename,
    mime: row.mime,
    bytes: row.bytes,
    sha256: row.sha256,
    createdBy: row.createdBy,
    createdAt: toRfc3339(row.createdAt),
    rules,
    ...ctx.sounds.links.linkFor(row.id, ttlMs),
  };
}

function inUse(ruleIds: readonly string[]): PrismError {
  return new PrismError("SOUND_IN_USE", "Rules use this sound; force=true deletes it all the same", {
    details: ruleIds.map((ruleId) => ({ code: "SOUND_IN_USE", message: "this rule uses the sound", ruleId })),
  });
}
