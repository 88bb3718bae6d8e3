import assert from "node:assert/strict";
import test from "node:test";
import { settled } from "../helpers/browser.ts";
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

test("the search finds alerts and incidents, and its box stays where it is", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const labels = { alertname: "ReplicationLag", instance: "db-3" };
  const fired = await console.prism.post("/api/v1/alerts", { alerts: [{ labels }] });
  assert.ok(fired.status < 300, fired.text);
  const page = await console.open("/");
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await page.keyboard.press("Control+k");
  const box = async () => (await page.getByRole("dialog").boundingBox()) ?? assert.fail("no dialog");
  await page.getByRole("combobox").waitFor();
  await settled(page);
  const before = await box();
  await page.getByRole("combobox").fill("repl");
  await page.getByRole("option", { name: /ReplicationLag.*db-3.*Alert/ }).waitFor();
  assert.deepEqual(await box(), before);
  await assertAccessible(page, "the search");
  await page.getByRole("combobox").fill("nothing has this text");
  await page.getByText("Nothing found for this text.").waitFor();
  assert.deepEqual(await box(), before);
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
  await page.getByText("The server cannot be reached").waitFor({ state: "detached" });
});

test("groups of the menu fold and stay so; the current entry is in an open group and in view", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/", { width: 1440 });
  const nav = page.getByRole("navigation", { name: "Main", exact: true });
  const group = (name: string) => nav.getByRole("button", { name });
  const isInView = () =>
    nav.locator("[aria-current]").evaluate((link) => {
      const [own, list] = [link.getBoundingClientRect(), link.parentElement?.getBoundingClientRect()];
      return list !== undefined && own.top >= list.top && own.bottom <= list.bottom;
    });
  await nav.getByRole("link", { name: "Incidents" }).waitFor();
  for (const [name, isOpen] of [
    ["Watch", "true"],
    ["Set up", "true"],
    ["Operate", "false"],
    ["Administer", "false"],
  ] as const)
    assert.equal(await group(name).getAttribute("aria-expanded"), isOpen, name);
  assert.equal(await nav.getByRole("link", { name: "Jobs", exact: true }).count(), 0);
  await group("Operate").click();
  await nav.getByRole("link", { name: "Jobs", exact: true }).waitFor();
  await group("Watch").click();
  await nav.getByRole("link", { name: "Silences" }).waitFor({ state: "detached" });
  await page.reload();
  await nav.getByRole("link", { name: "Jobs", exact: true }).waitFor();
  assert.equal(await group("Watch").getAttribute("aria-expanded"), "false", "this browser keeps what was chosen");
  for (const path of ["/settings", "/silences", "/buckets"]) {
    await console.visit(page, path);
    assert.equal(await nav.locator("[aria-current]").count(), 1, path);
    assert.ok(await isInView(), `the entry of ${path} is in view`);
  }
  await assertAccessible(page, "the menu");

  for (const [name, last] of [
    ["Operate", "Buckets"],
    ["Administer", "API reference"],
  ] as const) {
    if ((await group(name).getAttribute("aria-expanded")) === "false") await group(name).click();
    if ((await group("Watch").getAttribute("aria-expanded")) === "false") await group("Watch").click();
    await nav.getByRole("link", { name: last }).waitFor();
    const hidden = await nav.locator(".side-items").evaluate((list) => list.scrollHeight - list.clientHeight);
    assert.ok(hidden <= 0, `with ${name} open ${hidden} px of the menu are hidden at 900 px`);
  }
  const labels = await nav.locator(".side-items").getByRole("link").allInnerTexts();
  assert.deepEqual(
    labels.map((label) => label.replace(/\s*\d+$/, "")).slice(0, 13),
    [
      ...["Overview", "Incidents", "Alerts", "On-call", "Inbox"],
      ...["Silences", "Heartbeats", "Status page", "Reports"],
      ...["Connect", "Rules", "Policies", "Routes"],
    ],
    "in the order of the work",
  );
  const icons = await nav.locator(".side-items a svg").evaluateAll((all) => all.map((each) => each.innerHTML));
  assert.equal(new Set(icons).size, icons.length, "each entry has an icon of its own");

  const phone = await console.open("/settings", { width: 390 });
  await phone.getByRole("button", { name: "More", exact: true }).click();
  const all = phone.getByRole("navigation", { name: "All pages" });
  await all.locator("[aria-current]").getByText("Settings").waitFor();
  await all.getByRole("button", { name: "Operate" }).click();
  await all.getByRole("link", { name: "Jobs", exact: true }).click();
  await phone.getByRole("heading", { level: 1, name: "Jobs" }).waitFor();
  assert.equal(await all.count(), 0, "a press on an entry closes the menu, one on a group does not");
  console.assertClean();
});

test("times are in the user's zone, which a page names once where it is not the browser's", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { token } = await console.person("mia", ["Admin"]);
  const page = await console.open("/audit", { as: "mia", width: 1440 });
  const own = await page.evaluate(() => Intl.DateTimeFormat().resolvedOptions().timeZone);
  await console.shown(page);
  assert.equal(await page.getByText("Times in").count(), 0, "without a chosen zone it is the browser's");
  const zone = own === "Asia/Tokyo" ? "Asia/Kathmandu" : "Asia/Tokyo";
  const set = await console.prism.put("/api/v1/users/me", { timezone: zone }, { token });
  assert.equal(set.status, 200, set.text);
  await page.reload();
  await page.getByText(`Times in ${zone}`).waitFor();
  assert.equal(await page.getByText("Times in").count(), 1);
  const time = page.getByRole("table", { name: "Audit trail" }).locator("time").first();
  const shown = new Intl.DateTimeFormat("en-GB", { timeZone: zone, timeZoneName: "short" }).formatToParts();
  const name = shown.find(({ type }) => type === "timeZoneName")?.value ?? "";
  assert.ok((await time.getAttribute("data-tip"))?.endsWith(name), "the exact time on hover names its zone");
  await assertAccessible(page, "a page with the name of its zone");
  console.assertClean();
});
