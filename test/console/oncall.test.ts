import assert from "node:assert/strict";
import test from "node:test";
import type { Locator, Page } from "playwright-core";
import { eventually } from "../helpers/eventually.ts";
import { stepsOf } from "../helpers/steps.ts";
import { countClicks } from "./clicks.ts";
import { assertAccessible, type ConsoleTest, startConsole } from "./helpers.ts";
import { calendarTime, member } from "./oncall.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const press = (scope: Pick<Page, "getByRole">, name: string) =>
  scope.getByRole("button", { name, exact: true }).click();

test("days of a calendar have the hours of their zone, also when the clocks change", async () => {
  const { daysOf, nextWeekend, snapped, step } = await calendarTime();
  const days = daysOf("2026-10-19", "fortnight", "Europe/Berlin");
  assert.deepEqual(
    [days.length, days[0]?.date, days.at(-1)?.date, days.filter(({ hours }) => hours !== null)],
    [14, "2026-10-19", "2026-11-01", [{ ...days[6], date: "2026-10-25", hours: 25 }]],
  );
  assert.equal(new Date(days[6]?.end ?? 0).toISOString(), "2026-10-25T23:00:00.000Z");
  const march = daysOf("2026-03-15", "month", "Europe/Berlin");
  assert.deepEqual([march.length, march.find(({ hours }) => hours !== null)?.hours], [31, 23]);
  // Lord Howe's clocks move by half an hour.
  assert.equal(daysOf("2026-04-05", "fortnight", "Australia/Lord_Howe")[0]?.hours, 24.5);
  for (const day of march) assert.equal(day.start, march[march.indexOf(day) - 1]?.end ?? day.start);
  assert.equal(
    snapped(Date.parse("2026-10-25T00:20:00Z"), "fortnight", "Europe/Berlin"),
    Date.parse("2026-10-25T00:00:00Z"),
  );
  assert.equal(snapped(Date.parse("2026-10-25T20:00:00Z"), "month", "Europe/Berlin"), days[6]?.end);
  assert.deepEqual(
    [step("2026-12-31", "month", 1), step("2026-03-31", "month", -1), step("2026-11-25", "fortnight", -1)],
    ["2027-01-01", "2026-02-01", "2026-11-11"],
  );
  for (const [today, saturday] of [
    ["2026-11-20", "2026-11-21"],
    ["2026-11-21", "2026-11-28"],
    ["2026-11-22", "2026-11-28"],
    ["2026-11-23", "2026-11-28"],
  ] as const) {
    const { start, end } = nextWeekend(today, "UTC");
    assert.deepEqual([new Date(start).toISOString().slice(0, 10), end - start], [saturday, 2 * DAY], today);
  }
});

interface World {
  readonly schedule: string;
  readonly monday: string;
  readonly wednesday: string;
}

/** A schedule in Berlin: Ada and Grace take turns by week from next Monday at 09:00. */
async function makeSchedule({ prism }: ConsoleTest): Promise<World> {
  const { addDays, nextMonday } = await calendarTime();
  const monday = nextMonday(new Date().toISOString().slice(0, 10));
  const { body } = await prism.post<{ id: string }>("/api/v1/oncall/schedules", {
    name: "Database",
    timezone: "Europe/Berlin",
  });
  const shift = {
    name: "Weeks",
    start: `${monday}T09:00:00`,
    durationMs: 7 * DAY,
    recurrence: { frequency: "weekly" },
    turns: [["ada"], ["grace"]],
  };
  const reply = await prism.post(`/api/v1/oncall/schedules/${body.id}/shifts`, shift);
  assert.equal(reply.status, 201, reply.text);
  return { schedule: body.id, monday, wednesday: addDays(monday, 2) };
}

test("who is on call: a schedule is made, shown as a calendar, and changed by drag, form and swap", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const ada = await member(console, "ada");
  await member(console, "grace");
  const page = await console.open("/oncall");
  const dialog = page.getByRole("dialog");
  const step = stepsOf(t);

  await step("the empty page shows a command, and a schedule is made with a rotation", async () => {
    await page.getByText("There is no on-call schedule").waitFor();
    await page.getByText("/api/v1/oncall/schedules").waitFor();
    await page.locator(".page-head").getByRole("button", { name: "New schedule" }).click();
    await dialog.getByLabel("Name").fill("Network");
    await press(dialog, "Create schedule");
    await page.getByText("There is no rotation").waitFor();
    await page.getByRole("button", { name: "New rotation" }).first().click();
    await dialog.getByLabel("Name", { exact: false }).first().fill("Everyone");
    const field = dialog.getByLabel("Users of turn 1");
    await field.fill("ada");
    await page.getByRole("option", { name: /ada/ }).click();
    await press(dialog, "Save rotation");
    await page.getByText(/every week for 7/).waitFor();
    await assertAccessible(page, "rotations");
  });

  const { schedule, monday, wednesday } = await makeSchedule(console);
  const path = `/api/v1/oncall/schedules/${schedule}`;
  const final = page.locator(".oc-final");

  await step("the calendar has the result on top, the layers below, and marks gaps", async () => {
    await console.visit(page, `/oncall/${schedule}?at=${monday}`);
    await final.getByRole("button", { name: /^Gap, / }).waitFor();
    await final.getByRole("button", { name: /^ada, / }).waitFor();
    await page.locator(".oc-row").filter({ hasText: "Weeks" }).getByText("ada").waitFor();
    await page.locator(".oc-head").getByText("Europe/Berlin").waitFor();
    await assertAccessible(page, "calendar");
  });

  await step("a drag over the calendar makes an override, in full hours of the schedule's zone", async () => {
    const box = await final.locator(".oc-track").boundingBox();
    assert.ok(box);
    const at = (hours: number) => box.x + (box.width * hours) / (14 * 24);
    const y = box.y + box.height / 2;
    await page.mouse.move(at(48.2), y);
    await page.mouse.down();
    await page.mouse.move(at(60), y, { steps: 4 });
    await page.mouse.move(at(72.2), y);
    await page.mouse.up();
    await dialog.getByText("New override").waitFor();
    await dialog.getByLabel("On call").fill("grace");
    await page.getByRole("option", { name: /grace/ }).click();
    await dialog.getByLabel("Reason", { exact: false }).fill("Dentist");
    await press(dialog, "Save override");
    await final.getByRole("button", { name: /^grace \(override\)/ }).waitFor();
    const { body } = await prism.get<{ data: { start: string; end: string; reason: string }[] }>(`${path}/overrides`);
    const [found] = body.data;
    assert.ok(found);
    assert.deepEqual([Date.parse(found.end) - Date.parse(found.start), found.reason], [DAY, "Dentist"]);
    const clock = new Intl.DateTimeFormat("en-GB", {
      timeZone: "Europe/Berlin",
      timeStyle: "short",
      dateStyle: "short",
    });
    const day = wednesday.split("-").toReversed().join("/");
    assert.equal(clock.format(Date.parse(found.start)), `${day}, 00:00`);
  });

  await step("the keyboard does the same: a shift opens the form with its time", async () => {
    await final
      .getByRole("button", { name: /^ada, / })
      .first()
      .press("Enter");
    await dialog.getByText("New override").waitFor();
    assert.match(await dialog.getByLabel("From").inputValue(), new RegExp(`^${monday} 09:00`));
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
  });

  await step("overrides are listed and deleted; gaps are reported", async () => {
    await console.visit(page, `/oncall/${schedule}?tab=changes`);
    await page.getByText("Dentist").waitFor();
    await press(page, "Delete");
    await press(dialog, "Delete");
    await page.getByText("No override").waitFor();
    await console.visit(page, `/oncall/${schedule}?tab=gaps`);
    await page.getByText("1 gap", { exact: true }).waitFor();
  });

  await step("a calendar link is shown once", async () => {
    await console.visit(page, `/oncall/${schedule}?tab=settings`);
    await press(page, "Create a link");
    const link = (await page.locator(".secret code").textContent()) ?? "";
    assert.match(link, /calendar\.ics\?token=prc_/);
    await press(page, "I have stored it");
    await page.getByText("A link exists.").waitFor();
    assert.equal(await page.locator(".secret").count(), 0);
    await assertAccessible(page, "settings of a schedule");
  });

  await step("a user sees the own shifts on a phone and asks for a swap, which another one takes", async () => {
    const phone = await console.open("/oncall/mine", { as: "ada", width: 360 });
    await phone.getByRole("button", { name: "Ask for a swap" }).first().waitFor();
    await assertAccessible(phone, "own shifts");
    await phone
      .getByRole("row")
      .filter({ hasText: "Database" })
      .first()
      .getByRole("button", { name: "Ask for a swap" })
      .click();
    // Fingers have larger letters.
    const touch = await phone.context().newCDPSession(phone);
    await touch.send("Emulation.setTouchEmulationEnabled", { enabled: true });
    const cut = (all: readonly Element[]) => all.filter((each) => each.scrollWidth > each.clientWidth + 1).length;
    assert.equal(await phone.locator("dialog .date-in input[type=text]").evaluateAll(cut), 0);
    await phone.getByRole("dialog").getByLabel("Reason", { exact: false }).fill("Family");
    await press(phone.getByRole("dialog"), "Ask");
    await phone.getByText("The swap is requested.").waitFor();
    const asked = phone.getByRole("row").filter({ hasText: "swap asked" });
    await asked.first().waitFor();
    assert.equal(await asked.getByRole("button", { name: "Ask for a swap" }).count(), 0);
    const other = await console.open(`/oncall/${schedule}?tab=changes`, { as: "grace" });
    await press(other, "Take");
    await press(other.getByRole("dialog"), "Take");
    await other.getByText("taken", { exact: true }).waitFor();
    await eventually("grace is on call in place of ada", async () => {
      const query = `from=${monday}T12:00:00Z&to=${monday}T13:00:00Z`;
      const { text } = await prism.get(`${path}/final-shifts?${query}`);
      return text.includes("grace") && !text.includes(ada.id);
    });
    await phone.close();
    await other.close();
  });

  await step("on a phone the calendar is a list by day, with the hours of a clock change", async () => {
    // The last Sunday of next year's March.
    const change = new Date(Date.UTC(new Date().getUTCFullYear() + 1, 2, 31));
    change.setUTCDate(31 - change.getUTCDay());
    const at = change.toISOString().slice(0, 10);
    const phone = await console.open(`/oncall/${schedule}?at=${at}`, { width: 360, theme: "dark" });
    await phone.getByText(/^Times in \S+\.$/).waitFor();
    const list = phone.getByRole("list", { name: "On call by day" });
    await list.getByText("clocks change: 23 h").waitFor();
    await list.getByText("all day").first().waitFor();
    await assertAccessible(phone, "calendar on a phone");
    await phone.close();
  });
  await step("a schedule that a policy names is deleted after a second question", async () => {
    const steps = [{ type: "notify", schedules: [{ id: schedule }] }];
    const made = await prism.post("/api/v1/policies", { name: "Night", steps });
    assert.equal(made.status, 201, made.text);
    console.expected.push(/status of 409/);
    await console.visit(page, `/oncall/${schedule}?tab=settings`);
    await press(page, "Delete the schedule");
    await dialog.getByLabel("Type Database to confirm").fill("Database");
    await press(dialog, "Delete");
    await dialog.getByText("The policy Night names the schedule.").waitFor();
    await press(dialog, "Delete anyway");
    await page.waitForURL(/\/oncall$/);
    assert.equal((await prism.get(path)).status, 404);
  });
  console.assertClean();
});

test("days off: entered, shown on the calendar, and covered by a swap or an override", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  await member(console, "ada");
  await member(console, "grace");
  const { schedule, monday, wednesday } = await makeSchedule(console);
  const { addDays } = await calendarTime();
  const step = stepsOf(t);
  const thursday = addDays(wednesday, 1);
  const path = `/api/v1/oncall/schedules/${schedule}`;
  const card = (page: Page) => page.locator(".card").filter({ hasText: "On call while away" });

  await step("a user enters days off, is warned, and asks for a swap", async () => {
    const page = await console.open("/oncall/mine", { as: "ada" });
    const dialog = page.getByRole("dialog");
    await press(page, "Add days off");
    await dialog.getByLabel("First day").fill(wednesday);
    await dialog.getByLabel("Last day").fill(thursday);
    await dialog.getByLabel("Note", { exact: false }).fill("Family");
    await assertAccessible(page, "the form of days off");
    await press(dialog, "Save days off");
    await page.getByText("On call 1 time on these days: find a substitute.").waitFor();
    await page.getByText("Family").waitFor();
    await card(page).getByText("Database").waitFor();
    await page.getByRole("table", { name: "My shifts" }).getByText("away", { exact: true }).first().waitFor();
    await assertAccessible(page, "own days off");
    await press(card(page), "Ask for a swap");
    await press(dialog, "Ask");
    await card(page).getByText("asked", { exact: true }).waitFor();
    await page.close();
  });

  await step("the calendar shows who is away, and the shift is that user's", async () => {
    const page = await console.open(`/oncall/${schedule}?at=${monday}`, { as: "grace" });
    await page.locator(".oc-off").getByText("ada").waitFor();
    await page
      .locator(".oc-final")
      .getByRole("button", { name: /^ada \(ada away\), / })
      .waitFor();
    assert.equal(await page.getByText("Family").count(), 0, "the note is for those who may change it");
    assert.equal(await card(page).getByRole("button").count(), 0);
    await assertAccessible(page, "a calendar with days off");
    await page.close();
  });

  await step("who may change the schedule sees the conflict and puts a substitute on call", async () => {
    const page = await console.open(`/oncall/${schedule}?tab=days-off`);
    const dialog = page.getByRole("dialog");
    await page.getByText("Family").waitFor();
    await press(card(page), "Override");
    assert.equal(await dialog.getByLabel("In place of").locator("option:checked").textContent(), "ada");
    await dialog.getByLabel("On call").fill("grace");
    await page.getByRole("option", { name: /grace/ }).click();
    await press(dialog, "Save override");
    await card(page).waitFor({ state: "detached" });
    const { text } = await prism.get(`${path}/final-shifts?from=${wednesday}T12:00:00Z&to=${wednesday}T13:00:00Z`);
    assert.match(text, /"username":"grace"/);
  });

  await step(
    "days off of a member are added, changed and deleted; an override that puts one on call warns",
    async () => {
      const page = await console.open(`/oncall/${schedule}?tab=days-off`);
      const dialog = page.getByRole("dialog");
      await press(page, "Add days off");
      await dialog.getByRole("combobox", { name: "Who" }).fill("grace");
      await page.getByRole("option", { name: /grace/ }).first().click();
      await dialog.getByLabel("First day").fill(addDays(monday, 30));
      await press(dialog, "Save days off");
      const row = page.getByRole("table", { name: "Days off" }).getByRole("row").filter({ hasText: "grace" });
      await press(row, "Change");
      await dialog.getByLabel("Note", { exact: false }).fill("Moving house");
      await press(dialog, "Save days off");
      await row.getByText("Moving house").waitFor();
      await console.visit(page, `/oncall/${schedule}?at=${addDays(monday, 30)}`);
      await page
        .locator(".oc-final")
        .getByRole("button", { name: /^ada, / })
        .first()
        .press("Enter");
      await dialog.getByLabel("On call").fill("grace");
      await page.getByRole("option", { name: /grace/ }).click();
      await press(dialog, "Save override");
      await page.getByText("Override saved. On call while away: grace.").waitFor();
      await console.visit(page, `/oncall/${schedule}?tab=days-off`);
      await press(row, "Delete");
      await press(dialog, "Delete");
      await row.waitFor({ state: "detached" });
    },
  );
  console.assertClean();
});

test("who has next weekend is seen at once, and changed in at most 4 clicks from the overview", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  for (const name of ["ada", "grace"]) await member(console, name);
  for (const [name, status] of [
    ["dormant", "disabled"],
    ["waiting", "pending"],
  ] as const) {
    const made = await prism.post("/api/v1/users", { email: `${name}@prism.example`, name, status });
    assert.equal(made.status, 201, made.text);
  }
  const { body } = await prism.post<{ id: string }>("/api/v1/oncall/schedules", { name: "Database", timezone: "UTC" });
  const path = `/api/v1/oncall/schedules/${body.id}`;
  const { nextWeekend } = await calendarTime();
  const weekend = nextWeekend(new Date().toISOString().slice(0, 10), "UTC");
  const between = { from: new Date(weekend.start).toISOString(), to: new Date(weekend.end).toISOString() };
  const shift = { name: "Days", durationMs: DAY, recurrence: { frequency: "daily" }, turns: [["ada"]] };
  // From this second on: the calendar has no gap without a length.
  const start = new Date(Date.now() - DAY).toISOString().slice(0, 19);
  assert.equal((await prism.post(`${path}/shifts`, { ...shift, start })).status, 201);

  for (const [width, other] of [
    [1440, "grace"],
    [390, "ada"],
  ] as const)
    await t.test(`at ${width} px`, async (step) => {
      const page = await console.open("/", { width });
      await console.shown(page);
      const clicks = await countClicks(step, page);
      await page.getByRole("link", { name: "On-call" }).filter({ visible: true }).click();
      const slot = page.locator(".oc-slot").filter({ hasText: "Next weekend" });
      await slot.getByText(width === 1440 ? "ada" : "grace", { exact: true }).waitFor();
      assert.ok(await isInView(slot), "the next weekend is seen without scrolling");
      await press(slot, "Override");
      const dialog = page.getByRole("dialog");
      const people = dialog.getByRole("listbox");
      const option = people.getByRole("option", { name: other });
      await option.waitFor();
      for (const name of ["dormant", "waiting"])
        assert.equal(await people.getByRole("option", { name }).count(), 0, `${name} cannot serve`);
      await option.click();
      for (const label of ["In place of", "Reason", "Save override"])
        assert.ok(await isUncovered(dialog.getByLabel(label).or(dialog.getByRole("button", { name: label }))), label);
      await assertAccessible(page, "the form of an override");
      await press(dialog, "Save override");
      await slot.getByText(other, { exact: true }).waitFor();
      await clicks.atMost(4, "who has next weekend, swap it");
      const { text } = await prism.get(`${path}/final-shifts?${new URLSearchParams(between)}`);
      assert.match(text, new RegExp(`"username":"${other}"`));
      await assertAccessible(page, "on-call");
      await console.visit(page, `/oncall/${body.id}`);
      assert.ok(await isInView(slot), "also on the schedule's page");
      assert.equal(await page.getByText("Gap", { exact: true }).count(), 0);
      await assertAccessible(page, "a schedule");
      await page.close();
    });

  await t.test("the keyboard does the same, and what the server refuses is said at the field", async () => {
    const page = await console.open(`/oncall/${body.id}`, { width: 1440 });
    await press(page.locator(".oc-slot").filter({ hasText: "Next weekend" }), "Override");
    const dialog = page.getByRole("dialog");
    const people = dialog.getByRole("listbox");
    await people.getByRole("option", { name: "ada" }).waitFor();
    const field = dialog.getByLabel("On call");
    await field.focus();
    await page.keyboard.type("grac");
    await people.getByRole("option", { name: "ada" }).waitFor({ state: "detached" });
    await people.getByRole("option", { name: "grace" }).waitFor();
    await page.keyboard.press("Enter");
    await dialog.getByRole("button", { name: "Remove grace" }).waitFor();
    // The account is disabled while the form is open.
    const { body: users } = await prism.get<{ data: readonly { id: string }[] }>("/api/v1/users?q=grace");
    assert.equal((await prism.patch(`/api/v1/users/${users.data[0]?.id}`, { status: "disabled" })).status, 200);
    console.expected.push(/status of 4\d\d/);
    await page.keyboard.press("Enter");
    await dialog.getByText("Only active members of the project can be on call. Choose someone else.").waitFor();
    assert.equal(await field.getAttribute("aria-invalid"), "true");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    await page.close();
  });

  await t.test("the calendar begins today, goes by a fortnight, and gaps say of which time", async () => {
    const page = await console.open(`/oncall/${body.id}`, { width: 1440 });
    const days = page.locator(".oc-day");
    await days.first().waitFor();
    assert.equal(await days.count(), 14);
    assert.equal(await days.first().getAttribute("data-today"), "true");
    await page.getByRole("button", { name: /^Next/ }).click();
    await page.waitForURL(/at=/);
    assert.equal(await page.locator(".oc-day[data-today]").count(), 0);
    await page.getByRole("link", { name: /^Gaps, 90 days/ }).waitFor();
    await page.close();
  });
  console.assertClean();
});

/** Whether all of it is inside of the window, above the bar of a phone. */
function isInView(element: Locator): Promise<boolean> {
  return element.evaluate((node) => {
    const { top, bottom } = node.getBoundingClientRect();
    const bar = document.querySelector(".tabbar")?.getBoundingClientRect();
    return top >= 0 && bottom <= (bar && bar.height > 0 ? bar.top : innerHeight);
  });
}

/** Whether a press on its middle reaches it, scrolled to if needed. */
function isUncovered(element: Locator): Promise<boolean> {
  return element.evaluate((node) => {
    node.scrollIntoView({ block: "center" });
    const { left, top, width, height } = node.getBoundingClientRect();
    const hit = document.elementFromPoint(left + width / 2, top + height / 2);
    return hit !== null && (node === hit || node.contains(hit) || hit.contains(node));
  });
}
