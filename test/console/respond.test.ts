import assert from "node:assert/strict";
import test from "node:test";
import type { Page } from "playwright-core";
import { stepsOf } from "../helpers/steps.ts";
import { assertAccessible, type ConsoleTest, startConsole } from "./helpers.ts";

/** Fires alerts of the default project, of which the administrator is a member. */
async function fire(console: ConsoleTest, alerts: readonly (readonly [alertname: string, instance: string])[]) {
  const body = {
    alerts: alerts.map(([alertname, instance]) => ({
      labels: { alertname, instance, severity: "critical" },
      annotations: { summary: `${alertname} on ${instance}`, runbook_url: "https://wiki.example.org/disk" },
    })),
  };
  const reply = await console.prism.post("/api/v1/alerts", body);
  assert.equal(reply.status, 200, reply.text);
}

function row(page: Page, title: string) {
  return page.getByRole("row").filter({ hasText: title });
}

/** What the rows of the list of incidents are about, from the first one. */
function titlesOf(page: Page): Promise<string[]> {
  return page.getByRole("table", { name: "Incidents" }).locator(".one-line > .user-text:first-of-type").allInnerTexts();
}

function button(page: Page, name: string) {
  return page.locator(".page-actions").getByRole("button", { name: new RegExp(`^${name}`) });
}

/** Chooses an entry of the menu More of an incident. */
async function more(page: Page, item: string): Promise<void> {
  await button(page, "More actions").click();
  await page.getByRole("menuitem", { name: item }).click();
}

test("an incident at work: it appears at once, is acknowledged, snoozed, escalated and resolved", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/incidents");
  await page.getByText("All is quiet").waitFor();
  await page.getByText("Live", { exact: true }).waitFor();
  const step = stepsOf(t);

  await step("it appears at once, with the number of open ones in the navigation", async () => {
    await fire(console, [
      ["DiskFull", "db-1"],
      ["DiskFull", "db-2"],
      ["HighLatency", "web-1"],
    ]);
    await row(page, "DiskFull").getByText("2 of 2").waitFor();
    await page.getByText("2 incidents wait for an acknowledgement.").waitFor();
    const nav = page.getByRole("navigation", { name: "Main", exact: true });
    await nav.getByRole("link", { name: "Incidents 2" }).waitFor();
  });

  await step("j and a acknowledge the current row; a filter is part of the link", async () => {
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("a");
    await row(page, "HighLatency").getByText("by you").waitFor();
    await page.getByRole("radio", { name: "Acknowledged" }).click();
    await row(page, "DiskFull").waitFor({ state: "detached" });
    assert.match(page.url(), /state=acknowledged/);
    await console.visit(page, "/incidents?state=open");
    await row(page, "HighLatency").waitFor({ state: "detached" });
    await assertAccessible(page, "the list");
  });

  await step("the page of one shows alerts, who was notified, and what follows", async () => {
    await row(page, "DiskFull").getByRole("link", { name: "DiskFull" }).first().click();
    await page.getByRole("heading", { name: "DiskFull" }).waitFor();
    await page.locator(".alert-card").getByText("DiskFull on db-2").waitFor();
    await page.getByRole("list", { name: "Timeline" }).getByText("opened by 2 alerts").waitFor();
    await page.getByRole("list", { name: "Timeline" }).getByText("notified").first().waitFor();
    await assertAccessible(page, "the incident");
  });

  await step("acknowledge, unacknowledge, snooze and escalate", async () => {
    const timeline = page.getByRole("list", { name: "Timeline" });
    await button(page, "Acknowledge").click();
    await timeline.getByText("You acknowledged").waitFor();
    await button(page, "Unacknowledge").click();
    await timeline.getByText("removed the acknowledgements").waitFor();
    await more(page, "Snooze…");
    await page.getByRole("dialog").getByText("1 hour").click();
    await page.getByRole("dialog").getByRole("button", { name: "Snooze" }).click();
    await timeline.getByText("snoozed it").waitFor();
    await more(page, "Escalate now…");
    await page.getByRole("dialog").getByRole("button", { name: "Escalate" }).click();
    await timeline.getByText("escalated it: step 1").waitFor();
  });

  await step("a note is text; a label leads to the alerts with it", async () => {
    await page.getByRole("textbox", { name: "Note" }).fill("<b>Disk ordered</b>");
    await page.getByRole("button", { name: "Add note" }).click();
    await page.getByRole("list", { name: "Timeline" }).getByText("<b>Disk ordered</b>").waitFor();
    await page.getByTitle('Alerts with instance="db-1"').click();
    await row(page, "DiskFull on db-1").waitFor();
    assert.equal(await row(page, "DiskFull on db-2").count(), 0);
  });

  await step("resolved, it tells everyone of the end and leaves the list", async () => {
    await page.goBack();
    await button(page, "Resolve").click();
    await page.getByRole("dialog").getByRole("button", { name: "Resolve" }).click();
    await page.getByRole("list", { name: "Timeline" }).getByText("Resolved: by you").waitFor();
    await console.visit(page, "/incidents?mine=true&q=nothing");
    await page.getByText("None of yours").waitFor();
    await console.visit(page, "/incidents");
    await row(page, "DiskFull").waitFor({ state: "detached" });
  });

  await step("several at once", async () => {
    await fire(console, [["BackupFailed", "db-3"]]);
    await row(page, "BackupFailed").getByRole("checkbox").check();
    await row(page, "HighLatency").getByRole("checkbox").check();
    await page.getByRole("button", { name: "Resolve", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Resolve 2" }).click();
    await page.getByText("All is quiet").waitFor();
  });
  console.assertClean();
});

test("an incident of silenced alerts says by what and until when, announces no step, and does not need anyone", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const silence = { matchers: ['instance="db-2"'], durationMs: 3_600_000, comment: "Disks are exchanged" };
  assert.equal((await console.prism.post("/api/v1/silences", silence)).status, 201);
  await fire(console, [
    ["DiskFull", "db-2"],
    ["HighLatency", "web-1"],
  ]);
  const page = await console.open("/incidents");
  await row(page, "DiskFull").getByText("silenced", { exact: true }).waitFor();
  assert.equal(await row(page, "HighLatency").getByText("silenced").count(), 0);
  assert.deepEqual(await titlesOf(page), ["HighLatency", "DiskFull"], "the silenced one is last");
  await row(page, "DiskFull").getByRole("link", { name: "DiskFull" }).first().click();
  await page.getByText(/Nothing is sent: its firing alert is silenced by “Disks are exchanged” until/).waitFor();
  await page.locator(".alert-card").getByText("silenced", { exact: true }).waitFor();
  assert.equal(await page.getByText("The steps start").count(), 0);
  assert.equal(await page.getByRole("list", { name: "Next steps" }).count(), 0);
  await assertAccessible(page, "a silenced incident");
  await console.visit(page, "/");
  const attention = page.getByRole("region", { name: "Needs attention" });
  await attention.getByText("HighLatency on web-1").waitFor();
  assert.equal(await attention.getByText("DiskFull").count(), 0);
  assert.equal(await page.getByText("There is no rule yet").count(), 0);
});

test("U6 incidents: severity is a colour and a filter, the age is that of the alert, rows are dense, and boxes are for thumbs", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
  const alerts = [
    { labels: { alertname: "Slow", severity: "warning" }, startsAt: ago(51) },
    { labels: { alertname: "Taken", severity: "critical" }, startsAt: ago(90) },
    { labels: { alertname: "Down", severity: "critical" }, startsAt: ago(12) },
    { labels: { alertname: "Note", severity: "info" }, startsAt: ago(300) },
  ];
  assert.equal((await prism.post("/api/v1/alerts", { alerts })).status, 200);
  const { body } = await prism.get<{ data: { id: string; title: string }[] }>("/api/v1/incidents");
  await prism.post(`/api/v1/incidents/${body.data.find(({ title }) => title === "Taken")?.id}/acknowledge`, {});
  const page = await console.open("/incidents", { width: 1440 });
  await row(page, "Down")
    .getByText(/for 1[2-5] min/)
    .waitFor();
  assert.deepEqual(await titlesOf(page), ["Down", "Slow", "Note", "Taken"]);
  const colours = await page.getByRole("table", { name: "Incidents" }).locator(".badge.bad, .badge.warn, .badge.info");
  assert.deepEqual(
    (await colours.evaluateAll((all) => all.map(({ className, textContent }) => `${className} ${textContent}`))).slice(
      0,
      3,
    ),
    ["badge bad strong critical", "badge warn warning", "badge info info"],
  );
  const height = await row(page, "Slow").evaluate((element) => element.getBoundingClientRect().height);
  assert.ok(height <= 48, `a row is ${height} px high`);
  await page.getByRole("combobox", { name: "Severity" }).selectOption("warning");
  await row(page, "Down").waitFor({ state: "detached" });
  assert.match(page.url(), /severity=warning/);
  await assertAccessible(page, "incidents by severity");
  const phone = await console.open("/incidents", { width: 390, theme: "dark" });
  await row(phone, "Slow")
    .getByText(/for 5[1-5] min/)
    .waitFor();
  const box = await row(phone, "Slow").getByRole("checkbox").boundingBox();
  assert.ok(box && box.width >= 24 && box.height >= 24, `a checkbox is ${box?.width} px wide`);
  const card = await row(phone, "Slow").evaluate((element) => element.getBoundingClientRect().height);
  assert.ok(card <= 100, `a row on the phone is ${card} px high`);
  await assertAccessible(phone, "incidents on a phone");
  console.assertClean();
});

test("alerts are grouped and filtered by severity and labels, say what silences them, and are resolved by hand", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  await fire(console, [
    ["DiskFull", "db-1"],
    ["DiskFull", "db-2"],
    ["HighLatency", "web-1"],
  ]);
  const silence = { matchers: ['instance="db-2"'], durationMs: 3_600_000, comment: "Disks are exchanged" };
  const { token } = await console.person("ben", ["Admin"]);
  assert.equal((await console.prism.post("/api/v1/silences", silence, { token })).status, 201);
  const own = await console.open("/alerts?group=alertname", { as: "ben" });
  await own.getByText(/more by you: /).waitFor();
  await own.close();
  const page = await console.open("/alerts?group=alertname");
  await page.getByRole("heading", { name: "DiskFull", exact: true }).waitFor();
  await page.getByText("3 firing, 1 silenced.").waitFor();
  const silences = page.getByRole("list", { name: "Silences" });
  await silences.getByText(/^1 of 2 silenced for (59|1)\s.* more by ben: .*Disks are exchanged/).waitFor();
  assert.equal(await silences.count(), 1, "only the group with a silenced alert says so");
  await assertAccessible(page, "grouped alerts");
  await console.visit(page, "/alerts?matcher=instance%3D~%22db-.%2A%22");
  await row(page, "DiskFull on db-2").getByText("silenced", { exact: true }).waitFor();
  assert.equal(await row(page, "HighLatency").count(), 0);
  await page.getByRole("combobox", { name: "Severity" }).selectOption("warning");
  await page.getByText("No alert matches").waitFor();
  await page.getByRole("combobox", { name: "Severity" }).selectOption("critical");
  await row(page, "DiskFull on db-2").getByRole("link", { name: "DiskFull on db-2" }).click();
  await page.getByText("No one is notified of it now").waitFor();
  await assertAccessible(page, "an alert");
  await button(page, "Resolve").click();
  await page.getByRole("dialog").getByRole("button", { name: "Resolve" }).click();
  await page.getByText("resolved", { exact: true }).first().waitFor();
  await fire(console, [["DiskFull", "db-2"]]);
  await console.visit(page, "/alerts?matcher=instance%3D%22db-2%22");
  await row(page, "DiskFull on db-2").getByRole("link", { name: "DiskFull on db-2" }).click();
  await page.getByRole("table", { name: "Earlier alerts" }).getByRole("row").nth(1).waitFor();
  await button(page, "Silence").click();
  await page.getByRole("heading", { name: "New silence" }).waitFor();
  console.assertClean();
});

test("with one hand at night: overview, inbox and incident on a phone", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  await fire(console, [["DiskFull", "db-1"]]);
  const page = await console.open("/", { width: 360, theme: "dark" });
  await page.getByText("#1 DiskFull").waitFor();
  await console.visit(page, "/inbox?show=all");
  await page.getByText("Critical: DiskFull (db-1)").first().waitFor();
  await page.getByText("incident open").waitFor();
  await page.getByRole("button", { name: "Acknowledge", exact: true }).click();
  await page.getByText("incident acknowledged").waitFor();
  const { body } = await console.prism.get<{ data: { id: string; state: string }[] }>("/api/v1/incidents");
  assert.equal(body.data[0]?.state, "acknowledged");
  await console.visit(page, `/incidents/${body.data[0]?.id}`);
  const bar = page.getByRole("group", { name: "Actions in reach" });
  await assertAccessible(page, "the incident on a phone");
  await bar.getByRole("button", { name: "Unacknowledge" }).click();
  await bar.getByRole("button", { name: "Acknowledge", exact: true }).waitFor();
  await bar.getByRole("button", { name: "Snooze" }).click();
  await page.getByRole("dialog").getByText("4 hours").click();
  await page.getByRole("dialog").getByRole("button", { name: "Snooze" }).click();
  await page.getByText("snoozed", { exact: true }).waitFor();
  console.assertClean();
});

test("a paged person without further rights has the buttons of that incident only, and silences its labels", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const paged = await console.person("ada", ["User"]);
  const other = await console.person("grace", ["Viewer"]);
  const to = (name: string, id: string) => ({ name, steps: [{ type: "notify", users: [id] }] });
  for (const body of [to("Disks", paged.id), to("Web", other.id)])
    assert.equal((await prism.post("/api/v1/policies", body)).status, 201);
  const routes = [{ matchers: ['alertname="HighLatency"'], policy: "Web" }];
  const document = { route: { policy: "Disks", groupWaitMs: 0, routes } };
  assert.equal((await prism.put("/api/v1/routes", document)).status, 200);
  await fire(console, [
    ["DiskFull", "db-1"],
    ["HighLatency", "web-1"],
  ]);
  const viewer = await console.open("/incidents", { as: "grace" });
  await row(viewer, "HighLatency").getByRole("button", { name: "Acknowledge" }).waitFor();
  assert.equal(await row(viewer, "DiskFull").getByRole("button", { name: "Acknowledge" }).count(), 0);

  const { body } = await prism.get<{ data: { id: string; title: string }[] }>("/api/v1/incidents");
  const idOf = (name: string) => body.data.find(({ title }) => title === name)?.id ?? "";
  const page = await console.open(`/incidents/${idOf("HighLatency")}`, { as: "ada" });
  // A user of no project reads only the incident of which the user was notified.
  console.expected.push(/404/, /403 .*\/api\/v1\/alerts\?/);
  await page.getByText("No such incident").first().waitFor();
  assert.equal(await button(page, "Acknowledge").count(), 0);
  await console.visit(page, `/incidents/${idOf("DiskFull")}`);
  await button(page, "Acknowledge").click();
  await page.getByRole("list", { name: "Timeline" }).getByText("You acknowledged").waitFor();
  await more(page, "Silence…");
  await page.getByLabel("Comment").fill("Disk is ordered");
  await page.getByRole("button", { name: "Silence", exact: true }).click();
  await page.getByText("It has silenced nothing yet").waitFor();
  await page.locator(".page-actions").getByRole("button", { name: "End now" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End it now" }).click();
  await page.getByText(/It ended/).waitFor();
  console.assertClean();
});

test("someone is paged from the incidents and on-call pages, added to an incident and given it", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  await console.person("ada", ["User"]);
  await console.person("grace", ["User"]);
  const page = await console.open("/incidents");
  const choose = async (name: string) => {
    await page.getByRole("dialog").getByRole("combobox", { name: "Who" }).fill(name);
    await page.getByRole("option", { name }).first().click();
  };
  await page.getByRole("button", { name: "Page someone" }).first().click();
  await choose("ada");
  await page.getByRole("textbox", { name: "What" }).fill("The shop is slow");
  await page.getByRole("textbox", { name: "Message" }).fill("Can you look?");
  await assertAccessible(page, "the dialog to page someone");
  await page.getByRole("dialog").getByRole("button", { name: "Page", exact: true }).click();
  await page.getByRole("heading", { name: "The shop is slow" }).waitFor();
  const timeline = page.getByRole("list", { name: "Timeline" });
  await timeline.getByText("opened it to page people").waitFor();
  await timeline.getByText("The users paged first are notified").waitFor();
  await page.getByText("People were paged directly.", { exact: false }).waitFor();
  await button(page, "More actions").click();
  await page.getByRole("menuitem", { name: "Reassign…" }).waitFor();
  assert.equal(await page.getByRole("menuitem", { name: "Silence…" }).count(), 0, "it has no alerts");
  await page.keyboard.press("Escape");
  await assertAccessible(page, "an incident without alerts");

  for (const [item, name, action, text] of [
    ["Add responders…", "grace", "Page them", "asked for help"],
    ["Reassign…", "grace", "Reassign", "assigned it to"],
  ] as const) {
    await more(page, item);
    await choose(name);
    await page.getByRole("dialog").getByRole("button", { name: action, exact: true }).click();
    await timeline.getByText(text).first().waitFor();
  }
  await console.visit(page, "/oncall");
  await page.getByRole("button", { name: "Page someone" }).first().click();
  await page.getByRole("dialog").getByText("It opens an incident without alerts.", { exact: false }).waitFor();
  console.assertClean();
});
