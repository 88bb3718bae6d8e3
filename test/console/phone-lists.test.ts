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
  const page = await console.open("/alerts", { width: 390 });
  await rows(page).first().waitFor();
  const texts = page.locator(".one-line > .user-text.mono").locator("visible=true");
  assert.deepEqual((await texts.allInnerTexts()).sort(), ["instance=db-3", "instance=db-4"]);
  const heights = await texts.evaluateAll((all) => all.map((each) => each.getBoundingClientRect().height));
  assert.ok(
    heights.every((height) => height < 24),
    `lines of ${heights} px`,
  );
  await assertAccessible(page, "alerts on a phone");

  const wide = await console.open("/alerts", { width: 1440 });
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
