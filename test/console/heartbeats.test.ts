import assert from "node:assert/strict";
import test from "node:test";
import type { Page } from "playwright-core";
import type { Heartbeat as Stored } from "../../src/client/api-types.gen.ts";
import { consoleModule } from "../helpers/console-module.ts";
import { eventually } from "../helpers/eventually.ts";
import { stepsOf } from "../helpers/steps.ts";
import { assertAccessible, startConsole } from "./helpers.ts";

const press = (scope: Pick<Page, "getByRole">, name: string) =>
  scope.getByRole("button", { name, exact: true }).click();

test("a heartbeat is created, pinged, watched, changed, paused and deleted", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const page = await console.open("/heartbeats");
  const dialog = page.getByRole("dialog");
  // The preview of a plan that is not valid yet.
  console.expected.push(/status of 400 .*\/heartbeats\/preview/);
  const ping = async (path: string, body?: string) => {
    const reply = await fetch(prism.url + path, { method: "POST", ...(body === undefined ? {} : { body }) });
    assert.ok(reply.ok, `${path}: ${reply.status}`);
  };
  const step = stepsOf(t);

  await step("the command of the empty page works", async () => {
    await page.getByText("No job is watched").waitFor();
    await press(page, "Show a command to try");
    const command = (await page.getByText(/^curl /).textContent()) ?? "";
    const url = new URL(command.match(/"(.*)"/)?.[1] ?? "");
    await ping(url.pathname + url.search);
    await page.reload();
    await page.getByRole("link", { name: /nightly-backup/ }).waitFor();
    await page.getByText(/No heartbeat is down/).waitFor();
  });

  let pingPath = "";
  await step("one is created in one step, with its next due times and then its ping URL", async () => {
    await page.locator(".page-head").getByRole("button", { name: "New heartbeat" }).click();
    await dialog.getByLabel("Name").fill("Weekly report");
    await dialog.getByRole("radio", { name: "OnCalendar" }).check();
    await dialog.getByLabel("Calendar events").fill("Mon 08:00");
    await dialog
      .getByText(/^Mon, .* 08:00:00/)
      .first()
      .waitFor();
    await dialog.getByLabel("Calendar events").fill("Foo 08:00");
    await dialog.getByText(/weekday/i).waitFor();
    await dialog.getByLabel("Calendar events").fill("Mon 08:00");
    await press(dialog, "Create heartbeat");
    await page.getByText("It waits for its first ping.").waitFor();
    const line =
      (await page
        .getByText(/\/ping\/[0-9a-f-]{36}$/)
        .first()
        .textContent()) ?? "";
    pingPath = new URL(line).pathname;
    await page.getByRole("radio", { name: "cron" }).check();
    await page.getByText(/backup && curl/).waitFor();
    await assertAccessible(page, "new heartbeat");
  });

  await step("pings appear with their bodies, and the state follows", async () => {
    await ping(`${pingPath}/start`);
    await ping(`${pingPath}/3`, "The disk is full\n<img src=x>");
    await page.getByText("It is down", { exact: false }).waitFor();
    await page.getByText("exit 3").waitFor();
    await page.getByRole("row").filter({ hasText: "exit 3" }).click();
    await dialog.getByText("The disk is full").waitFor();
    await page.keyboard.press("Escape");
    await page.getByText("it reported a failure").waitFor();
    await page.getByRole("img", { name: /^The last 30 days: up [\d.]+\s%\. Down for .* on 1 day\.$/ }).waitFor();
    await page.getByText("was down", { exact: true }).waitFor();
    const badge = page.getByRole("img", { name: "Badge of Weekly report: down" });
    await badge.waitFor();
    const isDrawn = () => badge.evaluate((image) => (image as HTMLImageElement).naturalWidth > 0);
    await eventually("the badge is drawn", isDrawn);
    await assertAccessible(page, "heartbeat");
    const address = page.url();
    await console.visit(page, "/heartbeats");
    await page
      .getByRole("row", { name: /Weekly report/ })
      .getByText("failed", { exact: true })
      .waitFor();
    await page.goto(address);
  });

  await step("the plan is changed, and the heartbeat paused and resumed", async () => {
    await page.locator(".page-tabs").getByRole("link", { name: "Settings" }).click();
    await page.getByRole("radio", { name: "Cron" }).check();
    await page.getByLabel("Cron pattern").fill("0 6 * * 1");
    await page.getByLabel("Labels").fill("team=db\nhost = a=b");
    await page.getByLabel("Keywords in the body decide").check();
    await page.getByLabel("Failure keywords").fill("ERROR,refused");
    await page.getByLabel("A ping without any keyword is a failure").check();
    await page.getByLabel("Slug").fill("No Slug");
    console.expected.push(/status of 400 .*\/heartbeats\//);
    await press(page, "Save");
    await page.locator(".field", { hasText: "Slug" }).getByText("Must have only a-z, 0-9, - and _").waitFor();
    await page.getByLabel("Slug").fill("weekly-report");
    await press(page, "Save");
    await page.getByText("Saved.").waitFor();
    const { body } = await prism.get<{ data: Stored[] }>("/api/v1/heartbeats?q=Weekly");
    const [stored] = body.data;
    assert.deepEqual([stored?.kind, stored?.schedule], ["cron", "0 6 * * 1"]);
    assert.deepEqual(stored?.labels, { team: "db", host: "a=b" });
    assert.deepEqual(stored?.filters, { httpBody: true, failureKeywords: "ERROR,refused", defaultFail: true });
    await page.getByLabel("Fed by an alert").fill('alertname="Watchdog"');
    assert.equal(await page.getByLabel("Fed by an alert").getAttribute("maxlength"), "1000");
    const sent = page.waitForRequest((request) => request.method() === "PATCH");
    await press(page, "Save");
    assert.deepEqual((await sent).postDataJSON(), { fedBy: 'alertname="Watchdog"' });
    await page.locator(".page-tabs").getByRole("link", { name: "Overview" }).click();
    await page.getByText('alertname="Watchdog"').first().waitFor();
    await press(page, "Pause");
    await page.getByText("It is paused: nothing is expected.").waitFor();
    await press(page, "Resume");
    await page.getByText("It waits for its first ping.").waitFor();
  });

  await step("a user without the right sees neither ping URLs nor changes; the list works on a phone", async () => {
    await console.person("vera", ["Viewer"]);
    const phone = await console.open("/heartbeats", { as: "vera", width: 360, theme: "dark" });
    await phone.getByRole("link", { name: /Weekly report/ }).click();
    await phone.getByText("Pings", { exact: true }).first().waitFor();
    assert.equal(await phone.getByText("Ping URLs").count(), 0);
    assert.equal(await phone.getByRole("button", { name: "Pause" }).count(), 0);
    await assertAccessible(phone, "heartbeat of a viewer");
    await phone.close();
  });

  await step("it is deleted after a question that counts its pings", async () => {
    await press(page, "More for Weekly report");
    await page.getByRole("menuitem", { name: "Delete" }).click();
    await dialog.getByText(/2 pings and its changes are deleted/).waitFor();
    // The page asks for it until it is left.
    console.expected.push(/status of 404 .*\/heartbeats\//);
    await press(dialog, "Delete");
    await page.getByRole("link", { name: /nightly-backup/ }).waitFor();
    await page.getByRole("link", { name: /Weekly report/ }).waitFor({ state: "detached" });
  });
  console.assertClean();
});

test("the days of a heartbeat count what is known of them", async () => {
  const { uptimeDays, uptimeOf } =
    await consoleModule<typeof import("../../console/pages/heartbeats/uptime.ts")>("pages/heartbeats/uptime.ts");
  const hour = 3_600_000;
  const at = (hours: number) => new Date(hours * hour).toISOString();
  const starts = [0, 24 * hour, 48 * hour];
  const changes = [
    { at: at(50), from: "down", to: "up" },
    { at: at(36), from: "up", to: "down" },
  ] as const;
  const days = uptimeDays(starts, changes, 60 * hour);
  assert.deepEqual(
    days.map(({ upMs, downMs }) => [upMs / hour, downMs / hour]),
    [
      [24, 0],
      [12, 12],
      [10, 2],
    ],
  );
  assert.equal(uptimeOf(days), 46 / 60);
  assert.equal(uptimeDays(starts, changes, 60 * hour, true)[0]?.upMs, 0, "before the oldest change nothing is known");
  assert.equal(uptimeOf(uptimeDays(starts, [], 60 * hour)), null);
});

test("the editor of a status page has labelled rows, and its preview says what visitors see", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const page = await console.open("/status-page");
  await press(page, "Add a group");
  const group = page.getByRole("group", { name: "Group 1" });
  await group.getByLabel("Group", { exact: true }).fill("Shop");
  await group.getByLabel("Component", { exact: true }).fill("Checkout");
  await group.getByLabel("Description").fill("Paying with a card");
  await press(group, "Source");
  await group.getByLabel("While these fire").selectOption("tag");
  await group.getByLabel("Tag").fill("shop");
  await group.getByLabel("It is shown as").selectOption("partial");
  const middles = await group.locator(".sp-row").evaluateAll((rows) =>
    rows.map((row) => {
      const field = [...row.querySelectorAll("input, select")].at(-1);
      const button = row.querySelector(":scope > button");
      const [a, b] = [field?.getBoundingClientRect(), button?.getBoundingClientRect()];
      return a && b ? Math.abs(a.top + a.height / 2 - (b.top + b.height / 2)) : 99;
    }),
  );
  assert.ok(middles.length === 3 && middles.every((distance) => distance < 4), `${middles}: each bin is in its row`);
  await page.getByLabel("Title").fill("Shop status");
  await page.getByLabel("Description", { exact: true }).first().fill("What works now");
  await page.getByLabel("The public addresses answer").check();
  await press(page, "Save");
  await page.getByText("Saved. Visitors see it now.").waitFor();
  const preview = page.locator(".card", { hasText: "As visitors see it" });
  for (const text of ["Shop status", "What works now", "Checkout", "Paying with a card"])
    await preview.getByText(text, { exact: true }).waitFor();
  await preview.getByRole("img", { name: "The last 90 days of Checkout" }).waitFor();
  await preview.getByText("90 days ago").waitFor();
  await assertAccessible(page, "the editor of a status page");
  const { body } = await prism.get<{ groups: object[] }>("/api/v1/status-page?projectId=default");
  assert.equal(JSON.stringify(body.groups).includes('"tag":"shop"'), true);
  console.assertClean();
});
