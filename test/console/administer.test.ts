import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import type { Page } from "playwright-core";
import { MailServer } from "../features/access/sessions/support/mail-server.ts";
import { eventually } from "../helpers/eventually.ts";
import { stepsOf } from "../helpers/steps.ts";
import { openBeside } from "../helpers/store.ts";
import { countClicks } from "./clicks.ts";
import { assertAccessible, type ConsoleTest, startConsole } from "./helpers.ts";

const press = (scope: Pick<Page, "getByRole">, name: string) =>
  scope.getByRole("button", { name, exact: true }).click();
const go = (console: ConsoleTest, page: Page, path: string) => page.goto(`${console.prism.url}/dashboard${path}`);

test("an administrator verifies the audit trail, makes backups and changes settings", async (t) => {
  const mail = await MailServer.start(t);
  const console = await startConsole(t, { settings: { "retention.days": "45" } });
  if (!console) return;
  const { prism } = console;
  const page = await console.open("/audit");
  const dialog = page.getByRole("dialog");
  const step = stepsOf(t);

  await step("the chain of the audit trail is unbroken, and its rows are exported", async () => {
    await page
      .getByRole("row", { name: /auth\.login/ })
      .first()
      .waitFor();
    const signedIn = page.getByRole("row", { name: /Signed in auth\.login/ }).first();
    await signedIn.getByText("Signed in").click();
    const entry = page.getByRole("dialog", { name: "Signed in" });
    await entry.getByText("auth.login", { exact: true }).waitFor();
    await page.keyboard.press("Escape");
    await press(page, "Verify");
    await page.getByText("The chain is unbroken").waitFor();
    const download = page.waitForEvent("download");
    await press(page, "Export CSV");
    const csv = await readFile(await (await download).path(), "utf8");
    assert.match(csv, /auth\.login/);
    await page.getByRole("searchbox", { name: "Action" }).fill("no.such");
    await page.getByText("No entry matches").waitFor();
    assert.match(page.url(), /action=no\.such/);
  });

  await step("the page of a project shows what it stores, and its limit", async () => {
    const { body } = await prism.post<{ id: string }>("/api/v1/projects", { name: "Shop" });
    await prism.patch(`/api/v1/projects/${body.id}`, { storageBytes: 2_000_000 });
    await go(console, page, `/projects/${body.id}`);
    await page.getByText(/It stores 0\sB of 2(?:\.0)?\sMB\./).waitFor();
    await go(console, page, "/projects/default");
    await page.getByText(/It stores [\d.]+\sk?B\./).waitFor();
  });

  await step("a backup is made, verified, downloaded and deleted", async () => {
    await go(console, page, "/backups");
    await page.getByText("There is no backup yet").waitFor();
    await page.locator(".page-head").getByRole("button", { name: "Back up now" }).click();
    await page.getByText(/^prism-.*\.tar is complete\.$/).waitFor();
    await page.getByText(/^prism restore .*\/prism-\S+\.tar$/).waitFor();
    const download = page.waitForEvent("download");
    await press(page, "Download");
    assert.match((await download).suggestedFilename(), /^prism-.*\.tar$/);
    assert.ok((await readFile(await (await download).path())).length > 10_000);
    const more = page.getByRole("button", { name: /^More for prism-/ });
    await more.click();
    const checked = async () =>
      (await prism.get<{ data: { checkedAt: string }[] }>("/api/v1/backups")).body.data[0]?.checkedAt;
    const before = await checked();
    await page.getByRole("menuitem", { name: "Verify" }).click();
    await eventually("the archive is verified again", async () => (await checked()) !== before);
    await page.getByText(/^Verifying /).waitFor({ state: "detached" });
    await more.click();
    await page.getByRole("menuitem", { name: "Delete" }).click();
    await dialog.getByText(/It is the only archive here/).waitFor();
    await press(dialog, "Delete");
    await page.getByText("There is no backup yet").waitFor();
  });

  await step("settings change at once; those of the command line say where they come from", async () => {
    await go(console, page, "/settings");
    await page
      .getByText(/Set by command line, --\S+; change it there/)
      .first()
      .waitFor();
    assert.equal(await page.getByLabel("Keep events for").isDisabled(), true);
    const address = page.locator(".card").filter({ has: page.getByRole("heading", { name: "Address" }) });
    await address.getByLabel("Public URL").fill(prism.url);
    await press(address, "Save");
    await page.getByText("Saved. It is in effect now.").waitFor();
    const { data } = (await prism.get<{ data: { key: string; value: unknown; origin: string }[] }>("/api/v1/settings"))
      .body;
    const stored = data.find(({ key }) => key === "publicUrl");
    assert.deepEqual([stored?.value, stored?.origin], [prism.url, "console"]);
    await page.getByRole("link", { name: "All settings" }).click();
    await page.getByRole("searchbox").fill("publicUrl");
    await page.getByRole("row", { name: /publicUrl.*set here/ }).waitFor();
  });

  await step("a test mail shows why it was not sent, and arrives after the correction", async () => {
    await go(console, page, "/settings");
    const card = page.locator(".card").filter({ has: page.getByRole("heading", { name: "Mail", exact: true }) });
    const send = async () => {
      await press(card, "Send a test mail");
      await dialog.getByLabel("Send a test mail to").fill("ops@example.org");
      await press(dialog, "Send");
    };
    await card.getByRole("textbox", { name: "Mail server" }).fill("127.0.0.1");
    await card.getByLabel("Port", { exact: true }).fill("9");
    await card.getByLabel("Sender", { exact: true }).fill("prism@example.org");
    await send();
    await card.getByText("The test mail was not sent").waitFor();
    await card.getByLabel("Port", { exact: true }).fill(String(mail.port));
    await send();
    await card.getByText("The test mail was accepted").waitFor();
    await mail.mailTo("ops@example.org");
  });

  await step("the chain is broken after a change of the database file", async () => {
    await go(console, page, "/audit");
    const file = openBeside(t, join(prism.dir, "prism.db"));
    // The server may be within a transaction, and goes on only while this does not wait.
    file.pragma("busy_timeout = 0");
    await eventually("the file is free", () => {
      try {
        file.exec(
          `begin immediate; drop trigger audit_log_no_update;
           update audit_log set action = 'auth.nothing' where seq = 2; commit`,
        );
        return true;
      } catch (error) {
        if ((error as { code?: string }).code === "SQLITE_BUSY") return false;
        throw error;
      }
    });
    await press(page, "Verify");
    await page.getByText("The chain is broken").waitFor();
    await page.getByText(/Entry 2 does not match its hash\./).waitFor();
  });
  console.assertClean();
});

test("who changed that rule is found in at most 4 clicks from the overview, by names", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const grace = await console.person("grace", ["Admin"]);
  const rule = { name: "Disk is full", condition: "event.type == 'disk'", targetUsers: ["admin"] };
  const { body: made } = await prism.post<{ id: string }>("/api/v1/rules", rule);
  const changed = await prism.patch(`/api/v1/rules/${made.id}`, { priority: 700 }, { token: grace.token });
  assert.equal(changed.status, 200, changed.text);
  for (let n = 0; n < 60; n++)
    await prism.post("/api/v1/notifications", { userId: "admin", title: `Door ${n}`, message: "open" });
  for (const width of [1440, 390])
    await t.test(`at ${width} px`, async (step) => {
      const page = await console.open("/", { width });
      await console.shown(page);
      const clicks = await countClicks(step, page);
      if (width === 390) await page.getByRole("button", { name: "More", exact: true }).click();
      const menu = page.getByRole("navigation", { name: width === 390 ? "All pages" : "Main", exact: true });
      const link = menu.getByRole("link", { name: "Audit" });
      if (!(await link.isVisible())) await menu.getByRole("button", { name: "Administer" }).click();
      await link.click();
      const row = page.getByRole("row").filter({ hasText: "rule.update" });
      await row.getByText("Disk is full").waitFor();
      await row.getByText("grace", { exact: true }).waitFor();
      await clicks.atMost(4, "who changed that rule");
      assert.equal(await page.getByText("notification.sent").count(), 0, "notifications are left out");
      await page.getByRole("searchbox", { name: "Action" }).fill("rule");
      await page.getByRole("row").filter({ hasText: "rule.create" }).waitFor();
      await page.getByRole("row").filter({ hasText: "auth.login" }).first().waitFor({ state: "detached" });
      await assertAccessible(page, `audit at ${width} px`);
      if (width === 390) await page.getByRole("button", { name: "Filters", exact: false }).click();
      await page.getByRole("combobox", { name: "By" }).fill("grace");
      await page.getByRole("option", { name: "grace" }).click();
      await page.getByRole("row").filter({ hasText: "rule.create" }).waitFor({ state: "detached" });
      for (const box of [".search-in", ".combo"])
        await page.locator(box).getByRole("button", { name: "Clear", exact: true }).click();
      await page.getByText("Notifications", { exact: true }).click();
      await page.getByText("notification.sent").first().waitFor();
      if (width === 1440) {
        await console.visit(page, "/audit");
        await row.getByText("rule.update").click();
        await page.getByRole("button", { name: "Everything that happened to it" }).click();
        await page.getByRole("row").filter({ hasText: "rule.create" }).waitFor();
        await page.getByRole("row").filter({ hasText: "auth.login" }).first().waitFor({ state: "detached" });
        await page.getByRole("button", { name: "All resources" }).click();
        await page.getByRole("row").filter({ hasText: "auth.login" }).first().waitFor();
        await row.getByRole("link", { name: "Disk is full" }).click();
        await page.getByRole("heading", { level: 1, name: "Disk is full" }).waitFor();
      }
      await page.close();
    });
  console.assertClean();
});
