import assert from "node:assert/strict";
import test from "node:test";
import type { Page } from "playwright-core";
import { eventually } from "../helpers/eventually.ts";
import { stepsOf } from "../helpers/steps.ts";
import { type ConsoleTest, PASSWORD, startConsole } from "./helpers.ts";

const press = (scope: Pick<Page, "getByRole">, name: string) =>
  scope.getByRole("button", { name, exact: true }).click();
const go = (console: ConsoleTest, page: Page, path: string) => page.goto(`${console.prism.url}/dashboard${path}`);

test("an administrator decides about accounts, roles, projects and keys", async (t) => {
  const console = await startConsole(t, { settings: { "auth.registration": "approval" } });
  if (!console) return;
  const { prism } = console;
  const page = await console.open("/people");
  const dialog = page.getByRole("dialog");
  await page.getByRole("heading", { level: 1, name: "People" }).waitFor();
  const step = stepsOf(t);

  await step("a person who registered is approved with a role, and can sign in then", async () => {
    const account = { email: "pat@example.org", password: PASSWORD, name: "Pat" };
    assert.ok((await prism.post("/api/v1/auth/register", account, { token: null })).status < 300);
    const login = () => prism.post("/api/v1/auth/login", { login: account.email, password: PASSWORD }, { token: null });
    assert.equal((await login()).status, 403);
    await go(console, page, "/people/pending");
    await page.getByText("1 account waits: for approval").waitFor();
    await press(page, "Approve");
    await press(dialog, "Approve");
    await page.getByText("Pat can sign in now.").waitFor();
    await page.getByText("No account is pending", { exact: true }).waitFor();
    assert.equal((await login()).status, 200);
  });

  await step("an invitation without mail is a link, shown once", async () => {
    await go(console, page, "/people?status=active");
    await page.getByRole("link", { name: /Pat/ }).waitFor();
    await press(page, "Invite");
    await dialog.getByLabel("Mail address").fill("ida@example.org");
    await press(dialog, "Invite");
    await dialog.getByText(/#token=/).waitFor();
    await dialog.getByText("It works once and is not shown again.").waitFor();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    assert.equal(await page.getByText(/#token=/).count(), 0);
  });

  await step("a permission that a role gets applies to its users at once", async () => {
    const olga = await console.person("olga", ["Viewer"]);
    const sees = async () => (await prism.get("/api/v1/users", olga)).status === 200;
    assert.equal(await sees(), false);
    await go(console, page, "/people/roles");
    await press(page, "Change the role Viewer");
    await page.getByRole("menuitem", { name: "Edit" }).click();
    await dialog.getByRole("checkbox", { name: /users:read/ }).check();
    await press(dialog, "Save");
    await page.getByText("The role Viewer is saved. It applies at once.").waitFor();
    await eventually("olga sees people", sees);
  });

  await step("a person is signed out everywhere, and disabled, after a question", async () => {
    const { id } = await console.person("uwe", ["User"]);
    const login = () => prism.post("/api/v1/auth/login", { login: "uwe", password: PASSWORD }, { token: null });
    assert.equal((await login()).status, 200);
    await go(console, page, `/people/${id}`);
    await press(page, "More actions");
    const reset = page.getByRole("menuitem", { name: "Remove the second factor" });
    assert.equal(await reset.isDisabled(), true, "the account has none");
    await page.getByRole("menuitem", { name: "Sign out everywhere" }).click();
    await dialog.getByText(/All its sessions and live connections end now/).waitFor();
    await press(dialog, "Sign out everywhere");
    await page.getByText("No session").waitFor();
    await press(page, "Disable");
    await dialog.getByText(/Nothing is deleted/).waitFor();
    await press(dialog, "Disable");
    await page.getByText("Cannot sign in. Its past actions stay readable.").waitFor();
    assert.equal((await login()).status, 403);
    await press(page, "Enable");
    await page.getByText("Has the role User.").waitFor();
    assert.equal((await login()).status, 200);
  });

  await step("a project shows its keys once, and revokes them after a question", async () => {
    await go(console, page, "/projects");
    await press(page, "New project");
    await dialog.getByLabel("Name").fill("Web shop");
    await press(dialog, "Create project");
    const first = await dialog.locator(".secret code").innerText();
    await press(dialog, "I have stored it");
    await page.getByRole("heading", { level: 1, name: "Web shop" }).waitFor();
    assert.equal(
      (await prism.request("POST", "/api/v1/events", { type: "x" }, { apiKey: first })).status,
      202,
      "the key works",
    );
    await page.getByRole("link", { name: "API keys" }).click();
    await press(page, "New key");
    await dialog.getByLabel("Name").fill("collector");
    await press(dialog, "Create key");
    await dialog.locator(".secret code").waitFor();
    await press(dialog, "I have stored it");
    const row = page.getByRole("row", { name: /default/i }).first();
    await row.getByRole("button", { name: "Revoke" }).click();
    await dialog.getByText("Programs that use it are refused from the next request on.").waitFor();
    await press(dialog, "Revoke");
    await page.getByText("The key is revoked.").waitFor();
    assert.equal((await prism.request("POST", "/api/v1/events", { type: "x" }, { apiKey: first })).status, 401);
  });

  await step("removing a member shows which keys ended and which URLs the person knows", async () => {
    const mia = await console.person("mia", ["User"]);
    const { body: project } = await prism.get<{ id: string }>(`/api/v1/projects/web-shop`);
    await prism.post(`/api/v1/projects/${project.id}/members`, { userId: mia.id, role: "owner" });
    await prism.post(`/api/v1/projects/${project.id}/keys`, { name: "mias" }, mia);
    await prism.post("/api/v1/receivers", { projectId: project.id, name: "Printer", preset: "generic" }, mia);
    await page.getByRole("link", { name: "Members" }).click();
    const row = page.getByRole("row", { name: /mia/i });
    await row.getByRole("button", { name: "Remove" }).click();
    await press(dialog, "Remove");
    await dialog.getByText("API key mias: revoked").waitFor();
    await dialog.getByText("URL of the receiver Printer: still works, rotate it").waitFor();
    await page.keyboard.press("Escape");
    await row.waitFor({ state: "detached" });
  });

  await step("a project's owner sets and removes rights on topics of ntfy", async () => {
    await page.getByRole("link", { name: "Topics" }).click();
    await page.getByText("No topic has rights of its own").waitFor();
    await press(page, "Add a right");
    await dialog.getByRole("radio", { name: "Everyone" }).click();
    await dialog.getByLabel("Topic").fill("backup-*");
    await press(dialog, "Set");
    await page.getByText("The right is set.").waitFor();
    const row = page.getByRole("row", { name: /Everyone/ });
    assert.match(await row.innerText(), /backup-\*\s+Read/);
    await row.getByRole("button", { name: "Remove" }).click();
    await page.getByText("The right is removed.").waitFor();
    await page.getByText("No topic has rights of its own").waitFor();
  });
  console.assertClean();
});
