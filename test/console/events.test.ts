import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import type { Page } from "playwright-core";
import { consoleModule } from "../helpers/console-module.ts";
import { stepsOf } from "../helpers/steps.ts";
import { assertAccessible, type ConsoleTest, startConsole } from "./helpers.ts";

const BURST = 1500;

async function send(console: ConsoleTest, event: Record<string, unknown>): Promise<string> {
  const { status, body } = await console.prism.post<{ id: string }>("/api/v1/events", event);
  assert.equal(status, 202);
  return body.id;
}

function row(page: Page, text: string) {
  return page.getByRole("row").filter({ hasText: text });
}

async function isLive(page: Page): Promise<void> {
  await page.getByText("Live", { exact: true }).waitFor();
}

test("events appear live, are filtered by the address, and become rules", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/events");
  await page.getByText("No events yet").waitFor();
  await isLive(page);
  const step = stepsOf(t);

  await step("an empty list offers a test event, which appears with its result", async () => {
    await page.getByRole("button", { name: "Send test event" }).first().click();
    const payload = page.getByRole("textbox", { name: "Payload" });
    await payload.fill("{ not json");
    await page.getByText("This is not a JSON object.").waitFor();
    await payload.fill('{"message":"Hello"}');
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await page.getByRole("link", { name: "Show what happened" }).waitFor();
    await row(page, "test.hello").getByText("no rule").waitFor();
  });

  const id = await send(console, {
    type: "order.paid",
    level: "error",
    source: "<script>shop</script>",
    payload: { message: "<b>paid</b> \u202e", total: 1500 },
  });

  await step("new events wait while the pointer is in the list", async () => {
    await row(page, "order.paid").waitFor();
    await page.getByRole("table", { name: "Events", exact: true }).hover();
    await send(console, { type: "order.late", payload: {} });
    await page.getByRole("button", { name: "1 new event, show" }).click();
    await row(page, "order.late").waitFor();
    await page.mouse.move(5, 5);
  });

  await step("filters are in the address and hold for live events", async () => {
    const filtered = await console.open("/events?type=order.*&level=error&q=PAID", { theme: "dark" });
    await row(filtered, "order.paid").waitFor();
    assert.equal(await row(filtered, "order.late").count(), 0);
    await isLive(filtered);
    await send(console, { type: "test.paid", level: "error", payload: {} });
    await send(console, { type: "order.paid.again", level: "error", payload: {} });
    await row(filtered, "order.paid.again").waitFor();
    assert.equal(await row(filtered, "test.paid").count(), 0);
    await assertAccessible(filtered, "events, filtered");
    await filtered.getByRole("button", { name: "Clear filters" }).click();
    await row(filtered, "test.paid").waitFor();
    assert.doesNotMatch(filtered.url(), /\?/);
    const outcome = await console.open("/events?outcome=fired");
    await outcome.getByText("No event matches these filters").waitFor();
  });

  await step("the page of an event shows payload and story, and starts a rule", async () => {
    await row(page, "order.paid").first().waitFor();
    const detail = await console.open(`/events/${id}`, { width: 360 });
    await detail.getByRole("heading", { level: 1, name: "order.paid" }).waitFor();
    await detail.getByText('"<b>paid</b>').first().waitFor();
    await detail
      .getByText(/no user was notified/)
      .first()
      .waitFor();
    const rule = detail.getByRole("link", { name: "Create a rule from this" });
    assert.match((await rule.getAttribute("href")) ?? "", new RegExp(`/rules/new\\?from=${id}$`));
    await assertAccessible(detail, "an event at 360 px");
    await detail.getByRole("button", { name: "More actions" }).click();
    await detail.getByRole("menuitem", { name: /Evaluate again/ }).click();
    await detail.getByRole("dialog").getByRole("button", { name: "Evaluate again" }).click();
    await detail.getByText("The event is evaluated again.").waitFor();
  });

  await step("the events of the filters are saved as CSV", async () => {
    const filtered = await console.open("/events?type=order.paid");
    await row(filtered, "order.paid").waitFor();
    await filtered.getByRole("button", { name: "Export" }).click();
    const download = filtered.waitForEvent("download");
    await filtered.getByRole("menuitem", { name: /CSV/ }).click();
    const text = readFileSync(await (await download).path(), "utf8");
    assert.equal((await download).suggestedFilename(), "events.csv");
    assert.match(text, /order\.paid/);
    assert.doesNotMatch(text, /order\.late/);
  });

  await step("j and e explain the current row", async () => {
    await page.keyboard.press("j");
    await page.keyboard.press("e");
    await page
      .getByRole("dialog", { name: "Why did this happen?" })
      .getByText(/stored$/)
      .waitFor();
    await page.keyboard.press("Escape");
  });

  await step("users without the permission see which one they need", async () => {
    await console.person("ben", ["User"]);
    const forbidden = await console.open("/events", { as: "ben" });
    await forbidden.getByText("You may not open this page").waitFor();
    await forbidden.getByText(/events:read/).waitFor();
  });
  console.assertClean();
});

test("a role in a project opens its events and rules, and other stories say which permission is missing", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const { id: userId } = await console.person("mia", ["User"]);
  const { body: shop } = await prism.post<{ id: string }>("/api/v1/projects", { name: "Shop" });
  await prism.post(`/api/v1/projects/${shop.id}/members`, { userId, role: "editor" });
  await send(console, { type: "shop.order", projectId: shop.id });
  const page = await console.open("/", { as: "mia" });
  const nav = page.getByRole("navigation", { name: "Main", exact: true });
  await nav.getByRole("button", { name: "Operate" }).click();
  await nav.getByRole("link", { name: "Events" }).click();
  await row(page, "shop.order").click();
  await page.getByRole("heading", { name: "shop.order" }).waitFor();
  console.expected.push(/status of 403/);
  await page.getByText(/ask an administrator for the permission notifications:read_all/).waitFor();
  await nav.getByRole("link", { name: "Rules" }).click();
  await page.getByRole("heading", { name: "Rules", exact: true }).waitFor();
  await console.visit(page, "/rules/new");
  await page.getByText("You may not open this page").waitFor();
  console.assertClean();
});

test("a burst of events is counted, and the page stays responsive and small", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/events");
  await page.getByText("No events yet").waitFor();
  await isLive(page);
  // It comes by the stream, or by what is read when that opens.
  await send(console, { type: "first", payload: {} });
  await row(page, "first").waitFor();
  await page.evaluate(() => {
    const state = window as unknown as { longest: number };
    state.longest = 0;
    let last = performance.now();
    const tick = () => {
      const now = performance.now();
      state.longest = Math.max(state.longest, now - last);
      last = now;
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  for (let from = 0; from < BURST; from += 500) {
    const events = Array.from({ length: 500 }, (_, index) => ({ type: "burst", payload: { n: from + index } }));
    assert.equal((await console.prism.post("/api/v1/events", events)).status, 202);
  }
  const show = page.getByRole("button", { name: /new events, show/ });
  await page.getByRole("button", { name: /^1.?[45]\d\d new events, show/ }).waitFor();
  await show.click();
  await row(page, "burst").first().waitFor();
  assert.ok((await page.getByRole("row").count()) <= 501, "rows in the page");
  await page.getByRole("row").last().getByText("no rule").waitFor();
  await page.getByText("The newest 500 events are shown.").waitFor();
  t.diagnostic(`longest frame: ${await page.evaluate(() => (window as unknown as { longest: number }).longest)} ms`);
  await page.getByRole("button", { name: "Older events" }).click();
  await page.waitForURL(/to=/);
  console.assertClean();
});

test("Prism's own events are hidden until they are asked for, and are sentences", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const alerts = [{ key: "k", labels: { alertname: "InstanceDown", severity: "critical" } }];
  assert.equal((await console.prism.post("/api/v1/alerts", { alerts })).status, 200);
  await send(console, { type: "deploy.done", payload: { message: "Version 7" } });
  const page = await console.open("/events");
  await row(page, "deploy.done").waitFor();
  assert.equal(await row(page, "alert.opened").count(), 0);
  await page.getByLabel("Prism's own events").check();
  await row(page, "alert.opened").getByText("InstanceDown is firing").waitFor();
});

test("a chosen time of less than a day shows its clock times, also over midnight", async () => {
  const { formatRange } = await consoleModule<typeof import("../../console/ui/clock.ts")>("ui/clock.ts");
  const text = (from: string, to: string) => formatRange({ from: Date.parse(from), to: Date.parse(to) }, "UTC");
  assert.match(text("2026-11-28T14:00Z", "2026-11-28T14:30Z"), /28.* 14:00–14:30$/);
  assert.match(text("2026-11-28T23:45Z", "2026-11-29T00:15Z"), /28.* 23:45–00:15$/);
  assert.match(text("2026-11-28T23:30Z", "2026-11-29T00:00Z"), /28.* 23:30–00:00$/);
  assert.match(text("2026-11-03T00:00Z", "2026-11-10T00:00Z"), /3.* – .*10/);
});

test("a day of events by level is above the list, and chooses those of a time", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  await send(console, { type: "order.paid", level: "error", payload: {} });
  await send(console, { type: "order.late", level: "fatal", payload: {} });
  for (const [width, theme] of [
    [1280, "light"],
    [1280, "dark"],
  ] as const) {
    const page = await console.open("/events", { width, theme });
    const figure = page.getByRole("figure", { name: "Events, last 24 hours" });
    await figure.getByText("1 error", { exact: true }).waitFor();
    await figure.getByText("1 fatal", { exact: true }).waitFor();
    await figure.getByRole("table").getByRole("row").nth(1).waitFor();
    await assertAccessible(page, `events with a histogram, ${theme}`);
    const plot = figure.getByRole("group");
    await plot.focus();
    for (const key of ["Home", "Enter"]) await page.keyboard.press(key);
    await page.getByText("No event matches these filters").waitFor();
    await page.getByRole("button", { name: /\d\d:\d\d–\d\d:\d\d/ }).click();
    await row(page, "order.late").waitFor();
    await plot.focus();
    for (const key of ["End", "ArrowLeft", "ArrowRight", "Enter"]) await page.keyboard.press(key);
    await row(page, "order.late").waitFor();
    assert.match(page.url(), /from=.*to=/);
  }
  console.assertClean();
});
