// needs: chromium
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { after, type TestContext } from "node:test";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { eventually } from "./eventually.ts";

const BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** A browser that starts on a busy machine is slow: its own limit of 30 s is too short. */
const START_PATIENCE_MS = 120_000;
/** For a step of a page on a busy machine; a test that hangs must still fail. */
const PATIENCE_MS = 60_000;

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
  shared ??= chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"], timeout: START_PATIENCE_MS });
  const browser = await shared;
  t.after(() => Promise.all(browser.contexts().map((context) => context.close())));
  return browser;
}

/** A window of its own. Its pages do not move or fade, as for a person who asks for reduced motion. */
export async function openContext(browser: Browser, options: BrowserContextOptions = {}): Promise<BrowserContext> {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  return context;
}

/** A page in a window of its own. */
export async function openPage(browser: Browser, options?: BrowserContextOptions): Promise<Page> {
  return (await openContext(browser, options)).newPage();
}

/** Waits until nothing moves or fades on a page: before that, its colours and sizes are not the final ones. */
export async function settled(page: Page): Promise<void> {
  const isStill = "document.getAnimations().every(({ playState }) => playState !== 'running')";
  await eventually(`nothing moves on ${page.url()}`, () => page.evaluate<boolean>(isStill));
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
