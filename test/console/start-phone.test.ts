import assert from "node:assert/strict";
import test from "node:test";
import type { Page } from "playwright-core";
import { PASSWORD } from "../features/access/sessions/support/auth-client.ts";
import { ntfyServer } from "../features/channels/presets/ntfy.ts";
import { pushoverApi } from "../features/channels/presets/pushover.ts";
import { homeAssistantServer } from "../features/channels/presets/self-hosted.ts";
import { telegramBot } from "../features/channels/presets/telegram.ts";
import { type StandIn, startStandIn } from "../features/channels/support/stand-in.ts";
import { startBrowser } from "../helpers/browser.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { NtfyPhone } from "../helpers/ntfy-phone.ts";
import { startPrism } from "../helpers/prism.ts";
import { stepsOf } from "../helpers/steps.ts";
import { accepted, PushService, TestBrowser } from "../helpers/web-push.ts";
import { assertAccessible, ConsoleTest, standInForPush, startConsole } from "./helpers.ts";

const heading = (page: Page, name: string) => page.getByRole("heading", { name }).waitFor();
const press = (page: Page, name: string | RegExp) => page.getByRole("button", { name }).click();

test("the set-up of a new server ends when the phone has rung: the app of ntfy with Prism as its server, by keyboard", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const port = await lastingPort();
  const settings = { env: "test", "rateLimit.enabled": "false", "ntfy.port": String(port) };
  const prism = await startPrism(t, { settings });
  const { firstAdmin } = prism.app;
  assert.ok(firstAdmin.state === "setupToken");
  const console = new ConsoleTest(prism, browser);
  console.expected.push(/WebSocket connection .* 403/);
  const dark = { as: null, width: 390, theme: "dark" } as const;
  const page = await console.open(`/setup#token=${firstAdmin.token}`, dark);
  const step = stepsOf(t);
  let phone: NtfyPhone | undefined;

  await step("the steps before the phone", async () => {
    await page.getByLabel("Mail address").fill("anna@example.org");
    await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await press(page, "Create administrator");
    await heading(page, "Where is Prism reached?");
    await press(page, "Save and continue");
    await press(page, "Skip: no mail for now");
    await heading(page, "Your first rule");
    await press(page, "Create rule");
    await heading(page, "Let your phone ring");
    await page.goto(`${prism.url}/dashboard/setup`);
    await heading(page, "Let your phone ring");
    await assertAccessible(page, "choice of a phone");
  });

  await step("a topic is made, and the page sees the app subscribe", async () => {
    await page.getByRole("textbox", { name: "Topic" }).focus();
    await page.keyboard.press("Enter");
    await page.getByText("Prism listens on this computer only").waitFor();
    await page.getByText("Waiting for the app to subscribe").waitFor();
    const server = page.getByLabel("Server URL for the app");
    assert.equal(await server.inputValue(), "", "a phone does not reach the address of this page");
    await server.fill(`http://127.0.0.1:${port}`);
    const link = page.getByRole("link", { name: "Open in the app" });
    const { pathname, search, host, protocol } = new URL((await link.getAttribute("href")) ?? "");
    assert.deepEqual([protocol, host, search], ["ntfy:", `127.0.0.1:${port}`, "?secure=false"]);
    await page.getByRole("img", { name: /QR code/ }).waitFor();
    phone = await NtfyPhone.subscribe(t, `http://127.0.0.1:${port}${pathname}`, {
      user: "anna@example.org",
      password: PASSWORD,
    });
    await page.getByText("1 app subscribed to the topic").waitFor();
    await assertAccessible(page, "an app has subscribed");
  });

  await step("the test arrives; without a ring there are remedies", async () => {
    await page.getByRole("button", { name: "Send a test" }).focus();
    await page.keyboard.press("Enter");
    assert.equal((await phone?.next("a test"))?.message, "Prism can reach this phone.");
    await page.getByText("The message went to 1 app.").waitFor();
    await press(page, "It did not ring");
    await page.getByText(/look at the firewall of this computer/).waitFor();
    await assertAccessible(page, "remedies");
    await press(page, "Send it again");
    await phone?.next("the second test");
    await page.getByRole("button", { name: "It rang" }).focus();
    await page.keyboard.press("Enter");
    await heading(page, "Send a test event");
  });

  await step("the event rings the phone, and the set-up ends with it", async () => {
    await press(page, "Send test event");
    assert.equal((await phone?.next("the event"))?.title, "db-2 is down");
    await page.getByText(/1 app of ntfy subscribed to phone-/).waitFor();
    assert.equal(await page.getByRole("button", { name: "Continue" }).count(), 0, "only the ring leads on");
    await assertAccessible(page, "test event");
    await press(page, "It rang");
    await heading(page, "Everything is set up");
    await assertAccessible(page, "done");
  });
  console.assertClean();
});

test("without a port for ntfy's app the set-up shows how to set it, and one click skips the phone", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/setup?step=phone");
  await page.getByRole("textbox", { name: "Topic" }).waitFor();
  assert.ok(await page.getByRole("radio", { name: "ntfy app, with ntfy.sh" }).isChecked());
  await page.getByRole("radio", { name: "ntfy app, with Prism as its server" }).check();
  await page.getByText("Add this to").waitFor();
  await page.getByText('"port": 2586').waitFor();
  await assertAccessible(page, "no port");
  await page.getByText("Prism then reaches you only in the inbox of the console.").waitFor();
  await press(page, "Skip: no phone for now");
  await heading(page, "Send a test event");
  await page.getByText("Skipped").waitFor();
  await page.getByText("There is no rule of this set-up").waitFor();
  await press(page, "Continue");
  await heading(page, "Everything is set up");
  console.assertClean();
});

test("push of this browser: the set-up turns it on, says that the push service accepted the test, and asks", async (t) => {
  const service = await PushService.start(t);
  const settings = { ...service.settings, "smtp.from": "prism@example.com" };
  const console = await startConsole(t, { isWhole: true, settings });
  if (!console) return;
  const page = await console.open("/setup?step=phone", { width: 390 });
  await standInForPush(page.context(), service.subscription(new TestBrowser()));
  await page.context().grantPermissions(["notifications"], { origin: console.prism.url });
  await page.reload();
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
  await page.getByRole("radio", { name: "Push to this browser" }).check();
  service.answer = (response) => void response.writeHead(403).end();
  await press(page, "Turn on and send a test");
  await page
    .locator(".toast")
    .getByText(/403|key|refuse/)
    .waitFor();
  assert.equal(await page.getByText("Did your phone ring?").count(), 0);
  service.answer = accepted;
  await press(page, "Send a test");
  await page.getByText("The push service has accepted the message").waitFor();
  await assertAccessible(page, "push");
  await press(page, "It rang");
  await heading(page, "Send a test event");
  console.assertClean();
});

const SERVICES = [
  { label: "ntfy app, with ntfy.sh or another server", service: ntfyServer, more: ["token"] },
  { label: "Telegram", service: telegramBot, more: ["api"] },
  { label: "Pushover", service: pushoverApi, more: ["api"] },
  { label: "Home Assistant", service: homeAssistantServer, more: [] },
] as const;

test("a service is set up as the person's channel, its refusal is shown, and the event arrives there", async (t) => {
  const console = await startConsole(t, { settings: { "smtp.host": "127.0.0.1", "smtp.from": "prism@example.org" } });
  if (!console) return;
  const { prism } = console;
  const standIns: StandIn[] = [];
  const step = stepsOf(t);
  for (const [index, { label, service: make, more }] of SERVICES.entries()) {
    await step(label, async () => {
      const service = make();
      const standIn = await startStandIn(t, service);
      standIns.push(standIn);
      const width = index % 2 === 0 ? 1440 : 390;
      const page = await console.open("/setup?step=phone", { width, theme: index % 2 === 0 ? "light" : "dark" });
      await page.getByRole("radio", { name: label }).check();
      const form = page.getByRole("form");
      await form.getByText("More fields").click();
      const { body } = await prism.get<{ presets: { name: string; fields: { key: string; title: string }[] }[] }>(
        "/api/v1/channels/presets",
      );
      const titles = new Map(
        body.presets.find(({ name }) => name === service.preset)?.fields.map(({ key, title }) => [key, title]),
      );
      for (const [key, value] of Object.entries(service.fields(standIn.url)))
        await form
          .getByLabel(titles.get(key) ?? key)
          .first()
          .fill(String(value));
      assert.ok(more.every((key) => titles.has(key)));
      standIn.next.push({ status: 401, body: { ok: false, description: "Unauthorized" } });
      await press(page, "Save and send a test");
      await page.locator(".banner.bad").waitFor();
      assert.equal(await page.getByText("Did your phone ring?").count(), 0, "only an accepted message rings");
      await assertAccessible(page, `${label} refused`);
      await press(page, "Save and test again");
      await page.getByText("The service has accepted the message").waitFor();
      assert.match(standIn.seen.at(-1)?.text ?? "", /Prism can reach this channel/);
      await assertAccessible(page, label);
      await press(page, "It rang");
      await heading(page, "Send a test event");
      await page.close();
    });
  }

  await step("the test event says which services have accepted it", async () => {
    const page = await console.open("/setup?step=rule", { width: 390, theme: "dark" });
    await press(page, "Create rule");
    await heading(page, "Let your phone ring");
    assert.ok(await page.getByRole("radio", { name: "Home Assistant" }).isChecked(), "the way that rang");
    await page.goto(`${prism.url}/dashboard/setup?step=test`);
    await press(page, "Send test event");
    for (const { title } of [
      { title: "ntfy" },
      { title: "Telegram" },
      { title: "Pushover" },
      { title: "Home Assistant" },
    ])
      await page.getByText(`${title} delivered`).waitFor();
    for (const { seen } of standIns) assert.match(seen.at(-1)?.text ?? "", /db-2 is down/);
    await assertAccessible(page, "accepted");
    await press(page, "It did not ring");
    await page.getByText(/must be that of the phone/).waitFor();
    await press(page, "It rang");
    await heading(page, "Everything is set up");
  });
  console.assertClean();
});
