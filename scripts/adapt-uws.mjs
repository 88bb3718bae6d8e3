// Adapts the prebuilt uWebSockets addon for this platform, in node_modules:
// - Its own responses before Prism gets a request (HTTP/1.0, an invalid head) become JSON that does
//   not name the library. It has no setting for that.
// - On Linux for x64, bytes from 0x80 on at the ends of a header's value stay: the parser compares
//   signed characters with 33 and so takes them for white space. On Linux for ARM characters have no
//   sign; on macOS and Windows they are lost (docs/ntfy.md), which `prism doctor` says.
// - On Linux, three functions of glibc 2.38 are replaced by their older equivalents, so that it runs
//   with glibc 2.36 and newer.
//
// The bytes keep their length. Running it again changes nothing. Unexpected bytes are an error: the
// library has changed.
//
// scripts/uws-digests.json has the SHA-256 of each file of the package that Prism can run with: as
// published, and as adapted. A file with another one is an error. After a change of this file or of
// the package's version, `npm pack` the package, unpack it, and run
//   node scripts/adapt-uws.mjs digests <folder of the unpacked package>
import "./node-version.mjs";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { dynamicSymbols, neededVersions, SYMBOL_BYTES, textAt } from "./elf.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const DIGESTS = join(root, "scripts/uws-digests.json");
/** Of Node 24, which Prism runs with. */
const ABI = "137";
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

/** The addon for this platform. */
export function addonFile() {
  return join(root, `node_modules/uWebSockets.js/uws_${process.platform}_${process.arch}_${ABI}.node`);
}

/**
 * Does nothing without an addon; the build reports that. @throws for a file that is not one of the
 * package's
 */
export function adaptAddon(file = addonFile()) {
  if (!existsSync(file)) return;
  const bytes = readFileSync(file);
  const { before = [], after } = JSON.parse(readFileSync(DIGESTS, "utf8"))[basename(file)] ?? {};
  const found = sha256(bytes);
  if (found === after) return;
  if (!before.includes(found))
    throw new Error(
      `${file} has the SHA-256 ${found}, which scripts/uws-digests.json does not have; install it again: npm ci`,
    );
  adapt(bytes, file);
  const made = sha256(bytes);
  if (made !== after) throw new Error(`${file}: adapted, its SHA-256 is ${made}, and ${after} was expected`);
  // Renamed atomically: another checkout may share the file by a hard link, or a process may have
  // it loaded.
  writeFileSync(`${file}.${process.pid}`, bytes, { mode: 0o755 });
  renameSync(`${file}.${process.pid}`, file);
}

function adapt(bytes, file) {
  const [, platform, arch] = /^uws_([a-z0-9]+)_(\w+)_\d+\.node$/.exec(basename(file));
  // On macOS a changed file would need a new code signature.
  if (platform === "darwin") return;
  replaceAnswers(bytes);
  if (platform === "linux" && arch === "x64") trimUnsigned(bytes);
  if (platform === "linux") lowerGlibc(bytes, arch);
}

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** Writes the table. A file that an earlier version of this script adapted stays usable. */
function writeDigests(folder) {
  const known = existsSync(DIGESTS) ? JSON.parse(readFileSync(DIGESTS, "utf8")) : {};
  const files = readdirSync(folder).filter((name) => name.endsWith(`_${ABI}.node`));
  const table = files.sort().map((name) => {
    const bytes = readFileSync(join(folder, name));
    const published = sha256(bytes);
    adapt(bytes, name);
    const after = sha256(bytes);
    const { before = [], after: last } = known[name] ?? {};
    // A new version of the package begins anew.
    const earlier = before.includes(published) && last !== undefined ? [...before, last] : [published];
    return [name, { before: [...new Set(earlier)].filter((each) => each !== after), after }];
  });
  writeFileSync(DIGESTS, `${JSON.stringify(Object.fromEntries(table), null, 2)}\n`);
}

function replaceAnswers(bytes) {
  for (const { from, to } of ANSWERS) {
    const wanted = Buffer.from(to.padEnd(from.length));
    if (wanted.length !== from.length) throw new Error(`the answer is longer than the one that it replaces: ${to}`);
    const at = bytes.indexOf(from);
    if (at >= 0) wanted.copy(bytes, at);
    else if (!bytes.includes(wanted)) throw new Error(`uWebSockets has another text than: ${from}`);
  }
}

/**
 * Both loops of HttpParser::getHeaders that trim a value: from the comparison of its last byte with 33
 * to the end of the loop over its first ones.
 */
const TRIMMING =
  "4180 7c0301 21 7d0c 48894210 4883c0ff 72ee eb24 4983c302 0f1f840000000000 41807bff20 7f11 4c895a18 48894210";

/** Jumps of signed comparisons as those without a sign: `jge` to `jae`, `jg` to `ja`. */
function trimUnsigned(bytes) {
  const from = hex(TRIMMING);
  const to = hex(TRIMMING.replace(" 7d", " 73").replace(" 7f", " 77"));
  if (bytes.includes(to)) return;
  const at = bytes.indexOf(from);
  if (at < 0) throw new Error("uWebSockets trims header values by other code than is known");
  if (bytes.includes(from, at + 1)) throw new Error("uWebSockets trims header values in two places");
  to.copy(bytes, at);
}

const hex = (text) => Buffer.from(text.replaceAll(" ", ""), "hex");

const TOO_NEW = "GLIBC_2.38";
/** Names of C library functions in C23 builds; the older function has the same meaning. */
const C23 = "__isoc23_";
/** The first version of glibc for each architecture. */
const BASE = { x64: "GLIBC_2.2.5", arm64: "GLIBC_2.17" };

/**
 * Links `__isoc23_strtol` and similar functions to `strtol`: they differ only in parsing `0b` as
 * binary.
 */
function lowerGlibc(bytes, arch) {
  const tables = dynamicSymbols(bytes);
  const { symbols, versions, names } = tables;
  const needed = neededVersions(bytes, tables).filter(({ library }) => library === "libc.so.6");
  const tooNew = needed.find(({ name }) => name === TOO_NEW);
  if (!tooNew) return;
  const base = needed.find(({ name }) => name === BASE[arch]);
  if (!base) throw new Error(`uWebSockets links ${TOO_NEW}, and not ${BASE[arch]}`);
  for (let i = 0; i < symbols.size / SYMBOL_BYTES; i++) {
    if (bytes.readUInt16LE(versions.offset + i * 2) !== tooNew.index) continue;
    const at = symbols.offset + i * SYMBOL_BYTES;
    const name = textAt(bytes, names.offset + bytes.readUInt32LE(at));
    if (!name.startsWith(C23)) throw new Error(`uWebSockets needs ${name} of ${TOO_NEW}`);
    // The older name is a suffix of the newer one.
    bytes.writeUInt32LE(bytes.readUInt32LE(at) + C23.length, at);
  }
  bytes.copy(bytes, tooNew.at, base.at, base.at + 4);
  bytes.copy(bytes, tooNew.at + 8, base.at + 8, base.at + 12);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , command, folder] = process.argv;
  if (command !== "digests" || folder === undefined)
    throw new Error("usage: node scripts/adapt-uws.mjs digests <folder>");
  writeDigests(folder);
}
