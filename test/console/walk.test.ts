import assert from "node:assert/strict";
import test from "node:test";
import type { Locator } from "playwright-core";
import { eventually } from "../helpers/eventually.ts";
import { allPages, fill, HOSTILE } from "./fixtures.ts";
import { assertAccessible, startConsole } from "./helpers.ts";

/** The entries of the menu: each group is opened in turn, since of the long ones one is open at a time. */
async function entriesOf(nav: Locator): Promise<ReadonlySet<string>> {
  const titles = await nav.locator("button.group").allTextContents();
  const labels = new Set<string>();
  for (const title of titles) {
    const group = nav.getByRole("button", { name: title, exact: true });
    // The group of the current page may open meanwhile.
    if ((await group.getAttribute("aria-expanded")) === "false") await group.click();
    await nav.getByRole("button", { name: title, exact: true, expanded: true }).waitFor();
    for (const label of await nav.locator(".side-items a > span:not(.n)").allTextContents()) labels.add(label);
  }
  return labels;
}

for (const { theme, width, text } of [
  { theme: "light", width: 1280, text: "Disk full on db-2" },
  { theme: "dark", width: 360, text: HOSTILE },
] as const) {
  const texts = text === HOSTILE ? "hostile texts show as text, and " : "";
  test(`${texts}every page is accessible and as wide as its window: ${theme}, ${width} px`, async (t) => {
    const console = await startConsole(t);
    if (!console) return;
    const pages = allPages(await fill(console, text));
    const page = await console.open("/", { theme, width });
    for (const path of pages) {
      await console.visit(page, path);
      await assertAccessible(page, `${path} (${theme}, ${width} px)`);
      const found = await page.evaluate(() => ({
        isBroken: "broken" in window,
        images: document.querySelectorAll("img[src='x']").length,
      }));
      assert.deepEqual(found, { isBroken: false, images: 0 }, path);
    }
    console.assertClean();
  });
}

const ROLES = [
  {
    username: "olga",
    roles: ["Operator"],
    hidden: ["Settings", "Backups", "Cluster"],
    shown: ["Jobs", "Deliveries", "Rules"],
  },
  {
    username: "uwe",
    roles: ["User"],
    hidden: ["Settings", "Jobs", "Rules", "Audit", "People"],
    shown: ["Inbox", "Tasks"],
  },
];

for (const { username, roles, hidden, shown } of ROLES) {
  test(`a user with ${roles.join(", ")} sees what the role allows, and the server refuses the rest`, async (t) => {
    const console = await startConsole(t);
    if (!console) return;
    await console.person(username, roles);
    const pages = allPages(await fill(console, "Disk full on db-2"));
    const page = await console.open("/", { as: username });
    const nav = page.getByRole("navigation", { name: "Main", exact: true });
    await nav.waitFor();
    // Roles in projects are known a moment later.
    const entries = await eventually("the entries", async () => {
      const known = await entriesOf(nav);
      return shown.every((label) => known.has(label)) ? known : undefined;
    });
    for (const label of hidden) assert.ok(!entries.has(label), label);
    // Things of others answer 403 or 404, which the page shows and the browser logs.
    console.expected.push(/status of 40[34]/);
    for (const path of pages)
      await console.visit(page, path).catch((error: unknown) => assert.fail(`${path}: ${error}`));
    console.assertClean();
  });
}
