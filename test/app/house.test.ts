import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/architecture.md"), "utf8");
const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).filter(
  (file) => file.endsWith(".ts") && !file.endsWith(".gen.ts") && !file.endsWith(".d.ts"),
);

test("docs/architecture.md has at most 270 lines of 100 columns besides the tree", () => {
  const lines = page.trimEnd().split("\n");
  const count = page
    .replace(/^```(?:text)?\n.*? {2}features\/\n.*?^```/ms, "")
    .trimEnd()
    .split("\n").length;
  assert.ok(count <= 270, `${count} lines: shorten it, or move a part to docs/decisions`);
  assert.deepEqual(
    lines.filter((line) => [...line].length > 100),
    [],
  );
});

test("each of the five walks is at most 12 files, which exist, none twice", () => {
  const [, walks = ""] = page.split("## Where is …?");
  const sections = walks.split("\n### ").slice(1);
  assert.equal(sections.length, 5);
  for (const section of sections) {
    const files = [...section.matchAll(/^\d+\. `([^`]+)`/gm)].map(([, file = ""]) => file);
    assert.ok(files.length > 5 && files.length <= 12, section);
    assert.equal(new Set(files).size, files.length, section);
    for (const file of files) assert.ok(existsSync(join(root, "src", file)), file);
  }
});

test("S4-09: the page and the tree name the same features", (t) => {
  keepsPromise(t, "S4-09");
  const [, list = ""] = page.split("  features/\n");
  const named = [...(list.split("  cli/ ")[0] ?? "").matchAll(/^ {4}([a-z-]+)\/ /gm)].map(([, name]) => name);
  const folders = readdirSync(join(root, "src/features")).sort();
  assert.deepEqual(named, folders, "the tree of docs/architecture.md names each folder of src/features, in order");
});

test("no file of src is longer than 500 lines, and besides the cluster there are under 1220", () => {
  const long = sources.filter((file) => readFileSync(join(root, "src", file), "utf8").split("\n").length > 501);
  assert.deepEqual(long, []);
  const count = sources.filter((file) => !/(^|\/)cluster\//.test(file)).length;
  // A declaration of managed() and the engine behind it are two files; what a feature finds has a file of its
  // own, and so has what it has in configuration files. Plan, check, directory and seal of those are some twenty. An import of another program reads in one file and writes in
  // others, with a command: six to ten for each of eight programs. Sign-in at providers has some twenty. Reports have one file each, loaded with the first request. HMAC and reads that are shared have one each.
  assert.ok(count < 1220, `${count} files: merge small ones, or raise this limit with a reason`);
});

test("every error class has its name as a literal, which the executable's log shows", () => {
  const classes = sources.flatMap((file) => {
    const text = readFileSync(join(root, "src", file), "utf8");
    return [...text.matchAll(/^(?:export )?(?:abstract )?class (\w+)[^{]* extends (\w+)[^{]*\{[\s\S]*?^\}/gm)].map(
      ([body, name = "", parent = ""]) => ({ name, parent, body }),
    );
  });
  const errors = new Set(["Error", "TypeError", "RangeError"]);
  for (let before = 0; before !== errors.size; ) {
    before = errors.size;
    for (const { name, parent } of classes) if (errors.has(parent)) errors.add(name);
  }
  const found = classes.filter(({ parent }) => errors.has(parent));
  assert.ok(found.length > 30, String(found.length));
  for (const { name, body } of found)
    assert.match(body, new RegExp(`(?:readonly name(?:: string)? =|this\\.name =) "${name}"`), name);
});

test("no folder of src holds more than 30 files", () => {
  const counts = new Map<string, number>();
  for (const file of sources) counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
  assert.deepEqual(
    [...counts].filter(([, count]) => count > 30),
    [],
  );
});

test("comments of src cite pages of docs that exist, and no document that is not in the repository", () => {
  for (const file of sources) {
    const text = readFileSync(join(root, "src", file), "utf8");
    for (const [, name = ""] of text.matchAll(/\b(docs\/[\w/-]+\.md)/g))
      assert.ok(existsSync(join(root, name)), `${file}: ${name}`);
    assert.doesNotMatch(text, /contract (?:section )?\d|\bS[0-4]-\d\d|\(D\d{1,2}[),]/, file);
  }
});

/** Lines of a page, without tables, names of tests and transcripts (fences without a language). */
function prose(text: string): string[] {
  let fence: string | null = null;
  return text.split("\n").filter((line) => {
    if (line.startsWith("```")) fence = fence === null ? line : null;
    return fence !== "```" && !/^(\||\s*<!--)/.test(line);
  });
}

test("pages of docs have lines of 100 columns", () => {
  for (const name of readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".md")) continue;
    for (const line of prose(readFileSync(join(root, "docs", name), "utf8")))
      assert.ok([...line].length <= 100, `${name}: ${line}`);
  }
});

/** Types of services that many features use: those of `FeatureCore`, and the most frequent offers. */
const SERVICES =
  /^(?:Pick<)?(?:Database|Sqlite|Clock|Logger|Metrics|LiveSettings|SealedBox|Idempotency|StorageGuard|Committer|Store|HttpKernel|Router|BodyReader|WorkBudget|Hub|Connections|Presence|AuditService|AuditTrail|JobRunner|JobService|JobControl|Projects|Principals|UserDirectory|Notifier|Schedules|Alerts|Incidents|Policies|Silences|PageSender|Channels|RuleBook|Announcer|IngestService|RealtimeService)\b/;
const RECORD = /^(?:export )?interface (\w+)[^{]*\{\n(.*?)^\}/gms;
const MEMBER = /^ {2}(?:readonly )?\w+\??: ([^;]*);/gm;
/** To become fewer: a feature's parts take its `Context<…>`. */
const MAX_RECORDS = 29;

test("interfaces that list services again do not become more", () => {
  const found = sources
    .filter((file) => !/^(?:client|cli|remote|cluster)\//.test(file))
    .flatMap((file) =>
      [...readFileSync(join(root, "src", file), "utf8").matchAll(RECORD)]
        .filter(([, , body = ""]) => {
          const services = [...body.matchAll(MEMBER)].filter(([, type = ""]) => SERVICES.test(type));
          return services.length >= 2;
        })
        .map(([, name]) => `${file}: ${name}`),
    );
  assert.ok(found.length <= MAX_RECORDS, `${found.length}:\n${found.join("\n")}`);
});

/** Code that few installations or requests use; it is read where it is first called. */
const LATE = [
  /^cluster\//,
  /^config\/files\//,
  /^features\/explain\/(?!feature|schema|alert-schema)/,
  /^features\/(?:channels|intake\/receivers)\/presets\//,
  /^features\/protocols\/alertmanager\/import\//,
  /^features\/health\/emergency\/(?:ways|message|port)\.ts$/,
  /^features\/records\/backup\/(?:archive|create-backup|prepare-restored|restore|upgrade)\.ts$/,
  /^features\/health\/status\/manual-/,
  /^http\/api\/openapi\/(?:document|operation|schema)\.ts$/,
  /^features\/rules\/(?:backtest-thread|over-time\/replay)\.ts$/,
  /^features\/records\/configuration\/directory\//,
  /^features\/.*\/config-kind\.ts$/,
  /^features\/records\/configuration\/(?:service|history|open-incidents|planned-state|warnings)\.ts$/,
  /^features\/alerts\/ways\/planned-warnings\.ts$/,
  /doctor\.ts$|^cli\/|^remote\/(?:demo|worker|export)\//,
];

/** The files that are read with one, by their imports. */
function reachedFrom(entry: string): ReadonlySet<string> {
  const reached = new Set<string>();
  const visit = (file: string): void => {
    if (reached.has(file)) return;
    reached.add(file);
    const text = readFileSync(join(root, "src", file), "utf8");
    // Imports of types alone are not in the JavaScript.
    for (const [, names = "", path = ""] of text.matchAll(
      /^(?:import|export) ([^;"=]*?) ?(?:from )?"(\.\.?\/[^"]+)";$/gms,
    ))
      if (!/^type |^\{\s*(?:type [^,}]*,?\s*)*\}/.test(names)) visit(join(dirname(file), path));
  };
  visit(entry);
  return reached;
}

test("a server reads late code only when it is called", () => {
  const reached = reachedFrom("app/start.ts");
  assert.ok(reached.size > 700, `${reached.size} files`);
  assert.deepEqual(
    [...reached].filter((file) => LATE.some((late) => late.test(file))),
    [],
  );
  for (const late of LATE)
    assert.ok(
      sources.some((file) => late.test(file)),
      `${late}`,
    );
});

test("prism serve reads no other command", () => {
  assert.deepEqual([...reachedFrom("cli/main.ts")].filter((file) => file.startsWith("cli/commands/")).sort(), [
    "cli/commands/server/serve.ts",
    "cli/commands/server/systemd.ts",
  ]);
});

/** The lists of what has one place. */
interface OnePlace {
  readonly CALLS_OUTSIDE: readonly string[];
}

test("files that call hosts outside know the outgoing proxy", async () => {
  const { CALLS_OUTSIDE } = (await import(join(root, "scripts/one-place.mjs"))) as OnePlace;
  for (const file of CALLS_OUTSIDE)
    assert.match(
      readFileSync(join(root, file), "utf8"),
      /outgoing-proxy\.ts"|calls\/connect\.ts"|class ProxyFailed/,
      file,
    );
});

/** A copy of the sources with what check-imports needs. */
function copyOfSources(t: TestContext): string {
  const copy = temporaryDir(t);
  for (const part of ["src", "bin", "package.json", ...CHECKING]) cpSync(join(root, part), join(copy, part), DEEP);
  symlinkSync(join(root, "console"), join(copy, "console"));
  return copy;
}

const DEEP = { recursive: true };
const CHECKING = ["check-imports", "node-version", "one-place"].map((name) => `scripts/${name}.mjs`);

function checkImports(copy: string): { readonly status: number | null; readonly lines: readonly string[] } {
  const { status, stderr } = spawnSync(process.execPath, [join(copy, "scripts/check-imports.mjs")], {
    encoding: "utf8",
  });
  return { status, lines: stderr.split("\n").filter(Boolean) };
}

test("check-imports refuses a second timer, mail client, caller of HTTP, template and list of titles, and names the place to use", (t) => {
  const copy = copyOfSources(t);
  assert.deepEqual(checkImports(copy), { status: 0, lines: [] });
  const allowed = `// setInterval(work, 5) and fetch(url) are in other files
/** setTimeout(work, 5) */
import { setImmediate } from "node:timers/promises";
export const work = () => setImmediate();
export const later = (socket: Socket) => socket.setTimeout(5);
`;
  const rows: readonly (readonly [name: string, code: string, place: RegExp])[] = [
    ["interval", "setInterval(work, 5);", /core\/time\/periodic\.ts/],
    ["global-interval", "globalThis.setInterval(work, 5);", /core\/time\/periodic\.ts/],
    ["timeout", "const timer = setTimeout(work, 5);", /core\/promises\.ts .*core\/time\/due-times\.ts/],
    ["renamed", "const start = setTimeout;", /core\/promises\.ts/],
    ["pause", 'import { setTimeout as wait } from "node:timers/promises";', /core\/promises\.ts/],
    ["scheduler", 'import { scheduler } from "node:timers/promises";', /core\/promises\.ts/],
    ["due-work", "this.#due.start();", /dueWork of the feature's declaration/],
    ["mail", 'const { createTransport } = await import("nodemailer");', /channels\/mail\/client\.ts/],
    ["web-push", 'import webPush from "web-push";', /channels\/webpush\/sender\.ts/],
    ["fetch", "const reply = await fetch(url);", /webhook\/safe-fetch\.ts/],
    ["request", 'import { request } from "node:https";', /calls\/connect\.ts/],
    ["template", 'const at = text.indexOf("{{");', /language\/template\.ts/],
    ["placeholder", "const PLACEHOLDER = /\\{([^{}]+)\\}/g;", /language\/template\.ts/],
    ["placeholders", "const filled = text.replace(/\\{\\{ (\\w+) \\}\\}/g, fill);", /language\/template\.ts/],
    ["names", 'const TITLES = ["title", "subject"];', /core\/text\/names\.ts/],
  ];
  writeFileSync(join(copy, "src/features/rules/allowed.ts"), allowed);
  for (const [name, code] of rows) writeFileSync(join(copy, `src/features/rules/second-${name}.ts`), `${code}\n`);
  const { status, lines } = checkImports(copy);
  assert.equal(status, 1);
  assert.equal(lines.length, rows.length, lines.join("\n"));
  for (const [name, , place] of rows) {
    const line = lines.find((each) => each.startsWith(`src/features/rules/second-${name}.ts `)) ?? "";
    assert.match(line, place, name);
  }
});

test("check-imports refuses an entry of its lists that nothing needs any more", (t) => {
  const copy = copyOfSources(t);
  writeFileSync(join(copy, "src/features/channels/webpush/sender.ts"), "export const sender = 1;\n");
  assert.deepEqual(checkImports(copy).lines, [
    "scripts/one-place.mjs: nothing in src/features/channels/webpush/sender.ts imports web-push any more",
  ]);
});
