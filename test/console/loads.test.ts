import assert from "node:assert/strict";
import test from "node:test";
import { loadPage } from "../helpers/page-load.ts";
import { fill } from "./fixtures.ts";
import { startConsole } from "./helpers.ts";
import { fillMonth } from "./month.ts";

/** A request for each part of a page, and no more. */
const MOST_REQUESTS = 20;
/** Until title and first row stand. */
const MOST_BEFORE = 200_000;
const MOST_SCRIPT_BEFORE = 130_000;
/** With charts and editors. */
const MOST = 280_000;

test("a page asks for nothing twice, for at most 20 things, and shows its first row after 200 kB", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const ids = await fill(console, "The disk of db-2 is full");
  await fillMonth(console, "DiskFull", ids.user);
  // The browser's zone is reported once.
  const opened = await console.open("/");
  await console.shown(opened);
  const context = opened.context();
  // Answers are shared for some seconds, which a page on a busy machine takes to be drawn.
  await context.addInitScript(() => {
    performance.now = () => 0;
  });
  for (const [path, row] of [
    ["/", "main .attention"],
    ["/events", "main tbody tr"],
    ["/rules/new", "main .field"],
    ["/connect", "main .connect-tile"],
    ["/incidents", "main tbody tr"],
    [`/incidents/${ids.incident}`, "main .story li"],
    ["/alerts", "main tbody tr, main .alert-groups .card"],
    ["/oncall", "main .card"],
    ["/inbox", "main tbody tr, main li"],
    ["/reports", "main .report-answer"],
  ] as const)
    await t.test(path.replace(ids.incident, "<id>"), async () => {
      const once = () => loadPage(context, `${console.prism.url}/dashboard${path}`, row);
      let load = await once();
      // A change while it loads is asked about; what a page itself asks twice, it asks twice each time.
      for (let n = 0; n < 2 && load.doubles.length > 0; n++) load = await once();
      assert.deepEqual(load.doubles, []);
      assert.ok(load.requests.length <= MOST_REQUESTS, load.requests.join("\n"));
      assert.ok(load.scriptBefore <= MOST_SCRIPT_BEFORE, `${load.scriptBefore} bytes of script`);
      assert.ok(load.bytesBefore <= MOST_BEFORE, `${load.bytesBefore} bytes`);
      assert.ok(load.bytes <= MOST, `${load.bytes} bytes in all`);
    });
});
