// The Debian package, made without Debian's tools (deb(5)).
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ARCHITECTURES, arOf, gzipped, tarOf } from "./archive.mjs";

const DEPLOY = join(import.meta.dirname, "../../deploy/debian");
const SCRIPTS = ["postinst", "prerm", "postrm"];
/** Paths in the package by those in the archive of the release. */
const FILES = {
  prism: "usr/bin/prism",
  "completions/prism.bash": "usr/share/bash-completion/completions/prism",
  "completions/_prism": "usr/share/zsh/vendor-completions/_prism",
  "completions/prism.fish": "usr/share/fish/vendor_completions.d/prism.fish",
  "prism.config.example.json": "usr/share/doc/prism/examples/prism.config.json",
  "prism-config.schema.json": "usr/share/prism/prism-config.schema.json",
  "sbom.cdx.json": "usr/share/doc/prism/sbom.cdx.json",
};
/** The same for those that are compressed. */
const COMPRESSED = {
  "man/prism.1": "usr/share/man/man1/prism.1.gz",
  "CHANGELOG.md": "usr/share/doc/prism/changelog.gz",
};

/**
 * @param folder the files of the archive @param version of Prism @param architecture of Node: x64 or arm64
 * @param glibc the oldest that the executable runs with, such as 2.36 @param time in seconds, of all files
 * @param level of compression, 0 to 9
 * @returns the bytes of the package
 */
export function debianPackage({ folder, version, architecture, glibc, time, level }) {
  const work = mkdtempSync(join(tmpdir(), "prism-debian-"));
  try {
    const [data, control] = [join(work, "data"), join(work, "control")];
    stageData(folder, data);
    const names = filesIn(data);
    const bytes = names.reduce((sum, name) => sum + statSync(join(data, name)).size, 0);
    const fields = {
      version: debianVersion(version),
      architecture: ARCHITECTURES[architecture],
      glibc,
      kibibytes: Math.ceil(bytes / 1024),
    };
    const sums = names.map((name) => `${md5(readFileSync(join(data, name)))}  ${name}\n`);
    mkdirSync(control);
    const text = readFileSync(join(DEPLOY, "control"), "utf8");
    writeFileSync(
      join(control, "control"),
      text.replaceAll(/@(\w+)@/g, (_, name) => String(fields[name])),
    );
    writeFileSync(join(control, "md5sums"), sums.join(""));
    for (const name of SCRIPTS) writeFileSync(join(control, name), readFileSync(join(DEPLOY, name)), { mode: 0o755 });
    const packed = (part) => gzipped(tarOf(part, ["."], time, ["--mode=u=rwX,go=rX"]), level);
    return arOf(
      [
        ["debian-binary", Buffer.from("2.0\n")],
        ["control.tar.gz", packed(control)],
        ["data.tar.gz", packed(data)],
      ],
      time,
    );
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** @returns such as prism_0.2.0_amd64.deb */
export function debianName(version, architecture) {
  return `prism_${debianVersion(version)}_${ARCHITECTURES[architecture]}.deb`;
}

/** A version before a release sorts before it with a tilde (deb-version(7)). */
function debianVersion(version) {
  return version.replaceAll("-", "~");
}

function stageData(folder, data) {
  const pathOf = (path) => {
    const target = join(data, path);
    mkdirSync(dirname(target), { recursive: true });
    return target;
  };
  // The executable has 115 MB.
  for (const [from, to] of Object.entries(FILES)) copyFileSync(join(folder, from), pathOf(to));
  for (const [from, to] of Object.entries(COMPRESSED))
    writeFileSync(pathOf(to), gzipped(readFileSync(join(folder, from))));
  const licences = ["LICENSE", "LICENSES"].map((name) => readFileSync(join(folder, name), "utf8"));
  writeFileSync(pathOf("usr/share/doc/prism/copyright"), licences.join("\n"));
  const args = ["service", "prepare", "--print", "--json"];
  const units = JSON.parse(execFileSync(join(folder, "prism"), args, { encoding: "utf8" }));
  for (const { path, text } of units) writeFileSync(pathOf(path.slice(1)), text);
}

/** @returns paths of the files, sorted, without a slash at the start */
function filesIn(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => statSync(join(folder, name)).isFile())
    .sort();
}

/** dpkg --verify reads this digest. */
function md5(bytes) {
  return createHash("md5").update(bytes).digest("hex");
}
