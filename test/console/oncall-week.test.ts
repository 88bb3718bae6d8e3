import assert from "node:assert/strict";
import test from "node:test";
import type { Locator } from "playwright-core";
import { assertAccessible, startConsole } from "./helpers.ts";
import { calendarTime, member } from "./oncall.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

test("on a phone, who is on call on Saturday night is seen after at most one scroll", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  for (const name of ["ada", "grace"]) await member(console, name);
  const { addDays, nextWeekend, dateOf } = await calendarTime();
  const yesterday = addDays(new Date().toISOString().slice(0, 10), -1);
  const saturday = dateOf(nextWeekend(new Date().toISOString().slice(0, 10), "UTC").start, "UTC");
  const ids: string[] = [];
  for (const name of ["Database", "Web shop"]) {
    const { body } = await prism.post<{ id: string }>("/api/v1/oncall/schedules", { name, timezone: "UTC" });
    const daily = { durationMs: DAY / 2, recurrence: { frequency: "daily" } };
    for (const [kind, hour, user] of [
      ["Days", "08", "grace"],
      ["Nights", "20", "ada"],
    ]) {
      const shift = { ...daily, name: kind, start: `${yesterday}T${hour}:00:00`, turns: [[user]] };
      assert.equal((await prism.post(`/api/v1/oncall/schedules/${body.id}/shifts`, shift)).status, 201);
    }
    ids.push(body.id);
  }
  const phone = await console.open("/oncall", { width: 390 });
  const number = Number(saturday.slice(8));
  const night = (list: Locator) =>
    list
      .getByRole("listitem")
      .filter({ hasText: new RegExp(`^Sat ${number}(?!\\d)`) })
      .locator(".oc-item")
      .filter({ hasText: "20:00–08:00" });
  const lists = phone.getByRole("list", { name: "On call by day" });
  for (const [index, name] of ["Database", "Web shop"].entries()) {
    const found = night(lists.nth(index));
    await found.getByText("ada", { exact: true }).waitFor();
    assert.ok((await screensTo(found)) <= 2, `Saturday night of ${name} on the page of all schedules`);
    assert.equal(await phone.locator('[data-slot="Next"]').nth(index).isVisible(), false, "the list has it");
  }
  await assertAccessible(phone, "the week of all schedules on a phone");
  await console.visit(phone, `/oncall/${ids[0]}`);
  const found = night(lists.first());
  await found.getByText("ada", { exact: true }).waitFor();
  assert.ok((await screensTo(found)) <= 2, "Saturday night on the page of the schedule");
  await found.click();
  const dialog = phone.getByRole("dialog");
  assert.match(await dialog.getByLabel("From", { exact: false }).first().inputValue(), /20:00/);
  await phone.close();
  console.assertClean();
});

test("names in strips are whole, or initials with the name in the title", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const { addDays } = await calendarTime();
  const ids: string[] = [];
  const names = { ada: "Wilhelmina Wagenknecht", grace: "Moritz Maximilian Mommsen", anna: "Anna Weber" };
  for (const [username, name] of Object.entries(names)) {
    const { id } = await member(console, username);
    ids.push(id);
    assert.equal((await prism.patch(`/api/v1/users/${id}`, { name })).status, 200);
  }
  const { body } = await prism.post<{ id: string }>("/api/v1/oncall/schedules", { name: "Database", timezone: "UTC" });
  const today = new Date().toISOString().slice(0, 10);
  for (const [index, hours] of [6, 8, 10].entries()) {
    const shift = {
      ...{ name: `Part ${index}`, durationMs: hours * HOUR, recurrence: { frequency: "daily" } },
      start: `${addDays(today, -1)}T${["00", "06", "14"][index]}:00:00`,
      turns: [["ada"], ["grace"], ["anna"]],
    };
    assert.equal((await prism.post(`/api/v1/oncall/schedules/${body.id}/shifts`, shift)).status, 201);
  }
  const day = addDays(today, 2);
  const off = await prism.post("/api/v1/oncall/days-off", { userId: ids[2], firstDay: day, lastDay: day });
  assert.equal(off.status, 201, off.text);
  for (const width of [1280, 1024, 768])
    for (const path of ["/oncall", `/oncall/${body.id}`, `/oncall/${body.id}?view=month`]) {
      const page = await console.open(path, { width });
      const bars = page.locator(".oc-bar:visible");
      await bars.first().waitFor();
      await console.shown(page);
      const found = await bars.evaluateAll((all) =>
        all.map((bar) => {
          const text = bar.firstElementChild;
          const shown = text instanceof HTMLElement ? (text.dataset["text"] ?? text.innerText) : "";
          const isCut = text !== null && text.scrollWidth > text.clientWidth;
          return { shown, isCut, title: bar.getAttribute("title") ?? "", isWide: bar.clientWidth > 26 };
        }),
      );
      // The widest day: today is bold.
      const cutDays = await page.locator(".oc-strip-day:visible").evaluateAll((all) =>
        all.filter((each) => {
          each.textContent = /^\p{L} /u.test(each.textContent ?? "") ? "W 30" : "Wed 30";
          return each.scrollWidth > each.clientWidth;
        }),
      );
      assert.equal(cutDays.length, 0, `days of the strip on ${path} at ${width} px`);
      for (const { shown, isCut, title, isWide } of found) {
        const where = `${JSON.stringify(shown)} of ${title} on ${path} at ${width} px`;
        assert.equal(isCut, false, where);
        assert.match(title, /^(Wilhelmina Wagenknecht|Moritz Maximilian Mommsen|Anna Weber)/, where);
        const [first = ""] = title.split(/:| is away/);
        const words = first.split(" ");
        const initials = words.slice(0, 2).map((word) => word[0]);
        assert.ok([first, words[0], initials.join(""), initials[0], ""].includes(shown), where);
        assert.ok(shown !== "" || !isWide, `${where}: there is room`);
      }
      await page.close();
    }
  console.assertClean();
});

/** How many screens, without the bar of a phone, a page has down to the end of an element. */
function screensTo(element: Locator): Promise<number> {
  return element.evaluate((node) => {
    const bar = document.querySelector(".tabbar")?.getBoundingClientRect();
    return (node.getBoundingClientRect().bottom + scrollY) / (innerHeight - (bar?.height ?? 0));
  });
}
