import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { manualPage } from "../../../../scripts/manual/page.ts";
import { anchors, plainText, readingOrder } from "../../../../scripts/manual/pages.ts";
import { manualSections } from "../../../../scripts/manual/sections.ts";
import { STATUS_OF } from "../../../../src/core/errors.ts";
import { QUEUES } from "../../../../src/core/limits/queues.ts";
import { BUILT_IN_ROLES, KEY_SCOPES, PERMISSIONS } from "../../../../src/core/permissions.ts";
import { readPage, topics } from "../../../../src/features/health/status/manual.ts";
import { searchManual } from "../../../../src/features/health/status/manual-search.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { valuesOf } from "../../../helpers/values.ts";

const root = join(import.meta.dirname, "../../../..");

test("the index of docs lists every page once, with a line about it", () => {
  const files = readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md") && name !== "README.md")
    .map((name) => name.replace(/\.md$/, ""));
  const names = topics().map(({ name }) => name);
  const others = ["readme", "changelog", "contributing", "reporting", "decisions", "integrations"];
  assert.deepEqual(names.toSorted(), [...files, ...others].sort());
  assert.deepEqual(
    [...new Set(topics().map(({ group }) => group))],
    ["Start", "Get alerts in", "Reach people", "On call", "Operate", "Extend", "Reference", "Coming from"],
  );
});

/** Every page of docs with those at the root, by its topic. */
const PAGES = [
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md") && name !== "README.md")
    .map((name) => name.replace(/(\/README)?\.md$/, "")),
  ...["readme", "changelog", "contributing", "reporting"],
].sort();

test("the menu has every topic once, and next leads from the first page through all others", async (t) => {
  assert.deepEqual(readingOrder().toSorted(), PAGES);
  const prism = await startPrism(t);
  const order = ["index", ...readingOrder()];
  for (const [at, name] of order.entries()) {
    const path = name === "index" ? "/docs" : `/docs/${name}`;
    const { text } = await prism.get<string>(path, { token: null });
    assert.equal(text, manualPage(name), `${path}: as the build makes it`);
    const menu = /<nav id="menu"[\s\S]*?<\/nav>/.exec(text)?.[0] ?? "";
    const linked = [...menu.matchAll(/<a href="\/docs\/([^"]+)"/g)].map(([, each]) => each);
    assert.deepEqual(linked, valuesOf(topics(), "name"), path);
    const [, next] = /<a rel="next" href="\/docs\/([^"]+)"/.exec(text) ?? [];
    const [, previous] = /<a rel="prev" href="\/docs\/([^"]+)"/.exec(text) ?? [];
    assert.deepEqual([previous, next], [at > 1 ? order[at - 1] : undefined, order[at + 1]], path);
    const marks = [...menu.matchAll(/<details open>|aria-current="page"/g)];
    assert.equal(marks.length, name === "index" ? 0 : 2, `${path}: one group is open, one page is marked`);
  }
});

test("the file of sections that the build makes has two lines for each: what is searched, and what is shown", () => {
  const lines = manualSections().split("\n");
  const sections = lines.filter((_, at) => at % 2 === 1).map((line) => JSON.parse(line) as Record<string, string>);
  assert.deepEqual([...new Set(valuesOf(sections, "topic"))], readingOrder());
  for (const [at, { title = "", heading = "" }] of sections.entries())
    assert.ok(lines[2 * at]?.startsWith(` ${title} ${heading} `.toLowerCase().replaceAll(/\s+/g, " ")), heading);
});

test("the search finds sections with all words, in any case, headings before texts, and shows them", async (t) => {
  for (const [words, first] of [
    ["dead LETTER", "glossary"],
    ["days off", "oncall"],
    ["restore drill", "backup"],
    ["amtool", "alertmanager"],
  ] as const) {
    const found = searchManual(words);
    const topicsFound = found.slice(0, 5).map(({ topic }) => topic);
    assert.ok(topicsFound.includes(first), `${words}: ${topicsFound}`);
    for (const { topic, anchor } of found) {
      const html = manualPage(topic);
      assert.ok(anchor === "" || html.includes(` id="${anchor}"`), `${topic}#${anchor}`);
    }
  }
  assert.deepEqual(searchManual("xyzzy-nowhere"), []);
  const prism = await startPrism(t);
  const get = (query: string) => prism.get<string>(`/docs/search${query}`, { token: null });
  const { text } = await get("?q=Restore+%3Cb%3E+drill");
  assert.match(text, /No page has all of these words/);
  assert.match(text, /value="Restore &lt;b&gt; drill"/);
  const drill = await get("?q=restore%20drill");
  assert.match(drill.text, /<a href="\/docs\/backup#restore-drill">Restore drill<\/a>/);
  assert.match(drill.text, /<mark>[Rr]estore<\/mark>/);
  for (const query of ["", "?q=", "?q=%28%5B%2A", `?q=${"word+".repeat(500)}`, "?q=%ff"])
    assert.equal((await get(query)).status, 200, query);
});

test("the earlier name of a page leads to the present one", async (t) => {
  const prism = await startPrism(t);
  const reply = await fetch(`${prism.url}/docs/integrations/index`, { redirect: "manual" });
  assert.deepEqual([reply.status, reply.headers.get("location")], [301, "/docs/integrations"]);
  const page = await prism.get<string>("/docs/integrations", { token: null });
  for (const anchor of ["pagerduty", "opsgenie", "make-a-receiver"]) assert.ok(page.text.includes(` id="${anchor}"`));
});

test("every page of docs is served under /docs, and every link on it leads somewhere", async (t) => {
  const prism = await startPrism(t);
  const pages = new Map<string, string>();
  const read = async (path: string): Promise<string> => {
    const known = pages.get(path);
    if (known !== undefined) return known;
    const reply = await prism.get<string>(path, { token: null });
    assert.equal(reply.status, 200, path);
    pages.set(path, reply.text);
    return reply.text;
  };
  const waiting = ["/docs"];
  const seen = new Set(waiting);
  let links = 0;
  for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
    for (const [, href = ""] of (await read(path)).matchAll(/<a href="([^"]+)"/g)) {
      if (/^https?:/.test(href)) continue;
      links++;
      const { pathname, hash } = new URL(href, `http://prism${path}`);
      const target = await read(pathname);
      if (hash !== "") assert.ok(target.includes(` id="${hash.slice(1)}"`), `${path} links to ${href}`);
      if (seen.has(pathname) || pathname === "/docs/api") continue;
      seen.add(pathname);
      waiting.push(pathname);
    }
  }
  assert.ok(links > 500, String(links));
  for (const { name } of topics()) assert.ok(seen.has(`/docs/${name}`), name);
});

test("images of docs are served under /docs/images, and no other file", async (t) => {
  const prism = await startPrism(t);
  const names = new Set<string>();
  for (const path of ["/docs/readme", "/docs/console", "/docs/benchmarks"]) {
    const { text } = await prism.get<string>(path, { token: null });
    for (const [, name = ""] of text.matchAll(/(?:src|srcset)="\/docs\/images\/([^"]+)"/g)) names.add(name);
    assert.doesNotMatch(text, /&lt;(picture|img|source)/, path);
  }
  const files = readdirSync(join(root, "docs/images"));
  assert.deepEqual([...names].sort(), files.sort(), "each is shown");
  for (const name of files) {
    const reply = await prism.get<string>(`/docs/images/${name}`, { token: null });
    const type = name.endsWith(".svg") ? "image/svg+xml" : "image/png";
    assert.deepEqual([reply.status, reply.headers.get("content-type")], [200, type], name);
    assert.ok(readFileSync(join(root, "docs/images", name)).length < 150_000, name);
  }
  for (const name of ["none.png", "none.svg", "..%2Frules.md", "overview-light", "console.md"])
    assert.equal((await prism.get(`/docs/images/${name}`, { token: null })).status, 404, name);
});

test("a picture elsewhere, or with other members, is shown as text", () => {
  const picture = (more: string, file = "images/jobs-light.png") =>
    `<picture>\n<source media="(prefers-color-scheme: dark)" srcset="${file}">\n<img alt="Jobs" src="${file}"${more}>\n</picture>`;
  assert.match(manualPage("console", picture("")), /<img src="\/docs\/images\/jobs-light\.png" alt="Jobs"/);
  for (const text of [picture(' onload="x"'), picture("", "https://example.com/x.png"), picture("", "../x.png")])
    assert.doesNotMatch(manualPage("console", text), /<img|<picture/);
});

/** Anchors of a Markdown file's headings. */
function anchorsOf(text: string): Set<string> {
  const anchorOf = anchors();
  const headings = text.replaceAll(/^```[\s\S]*?^```$/gm, "").matchAll(/^#+ (.+)$/gm);
  return new Set([...headings].map(([, heading = ""]) => anchorOf(plainText(heading))));
}

test("every relative link of README, CONTRIBUTING, SECURITY and docs leads to a file and an anchor of it", () => {
  const broken: string[] = [];
  const inDocs = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" });
  const files = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    ...inDocs.map((name) => `docs/${name}`),
  ];
  let links = 0;
  for (const file of files.filter((name) => name.endsWith(".md"))) {
    const text = readFileSync(join(root, file), "utf8").replaceAll(/^```[\s\S]*?^```$/gm, "");
    for (const [, href = ""] of text.replaceAll(/`[^`\n]*`/g, "").matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(href)) continue;
      links++;
      const [path = "", anchor = ""] = href.split("#");
      const target = path === "" ? join(root, file) : join(root, file, "..", path);
      if (!existsSync(target)) broken.push(`${file}: ${href}`);
      else if (anchor !== "" && !anchorsOf(readFileSync(target, "utf8")).has(anchor)) broken.push(`${file}: ${href}`);
    }
  }
  assert.deepEqual(broken, []);
  assert.ok(links > 500, String(links));
});

test("every npm script and test that README, CONTRIBUTING and docs name exists", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: object };
  const tests = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" });
  const inDocs = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" });
  let named = 0;
  for (const file of ["README.md", "CONTRIBUTING.md", ...inDocs.map((name) => `docs/${name}`)]) {
    if (!file.endsWith(".md")) continue;
    const text = readFileSync(join(root, file), "utf8");
    for (const [, script = ""] of text.matchAll(/npm run ([a-z][a-z:-]*)/g)) {
      named++;
      assert.ok(script in scripts, `${file}: npm run ${script}`);
    }
    for (const [, part = ""] of text.matchAll(/(?:node scripts\/test\.mjs|; test\/)\s?([\w/.-]+)/g)) {
      named++;
      assert.ok(
        tests.some((path) => path.includes(part)),
        `${file}: no test is at ${part}`,
      );
    }
  }
  assert.ok(named > 40, String(named));
});

test("a page holds no script, no style of its own, and no HTML from its text", async (t) => {
  const prism = await startPrism(t);
  const reply = await prism.get<string>("/docs/realtime", { token: null });
  assert.match(reply.headers.get("content-security-policy") ?? "", /default-src 'none'/);
  assert.doesNotMatch(reply.text, /<script| style=| on\w+=|<!-- /);
  const html = manualPage(
    "rules",
    "# A <b>\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) `<i>` <img src=x>",
  );
  assert.doesNotMatch(html, /<script|<b>|<i>|<img|javascript:/);
  assert.match(html, /&lt;script&gt;/);
});

test("a topic without a page is 404, however its name is spelled", async (t) => {
  const prism = await startPrism(t);
  for (const path of [
    "/docs/nothing",
    "/docs/Rules",
    "/docs/rules.md",
    "/docs/decisions/nothing",
    "/docs/..%2fpackage",
  ]) {
    const reply = await prism.get<{ error: { code: string } }>(path, { token: null });
    assert.deepEqual([reply.status, reply.body.error.code], [404, "NOT_FOUND"], path);
  }
  assert.equal(readPage("../package"), undefined);
});

test("docs/http.md has every error code beside its status", () => {
  const rows = [...(readPage("http") ?? "").matchAll(/^\| (\d{3}) \| (.+) \|$/gm)].flatMap(([, status, codes = ""]) =>
    [...codes.matchAll(/`([A-Z_]+)`/g)].map(([, code = ""]) => [code, Number(status)] as const),
  );
  assert.deepEqual(Object.fromEntries(rows), STATUS_OF);
  assert.equal(rows.length, Object.keys(STATUS_OF).length);
});

test("docs/permissions.md has the permissions of the built-in roles and the scopes of keys", () => {
  const text = readPage("permissions") ?? "";
  const roles = Object.values(BUILT_IN_ROLES);
  for (const permission of PERMISSIONS) {
    const cells = roles.map((held) => (held.includes(permission) ? " yes " : " ")).join("|");
    assert.ok(text.includes(`| \`${permission}\` |${cells}|\n`), permission);
  }
  assert.ok(text.includes(`| permission | ${Object.keys(BUILT_IN_ROLES).join(" | ")} |`));
  for (const scope of KEY_SCOPES) assert.ok(text.includes(`\`${scope}\``), scope);
});

test("docs/jobs.md has every queue", () => {
  const rows = [...(readPage("jobs") ?? "").matchAll(/^\| `([a-z-]+)` \| \d/gm)].map(([, name]) => name);
  assert.deepEqual(rows, [...QUEUES]);
});
