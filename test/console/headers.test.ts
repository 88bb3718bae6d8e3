import assert from "node:assert/strict";
import test from "node:test";
import type { Page } from "playwright-core";
import { allPages, fill } from "./fixtures.ts";
import { assertAccessible, startConsole } from "./helpers.ts";

const TITLE = "ReplicationLag (cluster=main, instance=db-3.example.internal:9100)";
const WIDTHS = [360, 390, 768, 1024, 1280, 1440, 1920];
/** More is a header that pushes the content off the screen. */
const MAX_HEIGHT = 300;

/** What a person does not see of the title, or sees only by scrolling. */
function faultsOf(page: Page): Promise<string[]> {
  return page.evaluate((maxHeight) => {
    const h1 = document.querySelector("h1");
    const head = document.querySelector(".page-head");
    if (h1 === null || head === null) return ["no header"];
    const faults: string[] = [];
    const box = h1.getBoundingClientRect();
    const excess = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    if (excess > 0) faults.push(`the page is ${excess} px too wide`);
    if (h1.scrollWidth > h1.clientWidth) faults.push(`${h1.scrollWidth - h1.clientWidth} px of the title are cut`);
    if (h1.scrollHeight > h1.clientHeight + 1) faults.push("lines of the title are cut");
    if (box.width === 0 || box.left < 0 || box.right > innerWidth) faults.push("the title is outside of the window");
    const height = head.getBoundingClientRect().height;
    if (height > maxHeight) faults.push(`the header is ${height} px high`);
    for (const other of head.querySelectorAll("button, a, .badge")) {
      const { left, right, top, bottom, width } = other.getBoundingClientRect();
      const isOver = left < box.right - 1 && right > box.left + 1 && top < box.bottom - 1 && bottom > box.top + 1;
      if (width > 0 && isOver) faults.push(`“${other.textContent}” lies over the title`);
      if (width > 0 && (left < 0 || right > innerWidth)) faults.push(`“${other.textContent}” is outside of the window`);
    }
    return faults;
  }, MAX_HEIGHT);
}

test("the page of one thing shows its whole title from 360 to 1920 px, beside or above its buttons", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const ids = await fill(console, TITLE);
  const details = allPages(ids).filter((path) => Object.values(ids).some((id) => path.includes(id)));
  const page = await console.open("/");
  const titles = new Map<string, string>();
  for (const path of details) {
    await console.visit(page, path);
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 900 });
      assert.deepEqual(await faultsOf(page), [], `${path} at ${width} px`);
    }
    titles.set(path, await page.locator("h1").innerText());
  }
  for (const path of [`/incidents/${ids.incident}`, `/alerts/${ids.alert}`, `/policies/${ids.policy}`])
    assert.equal(titles.get(path), TITLE, path);
  console.assertClean();
});

test("an incident has two buttons and a menu, which keys open and go through, and the title of its row", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const labels = { alertname: "HostDown", instance: "web-3", severity: "critical" };
  const alerts = [{ labels, annotations: { summary: "No answer to any of 3 monitors" } }];
  assert.equal((await console.prism.post("/api/v1/alerts", { alerts })).status, 200);
  const page = await console.open("/incidents");
  const row = page.getByRole("row").filter({ hasText: "No answer to any of 3 monitors" });
  await row.waitFor();
  const title = await row.locator(".one-line > .user-text").first().innerText();
  await row.getByRole("link").first().click();
  await page.getByRole("heading", { level: 1, name: title, exact: true }).waitFor();
  const actions = page.locator(".page-actions").getByRole("button");
  assert.deepEqual(
    (await actions.allInnerTexts()).map((text) => text.split("\n")[0]),
    ["Resolve", "Acknowledge", "More"],
  );

  const more = page.locator(".page-actions").getByRole("button", { name: "More actions: More" });
  assert.deepEqual(
    [await more.getAttribute("aria-haspopup"), await more.getAttribute("aria-expanded")],
    ["menu", "false"],
  );
  await more.focus();
  await page.keyboard.press("ArrowDown");
  const menu = page.getByRole("menu", { name: "More actions" });
  await menu.waitFor();
  assert.equal(await more.getAttribute("aria-expanded"), "true");
  const focused = () => page.evaluate(() => document.activeElement?.querySelector(".item-t")?.textContent);
  assert.equal(await focused(), "Snooze…");
  await page.keyboard.press("End");
  assert.equal(await focused(), "Reassign…");
  await page.keyboard.press("e");
  assert.equal(await focused(), "Escalate now…");
  await assertAccessible(page, "the open menu of an incident");
  await page.keyboard.press("Escape");
  await menu.waitFor({ state: "hidden" });
  assert.equal(await more.evaluate((element) => element === document.activeElement), true, "it has the focus again");
  console.assertClean();
});
