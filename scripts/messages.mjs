// Prints every text of src and console that people read, as "area file:line: text": errors and
// descriptions of the API, log, command line, console, and the others (mails, notifications,
// doctor). Read it like a page: each line has to be plain without the code.
// Arguments are parts of areas or paths: npm run messages -- log features/oncall
import "./node-version.mjs";
import { join, relative } from "node:path";
import { SyntaxKind as Kind } from "typescript/unstable/ast";
import { API } from "typescript/unstable/sync";

const root = join(import.meta.dirname, "..");
const AREAS = ["error", "log", "description", "text", "command", "console"];
const CLASS_OR_PATH = new Set(["class", "className", "d", "viewBox", "points", "transform", "style", "media"]);
const SQL =
  /^\s*(?:select|insert|update|delete|create|drop|alter|with|pragma|from|where|and|or|order by|explain|on conflict)\s/;

/** Aliases of SQL, pragmas, expressions of mappings, templates without words. */
const NOT_WORDS = /^(?:[\w.]+ as \w+|\w+ = \S+|= .*|[^{]*(?:\{\{[^}]*\}\}[^\w]*)+)$/s;

/** The expression as source text: ${…} of a template, names as they are. */
const placeholder = (node) => `\${${node.getText().replaceAll(/\s+/g, " ").slice(0, 60)}}`;

/** The text of a literal, template or piece of JSX; undefined for other nodes. */
function textOf(node) {
  switch (node.kind) {
    case Kind.StringLiteral:
    case Kind.NoSubstitutionTemplateLiteral:
    case Kind.JsxText:
      return node.text;
    case Kind.TemplateExpression:
      return (
        node.head.text + node.templateSpans.map((span) => placeholder(span.expression) + span.literal.text).join("")
      );
    default:
      return undefined;
  }
}

/** "error", "log" or "description" for an argument or member of that kind; undefined for others. */
function roleOf(node) {
  for (let at = node.parent; at !== undefined; at = at.parent) {
    if (at.kind === Kind.NewExpression && /(?:Error|Refusal|Invalid\w*)$/.test(at.expression.getText())) return "error";
    if (at.kind === Kind.CallExpression) {
      const callee = at.expression.getText();
      if (/(?:log|logger)\??\.(?:debug|info|warn|error|fatal)$/.test(callee)) return "log";
      if (/^(?:v\.)?description$/.test(callee)) return "description";
    }
    if (at.kind === Kind.PropertyAssignment && /^(?:summary|description)$/.test(at.name.getText()))
      return "description";
    if (/^(?:FunctionDeclaration|MethodDeclaration|ArrowFunction)$/.test(Kind[at.kind])) return undefined;
  }
  return undefined;
}

/** False for what nobody reads: imports, types, statements of SQL, names of classes of CSS. */
function isRead(node, text) {
  const { parent } = node;
  if ([Kind.ImportDeclaration, Kind.ExportDeclaration, Kind.LiteralType].includes(parent.kind)) return false;
  if (parent.kind === Kind.TaggedTemplateExpression) return false;
  if (parent.kind === Kind.JsxAttribute && CLASS_OR_PATH.has(parent.name.getText())) return false;
  if (SQL.test(text) || NOT_WORDS.test(text)) return false;
  const inJsx = node.kind === Kind.JsxText || parent.kind === Kind.JsxAttribute;
  return /[a-z]{2,}[^\w]*\s+\S|\s[a-z]{3,}/i.test(text) || (inJsx && /^\s*[A-Z][a-z]+/.test(text));
}

function areaOf(node, file) {
  if (file.startsWith("console/")) return "console";
  if (/^(?:src\/(?:cli|remote)|bin)\//.test(file)) return roleOf(node) === "log" ? "log" : "command";
  return roleOf(node) ?? "text";
}

function textsOf(source, file) {
  const found = [];
  const visit = (node) => {
    const text = textOf(node);
    if (text !== undefined && isRead(node, text)) {
      const line = source.text.slice(0, node.getStart()).split("\n").length;
      found.push({ area: areaOf(node, file), file, line, text: text.trim().replaceAll(/\s+/g, " ") });
    }
    node.forEachChild(visit);
  };
  visit(source);
  return found;
}

const api = new API({ cwd: root });
const configs = ["tsconfig.json", "console/tsconfig.json", "console/tsconfig.worker.json"].map((name) =>
  join(root, name),
);
const projects = api.updateSnapshot({ openProjects: configs }).getProjects();
const read = new Set();
const texts = projects.flatMap((project) =>
  project.rootFiles.flatMap((path) => {
    const file = relative(root, path);
    if (!/^(?:src|console|bin)\/.*(?<!\.gen|\.d)\.tsx?$/.test(file) || read.has(file)) return [];
    read.add(file);
    return textsOf(project.program.getSourceFile(path), file);
  }),
);
api.close();
const wanted = process.argv.slice(2);
const lines = texts
  .sort((a, b) => AREAS.indexOf(a.area) - AREAS.indexOf(b.area) || a.file.localeCompare(b.file) || a.line - b.line)
  .filter(({ area, file }) => wanted.every((part) => area === part || file.includes(part)))
  .map(({ area, file, line, text }) => `${area} ${file}:${line}: ${text}`);
process.stdout.write(`${lines.join("\n")}\n`);
