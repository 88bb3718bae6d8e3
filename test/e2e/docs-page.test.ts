import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import test from "node:test";
import axeCore from "axe-core";
import type { Browser, Locator, Page } from "playwright-core";
import { openPage, startBrowser } from "../helpers/browser.ts";
import { stepsOf } from "../helpers/steps.ts";
import { PrismBinary } from "./prism-binary.ts";

const PAGE = "/docs/api";
/** It reads a description of hundreds of operations before it shows something. */
const LOAD_PATIENCE_MS = 120_000;
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

test("the executable prints its documentation and shows it in a browser: menu, search and next, on a phone and in the dark", async (t) => {
  const prism = new PrismBinary(t);
  const printed = spawnSync(join(prism.dir, "prism"), ["docs", "rules"], { cwd: prism.dir, encoding: "utf8" });
  assert.equal(printed.status, 0, printed.stderr);
  assert.match(printed.stdout, /^The rule language\n=+\n/);
  const browser = await startBrowser(t);
  if (!browser) return;
  await prism.start();
  const step = stepsOf(t);
  for (const [width, height] of [
    [390, 844],
    [1440, 900],
  ] as const)
    for (const colorScheme of ["light", "dark"] as const)
      await step(`${width} px, ${colorScheme}`, async () => {
        // What the menu, the search and the pages do must need no script.
        const page = await openPage(browser, { viewport: { width, height }, colorScheme, javaScriptEnabled: false });
        await page.goto(`${prism.url}/docs`);
        await readPages(page, width < 1000);
        await page.context().close();
        const scripted = await openPage(browser, { viewport: { width, height }, colorScheme });
        for (const path of ["/docs", "/docs/rules", "/docs/configuration", "/docs/search?q=silence"]) {
          await scripted.goto(prism.url + path);
          const widest = await scripted.evaluate<number>("document.documentElement.scrollWidth");
          assert.equal(widest, width, `${path}: no page wider than the window`);
          await scripted.evaluate(axeCore.source);
          assert.deepEqual(await scripted.evaluate<string[]>(VIOLATIONS), [], path);
        }
        const shade = await scripted.evaluate<number>(SHADE);
        assert.equal(shade < 128, colorScheme === "dark", `background ${shade}`);
        await scripted.context().close();
      });
});

/** The menu to a page, its next page, and a search. @param isFolded the menu opens by a button */
async function readPages(page: Page, isFolded: boolean): Promise<void> {
  const menu = page.locator("#menu");
  const button = page.getByRole("button", { name: "Menu", exact: true });
  assert.equal(await menu.isVisible(), !isFolded);
  if (isFolded) await button.click();
  else assert.equal(await button.isVisible(), false);
  await menu.getByText("Get alerts in").click();
  await menu.getByRole("link", { name: "Rules", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "The rule language" }).waitFor();
  if (isFolded) {
    await button.click();
    await menu.locator('[aria-current="page"]').waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    await menu.waitFor({ state: "hidden" });
  } else await menu.locator('[aria-current="page"]').waitFor();
  await page.locator('a[rel="next"]').click();
  await page.getByRole("heading", { level: 1, name: "Alerts", exact: true }).waitFor();
  await page.locator('a[rel="prev"]').click();
  await page.getByRole("heading", { level: 1, name: "The rule language" }).waitFor();
  await page.getByRole("searchbox").fill("restore drill");
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByRole("link", { name: "Restore drill", exact: true }).click();
  await page.getByRole("heading", { level: 2, name: "Restore drill" }).waitFor();
}

/** What axe finds on the page: the rule and the first element. */
const VIOLATIONS = `axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ": " + nodes[0].html))`;

/** Brightness of the page's background, 0 to 255. */
const SHADE = `(() => {
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.fillStyle = getComputedStyle(document.querySelector("pre, input")).backgroundColor;
  canvas.fillRect(0, 0, 1, 1);
  return canvas.getImageData(0, 0, 1, 1).data[0];
})()`;

test("S2-117: the API page in a browser that reaches this server only: every operation, found by words, and executed", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const prism = new PrismBinary(t);
  await prism.start();
  // One page for all steps: it takes seconds to read a description of hundreds of operations.
  const { page, problems, foreign } = await openDocs(browser, prism.url);
  const step = stepsOf(t);

  await step("it has groups, and says where a token comes from", async () => {
    const groups = await page
      .locator(".opblock-tag")
      .evaluateAll((all) => all.map((each) => each.getAttribute("data-tag")));
    assert.deepEqual(groups.slice(0, 3), ["Events", "Rules", "Notifications"]);
    assert.deepEqual([groups.at(-1), groups.includes("Webhooks")], ["Aliases", true], "for Ctrl-F");
    assert.equal(await page.locator(".opblock").count(), 0, "groups are closed");
    const text = await page.locator("body").innerText();
    for (const source of ["/api/v1/auth/login", "/api/v1/users/me/tokens", "/dev/token"])
      assert.ok(text.includes(source), `${source}: where a token comes from`);
  });

  await step("it lists the schemas", async () => {
    await page.getByText("AcceptInvitationByToken").first().waitFor();
    const last = page.getByText("WebhookWithSecret");
    // The list draws what is in view, and its length is an estimate until then.
    while ((await last.count()) === 0)
      await page.locator(".models-scroll").evaluate((list) => list.scrollTo(0, list.scrollHeight));
  });

  await step("it finds operations by words", async () => {
    for (const [phrase, found] of [
      ["webhooks CREATE", "POST /api/v1/webhooks"],
      ["createRule", "POST /api/v1/rules"],
      ["RuleWithWarnings post", "POST /api/v1/rules"],
      ["PUT balance", "PUT /api/v1/transfer-buckets/{id}/balance"],
      ["permission audit:export", "GET /api/v1/audit/export"],
    ] as const) {
      await search(page, phrase);
      await page
        .locator(`.opblock-summary-path[data-path="${found.split(" ")[1]}"]`)
        .first()
        .waitFor();
      assert.ok((await operationsOf(page)).includes(found), phrase);
    }
  });

  for (const width of [1280, 390])
    await step(`it names permissions and limits, ${width} px wide`, async () => {
      await page.setViewportSize({ width, height: 900 });
      await search(page, "createWebhook");
      const operation = page.locator("#operations-Webhooks-createWebhook");
      await toggle(operation);
      const shown = operation.locator(".opblock-body");
      await shown.getByText("webhooks:manage").first().waitFor();
      await shown.getByText("requests per minute").first().waitFor();
      await shown.getByText("https://example.com/hooks/prism").first().waitFor();
      await toggle(operation);
      const isWider = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
      assert.equal(await page.evaluate<boolean>(isWider), false, "nothing is cut off");
    });

  await step("an administrator executes offered bodies; test/http/examples.test.ts sends all of them", async () => {
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.locator(".btn.authorize").first().click();
    await page.locator("#auth-bearer-value").fill(prism.token);
    await page.locator(".auth-container .modal-btn.authorize").first().click();
    await page.locator(".btn-done").first().click();
    for (const [group, id, status] of [
      ["Events", "sendEvents", "202"],
      ["Rules", "createRule", "201"],
    ] as const) {
      await search(page, id);
      const operation = page.locator(`#operations-${group}-${id}`);
      await toggle(operation);
      await operation.locator(".try-out__btn").click();
      await operation.locator(".execute").click();
      const answer = operation.locator(".live-responses-table .response-col_status").last();
      await answer.waitFor();
      assert.equal((await answer.innerText()).trim(), status, id);
    }
  });

  // The last step: each change of a page that shows all of them takes seconds.
  await step("it shows every operation", async () => {
    const shown = await allOperations(page);
    const document = (await (await fetch(`${prism.url}/openapi.json`)).json()) as { paths: Record<string, object> };
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    assert.deepEqual(shown.sort(), operations.sort());
  });
  assert.deepEqual([problems, foreign], [[], []]);
});

interface DocsPage {
  readonly page: Page;
  /** Errors and warnings of the console and the network. */
  readonly problems: string[];
  /** Requests to any other origin. */
  readonly foreign: string[];
}

/** A page that reports errors, and requests that leave the host. */
async function openDocs(browser: Browser, url: string): Promise<DocsPage> {
  const page = await openPage(browser, { viewport: { width: 1280, height: 900 } });
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
  await page.locator(".opblock-tag").first().waitFor({ timeout: LOAD_PATIENCE_MS });
  return { page, problems, foreign };
}

/** Finds nothing first, so that no operation of the search before is left, which would go under a click. */
async function search(page: Page, phrase: string): Promise<void> {
  const field = page.locator(".operation-filter-input");
  await field.fill("no such words");
  await page.locator(".opblock").first().waitFor({ state: "detached" });
  await field.fill(phrase);
}

/** Opens a closed operation, and closes an open one. */
const toggle = (operation: Locator): Promise<void> => operation.locator(".opblock-summary-control").first().click();

async function allOperations(page: Page): Promise<string[]> {
  // A search that finds every operation opens every group.
  await search(page, "/");
  await page.locator(".opblock").first().waitFor();
  // Of a long document the page draws only what is in view.
  const shown = new Set<string>();
  for (let isEnd = false; !isEnd; ) {
    for (const operation of await operationsOf(page)) shown.add(operation);
    isEnd = await page.evaluate<boolean>(SCROLL_ON);
  }
  for (const operation of await operationsOf(page)) shown.add(operation);
  return [...shown];
}

function operationsOf(page: Page): Promise<string[]> {
  return page.locator(".opblock").evaluateAll((elements) =>
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
