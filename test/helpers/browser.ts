// needs: chromium, chromium-headless-shell
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { after, type TestContext } from "node:test";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { eventually } from "./eventually.ts";

/** Without windows and toolbars of its own: it takes about 60 % of a whole browser's processor time. */
const SHELL = "chromium-headless-shell";
const WHOLE = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/** Toolbars and pages that a whole browser keeps ready: each is a process more for each page. */
const UNUSED = [
  "InitialWebUI",
  "PreloadTopChromeWebUI",
  "SpareRendererForSitePerProcess",
  "WebUIOmniboxPopup",
  "WebUIReloadButton",
  "WebUIToolbar",
];

/** A browser that starts on a busy machine is slow: its own limit of 30 s is too short. */
const START_PATIENCE_MS = 120_000;
/** For a step of a page on a busy machine; a test that hangs must still fail. */
const PATIENCE_MS = 60_000;

/** One for all tests of this process, by its program: its start takes as long as many pages. */
const shared = new Map<string, Promise<Browser>>();
// At the root, after all tests; in a test it would end with that.
after(async () => {
  for (const browser of shared.values()) await (await browser).close();
});

export interface BrowserNeeds {
  /** Notifications and installing, which the shell does not have. */
  readonly isWhole?: boolean;
}

/**
 * A browser, in which the pages of a test end with it. @returns undefined where none is installed, which the test's
 * output says. @throws where `CI` is set and none is installed
 */
export async function startBrowser(
  t: TestContext,
  { isWhole = false }: BrowserNeeds = {},
): Promise<Browser | undefined> {
  const names = isWhole ? WHOLE : [SHELL, ...WHOLE];
  const executablePath = findBrowser(names);
  if (executablePath === undefined) {
    if (process.env["CI"]) throw new Error("the gate needs a browser: install chromium");
    t.diagnostic(`NOT CHECKED: no browser. Install one of ${names.join(", ")}, or set CHROMIUM_PATH`);
    return undefined;
  }
  const browser = await started(executablePath);
  t.after(() => Promise.all(browser.contexts().map((context) => context.close())));
  return browser;
}

/** The running browser of this program; one that has crashed is started again. */
async function started(executablePath: string): Promise<Browser> {
  const known = shared.get(executablePath);
  if (known !== undefined && (await known).isConnected()) return known;
  // Test machines run as root, where the browser's own sandbox does not start; the pages are ours.
  const args = ["--no-sandbox", "--disable-gpu", `--disable-features=${UNUSED.join()}`];
  const starting = chromium.launch({ executablePath, args, timeout: START_PATIENCE_MS });
  shared.set(executablePath, starting);
  return starting;
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

/** `CHROMIUM_PATH`, or the first of the browsers that is on the PATH. */
function findBrowser(names: readonly string[]): string | undefined {
  const given = process.env["CHROMIUM_PATH"];
  if (given !== undefined && given !== "") return given;
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
