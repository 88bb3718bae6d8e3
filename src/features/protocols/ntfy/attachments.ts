import { type Principal, personKey } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { fileReply } from "../../../http/api/replies.ts";
import type { ANSWERS_LATER } from "../../../http/api/route.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { addressGroup, MEDIA_HEADERS } from "../../../http/server/headers.ts";
import type { Uses } from "../../../module/feature.ts";
import type { ReadDb } from "../../../store/database.ts";
import type { NtfyAttachmentsTable } from "../../../store/schema.ts";
import type { StoredFiles } from "../../../store/stored-files.ts";
import { NtfyError } from "./errors.ts";

export interface UploadedFile {
  readonly row: NtfyAttachmentsTable;
}

export interface AttachmentLimits {
  readonly fileBytes: number;
  /** Limit of one uploader. */
  readonly userBytes: number;
  readonly totalBytes: number;
  readonly keptMs: number;
}

interface AttachmentsParts extends Uses<"db" | "clock"> {
  readonly files: StoredFiles;
  limits(): AttachmentLimits;
  /** @throws STORAGE_FULL while the disk has too little space. */
  requireSpace(): void;
}

export const ATTACHMENTS_DIR = "ntfy";
const MAX_NAME = 255;

/** Whether a text may be the id of a message. */
export function isMessageId(text: string): boolean {
  return /^[A-Za-z0-9]{12}$/.test(text);
}

/** Files of messages, each under the id of its message. */
export class Attachments {
  readonly #parts: AttachmentsParts;
  /** Bytes of uploads whose rows are not committed yet, by owner. */
  readonly #pending = new Map<string, number>();

  constructor(parts: AttachmentsParts) {
    this.#parts = parts;
  }

  get limits(): AttachmentLimits {
    return this.#parts.limits();
  }

  /**
   * Stores a file and calls `publish` with its row, which commits it with its message. Without a
   * commit the file is removed.
   * @throws NtfyError 40015, 41301, 42905; STORAGE_FULL
   */
  async store<T>(
    file: {
      readonly id: string;
      readonly owner: string;
      readonly name: string;
      readonly type: string;
      readonly bytes: Buffer;
    },
    dueAt: EpochMs | null,
    publish: (file: UploadedFile) => Promise<T>,
  ): Promise<T> {
    const { clock } = this.#parts;
    const { id, owner, name, type, bytes } = file;
    const now = clock.now();
    const expiresAt = now + this.limits.keptMs;
    if (dueAt !== null && dueAt > expiresAt) throw new NtfyError(40015);
    const sizeBytes = bytes.length;
    const row = { id, owner, name: name.slice(0, MAX_NAME), type, sizeBytes, createdAt: now, expiresAt };
    this.#addPending(owner, sizeBytes);
    try {
      if (sizeBytes > this.limits.fileBytes) throw new NtfyError(41301);
      await this.#requireRoom(owner);
      await this.#parts.files.put(id, bytes);
      return await publish({ row });
    } catch (error) {
      await this.#parts.files.remove(id).catch(() => undefined);
      throw isDiskFull(error)
        ? new PrismError("STORAGE_FULL", "The disk is full; nothing was stored", { cause: error })
        : error;
    } finally {
      this.#addPending(owner, -sizeBytes);
    }
  }

  /** Answers with a file. @throws NtfyError 40401 */
  async reply(exchange: Exchange, name: string): Promise<typeof ANSWERS_LATER> {
    const id = /^([A-Za-z0-9]{12})(?:\.[\w.-]{1,32})?$/.exec(name)?.[1];
    const row = id === undefined ? undefined : await findAttachment(this.#parts.db.read, id);
    if (!row || row.expiresAt <= this.#parts.clock.now()) throw new NtfyError(40401);
    return fileReply(exchange, {
      size: row.sizeBytes,
      etag: `"${row.id}"`,
      headers: { "Content-Type": row.type, "Access-Control-Allow-Origin": "*" },
      fixedHeaders: MEDIA_HEADERS,
      open: async (range) => {
        const file = await this.#parts.files.read(row.id, range).catch(() => null);
        if (file === null) throw new NtfyError(40401);
        return file;
      },
    });
  }

  async remove(id: string): Promise<void> {
    await this.#parts.files.remove(id);
  }

  /** Removes files without a row, which a crash has left. Call it before the server answers. */
  sweepOrphans(): Promise<number> {
    const { files, db } = this.#parts;
    return files.sweep(async (id) => (await findAttachment(db.read, id)) !== undefined);
  }

  /** Ids of the messages that have a file. */
  async ids(): Promise<string[]> {
    const rows = await this.#parts.db.read.selectFrom("ntfy_attachments").select("id").execute();
    return rows.map(({ id }) => id);
  }

  async usedBy(owner: string): Promise<number> {
    return sizeOf(this.#parts.db.read, owner);
  }

  async #requireRoom(owner: string): Promise<void> {
    const { db, requireSpace } = this.#parts;
    const { userBytes, totalBytes } = this.limits;
    requireSpace();
    const own = (await sizeOf(db.read, owner)) + (this.#pending.get(owner) ?? 0);
    if (own > userBytes) throw new NtfyError(41301, "ntfy.attachments.userBytes");
    const all = (await sizeOf(db.read, null)) + [...this.#pending.values()].reduce((sum, each) => sum + each, 0);
    if (all > totalBytes) throw new NtfyError(41301, "ntfy.attachments.totalBytes");
  }

  #addPending(owner: string, bytes: number): void {
    const pending = (this.#pending.get(owner) ?? 0) + bytes;
    if (pending === 0) this.#pending.delete(owner);
    else this.#pending.set(owner, pending);
  }
}

/** Whose limit an upload counts for: a person, for a key its creator, for anonymous ones the address. */
export function uploaderOf(principal: Principal | null, address: string): string {
  if (principal === null) return `ip:${addressGroup(address)}`;
  return personKey(principal);
}

function findAttachment(db: ReadDb, id: string) {
  return db.selectFrom("ntfy_attachments").selectAll().where("id", "=", id).executeTakeFirst();
}

/** @param owner null: of all. */
async function sizeOf(db: ReadDb, owner: string | null): Promise<number> {
  const all = db.selectFrom("ntfy_attachments").select((e) => e.fn.sum<number>("sizeBytes").as("bytes"));
  const row = await (owner === null ? all : all.where("owner", "=", owner)).executeTakeFirst();
  return Number(row?.bytes ?? 0);
}

function isDiskFull(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : "";
  return code === "ENOSPC" || code === "EDQUOT";
}

const TYPES: readonly (readonly [extension: string, type: string, test: (bytes: Buffer) => boolean])[] = [
  [".png", "image/png", (b) => b.subarray(0, 4).equals(Buffer.from([0x89, 0x50, 0x4e, 0x47]))],
  [".jpg", "image/jpeg", (b) => b[0] === 0xff && b[1] === 0xd8 && b[2] === 0xff],
  [".gif", "image/gif", (b) => /^GIF8[79]a/.test(b.toString("latin1", 0, 6))],
  [".webp", "image/webp", (b) => b.toString("latin1", 0, 4) === "RIFF" && b.toString("latin1", 8, 12) === "WEBP"],
  [".pdf", "application/pdf", (b) => b.toString("latin1", 0, 5) === "%PDF-"],
  [".zip", "application/zip", (b) => b.toString("latin1", 0, 4) === "PK\u0003\u0004"],
  [".gz", "application/gzip", (b) => b[0] === 0x1f && b[1] === 0x8b],
  [
    ".mp3",
    "audio/mpeg",
    (b) => b.toString("latin1", 0, 3) === "ID3" || (b[0] === 0xff && ((b[1] ?? 0) & 0xe0) === 0xe0),
  ],
  [".ogg", "audio/ogg", (b) => b.toString("latin1", 0, 4) === "OggS"],
  [".mp4", "video/mp4", (b) => b.toString("latin1", 4, 8) === "ftyp"],
];

/** Type and extension of a file by its first bytes and its name. Text is never a page. */
export function typeOf(
  bytes: Buffer,
  name: string,
  isText: boolean,
): { readonly type: string; readonly extension: string } {
  const known = TYPES.find(([, , test]) => test(bytes));
  const own = /\.[A-Za-z0-9]{1,10}$/.exec(name)?.[0].toLowerCase();
  if (known) return { type: known[1], extension: own ?? known[0] };
  return isText
    ? { type: "text/plain; charset=utf-8", extension: own ?? ".txt" }
    : { type: "application/octet-stream", extension: own ?? ".bin" };
}
