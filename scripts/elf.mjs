// Reads the tables of 64-bit ELF files, little endian, that say which versions of libraries they need.

const SHT_DYNSYM = 11;
const SHT_GNU_VERNEED = 0x6ffffffe;
const SHT_GNU_VERSYM = 0x6fffffff;
/** Bytes of an entry of .dynsym. */
export const SYMBOL_BYTES = 24;

/** The dynamic symbols, the version of each, and their names' section; null for a static file. */
export function dynamicSymbols(bytes) {
  const sections = readSections(bytes);
  const symbols = sections.find(({ type }) => type === SHT_DYNSYM);
  const versions = sections.find(({ type }) => type === SHT_GNU_VERSYM);
  const needed = sections.find(({ type }) => type === SHT_GNU_VERNEED);
  return symbols && versions && needed ? { symbols, versions, needed, names: sections[symbols.link] } : null;
}

function readSections(bytes) {
  const start = Number(bytes.readBigUInt64LE(0x28));
  const [entryBytes, count] = [bytes.readUInt16LE(0x3a), bytes.readUInt16LE(0x3c)];
  return Array.from({ length: count }, (_, i) => {
    const at = start + i * entryBytes;
    const number = (offset) => Number(bytes.readBigUInt64LE(at + offset));
    return {
      type: bytes.readUInt32LE(at + 4),
      offset: number(24),
      size: number(32),
      link: bytes.readUInt32LE(at + 40),
    };
  });
}

/**
 * The versions that the file needs: the library, the position of the entry, its name, and the index
 * that symbols use.
 */
export function neededVersions(bytes, { needed, names }) {
  const found = [];
  for (let file = needed.offset; ; file += bytes.readUInt32LE(file + 12)) {
    const library = textAt(bytes, names.offset + bytes.readUInt32LE(file + 4));
    let at = file + bytes.readUInt32LE(file + 8);
    for (let left = bytes.readUInt16LE(file + 2); left > 0; left--) {
      const name = textAt(bytes, names.offset + bytes.readUInt32LE(at + 8));
      found.push({ library, at, index: bytes.readUInt16LE(at + 6), name });
      at += bytes.readUInt32LE(at + 12);
    }
    if (bytes.readUInt32LE(file + 12) === 0) return found;
  }
}

/** Every symbol of the file that has a version: { name, version }, as `objdump -T` lists them. */
export function versionedSymbols(bytes) {
  const tables = dynamicSymbols(bytes);
  if (tables === null) return [];
  const { symbols, versions, names } = tables;
  const versionOf = new Map(neededVersions(bytes, tables).map(({ index, name }) => [index, name]));
  return Array.from({ length: symbols.size / SYMBOL_BYTES }, (_, i) => ({
    name: textAt(bytes, names.offset + bytes.readUInt32LE(symbols.offset + i * SYMBOL_BYTES)),
    version: versionOf.get(bytes.readUInt16LE(versions.offset + i * 2)),
  })).filter(({ version }) => version !== undefined);
}

export function textAt(bytes, at) {
  return bytes.toString("latin1", at, bytes.indexOf(0, at));
}
