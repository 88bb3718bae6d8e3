import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { Page } from "playwright-core";
import { openPage, startBrowser } from "../../../helpers/browser.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { makeUser } from "../../../helpers/people.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { scalarOf } from "../../../helpers/tables.ts";
import { call, logIn, makeAccount, outcomeOf, PASSWORD, startAccounts } from "./support/auth-client.ts";
import { MailServer, type ReceivedMail } from "./support/mail-server.ts";

const NEW = "quite another one";

const linkIn = ({ text }: ReceivedMail): string => /(https?:\S+#token=[\w-]+)/.exec(text)?.[1] ?? "";

/** A link of this server as a browser on this machine opens it. */
const here = (prism: TestPrism, link: string): string => prism.url + link.slice(link.indexOf("/account/"));

/**
 * A tab that has failed if the page has: an error, a blocked resource, or a request to elsewhere.
 */
async function openTab(t: TestContext, prism: TestPrism): Promise<{ tab: Page; problems: string[] } | undefined> {
  const browser = await startBrowser(t);
  if (!browser) return undefined;
  const tab = await openPage(browser);
  const problems: string[] = [];
  tab.on("pageerror", (error) => problems.push(String(error)));
  tab.on("console", (line) => {
    if (/Content Security Policy/i.test(line.text())) problems.push(line.text());
  });
  tab.on("request", (request) => {
    if (!request.url().startsWith(prism.url) && !request.url().startsWith("data:")) problems.push(request.url());
    if (request.url().slice(prism.url.length).includes("token")) problems.push(`a token in ${request.url()}`);
  });
  return { tab, problems };
}

const saysOf = (tab: Page, text: string) => tab.locator("#message", { hasText: text }).waitFor();

test("the links in mails open pages that do what the mail says, in a real browser", async (t) => {
  const mail = await MailServer.start(t);
  const log = new LogLines();
  const settings = { ...mail.settings, "auth.registration": "open", "auth.requireEmailVerification": "true" };
  const prism = await startAccounts(t, { settings, log });
  const opened = await openTab(t, prism);
  if (!opened) return;
  const { tab, problems } = opened;

  await t.test("confirming an address", async () => {
    await call(prism, "/auth/register", { email: "vera@example.com", password: PASSWORD });
    await tab.goto(here(prism, linkIn(await mail.mailTo("vera@example.com"))));
    await tab.getByRole("button", { name: "Confirm address" }).click();
    await saysOf(tab, "Your mail address is confirmed. You can log in now.");
    await logIn(prism, "vera@example.com");
  });

  await t.test("choosing a new password; one that is too weak is said to be, and the link is good once", async () => {
    await makeAccount(prism, { username: "ann", email: "ann@example.com" });
    await call(prism, "/api/v1/auth/forgot-password", { email: "ann@example.com" });
    const link = here(prism, linkIn(await mail.mailTo("ann@example.com")));
    await tab.goto(link);
    await tab.locator("#reset-new").fill("short");
    await tab.getByRole("button", { name: "Set password" }).click();
    await saysOf(tab, "password");
    await tab.locator("#reset-new").fill(NEW);
    await tab.getByRole("button", { name: "Set password" }).click();
    await saysOf(tab, "Your password is changed");
    await logIn(prism, "ann", NEW);
    await tab.goto("about:blank");
    await tab.goto(link);
    await tab.locator("#reset-new").fill(PASSWORD);
    await tab.getByRole("button", { name: "Set password" }).click();
    await saysOf(tab, "This link has expired or was used");
  });

  await t.test("opening an account that an administrator has made", async () => {
    const made = await prism.post("/api/v1/users", { email: "ivy@example.com", username: "ivy" });
    assert.equal(made.status, 201, made.text);
    await tab.goto(here(prism, linkIn(await mail.mailTo("ivy@example.com"))));
    await tab.locator("#invite-name").fill("Ivy");
    await tab.locator("#invite-password").fill(PASSWORD);
    await tab.getByRole("button", { name: "Open account" }).click();
    await saysOf(tab, "Your account is open");
    assert.equal((await logIn(prism, "ivy")).user.name, "Ivy");
  });

  await t.test("joining a project, with an account and without", async () => {
    const owner = await makeUser(prism, "owner", ["User"]);
    const as = { token: owner.token };
    const { body: shop } = await prism.post<{ id: string }>("/projects", { name: "<b>shop</b>" }, as);
    const path = `/api/v1/projects/${shop.id}/members`;
    await prism.post(path, { email: "ivy@example.com", role: "viewer" }, as);
    await tab.goto(here(prism, linkIn(await mail.mailTo("ivy@example.com", 2))));
    await tab.locator("#about", { hasText: "the project <b>shop</b> as viewer" }).waitFor();
    await tab.locator("#join-login").fill("ivy");
    await tab.locator("#join-password").fill(PASSWORD);
    await tab.getByRole("button", { name: "Log in and join" }).click();
    await saysOf(tab, "You are now a member of <b>shop</b>");

    await prism.post(path, { email: "bob@example.com", role: "editor" }, as);
    await tab.goto(here(prism, linkIn(await mail.mailTo("bob@example.com"))));
    await tab.locator("#new-password").fill(PASSWORD);
    await tab.getByRole("button", { name: "Make account and join" }).click();
    await saysOf(tab, "Your account is made");
    await logIn(prism, "bob@example.com");
    assert.equal(scalarOf(prism, "select count(*) from project_members where projectId = ?", shop.id), 3);
  });

  await t.test("a link without its token", async () => {
    await tab.goto("about:blank");
    await tab.goto(`${prism.url}/account/invite`);
    await saysOf(tab, "This link is not complete");
  });

  assert.deepEqual(problems, []);
  const tokens = mail.mails.map((each) => linkIn(each).split("#token=")[1] ?? "none");
  const lines = JSON.stringify(log.lines);
  for (const token of tokens) assert.equal(lines.includes(token), false, "no token in the log");
});

test("where accounts are made by administrators, the page of an invitation says so", async (t) => {
  const mail = await MailServer.start(t);
  const prism = await startAccounts(t, { settings: { ...mail.settings, "auth.registration": "closed" } });
  const { body: shop } = await prism.post<{ id: string }>("/projects", { name: "shop" });
  await prism.post(`/api/v1/projects/${shop.id}/members`, { email: "bob@example.com", role: "viewer" });
  const opened = await openTab(t, prism);
  if (!opened) return;
  await opened.tab.goto(here(prism, linkIn(await mail.mailTo("bob@example.com"))));
  await opened.tab.locator("#join-closed", { hasText: "Administrators make the accounts here" }).waitFor();
  assert.equal(await opened.tab.locator("#join-new").isVisible(), false);
});

test("accountUrl takes the links elsewhere; the pages are self-contained under a strict policy", async (t) => {
  const mail = await MailServer.start(t);
  const settings = { ...mail.settings, accountUrl: "https://app.example.com/account/" };
  const prism = await startAccounts(t, { settings });
  await makeAccount(prism, { email: "ann@example.com" });
  await call(prism, "/api/v1/auth/forgot-password", { email: "ann@example.com" });
  const link = linkIn(await mail.mailTo("ann@example.com"));
  assert.match(link, /^https:\/\/app\.example\.com\/account\/reset-password#token=/);
  for (const name of ["reset-password", "invite", "verify-email", "project-invitation"]) {
    const page = await prism.get(`/account/${name}`, { token: null });
    assert.equal(page.status, 200);
    assert.match(page.headers.get("content-security-policy") ?? "", /default-src 'none'; script-src 'self'/);
    assert.doesNotMatch(page.text, /https?:|<script>|<style| on\w+=/);
  }
  assert.equal(outcomeOf(await prism.get("/account/other", { token: null })), "404 NOT_FOUND");
});
