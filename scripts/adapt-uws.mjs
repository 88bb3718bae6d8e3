// Adapts the prebuilt uWebSockets addon for this platform, in node_modules:
// - Its own responses before Prism gets a request (HTTP/1.0, an invalid head) become JSON that does
//   not name the library. It has no setting for that.
// - On Linux, three functions of glibc 2.38 are replaced by their older equivalents, so that Node
//   22 works with older versions of glibc (2.36 and newer).
//
// The bytes keep their length. Running it again changes nothing. Unexpected bytes are an error: the
// library has changed.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const SIGNATURE = "<hr><i>uWebSockets/20 Server</i>";

const ANSWERS = [
  {
    from: `HTTP/1.1 505 HTTP Version Not Supported\r\nConnection: close\r\n\r\n<h1>HTTP Version Not Supported</h1><p>This server does not support HTTP/1.0.</p>${SIGNATURE}`,
    to: 'HTTP/1.1 426 Upgrade Required\r\nUpgrade: HTTP/1.1\r\nConnection: close, upgrade\r\nContent-Type: application/json\r\n\r\n{"error":{"code":"UPGRADE_REQUIRED","message":"Use HTTP/1.1"}}',
  },
  {
    from: `HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n<h1>Request Header Fields Too Large</h1>${SIGNATURE}`,
    to: 'HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n{"error":{"code":"HEADERS_TOO_LARGE"}}',
  },
  {
    // A Content-Type does not fit.
    from: `HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<h1>Bad Request</h1>${SIGNATURE}`,
    to: 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n{"error":{"code":"VALIDATION_FAILED"}}',
  },
  {
    from: `<html><body><h1>File Not Found</h1>${SIGNATURE}</body></html>`,
    to: '{"error":{"code":"NOT_FOUND"}}',
  },
];

/** The addon for this platform and Node, or another one of the package. */
export function addonFile(abi = process.versions.modules) {
  return join(root, `node_modules/uWebSockets.js/uws_${process.platform}_${process.arch}_${abi}.node`);
}

/** Does nothing without an addon; the build reports that. */
export function adaptAddon(file = addonFile()) {
  // On macOS a changed file would need a new code signature.
  if (!existsSync(file) || process.platform === "darwin") return;
  const bytes = readFileSync(file);
  const isChanged = [replaceAnswers(bytes), process.platform === "linux" && lowerGlibc(bytes)].some(Boolean);
  if (!isChanged) return;
  // Renamed atomically: another checkout may share the file by a hard link, or a process may have
  // it loaded.
  writeFileSync(`${file}.${process.pid}`, bytes, { mode: 0o755 });
  renameSync(`${file}.${process.pid}`, file);
}

function replaceAnswers(bytes) {
  let isChanged = false;
  for (const { from, to } of ANSWERS) {
    const wanted = Buffer.from(to.padEnd(from.length));
    if (wanted.length !== from.length) throw new Error(`the answer is longer than the one that it replaces: ${to}`);
    const at = bytes.indexOf(from);
    if (at >= 0) {
      wanted.copy(bytes, at);
      isChanged = true;
    } else if (!bytes.includes(wanted)) throw new Error(`uWebSockets has another text than: ${from}`);
  }
  return isChanged;
}

const SHT_DYNSYM = 11;
const SHT_GNU_VERNEED = 0x6ffffffe;
const SHT_GNU_VERSYM = 0x6fffffff;
const TOO_NEW = "GLIBC_2.38";
/** Names of C library functions in C23 builds; the older function has the same meaning. */
const C23 = "__isoc23_";
/** The first version of glibc for each architecture. */
const BASE = { x64: "GLIBC_2.2.5", arm64: "GLIBC_2.17" };

/**
 * Links `__isoc23_strtol` and similar functions to `strtol`: they differ only in parsing `0b` as
 * binary. ELF-64, little endian.
 */
function lowerGlibc(bytes) {
  const sections = readSections(bytes);
  const symbols = sections.find(({ type }) => type === SHT_DYNSYM);
  const versions = sections.find(({ type }) => type === SHT_GNU_VERSYM);
  const names = sections[symbols.link];
  const needed = readNeeded(
    bytes,
    sections.find(({ type }) => type === SHT_GNU_VERNEED),
    names.offset,
  );
  const tooNew = needed.find(({ name }) => name === TOO_NEW);
  if (!tooNew) return false;
  const base = needed.find(({ name }) => name === BASE[process.arch]);
  if (!base) throw new Error(`uWebSockets links ${TOO_NEW}, and not ${BASE[process.arch]}`);
  for (let i = 0; i < symbols.size / 24; i++) {
    if (bytes.readUInt16LE(versions.offset + i * 2) !== tooNew.index) continue;
    const at = symbols.offset + i * 24;
    const name = textAt(bytes, names.offset + bytes.readUInt32LE(at));
    if (!name.startsWith(C23)) throw new Error(`uWebSockets needs ${name} of ${TOO_NEW}`);
    // The older name is a suffix of the newer one.
    bytes.writeUInt32LE(bytes.readUInt32LE(at) + C23.length, at);
  }
  bytes.copy(bytes, tooNew.at, base.at, base.at + 4);
  bytes.copy(bytes, tooNew.at + 8, base.at + 8, base.at + 12);
  return true;
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
 * The C library versions that the addon needs: position of each entry, its name, and the index that
 * symbols use.
 */
function readNeeded(bytes, { offset }, names) {
  const found = [];
  for (let file = offset; ; file += bytes.readUInt32LE(file + 12)) {
    const isLibc = textAt(bytes, names + bytes.readUInt32LE(file + 4)) === "libc.so.6";
    let at = file + bytes.readUInt32LE(file + 8);
    for (let left = bytes.readUInt16LE(file + 2); isLibc && left > 0; left--) {
      found.push({ at, index: bytes.readUInt16LE(at + 6), name: textAt(bytes, names + bytes.readUInt32LE(at + 8)) });
      at += bytes.readUInt32LE(at + 12);
    }
    if (bytes.readUInt32LE(file + 12) === 0) return found;
  }
}

function textAt(bytes, at) {
  return bytes.toString("latin1", at, bytes.indexOf(0, at));
}
