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

test("a list that was extended stays so when a live change comes", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { id, token } = await console.person("lena", ["Operator"]);
  assert.ok(id);
  const add = (title: string) => console.prism.post("/api/v1/tasks", { title }, { token });
  for (let n = 0; n < 60; n++) await add(`Task number ${n}`);
  const page = await console.open("/tasks", { as: "lena" });
  await page.getByText("Task number 59", { exact: true }).waitFor();
  await page.getByRole("button", { name: /more/i }).last().click();
  await page.getByText("Task number 0", { exact: true }).waitFor();
  await add("The latest task");
  await page.getByText("The latest task", { exact: true }).waitFor();
  await console.shown(page);
  assert.equal(await page.getByText("Task number 0", { exact: true }).count(), 1);
  console.assertClean();
});
