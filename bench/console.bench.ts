/**
 * The console in a real browser: bytes and time until the overview can be used, and the time of a
 * page change, compared with the documentation page of the same server, which has no script.
 */

import "../scripts/node-version.mjs";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { call, setUp } from "./lib/prism-setup.ts";
import { startPrism } from "./lib/processes.ts";
import { median, ROUNDS, report, round } from "./lib/report.ts";

const PAGES = ["Events", "Rules", "Jobs", "People", "Overview"];
const PASSWORD = "correct horse battery staple";

/** Runs in the page. */
const READ_TIMING = `(() => ({
  paintedMs: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN,
  bytes: [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].reduce((sum, { transferSize }) => sum + transferSize, 0),
}))()` as unknown as () => { paintedMs: number; bytes: number };

const prism = await startPrism();
const setup = await setUp(prism);
await call(prism, "POST", "/api/v1/users", setup.token, { username: "ben", password: PASSWORD, roles: ["Admin"] });
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const rows = [
  await firstLoads("documentation, no script", "/docs", async () => undefined),
  await firstLoads("console, signed in", "/dashboard/", signIn),
];
report("console", `median of ${ROUNDS * 3} first loads with an empty cache, in Chromium on this machine`, rows);
report("console-pages", "a click until the page's heading is shown, visited before", [await pageChanges()]);
await browser.close();
await prism.stop();

async function firstLoads(page: string, path: string, prepare: (context: BrowserContext) => Promise<void>) {
  const shown: number[] = [];
  const loaded: number[] = [];
  let bytes = 0;
  for (let i = 0; i < ROUNDS * 3; i++) {
    const context = await browser.newContext();
    await prepare(context);
    const tab = await context.newPage();
    const startedAt = performance.now();
    await tab.goto(prism.url + path, { waitUntil: "commit" });
    await tab.getByRole("heading", { level: 1 }).first().waitFor();
    shown.push(performance.now() - startedAt);
    await tab.waitForLoadState("networkidle");
    const timing = await tab.evaluate(READ_TIMING);
    loaded.push(timing.paintedMs);
    bytes = timing.bytes;
    await context.close();
  }
  return {
    page,
    "heading shown ms": round(median(shown)),
    "first paint ms": round(median(loaded)),
    "KiB sent": round(bytes / 1024),
  };
}

async function signIn(context: BrowserContext): Promise<void> {
  await context.request.post(`${prism.url}/api/v1/auth/login`, { data: { login: "ben", password: PASSWORD } });
  await context.addInitScript("localStorage.getItem('prism.me') ?? localStorage.setItem('prism.me', '{}')");
}

async function pageChanges() {
  const context = await browser.newContext();
  await signIn(context);
  const tab = await context.newPage();
  await tab.goto(`${prism.url}/dashboard/`);
  const times: Record<string, number> = {};
  for (let round_ = 0; round_ < 2; round_++)
    for (const name of PAGES) times[name] = round(await changeTo(tab, name), 1);
  await context.close();
  return times;
}

/** Measured in the page: from the click to the frame that shows the heading. */
async function changeTo(tab: Page, name: string): Promise<number> {
  await tab.getByRole("link", { name, exact: true }).first().waitFor();
  return tab.evaluate(
    `new Promise((resolve) => {
      const link = [...document.querySelectorAll("nav a")].find((each) => each.textContent.trim().startsWith(${JSON.stringify(name)}));
      const startedAt = performance.now();
      const look = () => document.querySelector("h1")?.textContent === ${JSON.stringify(name)} ? resolve(performance.now() - startedAt) : requestAnimationFrame(look);
      link.click();
      look();
    })`,
  );
}
