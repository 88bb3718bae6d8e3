import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { countOf } from "../../../helpers/tables.ts";
import { timesOf } from "../jobs/support/shown-times.ts";

const manual = readFileSync(join(import.meta.dirname, "../../../../docs/schedules.md"), "utf8");

test("docs/schedules.md: each line of the table of days is what happens on that day", () => {
  const lines = [...manual.matchAll(/^\| (\w+\/\w+) \| (\d{4}-\d\d-\d\d) \| `([^`]+)` \| (.+) \|$/gm)];
  assert.ok(lines.length >= 10);
  for (const [line, zone = "", day = "", pattern = "", times = ""] of lines)
    assert.deepEqual(
      timesOf(pattern, zone, day),
      [...times.matchAll(/`([^`]+)`/g)].map(([, time]) => time),
      line,
    );
});

test("docs/schedules.md: its schedule is accepted, and its rule notifies about a skipped run", async (t) => {
  const prism = await startPrism(t);
  const [, schedule = ""] = /schedules .*-d '([^']+)'/.exec(manual) ?? [];
  await answered(201, prism.post("/api/v1/schedules", JSON.parse(schedule)));
  const [, rule = ""] = /```json\n([^`]+)```/.exec(manual) ?? [];
  await answered(201, prism.post("/api/v1/rules", { ...JSON.parse(rule), targetRoles: ["Admin"] }));
  const { schedules } = prism.parts.offers;
  const { runner } = prism.parts.offers;
  runner.handle("never ends", () => new Promise(() => undefined));
  const nightly = await schedules.create({ name: "nightly", everyMs: 1000, queue: "retention", kind: "never ends" });
  await schedules.run(nightly.id);
  await eventually("a user was notified", () => countOf(prism, "notifications") > 0);
  await schedules.delete(nightly.id);
  const [note] = await prism.services.db.read.selectFrom("notifications").select(["title", "message"]).execute();
  assert.equal(note?.title, "nightly did not run");
  assert.match(note?.message ?? "", /^The run of 20\d\d-.*Z was skipped/);
});
