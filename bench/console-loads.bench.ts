/**
 * First loads of the console's pages with an empty cache, with the data of `prism seed --demo`:
 * requests, bytes, and the time until title and first row are shown on a slow line and processor.
 * `BENCH_PAGES=events,inbox` measures some pages only, `BENCH_LIST=1` prints their requests.
 */

import "../scripts/node-version.mjs";
import type { Browser, BrowserContext } from "playwright-core";
import { loadPage, type PageLoad, type Slowness } from "../test/helpers/page-load.ts";
import { median, report, round } from "./lib/report.ts";

interface Demo {
  readonly url: string;
  readonly login: { readonly login: string; readonly password: string };
  stop(): Promise<void>;
}

interface DemoServer {
  startDemo(): Promise<Demo>;
  launchBrowser(): Promise<Browser>;
  signIn(url: string, login: Demo["login"]): Promise<(path: string) => Promise<{ data: readonly { id: string }[] }>>;
  contextOf(browser: Browser, url: string, login: Demo["login"], look: object): Promise<BrowserContext>;
}

const SLOW: Slowness = { latencyMs: 150, bytesPerS: 200_000, factor: 4 };
/** 0: no times. */
const TIMES = Number(process.env["BENCH_ROUNDS"] ?? 5);
/** Variable: scripts have no types. */
const script = "../scripts/demo-server.mjs";

const { startDemo, launchBrowser, signIn, contextOf } = (await import(script)) as DemoServer;
const demo = await startDemo();
const browser = await launchBrowser();
try {
  const api = await signIn(demo.url, demo.login);
  const [incident] = (await api("/incidents?limit=1")).data;
  const context = await contextOf(browser, demo.url, demo.login, { viewport: { width: 1280, height: 800 } });
  const wanted = process.env["BENCH_PAGES"]?.split(",");
  const pages = pagesOf(incident?.id ?? "").filter(([name]) => wanted === undefined || wanted.includes(name));
  const rows = [];
  for (const [name, path, row] of pages) {
    const load = (slow?: Slowness) => loadPage(context, `${demo.url}/dashboard${path}`, row, slow);
    rows.push(await measured(name, load));
  }
  report("console-loads", `first loads; times: median of ${TIMES} at 1.6 Mbit/s, 150 ms, processor × 4`, rows);
} finally {
  await browser.close();
  await demo.stop();
}

/** Name, path and the selector of the first row. */
function pagesOf(incident: string): readonly (readonly [name: string, path: string, row: string])[] {
  return [
    ["overview", "/", "main .attention"],
    ["events", "/events", "main tbody tr"],
    ["rule-new", "/rules/new", "main .field"],
    ["connect", "/connect", "main .connect-tile"],
    ["incidents", "/incidents", "main tbody tr"],
    ["incident", `/incidents/${incident}`, "main .story li"],
    ["alerts", "/alerts", "main .alert-groups section, main .alert-groups .card, main tbody tr"],
    ["oncall", "/oncall", "main .card"],
    ["inbox", "/inbox", "main tbody tr, main li"],
  ];
}

async function measured(page: string, load: (slow?: Slowness) => Promise<PageLoad>) {
  const { requests, doubles, bytes, bytesBefore, scriptBefore } = await load();
  if (process.env["BENCH_LIST"]) console.log([page, ...requests].join("\n  "));
  for (const double of doubles) console.log(`${page}: twice ${double}`);
  const slow: PageLoad[] = [];
  while (slow.length < TIMES) slow.push(await load(SLOW));
  return {
    page,
    requests: requests.length,
    doubles: doubles.length,
    "kB in all": round(bytes / 1000),
    "kB before": round(bytesBefore / 1000),
    "script before": round(scriptBefore / 1000),
    "title ms": round(median(slow.map(({ titleMs }) => titleMs))),
    "row ms": round(median(slow.map(({ rowMs }) => rowMs))),
  };
}
