import assert from "node:assert/strict";
import test from "node:test";
import type { Page, Route } from "playwright-core";
import { call, logIn, makeAccount, PASSWORD, startAccounts } from "../features/access/sessions/support/auth-client.ts";
import { MailServer, type ReceivedMail } from "../features/access/sessions/support/mail-server.ts";
import { protect } from "../features/access/sessions/support/second-factor.ts";
import { startBrowser } from "../helpers/browser.ts";
import { LogLines } from "../helpers/log-lines.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { stepsOf } from "../helpers/steps.ts";
import { scalarOf } from "../helpers/tables.ts";
import { assertAccessible, ConsoleTest } from "./helpers.ts";

const NEW = "quite another one";

const linkIn = ({ text }: ReceivedMail): string => /(https?:\S+#token=[\w-]+)/.exec(text)?.[1] ?? "";
/** The path of a link below the console. */
const pathIn = (mail: ReceivedMail): string => linkIn(mail).replace(/^https?:\/\/[^/]+\/dashboard/, "");

const heading = (page: Page, name: string) => page.getByRole("heading", { name }).waitFor();
const press = (page: Page, name: string | RegExp) => page.getByRole("button", { name }).click();

/** Requests with a token in the address; the one of an unsubscribe link is there on purpose. */
function watchTokens(page: Page): string[] {
  const found: string[] = [];
  page.on("request", (request) => {
    if (/token/.test(request.url()) && !request.url().includes("unsubscribe")) found.push(request.url());
  });
  return found;
}

/** The page asks for the deliveries before the job has planned them. */
async function deliveriesPlannedLater(page: Page): Promise<void> {
  const early = async (route: Route): Promise<void> => {
    const reply = await route.fetch();
    await route.fulfill({ response: reply, json: { data: [], nextCursor: null } });
  };
  await page.route("**/api/v1/deliveries?*", early, { times: 1 });
}

test("a new server is set up in the browser, up to a test notification that arrives", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const mail = await MailServer.start(t);
  const prism = await startPrism(t, { settings: { env: "test", "rateLimit.enabled": "false" } });
  const { firstAdmin } = prism.app;
  assert.ok(firstAdmin.state === "setupToken");
  const console = new ConsoleTest(prism, browser);
  // Until the public URL is set, the server knows this machine as localhost only.
  console.expected.push(/WebSocket connection .* 403/);

  const page = await console.open(`/setup#token=${firstAdmin.token}`, { as: null });
  const leaks = watchTokens(page);
  await heading(page, "Create the administrator");
  assert.equal(new URL(page.url()).hash, "", "the token is not in the address bar");
  await assertAccessible(page, "administrator");
  await page.reload();
  await page.getByLabel("Your name").fill("Anna Koch");
  await page.getByLabel("Mail address").fill("anna@example.org");
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await press(page, "Create administrator");

  await heading(page, "Where is Prism reached?");
  const url = page.getByRole("textbox", { name: "Public URL" });
  assert.equal(await url.inputValue(), prism.url, "the address of the browser");
  await url.fill("ftp://prism.example.org");
  await page.locator(".field-error").waitFor();
  assert.ok(await page.getByRole("button", { name: "Save and continue" }).isDisabled());
  await url.fill(prism.url);
  await page.getByText("Only programs on this machine reach this address").waitFor();
  await assertAccessible(page, "address");
  await press(page, "Save and continue");

  await heading(page, "How does Prism send mail?");
  await page.goto(`${prism.url}/dashboard/setup`);
  await heading(page, "How does Prism send mail?");
  const server = page.getByRole("textbox", { name: "Mail server" });
  await server.fill("127.0.0.1");
  await page.getByLabel("Port").fill("1");
  await page.getByLabel("Sender").fill("prism");
  console.expected.push(/status of 400/);
  await press(page, "Test, save and continue");
  await page.locator(".field-error", { hasText: "Must be one mail address" }).waitFor();
  await page.getByLabel("Sender").fill("prism@example.org");
  await press(page, "Test, save and continue");
  await page.getByText("Check “Mail server” and “Port”").waitFor();
  await assertAccessible(page, "mail that fails");
  await press(page, "Save without a working test");
  await heading(page, "Your first rule");
  await page.getByText("Not tested").waitFor();
  await page.goto(`${prism.url}/dashboard/setup?step=mail`);
  await press(page, "Skip: no mail for now");
  await heading(page, "Your first rule");
  await page.getByText("Skipped").waitFor();
  // Skipping removes the mail server; the page reads the settings again.
  await page.getByLabel(/Also by mail/).waitFor({ state: "detached" });

  await page.goto(`${prism.url}/dashboard/setup?step=mail`);
  await server.fill("127.0.0.1");
  await page.getByLabel("Port").fill(String(mail.port));
  await page.getByLabel("Sender").fill("prism@example.org");
  await press(page, "Send test mail");
  assert.match((await mail.mailTo("anna@example.org")).text, /\S/);
  await assertAccessible(page, "mail");
  await page.locator(".banner.ok").waitFor();
  await press(page, "Test, save and continue");

  await heading(page, "Your first rule");
  await page.getByLabel(/Also by mail to anna@example.org/).waitFor();
  await assertAccessible(page, "rule");
  await press(page, "Create rule");
  await heading(page, "Let your phone ring");
  await page.getByText("only in the inbox of the console and by mail").waitFor();
  await press(page, "Skip: no phone for now");
  await heading(page, "Send a test event");
  await deliveriesPlannedLater(page);
  await press(page, "Send test event");
  await page.getByText("The notification is here").waitFor();
  await page.getByText("db-2 is down").waitFor();
  await page.getByText("Mail delivered").waitFor();
  assert.match((await mail.mailTo("anna@example.org", 2)).text, /No answer for 42 s/);
  await assertAccessible(page, "notification");
  await press(page, "Continue");
  await heading(page, "Everything is set up");
  await page.getByRole("link", { name: /Open the overview/ }).click();
  await heading(page, "Overview");
  assert.equal(await page.getByText("Finish setting up").count(), 0, "nothing is left to offer");

  const again = await console.open(`/setup#token=${firstAdmin.token}`, { as: null, width: 390, theme: "dark" });
  await again.getByText("This server has an administrator").waitFor();
  await assertAccessible(again, "an administrator exists");
  assert.deepEqual(leaks, []);
  console.assertClean();
});

test("an administrator who came by a sign-in link is offered the set-up", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false" } });
  const console = new ConsoleTest(prism, browser);
  const { body: me } = await prism.get<{ id: string }>("/api/v1/users/me");
  const { createSignInLink } = await import("../../src/features/access/index.ts");
  const { url } = await createSignInLink(prism.parts.offers.accounts, me.id);
  const link = url.slice(url.indexOf("/dashboard") + "/dashboard".length);
  const page = await console.open(link, { as: null });
  await heading(page, "Overview");
  await page.getByRole("link", { name: "Continue" }).click();
  await heading(page, "Where is Prism reached?");

  console.expected.push(/status of 410|status of 40\d/);
  const again = await console.open(link, { as: null, width: 390, theme: "dark" });
  await again.getByText("This sign-in link has expired or was used").waitFor();
  await assertAccessible(again, "used link");
  console.assertClean();
});

test("signing in: wrong password, second factor with a code or a recovery code, and the page that was asked for", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const prism = await startAccounts(t);
  const console = new ConsoleTest(prism, browser);
  console.expected.push(/status of 401/);
  await makeAccount(prism, { username: "ann", email: "ann@example.org" });
  const { app, recoveryCodes } = await protect(prism, "ann");

  const page = await console.open("/people?tab=mine", { as: null });
  const enter = async (password: string) => {
    await page.getByLabel(/Mail address/).fill("ann");
    await page.getByLabel("Password", { exact: true }).fill(password);
    await press(page, "Sign in");
  };
  await heading(page, "Sign in");
  await enter("wrong");
  await page.getByText("The name or the password is wrong.").waitFor();
  await enter(PASSWORD);
  await page.getByLabel("Code of the authenticator app").fill(app.wrong());
  await press(page, "Sign in");
  await page.getByText("The code is wrong").waitFor();
  await assertAccessible(page, "second factor");
  await page.getByLabel("Code of the authenticator app").fill(app.code());
  await press(page, "Sign in");
  await page.getByRole("navigation", { name: "Main", exact: true }).waitFor();
  assert.equal(new URL(page.url()).pathname + new URL(page.url()).search, "/dashboard/people?tab=mine");

  await press(page, "Your account");
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await enter(PASSWORD);
  await press(page, "Use a recovery code");
  await page.getByLabel("Recovery code").fill(recoveryCodes[0] ?? "");
  await page.keyboard.press("Enter");
  await page.getByRole("navigation", { name: "Main", exact: true }).waitFor();
  await page.goto(`${prism.url}/dashboard/sign-in?next=%2Fprojects`);
  await page.waitForURL(/\/dashboard\/projects$/);
  console.assertClean();
});

test("the links in mails open pages of the console that do what the mail says", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const mail = await MailServer.start(t);
  const log = new LogLines();
  const settings = {
    ...mail.settings,
    "auth.registration": "open",
    "auth.requireEmailVerification": "true",
    publicUrl: "http://localhost:8080",
  };
  const prism = await startAccounts(t, { settings, log });
  const console = new ConsoleTest(prism, browser);
  const page = await console.open("/sign-in", { as: null });
  const leaks = watchTokens(page);
  const open = async (path: string) => {
    await page.goto("about:blank");
    await page.goto(`${prism.url}/dashboard${path}`);
  };
  const step = stepsOf(t);

  await step("registering and confirming an address", async () => {
    await page.getByRole("link", { name: "Create an account" }).click();
    await page.getByLabel("Mail address").fill("vera@example.com");
    await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await assertAccessible(page, "register");
    await press(page, "Create account");
    await page.getByText("Confirm your mail address").waitFor();
    await open(pathIn(await mail.mailTo("vera@example.com")));
    const password = page.getByLabel("Password of the account");
    await password.fill("another password");
    console.expected.push(/status of 401/);
    await press(page, "Confirm address");
    await page.getByText("The password is wrong").or(page.locator(".banner, .field-error, .toast")).first().waitFor();
    await assertAccessible(page, "confirming an address");
    await password.fill(PASSWORD);
    await press(page, "Confirm address");
    await page.getByText("Your mail address is confirmed").waitFor();
    await logIn(prism, "vera@example.com");
  });

  await step("choosing a new password; one that is too short is refused, and the link is good once", async () => {
    await makeAccount(prism, { username: "ann", email: "ann@example.com" });
    await open("/forgot-password");
    await page.getByLabel("Mail address").fill("ann@example.com");
    await press(page, "Send the link");
    await page.getByText("Check your mailbox").waitFor();
    const path = pathIn(await mail.mailTo("ann@example.com"));
    // As mails of earlier versions: the fragment survives the redirect.
    await page.goto(`${prism.url}/account${path}`);
    await page.waitForURL(/\/dashboard\/reset-password$/);
    console.expected.push(/status of 4\d\d/);
    await page.getByLabel("New password", { exact: true }).fill("short");
    await press(page, "Set password");
    await page.getByRole("alert").or(page.locator(".banner.bad")).first().waitFor();
    await page.getByLabel("New password", { exact: true }).fill(NEW);
    await press(page, "Set password");
    await page.getByText("Your password is changed").waitFor();
    await logIn(prism, "ann", NEW);
    await open(path);
    await page.getByLabel("New password", { exact: true }).fill(PASSWORD);
    await press(page, "Set password");
    await page.getByText("This link has expired or was used").waitFor();
  });

  await step("opening an account that an administrator has made signs in", async () => {
    const made = await prism.post("/api/v1/users", { email: "ivy@example.com", username: "ivy" });
    assert.equal(made.status, 201, made.text);
    await open(pathIn(await mail.mailTo("ivy@example.com")));
    await page.getByLabel("Your name").fill("Ivy");
    await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await press(page, "Open account");
    await page.getByRole("navigation", { name: "Main", exact: true }).waitFor();
    assert.equal((await logIn(prism, "ivy")).user.name, "Ivy");
  });

  await step("joining a project: as oneself, and with a new account", async () => {
    const owner = await makeUser(prism, "owner", ["User"]);
    const as = { token: owner.token };
    const { body: shop } = await prism.post<{ id: string }>("/projects", { name: "<b>shop</b>" }, as);
    const path = `/api/v1/projects/${shop.id}/members`;
    await prism.post(path, { email: "ivy@example.com", role: "viewer" }, as);
    await open(pathIn(await mail.mailTo("ivy@example.com", 2)));
    await page.getByText("the project <b>shop</b> as viewer").waitFor();
    await assertAccessible(page, "project invitation");
    await press(page, "Join as Ivy");
    await page.getByText("You are now a member of <b>shop</b>").waitFor();

    await prism.post(path, { email: "bob@example.com", role: "editor" }, as);
    const other = await console.open(pathIn(await mail.mailTo("bob@example.com")), { as: null, width: 390 });
    await other
      .getByRole("radio", { name: "Create an account" })
      .or(other.getByText("Create an account"))
      .first()
      .click();
    await other.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await assertAccessible(other, "project invitation of a visitor");
    await press(other, "Create account and join");
    await other.getByRole("heading", { name: /./ }).waitFor();
    await other.waitForURL(/\/projects$/);
    assert.equal(scalarOf(prism, "select count(*) from project_members where projectId = ?", shop.id), 3);
  });

  await step("unsubscribing needs a click", async () => {
    const ann = await logIn(prism, "ann", NEW);
    const notification = { userId: ann.user.id, title: "Hello", message: "There", channels: ["email"] };
    assert.equal((await prism.post("/api/v1/notifications", notification)).status, 201);
    const { raw } = await mail.mailTo("ann@example.com", 2);
    const link = /<(https?:[^>]*\/account\/unsubscribe\?token=[^>]+)>/.exec(raw.replace(/\r\n\s+/g, " "))?.[1] ?? raw;
    await page.goto(prism.url + link.slice(link.indexOf("/account/")));
    await page.waitForURL(/\/dashboard\/unsubscribe\?token=/);
    await press(page, "Stop these mails");
    await page.getByText("No more such mails are sent to you").waitFor();
    const { body } = await prism.get<{ channels: Record<string, string[]> }>("/api/v1/users/me/preferences", {
      token: ann.token,
    });
    assert.equal(Object.values(body.channels)[0]?.includes("email"), false);
  });

  await step("a link without its token", async () => {
    await open("/invite");
    await page.getByText("This link is not complete").waitFor();
  });

  assert.deepEqual(leaks, []);
  console.assertClean();
  const tokens = mail.mails.map((each) => linkIn(each).split("#token=")[1] ?? "none");
  const lines = JSON.stringify(log.lines);
  for (const token of tokens) assert.equal(lines.includes(token), false, "no token in the log");
});

test("where accounts are made by administrators, the page of an invitation says so", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const mail = await MailServer.start(t);
  const prism = await startAccounts(t, { settings: { ...mail.settings, "auth.registration": "closed" } });
  const console = new ConsoleTest(prism, browser);
  const { body: shop } = await prism.post<{ id: string }>("/projects", { name: "shop" });
  await prism.post(`/api/v1/projects/${shop.id}/members`, { email: "bob@example.com", role: "viewer" });
  const page = await console.open(pathIn(await mail.mailTo("bob@example.com")), { as: null });
  await page.getByText("Administrators create the accounts here").waitFor();
  assert.equal(await page.getByText("Create an account").count(), 0);
  await page.goto(`${prism.url}/dashboard/register`);
  await page.getByText("Registration is closed").waitFor();
  console.assertClean();
});

test("accountUrl takes the links elsewhere; pages of earlier mails lead to the console", async (t) => {
  const mail = await MailServer.start(t);
  const settings = { ...mail.settings, accountUrl: "https://app.example.com/account/" };
  const prism = await startAccounts(t, { settings });
  await makeAccount(prism, { email: "ann@example.com" });
  await call(prism, "/api/v1/auth/forgot-password", { email: "ann@example.com" });
  const link = linkIn(await mail.mailTo("ann@example.com"));
  assert.match(link, /^https:\/\/app\.example\.com\/account\/reset-password#token=/);
  for (const [name, location] of [
    ["reset-password", "../dashboard/reset-password"],
    ["invite", "../dashboard/invite"],
    ["verify-email", "../dashboard/verify-email"],
    ["project-invitation", "../dashboard/project-invitation"],
    ["unsubscribe?token=a.b.c", "../dashboard/unsubscribe?token=a.b.c"],
  ] as const) {
    const reply = await redirectOf(prism, `/account/${name}`);
    assert.deepEqual(reply, [302, location]);
  }
  assert.equal((await prism.get("/account/other", { token: null })).status, 404);
});

async function redirectOf(prism: TestPrism, path: string): Promise<[number, string | null]> {
  const response = await fetch(prism.url + path, { redirect: "manual" });
  return [response.status, response.headers.get("location")];
}
