import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { TestContext } from "node:test";
import { type Browser, chromium, type Page } from "playwright-core";

const BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** A browser that starts on a busy machine is slow: its own limits of 30 s are too short. */
const PATIENCE_MS = 120_000;

/**
 * A browser that ends with the test. @returns undefined where none is installed, which the test's
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
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu"],
    timeout: PATIENCE_MS,
  });
  t.after(() => browser.close());
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
