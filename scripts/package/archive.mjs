// Reproducible tar and ar archives: the same files give the same bytes.
import { execFileSync } from "node:child_process";
import { gzipSync } from "node:zlib";

/** The names that Debian and images have for architectures, by Node's. */
export const ARCHITECTURES = { x64: "amd64", arm64: "arm64" };

/** Of all files in archives: SOURCE_DATE_EPOCH (reproducible-builds.org), or the time of the last commit. */
export function buildTime(root) {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (given !== undefined) return Number(given);
  return Number(execFileSync("git", ["log", "-1", "--format=%ct"], { cwd: root, encoding: "utf8" }));
}

/**
 * @returns the bytes of a tar of a folder's entries, owned by root. @param names relative to the folder
 * @param more options of GNU tar
 */
export function tarOf(folder, names, time, more = []) {
  const flags = ["--sort=name", `--mtime=@${time}`, "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"];
  return execFileSync("tar", [...flags, ...more, "-C", folder, "-cf", "-", ...names], { maxBuffer: 2 ** 30 });
}

/** @param level 0 to 9; tests are faster with 0 */
export function gzipped(bytes, level = 9) {
  return gzipSync(bytes, { level });
}

/** The ar format of Debian packages (deb(5)). @param members [name, bytes] in their order */
export function arOf(members, time) {
  const parts = [Buffer.from("!<arch>\n")];
  for (const [name, bytes] of members) {
    const fields = [name.padEnd(16), String(time).padEnd(12), "0".padEnd(6), "0".padEnd(6), "100644".padEnd(8)];
    parts.push(Buffer.from(`${fields.join("")}${String(bytes.length).padEnd(10)}\`\n`), bytes);
    if (bytes.length % 2 === 1) parts.push(Buffer.from("\n"));
  }
  return Buffer.concat(parts);
}
