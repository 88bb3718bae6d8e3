import assert from "node:assert/strict";
import test from "node:test";
import { lastingPort } from "../helpers/free-ports.ts";
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

test("after an outage a page that could not be loaded shows its data without a click", async (t) => {
  const port = String(await lastingPort());
  const console = await startConsole(t, { settings: { port } });
  if (!console) return;
  console.expected.push(/ERR_CONNECTION_REFUSED|Failed to (fetch|load)|WebSocket|status of 50\d|ERR_/);
  const { prism } = console;
  const matchers = [{ name: "alertname", value: "DiskFull" }];
  const made = await prism.post("/api/v1/silences", { matchers, comment: "Disks are replaced", durationMs: 3_600_000 });
  assert.equal(made.status, 201, made.text);
  const page = await console.open("/incidents");
  await page.getByText("Live", { exact: true }).waitFor();
  // Its script is loaded before the outage, its data is not.
  await console.visit(page, "/silences/new");
  await console.visit(page, "/incidents");
  await prism.restart(async () => {
    await page.getByText("The server cannot be reached. The pages show").waitFor();
    await page.getByRole("link", { name: "Silences" }).click();
    await page.getByRole("button", { name: "Try again" }).waitFor();
  });
  await page.getByText("Disks are replaced").first().waitFor();
  assert.equal(await page.getByText("The server cannot be reached").count(), 0);
});
