import assert from "node:assert/strict";
import test from "node:test";
import type { Page } from "playwright-core";
import type { Silence } from "../../src/client/api-types.gen.ts";
import { consoleModule } from "../helpers/console-module.ts";
import { eventually } from "../helpers/eventually.ts";
import { stepsOf } from "../helpers/steps.ts";
import { assertAccessible, startConsole } from "./helpers.ts";

const press = (scope: Pick<Page, "getByRole">, name: string) =>
  scope.getByRole("button", { name, exact: true }).click();

test("silences are made with a preview, extended, changed and ended", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const labels = (n: number) => ({ alertname: "DiskFull", team: "db", instance: `db-${n}` });
  const alerts = [1, 2, 3].map((n) => ({ key: `disk-${n}`, labels: labels(n) }));
  const posted = await prism.post<object>("/api/v1/alerts", { alerts });
  assert.equal(posted.status, 200, posted.text);
  const all = async () => (await prism.get<{ data: readonly Silence[] }>("/api/v1/silences")).body.data;
  const incidents = await prism.get<{ data: readonly { id: string }[] }>("/api/v1/incidents");
  const incident = incidents.body.data[0]?.id ?? "";
  const page = await console.open("/silences");
  const dialog = page.getByRole("dialog");
  const go = (path: string) => console.visit(page, path);
  const step = stepsOf(t);

  await step("an empty list names a command, and leads to the form", async () => {
    await page.getByText("Nothing is silenced", { exact: true }).waitFor();
    await page.getByText(/amtool --alertmanager.url=/).waitFor();
    await page.locator(".page-head").getByRole("button", { name: "New silence" }).click();
    await page.getByText("Add a matcher to see what it hits.").waitFor();
  });

  await step("matchers become chips, and the preview follows them", async () => {
    const label = page.getByRole("combobox", { name: "Label" });
    const value = page.getByRole("combobox", { name: "Value" });
    await label.fill('team="db"');
    await label.press("Enter");
    await page.getByText("3 firing alerts in 1 incident now.").waitFor();
    await label.fill("instance");
    await label.press("Enter");
    await page.getByRole("combobox", { name: "Operator" }).selectOption("=~");
    await value.fill("db-[12]");
    await value.press("Enter");
    await page.getByText("2 firing alerts in 1 incident now.").waitFor();
    await page.getByText("Add a comment: others see why").waitFor();
    await page.getByLabel("Comment").fill("The disks are exchanged");
    await page.getByRole("radio", { name: "4 h" }).click();
    await press(page, "Silence");
    await page.getByText("The alerts are silenced.").waitFor();
    const [made] = await all();
    assert.deepEqual([made?.text, made?.state], ['{instance=~"db-[12]",team="db"}', "active"]);
    assert.equal(Date.parse(made?.endsAt ?? "") - Date.parse(made?.startsAt ?? ""), 4 * 3_600_000);
  });

  await step("it is extended, and ended after a question with the number of alerts", async () => {
    const end = (await all())[0]?.endsAt ?? "";
    await page.getByRole("heading", { level: 1, name: "The disks are exchanged" }).waitFor();
    await press(page, "More actions");
    await page.getByRole("menuitem", { name: "Extend by 1 hour" }).click();
    await eventually(
      "a later end",
      async () => Date.parse((await all())[0]?.endsAt ?? "") === Date.parse(end) + 3_600_000,
    );
    await press(page, "End now");
    await dialog.getByText(/2 firing alerts match now and may notify at once/).waitFor();
    await press(dialog, "End it now");
    await page.getByText("The silence has ended.").waitFor();
    await page.getByRole("button", { name: "Silence again" }).waitFor();
    assert.equal((await all())[0]?.state, "expired");
  });

  await step("from an incident, with the labels that its alerts have in common, as a recurring window", async () => {
    await go(`/incidents/${incident}/silence`);
    await page.getByText("3 firing alerts in 1 incident now.").waitFor();
    await page.getByRole("radio", { name: "Recurring maintenance" }).click();
    await page.getByLabel("Windows start").selectOption("0 22 * * 1-5");
    await page.getByRole("heading", { name: "Next windows" }).waitFor();
    assert.equal(await page.locator("section:has(h3) ol li").count(), 5);
    await page.getByLabel("Comment").fill("Nightly backups");
    await press(page, "Silence");
    await page.getByText("The silence is saved.").waitFor();
    const made = (await all()).find(({ recurrence }) => recurrence !== null);
    assert.deepEqual([made?.text, made?.recurrence?.cron], ['{alertname="DiskFull",team="db"}', "0 22 * * 1-5"]);
    await go("/silences?state=recurring");
    await page.getByText("Nightly backups").waitFor();
  });

  await step("a change keeps what it does not touch; a stale version is refused", async () => {
    const made = (await all()).find(({ recurrence }) => recurrence !== null);
    await go(`/silences/${made?.id}/edit`);
    await page.getByLabel("Comment").fill("Nightly backups, moved");
    const changed = await prism.patch<object>(`/api/v1/silences/${made?.id}`, { comment: "Another person" });
    assert.equal(changed.status, 200, changed.text);
    console.expected.push(/status of 412/);
    await press(page, "Save");
    await page
      .getByText(/version/i)
      .first()
      .waitFor();
    await go("/silences");
    await go(`/silences/${made?.id}/edit`);
    await page.getByLabel("Comment").fill("Nightly backups, moved");
    await press(page, "Save");
    await page.getByRole("heading", { level: 1, name: "Nightly backups, moved" }).waitFor();
    assert.deepEqual((await all()).find(({ id }) => id === made?.id)?.recurrence?.cron, "0 22 * * 1-5");
  });

  await step("a change by another person appears by itself", async () => {
    await go("/silences");
    const body = { matchers: ['team="web"'], durationMs: 3_600_000, comment: "By amtool" };
    assert.equal((await prism.post<object>("/api/v1/silences", body)).status, 201);
    await page.getByText("By amtool").waitFor();
    await page.getByText("1 silence is active now.", { exact: false }).waitFor();
  });
  console.assertClean();
});

test("silences are listed by what is active, the first to end first, with the end and what is left of it", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const MINUTE = 60_000;
  const now = Date.now();
  const made = async (comment: string, from: number, to: number) => {
    const reply = await prism.post<{ id: string }>("/api/v1/silences", {
      matchers: [{ name: "alertname", value: comment }],
      ...{ startsAt: new Date(now + from * MINUTE).toISOString(), endsAt: new Date(now + to * MINUTE).toISOString() },
      comment,
    });
    assert.equal(reply.status, 201, reply.text);
    return reply.body.id;
  };
  await made("Long", 0, 3 * 24 * 60);
  await made("Last", 240, 300);
  const first = await made("Over first", 0, 30);
  const second = await made("Over second", 0, 20);
  await made("Short", 0, 90);
  await made("Next", 120, 400);
  for (const id of [first, second]) await prism.request("DELETE", `/api/v1/silences/${id}`);
  const names = async (page: Page) =>
    (await page.locator(".silence-what").allInnerTexts()).map((text) => text.split("\n")[0] ?? "");
  const ordered = (page: Page, wanted: readonly string[]) =>
    eventually(wanted.join(", "), async () => `${await names(page)}` === `${wanted}`);
  for (const width of [1280, 390]) {
    const page = await console.open("/silences", { width });
    await ordered(page, ["Short", "Long", "Next", "Last"]);
    await page.getByText(/^until (\w{3} \d+ \w{3} )?\d\d:\d\d, 1\sh 2\d\smin left$/).waitFor();
    await page.getByText(/^until \w{3} \d+ \w{3}( \d{4})? \d\d:\d\d, 2\sd 23\sh left$/).waitFor();
    await page.getByText(/^from (\w{3} \d+ \w{3} )?\d\d:\d\d, starts in 1 h$/).waitFor();
    await assertAccessible(page, `silences at ${width} px`);
    await page.getByText("Short", { exact: true }).first().click();
    await page.getByText(/It lasts until (\w{3} \d+ \w{3} )?\d\d:\d\d, 1\sh 2\d\smin left\./).waitFor();
    await console.visit(page, "/silences?state=expired");
    await ordered(page, ["Over second", "Over first"]);
    await page.close();
  }
  console.assertClean();
});

test("a viewer reads silences, and cannot change them", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  await console.person("vera", ["Viewer"]);
  const body = { matchers: ['team="db"'], durationMs: 3_600_000, comment: "The disks are exchanged" };
  assert.equal((await console.prism.post<object>("/api/v1/silences", body)).status, 201);
  const page = await console.open("/silences", { as: "vera" });
  await page.getByRole("link", { name: /The disks are exchanged/ }).click();
  await page.getByText("1 silence", { exact: false }).first().waitFor({ state: "detached" });
  await page.getByRole("heading", { level: 1, name: "The disks are exchanged" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "End now" }).count(), 0);
  await console.visit(page, "/silences/new");
  await page.getByRole("heading", { level: 1 }).waitFor();
  assert.equal(await page.getByLabel("Comment").count(), 0);
  console.assertClean();
});

test("dates are typed in any usual form, and refused with an example", async (t) => {
  const { readWritten } = await consoleModule<typeof import("../../console/ui/written-time.ts")>("ui/written-time.ts");
  const forms: readonly (readonly [string, string | undefined])[] = [
    ["2026-11-29 14:00", "2026-11-29T14:00"],
    ["2026-11-29T14:00", "2026-11-29T14:00"],
    ["2026-11-29", "2026-11-29T00:00"],
    ["29.11.2026 14:00", "2026-11-29T14:00"],
    ["29 Nov 2026, 9:05", "2026-11-29T09:05"],
    ["11/29/2026 14:00", "2026-11-29T14:00"],
    ["2026-11-29T13:00:00Z", "2026-11-29T14:00"],
    ["2026-02-30 14:00", undefined],
    ["2026-11-29 24:00", undefined],
    ["soon", undefined],
  ];
  for (const [text, wall] of forms) assert.equal(readWritten(text, "datetime", "Europe/Berlin", "en-US"), wall, text);
  assert.equal(readWritten("11/12/2026", "date", "UTC", "en-GB"), "2026-12-11");
  assert.equal(readWritten("7:30", "time", "UTC"), "07:30");

  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/silences/new");
  await page.getByRole("radio", { name: "Other" }).click();
  const end = page.getByRole("textbox", { name: "End" });
  await end.fill("29.11.2030 14:00");
  await end.blur();
  assert.equal(await end.inputValue(), "2030-11-29 14:00");
  await end.fill("soon");
  await end.blur();
  await page.getByText("Write it as 2026-11-29 14:00").waitFor();
  assert.equal(await end.getAttribute("aria-invalid"), "true");
  await assertAccessible(page, "a refused date");
  await end.fill("2030-11-30 08:15");
  await page.getByText("Write it as").waitFor({ state: "detached" });
  assert.equal(
    await page
      .locator("input[type=date]:visible, input[type=datetime-local]:visible")
      .evaluateAll((inputs) => inputs.filter((input) => input.getBoundingClientRect().width > 2).length),
    0,
    "no control of the browser's own language is shown",
  );
  console.assertClean();
});
