/*
 * The part of the tar format that an archive of a few plain files needs: POSIX ustar headers (IEEE 1003.1, pax, "ustar Interchange Format"),
 * and GNU's binary sizes from 8 GiB on. Every tar program reads what is written here; read back is nothing but that.
 */

export const TAR_BLOCK = 512;
/** Two empty blocks end an archive. */
export const TAR_END_BYTES = 2 * TAR_BLOCK;

const NAME_BYTES = 100;
const OCTAL_SIZE_LIMIT = 8 ** 11;

export interface TarEntry {
  readonly name: string;
  readonly bytes: number;
}

/** The block at hand is no header that {@link tarHeader} could have written. */
export class TarRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = "TarRefused";
  }
}

/** The bytes that a member takes, header and filling included. */
export function tarSpace(bytes: number): number {
  return TAR_BLOCK + bytes + paddingOf(bytes);
}

/** What follows a member's content, up to the next whole block. */
export function paddingOf(bytes: number): number {
  return (TAR_BLOCK - (bytes % TAR_BLOCK)) % TAR_BLOCK;
}

/** The header of a plain file that only its owner may read. @param at epoch ms */
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

/** Reads a header. @returns null for an empty block. @throws TarRefused for a link, a device, a directory, and all that is not a plain file */
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

/** The sum of all bytes, those of the sum itself counted as blanks. */
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
