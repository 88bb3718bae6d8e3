import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import type { Page } from "playwright-core";
import { eventually } from "../helpers/eventually.ts";
import { assertAccessible, type ConsoleTest, startConsole } from "./helpers.ts";

/** The browser logs a refused condition and a version conflict, which these tests cause. */
const REFUSALS = [/the server responded with a status of (412|422)/];

interface Made {
  readonly id: string;
}

/** Failed payments of rising amounts, the newest last. */
async function sendPayments(console: ConsoleTest, amounts: readonly number[]): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const amount of amounts) {
    const payload = { amount, orderId: `A-${amount}`, currency: "EUR" };
    const body = { type: "payment.failed", level: "error", source: "shop", payload };
    ids.push((await console.prism.post<Made>("/api/v1/events", body)).body.id);
  }
  return ids;
}

async function makeRule(console: ConsoleTest, name: string, more: object = {}): Promise<string> {
  const rule = {
    name,
    condition: "event.type == 'payment.failed' and event.amount >= 1000",
    targetRoles: ["Admin"],
    titleTemplate: "Payment of {{ event.amount }} failed",
    ...more,
  };
  const reply = await console.prism.post<Made>("/api/v1/rules", rule);
  assert.equal(reply.status, 201, reply.text);
  return reply.body.id;
}

/** Replaces the text of the editor by typing, as a person does. */
async function typeCondition(page: Page, text: string): Promise<void> {
  await page.locator(".rule-editor .cm-content").click();
  await page.keyboard.press("Control+a");
  await page.keyboard.type(text.slice(0, 1));
  await page.keyboard.insertText(text.slice(1));
}

const conditionOf = (page: Page) => page.locator(".rule-editor .cm-content").innerText();

test("a rule is made from a recent event with completion, an error at its position and a backtest, and fires live", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  console.expected.push(...REFUSALS);
  const ids = await sendPayments(console, [500, 900, 1500, 2500]);
  const page = await console.open(`/rules/new?from=${ids[1]}`);
  await page.getByText("From an event of type payment.failed").waitFor();
  assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "Payment failed");
  await page.locator(".rule-editor .cm-content").waitFor();
  assert.match(await conditionOf(page), /event\.type == 'payment\.failed'/);
  await assertAccessible(page, "new rule");

  // A mistake is marked in the text and named below it.
  await typeCondition(page, "event.type = 'payment.failed'");
  await page.getByText(/Character 12: /).waitFor();
  await page.locator(".rule-editor .problem-error").waitFor();
  assert.ok(await page.getByRole("button", { name: "Review and create" }).isDisabled());

  // Paths, operators and values of recent events are completed.
  await typeCondition(page, "event.type == 'payment.failed' and ");
  await page.keyboard.type("event.amo");
  const options = page.locator(".rule-editor .cm-tooltip-autocomplete li");
  await options.filter({ hasText: "event.amount" }).click();
  assert.ok((await conditionOf(page)).endsWith("event.amount"));
  await page.keyboard.type(" >= 1000");
  await page.keyboard.press("Escape");
  await page.locator(".cond-r").filter({ hasText: "false" }).waitFor();

  // Tab leaves the editor.
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.className.includes("rule-editor")), false);

  await page.getByRole("button", { name: "Run backtest" }).click();
  await page.getByText("Would have notified 2 times in the last 7 days.").waitFor();

  await page.getByRole("button", { name: "Review and create" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("Would have notified 2 times in the last 7 days.").waitFor();
  await dialog.getByRole("button", { name: "Create rule" }).click();
  await page.getByRole("heading", { name: "Payment failed", level: 1 }).waitFor();
  await page.getByText(/Has not matched an event yet/).waitFor();

  // It fires in another window without a reload.
  const second = await console.open("/inbox");
  await second.getByRole("heading", { level: 1 }).waitFor();
  await sendPayments(console, [4711]);
  await second
    .getByText(/amount: 4711|payment\.failed from shop/)
    .first()
    .waitFor();
  await page.getByText(/Notified once/).waitFor();
  console.assertClean();
});

test("saving a changed rule shows the difference first; a version of another person is compared and kept", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  console.expected.push(...REFUSALS);
  const id = await makeRule(console, "Large payment");
  await sendPayments(console, [100, 600, 700, 2000]);
  const page = await console.open(`/rules/${id}`);
  await page.locator(".rule-editor .cm-content").waitFor();
  await typeCondition(page, "event.type == 'payment.failed' and event.amount >= 500");
  await page.getByText("Changed: Condition").waitFor();

  // The edits survive a reload.
  page.on("dialog", (dialog) => void dialog.accept());
  await page.waitForFunction(() => Object.values(sessionStorage).some((text) => String(text).includes(">= 500")));
  await page.reload();
  await page.getByText("Unsaved changes of this tab were restored").waitFor();
  assert.match(await conditionOf(page), />= 500/);

  await page.getByText(/The rule matches and would notify \d (person|people)\./).waitFor();
  await page
    .getByText(/Browser push: no browser of this person has push on/)
    .first()
    .waitFor();

  await page.getByRole("button", { name: "Review and save" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("Would have notified 3 times in the last 7 days, 1 before.").waitFor();
  assert.deepEqual(await dialog.locator("del, ins").allInnerTexts(), ["1000", "500"]);

  await console.prism.patch(`/api/v1/rules/${id}`, { description: "Saved by another person" });
  await dialog.getByRole("button", { name: "Save", exact: true }).click();
  await dialog.getByText(/saved version 2/).waitFor();
  await dialog.getByRole("button", { name: "Keep mine" }).click();
  await dialog.getByText("Save changes?").waitFor();
  await dialog.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Changed: Condition").waitFor({ state: "detached" });
  const stored = await console.prism.get<{ version: number; condition: string; description: string }>(
    `/api/v1/rules/${id}`,
  );
  assert.deepEqual(
    [stored.body.version, stored.body.condition.endsWith(">= 500"), stored.body.description],
    [3, true, "Saved by another person"],
  );

  // A restored version is a new one.
  await page.getByRole("tab", { name: /Versions/ }).click();
  const first = page.locator(".card").filter({ hasText: "Version 1" });
  await first.getByRole("button", { name: "Restore" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Restore" }).click();
  await page.getByText("Version 4", { exact: true }).waitFor();
  const restored = await console.prism.get<{ condition: string }>(`/api/v1/rules/${id}`);
  assert.match(restored.body.condition, />= 1000$/);
  await assertAccessible(page, "versions");
  await page.getByRole("tab", { name: "Activity" }).click();
  await page.getByRole("heading", { name: "Last 30 days" }).waitFor();
  await assertAccessible(page, "activity");
  console.assertClean();
});

test("the list finds, disables with undo, and leads to the first rule; hostile names are text; a viewer only reads", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const empty = await console.open("/rules");
  await empty.getByText("Create the first rule").waitFor();
  await empty.getByText("Something is down").waitFor();
  await assertAccessible(empty, "empty list");

  const hostile = "<img src=x onerror=alert(1)> \u202Eevil\u202C \u{1F525} مرحبا";
  await makeRule(console, hostile, { active: false });
  const id = await makeRule(console, "Large payment");
  await empty.reload();
  await empty.getByText("2 rules, 1 enabled.").waitFor();
  assert.equal(await empty.locator("img").count(), 0);
  await empty.getByRole("link", { name: "<img src=x onerror=alert(1)>" }).waitFor();
  await empty.getByRole("searchbox").fill("large");
  await empty.getByRole("link", { name: "<img src=x onerror=alert(1)>" }).waitFor({ state: "detached" });
  assert.match(empty.url(), /\?q=large/);

  await empty.getByRole("link", { name: "Large payment" }).waitFor();
  assert.equal(await empty.getByText("enabled", { exact: true }).count(), 0, "its switch says that");
  const isActive = async () => (await console.prism.get<{ active: boolean }>(`/api/v1/rules/${id}`)).body.active;
  await empty.getByRole("switch", { name: "Enable Large payment" }).click();
  await eventually("the rule is disabled", async () => !(await isActive()));
  await empty.getByRole("button", { name: "Undo" }).click();
  await eventually("the rule is enabled again", isActive);

  await console.person("vera", ["Viewer"]);
  const viewer = await console.open(`/rules/${id}`, { as: "vera", width: 360, theme: "dark" });
  await viewer.getByText("You can read this rule of every project, but not change it.").waitFor();
  await viewer.locator(".rule-editor .cm-content").waitFor();
  assert.equal(await viewer.getByRole("button", { name: /Save|Delete/ }).count(), 0);
  await assertAccessible(viewer, "rule of a viewer");
  await viewer.goto(`${console.prism.url}/dashboard/rules/new`);
  await viewer.getByText("You may not open this page").waitFor();
  console.assertClean();
});

test("a rule is deleted after a question; export and import keep it", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const id = await makeRule(console, "Large payment");
  const page = await console.open(`/rules/${id}`);
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "More actions" }).click();
  await page.getByRole("menuitem", { name: "Export as JSON" }).click();
  const file = await (await download).path();
  await page.getByRole("button", { name: "More actions" }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText(/cannot be restored/).waitFor();
  await dialog.getByRole("button", { name: "Delete rule" }).click();
  await page.getByText("Create the first rule").waitFor();
  const chooser = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Import and export" }).click();
  await page.getByRole("menuitem", { name: "Import rules from a file" }).click();
  await (await chooser).setFiles({ name: "rules.json", mimeType: "application/json", buffer: await readFile(file) });
  await page.getByText("New: 1, changed: 0, equal already: 0. All are stored, or none.").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Import" }).click();
  await page.getByRole("link", { name: /Large payment/ }).waitFor();
  console.assertClean();
});
