import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { inflateSync } from "node:zlib";
import type { Page } from "playwright-core";
import type { IncidentsReport, RoutingDocument } from "../../src/client/api-types.gen.ts";
import { eventually } from "../helpers/eventually.ts";
import { stepsOf } from "../helpers/steps.ts";
import { rowsOf } from "../helpers/tables.ts";
import { assertAccessible, startConsole } from "./helpers.ts";
import { DAY, type EndedIncident, HOUR, happened, MINUTE } from "./month.ts";

const pagesOf = (pdf: Buffer): number => pdf.toString("latin1").match(/\/Type \/Page\b/g)?.length ?? 0;

/** How many texts the pages of a PDF have; streams of fonts and images have further members. */
function textsOf(pdf: Buffer): number {
  const text = pdf.toString("latin1");
  const streams = [...text.matchAll(/<<\/Filter \/FlateDecode\s+\/Length (\d+)>>\s*stream\r?\n/g)];
  return streams.reduce((sum, { 0: head, 1: length, index }) => {
    const start = index + head.length;
    const content = inflateSync(pdf.subarray(start, start + Number(length))).toString("latin1");
    return sum + (content.match(/\bT[jJ]\b/g)?.length ?? 0);
  }, 0);
}

/** On a phone there is no heading above the values of people and schedules: each has its own. */
async function assertLabelled(page: Page): Promise<void> {
  for (const name of ["Load of people", "Schedules"]) {
    const cells = page.getByRole("table", { name }).locator("tbody tr").first().locator("td:not(.to-title)");
    const labels = await cells.evaluateAll((all) =>
      all.filter((cell) => cell.checkVisibility()).map((cell) => getComputedStyle(cell, "::before").content),
    );
    assert.ok(labels.length >= 4, `${name}: ${labels}`);
    assert.ok(!labels.includes("none"), `${name}: ${labels}`);
  }
}

interface RouteNode {
  readonly routes?: readonly RouteNode[];
}

test("reports answer how the month was, open the incidents behind each figure, and the change that would help", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const ann = await console.person("ann");
  const bob = await console.person("bob");
  const today = Math.floor(Date.now() / DAY) * DAY;
  const days = Array.from({ length: 10 }, (_, n) => today - (n + 1) * DAY);
  const step = stepsOf(t);
  const page = await console.open("/reports");
  const main = page.locator("main");
  const rows = page.locator("main tbody tr");
  /** Opens the list behind a figure, which says how many it has. */
  const open = async (link: ReturnType<typeof main.getByRole>, total: number) => {
    await link.click();
    await page.waitForURL(/\/incidents\?/);
    await console.shown(page);
    await main.page().getByText(`${total} incidents, the latest first.`, { exact: true }).waitFor();
    assert.equal(await rows.count(), total);
  };
  interface Stored extends Omit<RoutingDocument, "route"> {
    readonly route: RouteNode;
  }
  const stored = async () => (await prism.get<Stored>("/api/v1/routes?projectId=default")).body;
  const back = () => console.visit(page, "/reports");

  await step("without incidents it says what will be there", async () => {
    await main.getByText("No incident ended in 30 days", { exact: true }).waitFor();
    await main.getByText("prism report month").waitFor();
  });

  await step(
    "the first screen says whether it gets better, who was woken most, and which alert comes first",
    async () => {
      await happened(console, [
        ...days.flatMap((day): EndedIncident[] => [
          { name: "Never", at: day + 2 * HOUR, lastsMs: HOUR, pages: [ann.id, ann.id] },
          { name: "With", at: day + 2 * HOUR + 2 * MINUTE, lastsMs: HOUR, ack: [bob.id, 5 * MINUTE], pages: [bob.id] },
          { name: "Blip", at: day + 12 * HOUR, lastsMs: MINUTE, ack: [bob.id, 30_000], pages: [bob.id] },
        ]),
        ...Array.from({ length: 20 }, (_, n): EndedIncident => {
          const at = today - 40 * DAY + n * HOUR;
          return { name: "Old", at, lastsMs: 5 * HOUR, ack: [bob.id, 20 * MINUTE], pages: [ann.id, ann.id, bob.id] };
        }),
      ]);
      await page.goto(`${prism.url}/dashboard/reports`);
      await console.shown(page);
      await main.getByText("40 pages of 30 incidents in 30 days, 33 % fewer than before.", { exact: true }).waitFor();
      const answers = main.getByRole("region", { name: "In short" });
      await answers.getByText("Yes, it gets better").waitFor();
      await answers.getByRole("link", { name: "ann: 20 pages at night" }).waitFor();
      await answers.getByText(/most by Never team=db \(20\)/).waitFor();
      await answers.getByText(/it would have saved 20 of 20 pages/).waitFor();
      for (const part of await answers.getByRole("heading").all()) {
        const box = await part.boundingBox();
        assert.ok(box && box.y < 500, "on the first screen");
      }
    },
  );

  await step("charts have tables, and hours are those of people", async () => {
    const chart = main.getByRole("figure", { name: "First response" });
    assert.equal(await chart.locator("table tbody tr").count(), 30);
    assert.equal(await main.getByRole("figure", { name: "Until the end" }).locator("table").count(), 1);
    const volume = main.getByRole("figure", { name: "Incidents", exact: true });
    assert.equal(await volume.locator("table tbody tr").count(), 10);
    const heat = main.getByRole("figure", { name: "Pages by hour" }).locator("tbody tr", { hasText: "ann" });
    assert.deepEqual((await heat.locator("td").allTextContents()).slice(1, 4), ["0", "20", "0"]);
  });

  await step("the days are those of the command", async () => {
    const { body } = await prism.get<IncidentsReport>("/api/v1/reports/incidents?days=30");
    assert.equal(Date.parse(body.from), today - 29 * DAY);
    assert.deepEqual([body.total.pages, body.total.incidents], [40, 30]);
  });

  await step("figures open the incidents behind them, and the list says which and how many", async () => {
    await open(main.getByRole("link", { name: /^Without a response 33 % 10 of 30 that paged/ }), 10);
    await page.getByRole("button", { name: "Without a response" }).waitFor();
    await back();
    await open(main.getByRole("link", { name: /^First response \(MTTA\) .* nine of ten of 20 within/ }), 20);
    await back();
    await open(main.getByRole("link", { name: /^Ended by themselves 10/ }), 10);
    assert.equal(await rows.getByText("lasted 1 min", { exact: true }).count(), 10, "how long each lasted");
    await back();
    await open(main.getByRole("link", { name: /^Pages 40 of 30 ended incidents/ }), 30);
    await back();
    await open(main.getByRole("table", { name: "Noisiest alerts" }).getByRole("link", { name: "Blip team=db" }), 10);
    await page.getByRole("button", { name: "Blip team=db" }).click();
    await eventually("the filter ends", async () => (await rows.count()) === 30);
    await back();
    const load = main.getByRole("table", { name: "Load of people" });
    await open(load.getByRole("link", { name: "ann", exact: true }), 10);
    await page.getByRole("button", { name: "Paged: ann" }).waitFor();
    await back();
    await open(main.getByRole("link", { name: "ann: 20 pages at night" }), 10);
    await page.getByRole("button", { name: "Pages at night" }).waitFor();
    await back();
    const bob = load.getByRole("row", { name: /^bob/ });
    // His pages are 10 at night of "With", and 10 by day of "Blip".
    for (const [at, name] of [
      [0, "With"],
      [1, "Blip"],
    ] as const) {
      await open(bob.getByRole("link", { name: "10", exact: true }).nth(at), 10);
      assert.equal(await rows.getByText(name, { exact: true }).count(), 10);
      await back();
    }
    // The last bar with one.
    const volume = main.getByRole("group", { name: /^Incidents: arrow keys/ });
    await volume.focus();
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/incidents\?/);
    await console.shown(page);
    assert.equal(await rows.count(), 3);
    await back();
  });

  await step("an alert that no one responds to opens a silence with its matchers", async () => {
    const answers = main.getByRole("region", { name: "In short" });
    await answers.getByRole("link", { name: "Silence it" }).click();
    await page.getByRole("heading", { level: 1, name: "New silence" }).waitFor();
    await page.locator(".chip", { hasText: "alertname=Never" }).waitFor();
    assert.match(await page.getByLabel("Comment").inputValue(), /would have saved 20 pages/);
    await page.getByText("Proposed by the report: it would have saved 20 of 20 pages", { exact: true }).waitFor();
    await page.getByText("No firing alert matches now.").waitFor();
    const end = await page.getByLabel("End", { exact: true }).inputValue();
    assert.equal(Math.round((Date.parse(end) - Date.now()) / DAY), 30);
    await console.visit(page, "/reports");
  });

  // The toast of the save before may still be shown.
  const save = async () => {
    const answer = page.waitForResponse((each) => each.request().method() === "PUT" && each.url().includes("/routes"));
    await page.getByRole("button", { name: "Save routes" }).click();
    assert.equal((await answer).status(), 200);
    await page.getByText("The routes are saved. Open incidents keep the settings of their route.").last().waitFor();
  };

  await step("a brief one opens its route with a first wait, below the route that takes it", async () => {
    const route = { groupBy: ["alertname", "team"], routes: [{ matchers: ['team="db"'] }] };
    const put = await prism.put("/api/v1/routes?projectId=default", { route, inhibitRules: [], timeIntervals: [] });
    assert.equal(put.status, 200, put.text);
    const noisy = main.getByRole("table", { name: "Noisiest alerts" });
    await noisy.getByRole("link", { name: "Wait before paging" }).click();
    await page.locator(".chip", { hasText: "alertname=Blip" }).first().waitFor();
    const proposed = page.getByText("Proposed by the report: it would have saved 10 of 10 pages", { exact: true });
    await proposed.waitFor();
    await page.getByText("The change is filled in below, and not saved. The test shows what it does.").waitFor();
    assert.equal(await page.getByLabel("Labels", { exact: true }).first().inputValue(), 'alertname="Blip", team="db"');
    await page.getByText("These routes are not saved. Save them to see who would be paged.").waitFor();
    const outcome = page.getByRole("region", { name: "Incident of default" });
    await outcome.getByText(/\{alertname="Blip", team="db"\}/).waitFor();
    await outcome.getByText("after 2 min").waitFor();
    await save();
    await proposed.waitFor({ state: "detached" });
    const saved = (await stored()).route.routes?.[0]?.routes?.[0];
    assert.deepEqual(saved, { matchers: ['alertname="Blip"', 'team="db"'], groupWaitMs: 120_000 });
    assert.doesNotMatch(page.url(), /propose/);
    await console.visit(page, "/reports");
    await noisy.getByRole("link", { name: "Wait before paging" }).click();
    await page.locator(".chip", { hasText: "alertname=Blip" }).first().waitFor();
    await page.getByText("These routes have the change already.").waitFor();
    assert.equal(await page.getByRole("button", { name: "Save routes" }).count(), 0);
    await console.visit(page, "/reports");
  });

  await step("one that comes with another opens a route that groups both", async () => {
    await main.getByRole("table", { name: "Noisiest alerts" }).getByRole("link", { name: "Group it" }).click();
    await save();
    const saved = (await stored()).route.routes?.[0]?.routes?.[0];
    assert.deepEqual(saved, { matchers: ['alertname=~"Never|With"', 'team="db"'], groupBy: ["team"] });
    await console.visit(page, "/reports");
  });

  await step("one that comes with another opens a rule that inhibits it", async () => {
    await main.getByRole("table", { name: "Noisiest alerts" }).getByRole("link", { name: "Inhibit it" }).click();
    await save();
    const [rule] = (await stored()).inhibitRules ?? [];
    assert.deepEqual(
      [rule?.sourceMatchers, rule?.targetMatchers],
      [
        ['alertname="Never"', 'team="db"'],
        ['alertname="With"', 'team="db"'],
      ],
    );
  });

  await step("other times: seven days, and own dates", async () => {
    await console.visit(page, "/reports");
    await main.getByRole("radio", { name: "7 days" }).click();
    await main.getByText(/^24 pages of 18 incidents in 7 days/).waitFor();
    const from = new Date(today - 41 * DAY).toISOString();
    const to = new Date(today - 38 * DAY).toISOString();
    await console.visit(page, `/reports?days=own&from=${from}&to=${to}`);
    const half = "in the second half 33 % fewer than in the first";
    await main.getByText(`60 pages of 20 incidents in 3 days, ${half}.`, { exact: true }).waitFor();
    await main
      .getByText(/^There were too few incidents before, so the second half of the time is compared with/)
      .waitFor();
    await main.getByText("24 pages, 36 in the first half").waitFor();
    await console.visit(page, `/reports?days=own&from=${to}&to=${from}`);
    await main.getByRole("alert").getByText("The first date must be before the last one.").waitFor();
    await main.getByText("No figures for these dates").waitFor();
    assert.equal(await main.getByText(/\d pages? of \d/).count(), 0, "no figures of another time");
    assert.equal(await main.getByRole("region", { name: "People" }).count(), 0);
    await main.getByLabel("From").fill("2026-13-45");
    await main.getByLabel("From").blur();
    await main.getByText("Write it as").waitFor();
    await main.getByRole("alert").getByText("Choose both dates.").waitFor();
    assert.equal(await main.getByText(/\d pages? of \d/).count(), 0);
  });

  await step("printed it has no menu, and charts are whole", async () => {
    await console.visit(page, "/reports");
    await page.locator(".uplot canvas").first().waitFor();
    await page.setViewportSize({ width: 720, height: 1000 });
    await page.emulateMedia({ media: "print" });
    assert.equal(await page.getByRole("navigation", { name: "Main" }).isVisible(), false);
    assert.equal(await main.getByRole("button", { name: "Print" }).isVisible(), false);
    const isWhole = await page.evaluate(() =>
      [...document.querySelectorAll(".uplot canvas")].every(
        (canvas) => canvas.getBoundingClientRect().right <= document.documentElement.clientWidth,
      ),
    );
    assert.ok(isWhole);
    await console.visit(page, "/reports?project=default");
    const head = main.getByText(/^Project Default, .* 00:00:00 UTC to .*Printed \w{3}, \d+ \w{3} \d{4}/);
    assert.equal(await head.count(), 1, await main.locator(".print-only").innerText());
    await page.getByText("The routes are saved.").last().waitFor({ state: "hidden" });
    // By default a PDF has the styles of print.
    await page.emulateMedia({ media: null });
    assert.equal(await main.locator(".print-only").isVisible(), false);
    for (const path of ["/reports", "/reports?days=90", "/reports?days=1"]) {
      await console.visit(page, path);
      for (const landscape of [false, true]) {
        const count = pagesOf(await page.pdf({ format: "A4", landscape }));
        assert.ok(count >= 1 && count <= 4, `${path}: ${count} pages`);
        const last = await page.pdf({ format: "A4", landscape, pageRanges: String(count) });
        assert.ok(textsOf(last) > 0, `the last of ${count} pages of ${path} has text`);
      }
    }
    await page.emulateMedia({ media: "screen" });
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  await step("a person without rights over others sees the own load", async () => {
    await console.prism.services.db.write((trx) =>
      trx
        .insertInto("project_members")
        .values({ projectId: prism.parts.offers.defaultProjectId, userId: bob.id, role: "viewer", createdAt: 0 })
        .execute(),
    );
    prism.rightsChanged();
    const own = await console.open("/reports", { as: "bob" });
    await own.getByRole("heading", { name: "How often were you woken?" }).waitFor();
    await console.shown(own);
    await own.getByRole("table", { name: "Load of people" }).getByRole("link", { name: "bob", exact: true }).click();
    await console.shown(own);
    assert.equal(await own.locator("main tbody tr").count(), 20);
    assert.equal(await own.getByRole("link", { name: "Silence it" }).count(), 0);
    const others = await prism.get<{ data: readonly object[] }>(`/api/v1/incidents?paged=${ann.id}`, {
      token: bob.token,
    });
    assert.deepEqual([others.status, others.body.data], [200, []]);
  });

  await step("a post-mortem is copied, and saved as a file", async () => {
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    const [incident] = rowsOf<{ id: string; number: number }>(
      prism,
      "select id, number from incidents where title = 'With' limit 1",
    );
    await console.visit(page, `/incidents/${incident?.id}`);
    const choose = async (name: string) => {
      await page.getByRole("button", { name: "Post-mortem" }).click();
      await page.getByRole("menuitem", { name }).click();
    };
    await choose("Copy post-mortem");
    await page.getByText("The post-mortem is copied as Markdown.").waitFor();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^# Incident \d+: /);
    for (const [name, ending, begins] of [
      ["Download as Markdown", "md", /^# Incident/],
      ["Download as JSON", "json", /^\{\n {2}"id"/],
    ] as const) {
      const saved = page.waitForEvent("download");
      await choose(name);
      const download = await saved;
      assert.equal(download.suggestedFilename(), `incident-${incident?.number}.${ending}`);
      assert.match(readFileSync(await download.path(), "utf8"), begins);
    }
  });

  const duty = { projectId: prism.parts.offers.defaultProjectId, name: "Duty", timezone: "UTC" };
  assert.equal((await prism.post("/api/v1/oncall/schedules", duty)).status, 201);
  for (const [width, theme] of [
    [390, "light"],
    [1280, "dark"],
  ] as const)
    await step(`axe finds nothing at ${width} px in ${theme}`, async () => {
      const other = await console.open("/reports", { width, theme });
      await console.shown(other);
      await other.locator(".uplot canvas").first().waitFor();
      await assertAccessible(other, `reports at ${width}`);
      if (width === 390) await assertLabelled(other);
    });
  console.assertClean();
});
