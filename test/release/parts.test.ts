import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { parse } from "yaml";
import { manPage } from "../../src/cli/commands/server/docs.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { temporaryDir } from "../helpers/store.ts";

const root = join(import.meta.dirname, "../..");

interface Glibc {
  newestGlibc(bytes: Buffer): string | null;
  newestOf(versions: readonly (string | null)[]): string | null;
  checkGlibc(files: Readonly<Record<string, Buffer>>): { readonly newest: string; readonly reasons: readonly string[] };
}

interface Archive {
  tarOf(folder: string, names: readonly string[], time: number): Buffer;
}

interface Image {
  withoutEnd(tar: Buffer): Buffer;
}

interface Notes {
  sectionOf(changelog: string, version: string): string;
}

test("a release is refused when a file needs a newer glibc than it may", async (t) => {
  const { checkGlibc, newestGlibc, newestOf } = (await import(join(root, "scripts/package/glibc.mjs"))) as Glibc;
  const installed = (path: string): Buffer => readFileSync(join(root, "node_modules", path));
  const old = installed("bcrypt/prebuilds/linux-x64/bcrypt.glibc.node");
  // For Node 25, so as it is published.
  const recent = installed("uWebSockets.js/uws_linux_x64_141.node");
  assert.equal(newestOf(["2.4", null, "2.34", "2.27"]), "2.34");
  assert.deepEqual([newestGlibc(old), newestGlibc(recent)], ["2.14", "2.38"]);
  assert.deepEqual(checkGlibc({ prism: old }), { newest: "2.14", reasons: [] });
  assert.throws(
    () => checkGlibc({ prism: old, "uws.node": recent }),
    /at most glibc 2\.34: uws\.node needs __isoc23_\w+ of glibc 2\.38/,
  );
  const { adaptAddon } = (await import(join(root, "scripts/adapt-uws.mjs"))) as { adaptAddon(file: string): void };
  for (const name of ["uws_linux_x64_137.node", "uws_linux_arm64_137.node"]) {
    const adapted = join(temporaryDir(t), name);
    writeFileSync(adapted, installed(`uWebSockets.js/${name}`));
    adaptAddon(adapted);
    const { newest, reasons } = checkGlibc({ "uws.node": readFileSync(adapted) });
    assert.equal(newest, "2.36");
    assert.match(reasons.join(), /^`uws\.node` uses .*`arc4random` of 2\.36.*: the publisher of uWebSockets\.js /);
  }
  assert.throws(() => checkGlibc({ "other.node": recent }), /other\.node needs _dl_find_object of glibc 2\.35/);
});

test("parts of an image's layer are joined without a loss, also when the last file of one ends with zeros", async (t) => {
  const { tarOf } = (await import(join(root, "scripts/package/archive.mjs"))) as Archive;
  const { withoutEnd } = (await import(join(root, "scripts/package/image.mjs"))) as Image;
  const folder = temporaryDir(t);
  for (const [name, bytes] of [["a", 3000] as const, ["b", 700] as const])
    writeFileSync(join(folder, name), Buffer.alloc(bytes));
  const input = Buffer.concat([withoutEnd(tarOf(folder, ["a"], 0)), tarOf(folder, ["b"], 0)]);
  const listing = execFileSync("tar", ["-tvf", "-"], { input, encoding: "utf8" });
  assert.deepEqual(
    listing
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/\s+/))
      .map(([, , size, , , name]) => [name, size]),
    [
      ["a", "3000"],
      ["b", "700"],
    ],
  );
});

test("release notes are the section of their version", async () => {
  const { sectionOf } = (await import(join(root, "scripts/package/notes.mjs"))) as Notes;
  const changelog =
    "# Changelog\n\n## Unreleased\n\n## 1.2.0 (2026-11-22)\n\n### New\n\n- b\n\n## 1.2.0-1 (x)\n\n- a\n";
  assert.equal(sectionOf(changelog, "1.2.0"), "### New\n\n- b");
  assert.equal(sectionOf(changelog, "1.2.0-1"), "- a");
  assert.throws(() => sectionOf(changelog, "1.3.0"), /no heading for 1\.3\.0/);
});

test("the manual page has every command and flag, and only macros of man(7)", () => {
  const program = buildProgram();
  const page = manPage(program);
  for (const line of page.split("\n")) if (/^[.']/.test(line)) assert.match(line, /^\.(TH|SH|SS|TP|B|RI|I|br)\b/, line);
  for (const flag of ["\\-\\-data\\-dir <dir>", "\\-\\-strict", "\\-v, \\-\\-version"])
    assert.ok(page.includes(`.TP\n\\fB${flag}\\fR\n`), flag);
  for (const name of ["prism serve", "prism key rotate", "prism man", "prism help"])
    assert.match(page, new RegExp(`^\\.SS\n\\\\fB${name}\\\\fR`, "m"), name);
  assert.doesNotMatch(page.trimEnd(), /^\s*$/m);
});

test("the workflow of a release builds x64 and arm64 by a script of package.json, and says that it is untested", () => {
  const text = readFileSync(join(root, ".github/workflows/release.yml"), "utf8");
  const { jobs } = parse(text) as { jobs: { build: { strategy: Matrix; steps: readonly { run?: string }[] } } };
  assert.match(text, /^# .*Untested here:/);
  const { include } = jobs.build.strategy.matrix;
  assert.deepEqual(
    include.map(({ platform }) => platform),
    ["linux-x64", "linux-arm64"],
  );
  const run = jobs.build.steps.map((step) => step.run ?? "").join("\n");
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: object };
  const used = [...run.matchAll(/npm run (\w+)/g)].map(([, name = ""]) => name);
  assert.deepEqual(used, ["release"]);
  for (const name of used) assert.ok(name in scripts, name);
});

interface Matrix {
  readonly matrix: { readonly include: readonly { readonly platform: string }[] };
}
