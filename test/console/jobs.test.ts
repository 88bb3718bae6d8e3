import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { Page } from "playwright-core";
import { makeJob } from "../features/time/jobs/support/make-jobs.ts";
import { consoleModule } from "../helpers/console-module.ts";
import { eventually } from "../helpers/eventually.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { stepsOf } from "../helpers/steps.ts";
import { assertAccessible, type ConsoleTest, startConsole } from "./helpers.ts";

const press = (scope: Pick<Page, "getByRole">, name: string) =>
  scope.getByRole("button", { name, exact: true }).click();
const go = (console: ConsoleTest, page: Page, path: string) => page.goto(`${console.prism.url}/dashboard${path}`);

/** A module with jobs that fail until a file exists, and one that cannot be loaded. */
function makeModules(t: TestContext): { readonly path: string; repair(): void } {
  const path = mkdtempSync(join(tmpdir(), "prism-modules-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  const repaired = join(path, ".repaired");
  const write = (name: string, register: string) => {
    mkdirSync(join(path, name));
    const code = `import { existsSync } from "node:fs";
      export default { name: "${name}", version: "1.0.0", async register(server, { scheduler }) { ${register} } };`;
    writeFileSync(join(path, name, "index.mjs"), code);
  };
  write("broken", `throw new Error("WAREHOUSE_URL is not set");`);
  write(
    "exports",
    `scheduler.handle("export", async ({ payload }) => {
       if (!existsSync(${JSON.stringify(repaired)}))
         throw Object.assign(new Error("The drive of " + payload.customer + " is full"), { permanent: true });
       return { rows: 4211 };
     });
     for (const customer of ["ACME", "Initech", "Globex"])
       await scheduler.add("default", "export", { customer });`,
  );
  return { path, repair: () => writeFileSync(repaired, "") };
}

test("cron patterns are said in words, the rarer ones are left as they are", async () => {
  const { cronWords } = await consoleModule<typeof import("../../console/app/cron-words.ts")>("app/cron-words.ts");
  for (const [pattern, words] of [
    ["30 2 * * *", "every day at 02:30"],
    ["0 7 * * 1", "Mon at 07:00"],
    ["50 8 * * mon-FRI", "Mon–Fri at 08:50"],
    ["0 9,17 * * 1,3,7", "Mon, Wed and Sun at 09:00 and 17:00"],
    ["30 2 28 3,10 *", "on day 28 of Mar and Oct at 02:30"],
    ["0 3 1 * *", "on day 1 of the month at 03:00"],
    ["0 3 * 12 *", "every day of Dec at 03:00"],
    ["*/15 * * * *", "every 15 min"],
    ["*/5 * * * 1-5", "every 5 min, Mon–Fri"],
    ["7 * * * *", "every hour at :07"],
    ["0 */6 * * *", "every 6 hours at :00"],
    ["0 0 8 * * *", "every day at 08:00"],
    ["@weekly", "Sun at 00:00"],
    ["30 0 8 * * *", null],
    ["0 8 L * *", null],
    ["0 8 * * FRI#2", null],
    ["0 8 1 * 1", null],
    ["0 8-18 * * *", null],
    ["", null],
  ] as const)
    assert.equal(cronWords(pattern), words, pattern);
});

test("an operator finds dead jobs and retries them, pauses a queue, and runs schedules", async (t) => {
  keepsPromise(t, "S0-14");
  const modules = makeModules(t);
  const console = await startConsole(t, { settings: { modulesDir: modules.path, "modules.hotReload": "false" } });
  if (!console) return;
  const { prism } = console;
  await console.person("olga", ["Operator"]);
  const page = await console.open("/modules");
  const dialog = page.getByRole("dialog");
  const step = stepsOf(t);

  await step("a module that failed says why", async () => {
    await page.getByText("broken failed").waitFor();
    await page
      .getByText(/WAREHOUSE_URL is not set/)
      .first()
      .waitFor();
    await page.getByText("1 module failed.").waitFor();
  });

  await step(
    "the link of what needs attention lists the dead jobs; a search finds one by payload or error",
    async () => {
      const { body } = await eventually("three dead jobs", async () => {
        const reply = await prism.get<{ items: { kind: string; link: string; counts: { dead?: number } }[] }>(
          "/api/v1/attention",
        );
        return reply.body.items.some(({ counts }) => counts.dead === 3) ? reply : undefined;
      });
      await go(console, page, body.items.find(({ kind }) => kind === "jobs")?.link ?? "");
      await page.getByText("The drive of Initech is full").waitFor();
      const rows = page.getByRole("row").filter({ hasText: "dead" });
      assert.equal(await rows.count(), 3);
      await page.getByRole("searchbox").fill("is full");
      await page.waitForURL(/q=is/);
      await page.getByText("The drive of Initech is full").waitFor();
      await page.getByRole("searchbox").fill("globex");
      await page.getByText("The drive of Initech is full").waitFor({ state: "detached" });
      await page.getByText("The drive of Globex is full").waitFor();
      assert.equal(await rows.count(), 1);
    },
  );

  await step("the job that was found is retried and succeeds", async () => {
    modules.repair();
    await page
      .getByRole("link", { name: /export/ })
      .first()
      .click();
    await page.getByText("Attempt 1 failed for good").waitFor();
    await press(page, "Retry");
    await page.getByText("Attempt 2 succeeded").or(page.getByText("Attempt 1 succeeded")).waitFor();
    await page
      .getByText(/\b4211\b/)
      .first()
      .waitFor();
    await assertAccessible(page, "job");
  });

  await step("the others are retried together, after a preview of their number", async () => {
    await go(console, page, "/jobs?state=dead");
    await page.getByText("The drive of Initech is full").waitFor();
    await press(page, "All matches");
    await page.getByRole("menuitem", { name: "Retry all matches" }).click();
    await dialog.getByText("Retry: 2 jobs?").waitFor();
    await press(dialog, "Retry 2");
    await page.getByText("Retry: 2 jobs.").waitFor();
    await page.getByText("No job matches").waitFor();
    await eventually("all succeeded", async () => {
      const counts = await prism.get<{ states: { succeeded: number } }>("/api/v1/jobs/counts?queue=module:exports");
      return counts.body.states.succeeded === 3;
    });
  });

  await step("a waiting job is cancelled by its selection", async () => {
    await makeJob(prism, { label: "tomorrow's digest" });
    await go(console, page, "/jobs?state=scheduled&queue=digest");
    await page.getByText("tomorrow's digest").waitFor();
    await page.getByRole("row").filter({ hasText: "tomorrow's digest" }).getByRole("checkbox").check();
    await press(page, "Cancel");
    await dialog.getByText("They do not run. Cancelled jobs can be retried.").waitFor();
    await press(dialog, "Cancel 1");
    await page.getByText("No job matches").waitFor();
  });

  await step("an operator pauses a queue after a question, and resumes it", async () => {
    const operator = await console.open("/jobs/queues", { as: "olga", width: 390, theme: "dark" });
    const row = operator.getByRole("row").filter({ hasText: "digest" });
    await press(row, "Pause");
    await operator
      .getByRole("dialog")
      .getByText(/Running jobs finish\. Others wait/)
      .waitFor();
    await press(operator.getByRole("dialog"), "Pause");
    await operator.getByText("1 queue is paused.").waitFor();
    await press(row, "Resume");
    await operator.getByText("All queues are active.").waitFor();
    await assertAccessible(operator, "queues");
    await operator.close();
  });

  await step("a schedule is made with a preview of changes of the clock, and run now", async () => {
    await go(console, page, "/schedules");
    await page.locator(".page-head").getByRole("button", { name: "New schedule" }).click();
    await dialog.getByLabel("Name").fill("Nightly");
    await dialog.getByLabel("Cron pattern").fill("30 2 25-31 3 *");
    await dialog.getByLabel("Time zone").fill("Europe/Berlin");
    await page.getByRole("option", { name: "Europe/Berlin" }).click();
    await dialog.getByText("moved", { exact: true }).first().waitFor();
    await press(dialog, "Save");
    const row = page.getByRole("row").filter({ hasText: "Nightly" });
    await row.getByText("on day 25–31 of Mar at 02:30 in Europe/Berlin").waitFor();
    await row.getByText("30 2 25-31 3 *", { exact: true }).waitFor();
    await page.getByRole("link", { name: /Nightly/ }).click();
    await page.getByText("It has not run yet").waitFor();
    await press(page, "Run now");
    await page.getByText("Run by hand.").waitFor();
    await page.getByText("succeeded").waitFor();
  });

  await step("early typing stays, a dialog opened again is empty, the back button closes it", async () => {
    await go(console, page, "/schedules");
    const make = page.locator(".page-head").getByRole("button", { name: "New schedule" });
    await make.waitFor();
    // Before the browser draws: effects that run later must not change what was typed.
    const typed = await page.evaluate(async () => {
      const drawn = new Promise<Node>((found) => {
        const observer = new MutationObserver(() => {
          const input = document.querySelector<HTMLInputElement>("dialog input");
          if (input === null) return;
          observer.disconnect();
          input.value = "Typed at once";
          input.dispatchEvent(new Event("input", { bubbles: true }));
          found(input);
        });
        observer.observe(document.body, { childList: true, subtree: true });
      });
      const buttons = [...document.querySelectorAll<HTMLButtonElement>(".page-head button")];
      buttons.find(({ innerText }) => innerText.includes("New schedule"))?.click();
      await drawn;
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 200)));
      return document.querySelector<HTMLInputElement>("dialog input")?.value;
    });
    assert.equal(typed, "Typed at once");
    await page.keyboard.press("Escape");
    await make.click();
    assert.equal(await dialog.getByLabel("Name").inputValue(), "");
    await page.goBack();
    await dialog.waitFor({ state: "detached" });
  });

  await step("a skipped run says why", async () => {
    await prism.post("/api/v1/queues/timers/pause");
    const payload = { action: { type: "event", event: "tick", payload: {} } };
    const body = { name: "Each second", queue: "timers", kind: "timer", everyMs: 1000, payload };
    const { body: schedule, status, text } = await prism.post<{ id: string }>("/api/v1/schedules", body);
    assert.equal(status, 201, text);
    await eventually("a skipped run", async () => {
      const runs = await prism.get(`/api/v1/schedules/${schedule.id}/runs`);
      return runs.text.includes("skipped");
    });
    await go(console, page, `/schedules/${schedule.id}`);
    await page
      .getByText(/^skipped/)
      .first()
      .waitFor();
    await page
      .getByText(/the previous run/i)
      .first()
      .waitFor();
    await assertAccessible(page, "schedule");
  });
  console.assertClean();
});

test("jobs begin with what is left to do; schedules and timers are named in words", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const action = { type: "notify", payload: { userId: "admin", title: "Prices", message: "They are new." } };
  const feed = { name: "Price feed", queue: "timers", kind: "timer", everyMs: 900_000, payload: { action } };
  const made = await prism.post<{ id: string }>("/api/v1/schedules", feed);
  assert.equal(made.status, 201, made.text);
  assert.ok((await prism.post(`/api/v1/schedules/${made.body.id}/run`)).status < 300);
  await eventually("the finished job", async () => {
    const { body } = await prism.get<{ data: readonly object[] }>("/api/v1/jobs?state=succeeded&kind=timer");
    return body.data.length === 1;
  });
  const bucket = { name: "Float", currency: "EUR", currentBalance: "5", threshold: "10" };
  assert.equal((await prism.post("/api/v1/transfer-buckets", bucket)).status, 201);
  const page = await console.open("/schedules", { width: 1440 });
  await page.getByText(/^The next one, Price feed, runs in/).waitFor();
  await page.getByRole("row").filter({ hasText: "Check of bucket balances" }).getByText("Prism's own").waitFor();
  assert.equal(await page.getByText("prism:").count(), 0);
  assert.equal((await prism.put(`/api/v1/schedules/${made.body.id}`, { active: false })).status, 200);
  await console.visit(page, "/timers");
  const timer = page.getByRole("row").filter({ hasText: "Prices" });
  await timer.getByText("every 15\u202fmin").waitFor();
  await timer.getByText("paused").waitFor();
  await console.visit(page, "/jobs");
  assert.equal(await page.getByRole("row").getByText("succeeded").count(), 0);
  await page.getByLabel("State").selectOption("any");
  await page.getByRole("row").getByText("succeeded").first().waitFor();
  await assertAccessible(page, "all jobs");
  console.assertClean();
});
