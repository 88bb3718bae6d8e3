import assert from "node:assert/strict";
import test from "node:test";
import { stepsOf } from "../helpers/steps.ts";
import { countClicks } from "./clicks.ts";
import { assertAccessible, type ConsoleTest, startConsole } from "./helpers.ts";

/* What a person does at night, by the number of clicks that it takes. */

const WIDTHS = [390, 1440];

async function fire(console: ConsoleTest, alertname: string, severity: string) {
  const labels = { alertname, severity, instance: "db-7" };
  const annotations = { summary: `${alertname} on db-7` };
  const reply = await console.prism.post("/api/v1/alerts", { alerts: [{ labels, annotations }] });
  assert.equal(reply.status, 200, reply.text);
}

test("what must I do now: an incident is taken from the overview in at most 2 clicks", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const step = stepsOf(t);
  for (const width of WIDTHS)
    await step(`at ${width} px`, async () => {
      await fire(console, `DiskFull${width}`, "critical");
      const page = await console.open("/", { width });
      const clicks = await countClicks(t, page);
      const attention = page.getByRole("region", { name: "Needs attention" });
      await attention.getByRole("link", { name: new RegExp(`DiskFull${width}`) }).waitFor();
      await attention.getByRole("button", { name: "Acknowledge" }).first().click();
      await attention.getByRole("link", { name: new RegExp(`DiskFull${width}`) }).waitFor({ state: "detached" });
      await clicks.atMost(2, "what must I do now");
    });
  console.assertClean();
});

test("what must I do now: a page's link leads to the buttons in at most 2 clicks", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const step = stepsOf(t);
  for (const width of WIDTHS)
    await step(`at ${width} px`, async () => {
      await fire(console, `DiskFull${width}`, "critical");
      const page = await console.open(`/incidents/${await idOf(console, `DiskFull${width}`)}`, { width });
      const clicks = await countClicks(t, page);
      await page.locator(".page-head").getByText("critical", { exact: true }).waitFor();
      await page.locator(".page-head").getByText(`DiskFull${width} on db-7`).waitFor();
      await page
        .getByRole("button", { name: /^Acknowledge/ })
        .locator("visible=true")
        .click();
      await page.getByRole("list", { name: "Timeline" }).getByText("You acknowledged").waitFor();
      await clicks.atMost(2, "what must I do now, from the push");
    });
  console.assertClean();
});

async function idOf({ prism }: ConsoleTest, title: string): Promise<string> {
  const { body } = await prism.get<{ data: { id: string; title: string }[] }>("/api/v1/incidents");
  return body.data.find((each) => each.title === title)?.id ?? "";
}

test("why was I not paged for this: at most 2 clicks from the overview, and why was I from the push", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const ada = await console.person("ada", ["Viewer"]);
  const ben = await console.person("ben", ["Viewer"]);
  for (const { id: userId } of [ada, ben]) {
    const added = await prism.post("/api/v1/projects/default/members", { userId, role: "editor" });
    assert.equal(added.status, 201, added.text);
  }
  const steps = [
    { type: "notify", users: [ada.id] },
    { type: "wait", ms: 3_600_000 },
    { type: "notify", users: [ben.id] },
    { type: "wait", ms: 3_600_000 },
    { type: "notify", roles: ["Admin"] },
  ];
  assert.equal((await prism.post("/api/v1/policies", { name: "Disks", steps })).status, 201);
  const route = { policy: "Disks", groupBy: ["alertname"], groupWaitMs: 0 };
  assert.equal((await prism.put("/api/v1/routes", { route })).status, 200);
  await fire(console, "DiskFull", "critical");
  const step = stepsOf(t);
  for (const width of WIDTHS)
    await step(`at ${width} px`, async () => {
      const page = await console.open("/", { as: "ben", width });
      const clicks = await countClicks(t, page);
      const attention = page.getByRole("region", { name: "Needs attention" });
      await attention.getByText(/ada notified|not reached yet: ada/).waitFor();
      await attention.getByRole("link", { name: /DiskFull/ }).click();
      await page.getByRole("button", { name: "Why was I not paged?" }).click();
      const answer = page.getByRole("dialog", { name: "Why was I not paged?" });
      await answer.getByText("You were not notified.").waitFor();
      await answer.getByText("Step 1 notified ada, not you: you are not named in it.").waitFor();
      await answer.getByText("Step 3 notifies you, but it has not run yet.").waitFor();
      await answer.getByText("Step 5 does not notify you: you do not hold the role Admin.").waitFor();
      await clicks.atMost(2, "why was I not paged");
      await assertAccessible(page, `why was I not paged at ${width} px`);

      const paged = await console.open(`/incidents/${await idOf(console, "DiskFull")}`, { as: "ada", width });
      const taps = await countClicks(t, paged);
      await paged.getByRole("button", { name: "Why was I paged?" }).click();
      await paged.getByText("You were notified.").waitFor();
      await paged.getByText("Step 1: is named in the step").waitFor();
      await taps.atMost(2, "why was I paged, from the push");
    });
  console.assertClean();
});

test("U19 Ctrl K finds receivers and channels by name and by program", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const receiver = await prism.post("/api/v1/receivers", { name: "Cellar sensors", preset: "generic" });
  assert.equal(receiver.status, 201, receiver.text);
  const fields = { url: "http://127.0.0.1:9/x" };
  const channel = await prism.post("/api/v1/channels", {
    name: "Night room",
    preset: "http",
    fields,
    projectId: "default",
  });
  assert.equal(channel.status, 201, channel.text);
  const page = await console.open("/incidents");
  await page.getByText("All is quiet").waitFor();
  for (const [text, name, path] of [
    ["cellar", "Cellar sensors", /\/connect\/receivers\//],
    ["night ro", "Night room", /\/connect\/channels\//],
  ] as const) {
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: /Search pages/ }).fill(text);
    await page.getByRole("option", { name: new RegExp(name) }).click();
    await page.getByRole("heading", { name }).waitFor();
    assert.match(page.url(), path);
  }
  console.assertClean();
});

test("a silence on a phone says why its button waits, above the bar, and offers the usual lengths", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  await fire(console, "DiskFull", "critical");
  const page = await console.open(`/incidents/${await idOf(console, "DiskFull")}/silence`, { width: 390 });
  for (const length of ["30 min", "1 h", "2 h", "4 h", "8 h"])
    await page.getByRole("radio", { name: length, exact: true }).waitFor();
  const save = page.getByRole("button", { name: "Silence", exact: true });
  await page.getByText("Add a comment: others see why").waitFor();
  const [button, bar] = [
    await save.boundingBox(),
    await page.getByRole("navigation", { name: /phone/i }).boundingBox(),
  ];
  assert.ok(
    button && bar && button.y + button.height <= bar.y,
    `the button ends at ${button?.y}, the bar starts at ${bar?.y}`,
  );
  await assertAccessible(page, "a new silence on a phone");
  await page.getByLabel("Comment").fill("Disk is ordered");
  await page.getByRole("radio", { name: "8 h" }).click();
  await save.click();
  await page.getByText("It has silenced nothing yet").waitFor();
  console.assertClean();
});
