import assert from "node:assert/strict";
import { createServer } from "node:http";
import test, { type TestContext } from "node:test";
import type { Page } from "playwright-core";
import { eventually } from "../helpers/eventually.ts";
import { stepsOf } from "../helpers/steps.ts";
import { assertAccessible, type ConsoleTest, startConsole } from "./helpers.ts";

const press = (scope: Pick<Page, "getByRole">, name: string) =>
  scope.getByRole("button", { name, exact: true }).click();
const go = (console: ConsoleTest, page: Page, path: string) => page.goto(`${console.prism.url}/dashboard${path}`);

/** A receiver of webhooks with a changeable answer. */
async function receiver(t: TestContext): Promise<{ readonly url: string; status: number }> {
  const state = { url: "", status: 200 };
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(state.status).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  state.url = `http://127.0.0.1:${(server.address() as { port: number }).port}/hook`;
  return state;
}

test("deliveries, tasks, messages and buckets of a day", async (t) => {
  const hook = await receiver(t);
  const console = await startConsole(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  if (!console) return;
  const { prism } = console;
  const [row] = await prism.parts.base.database.read
    .selectFrom("users")
    .select("id")
    .where("username", "=", "admin")
    .execute();
  const adminId = row?.id ?? "";
  const page = await console.open("/deliveries");
  const dialog = page.getByRole("dialog");
  const step = stepsOf(t);

  await step("a webhook is made with a secret shown once, and tested", async () => {
    await page.getByText("Nothing was sent yet").waitFor();
    await go(console, page, "/deliveries?state=waiting&channel=email");
    await page.getByText("No delivery matches").waitFor();
    await go(console, page, "/webhooks");
    await page.locator(".page-head").getByRole("button", { name: "New webhook" }).click();
    await dialog.getByLabel("URL").fill(hook.url);
    await press(dialog, "Save");
    await dialog.getByText(/^whsec_/).waitFor();
    await press(dialog, "I have stored it");
    await page.getByText(hook.url).click();
    await dialog.getByRole("heading", { name: "Change the webhook" }).waitFor();
    await dialog.getByLabel("Event types").fill("order.*");
    await page.keyboard.press("Enter");
    const sent = page.waitForRequest((request) => request.method() === "PUT");
    await press(dialog, "Save");
    assert.deepEqual((await sent).postDataJSON(), { eventTypes: ["*", "order.*"] });
    await dialog.waitFor({ state: "detached" });
    await press(page, "Test");
    await page.getByText("The receiver answered 200.").waitFor();
    hook.status = 410;
    await press(page, "Test");
    await page.getByText(/The test call failed/).waitFor();
  });

  await step("a delivery shows its attempts, and is retried", async () => {
    hook.status = 500;
    // A retry at the moment of an automatic one is refused.
    console.expected.push(/status of 409/);
    const body = { title: "Disk full", message: "db-2", userId: adminId, channels: ["in_app", "webhook"] };
    assert.ok((await prism.post("/api/v1/notifications", body)).status < 300);
    await go(console, page, "/deliveries?channel=webhook");
    await page.getByRole("link", { name: "Disk full" }).click();
    await page.getByText("Attempt 1 failed, retried later").waitFor();
    await page
      .getByText(/status 500/)
      .first()
      .waitFor();
    hook.status = 200;
    const done = page.getByText(/Attempt \d delivered|Attempt \d succeeded/);
    // An automatic attempt may be sooner, and takes the button away.
    await page.getByRole("button", { name: "Retry", exact: true }).or(done).first().click();
    await done.waitFor();
    await assertAccessible(page, "delivery");
    // The first one has changed last.
    assert.ok((await prism.post("/api/v1/notifications", { ...body, title: "Later" })).status < 300);
    await go(console, page, "/deliveries?channel=webhook");
    const list = page.getByRole("table", { name: "Deliveries" });
    await list.getByRole("link", { name: "Later" }).waitFor();
    const times = await list
      .locator("time")
      .evaluateAll((all) => all.map((time) => (time as HTMLTimeElement).dateTime));
    assert.ok(times.length >= 2);
    assert.deepEqual(times, times.toSorted().toReversed(), "the newest first");
  });

  await step("a task is done, with undo", async () => {
    await go(console, page, "/tasks");
    await page.getByText("You have no task").waitFor();
    await page.locator(".page-head").getByRole("button", { name: "New task" }).click();
    await dialog.getByLabel("Title").fill("Replace the disk");
    await press(dialog, "Save");
    await page.getByText("1 task is open.").waitFor();
    await press(page, "Done");
    await page.getByText("Nothing is open here.").waitFor();
    await press(page, "Undo");
    await page.getByText("1 task is open.").waitFor();
    await press(page, "Delete");
    await dialog.getByText("Replace the disk").waitFor();
    await press(dialog, "Delete");
    await page.getByText("You have no task").waitFor();
  });

  await step("a message is scheduled and cancelled; another arrives live in a second window", async () => {
    const olga = await console.person("olga", ["User"]);
    const second = await console.open("/messages", { as: "olga", width: 390, theme: "dark" });
    await second.getByText("No message", { exact: true }).waitFor();
    await second.getByText("Live", { exact: true }).first().waitFor({ state: "attached" });
    await go(console, page, "/messages?box=sent");
    const write = async (text: string, at?: string) => {
      await page.locator(".page-head").getByRole("button", { name: "New message" }).click();
      await dialog.getByLabel("To").fill("olga");
      await page.getByRole("option", { name: /olga/ }).click();
      await dialog.getByLabel("Text").fill(text);
      if (at !== undefined) await dialog.getByLabel("Send at").fill(at);
      await press(dialog, at === undefined ? "Send" : "Schedule");
      await dialog.waitFor({ state: "detached" });
    };
    await write("See you tomorrow", new Date(Date.now() + 86_400_000).toISOString().slice(0, 16));
    await page.getByRole("link", { name: /olga/ }).click();
    await press(page, "Cancel message");
    await dialog.getByText("The recipient does not get it.").waitFor();
    await press(dialog, "Cancel message");
    await page.getByText("cancelled").first().waitFor();
    await go(console, page, "/messages?box=sent");
    await write("Lunch? <b>now</b>");
    await second.getByText("Lunch? <b>now</b>").waitFor();
    await assertAccessible(second, "messages");
    const { body } = await prism.get<{ data: unknown[] }>("/api/v1/messages?box=inbox", olga);
    assert.equal(body.data.length, 1, "the cancelled one did not arrive");
    await second.close();
  });

  await step("a bucket below its threshold stands out", async () => {
    await go(console, page, "/buckets");
    await page.getByText("No balance is watched").waitFor();
    await page.locator(".page-head").getByRole("button", { name: "New bucket" }).click();
    await dialog.getByLabel("Name").fill("Payouts");
    await dialog.getByLabel("Balance").fill("12500.5");
    await dialog.getByLabel("Threshold").fill("10000");
    await press(dialog, "Create bucket");
    await page.getByText("12,500.50 EUR").waitFor();
    await page.getByText("Every balance is above its threshold.").waitFor();
    await press(page, "Change Payouts");
    await page.getByRole("menuitem", { name: "Set the balance" }).click();
    await dialog.getByLabel("Balance in EUR").fill("8000");
    await press(dialog, "Save");
    await page.getByText("1 balance is below the threshold.").waitFor();
    await eventually("the filter", async () => {
      await page.getByRole("radio", { name: "Enough" }).click();
      return page.url().includes("state=ok");
    });
    await page.getByText("No bucket matches").waitFor();
  });
  console.assertClean();
});
