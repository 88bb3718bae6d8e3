import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { build } from "esbuild";
import type { Page } from "playwright-core";
import { fill, HOSTILE } from "./fixtures.ts";
import { assertAccessible, type ConsoleTest, startConsole } from "./helpers.ts";
import { fillMonth } from "./month.ts";
import type { Fault } from "./widths/in-page.ts";
import {
  addPasskey,
  EMPTY_SCENES,
  filledScenes,
  fireNight,
  LONG,
  type Scene,
  VISITOR_SCENES,
} from "./widths/scenes.ts";

/** From a small phone to a large screen. */
const WIDTHS = [1920, 1440, 1280, 1024, 768, 390, 360] as const;
/** npm run test:widths: the dark theme, axe, and fresh loads of every page too. */
const IS_WHOLE = process.env["PRISM_TEST_WIDTHS"] === "all";
const AXE_WIDTHS = new Set<number>([390, 1440]);
const MOST_SHIFT = 0.05;
/** Pages wait for answers and frames most of the time. */
const WINDOWS = 4;

let checks: Promise<string> | undefined;

/** The script that looks for faults in the page, bundled once. */
async function bundleChecks(): Promise<string> {
  const entry = join(import.meta.dirname, "widths/in-page.ts");
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, write: false, format: "iife" });
  return outputFiles[0]?.text ?? "";
}

function faultsOf(page: Page): Promise<readonly Fault[]> {
  return page.evaluate(async () => {
    // Charts and menus follow the width of the window a frame later.
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve))));
    return (window as unknown as { faultsOnPage(): readonly Fault[] }).faultsOnPage();
  });
}

/** Faults by what is broken, each with the pages and widths where it is. */
class Report {
  readonly #faults = new Map<string, { detail: string; readonly scenes: Set<string>; readonly widths: Set<number> }>();

  add({ kind, what, detail }: Fault, scene: string, width: number): void {
    const key = `${kind}: ${what}`;
    const known = this.#faults.get(key) ?? { detail, scenes: new Set(), widths: new Set() };
    this.#faults.set(key, known);
    known.scenes.add(scene);
    known.widths.add(width);
  }

  lines(): readonly string[] {
    return [...this.#faults]
      .sort(([one], [other]) => one.localeCompare(other))
      .map(([key, { detail, scenes, widths }]) => {
        const [first, ...others] = scenes;
        const pages = others.length === 0 ? first : `${first} and ${others.length} more`;
        return `${key} (${detail}) on ${pages} at ${[...widths].join(", ")} px`;
      });
  }
}

const nameOf = ({ path, press = [], keys }: Scene): string =>
  [path.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, ":id"), ...press, ...(keys === undefined ? [] : [keys])].join(" > ");

/** Opens a scene at the first width. */
async function show(console: ConsoleTest, page: Page, { path, press = [], keys }: Scene): Promise<void> {
  await page.setViewportSize({ width: WIDTHS[0], height: 900 });
  await console.visit(page, path);
  for (const name of press) {
    // The name of a menu has more words than its button.
    const text = page.getByText(name, { exact: true }).and(page.locator(".btn-t, .item-t *"));
    const button = page.getByRole("button", { name, exact: true });
    await text.or(button).locator("visible=true").first().click();
  }
  if (keys !== undefined) await page.keyboard.press(keys);
  if (press.length > 0 || keys !== undefined) await page.locator(".sheet, .menu:popover-open").last().waitFor();
  await console.shown(page);
}

/** What axe finds, with its rule for small targets. */
async function noteBarriers(page: Page, scene: Scene, width: number, report: Report): Promise<void> {
  try {
    await assertAccessible(page, nameOf(scene), ["target-size"]);
  } catch (error) {
    if (!(error instanceof assert.AssertionError)) throw error;
    report.add(
      { kind: "axe", what: JSON.stringify(error.actual), detail: error.message.slice(0, 60) },
      nameOf(scene),
      width,
    );
  }
}

/** Looks at each scene at each width. */
async function look(console: ConsoleTest, page: Page, scenes: readonly Scene[], report: Report): Promise<void> {
  checks ??= bundleChecks();
  // The pages of the scenes are shown without a load.
  await page.evaluate(await checks);
  for (const scene of scenes) {
    try {
      await show(console, page, scene);
    } catch (error) {
      report.add({ kind: "not opened", what: nameOf(scene), detail: String(error) }, nameOf(scene), WIDTHS[0]);
      continue;
    }
    for (const width of WIDTHS) {
      if (width !== WIDTHS[0]) await page.setViewportSize({ width, height: 900 });
      for (const fault of await faultsOf(page)) report.add(fault, nameOf(scene), width);
      if (IS_WHOLE && AXE_WIDTHS.has(width)) await noteBarriers(page, scene, width, report);
    }
    if (scene.press !== undefined || scene.keys !== undefined) await page.keyboard.press("Escape");
  }
}

/** Runs work for each of some things, in as many windows as there are pages. */
async function inWindows<T>(
  pages: readonly Page[],
  all: readonly T[],
  work: (page: Page, part: readonly T[]) => unknown,
) {
  await Promise.all(
    pages.map((page, at) =>
      work(
        page,
        all.filter((_, each) => each % pages.length === at),
      ),
    ),
  );
}

/** Sums up how far the parts of a page move while it loads, as browsers report it. */
function watchShifts(): void {
  const shifts: string[] = [];
  Object.assign(window, { shifts });
  interface Shift extends PerformanceEntry {
    readonly value: number;
    readonly sources: readonly { readonly node: Node | null }[];
  }
  const note = (entry: Shift) => {
    const moved = entry.sources.map(({ node }) => (node instanceof Element ? node.className || node.tagName : "text"));
    shifts.push(`${entry.value.toFixed(4)} ${moved.join(" ")}`);
  };
  new PerformanceObserver((list) => list.getEntries().map((entry) => note(entry as Shift))).observe({
    type: "layout-shift",
    buffered: true,
  });
}

/** Lets the answers of the API arrive in another order, the same in each run: what moves then depends on no machine. */
async function mixAnswers(page: Page): Promise<void> {
  await page.route("**/api/v1/**", async (route) => {
    const letters = [...new URL(route.request().url()).pathname];
    const turn = letters.reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 5;
    await new Promise((resolve) => setTimeout(resolve, turn * 50));
    // The page may be closed by now.
    await route.continue().catch(() => undefined);
  });
}

/** Loads pages anew and notes those where more than {@link MOST_SHIFT} moves. */
async function loadAnew(console: ConsoleTest, page: Page, paths: readonly string[], report: Report): Promise<void> {
  for (const path of paths) {
    await page.goto(`${console.prism.url}/dashboard${path}`);
    await console.shown(page);
    const shifts = await page.evaluate(() => (window as unknown as { shifts: string[] }).shifts);
    const sum = shifts.reduce((total, each) => total + Number.parseFloat(each), 0);
    const width = page.viewportSize()?.width ?? 0;
    if (sum > MOST_SHIFT)
      report.add({ kind: "moves", what: shifts.join("; "), detail: sum.toFixed(3) }, nameOf({ path }), width);
  }
}

for (const { theme, text } of [
  { theme: "light", text: LONG },
  ...(IS_WHOLE ? [{ theme: "dark", text: HOSTILE } as const] : []),
] as const) {
  const texts = text === HOSTILE ? "hostile texts" : "long names";
  test(`with ${texts} nothing is cut, covered, off the screen or small at any width: ${theme}`, async (t) => {
    const console = await startConsole(t, { settings: { "auth.registration": "open" } });
    if (!console) return;
    console.expected.push(/status of 4\d\d/);
    const report = new Report();
    const open = async (width: number, count: number) => {
      const opened: Page[] = [];
      while (opened.length < count) opened.push(await console.open("/", { theme, width }));
      return opened;
    };
    const pages = await open(1440, WINDOWS);
    await Promise.all([
      look(console, await console.open("/sign-in", { as: null, theme }), VISITOR_SCENES, report),
      inWindows(pages, EMPTY_SCENES, (page, scenes) => look(console, page, scenes, report)),
    ]);
    // Once it has a passkey, the account cannot sign in with its password.
    const [narrow, wide] = [await open(390, WINDOWS / 2), await open(1440, WINDOWS / 2)];
    const ids = await fill(console, text);
    const incident = await fireNight(console);
    await fillMonth(console, text, ids.user);
    await addPasskey(console, text.slice(0, 64));
    const scenes = filledScenes({ ...ids, incident });
    await inWindows(pages, scenes, (page, part) => look(console, page, part, report));

    const all = scenes.filter(({ press, keys }) => press === undefined && keys === undefined);
    const paths = IS_WHOLE
      ? all.map(({ path }) => path)
      : ["/", "/rules/new", `/incidents/${incident}`, "/alerts", "/reports"];
    for (const page of [...narrow, ...wide]) {
      await page.addInitScript(watchShifts);
      await mixAnswers(page);
    }
    const load = (page: Page, part: readonly string[]) => loadAnew(console, page, part, report);
    await Promise.all([inWindows(narrow, paths, load), inWindows(wide, paths, load)]);
    assert.deepEqual(report.lines(), []);
    console.assertClean();
  });
}
