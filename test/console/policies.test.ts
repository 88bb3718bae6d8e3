import assert from "node:assert/strict";
import test from "node:test";
import type { Page } from "playwright-core";
import { answered } from "../helpers/prism.ts";
import { stepsOf } from "../helpers/steps.ts";
import { assertAccessible, startConsole } from "./helpers.ts";

const press = (scope: Pick<Page, "getByRole">, name: string) =>
  scope.getByRole("button", { name, exact: true }).click();

const DAY_MS = 86_400_000;

interface Policy {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  readonly steps: readonly { readonly type: string }[];
  readonly repeat: number;
  readonly ackQuorum: number;
  readonly description: string;
}

interface Routing {
  readonly version: number;
  readonly route: { readonly routes?: readonly { readonly matchers: readonly string[]; readonly policy?: string }[] };
  readonly inhibitRules: readonly { readonly sourceMatchers: readonly string[] }[];
  readonly timeIntervals: readonly { readonly name: string }[];
}

test("policies, routes and contact rules", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const policies = async () => (await prism.get<{ data: readonly Policy[] }>("/api/v1/policies")).body.data;
  const database = async () => (await policies()).find(({ name }) => name === "Database");
  const routing = async () => (await prism.get<Routing>("/api/v1/routes")).body;
  const page = await console.open("/policies");
  const steps = page.getByRole("list", { name: "Steps" }).getByRole("listitem");
  const dialog = page.getByRole("dialog");
  const add = async (name: RegExp) => {
    await press(page, "Add a step");
    await page.getByRole("menuitem", { name }).click();
  };
  const step = stepsOf(t);

  await step("a policy is made of steps, which keys and buttons reorder", async () => {
    await page.getByText("notify all members").waitFor();
    await press(page, "New policy");
    await page.getByText("The policy needs a name").waitFor();
    await page.getByLabel("Name").fill("Database");
    await add(/^Wait/);
    await add(/^Resolve/);
    await add(/^Notify/);
    await press(page, "Move step 4 up");
    await page.getByRole("listitem", { name: "Step 3: Notify" }).press("Alt+ArrowUp");
    await page.getByRole("listitem", { name: "Step 2: Notify" }).waitFor();
    await page.getByRole("listitem", { name: "Step 2: Notify" }).press("Alt+ArrowDown");
    await page.getByRole("listitem", { name: "Step 3: Notify" }).waitFor();
    assert.equal(await steps.count(), 4);
    await press(page, "Create");
    await page.getByRole("heading", { level: 1, name: "Database" }).waitFor();
    assert.deepEqual(
      (await database())?.steps.map(({ type }) => type),
      ["notify", "wait", "notify", "resolve"],
    );
  });

  await step("a change of another person is kept when the own one goes on top", async () => {
    const made = await database();
    await page.getByLabel("Further rounds").fill("3");
    const other = await prism.patch<object>(`/api/v1/policies/${made?.id}`, { description: "By another person" });
    assert.equal(other.status, 200, other.text);
    console.expected.push(/status of 412/);
    await press(page, "Save");
    await page.getByText("Version 2 was saved meanwhile").waitFor();
    await press(page, "Keep mine on top");
    await press(page, "Save");
    await page.getByText("Saved. Incidents that are open keep their version.").waitFor();
    const { version, repeat, description } = (await database()) ?? {};
    assert.deepEqual([version, repeat, description], [3, 3, "By another person"]);
  });

  await step("versions show what differs, and an earlier one is restored", async () => {
    await page.getByRole("tab", { name: /Versions/ }).click();
    await page.locator("del", { hasText: "0" }).waitFor();
    await page.locator("ins", { hasText: "3" }).waitFor();
    await page.getByRole("button", { name: "Restore" }).last().click();
    await page.getByText("Version 1 is back as a new version.").waitFor();
    const { version, repeat, description } = (await database()) ?? {};
    assert.deepEqual([version, repeat, description], [4, 0, ""]);
  });

  await step("a route is added, tested before it is saved, and saved", async () => {
    await console.visit(page, "/policies/routes");
    await press(page, "Add a route below");
    const label = page.getByRole("combobox", { name: "Label" });
    await label.fill('team="db"');
    await label.press("Enter");
    await page.getByLabel("Policy").selectOption("Database");
    await page.getByLabel("Labels").fill("alertname=DiskFull, team=db");
    await press(page, "Test");
    const outcome = page.getByRole("region", { name: "Incident of Database" });
    await outcome.getByText('{team="db"}').first().waitFor();
    await outcome.getByText("after 5 min").first().waitFor();
    await page.getByText("takes it").waitFor();
    assert.equal((await routing()).version, 0, "nothing is stored");
    await press(page, "Save routes");
    await page.getByText(/The routes are saved/).waitFor();
    assert.deepEqual((await routing()).route.routes, [{ matchers: ['team="db"'], policy: "Database" }]);
  });

  await step("time intervals and inhibition rules are forms; a stale document is not overwritten", async () => {
    await press(page, "Add an interval");
    await page.getByRole("textbox", { name: "Name" }).first().fill("nights");
    await press(page, "Add a rule");
    const source = page.getByRole("group", { name: "Source" });
    await source.getByRole("combobox", { name: "Label" }).fill('alertname="NodeDown"');
    await source.getByRole("combobox", { name: "Label" }).press("Enter");
    const target = page.getByRole("group", { name: "Target" });
    await target.getByRole("combobox", { name: "Label" }).fill('severity="warning"');
    await target.getByRole("combobox", { name: "Label" }).press("Enter");
    const { route } = await routing();
    assert.equal((await prism.put<object>("/api/v1/routes", { route, timeIntervals: [] })).status, 200);
    const changed = await prism.put<object>("/api/v1/routes", { route: { ...route, groupWaitMs: 1000 } });
    assert.equal(changed.status, 200, changed.text);
    await press(page, "Save routes");
    await page.getByText(/was saved meanwhile/).waitFor();
    await press(page, "Replace it with mine");
    await page.getByText(/was saved meanwhile/).waitFor({ state: "detached" });
    const saved = await routing();
    assert.deepEqual(
      saved.timeIntervals.map(({ name }) => name),
      ["nights"],
    );
    assert.deepEqual(saved.inhibitRules[0]?.sourceMatchers, ['alertname="NodeDown"']);
  });

  await step("the page says who would be paged at another time, and after how long", async () => {
    const made = async (path: string, body: object) =>
      (await answered(201, prism.post<{ id: string }>(`/api/v1${path}`, body))).body.id;
    for (const name of ["ada", "ben"]) await console.person(name, ["Admin"]);
    const schedule = await made("/oncall/schedules", { name: "Nights", timezone: "UTC" });
    const turn = new Date(Date.now() + 7 * DAY_MS).toISOString().slice(0, 10);
    const start = new Date(Date.now()).toISOString().slice(0, 10);
    await made(`/oncall/schedules/${schedule}/shifts`, {
      ...{ name: "Weeks", start: `${start}T03:00:00`, durationMs: 7 * DAY_MS },
      ...{ recurrence: { frequency: "weekly" }, turns: [["ada"], ["ben"]] },
    });
    const steps = [
      { type: "notify", schedules: [{ id: schedule }] },
      { type: "wait", ms: 300_000 },
      { type: "notify", schedules: [{ id: schedule, who: "next" }], urgency: "low" },
    ];
    await made("/policies", { name: "Nights", steps });
    const { route } = await routing();
    const routes = [{ matchers: ['team="night"'], policy: "Nights" }, ...(route.routes ?? [])];
    await answered(200, prism.put("/api/v1/routes", { route: { ...route, groupWaitMs: 0, routes } }));

    await console.visit(page, "/policies");
    await console.visit(page, `/policies/routes?labels=${encodeURIComponent("team=night")}&at=${turn}T03:00:00Z`);
    const paged = page.getByRole("region", { name: "Who would be paged" });
    await paged.getByText("ben would be paged at once.").waitFor();
    const pages = paged.getByRole("list", { name: "Pages of Nights" }).getByRole("listitem");
    assert.match((await pages.nth(1).textContent()) ?? "", /^ada, with low urgency.*after 5\smin/);
    await paged.getByText('{team="night"}').first().waitFor();

    await page.getByLabel("When").fill(`${turn}T02:59`);
    await press(page, "Test");
    await paged.getByText("ada would be paged at once.").waitFor();
    assert.equal(new URL(page.url()).searchParams.get("at"), `${turn}T02:59:00.000Z`);

    await made("/silences", { matchers: ['team="night"'], durationMs: 3_600_000, comment: "Move" });
    await press(page, "Test");
    await paged.getByText(/^No one would be paged\. It is silenced by "Move"/).waitFor();
    await paged.getByText("silenced", { exact: true }).waitFor();
  });

  await step(
    "a policy is a line of time with the people of now or a date, and with changes before they are saved",
    async () => {
      const turn = new Date(Date.now() + 7 * DAY_MS).toISOString().slice(0, 10);
      const nights = (await policies()).find(({ name }) => name === "Nights");
      await answered(200, prism.patch(`/api/v1/policies/${nights?.id}`, { repeat: 2 }));
      await console.visit(page, `/policies/${nights?.id}?at=${turn}T12:00:00Z`);
      const line = page.getByRole("list", { name: "Who is called, and when" });
      const textOf = async (at: number) => (await line.getByRole("listitem").nth(at).innerText()).replace(/\s+/g, " ");
      await line.getByText("again ×2").waitFor();
      assert.match(await textOf(0), /^\+0 min ben/);
      assert.match(await textOf(0), /notify on call: Nights/);
      assert.match(await textOf(1), /^\+5 min ada low urgency/);
      assert.match(await textOf(2), /^\+\d+ min again ×2/);
      await line.getByText("cannot be reached").first().waitFor();
      await page.getByText(/If an incident opened on .* and no person acknowledged it/).waitFor();

      await page.getByLabel("At", { exact: true }).fill(`${turn}T02:59`);
      await line.getByText("round 2").first().waitFor();
      assert.match(await textOf(0), /^\+0 min ada/);
      assert.equal(new URL(page.url()).searchParams.get("at"), `${turn}T02:59:00.000Z`);
      await press(page, "Now");
      await page.getByText("If an incident opened now and no person acknowledged it. Nothing is sent.").waitFor();
      await line.getByText("again ×2").waitFor();

      await page.getByLabel("Further rounds").fill("0");
      await page.getByText("With your changes, which are not saved.").waitFor();
      await line.getByText("again ×2").waitFor({ state: "detached" });
      await add(/^Send to a channel/);
      await page.getByText(/Shown without the last changes: Step 4 needs a channel/).waitFor();
      await press(page, "Discard");
      await line.getByText("again ×2").waitFor();
      for (const theme of ["light", "dark"] as const) {
        const phone = await console.open(`/policies/${nights?.id}`, { width: 360, theme });
        await console.shown(phone);
        await phone.getByRole("list", { name: "Who is called, and when" }).getByText("again ×2").waitFor();
        await assertAccessible(phone, `line of a policy, ${theme}`);
        assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth), 360);
      }
    },
  );

  await step("routes show what they matched in seven days, and those that matched nothing", async () => {
    const alerts = [{ labels: { alertname: "Fan", team: "night" } }, { labels: { alertname: "Disk" } }];
    await answered(200, prism.post("/alertmanager/api/v2/alerts", alerts));
    for (const theme of ["light", "dark"] as const) {
      const phone = await console.open("/policies/routes", { width: 360, theme });
      await console.shown(phone);
      const tree = phone.getByRole("list", { name: "Routes" });
      await tree.getByRole("button", { name: /^every alert.*matched 2 in 7 days/ }).waitFor();
      await tree.getByRole("button", { name: /team.*night.*matched 1 in 7 days/ }).waitFor();
      await tree.getByRole("button", { name: /team.*db.*matched nothing in 7 days/ }).waitFor();
      await phone.getByText("2 alerts of the last 7 days, run through these routes: 1 route matched none.").waitFor();
      await assertAccessible(phone, `traffic of routes, ${theme}`);
      assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth), 360);
    }
  });

  await step("a policy that routes name is not deleted, and the page says why", async () => {
    console.expected.push(/status of 4(09|22)/);
    await console.visit(page, `/policies/${(await database())?.id}`);
    await press(page, "More actions");
    await page.getByRole("menuitem", { name: "Delete" }).click();
    await press(dialog, "Delete");
    await page.getByText(/Routes of the project name this policy/).waitFor();
  });

  await step("contact rules of the own account", async () => {
    await console.visit(page, "/account/notifications");
    await press(page, "Add a rule for high urgency");
    await press(page, "Add a rule for high urgency");
    const second = page.locator(".contact-rule").nth(1);
    await second.getByRole("checkbox", { name: "Push" }).uncheck();
    await page.getByText("Each rule needs a channel.").waitFor();
    await second.getByRole("checkbox", { name: "Mail" }).check();
    await press(page, "Save contact rules");
    await page.getByText("Your contact rules are saved.").waitFor();
    const admin = await prism.parts.base.database.read
      .selectFrom("contact_rules")
      .select(["urgency", "afterMs", "channels"])
      .orderBy("position")
      .execute();
    assert.deepEqual(admin, [
      { urgency: "high", afterMs: 0, channels: '["push"]' },
      { urgency: "high", afterMs: 300_000, channels: '["email"]' },
    ]);
  });
  console.assertClean();
});
