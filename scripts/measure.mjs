// The size of src in figures: files, functions, and lines by what they are for. Usage: npm run measure -- [commit]
// [--json]; by default this checkout. Generated files are left out.
//
// Each line counts once, as the first of: blank, comment, only brackets, then as the outermost of: import (also
// `export … from`), type (`wiring`: names that end in Own, Parts or Context), route (`server.route({…})` without its
// handler), schema (constants that call valibot, http/shapes or http/resource), sql (chains of Kysely, sql`…`), data
// (other constants of a module without a function), constructors (that only assign); logic is the rest.
import "./node-version.mjs";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { SyntaxKind as Kind } from "typescript/unstable/ast";
import { API } from "typescript/unstable/sync";
import { treeOf } from "./tree-of.mjs";

const WIRING = /(?:Own|Parts|Context)$/;
const QUERY = /^(?:selectFrom|insertInto|updateTable|deleteFrom|replaceInto)$/;
const SCHEMA = /\b(?:v\.[a-z]\w+|object|resource|pageOf|listing|doc|text|integer|pattern|column|given|words)\(/;
const linesOf = (text) => text.split("\n").length - 1;
const textOf = (file) => readFileSync(join(dir, file), "utf8");
const FUNCTIONS = /^(?:Arrow|Method|Get|Set|Constructor|Function(?:Expression|Declaration))/;
const isFunction = ({ kind, body }) => body && FUNCTIONS.test(Kind[kind]);
const isQuery = (node) => node !== undefined && (QUERY.test(node.name?.text) || isQuery(node.expression));
const isType = ({ kind }) => kind === Kind.InterfaceDeclaration || kind === Kind.TypeAliasDeclaration;
const { values, positionals } = parseArgs({ options: { json: { type: "boolean" } }, allowPositionals: true });
const { dir, commit } = treeOf(positionals[0]);
const api = new API({ cwd: dir });
const project = parsed();
const texts = new Map(filesOf("src").map((file) => [file, textOf(file)]));
const lines = {};
const lengths = [];
const types = {};
let queries = 0;
for (const [file, text] of texts) count(project.program.getSourceFile(join(dir, file)), text, file);
api.close();
const figures = { ...sizes(), lines, ...couplings() };
if (values.json) console.log(JSON.stringify({ commit, ...figures }, null, 2));
else {
  console.log(`src at ${commit}`);
  for (const [name, row] of Object.entries(figures)) {
    const cells = Object.entries(row).map(([key, value]) => `${key} ${value}`);
    console.log(`${name}: ${cells.join(", ")}`);
  }
}

/** The files of src as a program of their own, without what they import: nothing is checked. */
function parsed() {
  const config = join(mkdtempSync(join(tmpdir(), "prism-measure-")), "tsconfig.json");
  process.once("exit", () => rmSync(dirname(config), { recursive: true }));
  const compilerOptions = { noResolve: true, noLib: true, types: [], allowImportingTsExtensions: true, noEmit: true };
  writeFileSync(config, JSON.stringify({ compilerOptions, include: [join(dir, "src")] }));
  return api.updateSnapshot({ openProjects: [config] }).getProjects()[0];
}

function count(source, text, file) {
  const lineAt = (offset) => source.getLineAndCharacterOfPosition(offset).line;
  const spanOf = (node) => [lineAt(node.getStart(source)), lineAt(node.end - 1) + 1];
  const kinds = Array(linesOf(text)).fill("logic");
  /** @param isPainted whether the lines are those of an outer node */
  const visit = (node, isPainted) => {
    if (isFunction(node)) lengths.push(spanOf(node)[1] - spanOf(node)[0]);
    if (isType(node)) types[node.name.text] = new Set(types[node.name.text]).add(file);
    if (node.kind === Kind.PropertyAccessExpression && QUERY.test(node.name.text)) queries++;
    const kind = isPainted ? undefined : kindOf(node, source);
    if (kind !== undefined) kinds.fill(kind, ...spanOf(node));
    node.forEachChild((child) => visit(child, isPainted || kind !== undefined));
  };
  source.forEachChild((node) => visit(node, false));
  let isInComment = false;
  text.split("\n", kinds.length).forEach((line, index) => {
    const isComment = isInComment || /^\s*\/[/*]/.test(line);
    isInComment = (isInComment || /^\s*\/\*/.test(line)) && !line.includes("*/");
    const plain = /^[\s()[\]{};,]*$/.test(line) ? "brackets" : kinds[index];
    const kind = line.trim() === "" ? "blank" : isComment ? "comment" : plain;
    lines[kind] = (lines[kind] ?? 0) + 1;
  });
}

/** What the lines of a node are for; undefined where those of its parts differ. */
function kindOf(node, source) {
  if (/^(?:Im|Ex)portDeclaration$/.test(Kind[node.kind])) return "import";
  if (isType(node)) return WIRING.test(node.name.text) ? "wiring" : "type";
  if (node.kind === Kind.ModuleDeclaration) return "type";
  if (isRouteMember(node)) return "route";
  if (node.kind === Kind.TaggedTemplateExpression) return /^sql\b/.test(node.tag.getText(source)) ? "sql" : undefined;
  if (node.kind === Kind.CallExpression) return isQuery(node) ? "sql" : undefined;
  const assigns = (statement) => /^this\.#?\w+ = /.test(statement.getText(source));
  if (node.kind === Kind.Constructor) return node.body?.statements.every(assigns) ? "constructors" : undefined;
  const value = node.parent === source ? node.declarationList?.declarations[0].initializer : undefined;
  if (value === undefined || FUNCTIONS.test(Kind[value.kind])) return undefined;
  if (SCHEMA.test(value.getText(source))) return "schema";
  return hasFunction(value) ? undefined : "data";
}

/** A member of the object that `server.route` gets, but for the handler. */
function isRouteMember({ parent, name }) {
  const call = parent?.kind === Kind.ObjectLiteralExpression ? parent.parent : undefined;
  return (call?.expression?.name ?? call?.expression)?.text === "route" && name?.text !== "handle";
}

function hasFunction(node) {
  return isFunction(node) || (node.forEachChild((child) => hasFunction(child) || undefined) ?? false);
}

function sizes() {
  const files = [...texts.values()].map(linesOf);
  const least = (of, length) => of.filter((each) => each >= length).length;
  const total = (folder) => filesOf(folder).reduce((sum, file) => sum + linesOf(textOf(file)), 0);
  return {
    files: { ...spread(files), "≥ 350": least(files, 350) },
    functions: { ...spread(lengths), "≥ 40": least(lengths, 40), "≥ 100": least(lengths, 100) },
    "all lines": { src: total("src"), console: total("console"), test: total("test") },
  };
}

function spread(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return { count: sorted.length, median: sorted[sorted.length >> 1], p90: sorted[Math.floor(sorted.length * 0.9)] };
}

function couplings() {
  const importers = {};
  for (const [file, text] of texts)
    for (const [, path] of text.matchAll(/(?:from|import\() ?"(\.[^"]+)"/g))
      importers[join(dirname(file), path)] = new Set(importers[join(dirname(file), path)]).add(file);
  const only = Object.entries(importers).filter(([of, by]) => texts.has(of) && by.size === 1);
  const beside = only.filter(([of, [by]]) => dirname(of) === dirname(by));
  const twice = Object.values(types).filter(({ size }) => size > 1);
  const short = beside.filter(([of]) => linesOf(texts.get(of)) < 60);
  const found = (code) => [...texts.values()].join("\n").split(code).length - 1;
  return {
    "one importer": { files: only.length, "in its folder": beside.length, "of under 60 lines": short.length },
    uses: { queries, DueTimes: found("new DueTimes"), setInterval: found("setInterval("), "types twice": twice.length },
  };
}

function filesOf(folder) {
  const found = readdirSync(join(dir, folder), { recursive: true, encoding: "utf8" });
  return found.filter((file) => /(?<!\.gen|\.d)\.tsx?$/.test(file)).map((file) => join(folder, file));
}
