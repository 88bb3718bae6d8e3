import type { BrowserContext, CDPSession, Page } from "playwright-core";

/** A line and a processor that are slower than this machine's. */
export interface Slowness {
  readonly latencyMs: number;
  readonly bytesPerS: number;
  /** By how much the processor is slower. */
  readonly factor: number;
}

/** What one load of a page took, with an empty cache. */
export interface PageLoad {
  /** Method and address, without times; the order of their start. */
  readonly requests: readonly string[];
  /** Requests that were sent before. */
  readonly doubles: readonly string[];
  /** Bytes on the wire, until nothing was under way. */
  readonly bytes: number;
  /** Bytes on the wire until title and first row were shown. */
  readonly bytesBefore: number;
  readonly scriptBefore: number;
  readonly titleMs: number;
  readonly rowMs: number;
}

interface Transfer {
  readonly what: string;
  readonly isScript: boolean;
  /** Monotonic, in seconds; Infinity: under way. */
  endedAt: number;
  bytes: number;
}

/** A page asks for nothing more after this time without a request. */
const QUIET_MS = 1200;
const LOOK_MS = 50;
const PATIENCE_MS = 60_000;

/** Opens an address in a new tab and closes it. @param row a selector of the first row */
export async function loadPage(context: BrowserContext, url: string, row: string, slow?: Slowness): Promise<PageLoad> {
  const page = await context.newPage();
  try {
    const cdp = await context.newCDPSession(page);
    const transfers = await watch(cdp);
    if (slow) await slowDown(cdp, slow);
    await page.addInitScript(noteShown(row));
    await page.goto(url, { waitUntil: "commit" });
    await quiet(page, transfers);
    return await read(page, [...transfers.values()]);
  } finally {
    await page.close();
  }
}

async function watch(cdp: CDPSession): Promise<ReadonlyMap<string, Transfer>> {
  const transfers = new Map<string, Transfer>();
  let startedAt: number | undefined;
  cdp.on("Network.requestWillBeSent", ({ requestId, request, type, timestamp }) => {
    if (!request.url.startsWith("http")) return;
    const what = `${request.method} ${withoutTimes(request.url)}`;
    startedAt ??= timestamp;
    transfers.set(requestId, { what, isScript: type === "Script", endedAt: Number.POSITIVE_INFINITY, bytes: 0 });
  });
  const end = (requestId: string, timestamp: number, bytes: number): void => {
    const transfer = transfers.get(requestId);
    if (!transfer) return;
    transfer.endedAt = (timestamp - (startedAt ?? timestamp)) * 1000;
    transfer.bytes = bytes;
  };
  cdp.on("Network.loadingFinished", ({ requestId, timestamp, encodedDataLength }) =>
    end(requestId, timestamp, encodedDataLength),
  );
  cdp.on("Network.loadingFailed", ({ requestId, timestamp }) => end(requestId, timestamp, 0));
  await cdp.send("Network.enable");
  await cdp.send("Network.setBypassServiceWorker", { bypass: true });
  await cdp.send("Network.clearBrowserCache");
  return transfers;
}

/** The range of a chart ends now, so its address differs each time. */
function withoutTimes(url: string): string {
  const { pathname, search } = new URL(url);
  return decodeURIComponent(pathname + search).replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "time");
}

async function slowDown(cdp: CDPSession, { latencyMs, bytesPerS, factor }: Slowness): Promise<void> {
  const line = { downloadThroughput: bytesPerS, uploadThroughput: bytesPerS / 2, latency: latencyMs };
  await cdp.send("Network.emulateNetworkConditions", { offline: false, ...line });
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: factor });
}

/** A script of the page that notes when title and first row were there. */
function noteShown(row: string): string {
  return `{
    const shown = (window.shownAt = {});
    const look = () => {
      if (document.querySelector("h1")) shown.title ??= performance.now();
      if (document.querySelector(${JSON.stringify(row)})) shown.row ??= performance.now();
    };
    new MutationObserver(look).observe(document, { subtree: true, childList: true });
  }`;
}

async function quiet(page: Page, transfers: ReadonlyMap<string, Transfer>): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  let seen = -1;
  for (let since = performance.now(); performance.now() - since < QUIET_MS; ) {
    if (performance.now() > until) throw new Error(`${page.url()} is not loaded after ${PATIENCE_MS} ms`);
    await new Promise((done) => setTimeout(done, LOOK_MS));
    const isWaiting = [...transfers.values()].some(({ endedAt }) => endedAt === Number.POSITIVE_INFINITY);
    if (isWaiting || transfers.size !== seen || !(await isShown(page))) since = performance.now();
    seen = transfers.size;
  }
}

function isShown(page: Page): Promise<boolean> {
  return page
    .evaluate<boolean>("window.shownAt?.row !== undefined && document.querySelector('.skeleton') === null")
    .catch(() => false);
}

async function read(page: Page, transfers: readonly Transfer[]): Promise<PageLoad> {
  const { title, row } = await page.evaluate<{ title: number; row: number }>("window.shownAt");
  const requests = transfers.map(({ what }) => what);
  const before = transfers.filter(({ endedAt }) => endedAt <= Math.max(title, row));
  const sum = (some: readonly Transfer[]): number => some.reduce((total, { bytes }) => total + bytes, 0);
  return {
    requests,
    doubles: requests.filter((what, index) => requests.indexOf(what) !== index),
    bytes: sum(transfers),
    bytesBefore: sum(before),
    scriptBefore: sum(before.filter(({ isScript }) => isScript)),
    titleMs: title,
    rowMs: row,
  };
}
