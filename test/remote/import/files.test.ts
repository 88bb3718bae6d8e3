import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { ImportedFiles, writeImported } from "../../../src/remote/import/files.ts";
import { temporaryDir } from "../../helpers/store.ts";

/** An import of one project, with a secret that is known and one to fill in. */
function imported(from: string, project = "duty"): ImportedFiles {
  const files = new ImportedFiles(from);
  const channels = [
    { name: "Room", preset: "slack", fields: { url: files.secret("https://chat.example.com/x", project, "room") } },
    { name: "Duty", preset: "ntfy", fields: { token: files.toFill("its token", project, "duty") } },
  ];
  files.add(files.fileFor(project), { projects: [{ slug: project, channels }] });
  return files;
}

test("a second import replaces its own files, removes those it no longer writes, and keeps what was filled in", (t) => {
  const out = join(temporaryDir(t), "out");
  writeImported(out, imported("oncall"));
  const secrets = join(out, "import-secrets.env");
  writeFileSync(secrets, readFileSync(secrets, "utf8").replace(/# (PRISM_SECRET_DUTY_DUTY)=/, "$1=tk_given"));
  writeFileSync(join(out, "notes.txt"), "mine");
  writeImported(out, imported("oncall"));
  assert.match(readFileSync(secrets, "utf8"), /^PRISM_SECRET_DUTY_DUTY='?"?tk_given/m);
  assert.doesNotMatch(readFileSync(secrets, "utf8"), /# PRISM_SECRET_DUTY_DUTY=/);
  writeImported(out, imported("oncall", "shop"));
  assert.deepEqual([existsSync(join(out, "duty.yaml")), existsSync(join(out, "shop.yaml"))], [false, true]);
  assert.equal(readFileSync(join(out, "notes.txt"), "utf8"), "mine");
});

test("a file that cannot be written anew stays as it was: what was filled in is not lost", (t) => {
  const out = join(temporaryDir(t), "out");
  writeImported(out, imported("oncall"));
  const secrets = join(out, "import-secrets.env");
  const filled = readFileSync(secrets, "utf8").replace(/# (PRISM_SECRET_DUTY_DUTY)=/, "$1=tk_given");
  writeFileSync(secrets, filled);
  mkdirSync(`${secrets}.new`);
  assert.throws(() => writeImported(out, imported("oncall")), /cannot be written/);
  assert.equal(readFileSync(secrets, "utf8"), filled);
  assert.deepEqual(
    readdirSync(out).filter((name) => name.endsWith(".new")),
    ["import-secrets.env.new"],
  );
});

test("files of others, and of the import of another program, are neither replaced nor removed", (t) => {
  const out = join(temporaryDir(t), "out");
  writeImported(out, imported("oncall"));
  assert.throws(() => writeImported(out, imported("opsgenie")), /were not written by prism import opsgenie; --force/);
  assert.ok(existsSync(join(out, "duty.yaml")));
  writeFileSync(join(out, "duty.yaml"), "version: 1\n");
  assert.throws(() => writeImported(out, imported("oncall")), /--force replaces it/);
  writeImported(out, imported("oncall"), { force: true });
  assert.match(readFileSync(join(out, "duty.yaml"), "utf8"), /^# Written by prism import oncall\./);
});

test("files that someone changed are neither replaced nor removed without --force, and all are named", (t) => {
  const out = join(temporaryDir(t), "out");
  writeImported(out, imported("oncall"));
  const edit = (name: string) => writeFileSync(join(out, name), `${readFileSync(join(out, name), "utf8")}# mine\n`);
  for (const name of ["duty.yaml", "report.md", "import-secrets.env"]) edit(name);
  const changed = /duty\.yaml, .*report\.md were changed since prism import oncall wrote them; --force replaces them$/;
  assert.throws(() => writeImported(out, imported("oncall")), { exitCode: 7, message: changed });
  writeImported(out, imported("oncall"), { force: true });
  edit("duty.yaml");
  assert.throws(() => writeImported(out, imported("oncall", "shop")), /duty\.yaml was changed/);
  assert.match(readFileSync(join(out, "duty.yaml"), "utf8"), /# mine/);
  assert.ok(!existsSync(join(out, "shop.yaml")));
});

test("links and a list of files that someone left in the folder lead to no other file", (t) => {
  const dir = temporaryDir(t);
  const [out, profile] = [join(dir, "out"), join(dir, "profile")];
  mkdirSync(out);
  writeFileSync(profile, "mine");
  writeFileSync(join(out, "package.json"), "{}");
  symlinkSync(profile, join(out, ".prism-import-oncall.json"));
  writeImported(out, imported("oncall"));
  assert.equal(readFileSync(profile, "utf8"), "mine");
  const list = join(out, ".prism-import-oncall.json");
  const { files } = JSON.parse(readFileSync(list, "utf8")) as { readonly files: object };
  writeFileSync(list, JSON.stringify({ files: { ...files, "package.json": "x", "../profile": "x" } }));
  writeImported(out, imported("oncall"));
  assert.deepEqual([readFileSync(profile, "utf8"), readFileSync(join(out, "package.json"), "utf8")], ["mine", "{}"]);
});
