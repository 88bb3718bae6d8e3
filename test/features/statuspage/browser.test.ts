import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import test from "node:test";
import type { Page } from "playwright-core";
import { openPage, settled, startBrowser } from "../../helpers/browser.ts";
import { startPrism } from "../../helpers/prism.ts";
import { fire, PATH, PUBLIC, putPage, shows, WEBSITE } from "./support.ts";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

test("a browser without script shows states, history, notices and hostile text, on a phone and in the dark", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const prism = await startPrism(t);
  const hostile = `<img src=x onerror="document.title='owned'"> & "quotes"`;
  await putPage(prism, { ...WEBSITE, title: hostile, description: "Availability of the shop" });
  await fire(prism, "a", { service: "web" });
  await shows(prism, "outage");
  await prism.post(`${PATH}/notices`, { kind: "incident", title: "Payments fail", text: "We are looking into it" });
  for (const colorScheme of ["light", "dark"] as const) {
    const options = { javaScriptEnabled: false, colorScheme, viewport: { width: 360, height: 780 } };
    const page = await openPage(browser, options);
    await page.goto(prism.url + PUBLIC);
    await page.getByRole("heading", { level: 1, name: hostile }).waitFor();
    await page.getByRole("status").getByText("Outage", { exact: true }).waitFor();
    await page.getByRole("heading", { name: "Website" }).waitFor();
    await page.getByRole("heading", { name: "Payments fail" }).waitFor();
    const box = await page.locator("main").boundingBox();
    assert.ok(box && box.x >= 0 && box.x + box.width <= 360, "it fits on a phone");
    const background = colorScheme === "light" ? "rgb(247, 247, 248)" : "rgb(15, 15, 20)";
    await page.locator(`body`).waitFor();
    assert.equal(await backgroundOf(page), background);
    await page.context().close();
  }
});

test("the page is accessible in both themes, and refreshes itself with script under its policy", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const prism = await startPrism(t);
  await putPage(prism, { ...WEBSITE, subscriptions: true });
  await shows(prism, "operational");
  for (const colorScheme of ["light", "dark"] as const) {
    const page = await openPage(browser, { colorScheme, bypassCSP: true });
    await page.goto(prism.url + PUBLIC);
    await settled(page);
    await page.evaluate(AXE);
    const found = await page.evaluate("axe.run().then(({ violations }) => violations.map(({ id }) => id))");
    assert.deepEqual(found, [], colorScheme);
    await page.context().close();
  }
  const page = await openPage(browser);
  const problems: string[] = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(error.message));
  await page.clock.install();
  await page.goto(prism.url + PUBLIC);
  await page.getByText("All systems operational").waitFor();
  await fire(prism, "a", { service: "web" });
  await shows(prism, "outage");
  await page.clock.runFor(31_000);
  await page.getByRole("status").getByText("Outage", { exact: true }).waitFor();
  assert.deepEqual(problems, []);
});

/** Playwright evaluates on a page without script, too. */
function backgroundOf(page: Page): Promise<string> {
  return page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
}
