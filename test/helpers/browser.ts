import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { after, type TestContext } from "node:test";
import { type Browser, chromium, type Page } from "playwright-core";

const BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** A browser that starts on a busy machine is slow: its own limits of 30 s are too short. */
const PATIENCE_MS = 120_000;

/** One for all tests of this process: its start takes as long as many pages. */
let shared: Promise<Browser> | undefined;
// At the root, after all tests; in a test it would end with that.
after(async () => (await shared)?.close());

/**
 * A browser, in which the pages of a test end with it. @returns undefined where none is installed, which the test's
 * output says. @throws where `CI` is set and none is installed
 */
export async function startBrowser(t: TestContext): Promise<Browser | undefined> {
  const executablePath = findBrowser();
  if (executablePath === undefined) {
    if (process.env["CI"]) throw new Error("the gate needs a browser: install chromium");
    t.diagnostic(`NOT CHECKED: no browser. Install one of ${BROWSERS.join(", ")}, or set CHROMIUM_PATH`);
    return undefined;
  }
  // Test machines run as root, where the browser's own sandbox does not start; the pages are ours.
  shared ??= chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"], timeout: PATIENCE_MS });
  const browser = await shared;
  t.after(() => Promise.all(browser.contexts().map((context) => context.close())));
  return browser;
}

/** A page that waits for as long as it takes. */
export async function openPage(browser: Browser): Promise<Page> {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  return page;
}

/** `CHROMIUM_PATH`, or the first browser on the PATH. */
function findBrowser(): string | undefined {
  const given = process.env["CHROMIUM_PATH"];
  if (given !== undefined && given !== "") return given;
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return BROWSERS.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
