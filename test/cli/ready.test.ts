import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import test, { type TestContext } from "node:test";
import { temporaryDir } from "../helpers/store.ts";

const ROOT = join(import.meta.dirname, "../..");
const SCRIPTS = join(ROOT, "scripts");
/** Files that others import, and that do nothing when they are started. */
const LIBRARIES = [
  "api-types.mjs",
  "chunks.mjs",
  "compact-png.mjs",
  "compile-tests.mjs",
  "console-forms.mjs",
  "console-parts.mjs",
  "demo-server.mjs",
  "elf.mjs",
  "manual.mjs",
  "module-types.mjs",
  "node-version.mjs",
  "one-place.mjs",
  "tree-of.mjs",
];

/** They run before the packages are there, on any Node. */
const BEFORE = ["scripts/programs.mjs", "scripts/ready.mjs"];

interface LockedPackage {
  readonly version: string;
  readonly integrity: string;
  readonly optional?: boolean;
}

/** An npm that cannot reach its registry; `called` is what it was asked for. */
const OFFLINE_NPM = `require("node:fs").writeFileSync("called", process.argv[2]); process.exit(1);`;

/**
 * A checkout whose lock file wants `wanted` and in which npm has installed `installed`. @returns
 * its root
 */
function checkout(
  t: TestContext,
  wanted: Readonly<Record<string, LockedPackage>>,
  installed?: Readonly<Record<string, LockedPackage>>,
): string {
  const root = temporaryDir(t);
  mkdirSync(join(root, "scripts"));
  mkdirSync(join(root, "node_modules"));
  for (const script of ["ready.mjs", "node-version.mjs"]) cpSync(join(SCRIPTS, script), join(root, "scripts", script));
  const lockFile = (packages: object) => JSON.stringify({ packages });
  writeFileSync(join(root, "package-lock.json"), lockFile({ "": { name: "prism" }, ...wanted }));
  if (installed) writeFileSync(join(root, "node_modules/.package-lock.json"), lockFile(installed));
  return root;
}

/** @returns the exit code of `ready.mjs check` there */
function check(...of: Parameters<typeof checkout>): number | null {
  return spawnSync(process.execPath, [join(checkout(...of), "scripts/ready.mjs"), "check"]).status;
}

test("an installation that is out of date is still there when npm has no network", (t) => {
  const a = { "node_modules/a": { version: "1.0.0", integrity: "sha512-a" } };
  const newer = { "node_modules/a": { version: "1.0.1", integrity: "sha512-b" } };
  for (const [installed, command] of [
    [a, "install"],
    [undefined, "ci"],
  ] as const) {
    const root = checkout(t, newer, installed);
    writeFileSync(join(root, "npm.cjs"), OFFLINE_NPM);
    const env = { ...process.env, npm_execpath: join(root, "npm.cjs") };
    const { status } = spawnSync(process.execPath, [join(root, "scripts/ready.mjs"), "build"], { env });
    assert.deepEqual([status, readFileSync(join(root, "called"), "utf8")], [1, command]);
  }
});

test("an installation by npm counts as it is; only one that differs from the lock file is made again", (t) => {
  const a = { "node_modules/a": { version: "1.0.0", integrity: "sha512-a" } };
  const newer = { "node_modules/a": { version: "1.0.1", integrity: "sha512-b" } };
  const forMac = { "node_modules/mac": { version: "1.0.0", integrity: "sha512-m", optional: true } };
  assert.equal(check(t, a, a), 0);
  assert.equal(check(t, { ...a, ...forMac }, a), 0, "packages for other platforms are not installed");
  assert.equal(check(t, newer, a), 1);
  assert.equal(check(t, a, {}), 1);
  assert.equal(check(t, a), 1, "an installation that was interrupted has no lock file of its own");
  assert.equal(check(t, a, { ...a, ...newer, "node_modules/b": newer["node_modules/a"] }), 1, "removed packages");
});

/** What a file says on another version of Node. */
function onNode(version: string, file: string, ...args: readonly string[]): { status: number | null; stderr: string } {
  const other = `Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`;
  const words = ["--import", `data:text/javascript,${encodeURIComponent(other)}`, join(ROOT, file), ...args];
  const { status, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
  return { status, stderr };
}

test("an older Node gets the sentence that names the version it needs", () => {
  const stderr = "Prism needs Node 20.15 or newer to begin with; this is 18.20.8.\n";
  assert.deepEqual(onNode("18.20.8", "scripts/ready.mjs", "check"), { status: 1, stderr });
  // Node 18 has no import.meta.dirname: its use before the check would hide the sentence.
  for (const script of ["ready.mjs", "node-version.mjs"])
    assert.doesNotMatch(
      readFileSync(join(SCRIPTS, script), "utf8"),
      /= import\.meta\.dirname|\(import\.meta\.dirname/,
      script,
    );
});

test("each file that is started by hand ends on another Node with a sentence, before it loads an addon", () => {
  const started = ["scripts", "bench"].flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => /\.(mjs|ts)$/.test(name) && !LIBRARIES.includes(name))
      .map((name) => `${folder}/${name}`),
  );
  const sentence = /^This needs Node 24, and this is \d+\.\d+\.\d+\. Use the npm script/;
  for (const file of [...started, "build.mjs", "bin/prism.ts"].filter((file) => !BEFORE.includes(file))) {
    const first = /^import .*$/m.exec(readFileSync(join(ROOT, file), "utf8"))?.[0] ?? "";
    assert.match(first, /^import "(\.\.?\/)+(scripts\/)?node-version\.mjs";$/, `${file} imports it first`);
  }
  for (const version of ["20.20.2", "22.23.3", "26.1.0"]) {
    const { status, stderr } = onNode(version, "scripts/new-migration.mjs", "never");
    assert.equal(status, 1);
    assert.match(stderr, sentence);
  }
});

test("an npm script that another Node begins goes on with the one in node_modules, with all words and its exit code", (t) => {
  const a = { "node_modules/a": { version: "1.0.0", integrity: "sha512-a" } };
  const root = checkout(t, a, a);
  const name = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
  const bin = join(root, "node_modules", name, "bin");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(root, "package.json"), JSON.stringify({ optionalDependencies: { [name]: "24.0.0" } }));
  const carried = join(bin, "node");
  writeFileSync(carried, '#!/bin/sh\n[ "$1" = --version ] || { echo "$@"; exit 7; }\n', { mode: 0o755 });
  const script = join(root, "scripts/ready.mjs");
  const { status, stdout } = spawnSync(process.execPath, [script, "build", "--", "x.mjs", "--list"], {
    encoding: "utf8",
  });
  assert.deepEqual([status, stdout], [7, `${script} build -- x.mjs --list\n`]);
  // One that cannot run here, such as on musl, is as none.
  writeFileSync(carried, "#!/nowhere/ld-musl\n", { mode: 0o755 });
  const other = `Object.defineProperty(process,'versions',{value:{...process.versions,node:'22.23.3'}})`;
  const words = ["--import", `data:text/javascript,${encodeURIComponent(other)}`, script, "build"];
  const none = spawnSync(process.execPath, words, { encoding: "utf8" });
  assert.equal(none.status, 1);
  assert.match(
    none.stderr,
    /^Prism needs Node 24, and npm has no package of it for \S+: install it and start again with it\. This is 22\.23\.3\.\n$/,
  );
});

test("the build adapts only the addon that the package publishes, and makes of it only the one that the table has", async (t) => {
  const { adaptAddon, addonFile } = (await import(join(SCRIPTS, "adapt-uws.mjs"))) as {
    adaptAddon(file: string): void;
    addonFile(): string;
  };
  const digests = JSON.parse(readFileSync(join(SCRIPTS, "uws-digests.json"), "utf8")) as Record<string, DigestRow>;
  const digestOf = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex");
  for (const [name, { before, after }] of Object.entries(digests))
    for (const digest of [...before, after]) assert.match(digest, /^[0-9a-f]{64}$/, name);
  const installed = addonFile();
  assert.equal(digestOf(installed), digests[basename(installed)]?.after);
  const copy = join(temporaryDir(t), basename(installed));
  cpSync(installed, copy);
  adaptAddon(copy);
  assert.equal(digestOf(copy), digestOf(installed), "running it again changes nothing");
  const bytes = readFileSync(installed);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  writeFileSync(copy, bytes);
  assert.throws(() => adaptAddon(copy), /has the SHA-256 [0-9a-f]{64}, which scripts\/uws-digests\.json does not have/);
  assert.equal(Buffer.compare(readFileSync(copy), bytes), 0, "it is left as it is");
});

interface DigestRow {
  readonly before: readonly string[];
  readonly after: string;
}
