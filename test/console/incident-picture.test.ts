import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { Page } from "playwright-core";
import { consoleModule } from "../helpers/console-module.ts";
import { eventually } from "../helpers/eventually.ts";
import { answered } from "../helpers/prism.ts";
import { stepsOf } from "../helpers/steps.ts";
import { startRecorder } from "../helpers/webhook-recorder.ts";
import { assertAccessible, type ConsoleTest, startConsole } from "./helpers.ts";

const MINUTE = 60_000;
const ago = (minutes: number): string => new Date(Date.now() - minutes * MINUTE).toISOString();

interface Fired {
  readonly instance: string;
  readonly minutes?: number;
  readonly severity?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly status?: "firing" | "resolved";
}

/** Fires alerts DiskFull, each with its instance as its key. */
async function fire({ prism }: ConsoleTest, fired: readonly Fired[]): Promise<void> {
  const alerts = fired.map(({ instance, minutes = 0, severity = "critical", annotations = {}, status = "firing" }) => ({
    ...{ key: instance, status, annotations, startsAt: ago(minutes) },
    labels: { alertname: "DiskFull", instance, severity },
  }));
  await answered(200, prism.post("/api/v1/alerts", { alerts }));
}

async function newest({ prism }: ConsoleTest): Promise<string> {
  const { body } = await prism.get<{ data: { id: string }[] }>("/api/v1/incidents?limit=1");
  return body.data[0]?.id ?? "";
}

async function act({ prism }: ConsoleTest, id: string, action: string, body: object = {}, token?: string) {
  const options = token === undefined ? {} : { token };
  return answered(200, prism.request("POST", `/api/v1/incidents/${id}/${action}`, body, options));
}

const picture = (page: Page) => page.getByRole("slider", { name: /^Moments of the incident/ });

/** The names of the lanes, from the first one. */
const lanesOf = (page: Page): Promise<string[]> =>
  page.locator(".life-row:has([data-lane]) .life-name").allInnerTexts();

function lane(page: Page, name: string) {
  return page.locator(".life-row").filter({ has: page.locator(".life-name", { hasText: new RegExp(`^${name}$`) }) });
}

/** What the keys reach, from the first moment to the last. */
async function momentsOf(page: Page): Promise<string[]> {
  const scale = picture(page);
  await scale.focus();
  await page.keyboard.press("Home");
  const count = Number(await scale.getAttribute("aria-valuemax"));
  const found: string[] = [];
  for (let at = 1; at <= count; at += 1) {
    await eventually("the key is taken", async () => (await scale.getAttribute("aria-valuenow")) === `${at}`);
    found.push((await scale.getAttribute("aria-valuetext")) ?? "");
    await page.keyboard.press("ArrowRight");
  }
  return found;
}

async function assertOnFirstScreen(page: Page, text: RegExp): Promise<void> {
  const found = page.locator(".next-call").filter({ hasText: text });
  await found.waitFor();
  const box = await found.boundingBox();
  const bar = await page.locator(".incident-bar").boundingBox();
  const bottom = bar === null ? 900 : bar.y;
  assert.ok(box && box.y >= 0 && box.y + box.height <= bottom, `who is called next stands at ${box?.y} px`);
}

/** A person who is paged by a webhook of its own. */
async function pagedPerson(console: ConsoleTest, name: string, url: string) {
  const person = await console.person(name, ["User"]);
  const { prism } = console;
  const own = await answered(201, prism.post<{ id: string }>("/api/v1/webhooks", { url }));
  await prism.services.db.write((trx) =>
    trx.updateTable("webhooks").set({ userId: person.id }).where("id", "=", own.body.id).execute(),
  );
  const rules = { high: [{ afterMs: 0, channels: ["in_app", "webhook"] }], low: [] };
  await answered(200, prism.put("/api/v1/users/me/contact-rules", rules, { token: person.token }));
  return person;
}

/** A server with two people, of whom the second one is called five minutes after the first one. */
async function startNight(t: TestContext) {
  const console = await startConsole(t);
  if (!console) return undefined;
  const { prism } = console;
  const hook = await startRecorder<object>(t);
  const ada = await pagedPerson(console, "ada", hook.url);
  const grace = await pagedPerson(console, "grace", hook.url);
  const steps = [
    { type: "notify", users: [ada.id] },
    { type: "wait", ms: 5 * MINUTE },
    { type: "notify", users: [grace.id] },
  ];
  await answered(201, prism.post("/api/v1/policies", { name: "Disks", steps }));
  const route = { policy: "Disks", groupWaitMs: 0, groupBy: ["alertname"] };
  await answered(200, prism.put("/api/v1/routes", { route }));
  return { console, ada, grace, hook };
}

test("an open incident is a picture of its alerts, steps and pages, which is live, and says who is called next", async (t) => {
  const night = await startNight(t);
  if (!night) return;
  const { console, ada, grace } = night;
  const { prism } = console;
  await fire(console, [
    { instance: "db-1", minutes: 20 },
    { instance: "db-2", minutes: 2, severity: "warning" },
  ]);
  const id = await newest(console);
  const page = await console.open(`/incidents/${id}`);
  const step = stepsOf(t);

  await step("alerts, steps and people have lanes; the page was sent and arrived", async () => {
    await lane(page, "ada").locator(".life-mark.sign-arrived").waitFor();
    assert.deepEqual(await lanesOf(page), ["db-1", "db-2", "Steps", "ada"]);
    await lane(page, "db-1").locator(".life-bar.of-sev-critical.open").getByText("critical").waitFor();
    await lane(page, "db-2").locator(".life-bar.of-sev-warning").waitFor();
    await page.locator(".life-now").getByText("now", { exact: true }).waitFor();
    await lane(page, "Steps").locator(".life-mark.sign-planned").getByText("3").waitFor();
    const x = async (selector: string) => (await page.locator(selector).first().boundingBox())?.x ?? 0;
    assert.ok((await x(".life-now")) < (await x(".life-mark.sign-planned")), "what comes is right of now");
  });

  await step("who is called next and when stands on the first screen", async () => {
    await assertOnFirstScreen(page, /Next: grace in [45] min/);
    await assertAccessible(page, "an open incident");
  });

  await step("it is seen, acknowledged and joined by others while the page is open", async () => {
    const own = await prism.get<{ data: { id: string }[] }>("/api/v1/notifications", { token: ada.token });
    await answered(200, prism.patch(`/api/v1/notifications/${own.body.data[0]?.id}/read`, {}, { token: ada.token }));
    await act(console, id, "responders", { users: [grace.id] });
    await lane(page, "grace").locator(".life-mark").first().waitFor();
    await page.getByText("has seen it").first().waitFor();
    await fire(console, [{ instance: "db-3" }]);
    await lane(page, "db-3").waitFor();
    await act(console, id, "acknowledge", {}, ada.token);
    await lane(page, "Acknowledged").locator(".life-bar.of-held.open").waitFor();
    await page.locator(".next-call").getByText("grace, of the new alerts").waitFor();
  });

  await step("the keys go from moment to moment, and each says its time and what it is", async () => {
    const moments = await momentsOf(page);
    const all = moments.join("\n");
    assert.match(moments[0] ?? "", /^db-1: since .*\d\d:\d\d:\d\d \(2\d\smin.*\) db-1 is firing, critical/);
    for (const text of [
      /^Steps: \d\d:\d\d:\d\d Step 1 notified with high urgency: ada/m,
      /\d\d:\d\d:\d\d ada: paged by step 1/,
      /\d\d:\d\d:\d\d ada: arrived by webhook/,
      /\d\d:\d\d:\d\d ada has seen it/,
      /grace: asked for help/,
      /^Acknowledged: since .* acknowledged by ada/m,
    ])
      assert.match(all, text);
    await page.keyboard.press("Home");
    const tip = page.locator(".life-tip");
    await tip.getByText("db-1 is firing, critical").waitFor();
    await assertAccessible(page, "the picture with a moment");
    await page.keyboard.press("Escape");
    await tip.waitFor({ state: "detached" });
  });

  await step("so does the pointer", async () => {
    await lane(page, "db-2").locator(".life-bar").hover();
    await page.locator(".life-tip").getByText("db-2 is firing, warning").waitFor();
    await page.getByRole("heading", { name: "DiskFull", exact: true }).hover();
    await page.locator(".life-tip").waitFor({ state: "detached" });
  });

  await step("the list of sentences stays beside it", async () => {
    const timeline = page.getByRole("list", { name: "Timeline" });
    await timeline.getByText("ada acknowledged it").waitFor();
    await timeline.getByText("The incident was opened by").waitFor();
  });
  console.assertClean();
});

test("a snooze, a silence, the end of an alert and its return are in the picture, in the dark and on a phone", async (t) => {
  const night = await startNight(t);
  if (!night) return;
  const { console } = night;
  const { prism } = console;
  await fire(console, [
    { instance: "db-1", minutes: 9 },
    { instance: "db-2", minutes: 8 },
  ]);
  const id = await newest(console);
  await fire(console, [{ instance: "db-1", status: "resolved" }]);
  await fire(console, [{ instance: "db-1" }]);
  await act(console, id, "snooze", { durationMs: 10 * MINUTE });
  const phone = await console.open(`/incidents/${id}`, { width: 360, theme: "dark" });
  await lane(phone, "Snoozed").locator(".life-bar.of-snoozed").waitFor();
  assert.equal(await lane(phone, "db-1").locator(".life-bar").count(), 2, "it fired and fires again");
  await lane(phone, "db-1").locator(".life-mark.sign-ended").waitFor();
  await assertOnFirstScreen(phone, /Next: ada in (9|10) min, when the snooze ends/);
  await assertAccessible(phone, "a snoozed incident on a phone");
  const names = await phone
    .locator(".life-name")
    .evaluateAll((all) => all.map((each) => each.scrollWidth > each.clientWidth));
  assert.ok(names.every((isCut) => !isCut));

  await act(console, id, "unsnooze");
  const silence = { matchers: ['alertname="DiskFull"'], durationMs: 30 * MINUTE, comment: "Disks are exchanged" };
  await answered(201, prism.post("/api/v1/silences", silence));
  await lane(phone, "Silenced").locator(".life-bar.of-silenced").waitFor();
  await phone.locator(".next-call").getByText("its alerts are silenced").waitFor();
  await phone.locator(".page-h1").getByText("silenced", { exact: true }).waitFor();
  const moments = (await momentsOf(phone)).join("\n");
  assert.match(moments, /^Snoozed: .*\(\d.*\) Someone|^Snoozed: .* snoozed it until/m);
  assert.match(moments, /^Silenced: since .* silenced from .* to /m);
  assert.match(moments, /^db-1: .* db-1 was resolved/m);
  assert.match(moments, /^db-1: since .* db-1 is firing again, critical/m);
  await assertAccessible(phone, "a silenced incident on a phone");

  await act(console, id, "resolve");
  await phone.locator(".life-now").waitFor({ state: "detached" });
  assert.equal(await phone.locator(".next-call").count(), 0);
  await assertAccessible(phone, "a resolved incident on a phone");
  const page = await console.open(`/incidents/${id}`);
  await picture(page).waitFor();
  await assertAccessible(page, "a resolved incident");
  console.assertClean();
});

/** Not by its own types: these are of the console's modules, which need its compiler options. */
interface DrawModule {
  drawingOf(
    picture: object,
    width: number,
  ): {
    readonly moments: readonly object[];
    readonly lanes: readonly { readonly spots: readonly { readonly x: number; readonly count: number }[] }[];
  };
  momentAt(moments: readonly object[], lane: number, x: number, width: number): number | null;
}

test("on a phone marks do not touch each other, and each can be hit by a finger and read", async (t) => {
  const { drawingOf, momentAt } = await consoleModule<DrawModule>("pages/incidents/picture/draw.ts");
  const WIDTH = 240;
  const HOUR = 60 * MINUTE;
  const marks = Array.from({ length: 30 }, (_, n) => ({
    ...{ at: (n * n * HOUR) / 900, sign: "sent" as const, text: `page ${n}` },
  }));
  const next = { at: 0.97 * HOUR, sign: "planned" as const, text: "next", label: "2" };
  const lanes = [{ key: "steps", name: "Steps", marks: [...marks, next] }];
  const { moments, lanes: drawn } = drawingOf({ from: 0, to: HOUR, now: 0.96 * HOUR, lanes }, WIDTH);
  const spots = drawn[0]?.spots ?? [];
  assert.equal(
    spots.reduce((sum, { count }) => sum + count, 0),
    31,
  );
  for (const [index, { x }] of spots.entries()) {
    const before = spots[index - 1];
    if (before) assert.ok((x - before.x) * WIDTH >= 39.9, `${(x - before.x) * WIDTH} px beside ${index}`);
    assert.equal(momentAt(moments, 0, x + 16 / WIDTH, WIDTH), index, "a finger beside its middle");
  }

  const night = await startNight(t);
  if (!night) return;
  const { console, ada } = night;
  await fire(console, [{ instance: "db-1", minutes: 20 }]);
  const id = await newest(console);
  for (const action of ["acknowledge", "unacknowledge", "acknowledge"]) await act(console, id, action, {}, ada.token);
  const phone = await console.open(`/incidents/${id}`, { width: 390 });
  const own = lane(phone, "ada");
  await own.locator(".life-mark.sign-acknowledged").waitFor();
  await own.evaluate((node) => node.scrollIntoView({ block: "center" }));
  const spot = await own.locator(".life-mark").last().boundingBox();
  const row = await own.locator(".life-track").boundingBox();
  assert.ok(spot && row && row.height >= 40, `a lane is ${row?.height} px high`);
  await phone.mouse.click(spot.x + spot.width / 2 - 16, row.y + row.height - 3);
  const tip = phone.locator(".life-tip");
  for (const text of [/paged by step 1$/, /ada acknowledged it/]) await tip.getByText(text).first().waitFor();
  assert.equal(await tip.getByText(/ada acknowledged it/).count(), 2, "also what is in the same place");
  const box = await tip.boundingBox();
  assert.ok(box && box.x >= 0 && box.x + box.width <= 390, "the text is whole");
  await assertAccessible(phone, "a moment on a phone");
  console.assertClean();
});

test("five thousand alerts and many people are summed up: one lane of alerts, a dozen lanes at most", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const people = [];
  for (let at = 0; at < 7; at += 1) people.push((await console.person(`person${at}`, ["User"])).id);
  const steps = [{ type: "notify", users: people }];
  await answered(201, prism.post("/api/v1/policies", { name: "All", steps }));
  await answered(
    200,
    prism.put("/api/v1/routes", { route: { policy: "All", groupWaitMs: 0, groupBy: ["alertname"] } }),
  );
  const all = Array.from({ length: 5000 }, (_, index) => ({ instance: `db-${index}`, minutes: 5 }));
  for (let at = 0; at < all.length; at += 1000) await fire(console, all.slice(at, at + 1000));
  const id = await newest(console);
  await fire(
    console,
    all.slice(0, 1000).map((each) => ({ ...each, status: "resolved" as const })),
  );
  const page = await console.open(`/incidents/${id}`);
  await lane(page, "5.000 alerts").locator(".life-levels").waitFor();
  const lanes = await lanesOf(page);
  assert.deepEqual(lanes, [lanes[0], "Steps", "person0", "person1", "person2", "4 other people"]);
  await page.getByText("4000 of 5000 alerts firing").waitFor();
  const moments = await momentsOf(page);
  assert.ok(
    moments.some((text) => /alerts: \d\d:\d\d:\d\d 4000 firing/.test(text)),
    moments.join("\n"),
  );
  assert.ok(moments.length < 100, `${moments.length} moments`);
  await assertAccessible(page, "an incident of 5000 alerts");
  console.assertClean();
});

test("it was here before: how often, how long it took, what became of it, with the ways to help", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const annotations = {
    summary: "The disk of db-1 is full",
    runbook_url: "https://wiki.example.org/disk",
    dashboardURL: "https://grafana.example.org/d/disk",
    dashboard: "javascript:alert(1)",
    owner: "https://people.example.org/db",
  };
  const alert = {
    labels: { alertname: "DiskFull", instance: "db-1" },
    annotations,
    generatorUrl: "https://prometheus.example.org/graph?g0.expr=up",
  };
  const again = () => answered(200, console.prism.post("/api/v1/alerts", { alerts: [alert] }));
  for (let round = 0; round < 6; round += 1) {
    await again();
    const id = await newest(console);
    if (round === 5) await act(console, id, "notes", { text: "Logs were not rotated" });
    await act(console, id, "acknowledge");
    await act(console, id, "resolve");
  }
  await again();
  const id = await newest(console);
  const page = await console.open(`/incidents/${id}`, { width: 390 });
  await page
    .getByText(/7th in 30 days, median \d/)
    .first()
    .waitFor();
  const before = page.getByRole("list", { name: "Earlier occurrences" });
  assert.equal(await before.getByRole("listitem").count(), 5);
  await before.getByText("Logs were not rotated").waitFor();
  await before
    .getByText(/acknowledged by/)
    .first()
    .waitFor();
  const brief = page.getByRole("region", { name: "At a glance" });
  const links = await brief.getByRole("link").evaluateAll((found) =>
    found.map((each) => {
      const { textContent, href, target, rel } = each as HTMLAnchorElement;
      return [textContent, href, target, rel];
    }),
  );
  const away = ["_blank", "noreferrer noopener"];
  assert.deepEqual(links, [
    ["Runbook", annotations.runbook_url, ...away],
    ["Dashboard", annotations.dashboardURL, ...away],
    ["Source", alert.generatorUrl, ...away],
  ]);
  const box = await brief.getByText(/7th in 30 days/).boundingBox();
  assert.ok(box && box.y < 700, `whether it was here before stands at ${box?.y} px`);
  await assertAccessible(page, "an incident that was here before, on a phone");
  await before.getByRole("link", { name: "#6" }).click();
  await page
    .getByText(/6th in 30 days/)
    .first()
    .waitFor();
  console.assertClean();
});

test("a note is typed in place, kept over a reload, and sent with Ctrl Enter, also after the end", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  await fire(console, [{ instance: "db-1" }]);
  const id = await newest(console);
  const page = await console.open(`/incidents/${id}`);
  const note = page.getByRole("textbox", { name: "Note" });
  const timeline = page.getByRole("list", { name: "Timeline" });
  await page.locator(".page-actions").getByRole("button", { name: "More actions" }).click();
  await page.getByRole("menuitem", { name: "Add a note" }).click();
  await eventually("the note has the focus", () => note.evaluate((field) => field === document.activeElement));
  await page.keyboard.type("Called the data <b>centre</b>");
  await page.reload();
  await eventually("the draft is there", async () => (await note.inputValue()) === "Called the data <b>centre</b>");
  await note.press("Enter");
  await note.press("Control+Enter");
  await timeline.getByText("Called the data <b>centre</b>").waitFor();
  assert.equal(await note.inputValue(), "");
  await act(console, id, "resolve");
  await page.locator(".page-h1").getByText("resolved", { exact: true }).waitFor();
  await note.fill("Disk was replaced");
  await page.getByRole("button", { name: "Add note" }).click();
  await timeline.getByText("Disk was replaced").waitFor();
  await page.reload();
  await timeline.getByText("Disk was replaced").waitFor();
  assert.equal(await note.inputValue(), "", "what was sent is no draft");
  console.assertClean();
});

test("the title is whole at every width, and data colours stand out in both themes", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const alerts = [{ labels: { alertname: "ReplicationLagOfTheMainCluster", cluster: "main-in-frankfurt" } }];
  const route = { policy: "default", groupBy: ["alertname", "cluster"], groupWaitMs: 0 };
  await answered(200, console.prism.put("/api/v1/routes", { route }));
  await answered(200, console.prism.post("/api/v1/alerts", { alerts }));
  const path = `/incidents/${await newest(console)}`;
  for (const theme of ["light", "dark"] as const) {
    const page = await console.open(path, { theme });
    await picture(page).waitFor();
    for (const width of theme === "light" ? [360, 768, 1024, 1280, 1440] : [1280]) {
      await page.setViewportSize({ width, height: 900 });
      const title = page.getByRole("heading", { level: 1 });
      assert.equal(await title.innerText(), "ReplicationLagOfTheMainCluster (cluster=main-in-frankfurt)");
      const [isCut, covers] = await title.evaluate((h1) => {
        const { left, right, top, bottom } = h1.getBoundingClientRect();
        const buttons = [...document.querySelectorAll(".page-actions .btn")].map((each) =>
          each.getBoundingClientRect(),
        );
        const isOver = buttons.some(
          (b) => b.width > 0 && b.left < right && b.right > left && b.top < bottom && b.bottom > top,
        );
        return [h1.scrollWidth > h1.clientWidth + 1, isOver];
      });
      assert.deepEqual([isCut, covers], [false, false], `the title at ${width} px`);
    }
    const ratios = await page.evaluate(() => {
      const rgb = (token: string): number[] => {
        const probe = document.createElement("i");
        probe.style.color = `var(--${token})`;
        document.body.append(probe);
        const found = getComputedStyle(probe).color.match(/[\d.]+/g) ?? [];
        probe.remove();
        return found.slice(0, 3).map(Number);
      };
      const light = (token: string): number => {
        const [r = 0, g = 0, b = 0] = rgb(token).map((value) =>
          value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4,
        );
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const ratio = (a: number, b: number): number => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      return ["critical", "error", "warning", "info", "none"].map((name) =>
        Math.min(ratio(light(`severity-${name}`), light("surface")), ratio(light(`severity-${name}`), light("bg"))),
      );
    });
    assert.ok(
      ratios.every((ratio) => ratio >= 3),
      `${theme}: ${ratios.join()}`,
    );
  }
  console.assertClean();
});
