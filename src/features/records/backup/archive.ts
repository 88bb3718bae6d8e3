import { createHash } from "node:crypto";
import { createReadStream, mkdirSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import {
  type ArchiveMember,
  ArchiveRefused,
  KEYS_MEMBER,
  MANIFEST_MEMBER,
  type Manifest,
  type ReadManifest,
  readManifest,
} from "./manifest.ts";

/*
 * The subset of the tar format for a few plain files: POSIX ustar headers (IEEE 1003.1, pax, "ustar
 * Interchange Format"), and GNU's binary sizes from 8 GiB. Every tar program reads its output; it
 * reads only that.
 */

export const TAR_BLOCK = 512;
/** Two empty blocks end an archive. */
export const TAR_END_BYTES = 2 * TAR_BLOCK;

const NAME_BYTES = 100;
const OCTAL_SIZE_LIMIT = 8 ** 11;

interface TarEntry {
  readonly name: string;
  readonly bytes: number;
}

/** The block is not a header that {@link tarHeader} writes. */
export class TarRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = "TarRefused";
  }
}

/** Size of a member with header and padding. */
export function tarSpace(bytes: number): number {
  return TAR_BLOCK + bytes + paddingOf(bytes);
}

/** Padding after a member's content, to a whole block. */
export function paddingOf(bytes: number): number {
  return (TAR_BLOCK - (bytes % TAR_BLOCK)) % TAR_BLOCK;
}

/** The header of a plain file with mode 0600. @param at epoch ms */
export function tarHeader({ name, bytes }: TarEntry, at: number): Buffer {
  const header = Buffer.alloc(TAR_BLOCK);
  if (Buffer.byteLength(name) > NAME_BYTES) throw new TypeError(`the name ${name} is too long for a tar header`);
  header.write(name, 0);
  header.write("0000600\0", 100);
  header.write("0000000\0", 108);
  header.write("0000000\0", 116);
  writeSize(header, bytes);
  header.write(`${octal(Math.floor(at / 1000), 11)}\0`, 136);
  header.write("0", 156);
  header.write("ustar\x0000", 257, "latin1");
  header.write(`${octal(checksum(header), 6)}\0 `, 148);
  return header;
}

/** @returns null for an empty block. @throws TarRefused for anything but a plain file */
export function readTarHeader(block: Buffer): TarEntry | null {
  if (block.every((byte) => byte === 0)) return null;
  if (block.toString("latin1", 257, 265) !== "ustar\x0000") throw new TarRefused("it is not a tar archive of Prism");
  if (Number.parseInt(block.toString("latin1", 148, 154), 8) !== checksum(block))
    throw new TarRefused("a header is damaged");
  const name = textOf(block, 0, NAME_BYTES);
  if (block.toString("latin1", 156, 157) !== "0" || block[157] !== 0)
    throw new TarRefused(`${JSON.stringify(name)} is not a plain file`);
  if (block[345] !== 0) throw new TarRefused(`the name ${JSON.stringify(name)} goes on`);
  return { name, bytes: readSize(block) };
}

function writeSize(header: Buffer, bytes: number): void {
  if (bytes < OCTAL_SIZE_LIMIT) {
    header.write(`${octal(bytes, 11)}\0`, 124);
    return;
  }
  header[124] = 0x80;
  header.writeBigUInt64BE(BigInt(bytes), 128);
}

function readSize(block: Buffer): number {
  const text = block.toString("latin1", 124, 136);
  if (/^[0-7]{11}\0$/.test(text)) return Number.parseInt(text, 8);
  const bytes = Number(block.readBigUInt64BE(128));
  if (block[124] !== 0x80 || block.readUIntBE(125, 3) !== 0 || !Number.isSafeInteger(bytes))
    throw new TarRefused("a size cannot be read");
  return bytes;
}

/** Sum of all bytes, with the checksum field counted as spaces. */
function checksum(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < TAR_BLOCK; at++) if (at < 148 || at >= 156) sum += block[at] ?? 0;
  return sum;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}

function textOf(block: Buffer, start: number, length: number): string {
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end < 0 ? length : end);
}

const READ_BYTES = 1_048_576;
/** Enough for several hundred thousand sounds. */
const MAX_MANIFEST_BYTES = 67_108_864;
const MAX_KEYS_BYTES = 65_536;

/** Content of an archive: bytes, or a file that is read when it is written. */
export interface ArchiveSource {
  readonly name: string;
  readonly content: Buffer | { readonly file: string };
}

/** A source with its size and hash, for the manifest. */
export interface MeasuredSource extends ArchiveSource {
  readonly bytes: number;
  readonly sha256: string;
}

export interface WrittenArchive {
  readonly bytes: number;
  readonly sha256: string;
}

/** Reads a source once, for the manifest, which precedes it. */
export async function measure(source: ArchiveSource): Promise<MeasuredSource> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of chunksOf(source)) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { ...source, bytes, sha256: hash.digest("hex") };
}

/**
 * Writes manifest and members to a new file and flushes it. @param at epoch ms, time of the
 * members.
 * @throws ArchiveRefused when a file has changed since it was measured
 */
export async function writeArchive(
  file: string,
  manifest: Buffer,
  members: readonly MeasuredSource[],
  at: number,
  onBytes: (bytes: number) => void,
): Promise<WrittenArchive> {
  const handle = await open(file, "wx", 0o600);
  try {
    const whole = createHash("sha256");
    let bytes = 0;
    const write = async (chunk: Buffer): Promise<void> => {
      whole.update(chunk);
      bytes += chunk.length;
      await handle.writeFile(chunk);
    };
    await write(tarHeader({ name: MANIFEST_MEMBER, bytes: manifest.length }, at));
    await write(manifest);
    await write(Buffer.alloc(paddingOf(manifest.length)));
    for (const member of members) {
      await write(tarHeader(member, at));
      const hash = createHash("sha256");
      for await (const chunk of chunksOf(member)) {
        hash.update(chunk);
        await write(chunk);
        onBytes(chunk.length);
      }
      if (hash.digest("hex") !== member.sha256)
        throw new ArchiveRefused("damaged", `${member.name} changed while it was copied; try again`);
      await write(Buffer.alloc(paddingOf(member.bytes)));
    }
    await write(Buffer.alloc(TAR_END_BYTES));
    await handle.sync();
    return { bytes, sha256: whole.digest("hex") };
  } finally {
    await handle.close();
  }
}

function chunksOf({ content }: ArchiveSource): AsyncIterable<Buffer> | Iterable<Buffer> {
  if (Buffer.isBuffer(content)) return [content];
  return createReadStream(content.file, { highWaterMark: READ_BYTES });
}

/**
 * Reads an untrusted archive. The manifest lists its members with order and size; any other
 * content, or any deviation, makes it damaged. Only names allowed in a manifest become paths.
 */
export class ArchiveReader {
  readonly manifest: Manifest;
  readonly #signed: ReadManifest;
  readonly #handle: FileHandle;
  readonly #firstAt: number;

  private constructor(handle: FileHandle, signed: ReadManifest, firstAt: number) {
    this.#handle = handle;
    this.#signed = signed;
    this.#firstAt = firstAt;
    this.manifest = signed.manifest;
  }

  /** Reads the manifest and compares the file's size. @throws ArchiveRefused, and file errors */
  static async open(file: string): Promise<ArchiveReader> {
    const handle = await open(file, "r");
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) throw new ArchiveRefused("damaged", `${file} is not a file`);
      const header = await headerAt(handle, 0, MANIFEST_MEMBER);
      if (header.bytes > MAX_MANIFEST_BYTES) throw damaged("its manifest is too large");
      if (TAR_BLOCK + header.bytes > stat.size) throw damaged(`its end is missing, after ${stat.size} bytes`);
      const signed = readManifest(await readAt(handle, TAR_BLOCK, header.bytes));
      const firstAt = tarSpace(header.bytes);
      const padding = await readAt(handle, TAR_BLOCK + header.bytes, paddingOf(header.bytes));
      if (padding.some((byte) => byte !== 0)) throw damaged(`something follows ${MANIFEST_MEMBER}`);
      const wanted = signed.manifest.members.reduce((at, { bytes }) => at + tarSpace(bytes), firstAt) + TAR_END_BYTES;
      if (stat.size !== wanted) throw damaged(`it has ${stat.size} bytes of ${wanted}`);
      return new ArchiveReader(handle, signed, firstAt);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** The manifest with its unverified signature. */
  get signed(): ReadManifest {
    return this.#signed;
  }

  /** Size of the unpacked members. */
  get contentBytes(): number {
    return this.manifest.members.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The sealed keys; undefined without any. @throws ArchiveRefused */
  async keys(): Promise<Buffer | undefined> {
    const index = this.manifest.members.findIndex(({ name }) => name === KEYS_MEMBER);
    const member = this.manifest.members[index];
    if (!member) return undefined;
    if (member.bytes > MAX_KEYS_BYTES) throw damaged(`${KEYS_MEMBER} is too large`);
    const chunks: Buffer[] = [];
    await this.#read(member, this.#offsetOf(index), async (chunk) => void chunks.push(Buffer.from(chunk)));
    return Buffer.concat(chunks);
  }

  /**
   * Writes the members except the keys as new files with mode 0600. @param pathOf path of a member.
   * @throws ArchiveRefused
   */
  async unpack(pathOf: (name: string) => string, onBytes: (bytes: number) => void): Promise<void> {
    for (const [index, member] of this.manifest.members.entries()) {
      if (member.name === KEYS_MEMBER) continue;
      const path = pathOf(member.name);
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      const target = await open(path, "wx", 0o600);
      try {
        await this.#read(member, this.#offsetOf(index), async (chunk) => {
          await target.writeFile(chunk);
          onBytes(chunk.length);
        });
        await target.sync();
      } finally {
        await target.close();
      }
    }
    const end = await readAt(this.#handle, this.#offsetOf(this.manifest.members.length), TAR_END_BYTES);
    if (end.some((byte) => byte !== 0)) throw damaged("something follows its last member");
  }

  /** Reads and verifies every member. @throws ArchiveRefused */
  async readThrough(): Promise<void> {
    for (const [index, member] of this.manifest.members.entries())
      await this.#read(member, this.#offsetOf(index), async () => undefined);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  #offsetOf(index: number): number {
    return this.manifest.members.slice(0, index).reduce((at, { bytes }) => at + tarSpace(bytes), this.#firstAt);
  }

  async #read(member: ArchiveMember, at: number, take: (chunk: Buffer) => Promise<unknown>): Promise<void> {
    const { name, bytes, sha256 } = member;
    const header = await headerAt(this.#handle, at, name);
    if (header.bytes !== bytes) throw damaged(`${name} has another size than its manifest says`);
    const hash = createHash("sha256");
    for (let done = 0; done < bytes; ) {
      const chunk = await readAt(this.#handle, at + TAR_BLOCK + done, Math.min(READ_BYTES, bytes - done));
      hash.update(chunk);
      await take(chunk);
      done += chunk.length;
    }
    const padding = await readAt(this.#handle, at + TAR_BLOCK + bytes, paddingOf(bytes));
    if (padding.some((byte) => byte !== 0)) throw damaged(`something follows ${name}`);
    if (hash.digest("hex") !== sha256) throw damaged(`${name} is not what its manifest says`);
  }
}

async function headerAt(handle: FileHandle, at: number, name: string) {
  try {
    const header = readTarHeader(await readAt(handle, at, TAR_BLOCK));
    if (header?.name === name) return header;
    throw damaged(header ? `${JSON.stringify(header.name)} is in the position of ${name}` : `${name} is missing`);
  } catch (error) {
    if (error instanceof TarRefused) throw damaged(error.message);
    throw error;
  }
}

async function readAt(handle: FileHandle, at: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes);
  for (let done = 0; done < bytes; ) {
    const { bytesRead } = await handle.read(buffer, done, bytes - done, at + done);
    if (bytesRead === 0) throw damaged("it ends too early");
    done += bytesRead;
  }
  return buffer;
}

function damaged(why: string): ArchiveRefused {
  return new ArchiveRefused("damaged", `the archive is damaged: ${why}`);
}
