import assert from "node:assert/strict";
import test from "node:test";
import { RealProvider } from "../features/access/oidc/support/real-provider.ts";
import { addAuthenticator, assertAccessible, PASSWORD, startConsole } from "./helpers.ts";

test("the sign-in page leads to a provider and back, and the account page shows what is linked", async (t) => {
  const provider = await RealProvider.start(t);
  const settings = { "auth.oidc": JSON.stringify([provider.settings({ autoRedirect: true })]) };
  const console = await startConsole(t, { settings });
  if (!console) return;
  const { prism } = console;
  // Cookies belong to the host of the public URL.
  const origin = `http://localhost:${prism.app.port}`;
  provider.register(origin, prism.app.port);
  console.expected.push(/ to http:\/\/(localhost|127\.0\.0\.1):/, /401/);

  const page = await console.open("/sign-in?local", { as: null, width: 360 });
  const button = page.getByRole("link", { name: "Sign in with Example Inc" });
  await page.goto(`${origin}/dashboard/sign-in?local&next=%2Finbox`);
  await button.waitFor();
  await assertAccessible(page, "sign-in with a provider");
  await button.click();
  await page.getByRole("heading", { level: 1, name: "Inbox" }).waitFor();
  assert.deepEqual([new URL(page.url()).pathname, new URL(page.url()).hash], ["/dashboard/inbox", ""]);

  await page.goto(`${origin}/dashboard/account/security`);
  await page.getByRole("heading", { name: "Linked accounts" }).waitFor();
  await page.getByText("ann@example.com").first().waitFor();
  await assertAccessible(page, "linked accounts");

  await t.test("a sign-out leads to no provider by itself, a later visit does", async () => {
    await page.context().request.post(`${origin}/api/v1/auth/logout`, { data: { all: true } });
    await page.getByText("Your session has ended. Sign in again.").waitFor();
    await page.goto(`${origin}/dashboard/sign-in`);
    await button.waitFor();
    const later = await page.context().newPage();
    await later.goto(`${origin}/dashboard/inbox`);
    await later.getByRole("heading", { level: 1, name: "Inbox" }).waitFor();
  });
  await t.test("an error is a sentence, and does not lead there again", async () => {
    const other = await page.context().browser()?.newContext();
    const failed = await other?.newPage();
    assert.ok(failed);
    await failed.goto(`${origin}/dashboard/sign-in#error=SIGN_IN_EXPIRED`);
    await failed.getByText("The sign-in took too long").waitFor();
    await failed.goto(`${origin}/dashboard/sign-in?x#error=%3Cb%3EYour%20server%20is%20broken`);
    await failed.getByText("The sign-in failed. Try again.").waitFor();
    assert.equal(await failed.getByText("Your server is broken").count(), 0);
    await other?.close();
  });
  console.assertClean();
});

test("an account of a provider adds a passkey without a password, and is asked for it at the next sign-in", async (t) => {
  const provider = await RealProvider.start(t);
  const settings = { "auth.oidc": JSON.stringify([provider.settings()]) };
  const console = await startConsole(t, { settings });
  if (!console) return;
  const { prism } = console;
  const origin = `http://localhost:${prism.app.port}`;
  provider.register(origin, prism.app.port);
  console.expected.push(/ to http:\/\/(localhost|127\.0\.0\.1):/, /401/);
  const page = await console.open("/sign-in", { as: null, width: 360 });
  await addAuthenticator(page, true);
  const signIn = async () => {
    await page.goto(`${origin}/dashboard/sign-in?next=%2Faccount%2Fsecurity`);
    await page.getByRole("link", { name: "Sign in with Example Inc" }).click();
  };
  await signIn();
  await page.getByRole("button", { name: "Add a passkey" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("Your account has no password").waitFor();
  assert.equal(await dialog.getByLabel("Your password").count(), 0);
  await assertAccessible(page, "a passkey without a password");
  await dialog.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("button", { name: "I have stored them" }).click();
  await page.getByText("The second factor is on").waitFor();
  await page.context().clearCookies();
  await page.evaluate(() => localStorage.clear());

  await signIn();
  await page.getByRole("button", { name: "Use a recovery code" }).waitFor();
  assert.equal(new URL(page.url()).hash, "", "the challenge is taken out of the address");
  await assertAccessible(page, "second step after a provider");
  await page.getByRole("button", { name: "Sign in with your passkey" }).click();
  await page.getByText("The second factor is on").waitFor();
  console.assertClean();
});

test("an account with a password is linked on its page Security, and the provider signs in to it then", async (t) => {
  const provider = await RealProvider.start(t);
  const settings = { "auth.oidc": JSON.stringify([provider.settings()]) };
  const console = await startConsole(t, { settings });
  if (!console) return;
  const { prism } = console;
  const origin = `http://localhost:${prism.app.port}`;
  provider.register(origin, prism.app.port);
  console.expected.push(/ to http:\/\/(localhost|127\.0\.0\.1):/, /401/);
  const made = await prism.post("/api/v1/users", { username: "olga", password: PASSWORD, roles: ["User"] });
  assert.equal(made.status, 201, made.text);
  const page = await console.open("/sign-in", { as: null, width: 390 });
  await page.goto(`${origin}/dashboard/sign-in?next=%2Faccount%2Fsecurity`);
  await page.getByLabel("Mail address, username or phone number").fill("olga");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("button", { name: "Link Example Inc" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Continue" }).click();
  await page.getByText("ann@example.com").first().waitFor();
  const path = `/api/v1/users/${(made.body as { id: string }).id}/identities`;
  const { body } = await prism.get<{ data: readonly unknown[] }>(path);
  assert.equal(body.data.length, 1);
  console.assertClean();
});
