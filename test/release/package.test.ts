import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { arch, platform } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { VERSION } from "../../src/core/runtime.ts";
import { temporaryDir } from "../helpers/store.ts";

const root = join(import.meta.dirname, "../..");
const NAME = `prism-${VERSION}-${platform()}-${arch()}`;
const ARCHIVE = `${NAME}.tar.gz`;
const EPOCH = "1790000000";
const DEBIAN = `prism_${VERSION}_${arch() === "x64" ? "amd64" : arch()}.deb`;
const IMAGE = `${NAME}.oci.tar`;
const FILES = ["RELEASE-NOTES.md", "SHA256SUMS", IMAGE, ARCHIVE, DEBIAN, "sbom.cdx.json"];

interface Signing {
  newSigningKey(): object;
  publicKeyOf(key: object): string;
  checkSignature(bytes: Buffer, text: string, publicKey: string): string;
}

interface Bill {
  readonly bomFormat: string;
  readonly components: readonly {
    readonly type: string;
    readonly name: string;
    readonly version: string;
    readonly purl: string;
    readonly licenses: readonly object[];
  }[];
}

/** Packages the executable of this checkout. @returns the folder, and what was printed */
function packaged(t: TestContext, keyFile = ""): { readonly folder: string; readonly printed: string } {
  const folder = join(temporaryDir(t), "release");
  const env = { ...process.env, SOURCE_DATE_EPOCH: EPOCH, PRISM_SIGNING_KEY_FILE: keyFile };
  const words = [join(root, "scripts/package.mjs"), "--out", folder, "--level", "0"];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { env, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return { folder, printed: stdout };
}

const sha256 = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex");

test("a signed release", async (t) => {
  const signing = (await import(join(root, "scripts/package/minisign.mjs"))) as Signing;
  const key = signing.newSigningKey();
  const publicKey = signing.publicKeyOf(key);
  const keyFile = join(temporaryDir(t), "key.json");
  writeFileSync(keyFile, JSON.stringify(key));
  const { folder, printed } = packaged(t, keyFile);
  const text = (file: string): string => readFileSync(join(folder, file), "utf8");
  const unpacked = temporaryDir(t);
  execFileSync("tar", ["-xzf", join(folder, ARCHIVE), "-C", unpacked]);
  const inside = (file: string): string => readFileSync(join(unpacked, NAME, file), "utf8");

  await t.test("has an archive with everything that an operator installs", () => {
    const listing = execFileSync("tar", ["--utc", "-tvzf", join(folder, ARCHIVE)], { encoding: "utf8" });
    const entries = listing
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/\s+/));
    const modeOf = (name: string): string =>
      name.endsWith("/") ? "drwxr-xr-x" : name === `${NAME}/prism` ? "-rwxr-xr-x" : "-rw-r--r--";
    for (const [mode, owner, , day, , name = ""] of entries)
      assert.deepEqual([name, mode, owner, day], [name, modeOf(name), "0/0", "2026-09-21"]);
    assert.deepEqual(
      entries.map(([, , , , , name = ""]) => name.slice(NAME.length + 1)).filter((name) => !/(^|\/)$/.test(name)),
      [
        ...["CHANGELOG.md", "INSTALL.md", "LICENSE", "LICENSES"],
        ...["completions/_prism", "completions/prism.bash", "completions/prism.fish", "man/prism.1"],
        ...["prism", "prism-config.schema.json", "prism.config.example.json", "sbom.cdx.json"],
        ...["systemd/prism-backup.service", "systemd/prism-backup.timer", "systemd/prism.service"],
        ...["systemd/sysusers.d/prism.conf", "systemd/tmpfiles.d/prism.conf"],
      ],
    );
    assert.equal(sha256(join(unpacked, NAME, "prism")), sha256(join(root, "dist/prism")));
    assert.match(inside("man/prism.1"), /^\.TH PRISM 1 /);
    assert.match(inside("completions/_prism"), /^#compdef prism\n/);
    assert.match(inside("completions/prism.bash"), /^complete -o default -F _prism prism$/m);
    assert.match(inside("completions/prism.fish"), /^complete -c prism /m);
    assert.match(inside("INSTALL.md"), new RegExp(`^# Prism ${VERSION}\n`));
    assert.match(inside("LICENSES"), /^== kysely\n\n[\s\S]*MIT/m);
  });

  await t.test("has the checksum of every file", () => {
    assert.deepEqual(readdirSync(folder).sort(), FILES.flatMap((file) => [file, `${file}.minisig`]).sort());
    const summed = FILES.filter((file) => file !== "SHA256SUMS");
    assert.equal(text("SHA256SUMS"), summed.map((file) => `${sha256(join(folder, file))}  ${file}\n`).join(""));
  });

  await t.test("has a signature of every file, which a changed byte, comment or other key does not pass", () => {
    for (const file of FILES) {
      const bytes = readFileSync(join(folder, file));
      const signature = text(`${file}.minisig`);
      const comment = `prism ${VERSION}, ${file}, time ${EPOCH}`;
      assert.equal(signing.checkSignature(bytes, signature, publicKey), comment);
      const renamed = signature.replace(file, "other");
      assert.throws(() => signing.checkSignature(bytes, renamed, publicKey), /does not match/);
      const other = signing.publicKeyOf(signing.newSigningKey());
      assert.throws(() => signing.checkSignature(bytes, signature, other), /another key/);
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      assert.throws(() => signing.checkSignature(bytes, signature, publicKey), /does not match/);
    }
    assert.ok(printed.includes(`signed with ${publicKey}`), printed);
  });

  await t.test("has a bill of materials with every package and program of the executable", () => {
    const bill = JSON.parse(text("sbom.cdx.json")) as Bill;
    assert.equal(bill.bomFormat, "CycloneDX");
    const names = bill.components.map(({ name }) => name);
    const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      dependencies: Readonly<Record<string, string>>;
    };
    const alias: Readonly<Record<string, string>> = {
      "expr-eval": "expr-eval-fork",
      "uWebSockets.js": "@btc-vision/uwebsockets.js",
    };
    for (const name of Object.keys(dependencies)) assert.ok(names.includes(alias[name] ?? name), name);
    // In the console; in package.json they are for development.
    for (const name of ["preact", "@preact/signals", "uplot", "@codemirror/view"])
      assert.ok(names.includes(name), name);
    for (const name of ["esbuild", "typescript", "playwright-core"]) assert.ok(!names.includes(name), name);
    const program = (name: string): unknown =>
      bill.components.find(({ type, name: own }) => type === "application" && own === name)?.version;
    assert.equal(program("node"), process.versions.node);
    assert.match(String(program("sqlite")), /^3\.\d+\.\d+$/);
    assert.match(String(program("uWebSockets.js")), /^\d+\.\d+\.\d+$/);
    for (const { name, version, purl, licenses } of bill.components) {
      assert.ok(version !== "" && purl.startsWith("pkg:") && licenses.length === 1, name);
      assert.ok(inside("LICENSES").includes(`${name} ${version} (`), name);
    }
  });

  await t.test("has notes cut from the changelog, with the glibc that it needs and the key", () => {
    const notes = text("RELEASE-NOTES.md");
    const [, section = ""] = readFileSync(join(root, "CHANGELOG.md"), "utf8").split(`\n## ${VERSION} (`);
    const [own = ""] = section.slice(section.indexOf("\n")).split("\n## ");
    const [changes = ""] = notes.split("\n## What it needs\n");
    const isLink = /\[[^\]]+\]\(docs\/([\w/-]+)\.md[^)]*\)/g;
    assert.equal(changes, `# Prism ${VERSION}\n\n${own.trim().replaceAll(isLink, "`prism docs $1`")}\n`);
    assert.doesNotMatch(changes, /\]\((?!https:)/);
    const { stdout } = spawnSync(join(root, "dist/prism"), ["version", "--all", "--json"], { encoding: "utf8" });
    const { glibc } = JSON.parse(stdout) as { glibc: string };
    assert.match(notes, new RegExp(`^Linux \\(.*\\) with glibc ${glibc} or newer\\.`, "m"));
    assert.ok(notes.includes(`minisign -Vm SHA256SUMS -P ${publicKey}`));
    assert.ok(!notes.includes("not signed"));
  });

  await t.test(
    "has the same bytes when it is made again; without a key it is called unsigned, by its notes, too",
    () => {
      const again = packaged(t);
      assert.deepEqual(readdirSync(again.folder).sort(), [...FILES].sort());
      for (const file of FILES)
        if (!/NOTES|SUMS/.test(file)) assert.equal(sha256(join(again.folder, file)), sha256(join(folder, file)), file);
      assert.match(again.printed, /^UNSIGNED: PRISM_SIGNING_KEY_FILE is not set$/m);
      const notes = readFileSync(join(again.folder, "RELEASE-NOTES.md"), "utf8");
      assert.match(notes, /^\*\*These files are not signed\.\*\*/m);
      const [body] = notes.split("Check them before");
      assert.equal(text("RELEASE-NOTES.md").split("Check them before")[0], body);
    },
  );
});
