// Does the walk "Add a field" of docs/architecture.md in a copy of this tree, and shows where the
// field is then: in the API description, the types of client and console, the forms, the command
// line and the answers. Fails where it is not, or when the walk needs more files.
// Usage: node scripts/add-a-field.mjs [folder of the copy]; by default one that is removed again
import "./node-version.mjs";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = join(import.meta.dirname, "..");
const FIELD = "runbook";
const MIGRATION = "alter table heartbeats add column runbook text not null default '';";
const LINE = '  runbook: given(text(500), "Link for the person who is paged").or(""),\n';
const RESOURCE = "src/features/heartbeats/heartbeat.ts";
const VALUE = "https://wiki.example/backup";

const given = process.argv[2];
const copy = given === undefined ? mkdtempSync(join(tmpdir(), "prism-field-")) : resolve(given);
try {
  copyTree();
  const changed = addField();
  console.log(`changed: ${changed.join(", ")}`);
  node("scripts/collect.mjs");
  const found = placesOfField();
  for (const [place, text] of Object.entries(found)) console.log(`${place}: ${text ?? "NOT FOUND"}`);
  process.exitCode = Object.values(found).every(Boolean) ? 0 : 1;
} finally {
  if (given === undefined) rmSync(copy, { recursive: true, force: true });
}

/** The sources, without what is built or installed. */
function copyTree() {
  const left = [".git", ".build", "dist", "node_modules", "data"].map((name) => join(root, name));
  cpSync(root, copy, { recursive: true, filter: (path) => !left.includes(path) });
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
}

/** @returns the files that the walk changes */
function addField() {
  const migration = /^migrations\/\w+\.ts/.exec(node("scripts/new-migration.mjs", `heartbeats_${FIELD}`))[0];
  edit(migration, "\n\n`", `\n${MIGRATION}\n\``);
  edit(RESOURCE, "  status: column(", `${LINE}  status: column(`);
  return [migration, RESOURCE];
}

function edit(file, before, after) {
  const path = join(copy, file);
  const text = readFileSync(path, "utf8");
  if (!text.includes(before)) throw new Error(`${file} has no ${JSON.stringify(before)}`);
  writeFileSync(path, text.replace(before, after));
}

/** By place, the text that shows the field there, or undefined. */
function placesOfField() {
  const data = join(copy, "field-data");
  const prism = (...args) => node("--import", "tsx", "bin/prism.ts", ...args, "--data-dir", data);
  prism("migrate");
  const api = (...args) => JSON.parse(prism("api", ...args, "--json"));
  const { id } = api("createHeartbeat", "name=backup", `${FIELD}=${VALUE}`);
  const form = readFileSync(join(copy, "console/forms/heartbeat.gen.ts"), "utf8");
  const { Heartbeat } = api("getOpenApiDocument").components.schemas;
  return {
    "API description": JSON.stringify(Heartbeat.properties[FIELD]),
    "types of the client and the console": lineOf(readFileSync(join(copy, "src/client/api-types.gen.ts"), "utf8")),
    "forms of the console": form.match(new RegExp(`"${FIELD}":{[^}]*}`))?.[0],
    "command line": lineOf(prism("api", "createHeartbeat", "--help")),
    "answer of the server": api("getHeartbeat", `id=${id}`)[FIELD],
  };
}

function lineOf(text) {
  return text
    .split("\n")
    .find((line) => line.includes(FIELD))
    ?.trim();
}

function node(...args) {
  return run(process.execPath, args, copy);
}

function run(program, args, cwd) {
  return execFileSync(program, args, { cwd, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
}
