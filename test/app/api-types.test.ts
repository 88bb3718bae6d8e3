import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

// The types of what the server takes and answers are generated (scripts/api-types.mjs): a type
// written by hand beside them would differ from them sooner or later.

const root = join(import.meta.dirname, "../..");
const FOLDERS = ["console", "src/cli", "src/client"];
const MIN_MEMBERS = 4;
const MIN_SHARE = 0.8;
/** A part of an answer with so many members is written as `Pick<…>`. */
const MIN_PART = 6;

/** Types that have the names of a schema for another reason. */
const OTHER = new Map([
  ["src/client/api.ts Page", "of any items; the document has one for each kind"],
  ["console/pages/oncall/calendar-grid.tsx Chosen", "times are numbers of the calendar, and users have their names"],
]);

interface TypeOfCode {
  /** Of an interface or alias; "" for a type within another one or a signature. */
  readonly name: string;
  readonly line: number;
  readonly members: readonly string[];
}

/** Interfaces and type literals of a source: blocks in which each part is `name: type`. */
function typesOf(source: string): readonly TypeOfCode[] {
  const blank = (text: string): string => text.replace(/[^\n]/g, " ");
  const text = source.replace(/\/\*[\s\S]*?\*\//g, blank).replace(/(?<![:"'`])\/\/.*$/gm, blank);
  const found: TypeOfCode[] = [];
  const open: number[] = [];
  for (const { 0: brace, index } of text.matchAll(/[{}]/g)) {
    if (brace === "{") open.push(index);
    const start = brace === "}" ? open.pop() : undefined;
    const members = start === undefined ? null : membersOf(text.slice(start + 1, index));
    if (start === undefined || !members) continue;
    const before = text.slice(0, start).split("\n");
    const [, name = ""] = /^(?:export )?(?:interface|type) (\w+)/.exec(before.at(-1) ?? "") ?? [];
    found.push({ name, line: before.length, members });
  }
  return found;
}

/** Names of the members of a type's body; null: it is something else, such as a block of statements. */
function membersOf(body: string): readonly string[] | null {
  let depth = 0;
  const flat = [...body].filter((sign) => {
    if ("{([".includes(sign)) depth += 1;
    else if ("})]".includes(sign)) depth -= 1;
    return depth === 0;
  });
  const parts = flat.join("").split(";");
  const names = parts.map((part) => part.trim()).filter((part) => part !== "");
  const members = names.map((part) => /^(?:readonly )?(\w+)\??\s*:/.exec(part)?.[1]);
  return members.length > 0 && members.every((name) => name !== undefined) ? members : null;
}

const GENERATED = readFileSync(join(root, "src/client/api-types.gen.ts"), "utf8");
const SCHEMAS = typesOf(GENERATED).filter(({ name, members }) => name !== "" && members.length >= MIN_MEMBERS);

/** The schema that a type repeats: most of it, or a larger part of it and nothing else. */
function repeatedBy({ members }: TypeOfCode): string | undefined {
  if (members.length < MIN_MEMBERS) return undefined;
  return SCHEMAS.find((schema) => {
    const shared = members.filter((name) => schema.members.includes(name)).length;
    if (shared < members.length * MIN_SHARE) return false;
    return shared >= schema.members.length * MIN_SHARE || members.length >= MIN_PART;
  })?.name;
}

function repetitions(file: string, source: string): readonly string[] {
  return typesOf(source).flatMap((type) => {
    const schema = OTHER.has(`${file} ${type.name}`) ? undefined : repeatedBy(type);
    return schema === undefined ? [] : [`${file}:${type.line}: ${type.name} repeats ${schema} of api-types.gen.ts`];
  });
}

test("no type of the console or the client repeats a schema of the API", () => {
  const files = FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => /(?<!\.gen)\.tsx?$/.test(name))
      .map((name) => `${folder}/${name.replaceAll("\\", "/")}`),
  );
  assert.ok(files.length > 200 && SCHEMAS.length > 200, `${files.length} files, ${SCHEMAS.length} schemas`);
  const found = files.flatMap((file) => repetitions(file, readFileSync(join(root, file), "utf8")));
  assert.deepEqual(found, []);
});

test("a type that repeats a schema is found", () => {
  const members = ["id: string", "ip: string", "userAgent: string", "createdAt: string", "lastUsedAt: string"];
  const body = members.map((member) => `  readonly ${member};\n`).join("");
  const more = "  readonly repeatedAt: string | null;\n";
  assert.deepEqual(repetitions("a.ts", `interface Login {\n${body}${more}}\n`), [
    "a.ts:1: Login repeats Session of api-types.gen.ts",
  ]);
  const answer = `api.get<{ readonly data: readonly {\n${body}${more}}[] }>("/sessions")`;
  assert.equal(repetitions("a.ts", answer).length, 1);
  assert.deepEqual(repetitions("a.ts", 'function shown() {\n  const id: string = "";\n  return id;\n}\n'), []);
});
