import assert from "node:assert/strict";
import test from "node:test";
import type { Page, Route } from "playwright-core";
import { PASSWORD, startConsole } from "./helpers.ts";

async function signIn(page: Page, name: string): Promise<void> {
  await page.getByLabel("Mail address, username or phone number").fill(name);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
}
const heading = (page: Page, name: string) => page.getByRole("heading", { level: 1, name }).waitFor();

test("a session and its data belong to one user", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  console.expected.push(/401|403|Failed to (fetch|load)|ERR_/);
  const [ann, bob] = [await console.person("ann", ["User"]), await console.person("bob", ["User"])];
  for (const [{ id }, title] of [
    [ann, "Secret of Ann"],
    [bob, "Secret of Bob"],
  ] as const) {
    const sent = await prism.post("/api/v1/notifications", { userId: id, title, message: "text" });
    assert.ok(sent.status < 300, sent.text);
  }
  const endSessions = (id: string) => prism.post(`/api/v1/users/${id}/sign-out`, {});

  await t.test("after a session has ended, the next user of the page does not see its data", async () => {
    const page = await console.open("/inbox", { as: null });
    await signIn(page, "ann");
    await page.getByText("Secret of Ann").first().waitFor();
    await endSessions(ann.id);
    await page.getByText("Your session has ended. Sign in again.").waitFor();
    // Whatever the page shows before an answer comes is the earlier user's.
    let isHeld = true;
    const held: Route[] = [];
    await page.route("**/api/v1/notifications?*", (route) => {
      if (!isHeld) return route.continue();
      held.push(route);
      return undefined;
    });
    await signIn(page, "bob");
    await heading(page, "Inbox");
    assert.equal(await page.getByText("Secret of Ann").count(), 0);
    isHeld = false;
    await Promise.all(held.map((route) => route.continue()));
    await page.getByText("Secret of Bob").first().waitFor();
    assert.equal(await page.getByText("Secret of Ann").count(), 0);
    await page.context().close();
  });

  await t.test("a page of one user does not act for another who signs in in the same browser", async () => {
    const page = await console.open("/inbox", { as: "ann", width: 1000 });
    await page.getByText("Secret of Ann").first().waitFor();
    const login = { login: "bob", password: PASSWORD };
    assert.equal((await page.context().request.post(`${prism.url}/api/v1/auth/login`, { data: login })).status(), 200);
    await endSessions(ann.id);
    await page.locator("nav").getByText("bob", { exact: true }).waitFor();
    await page.getByText("Secret of Bob").first().waitFor();
    assert.equal(await page.getByText("Secret of Ann").count(), 0);
    await page.context().close();
  });

  await t.test("a browser that changes what the console keeps there gets the sign-in, not an empty page", async () => {
    const page = await console.open("/inbox", { as: null, width: 900 });
    await page.route("**/api/v1/auth/refresh", (route) => route.abort());
    const kept = [
      "{",
      "null",
      "5",
      "{}",
      '{"id":"x","roles":null}',
      '{"id":"x","roles":[],"permissions":[],"timezone":"x"}',
    ];
    for (const text of kept) {
      await page.evaluate((value) => {
        localStorage.setItem("prism.me", value);
        localStorage.setItem("prism.push", value);
      }, text);
      await page.reload();
      await page.getByText("The server cannot be reached. Try again later.").waitFor();
      assert.equal(await page.evaluate(() => localStorage.getItem("prism.me")), null, text);
    }
  });

  await t.test("a logout that does not reach the server is repeated at the next visit", async () => {
    const page = await console.open("/inbox", { as: "bob", width: 1100 });
    await page.getByText("Secret of Bob").first().waitFor();
    await page.route("**/api/v1/auth/logout", (route) => route.abort());
    await page.getByRole("button", { name: "Your account" }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await page.getByText("The server could not be reached, and learns of it at the next visit.").waitFor();
    const names = async () => (await page.context().cookies()).map(({ name }) => name);
    assert.deepEqual(await names(), ["prism_refresh"]);
    await page.unroute("**/api/v1/auth/logout");
    await page.reload();
    await page.getByLabel("Password").waitFor();
    assert.deepEqual(await names(), []);
  });

  await t.test("without keeping the sign-in nothing of the user stays in the browser", async () => {
    const page = await console.open("/inbox", { as: null, width: 820 });
    await page.getByLabel("Keep me signed in").uncheck();
    await signIn(page, "bob");
    await page.getByText("Secret of Bob").first().waitFor();
    await page.reload();
    await page.getByText("Secret of Bob").first().waitFor();
    const kept = await page.evaluate(async () => [Object.entries(localStorage), await caches.keys()]);
    assert.doesNotMatch(JSON.stringify(kept), /bob|answers/);
    // The browser closes: its session cookie is gone.
    await page.context().clearCookies();
    await page.route("**/api/v1/auth/refresh", (route) => route.abort());
    await page.reload();
    await page.getByText("The server cannot be reached. Try again later.").waitFor();
  });

  await t.test("the page after signing in is one of the console", async () => {
    for (const next of [
      "//evil.example/",
      "/../../evil",
      "/%2e%2e/api/v1/setup",
      "/\\\\evil.example",
      "https://evil.example",
    ]) {
      const page = await console.open(`/sign-in?next=${encodeURIComponent(next)}`, { as: "admin", width: 700 });
      await page.waitForURL((url) => !url.pathname.endsWith("/sign-in"));
      const { origin, pathname } = new URL(page.url());
      assert.equal(origin, prism.url);
      assert.match(pathname, /^\/dashboard\//, next);
    }
  });

  console.assertClean();
});
