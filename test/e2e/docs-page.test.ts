import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import test from "node:test";
import type { Browser, Locator } from "playwright-core";
import { openPage, startBrowser } from "../helpers/browser.ts";
import { PrismBinary } from "./prism-binary.ts";

const PAGE = "/docs/api";
const POLICY = {
  "default-src": "'none'",
  "script-src": "'self'",
  "style-src": "'self'",
  "connect-src": "'self'",
  "base-uri": "'none'",
  "frame-ancestors": "'none'",
};

test("S2-117: the API page is served whole from the executable, with nothing from elsewhere and nothing inline", async (t) => {
  const prism = new PrismBinary(t);
  await prism.start();
  const page = await fetch(prism.url + PAGE);
  const html = await page.text();
  assert.equal(page.status, 200);
  assert.match(page.headers.get("content-type") ?? "", /^text\/html/);
  const directives = new Map(
    (page.headers.get("content-security-policy") ?? "").split(";").map((directive) => {
      const [name = "", ...sources] = directive.trim().split(" ");
      return [name, sources.join(" ")] as const;
    }),
  );
  for (const [name, sources] of Object.entries(POLICY)) assert.equal(directives.get(name), sources, name);
  assert.doesNotMatch(html, /<script(?![^>]* src=)|<style| on\w+=| style=/i);
  const references = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1] ?? "");
  const parts = references.filter((reference) => reference !== "data:,");
  assert.equal(parts.length, 3, "a style sheet and two scripts");
  for (const part of parts) {
    assert.match(part, /^\/docs\/[\w.-]+$/, "of this server");
    const response = await fetch(prism.url + part);
    const isStyle = part.endsWith(".css");
    assert.equal(response.status, 200, part);
    assert.match(response.headers.get("content-type") ?? "", isStyle ? /^text\/css/ : /^text\/javascript/);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    assert.notEqual(await response.text(), "");
  }
});

test("S2-117: the API page shows every operation in a browser that reaches this server only, without an error", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const prism = new PrismBinary(t);
  await prism.start();
  const { problems, foreign, shown } = await look(browser, prism.url);
  const document = (await (await fetch(`${prism.url}/openapi.json`)).json()) as { paths: Record<string, object> };
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(foreign, []);
  assert.deepEqual(shown.sort(), operations.sort());
});

interface Look {
  /** What the console and the network had to complain about. */
  readonly problems: string[];
  /** Requests to any other origin. */
  readonly foreign: string[];
  /** Method and path of the operations on the page. */
  readonly shown: string[];
}

async function look(browser: Browser, url: string): Promise<Look> {
  const page = await openPage(browser);
  const problems: string[] = [];
  const foreign: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("requestfailed", (request) => problems.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on("request", (request) => {
    if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== url) foreign.push(request.url());
  });
  await page.goto(url + PAGE);
  const blocks = page.locator(".opblock");
  await blocks.first().waitFor();
  // Of a long document the page draws only what is in view.
  const shown = new Set<string>();
  const opened = page.locator("#operations-Rules-createRule");
  let hasOpened = false;
  for (let isEnd = false; !isEnd; ) {
    for (const operation of await operationsOf(blocks)) shown.add(operation);
    if (!hasOpened && (await opened.count()) > 0) {
      // Opened, an operation shows its schemas, which are drawn only then.
      await opened.locator(".opblock-summary-control").first().click();
      await opened.locator(".opblock-body").waitFor();
      await opened.locator(".opblock-summary-control").first().click();
      hasOpened = true;
    }
    isEnd = await page.evaluate<boolean>(SCROLL_ON);
  }
  for (const operation of await operationsOf(blocks)) shown.add(operation);
  assert.ok(hasOpened, "an operation was opened");
  return { problems, foreign, shown: [...shown] };
}

function operationsOf(blocks: Locator): Promise<string[]> {
  return blocks.evaluateAll((elements) =>
    elements.map((element) => {
      const method = element.querySelector(".opblock-summary-method")?.textContent;
      const path = element.querySelector(".opblock-summary-path")?.getAttribute("data-path");
      return `${method} ${path}`;
    }),
  );
}

/** Half a window further, and when that is drawn: whether the page's end was in view already. */
const SCROLL_ON = `new Promise((resolve) => {
  const { scrollTop, scrollHeight, clientHeight } = document.documentElement;
  window.scrollBy(0, clientHeight / 2);
  requestAnimationFrame(() => requestAnimationFrame(() => resolve(scrollTop + clientHeight >= scrollHeight - 1)));
})`;

test("the executable prints its documentation and shows it in a browser, on a phone and in the dark", async (t) => {
  const prism = new PrismBinary(t);
  const printed = spawnSync(join(prism.dir, "prism"), ["docs", "rules"], { cwd: prism.dir, encoding: "utf8" });
  assert.equal(printed.status, 0, printed.stderr);
  assert.match(printed.stdout, /^The rule language\n=+\n/);
  const browser = await startBrowser(t);
  if (!browser) return;
  await prism.start();
  const page = await openPage(browser);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(`${prism.url}/docs`);
  await page.getByRole("link", { name: "rules", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "The rule language" }).waitFor();
  assert.equal(
    await page.evaluate<number>("document.documentElement.scrollWidth"),
    390,
    "no page wider than the phone",
  );
  const background = "getComputedStyle(document.querySelector('pre')).backgroundColor";
  const light = await page.evaluate<string>(background);
  await page.emulateMedia({ colorScheme: "dark" });
  assert.notEqual(await page.evaluate<string>(background), light);
});
