// Packages the last build, dist/prism, for download: archive, Debian package, container image, checksums,
// signatures, bill of materials and release notes, in dist/release. `npm run release` builds and calls it.
// Usage: node scripts/package.mjs [--out <folder>] [--level <0 to 9, of compression>]
//
// PRISM_SIGNING_KEY_FILE names the secret key (scripts/package/minisign.mjs makes one); without it the
// files are unsigned, and the notes say so. The same build gives the same bytes: all times are
// SOURCE_DATE_EPOCH, or that of the last commit.
import "./node-version.mjs";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildTime, gzipped, tarOf } from "./package/archive.mjs";
import { debianName, debianPackage } from "./package/debian.mjs";
import { checkGlibc } from "./package/glibc.mjs";
import { prismImage } from "./package/image.mjs";
import { publicKeyOf, signatureOf } from "./package/minisign.mjs";
import { installText, releaseNotes, sectionOf } from "./package/notes.mjs";
import { billOfMaterials, licenseList, shippedPackages, shippedPrograms } from "./package/parts.mjs";

const root = join(import.meta.dirname, "..");
const { values } = parseArgs({
  options: { out: { type: "string", default: "dist/release" }, level: { type: "string", default: "9" } },
});
const output = resolve(root, values.out);
const level = Number(values.level);
const executable = join(root, "dist/prism");
const time = buildTime(root);
const about = lastBuild();
const { version, platform } = about;
const name = `prism-${version}-${platform}`;
const key = signingKey();
const glibc = checkGlibc(nativeFiles());
const scratch = mkdtempSync(join(tmpdir(), "prism-package-"));
try {
  const folder = join(scratch, name);
  stage(folder);
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  save(`${name}.tar.gz`, gzipped(tarOf(scratch, [name], time, ["--mode=u=rwX,go=rX"]), level));
  const debian = { folder, version, architecture: process.arch, glibc: glibc.newest, time, level };
  save(debianName(version, process.arch), debianPackage(debian));
  const image = { executable, version, architecture: process.arch, time, level, scratch };
  save(`${name}.oci.tar`, prismImage(image));
  save("sbom.cdx.json", readFileSync(join(folder, "sbom.cdx.json")));
  finish();
} finally {
  rmSync(scratch, { recursive: true });
}

/** What dist/prism says of itself. @throws Error if .build, with the list of its parts, is of another build */
function lastBuild() {
  const answer = JSON.parse(execFileSync(executable, ["version", "--all", "--json"], { encoding: "utf8" }));
  const known = JSON.parse(readFileSync(join(root, ".build/about.json"), "utf8"));
  const differs = Object.keys(known).some((member) => known[member] !== answer[member]);
  if (differs) throw new Error("dist/prism is not the last build of this folder: npm run build, or npm run release");
  return { ...answer, node: answer.node.slice(1) };
}

function signingKey() {
  const file = process.env.PRISM_SIGNING_KEY_FILE;
  return file ? JSON.parse(readFileSync(file, "utf8")) : null;
}

/** The executable and the addons that it unpacks: { name: bytes }. */
function nativeFiles() {
  const assets = JSON.parse(readFileSync(join(root, ".build/assets.json"), "utf8"));
  const addons = Object.entries(assets).filter(([asset]) => asset.endsWith(".node"));
  return Object.fromEntries([["prism", executable], ...addons].map(([file, path]) => [file, readFileSync(path)]));
}

/** Writes the files of the archive. */
function stage(folder) {
  const put = (path, text) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  mkdirSync(folder);
  cpSync(executable, join(folder, "prism"));
  cpSync(join(root, "deploy/systemd"), join(folder, "systemd"), { recursive: true });
  for (const file of ["LICENSE", "CHANGELOG.md", "prism.config.example.json"])
    cpSync(join(root, file), join(folder, file));
  cpSync(join(root, "dist/prism-config.schema.json"), join(folder, "prism-config.schema.json"));
  put("man/prism.1", printed("man"));
  put("completions/prism.bash", printed("completion", "bash"));
  put("completions/_prism", printed("completion", "zsh"));
  put("completions/prism.fish", printed("completion", "fish"));
  put("INSTALL.md", installText({ version, platform, glibc }));
  const packages = shippedPackages(root);
  const programs = shippedPrograms(about);
  put("LICENSES", licenseList(packages, programs));
  put("sbom.cdx.json", `${JSON.stringify(billOfMaterials({ version, time, packages, programs }), null, 2)}\n`);
}

/** @returns what a command of the executable prints */
function printed(...words) {
  return execFileSync(executable, words, { encoding: "utf8", maxBuffer: 2 ** 26 });
}

function save(file, bytes) {
  writeFileSync(join(output, file), bytes);
}

/** Release notes, checksums and signatures. */
function finish() {
  const files = () => readdirSync(output).sort();
  const section = sectionOf(readFileSync(join(root, "CHANGELOG.md"), "utf8"), version);
  const publicKey = key && publicKeyOf(key);
  save("RELEASE-NOTES.md", releaseNotes({ about, section, files: files(), glibc, publicKey }));
  const sums = files().map((file) => `${sha256(readFileSync(join(output, file)))}  ${file}\n`);
  save("SHA256SUMS", sums.join(""));
  const packed = files();
  if (key)
    for (const file of packed) {
      const comment = `prism ${version}, ${file}, time ${time}`;
      save(`${file}.minisig`, signatureOf(readFileSync(join(output, file)), key, comment));
    }
  console.log(`${output}: ${packed.join(", ")}`);
  console.log(`needs glibc ${glibc.newest} or newer`);
  console.log(key ? `signed with ${publicKey}` : "UNSIGNED: PRISM_SIGNING_KEY_FILE is not set");
}

function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}
