import test from "node:test";
import type { Page } from "playwright-core";
import { deferred } from "../../src/core/promises.ts";
import { type ConsoleTest, startConsole } from "./helpers.ts";

async function notify(console: ConsoleTest, title: string): Promise<void> {
  await console.prism.post("/api/v1/notifications", { userId: "admin", title, message: `About ${title}` });
}

const row = (page: Page, title: string) => page.getByRole("row").filter({ hasText: title });

/** A page of the console that has not been opened yet, signed in. */
async function blankPage(console: ConsoleTest): Promise<Page> {
  const first = await console.open("/account");
  const page = await first.context().newPage();
  await first.close();
  return page;
}

test("an entry that arrives while an older answer is under way is still shown when the answer is", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  await notify(console, "db-1 is slow");
  const page = await blankPage(console);
  const answered = deferred<void>();
  const released = deferred<void>();
  let requests = 0;
  await page.route("**/api/v1/notifications?*", async (route) => {
    requests += 1;
    if (requests > 1) return route.continue();
    const response = await route.fetch();
    answered.resolve();
    await released.promise;
    await route.fulfill({ response });
  });
  await page.goto(`${console.prism.url}/dashboard/inbox`);
  await answered.promise;
  await page.getByText("Live", { exact: true }).waitFor();
  await notify(console, "db-2 is down");
  await row(page, "db-2 is down").waitFor();
  released.resolve();
  await row(page, "db-1 is slow").waitFor();
  await row(page, "db-2 is down").waitFor();
});

test("what happens after a list is read and before its stream begins is shown", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  await notify(console, "db-1 is slow");
  const page = await blankPage(console);
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
