import assert from "node:assert/strict";
import test from "node:test";
import type { Page } from "playwright-core";
import { MailServer } from "../features/access/sessions/support/mail-server.ts";
import { Authenticator } from "../features/access/sessions/support/second-factor.ts";
import { stepsOf } from "../helpers/steps.ts";
import { rowsOf } from "../helpers/tables.ts";
import { assertAccessible, PASSWORD, startConsole } from "./helpers.ts";

const press = (page: Page, name: string, exact = true) => page.getByRole("button", { name, exact }).click();
const preferencesOf = async (
  prism: { get(path: string, options: { token: string }): Promise<{ body: object }> },
  token: string,
) => (await prism.get("/api/v1/users/me/preferences", { token })).body;

test("a user keeps the account: profile, password, second factor, sessions, tokens and preferences", async (t) => {
  // Invitations need a mail server.
  const mail = await MailServer.start(t);
  const console = await startConsole(t, { settings: mail.settings });
  if (!console) return;
  const { prism } = console;
  const ann = await console.person("ann", ["User"]);
  const page = await console.open("/account", { as: "ann" });
  const title = page.getByRole("heading", { level: 1, name: "Account" });
  await title.waitFor();
  const step = stepsOf(t);

  await step("profile, also with hostile text", async () => {
    const name = "<b>Ann</b> \u{1f642}";
    await page.getByLabel("Name", { exact: true }).fill(name);
    await page.getByLabel("Mail address").fill("ann@example.org");
    await page.getByLabel("Current password").fill(PASSWORD);
    await press(page, "Save");
    await page.getByText("Your profile is saved.").waitFor();
    const { body } = await prism.get<{ name: string; email: string }>("/api/v1/users/me", { token: ann.token });
    assert.deepEqual([body.name, body.email], [name, "ann@example.org"]);
    assert.equal(await page.locator(".page-sub b").count(), 0, "markup is text");
    await assertAccessible(page, "profile");
  });

  await step("a project invitation is accepted", async () => {
    const owner = await console.person("owner", ["User"]);
    const { body: shop } = await prism.post<{ id: string }>("/projects", { name: "shop" }, owner);
    // An address that the user has chosen opens no invitation.
    await prism.patch(`/api/v1/users/${ann.id}`, { email: "ann@example.com" });
    const member = { email: "ann@example.com", role: "viewer" };
    assert.equal((await prism.post(`/api/v1/projects/${shop.id}/members`, member, owner)).status, 202);
    await page.reload();
    await press(page, "Accept");
    await page.getByText("You are now a member of shop.").waitFor();
  });

  let secret = "";
  await step("the second factor: QR code, first code, recovery codes shown once", async () => {
    await page.getByRole("link", { name: "Security" }).click();
    await page.getByText("The second factor is off").waitFor();
    await press(page, "Turn on");
    await page.getByLabel("Your password").fill(PASSWORD);
    await press(page, "Continue");
    await page.locator("svg[aria-label^='QR code'] path").waitFor();
    await assertAccessible(page, "QR code");
    secret = (await page.getByLabel("Or type the secret").inputValue()).replace(/ /g, "");
    // Valid also if the next step begins meanwhile; the one after it is left for what follows.
    await page.getByLabel("Code of the app").fill(new Authenticator(prism, secret).code());
    await page.getByRole("dialog").getByRole("button", { name: "Turn on" }).click();
    const codes = page.getByRole("list", { name: "Recovery codes" }).getByRole("listitem");
    await codes.first().waitFor();
    assert.ok((await codes.count()) >= 8);
    assert.match((await page.getByRole("link", { name: "Download" }).getAttribute("href")) ?? "", /^data:text\/plain/);
    await press(page, "I have stored them");
    await page.getByText("The second factor is on").waitFor();
  });

  await step("turning the second factor off needs password and code", async () => {
    await press(page, "Turn off");
    await page.getByLabel("Your password").fill(PASSWORD);
    await page.getByLabel(/Code of the app/).fill(new Authenticator(prism, secret).code(1));
    await page.getByRole("dialog").getByRole("button", { name: "Turn off" }).click();
    await page.getByText("The second factor is off", { exact: false }).first().waitFor();
  });

  await step("ending another session, after a question", async () => {
    await prism.post("/api/v1/auth/login", { login: "ann", password: PASSWORD, device: "Old phone" }, { token: null });
    await page.reload();
    await page.getByText("you are signed in on 2 devices").waitFor();
    await assertAccessible(page, "security");
    await press(page, "End");
    await page.getByRole("dialog").getByRole("button", { name: "End" }).click();
    await page.getByText("you are signed in on 1 device.").waitFor();
    assert.equal(rowsOf(prism, "select 1 from sessions where userAgent = 'Old phone' and revokedAt is null").length, 0);
  });

  await step("a service token: its secret is shown once, works, and is revoked", async () => {
    await page.getByRole("link", { name: "Service tokens" }).click();
    await page.getByText("No program acts for you.").waitFor();
    await page.getByRole("button", { name: "New token" }).first().click();
    await page.getByLabel("Name", { exact: true }).fill("deploy script");
    await page.getByLabel("It may").fill("account:own");
    await page.getByRole("option", { name: /account:own/ }).click();
    await page.keyboard.press("Tab");
    await press(page, "Create token");
    const token = (await page.locator(".secret code").textContent()) ?? "";
    assert.equal((await prism.get("/api/v1/users/me", { token })).status, 200);
    await press(page, "I have stored it");
    await page.getByText("1 token acts for you.").waitFor();
    await assertAccessible(page, "tokens");
    await press(page, "Revoke");
    await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
    await page.getByText("No program acts for you.").waitFor();
    assert.equal((await prism.get("/api/v1/users/me", { token })).status, 401);
  });

  await step("preferences: channels by kind, quiet hours, muting, digest", async () => {
    await page.getByRole("link", { name: "Notifications" }).click();
    await page.getByLabel("Rules by Mail").uncheck();
    await page.getByLabel("Send", { exact: true }).selectOption("500");
    await page.getByLabel("Quiet hours").click();
    await page.getByLabel("From", { exact: true }).fill("21:30");
    await page.getByLabel("Daily digest").click();
    await press(page, "Save");
    await page.getByText("push and mail wait from 21:30 to 07:00").waitFor();
    assert.deepEqual(await preferencesOf(prism, ann.token), {
      emailAlerts: true,
      digest: false,
      minPriority: 500,
      quietHours: { from: "21:30", to: "07:00" },
      channels: { rule: ["in_app", "push", "webhook", "service"] },
    });
    await assertAccessible(page, "preferences");
  });

  await step("the theme, from the page and from the palette", async () => {
    await page.getByRole("link", { name: "Appearance" }).click();
    await page.getByLabel("Dark").check();
    await page.locator("html[data-theme=dark]").waitFor();
    await assertAccessible(page, "appearance in the dark");
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox").fill("theme of the system");
    await page.keyboard.press("Enter");
    await page.locator("html:not([data-theme])").waitFor();
  });

  console.assertClean();
});

test("the account's pages fit a phone in both themes", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  for (const theme of ["light", "dark"] as const) {
    const page = await console.open("/account", { width: 360, theme });
    for (const path of ["", "/security", "/tokens", "/notifications", "/device", "/appearance"]) {
      await console.visit(page, `/account${path}`);
      await page.getByRole("heading", { level: 1, name: "Account" }).waitFor();
      await page.locator(".card, .empty").first().waitFor();
      await assertAccessible(page, `account${path} ${theme}`);
    }
  }
  console.assertClean();
});
