import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { MINUTE } from "../features/alerts/incidents/support.ts";
import { DAY, IncidentWorld, Maker } from "../features/reports/support.ts";
import { runCli, runJson } from "./run-cli.ts";

test("prism report shows four reports on one page in four forms, and prism incidents export a post-mortem", async (t) => {
  const world = await IncidentWorld.start(t, { "auth.accessExpires": "30d" });
  const { prism, projectId } = world;
  const { id: userId } = await world.member("ann");
  await world.db.write((trx) =>
    trx.updateTable("users").set({ name: "=HYPERLINK(1)" }).where("id", "=", userId).execute(),
  );
  const maker = await Maker.of(world);
  // Commands have the clock of this machine.
  const openedAt = Date.now() - 60 * MINUTE;
  world.clock.advance(Math.max(0, Date.now() - world.clock.now()));
  const groupLabels = JSON.stringify({ alertname: "=cmd|' /C calc'!A0 \u001b[2J" });
  const incident = maker.incident({ openedAt, notifiedAt: openedAt, resolvedAt: openedAt + 5 * MINUTE, groupLabels });
  const page = { incidentId: String(incident["id"]), projectId, userId, createdAt: openedAt, deliveredAt: openedAt };
  const oldAt = openedAt - 80 * DAY;
  const old = maker.incident({ openedAt: oldAt, notifiedAt: oldAt, resolvedAt: oldAt + 5 * MINUTE, groupLabels });
  await maker.store([
    { incident, log: [], pages: [maker.page(page)] },
    { incident: old, log: [], pages: [] },
  ]);
  await prism.parts.offers.reports.collect();
  const options = { cwd: prism.dir, env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } };
  const run = (words: string) => runCli(words.split(" "), options);

  const week = await run("report week");
  assert.equal(week.status, 0, week.stderr);
  assert.match(week.stdout, /^Incidents\n {2}1 incident, 1 page; 100 % without a response\n/);
  assert.match(week.stdout, /\nWhat pages most\n {2}=cmd\|.*: 1 page of 1 incident,/);
  assert.match(week.stdout, /\n {2}Too few incidents before to compare with\n/);
  assert.match(
    week.stdout,
    /\nPeople\n {2}=HYPERLINK\(1\): 1 page, .*, most by =cmd\|.* \(1\); 0 h on call in 0 nights\n/,
  );
  assert.ok(!week.stdout.includes("\u001b"), "keys of alerts do not reach the terminal");

  const day = (at: number) => new Date(at).toISOString().slice(0, 10);
  const dates = await run(`report range --from ${day(openedAt)} --to ${day(openedAt + 24 * 60 * MINUTE)}`);
  assert.equal(dates.status, 0, dates.stderr);
  assert.match(dates.stdout, /^Incidents\n {2}1 incident, 1 page;/);
  const earlier = await run(`report range --from 2026-01-01 --to 2026-01-02`);
  assert.match(earlier.stdout, /^Incidents\n {2}0 incidents, 0 pages;/);
  const most = await run("report range --days 90");
  assert.match(most.stdout, /^Incidents\n {2}2 incidents, 1 page;/);
  assert.match(
    most.stdout,
    /\n {2}There were too few incidents before, so the second half of the time is compared with the first:\n {4}First half: 1 incident, 0 pages; first response median –, end median 5 min\n {4}Second half: 1 incident, 1 page;/,
  );
  const halves = await run("report range --days 90 --format csv");
  assert.match(halves.stdout, /incidents,first half,pages,0\r?\n/);
  assert.match(halves.stdout, /incidents,second half,pages,1\r?\n/);
  const whole = await runJson<{ incidents: { from: string; to: string } }>(
    ["report", "range", "--days", "30"],
    options,
  );
  const today = Math.floor(Date.parse(whole.incidents.to) / DAY) * DAY;
  assert.equal(Date.parse(whole.incidents.from), today - 29 * DAY, "30 days in UTC, with today");
  const unknown = await run("report week --project defautl");
  assert.equal(unknown.status, 6);
  assert.match(unknown.stderr, /there is no project defautl that you may read; did you mean default\?/);
  assert.match(unknown.stderr, /"prism projects list" lists all/);
  for (const [words, problem] of [
    ["", /say which days/],
    ["--days 90 --from 2026-01-01", /cannot be used with/],
    ["--from yesterday", /a day such as 2026-01-31/],
    ["--from 2026-01-02 --to 2026-01-01", /--from must be before --to/],
  ] as const) {
    const refused = await run(`report range ${words}`.trim());
    assert.equal(refused.status, 2, words);
    assert.match(refused.stderr, problem);
  }

  const csv = await run("report month --format csv");
  assert.match(csv.stdout, /^report,of,figure,value\r?\n/);
  assert.match(csv.stdout, /incidents,total,incidents,1\r?\n/);
  assert.match(csv.stdout, /people,'=HYPERLINK\(1\),pagesDay/);
  assert.doesNotMatch(csv.stdout, /(^|,)=/m);

  const markdown = await run("report month --project default --format markdown");
  assert.match(markdown.stdout, /^## Incidents\n\n- 1 incident,/);
  const json = await runJson<{ people: object; noise: { pages: number } }>(["report", "week"], options);
  assert.equal(json.noise.pages, 1);

  const number = String(incident["number"]);
  const text = await run(`incidents export ${number}`);
  assert.equal(text.status, 0, text.stderr);
  assert.match(text.stdout, new RegExp(`^# Incident ${number}: `));
  const asJson = await run(`incidents export ${number} --format json`);
  assert.equal(String(JSON.parse(asJson.stdout).number), number);
  writeFileSync(join(prism.dir, "own.md"), "{{ number }} {{ severity | default:'none' }}");
  assert.equal((await run(`incidents export ${number} --template own.md`)).stdout, `${number} none\n`);
  writeFileSync(join(prism.dir, "own.md"), "{{ nothing }}");
  const refused = await run(`incidents export ${number} --template own.md`);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /own\.md: there is no nothing/);

  const rows = await run("export incidents --format csv");
  assert.match(rows.stdout, /^id,number,projectId,title/);
  assert.equal(rows.stdout.trim().split("\r\n").length, 3);
  await world.fire("Disk");
  const alerts = await run("export alerts");
  assert.equal(alerts.status, 0, alerts.stderr);
  assert.equal(alerts.stdout.trim().split("\n").length, 2, "resolved ones, too");
});
