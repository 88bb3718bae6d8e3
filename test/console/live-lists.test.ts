import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { APIResponse, Page } from "playwright-core";
import { deferred } from "../../src/core/promises.ts";
import { eventually } from "../helpers/eventually.ts";
import { type ConsoleTest, startConsole } from "./helpers.ts";

async function notify(console: ConsoleTest, title: string): Promise<void> {
  await console.prism.post("/api/v1/notifications", { userId: "admin", title, message: `About ${title}` });
}

const row = (page: Page, title: string) => page.getByRole("row").filter({ hasText: title });

/** A server with a notification, and a page of the console that shows nothing yet, signed in. */
async function start(t: TestContext): Promise<readonly [ConsoleTest, Page] | undefined> {
  const console = await startConsole(t);
  if (!console) return undefined;
  await notify(console, "db-1 is slow");
  const first = await console.open("/account");
  const page = await first.context().newPage();
  await first.close();
  return [console, page];
}

test("an entry that arrives while an older answer is under way is still shown when the answer is", async (t) => {
  const [console, page] = (await start(t)) ?? [];
  if (!console || !page) return;
  const released = deferred<void>();
  let older: Promise<APIResponse> | undefined;
  await page.route("**/api/v1/notifications?*", async (route) => {
    older ??= route.fetch();
    const response = await older;
    await released.promise;
    await route.fulfill({ response });
  });
  const subscribed = page.waitForEvent("websocket").then((socket) =>
    socket.waitForEvent("framereceived", ({ payload }) => {
      const text = String(payload);
      return text.includes('"subscribed"') && text.includes("user:");
    }),
  );
  await page.goto(`${console.prism.url}/dashboard/inbox`);
  await page.getByText("Live", { exact: true }).waitFor();
  await subscribed;
  await eventually("the list is read", async () => (await older) !== undefined);
  await notify(console, "db-2 is down");
  await row(page, "db-2 is down").waitFor();
  released.resolve();
  await row(page, "db-1 is slow").waitFor();
  assert.equal(await row(page, "db-2 is down").count(), 1);
});

test("what happens after a list is read and before its stream begins is shown", async (t) => {
  const [console, page] = (await start(t)) ?? [];
  if (!console || !page) return;
  const released = deferred<void>();
  await page.routeWebSocket(/\/ws/, async (socket) => {
    const server = socket.connectToServer();
    socket.onMessage(async (message) => {
      if (String(message).includes('"subscribe"')) await released.promise;
      server.send(message);
    });
  });
  await page.goto(`${console.prism.url}/dashboard/inbox`);
  await row(page, "db-1 is slow").waitFor();
  await notify(console, "db-2 is down");
  released.resolve();
  await row(page, "db-2 is down").waitFor();
});

test("the number of unread ones that arrives while an older answer is under way stays", async (t) => {
  const [console, page] = (await start(t)) ?? [];
  if (!console || !page) return;
  const released = deferred<void>();
  let read = 0;
  let answered = 0;
  await page.route("**/api/v1/notifications/unread-count", async (route) => {
    // The page may be closed while it still asks.
    const response = await route.fetch().catch(() => undefined);
    if (!response) return;
    read += 1;
    await released.promise;
    await route.fulfill({ response }).catch(() => undefined);
    answered += 1;
  });
  await page.goto(`${console.prism.url}/dashboard/inbox?show=all`);
  await page.getByText("Live", { exact: true }).waitFor();
  await row(page, "db-1 is slow").waitFor();
  await eventually("the number is read", async () => read > 0);
  const other = await page.context().newPage();
  await other.goto(`${console.prism.url}/dashboard/inbox`);
  await other.getByRole("button", { name: "Acknowledge", exact: true }).click();
  await row(page, "db-1 is slow").getByText("acknowledged").waitFor();
  released.resolve();
  await eventually("the older answers have arrived", async () => answered > 0 && answered === read);
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)));
  assert.equal(await page.getByText("You have seen everything.").count(), 1);
});
