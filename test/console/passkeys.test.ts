import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { CDPSession, Page } from "playwright-core";
import { makeAccount, PASSWORD, startAccounts } from "../features/access/sessions/support/auth-client.ts";
import { openContext, startBrowser } from "../helpers/browser.ts";
import type { TestPrism } from "../helpers/prism.ts";
import { stepsOf } from "../helpers/steps.ts";
import { rowsOf, scalarOf } from "../helpers/tables.ts";
import { addAuthenticator, assertAccessible, startConsole } from "./helpers.ts";

interface Visit {
  readonly prism: TestPrism;
  readonly page: Page;
  readonly cdp: CDPSession;
  readonly authenticatorId: string;
}

/** A server, and a page of it at `localhost` in a browser with an authenticator of its own. */
async function visit(t: TestContext, { verifies = true, width = 1280 } = {}): Promise<Visit | undefined> {
  const browser = await startBrowser(t);
  if (!browser) return undefined;
  const prism = await startAccounts(t);
  await makeAccount(prism, { username: "ann" });
  const context = await openContext(browser, { viewport: { width, height: 900 } });
  const page = await context.newPage();
  return { prism, page, ...(await addAuthenticator(page, verifies)) };
}

const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();

async function open({ prism, page }: Visit, path: string): Promise<void> {
  await page.goto(`${prism.parts.core.publicUrl()}/dashboard${path}`);
}

async function enterPassword(page: Page): Promise<void> {
  await page.getByLabel(/Mail address/).fill("ann");
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await press(page, "Sign in");
}

async function signOut(page: Page): Promise<void> {
  await press(page, "Your account");
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
}

/** The browser has no session any more. */
async function forget(given: Visit): Promise<void> {
  await given.page.evaluate(() => localStorage.clear());
  await given.page.context().clearCookies();
  await open(given, "/sign-in");
}

const signedIn = (page: Page) => page.getByRole("navigation", { name: "Main", exact: true }).waitFor();

async function addPasskey(page: Page, name: string): Promise<void> {
  await press(page, "Add a passkey");
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("Your password").fill(PASSWORD);
  await press(page, "Continue");
  await page.getByRole("list", { name: "Recovery codes" }).getByRole("listitem").first().waitFor();
  await press(page, "I have stored them");
  await page.getByRole("list", { name: "Passkeys" }).getByText(name).waitFor();
}

test("a passkey is added, is the second factor, signs in by itself, and is removed", async (t) => {
  const given = await visit(t);
  if (!given) return;
  const { prism, page, cdp, authenticatorId } = given;
  const step = stepsOf(t);

  await step("added with the password, which gives recovery codes", async () => {
    await open(given, "/account/security");
    await enterPassword(page);
    await page.getByText("The second factor is off").waitFor();
    await press(page, "Add a passkey");
    await assertAccessible(page, "adding a passkey");
    await press(page, "Close");
    await addPasskey(page, "Laptop");
    await page.getByText("The second factor is on").waitFor();
    await assertAccessible(page, "a passkey");
    await press(page, "Rename");
    await page.getByRole("dialog").getByLabel("Name").fill("Work laptop");
    await page.getByRole("dialog").getByRole("button", { name: "Rename" }).click();
    await page.getByRole("list", { name: "Passkeys" }).getByText("Work laptop").waitFor();
  });

  await step("after the password, it is the second factor", async () => {
    await signOut(page);
    await enterPassword(page);
    await page.getByRole("button", { name: "Use a recovery code" }).waitFor();
    await assertAccessible(page, "second step");
    await press(page, "Sign in with your passkey");
    await signedIn(page);
  });

  let answer = "";
  await step("alone, without a password", async () => {
    await signOut(page);
    await page.reload();
    await page.getByRole("button", { name: "Sign in with a passkey" }).waitFor();
    await assertAccessible(page, "sign-in with a passkey");
    const request = page.waitForRequest(/\/auth\/passkey$/);
    await press(page, "Sign in with a passkey");
    answer = (await request).postData() ?? "";
    await signedIn(page);
    await page.getByText("Work laptop").waitFor();
  });

  await step("its answer is valid once", async () => {
    const reply = await prism.post("/api/v1/auth/passkey", answer, {
      token: null,
      headers: { "Content-Type": "application/json" },
    });
    assert.equal(reply.status, 401, reply.text);
  });

  await step("without verification of the user it does not sign in", async () => {
    await signOut(page);
    await page.reload();
    await cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
    await press(page, "Sign in with a passkey");
    await page.getByText(/The browser gave no passkey|The passkey was not accepted/).waitFor();
    await cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
  });

  await step("a copy with an earlier counter is refused", async () => {
    const { credentials } = await cdp.send("WebAuthn.getCredentials", { authenticatorId });
    const [credential] = credentials;
    assert.ok(credential && credential.signCount > 0);
    await cdp.send("WebAuthn.clearCredentials", { authenticatorId });
    await cdp.send("WebAuthn.addCredential", { authenticatorId, credential: { ...credential, signCount: 0 } });
    await page.reload();
    await press(page, "Sign in with a passkey");
    await page.getByText("The passkey was not accepted").waitFor();
    const copies = rowsOf(prism, "select 1 from audit_log where json_extract(metadata, '$.reason') = 'counter'");
    assert.equal(copies.length, 1);
    await cdp.send("WebAuthn.clearCredentials", { authenticatorId });
    await cdp.send("WebAuthn.addCredential", { authenticatorId, credential: { ...credential, signCount: 1000 } });
    await page.reload();
    await press(page, "Sign in with a passkey");
    await signedIn(page);
  });

  await step("removing the last one asks for a proof, here the passkey itself", async () => {
    await open(given, "/account/security");
    await press(page, "Remove");
    await page.getByText("It is your last second factor").waitFor();
    await assertAccessible(page, "removing a passkey");
    await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
    await page.getByText("The second factor is off").waitFor();
    assert.equal(scalarOf(prism, "select count(*) from passkeys"), 0);
    await signOut(page);
    await page.reload();
    await page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
    await enterPassword(page);
    await signedIn(page);
  });
});

test("a passkey of another host is not asked for, and one that verifies no one is a second factor only", async (t) => {
  const given = await visit(t, { verifies: false, width: 360 });
  if (!given) return;
  const { prism, page, cdp, authenticatorId } = given;
  await open(given, "/account/security");
  await enterPassword(page);
  await addPasskey(page, "Security key");
  await page.getByText("second factor only").waitFor();
  await assertAccessible(page, "passkeys on a phone");
  await forget(given);
  await press(page, "Sign in with a passkey");
  await page.getByText(/The browser gave no passkey|The passkey was not accepted/).waitFor();
  await assertAccessible(page, "sign-in on a phone");
  await enterPassword(page);
  await press(page, "Sign in with your passkey");
  await given.page.getByRole("heading", { level: 1 }).waitFor();
  await page.waitForFunction(() => localStorage.getItem("prism.me") !== null);

  const { credentials } = await cdp.send("WebAuthn.getCredentials", { authenticatorId });
  const [credential] = credentials;
  assert.ok(credential);
  await cdp.send("WebAuthn.clearCredentials", { authenticatorId });
  await cdp.send("WebAuthn.addCredential", { authenticatorId, credential: { ...credential, rpId: "other.example" } });
  await forget(given);
  await enterPassword(page);
  await press(page, "Sign in with your passkey");
  await page.getByText("The browser gave no passkey").waitFor();
  assert.equal(
    scalarOf(
      prism,
      "select count(*) from audit_log where action = 'auth.login' and json_extract(metadata, '$.secondFactor') = 'passkey'",
    ),
    1,
  );
});

test("where there can be no passkeys, the account page says why, and the sign-in page has no button", async (t) => {
  const console = await startConsole(t, { settings: { publicUrl: "http://prism.example.org" } });
  if (!console) return;
  console.expected.push(/WebSocket connection .* 403/, /status of 403/);
  const page = await console.open("/sign-in", { as: null });
  await page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
  assert.equal(await page.getByRole("button", { name: /passkey/ }).count(), 0);
  await page.getByLabel(/Mail address/).fill("admin");
  await page.getByLabel("Password", { exact: true }).fill("correct horse battery staple");
  await press(page, "Sign in");
  await page.getByRole("navigation", { name: "Main", exact: true }).waitFor();
  await console.visit(page, "/account/security");
  await page.getByText("Passkeys need HTTPS, and publicUrl begins with http").waitFor();
  assert.equal(await page.getByRole("button", { name: "Add a passkey" }).count(), 0);
});
