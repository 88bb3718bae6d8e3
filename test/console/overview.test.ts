import assert from "node:assert/strict";
import test from "node:test";
import type { Page } from "playwright-core";
import type { IncidentCounts } from "../../src/client/api-types.gen.ts";
import { eventually } from "../helpers/eventually.ts";
import { stepsOf } from "../helpers/steps.ts";
import { assertAccessible, startConsole } from "./helpers.ts";

test("an empty server shows the first steps, and the first event replaces them", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/");
  await page.getByRole("heading", { name: "1. Send a test event" }).waitFor();
  await page.getByRole("heading", { name: "3. Connect a phone" }).waitFor();
  await page.getByText(/curl -X POST http:\/\/127\.0\.0\.1:\d+\/api\/v1\/events/).waitFor();
  await assertAccessible(page, "first steps");
  await page.getByText("Live", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Send it from here" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Send", exact: true }).click();
  const latest = page.getByRole("table", { name: "Latest events" });
  await latest.getByText("test.hello").waitFor();
  await latest.getByText("no rule").waitFor();
  await page.getByText("There is no rule yet").waitFor();
  console.assertClean();
});

test("the overview shows what needs attention first, and the figures of the range", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  await console.person("ben", ["User"]);
  await prism.post("/api/v1/rules", {
    name: "Host down",
    condition: "event.type == 'host.down'",
    titleTemplate: "{{event.host}} <b>is</b> down",
    messageTemplate: "m",
    targetRoles: ["Admin", "User"],
    priority: 800,
  });
  await prism.post("/api/v1/events", { type: "host.down", level: "error", payload: { host: "db-2" } });
  const page = await console.open("/");
  const attention = page.getByRole("region", { name: "Needs attention" });
  await attention.getByText("db-2 <b>is</b> down").waitFor();
  await attention.getByText(/ha(s|ve) not seen it/).waitFor();
  await page.getByText("1 other thing.").waitFor();
  await page.getByRole("link", { name: /^Events\s*1/ }).waitFor();
  await page.getByRole("table", { name: "Latest events" }).getByText("fired").waitFor();
  await page.getByText(/The server works/).waitFor();
  const step = stepsOf(t);

  await step("in both themes and at 360 px", async () => {
    await page.locator(".uplot canvas").first().waitFor();
    await assertAccessible(page, "overview");
    const phone = await console.open("/?range=7d", { width: 360, theme: "dark" });
    await phone.getByText("db-2 <b>is</b> down").waitFor();
    await phone
      .getByText(/last 7 days/)
      .first()
      .waitFor();
    await assertAccessible(phone, "overview at 360 px");
  });

  await step("the range is part of the address", async () => {
    await page
      .getByRole("radio", { name: "24 h" })
      .or(page.getByText("24 h", { exact: true }))
      .first()
      .click();
    await page
      .getByText(/last 24 hours/)
      .first()
      .waitFor();
    assert.match(page.url(), /range=24h/);
  });

  await step("acknowledge removes it, and what is watched is left", async () => {
    await attention.getByRole("button", { name: "Acknowledge" }).click();
    await attention.getByText("db-2 <b>is</b> down").waitFor({ state: "detached" });
    await attention.getByText("Nothing needs you").waitFor();
    await attention.getByText(/Watched: 1 rule/).waitFor();
    await assertAccessible(page, "overview without lines");
  });

  await step("new events and figures arrive without a reload", async () => {
    await prism.post("/api/v1/events", { type: "later", payload: { message: "مرحبا" } });
    await page.getByRole("table", { name: "Latest events" }).getByText("later").waitFor();
    await page.getByRole("link", { name: /^Events\s*2/ }).waitFor();
  });

  await step("a plain user sees own work, and nothing of the server", async () => {
    const own = await console.open("/", { as: "ben" });
    await own.getByText("1 notification waits for you.").waitFor();
    await own.getByRole("table", { name: "Unread notifications" }).getByText("db-2 <b>is</b> down").waitFor();
    await own.getByText("No open tasks").waitFor();
    await own.getByText("No messages", { exact: true }).waitFor();
    assert.equal(await own.getByText("Latest events").count(), 0);
    assert.equal(await own.getByText(/The server works/).count(), 0);
    await assertAccessible(own, "overview of a user");
    await own.getByRole("region", { name: "Needs attention" }).getByRole("button", { name: "Acknowledge" }).click();
    await own.getByText("Nothing unread").waitFor();
  });
  console.assertClean();
});

test("a schedule of a policy without anyone on call is in the list of what needs attention, until someone is", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  await prism.post("/api/v1/events", { type: "first", payload: {} });
  const { body } = await prism.post<{ id: string }>("/api/v1/oncall/schedules", { name: "Web shop", timezone: "UTC" });
  const steps = [{ type: "notify", schedules: [{ id: body.id }] }];
  assert.equal((await prism.post("/api/v1/policies", { name: "Night", steps })).status, 201);
  for (const width of [1280, 390]) {
    const page = await console.open("/", { width });
    const attention = page.getByRole("region", { name: "Needs attention" });
    const line = attention.getByRole("listitem").filter({ hasText: "No one is on call on Web shop" });
    await line.getByText("The policy Night would notify no one else").waitFor();
    await page.getByText("1 other thing.").waitFor();
    await assertAccessible(page, `a gap on call at ${width} px`);
    await line.getByRole("link", { name: "Show" }).click();
    await page.waitForURL(new RegExp(`/oncall/${body.id}`));
    await page.getByText("No one is on call now.").waitFor();
    if (width === 1280) await page.close();
    else {
      await page.goBack();
      await line.waitFor();
      const override = {
        ...{ start: new Date(Date.now() - 60_000).toISOString(), end: new Date(Date.now() + 3_600_000).toISOString() },
        users: ["admin"],
      };
      const saved = await prism.post(`/api/v1/oncall/schedules/${body.id}/overrides`, override);
      assert.equal(saved.status, 201, saved.text);
      await line.waitFor({ state: "detached" });
      await page.getByRole("region", { name: "On call" }).getByText(", then no one").waitFor();
    }
  }
  console.assertClean();
});

test("operators resume queues and channels and retry dead jobs where they see them", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const { offers, base } = prism.parts;
  await prism.post("/api/v1/events", { type: "first", payload: {} });
  await prism.post("/api/v1/queues/digest/pause");
  const mail = offers.channels.of("email");
  assert.ok(mail);
  offers.circuits.of(mail, "").open(new Error("mail.example.org refused the connection"));
  let isHealthy = false;
  offers.runner.handle("test.dies", () => (isHealthy ? Promise.resolve() : Promise.reject(new Error("no"))));
  await offers.jobs.enqueue({
    queue: "timers",
    kind: "test.dies",
    payload: {},
    runAt: base.clock.now(),
    maxAttempts: 1,
  });
  const page = await console.open("/");
  const attention = page.getByRole("region", { name: "Needs attention" });
  const row = (title: string) => attention.locator(".attention").filter({ hasText: title });
  await row("Mail is paused").getByText("mail.example.org refused the connection").waitFor();
  await row("Mail is paused").getByRole("button", { name: "Retry now" }).click();
  await row("Mail is paused").waitFor({ state: "detached" });
  const server = page.getByRole("region", { name: "Server" });
  const ofServer = (title: string) => server.locator(".attention").filter({ hasText: title });
  await ofServer("Queue digest is paused").getByRole("button", { name: "Resume" }).click();
  await ofServer("Queue digest is paused").waitFor({ state: "detached" });
  isHealthy = true;
  await ofServer("1 job failed in timers").getByRole("button", { name: "Retry" }).click();
  const question = page.getByRole("dialog", { name: "Retry 1 dead job?" });
  await question.getByText(/1 dead job of the queue timers/).waitFor();
  await question.getByRole("button", { name: "Retry" }).click();
  await ofServer("1 job failed in timers").waitFor({ state: "detached" });
  console.assertClean();
});

test("a user who reads no project has an overview of the own work, and the page of an incident that paged the user", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const ben = await console.person("ben", ["User"]);
  const { defaultProjectId } = prism.parts.offers;
  const policy = { name: "default", steps: [{ type: "notify", users: [ben.id] }] };
  assert.equal((await prism.put(`/api/v1/policies/${defaultProjectId}`, policy)).status, 200);
  await prism.post("/api/v1/alerts", { alerts: [{ labels: { alertname: "DiskFull" } }] });
  const [incident] = await eventually("the incident", async () => {
    const { body } = await prism.get<{ data: { id: string }[] }>("/api/v1/incidents?mine=true", { token: ben.token });
    return body.data.length > 0 ? body.data : undefined;
  });
  const page = await console.open("/", { as: "ben" });
  await console.shown(page);
  const menu = page.getByRole("navigation", { name: "Main" });
  await menu.getByRole("button", { name: "Operate" }).click();
  await menu.getByRole("link", { name: "Tasks", exact: true }).waitFor();
  assert.equal(await menu.getByRole("link", { name: "Events", exact: true }).count(), 0);
  await console.visit(page, "/projects");
  await page.getByRole("heading", { level: 1, name: "Projects" }).waitFor();
  await console.visit(page, `/incidents/${incident?.id}`);
  await page.getByRole("heading", { level: 1 }).filter({ hasText: "DiskFull" }).waitFor();
  await page
    .getByRole("button", { name: /^Acknowledge/ })
    .first()
    .click();
  await page.getByText("Acknowledged").first().waitFor();
  console.assertClean();
});

test("a member of one project who is on call and paged in another is not told that all is quiet", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const ben = await console.person("ben", ["User"]);
  const { defaultProjectId } = prism.parts.offers;
  const project = await prism.post<{ id: string }>("/api/v1/projects", { name: "Shop", slug: "shop" });
  assert.equal(project.status, 201, project.text);
  const member = await prism.post(`/api/v1/projects/${project.body.id}/members`, { userId: ben.id, role: "editor" });
  assert.ok(member.status < 300, member.text);
  const schedule = await prism.post<{ id: string }>("/api/v1/oncall/schedules", { name: "Database", timezone: "UTC" });
  assert.equal(schedule.status, 201, schedule.text);
  const shift = {
    ...{ name: "Always", start: "2026-01-01T00:00:00", durationMs: 86_400_000 },
    ...{ recurrence: { frequency: "daily" }, turns: [["ben"]] },
  };
  const made = await prism.post(`/api/v1/oncall/schedules/${schedule.body.id}/shifts`, shift);
  assert.equal(made.status, 201, made.text);
  const policy = { name: "default", steps: [{ type: "notify", users: [ben.id] }] };
  assert.equal((await prism.put(`/api/v1/policies/${defaultProjectId}`, policy)).status, 200);
  await prism.post("/api/v1/alerts", { alerts: [{ labels: { alertname: "DiskFull" } }] });
  const counts = async () => (await prism.get<IncidentCounts>("/api/v1/incidents/counts", { token: ben.token })).body;
  await eventually("the incident", async () => (await counts()).mineElsewhere === 1);
  assert.deepEqual([(await counts()).waiting, (await counts()).mine], [0, 1]);
  const page = await console.open("/", { as: "ben" });
  const attention = page.getByRole("region", { name: "Needs attention" });
  await attention.getByText("You were notified of 1 incident", { exact: true }).waitFor();
  await page.getByText("You were notified of 1 incident.", { exact: true }).waitFor();
  await page.getByText(/^You are on call until .*Database/).waitFor();
  assert.equal(await page.getByText(/Nothing needs you|No schedule says/).count(), 0);
  await assertAccessible(page, "overview of a paged member of another project");
  await console.visit(page, "/incidents");
  await page.locator(".empty").getByText("You were notified of 1 incident", { exact: true }).waitFor();
  assert.equal(await page.getByText("All is quiet").count(), 0);
  await console.visit(page, "/oncall");
  await page.getByText("You have shifts on Database").waitFor();
  await console.visit(page, "/incidents");
  await page.getByRole("link", { name: "Show mine" }).click();
  await page.getByRole("link", { name: /DiskFull/ }).waitFor();
  console.assertClean();
});

test("the overview tells who is on call and next, what needs people and how many alerts began, to administrators and members", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const ada = await console.person("ada", ["User"]);
  const grace = await console.person("grace", ["User"]);
  for (const { id } of [ada, grace])
    await prism.post("/api/v1/projects/default/members", { userId: id, role: "editor" });
  const { body: schedule } = await prism.post<{ id: string }>("/api/v1/oncall/schedules", {
    name: "Database",
    timezone: "UTC",
  });
  const start = `${new Date(Date.now() - 86_400_000).toISOString().slice(0, 10)}T00:00:00`;
  const rotation = {
    ...{ name: "Weeks", start, durationMs: 7 * 86_400_000 },
    ...{ recurrence: { frequency: "weekly" }, turns: [["ada"], ["grace"]] },
  };
  assert.equal((await prism.post(`/api/v1/oncall/schedules/${schedule.id}/shifts`, rotation)).status, 201);
  await prism.post("/api/v1/oncall/schedules", { name: "Network", timezone: "UTC" });
  const policy = { name: "default", steps: [{ type: "notify", users: [ada.id] }] };
  await prism.put(`/api/v1/policies/${prism.parts.offers.defaultProjectId}`, policy);
  const routes = { route: { policy: "default", groupBy: ["alertname"], groupWaitMs: 0 } };
  assert.equal((await prism.put("/api/v1/routes", routes)).status, 200);
  const alerts = ["DiskFull", "HostDown", "LinkDown"].map((alertname, n) => ({
    labels: { alertname, severity: n === 0 ? "critical" : "warning" },
  }));
  await prism.post("/api/v1/alerts", { alerts });
  const silence = {
    matchers: [{ name: "alertname", value: "LinkDown" }],
    startsAt: new Date().toISOString(),
    endsAt: new Date(Date.now() + 3_600_000).toISOString(),
    comment: "maintenance",
  };
  assert.equal((await prism.post("/api/v1/silences", silence)).status, 201);
  const incidents = await eventually("the incidents", async () => {
    const { body } = await prism.get<{ data: { id: string; title: string }[] }>("/api/v1/incidents");
    return body.data.length === 3 ? body.data : undefined;
  });
  const disk = incidents.find(({ title }) => title.includes("DiskFull"));
  await prism.post(`/api/v1/incidents/${disk?.id}/acknowledge`, {});
  const step = stepsOf(t);

  const seen = async (page: Page, mine: number) => {
    const onCall = page.getByRole("region", { name: "On call" });
    const database = onCall.getByRole("listitem").filter({ hasText: "Database" });
    await database.getByText("ada", { exact: true }).waitFor();
    await database.getByText(/^until \w{3} \d+ \w{3} 00:00$/).waitFor();
    await database.getByText("Next: grace").waitFor();
    await onCall.getByRole("listitem").filter({ hasText: "Network" }).getByText("No one is on call").waitFor();
    await page.getByRole("link", { name: new RegExp(`^Mine\\s*${mine}`) }).waitFor();
    await page.getByRole("link", { name: /^Open\s*1\s*and 1 quiet/ }).waitFor();
    await page.getByRole("link", { name: /^Acknowledged\s*1/ }).waitFor();
    await page.getByText("1 open incident.").waitFor();
    const day = page.getByRole("figure", { name: "Alerts, last 24 hours" });
    await day.getByText("1 critical", { exact: true }).waitFor();
    await day.getByText("2 warning", { exact: true }).waitFor();
    assert.equal(await day.locator(".hist-axis span").last().innerText(), "now", "the axis ends now");
    const table = day.getByRole("table", { name: "Alerts, last 24 hours" });
    assert.ok((await table.getByRole("row").count()) >= 2, "the numbers as a table");
  };

  await step("an administrator sees it, and the server below", async () => {
    const first = await console.open("/account");
    const page = await first.context().newPage();
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.goto(`${prism.url}/dashboard/`);
    await seen(page, 0);
    for (const path of ["/oncall/now", "/oncall/shifts", "/alerts/stats"])
      assert.equal(asked.filter((url) => url.includes(`/api/v1${path}`)).length, 1, `${path} is requested once`);
    await page.getByText("You are not on call in the next 30 days.").waitFor();
    await page
      .getByRole("region", { name: "Server" })
      .getByText(/The server works/)
      .waitFor();
    const badge = page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: /^Incidents/ });
    await badge.getByText("1", { exact: true }).waitFor();
    await assertAccessible(page, "overview with on-call");
    await page.getByRole("link", { name: /^Open\s*1/ }).click();
    await page.getByText("1 incident waits, 1 acknowledged or snoozed, 1 quiet.").waitFor();
  });

  await step("a person who is on call sees until when, the own incidents, and nothing of the server", async () => {
    for (const [as, text, mine] of [
      ["ada", /^You are on call until \w{3} \d+ \w{3} 00:00 \(Database\)\.$/, 3],
      ["grace", /^Your next shift: .* \(Database\)\.$/, 0],
    ] as const) {
      const own = await console.open("/", { as });
      await own.getByText(text).waitFor();
      await seen(own, mine);
      assert.equal(await own.getByRole("region", { name: "Server" }).count(), 0);
      await assertAccessible(own, `overview of ${as}`);
    }
  });

  await step("it fits a phone, and the alerts of a time are a press away", async () => {
    const phone = await console.open("/", { as: "ada", width: 360, theme: "dark" });
    await seen(phone, 3);
    await assertAccessible(phone, "overview at 360 px");
    const tab = phone.getByRole("navigation", { name: "Main, phone" }).getByRole("link", { name: /^Incidents/ });
    const number = tab.locator(".n");
    await number.waitFor();
    // The longest one that is shown.
    await number.evaluate((node) => {
      node.textContent = "99+";
    });
    const [link, icon, count] = await Promise.all([tab, tab.locator("svg"), number].map((each) => each.boundingBox()));
    assert.ok(link && icon && count && count.x >= icon.x + icon.width - 2, "the number does not cover the icon");
    assert.ok(count.x + count.width <= link.x + link.width + 12, "and stays beside it");
    const plot = phone.getByRole("group", { name: /^Alerts, last 24 hours/ });
    await plot.focus();
    await phone.keyboard.press("End");
    await phone.keyboard.press("Enter");
    await phone.getByRole("heading", { level: 1, name: "Alerts" }).waitFor();
    assert.match(phone.url(), /from=.*&to=/);
  });
  console.assertClean();
});
