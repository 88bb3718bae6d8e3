import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { STATUS_OF } from "../../../src/core/errors.ts";
import { BUILT_IN_ROLES, KEY_SCOPES, PERMISSIONS } from "../../../src/core/permissions.ts";
import { QUEUES } from "../../../src/core/queues.ts";
import { readPage, topics } from "../../../src/features/status/manual.ts";
import { manualPage } from "../../../src/features/status/manual-page.ts";
import { startPrism } from "../../helpers/prism.ts";

const root = join(import.meta.dirname, "../../..");

test("the index of docs lists every page once, with a line about it", () => {
  const files = readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md") && name !== "README.md")
    .map((name) => name.replace(/\.md$/, ""));
  const names = topics().map(({ name }) => name);
  assert.deepEqual(names.sort(), [...files, "readme", "changelog", "decisions", "integrations/index"].sort());
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
  for (const path of ["/docs/readme", "/docs/console"]) {
    const { text } = await prism.get<string>(path, { token: null });
    for (const [, name = ""] of text.matchAll(/(?:src|srcset)="\/docs\/images\/([^"]+)"/g)) names.add(name);
    assert.doesNotMatch(text, /&lt;(picture|img|source)/, path);
  }
  const files = readdirSync(join(root, "docs/images"));
  assert.deepEqual([...names].sort(), files.sort(), "each is shown");
  for (const name of files) {
    const reply = await prism.get<string>(`/docs/images/${name}`, { token: null });
    assert.deepEqual([reply.status, reply.headers.get("content-type")], [200, "image/png"], name);
    assert.ok(readFileSync(join(root, "docs/images", name)).length < 150_000, name);
  }
  for (const name of ["none.png", "..%2Frules.md", "overview-light", "console.md"])
    assert.equal((await prism.get(`/docs/images/${name}`, { token: null })).status, 404, name);
});

test("a picture elsewhere, or with other members, is shown as text", () => {
  const picture = (more: string, file = "images/jobs-light.png") =>
    `<picture>\n<source media="(prefers-color-scheme: dark)" srcset="${file}">\n<img alt="Jobs" src="${file}"${more}>\n</picture>`;
  assert.match(manualPage("console", picture("")), /<img src="\/docs\/images\/jobs-light\.png" alt="Jobs"/);
  for (const text of [picture(' onload="x"'), picture("", "https://example.com/x.png"), picture("", "../x.png")])
    assert.doesNotMatch(manualPage("console", text), /<img|<picture/);
});

test("every relative link of a page leads to a page, an anchor of it or a file", () => {
  const broken: string[] = [];
  for (const file of readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".md")) continue;
    const text = readFileSync(join(root, "docs", file), "utf8").replaceAll(/`[^`\n]*`/g, "");
    for (const [, href = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(href) || href.startsWith("#")) continue;
      const path = join(root, "docs", file, "..", href.split("#")[0] ?? "");
      try {
        readFileSync(path);
      } catch {
        broken.push(`${file}: ${href}`);
      }
    }
  }
  assert.deepEqual(broken, []);
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
