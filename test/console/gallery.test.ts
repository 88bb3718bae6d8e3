import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, extname, join } from "node:path";
import type { TestContext } from "node:test";
import test from "node:test";
import { build } from "esbuild";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { openPage, startBrowser } from "../helpers/browser.ts";
import { eventually } from "../helpers/eventually.ts";
import { assertAccessible } from "./helpers.ts";

const ROOT = join(import.meta.dirname, "../..");
const SECTIONS = ["story", "actions", "forms", "states", "data", "tables"];
const TYPES: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'";
const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Gallery</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/stdin.css"><script type="module" src="/stdin.js"></script><main id="app"></main></html>`;
const ENTRY = `
import "./console/styles/index.css";
import { render, h } from "preact";
import Gallery from "./console/gallery/gallery.tsx";
import { UiHost } from "./console/ui/index.ts";
render([h(Gallery, {}), h(UiHost, {})], document.getElementById("app"));`;

let built: Promise<ReadonlyMap<string, Uint8Array>> | undefined;

/** The gallery alone, bundled once for all tests. */
async function bundle(): Promise<ReadonlyMap<string, Uint8Array>> {
  const { outputFiles } = await build({
    stdin: { contents: ENTRY, resolveDir: ROOT },
    bundle: true,
    splitting: true,
    write: false,
    format: "esm",
    outdir: "/",
    jsx: "automatic",
    jsxImportSource: "preact",
  });
  return new Map(outputFiles.map(({ path, contents }) => [`/${basename(path)}`, contents]));
}

/** The gallery, served with the console's policy. @returns its address */
async function serveGallery(t: TestContext): Promise<string> {
  built ??= bundle();
  const files = await built;
  const server = createServer((request, response) => {
    const path = request.url ?? "/";
    const content = path === "/" ? PAGE : files.get(path);
    response.writeHead(content === undefined ? 404 : 200, {
      "content-type": TYPES[extname(path) || ".html"] ?? "text/plain",
      "content-security-policy": POLICY,
    });
    response.end(content);
  });
  t.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

interface Gallery {
  readonly open: (section: string, options?: BrowserContextOptions) => Promise<Page>;
  readonly problems: string[];
}

async function openGallery(t: TestContext, browser: Browser): Promise<Gallery> {
  const address = await serveGallery(t);
  const problems: string[] = [];
  const open = async (section: string, options: BrowserContextOptions = {}) => {
    const page = await openPage(browser, { viewport: { width: 1280, height: 900 }, ...options });
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    page.on("dialog", (dialog) => {
      problems.push(`a script ran: ${dialog.message()}`);
      dialog.dismiss().catch(() => undefined);
    });
    await page.goto(`${address}#${section}`);
    await page.getByRole("tab", { selected: true }).first().waitFor();
    // Listeners are added after the first frame.
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))));
    return page;
  };
  return { open, problems };
}

/** Chart code loads late; the accessibility check must see the drawn page. */
async function waitForCharts(page: Page, section: string): Promise<void> {
  if (section === "story" || section === "data") await page.locator(".plot canvas").first().waitFor();
}

test("every component is accessible in both themes, fits a phone, and shows markup as text", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const gallery = await openGallery(t, browser);
  for (const { colorScheme, width } of [
    { colorScheme: "light", width: 360 },
    { colorScheme: "dark", width: 1280 },
  ] as const) {
    const page = await gallery.open("story", { colorScheme, viewport: { width, height: 900 } });
    const tabs = page.getByRole("tablist", { name: "Sections" }).getByRole("tab");
    for (const [nth, section] of SECTIONS.entries()) {
      await tabs.nth(nth).click();
      await page.waitForURL(new RegExp(`#${section}$`));
      await waitForCharts(page, section);
      await assertAccessible(page, `${section}, ${colorScheme}, ${width} px`);
      assert.equal(await page.locator("img[src=x]").count(), 0, "hostile markup is text");
    }
  }
  assert.deepEqual(gallery.problems, []);
});

test("a reader who asks for reduced motion gets none", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const gallery = await openGallery(t, browser);
  const moving = async (reducedMotion: "reduce" | "no-preference") => {
    const page = await gallery.open("states", { reducedMotion });
    return page.evaluate(() => {
      const times = document.getAnimations().map(({ effect }) => effect?.getComputedTiming().activeDuration);
      return times.filter((time) => Number(time) > 1).length;
    });
  };
  assert.ok((await moving("no-preference")) > 0);
  assert.equal(await moving("reduce"), 0);
});

test("dialogs, menus, tabs and lists work by keyboard and give the focus back", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const gallery = await openGallery(t, browser);
  const page = await gallery.open("actions");

  await page.getByRole("button", { name: "Dialog", exact: true }).click();
  await page.keyboard.type("ops");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByText("The rule was changed meanwhile").waitFor();
  assert.equal(await page.getByRole("textbox", { name: "Name" }).inputValue(), "ops");
  await assertAccessible(page, "dialog with an error");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Dialog", exact: true }).and(page.locator(":focus")).waitFor();

  await page.getByRole("button", { name: "More actions" }).press("ArrowDown");
  await page.getByRole("menuitem", { name: "Edit" }).waitFor();
  await assertAccessible(page, "menu");
  await page.keyboard.press("End");
  await page.getByRole("menuitem", { name: "Delete" }).and(page.locator(":focus")).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "More actions" }).and(page.locator(":focus")).waitFor();

  await page.getByRole("tab", { name: "Attempts" }).press("ArrowRight");
  await page.getByRole("tabpanel").getByText("The panel of log").waitFor();

  await page.getByRole("button", { name: "Confirm", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Retry 12 jobs" }).click();
  await page.getByRole("status").getByText("Yes").waitFor();
  await page.getByRole("button", { name: "Dangerous confirm" }).click();
  await page.getByRole("button", { name: "Delete rule", exact: true, disabled: true }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Fails" }).click();
  await page.getByRole("alert").getByText("CONFLICT · 01HZX4").waitFor();
  assert.deepEqual(gallery.problems, []);
});

test("a combobox chooses by typing and keeps Esc from its dialog", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const gallery = await openGallery(t, browser);
  const page = await gallery.open("forms");
  const person = page.getByRole("combobox", { name: "Person" });
  await person.click();
  await page.keyboard.type("chi");
  await page.getByRole("option", { name: "Chiara Neri" }).waitFor();
  await assertAccessible(page, "open list");
  await page.keyboard.press("Enter");
  assert.equal(await person.inputValue(), "Chiara Neri");
  const path = page.getByRole("combobox", { name: "Path" });
  await path.fill("event.room");
  await page.keyboard.press("Tab");
  assert.equal(await path.inputValue(), "event.room", "free text is kept");
  const search = page.getByRole("combobox", { name: "Search on the server" });
  await search.fill("ben");
  await page.getByRole("option", { name: "Ben Osei" }).waitFor();
  await page.keyboard.press("/");
  assert.equal(await search.inputValue(), "ben/", "a slash in a field is text");
  assert.deepEqual(gallery.problems, []);
});

test("a list moves by j and k, selects, opens, and keeps its memory bounded", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const gallery = await openGallery(t, browser);
  const page = await gallery.open("tables");
  const jobs = page.getByRole("table", { name: "Jobs" });
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  await page.getByText("3 selected").waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await page.keyboard.press("Enter");
  await page.getByRole("status").getByText("Opens job-1000").waitFor();
  await page.keyboard.press("a");
  await page.getByRole("status").getByText("Acknowledged job-1000").waitFor();

  const more = page.getByRole("button", { name: "Load more" });
  await more.click();
  await page.getByText("200 of 2 000".replace("2 000", "2\u202f000")).waitFor();
  // By keyboard: rows that are measured now move the button away from the pointer.
  await more.press("Enter");
  await page.getByText("2\u202f000 of 2\u202f000").waitFor();
  await eventually("the rows in the middle are in the document", async () => {
    // Again, while rows that are measured change the height of the list.
    await jobs.evaluate((table) => {
      const { top, height } = table.getBoundingClientRect();
      window.scrollBy(0, top + height / 2 - window.innerHeight / 2);
    });
    return (await jobs.locator("tr[aria-rowindex='1000']").count()) > 0;
  });
  assert.ok((await jobs.locator("tr").count()) < 200, "rows far from the window are not in the document");
  assert.equal(await jobs.getAttribute("aria-rowcount"), "2001");
  assert.deepEqual(gallery.problems, []);
});

test("a copied time is RFC 3339, and a chosen theme outlives the page", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const gallery = await openGallery(t, browser);
  const page = await gallery.open("data");
  const copied = await page.evaluate(() => {
    const time = document.querySelector("time");
    if (!time) return undefined;
    window.getSelection()?.selectAllChildren(time);
    const event = new ClipboardEvent("copy", { clipboardData: new DataTransfer(), bubbles: true, cancelable: true });
    time.dispatchEvent(event);
    return event.clipboardData?.getData("text/plain");
  });
  assert.match(copied ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await background();
  await page.getByRole("radio", { name: "dark" }).check();
  assert.notEqual(await background(), light);
  await page.reload();
  await page.getByRole("radio", { name: "dark", checked: true }).waitFor();
  assert.notEqual(await background(), light);
  assert.deepEqual(gallery.problems, []);
});
