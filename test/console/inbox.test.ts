import assert from "node:assert/strict";
import test from "node:test";
import type { Page } from "playwright-core";
import { stepsOf } from "../helpers/steps.ts";
import { assertAccessible, type ConsoleTest, startConsole } from "./helpers.ts";

const HOSTILE = `<img src=x onerror="alert(1)"> \u202eevil ${"W".repeat(120)} مرحبا 🦄`;

async function notify(console: ConsoleTest, title: string, more: Record<string, unknown> = {}): Promise<string> {
  const body = { userId: "admin", title, message: `About ${title}`, ...more };
  return (await console.prism.post<{ id: string }>("/api/v1/notifications", body)).body.id;
}

function row(page: Page, title: string) {
  return page.getByRole("row").filter({ hasText: title });
}

/** The number beside the entry of the navigation. */
function badge(page: Page, text: string) {
  return page.getByRole("navigation", { name: "Main", exact: true }).getByRole("link", { name: `Inbox ${text}` });
}

test("what one window does with a notification shows in the other at once", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  await notify(console, "db-1 is slow");
  const first = await console.open("/inbox");
  const second = await console.open("/inbox?show=all", { theme: "dark" });
  for (const page of [first, second]) await row(page, "db-1 is slow").waitFor();
  await first.getByText("Live", { exact: true }).waitFor();
  await second.getByText("Live", { exact: true }).waitFor();
  await badge(first, "1").waitFor();
  const step = stepsOf(t);

  await step("a new one appears in both", async () => {
    await notify(console, "db-2 is down", { priority: 800 });
    for (const page of [first, second]) await row(page, "db-2 is down").waitFor();
    await badge(second, "2").waitFor();
    await first.getByText("2 notifications are unread.").waitFor();
  });

  await step("j and a acknowledge the current row; the other window follows", async () => {
    await first.keyboard.press("j");
    await first.keyboard.press("a");
    await first.getByText("Acknowledged.", { exact: true }).waitFor();
    for (const page of [first, second]) await row(page, "db-2 is down").getByText("acknowledged").waitFor();
    await badge(second, "1").waitFor();
  });

  await step("a note is shown in both", async () => {
    await second.getByRole("button", { name: "More actions for db-1 is slow" }).click();
    await second.getByRole("menuitem", { name: /with a note/ }).click();
    await second.getByRole("textbox", { name: "Note" }).fill("Looking at the disk");
    await second.getByRole("button", { name: "Acknowledge", exact: true }).last().click();
    for (const page of [first, second]) await row(page, "db-1 is slow").getByText("Looking at the disk").waitFor();
    await first.getByText("You have seen everything.").waitFor();
  });

  await step("both pages are accessible in their theme", async () => {
    await assertAccessible(first, "inbox, light");
    await assertAccessible(second, "inbox, dark");
  });

  await step("deleting asks once and removes it from both", async () => {
    await first.getByRole("button", { name: "More actions for db-1 is slow" }).click();
    await first.getByRole("menuitem", { name: /Delete/ }).click();
    await first.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
    for (const page of [first, second]) await row(page, "db-1 is slow").waitFor({ state: "detached" });
  });
  console.assertClean();
});

test("a notification has its own page, and hostile text stays text", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  await console.person("ben", ["User"]);
  const unsafe = await notify(console, HOSTILE.slice(0, 200), {
    message: HOSTILE,
    data: { [HOSTILE.slice(0, 40)]: HOSTILE },
    action: { type: "open", url: "https://elsewhere.invalid/x", label: "<b>Open</b>" },
    recipients: ["admin", "ben"],
    userId: undefined,
  });
  const page = await console.open(`/inbox/${unsafe}`, { width: 360 });
  await page.getByRole("heading", { level: 1 }).filter({ hasText: "<img src=x" }).waitFor();
  const link = page.getByRole("link", { name: "<b>Open</b>" });
  assert.equal(await link.getAttribute("rel"), "noreferrer noopener");
  assert.equal(await page.locator("img").count(), 0);
  await assertAccessible(page, "a hostile notification at 360 px");
  const step = stepsOf(t);

  await step("looking at it reads it, and a acknowledges", async () => {
    await page.getByText("read", { exact: true }).waitFor();
    await page.keyboard.press("a");
    await page.getByText("acknowledged", { exact: true }).first().waitFor();
    await page
      .getByText(/1 acknowledged/)
      .first()
      .waitFor();
  });

  await step("the palette finds it by its id", async () => {
    const other = await console.open("/");
    await other.getByText("Live", { exact: true }).waitFor();
    await other.keyboard.press("Control+k");
    await other.getByRole("combobox", { name: /Search pages/ }).fill(unsafe);
    await other.getByRole("option").filter({ hasText: "Notification" }).click();
    await other.getByRole("heading", { level: 1 }).filter({ hasText: "<img src=x" }).waitFor();
  });

  await step("operators see those of everyone, with who has seen them; users do not", async () => {
    const all = await console.open("/inbox?show=everyone");
    await all.getByText("1 of 2 acknowledged").waitFor();
    await all.getByRole("combobox", { name: "State" }).or(all.getByLabel("State")).first().selectOption("unseen");
    await all.getByText("No notification matches these filters").waitFor();
    assert.match(all.url(), /state=unseen/);
    const own = await console.open("/inbox?show=everyone", { as: "ben" });
    await own.getByRole("tab", { name: /Unread/ }).waitFor();
    assert.equal(await own.getByRole("tab", { name: "Everyone" }).count(), 0);
    await own.getByRole("button", { name: "Mark all as read" }).click();
    await own.getByText("You have seen everything.").waitFor();
  });
  console.assertClean();
});

test("one's own notifications are searched and filtered on the server, and the chosen ones are marked as read", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  await notify(console, "Backup failed", { priority: 800 });
  for (let n = 1; n <= 60; n++) await notify(console, `Door ${n} opened`);
  for (const width of [1440, 390])
    await t.test(`at ${width} px`, async () => {
      const page = await console.open("/inbox?show=all", { width });
      await row(page, "Door 60 opened").waitFor();
      assert.equal(await row(page, "Backup failed").count(), 0, "it is not on the first page");
      await page.getByRole("searchbox").fill("backup");
      await row(page, "Backup failed").waitFor();
      await page.waitForURL(/q=backup/);
      assert.equal(await row(page, "Door").count(), 0);
      await notify(console, `Backup of ${width}`);
      await row(page, `Backup of ${width}`).waitFor();
      await notify(console, "Window opened");
      if (width === 390) await page.getByRole("button", { name: "Filters", exact: true }).click();
      await page.getByLabel("Urgency").selectOption("500");
      await row(page, `Backup of ${width}`).waitFor({ state: "detached" });
      await page.getByRole("button", { name: "Clear filters" }).click();
      await row(page, "Window opened").first().waitFor();
      await page.getByLabel("Kind").selectOption("rule");
      await page.getByText("No notification matches these filters").waitFor();
      await page.getByRole("button", { name: "Clear filters" }).click();
      const chosen = row(page, `Backup of ${width}`);
      const box = chosen.getByRole("checkbox");
      const size = await box.boundingBox();
      assert.ok(size !== null && (width > 640 || size.width >= 24), `a box of ${size?.width} px`);
      await box.check();
      await assertAccessible(page, `inbox at ${width} px`);
      await page.getByRole("button", { name: "Mark as read", exact: true }).click();
      await page.getByText("1 notification marked as read.").waitFor();
      await chosen.getByText("read", { exact: true }).waitFor();
      await row(page, "Window opened").first().getByText("unread", { exact: true }).waitFor();
      await page.close();
    });
  console.assertClean();
});

test("Acknowledge is gone from a row as soon as someone takes the incident, and back when it is open again", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const ben = await console.person("ben", ["Operator"]);
  const alerts = ["DiskFull", "HostDown"].map((alertname) => ({ labels: { alertname, severity: "critical" } }));
  assert.equal((await prism.post("/api/v1/alerts", { alerts })).status, 200);
  const page = await console.open("/inbox?show=all");
  const button = (title: string) => row(page, title).getByRole("button", { name: "Acknowledge", exact: true });
  for (const title of ["DiskFull", "HostDown"]) await button(title).first().waitFor();
  await page.getByText("Live", { exact: true }).waitFor();
  const { body } = await prism.get<{ data: { id: string; title: string }[] }>("/api/v1/incidents");
  const path = `/api/v1/incidents/${body.data.find(({ title }) => title === "DiskFull")?.id}`;
  const act = async (action: string) =>
    assert.equal((await prism.post(`${path}/${action}`, {}, { token: ben.token })).status, 200);

  await act("acknowledge");
  await row(page, "DiskFull").getByText("incident acknowledged").waitFor();
  await button("DiskFull").waitFor({ state: "detached" });
  await row(page, "DiskFull")
    .getByRole("button", { name: /^More actions/ })
    .click();
  await page.getByRole("menuitem", { name: "Show the incident" }).waitFor();
  assert.equal(await page.getByRole("menuitem", { name: /Acknowledge/ }).count(), 0);
  await page.keyboard.press("Escape");
  assert.equal(await button("HostDown").count(), 1, "no one has that one");
  await assertAccessible(page, "inbox with an incident that someone has");

  // Its steps start again, so another notification of it may have arrived, too.
  await act("unacknowledge");
  await button("DiskFull").nth(0).waitFor();
  console.assertClean();
});
