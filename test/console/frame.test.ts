import assert from "node:assert/strict";
import test from "node:test";
import { assertAccessible, PASSWORD, startConsole } from "./helpers.ts";

test("a visitor signs in, opens pages by keyboard and palette, and signs out in all tabs", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/", { as: null });
  await assertAccessible(page, "sign in");
  await page.getByLabel(/Mail address/).fill("admin");
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await page.getByText("Live", { exact: true }).waitFor();

  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill("overview");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();

  await page.keyboard.press("?");
  await page.getByText("Show these keys").waitFor();
  await page.keyboard.press("Escape");

  const second = await page.context().newPage();
  await second.goto(`${console.prism.url}/dashboard/`);
  await second.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await page.getByRole("button", { name: "Your account" }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  for (const each of [page, second]) await each.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal((await page.context().cookies()).length, 0, "the cookie is gone");
  console.assertClean();
});

test("an address that no page has says so, and links back", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/no/such/page");
  await page.getByText("There is no such page").waitFor();
  console.assertClean();
});
