import assert from "node:assert/strict";
import test from "node:test";
import type { Page, Route } from "playwright-core";
import { deferred } from "../../src/core/promises.ts";
import { eventually } from "../helpers/eventually.ts";
import { type ConsoleTest, startConsole } from "./helpers.ts";

/** Holds the answers with a text until `release` is called; `read` counts those that the server has answered. */
async function hold(page: Page, pattern: string | RegExp, { method = "GET", text = "" } = {}) {
  const gate = deferred<void>();
  const state = { read: 0, release: () => gate.resolve() };
  const answer = async (route: Route) => {
    if (route.request().method() !== method) return route.fallback();
    const response = await route.fetch();
    if (!(await response.text()).includes(text)) return route.fulfill({ response });
    state.read += 1;
    await gate.promise;
    await route.fulfill({ response });
  };
  // The page may be closed while it still asks.
  await page.route(pattern, (route) => answer(route).catch(() => undefined));
  return state;
}

/** Lets effects run late, as on a busy machine: Preact runs them after a frame or 35 ms. */
const LATE_EFFECTS = `
  const later = window.setTimeout;
  window.requestAnimationFrame = (draw) => later(draw, 700, 0);
  window.setTimeout = (run, ms) => later(run, ms === 35 ? 700 : ms);
`;

async function fire({ prism }: ConsoleTest, alertname: string): Promise<void> {
  const reply = await prism.post("/api/v1/alerts", { alerts: [{ labels: { alertname } }] });
  assert.equal(reply.status, 200, reply.text);
}

test("a form that opens with older data follows what is stored, and keeps what is typed", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { id } = await console.person("ben", ["User"]);
  const page = await console.open(`/people/${id}`);
  const phone = page.getByLabel("Phone number");
  await phone.waitFor();
  await console.visit(page, "/people");
  const changed = await console.prism.patch(`/api/v1/users/${id}`, { phone: "+49301234567", roles: ["Operator"] });
  assert.equal(changed.status, 200, changed.text);
  const answer = await hold(page, `**/api/v1/users/${id}`);
  await page.evaluate((path) => {
    history.pushState(null, "", path);
    dispatchEvent(new PopStateEvent("popstate"));
  }, `/dashboard/people/${id}`);
  await page.getByLabel("Name", { exact: true }).fill("Benjamin");
  assert.equal(await phone.inputValue(), "", "the older data is shown meanwhile");
  await phone.fill("1");
  await phone.fill("");
  answer.release();
  await page.getByRole("button", { name: "Remove Operator" }).waitFor();
  assert.equal(await phone.inputValue(), "+49301234567");
  assert.ok(await page.getByRole("button", { name: "Save roles" }).isDisabled());
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("The account is saved.").waitFor();
  const { body } = await console.prism.get<{ name: string; phone: string; roles: string[] }>(`/api/v1/users/${id}`);
  assert.deepEqual([body.name, body.phone, body.roles], ["Benjamin", "+49301234567", ["Operator"]]);
  console.assertClean();
});

test("Enter takes no option of an earlier text", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  await console.person("barbara");
  await console.person("bob");
  const page = await console.open("/audit");
  const field = page.getByRole("combobox", { name: "By" });
  await field.fill("b");
  await page.getByRole("option", { name: /barbara/ }).waitFor();
  const answer = await hold(page, /\/api\/v1\/users\?.*bo/);
  await field.fill("bo");
  await page.getByRole("option", { name: /barbara/ }).waitFor({ state: "detached" });
  await field.press("Enter");
  answer.release();
  await eventually("bob is chosen", async () => (await field.inputValue()) === "bob");
  console.assertClean();
});

test("changes that come faster than the answers do not keep them from being shown", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/incidents");
  const list = /\/api\/v1\/incidents\?.*order=attention/;
  await page.getByText("All is quiet").waitFor();
  await page.getByText("Live", { exact: true }).waitFor();
  const first = await hold(page, list, { text: "DiskFull" });
  await fire(console, "DiskFull");
  await eventually("the list is read", async () => first.read > 0);
  const second = await hold(page, list);
  await fire(console, "HighLatency");
  // Longer than the page waits before it reads the list again.
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1500)));
  first.release();
  const row = (title: string) => page.getByRole("row").filter({ hasText: title });
  await row("DiskFull").waitFor();
  await eventually("the list is read once more", async () => second.read > 0);
  second.release();
  await row("HighLatency").waitFor();
  console.assertClean();
});

test("more of a list is loaded also while it is read again", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  for (let n = 0; n <= 50; n++)
    await console.prism.post("/api/v1/notifications", { userId: "admin", title: `Door ${n} opened`, message: "m" });
  const page = await console.open("/inbox?show=all");
  const row = (title: string) => page.getByRole("row").filter({ hasText: title });
  await row("Door 50 opened").waitFor();
  await page.getByText("Live", { exact: true }).waitFor();
  await console.shown(page);
  let read = 0;
  await page.route(/\/api\/v1\/notifications\?/, async (route) => {
    read += 1;
    if (read > 1) await route.fallback().catch(() => undefined);
  });
  await page.getByRole("button", { name: "Mark all as read" }).click();
  await eventually("it is read again", async () => read > 0);
  await page.getByRole("button", { name: "Load more" }).click();
  await row("Door 0 opened").waitFor();
  assert.equal(await row("opened").count(), 51);
  console.assertClean();
});

test("edits of a policy survive a look at its versions, and what is typed while they are saved", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const steps = [{ type: "notify", roles: ["Admin"] }];
  const { body } = await console.prism.post<{ id: string }>("/api/v1/policies", { name: "Database", steps });
  const page = await console.open(`/policies/${body.id}`);
  const rounds = page.getByLabel("Further rounds");
  await rounds.fill("3");
  await page.getByRole("tab", { name: /Versions/ }).click();
  await page.waitForURL(/tab=versions/);
  await page.getByRole("tab", { name: "Edit" }).click();
  assert.equal(await rounds.inputValue(), "3");
  const answer = await hold(page, `**/api/v1/policies/${body.id}`, { method: "PATCH" });
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await eventually("it is saved", async () => answer.read > 0);
  await rounds.fill("4");
  answer.release();
  await page.getByText("Saved. Incidents that are open keep their version.").waitFor();
  assert.equal(await rounds.inputValue(), "4");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await eventually("the later edit is saved", async () => {
    const stored = await console.prism.get<{ repeat: number }>(`/api/v1/policies/${body.id}`);
    return stored.body.repeat === 4;
  });
  console.assertClean();
});

test("another project replaces edits of routes and of a status page only after a question", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  await console.prism.post("/api/v1/projects", { name: "Shop" });
  const page = await console.open("/policies/routes");
  await page.addInitScript({ content: LATE_EFFECTS });
  await page.reload();
  const project = page.getByLabel("Project").first();
  const chosen = () => project.evaluate((field: HTMLSelectElement) => field.selectedOptions[0]?.text);
  for (const [path, edit] of [
    ["/policies/routes", () => page.getByRole("button", { name: "Add a route below" }).click()],
    ["/status-page", () => page.getByLabel("Title").fill("Our services")],
  ] as const) {
    await console.visit(page, path);
    const before = await chosen();
    await edit();
    await project.selectOption("Shop");
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    await eventually("the project stays", async () => (await chosen()) === before);
    await project.selectOption("Shop");
    await page.getByRole("dialog").getByRole("button", { name: "Leave" }).click();
    await page.waitForURL(/project=/);
    assert.equal(await chosen(), "Shop");
  }
  console.assertClean();
});

test("keys work as soon as a page is shown", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/incidents");
  await page.addInitScript({ content: LATE_EFFECTS });
  await page.reload();
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: /Search pages/ }).waitFor();
  console.assertClean();
});

test("an older count of open incidents does not replace a newer one", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/rules");
  const older = await hold(page, /\/incidents\?state=open&limit=100$/, { text: '"data":[]' });
  await page.reload();
  await eventually("the first count is under way", () => older.read > 0);
  await fire(console, "Disk");
  const badge = page.getByRole("navigation", { name: "Main", exact: true }).getByRole("link", { name: "Incidents 1" });
  await badge.waitFor();
  older.release();
  await console.visit(page, "/rules");
  assert.ok(await badge.isVisible());
  console.assertClean();
});

test("a status page that another person has saved is not overwritten", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/status-page");
  await page.getByLabel("Title").fill("Mine");
  const { body } = await console.prism.get<Record<string, unknown>>("/api/v1/status-page?projectId=default");
  const { enabled, timezone, historyDays, showIncidents, showMaintenance, subscriptions, groups } = body;
  const theirs = { enabled, timezone, historyDays, showIncidents, showMaintenance, subscriptions, groups };
  const other = await console.prism.put("/api/v1/status-page?projectId=default", { ...theirs, title: "Theirs" });
  assert.equal(other.status, 200, other.text);
  console.expected.push(/status of 412/);
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Version 1 was saved meanwhile").waitFor();
  await page.getByRole("button", { name: "Replace it with mine" }).click();
  await page.getByText("Saved.", { exact: true }).waitFor();
  const stored = await console.prism.get<{ title: string }>("/api/v1/status-page?projectId=default");
  assert.equal(stored.body.title, "Mine");
  console.assertClean();
});

test("what a test of one channel said is not shown at another", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const make = async (name: string) => {
    const body = { name, preset: "http", projectId: "default", fields: { url: "http://127.0.0.1:9/" } };
    const reply = await console.prism.post<{ id: string }>("/api/v1/channels", body);
    assert.equal(reply.status, 201, reply.text);
    return reply.body.id;
  };
  const [one, other] = [await make("One"), await make("Other")];
  const page = await console.open(`/connect/channels/${other}`);
  await page.getByRole("heading", { level: 1, name: "Other" }).waitFor();
  await console.visit(page, `/connect/channels/${one}`);
  await page.getByRole("button", { name: "Dry run" }).click();
  await page.getByText("Nothing was sent: this is the request").waitFor();
  await console.visit(page, `/connect/channels/${other}`);
  await page.getByRole("heading", { level: 1, name: "Other" }).waitFor();
  assert.equal(await page.getByText("Nothing was sent: this is the request").count(), 0);
  console.assertClean();
});

test("a page that is closed while it signs out does not come back signed in", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/account");
  await page.getByText("Live", { exact: true }).waitFor();
  const userId = await page.evaluate(() => JSON.parse(localStorage.getItem("prism.me") ?? "{}").id as string);
  await page.evaluate((id) => localStorage.setItem("prism.push", JSON.stringify({ id: "x", userId: id })), userId);
  await page.route("**/push-subscriptions/x", () => undefined);
  await page.getByRole("button", { name: "Your account" }).click();
  const asked = page.waitForRequest("**/push-subscriptions/x");
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await asked;
  await page.reload();
  await page.getByLabel("Password").waitFor();
});
