import assert from "node:assert/strict";
import test from "node:test";
import type { Locator, Page } from "playwright-core";
import { assertAccessible, type ConsoleTest, startConsole } from "./helpers.ts";

const SUMMARY = "The replicas are over 5 minutes late";

/** Fires alerts that differ by the label `instance` only. */
async function fire({ prism }: ConsoleTest, instances: readonly string[]): Promise<void> {
  const alerts = instances.map((instance) => ({
    labels: { alertname: "ReplicationLag", cluster: "main", instance, severity: "critical" },
    annotations: { summary: SUMMARY },
  }));
  assert.equal((await prism.post("/api/v1/alerts", { alerts })).status, 200);
}

function rows(page: Page): Locator {
  return page.getByRole("row").filter({ hasText: SUMMARY });
}

test("on a phone a list of alerts shows in one line the labels by which its rows differ", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  await fire(console, ["db-3", "db-4"]);
  const page = await console.open("/alerts?group=none", { width: 390 });
  await rows(page).first().waitFor();
  const texts = page.locator(".one-line > .user-text.mono").locator("visible=true");
  assert.deepEqual((await texts.allInnerTexts()).sort(), ["instance=db-3", "instance=db-4"]);
  const heights = await texts.evaluateAll((all) => all.map((each) => each.getBoundingClientRect().height));
  assert.ok(
    heights.every((height) => height < 24),
    `lines of ${heights} px`,
  );
  await assertAccessible(page, "alerts on a phone");

  const wide = await console.open("/alerts?group=none", { width: 1440 });
  await rows(wide).first().waitFor();
  const labels = await wide.locator(".one-line").first().locator(".mono").allInnerTexts();
  assert.match(labels.join(" | "), /^instance=db-[34] \| alertname=ReplicationLag\s+cluster=main$/);
  console.assertClean();
});

test("on a phone an incident keeps its number, its first words and the time of its next step", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const steps = [
    { type: "wait", ms: 600_000 },
    { type: "notify", members: true },
  ];
  assert.equal((await prism.post("/api/v1/policies", { name: "Later", steps })).status, 201);
  const routes = { route: { policy: "Later", groupWaitMs: 0 } };
  assert.equal((await prism.put("/api/v1/routes", routes)).status, 200);
  await fire(console, ["db-3"]);
  for (const width of [390, 1440]) {
    const page = await console.open("/incidents", { width });
    const row = page.getByRole("row").filter({ hasText: "ReplicationLag" });
    for (const text of [/^#1$/, SUMMARY, /next step in/])
      await row.getByText(text).locator("visible=true").first().waitFor();
    await assertAccessible(page, `incidents at ${width} px`);
  }
  console.assertClean();
});

/** Distance of the first row of a list from the top of the window. */
async function firstRow(page: Page): Promise<number> {
  const row = page.locator(".table tbody tr").locator("visible=true").first();
  await row.waitFor();
  return row.evaluate((each) => each.getBoundingClientRect().top + scrollY);
}

test("on a phone filters are one line, and the first row is at most 220 px from the top", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  await fire(console, ["db-3", "db-4"]);
  await prism.post("/api/v1/events", { type: "order.paid", payload: { message: "paid" } });
  await prism.post("/api/v1/notifications", { userId: "admin", title: "db-1 is slow", message: "m" });
  const rule = {
    ...{ name: "Paid", condition: "event.type == 'order.paid'", targetRoles: ["Admin"] },
    ...{ titleTemplate: "t", messageTemplate: "m" },
  };
  assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  const heartbeat = { name: "backup", timeoutMs: 3_600_000 };
  assert.equal((await prism.post("/api/v1/heartbeats", heartbeat)).status, 201);
  const tops: Record<string, number> = {};
  const page = await console.open("/incidents", { width: 390 });
  for (const path of ["/incidents", "/alerts", "/events", "/inbox", "/rules", "/heartbeats"]) {
    await console.visit(page, path);
    tops[path] = Math.round(await firstRow(page));
  }
  assert.deepEqual(
    Object.entries(tops).filter(([, top]) => top > 220),
    [],
    JSON.stringify(tops),
  );

  await console.visit(page, "/incidents");
  const filters = page.getByRole("button", { name: "Filters", exact: true });
  assert.equal(await page.getByRole("combobox", { name: "Severity" }).count(), 0, "filters are folded");
  await filters.click();
  await page.getByRole("combobox", { name: "Severity" }).selectOption("critical");
  await page.getByRole("button", { name: "Filters, 1 in use" }).click();
  await page.getByRole("combobox", { name: "Severity" }).waitFor({ state: "hidden" });
  await rows(page).first().waitFor();
  await assertAccessible(page, "incidents with folded filters");
  const search = page.getByRole("searchbox", { name: "Search incidents" });
  await search.fill("no such incident");
  await page.getByText("No such incident").waitFor();
  const box = await search.boundingBox();
  assert.ok((box?.width ?? 0) > 200, `a used search has the whole line, not ${box?.width} px`);

  await console.visit(page, "/events");
  await filters.click();
  await page.getByRole("figure", { name: "Events, last 24 hours" }).waitFor();
  await assertAccessible(page, "events with open filters");
  const narrow = await console.open("/alerts", { width: 360, theme: "dark" });
  await narrow.getByText("instance=db-3").waitFor();
  await assertAccessible(narrow, "alerts at 360 px");
  console.assertClean();
});

test("alerts are in groups by name, each with its day, and a press on the histogram shows those of a time", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  await fire(console, ["db-3", "db-4"]);
  const alerts = [{ labels: { alertname: "HostDown", instance: "web-1", severity: "warning" } }];
  await prism.post("/api/v1/alerts", { alerts });
  const page = await console.open("/alerts", { width: 1440 });
  const group = (name: string) => page.getByRole("region", { name });
  const lag = group("ReplicationLag");
  await lag.getByText("2 alerts").waitFor();
  await lag.getByText("cluster=main").waitFor();
  await lag.getByText(SUMMARY).waitFor();
  await lag.getByRole("img", { name: "Began: 2 in 24 h" }).waitFor();
  await group("HostDown").getByRole("img", { name: "Began: 1 in 24 h" }).waitFor();
  const figure = page.getByRole("figure", { name: "Firing alerts by their start, last 24 hours" });
  await figure.getByText("2 critical", { exact: true }).waitFor();
  await figure.getByText("1 warning", { exact: true }).waitFor();
  await assertAccessible(page, "alerts in groups");

  await page.getByRole("button", { name: "Labels", exact: true }).click();
  const counts = page.getByRole("region", { name: "Labels of these alerts" });
  await counts.getByRole("button", { name: "web-1 1" }).click();
  await lag.waitFor({ state: "detached" });
  await group("HostDown").waitFor();
  await assertAccessible(page, "alerts with the counts of their labels");
  await page.getByRole("button", { name: "Remove instance" }).click();
  await lag.waitFor();

  const plot = figure.getByRole("group");
  const box = await plot.boundingBox();
  assert.ok(box);
  await plot.click({ position: { x: 2, y: 20 } });
  await page.getByText("No alert matches").waitFor();
  await page.getByRole("button", { name: /\d\d:\d\d–\d\d:\d\d/ }).click();
  await lag.waitFor();
  await page.mouse.move(box.x + box.width - 3, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, box.y + 20);
  await page.mouse.up();
  await page.getByRole("button", { name: /\d\d:\d\d–\d\d:\d\d/ }).waitFor();
  await lag.waitFor();
  assert.match(page.url(), /from=.*&to=/);
  await page.getByRole("combobox", { name: "Group by" }).selectOption("none");
  await page.getByRole("table", { name: "Alerts", exact: true }).waitFor();
  console.assertClean();
});
