import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type {
  IncidentsReport,
  NoiseReport,
  PeopleReport,
  PostMortem,
  SchedulesReport,
} from "../../../src/client/api-types.gen.ts";
import { uuidv7 } from "../../../src/core/ids.ts";
import { approximateTimes, exactTimes } from "../../../src/features/reports/incidents-report.ts";
import { makeUser } from "../../helpers/people.ts";
import { answered } from "../../helpers/prism.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { countOf, rowsOf, scalarOf } from "../../helpers/tables.ts";
import { DAY, type Given, HOUR, IncidentWorld, LONG, MINUTE, ReportWorld } from "./support.ts";

test("incidents are reported by project, policy, severity, key, week and label, with exact times", async (t) => {
  const site = await ReportWorld.start(t);
  const ann = (await site.world.member("ann")).id;
  const bob = (await site.world.member("bob")).id;
  await site.happened([
    { name: "Disk", at: 9 * DAY, lastsMs: HOUR, ack: [ann, 3 * MINUTE], pages: [ann] },
    { name: "Disk", at: 9 * DAY - HOUR - 10 * MINUTE, lastsMs: 2 * MINUTE, pages: [ann, bob] },
    { name: "Cpu", at: DAY, lastsMs: 3 * HOUR, ack: [bob, 11 * MINUTE], pages: [bob] },
  ]);
  const report = await site.get<IncidentsReport>("incidents");
  assert.deepEqual(
    report.data.map(({ group, incidents, pages, reopened, brief }) => [group, incidents, pages, reopened, brief]),
    [
      ["Disk env=prod", 2, 3, 1, 1],
      ["Cpu env=prod", 1, 1, 0, 0],
    ],
  );
  assert.deepEqual(report.total.ack, { median: 6 * MINUTE, p90: 10 * MINUTE, mean: 6 * MINUTE });
  assert.deepEqual(report.total.ackSinceOpening, { median: 7 * MINUTE, p90: 11 * MINUTE, mean: 7 * MINUTE });
  assert.equal(report.total.unacknowledgedShare, 0.333);
  assert.equal(report.isApproximate, false);
  const groups = async (by: string) =>
    (await site.get<IncidentsReport>(`incidents?by=${by}`)).data.map(({ group, incidents }) => `${group} ${incidents}`);
  assert.deepEqual(await groups("project"), [`${site.world.projectId} 3`]);
  assert.deepEqual(await groups("severity"), ["critical 3"]);
  assert.deepEqual(await groups("label:env"), ["prod 3"]);
  assert.deepEqual(await groups("label:alertname"), ["Disk 2", "Cpu 1"]);
  const weeks = await groups("week");
  assert.ok(weeks.length >= 1 && weeks.every((week) => new Date(week.slice(0, 10)).getUTCDay() === 1), String(weeks));
  for (const query of [
    "days=0",
    "days=401",
    "days=7&from=2026-01-01T00:00:00Z",
    "by=nothing",
    "by=label:a-b",
    "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
  ])
    await answered(400, site.world.prism.get(`/api/v1/reports/incidents?${query}`));
  await answered(404, site.world.prism.get("/api/v1/reports/incidents?project=none"));
});

test("days are whole days in UTC, of which that of the end is the last", async (t) => {
  const site = await ReportWorld.start(t);
  const { clock } = site.world;
  const today = Math.floor(clock.now() / DAY) * DAY;
  const before = (at: number) => clock.now() - at;
  const given = [
    before(today - DAY),
    before(today - DAY - MINUTE),
    before(today - 29 * DAY),
    before(today - 29 * DAY - 1),
  ];
  await site.happened(given.map((at): Given => ({ name: "Disk", at, lastsMs: MINUTE / 2 })));
  const range = async (query: string) => {
    const { from, to, total } = await site.get<IncidentsReport>(`incidents${query}`);
    return [Date.parse(from) - today, Date.parse(to) - today, total.incidents];
  };
  const now = clock.now() - today;
  assert.deepEqual(await range("?days=2"), [-DAY, now, 1]);
  assert.deepEqual(await range("?days=3"), [-2 * DAY, now, 2]);
  assert.deepEqual(await range("?days=30"), [-29 * DAY, now, 3]);
  assert.deepEqual(await range(""), await range("?days=30"));
  const to = new Date(today).toISOString();
  assert.deepEqual(await range(`?days=1&to=${to}`), [-DAY, 0, 1], "midnight ends the day before");
});

test("a range is compared with the time before it, and with nothing there its second half with its first half", async (t) => {
  const site = await ReportWorld.start(t);
  const { clock } = site.world;
  const ann = (await site.world.member("ann")).id;
  const disk = (days: number, responseMs: number): Given => ({
    ...{ name: "Disk", at: days * DAY, lastsMs: HOUR, ack: [ann, responseMs], pages: [ann] },
  });
  const compared = async (query: string) => {
    const found = (await site.get<IncidentsReport>(`incidents?compare=true${query}`)).compared;
    return found && [found.with, found.now.pages, found.before.pages, found.before.ack.median];
  };
  assert.equal(await compared(""), null, "no incident");
  const old = [disk(70, 5 * MINUTE), disk(80, 7 * MINUTE), disk(81, 9 * MINUTE)];
  await site.happened([disk(1, 2 * MINUTE), disk(10, 3 * MINUTE), ...old]);
  assert.equal(await compared("&days=4"), null, "its first half has none");
  assert.deepEqual(await compared("&days=90"), ["firstHalf", 2, 3, 6 * MINUTE]);
  const from = new Date(clock.now() - 45 * DAY).toISOString();
  assert.deepEqual(await compared(`&from=${from}`), ["before", 2, 3, 6 * MINUTE]);
  const few = Array.from({ length: 40 }, (_, n) => disk(0.9 - n / 50, MINUTE));
  await site.happened(few);
  assert.equal(await compared(`&from=${from}`), null, "3 of 42 say nothing");
  assert.equal((await site.get<IncidentsReport>("incidents")).compared, null, "not asked for");
});

test("the days of long ranges sum to the same, and their median and p90 are near", async (t) => {
  const site = await ReportWorld.start(t);
  const ann = (await site.world.member("ann")).id;
  const given = Array.from({ length: 200 }, (_, n) => ({
    ...{ name: `A${n % 3}`, at: 20 * DAY - n * HOUR, lastsMs: (n + 3) * MINUTE },
    ...(n % 4 === 0 ? {} : { ack: [ann, (2 + (n % 50)) * MINUTE] as const }),
    pages: [ann],
  }));
  await site.happened(given);
  const exact = (await site.get<IncidentsReport>("incidents")).total;
  const [sums] = rowsOf<Record<string, number>>(
    site.world.prism,
    "select sum(incidents) incidents, sum(acknowledged) acknowledged, sum(pages) pages, sum(ackMs) ackMs from incident_days",
  );
  assert.deepEqual(
    [sums?.["incidents"], sums?.["acknowledged"], sums?.["pages"]],
    [exact.incidents, exact.acknowledged, exact.pages],
  );
  const buckets = rowsOf<{ bucket: number; n: number }>(
    site.world.prism,
    "select cast(b.key as integer) bucket, sum(b.value) n from incident_days d, json_each(d.acks) b where b.key <> 'none' group by 1",
  );
  const near = approximateTimes(buckets, sums?.["ackMs"] ?? 0, exact.acknowledged);
  assert.equal(near.mean, exact.ack.mean);
  for (const name of ["median", "p90"] as const) {
    const ratio = (near[name] ?? 0) / (exact.ack[name] ?? 1);
    assert.ok(ratio > 0.5 && ratio < 2, `${name}: ${near[name]} for ${exact.ack[name]}`);
  }
  assert.deepEqual(exactTimes([]), { median: null, p90: null, mean: null });
  assert.deepEqual(exactTimes([4, 1, 3, 2]), { median: 3, p90: 4, mean: 3 });
});

test("whose load is shown follows reports.people, row by row, and a response time is its person's alone", async (t) => {
  const rows = [
    { people: "off", owner: null, member: null, admin: null },
    { people: "self", owner: ["olga"], member: ["ann"], admin: ["admin"] },
    { people: "owners", owner: ["ann", "olga"], member: ["ann"], admin: ["ann", "bob", "olga"] },
    { people: "all", owner: ["ann", "olga"], member: ["ann", "olga"], admin: ["ann", "bob", "olga"] },
  ] as const;
  for (const { people, ...expected } of rows)
    await t.test(people, async (t) => {
      const site = await ReportWorld.start(t, { "reports.people": people });
      const { world } = site;
      const { prism } = world;
      const [ann, bob, olga] = [
        await makeUser(prism, "ann", ["User"]),
        await makeUser(prism, "bob", ["User"]),
        await makeUser(prism, "olga", ["User"]),
      ];
      const project = async (name: string, members: readonly (readonly [string, "owner" | "viewer"])[]) => {
        const { body } = await answered(201, prism.post<{ id: string }>("/api/v1/projects", { name }));
        await world.db.write(async (trx) => {
          for (const [userId, role] of members)
            await trx
              .insertInto("project_members")
              .values({ projectId: body.id, userId, role, createdAt: 0 })
              .execute();
        });
        return body.id;
      };
      const shop = await project("shop", [
        [olga.id, "owner"],
        [ann.id, "viewer"],
      ]);
      const other = await project("other", [[bob.id, "owner"]]);
      prism.rightsChanged();
      const common = { at: 2 * DAY, lastsMs: HOUR };
      await site.happened([
        { ...common, name: "A", ack: [ann.id, 5 * MINUTE], pages: [ann.id, olga.id], projectId: shop },
        { ...common, name: "B", pages: [bob.id], projectId: other },
      ]);
      const names = async (token: string | undefined) => {
        const options = token === undefined ? {} : { token };
        const { status, body } = await prism.get<PeopleReport>("/api/v1/reports/people", options);
        if (status !== 200) return null;
        for (const { name, medianAckMs } of body.data)
          assert.equal(
            medianAckMs,
            name === "ann" && token === ann.token ? 4 * MINUTE : null,
            `${name}'s response time`,
          );
        const known = { [ann.id]: "ann", [bob.id]: "bob", [olga.id]: "olga" };
        return body.data.map(({ userId }) => known[userId] ?? "admin").sort();
      };
      assert.deepEqual(await names(olga.token), expected.owner);
      assert.deepEqual(await names(ann.token), expected.member);
      assert.deepEqual(await names(undefined), expected.admin);
    });
});

test("schedules: pages per shift, gaps that were, shares", async (t) => {
  const site = await ReportWorld.start(t);
  const { prism, clock, projectId } = site.world;
  const ann = (await site.world.member("ann")).id;
  const start = new Date(clock.now() - 4 * DAY).toISOString().slice(0, 19);
  const schedule = await answered(
    201,
    prism.post<{ id: string }>("/api/v1/oncall/schedules", { projectId, name: "Duty", timezone: "UTC" }),
  );
  // A shift of the past is one of a schedule that was there: it is entered as valid since then.
  await answered(
    201,
    prism.post(`/api/v1/oncall/schedules/${schedule.body.id}/shifts`, { start, durationMs: DAY, turns: [[ann]] }),
  );
  await site.world.db.write((trx) => trx.updateTable("oncall_shifts").set({ validFrom: null }).execute());
  await site.happened([{ name: "A", at: 4 * DAY - HOUR, lastsMs: HOUR, pages: [ann, ann] }]);
  const from = encodeURIComponent(new Date(clock.now() - 5 * DAY).toISOString());
  const { data } = await site.get<SchedulesReport>(`schedules?from=${from}`);
  const [duty] = data;
  assert.deepEqual(
    { shifts: duty?.shifts, people: duty?.people, pagesPerShift: duty?.pagesPerShift, gapHours: duty?.gapHours },
    { shifts: 1, people: 1, pagesPerShift: 2, gapHours: 96 },
  );
  assert.deepEqual([duty?.smallestShare, duty?.largestShare, duty?.gaps.length], [1, 1, 2]);
  const people = await site.get<PeopleReport>(`people?from=${from}`);
  assert.equal(people.data[0]?.onCallHours, 24);
});

test("everyone sees the own load in all projects, also as no member of them", async (t) => {
  const site = await ReportWorld.start(t);
  const { world } = site;
  const { prism } = world;
  const [ann, bob, cat] = [await makeUser(prism, "ann"), await makeUser(prism, "bob"), await makeUser(prism, "cat")];
  const shop = (await answered(201, prism.post<{ id: string }>("/api/v1/projects", { name: "shop" }))).body.id;
  const other = (await answered(201, prism.post<{ id: string }>("/api/v1/projects", { name: "other" }))).body.id;
  const viewer = { projectId: other, userId: bob.id, role: "viewer", createdAt: 0 } as const;
  await world.db.write((trx) => trx.insertInto("project_members").values(viewer).execute());
  prism.rightsChanged();
  const common = { at: 2 * DAY, lastsMs: HOUR, projectId: shop };
  await site.happened([{ ...common, name: "A", ack: [ann.id, 5 * MINUTE], pages: [ann.id, ann.id, bob.id] }]);
  const loadOf = async (token: string | undefined, query = "") =>
    (await site.get<PeopleReport>(`people${query}`, token)).data.map((load) => [
      load.userId,
      load.pagesDay + load.pagesNight,
      load.hours.reduce((sum, n) => sum + n, 0),
      load.keys.map(({ key }) => key),
    ]);
  assert.deepEqual(await loadOf(ann.token), [[ann.id, 2, 2, ["A env=prod"]]]);
  assert.equal((await site.get<PeopleReport>("people", ann.token)).data[0]?.medianAckMs, 4 * MINUTE);
  assert.deepEqual(await loadOf(bob.token), [[bob.id, 1, 1, ["A env=prod"]]]);
  assert.deepEqual(await loadOf(bob.token, "?project=other"), [[bob.id, 0, 0, []]], "of one project");
  assert.deepEqual(await loadOf(cat.token), [[cat.id, 0, 0, []]]);
});

test("noise: what pages most, with what would have saved pages", async (t) => {
  const site = await ReportWorld.start(t);
  const ann = (await site.world.member("ann")).id;
  const times = Array.from({ length: 10 }, (_, n) => (n + 1) * DAY);
  await site.happened([
    ...times.map((at): Given => ({ name: "Never", at, lastsMs: HOUR, pages: [ann, ann], by: "policy" })),
    ...times.map(
      (at, n): Given => ({
        name: "Blip",
        at: at - 8 * HOUR,
        lastsMs: n === 0 ? HOUR : MINUTE,
        ack: [ann, 30_000],
        pages: [ann],
      }),
    ),
    ...times.map(
      (at): Given => ({ name: "With", at: at - 2 * MINUTE, lastsMs: HOUR, ack: [ann, 5 * MINUTE], pages: [ann] }),
    ),
    ...times.slice(0, 4).map((at): Given => ({ name: "Few", at: at - 4 * HOUR, lastsMs: HOUR, pages: [ann] })),
  ]);
  const { data, pages } = await site.get<NoiseReport>("noise");
  assert.equal(pages, 44);
  const found = Object.fromEntries(
    data.map(({ key, suggestions }) => [key, suggestions.map(({ kind, saves }) => `${kind} ${saves}`)]),
  );
  assert.deepEqual(found, {
    "Never env=prod": ["unacknowledged 20"],
    "Blip env=prod": ["brief 9"],
    "With env=prod": ["together 10"],
    "Few env=prod": [],
  });
  const [never] = data;
  assert.deepEqual(never?.suggestions[0]?.matchers, ['alertname="Never"', 'env="prod"']);
  assert.match(never?.suggestions[0]?.text ?? "", /20 of 20 pages/);

  // Besides the labels of the group those that all of its alerts have.
  const labels = (host: string) => JSON.stringify({ alertname: "Never", env: "prod", team: "db", host });
  const incidents = rowsOf<{ id: string }>(
    site.world.prism,
    "select id from incidents where title = 'Never' order by openedAt",
  );
  await site.world.db.write(async (trx) => {
    const alert = await trx.selectFrom("alerts").selectAll().executeTakeFirstOrThrow();
    for (const [n, { id: incidentId }] of incidents.entries()) {
      const id = uuidv7();
      await trx
        .insertInto("alerts")
        .values({ ...alert, id, key: id, labels: labels(`h${n}`) })
        .execute();
      await trx.insertInto("incident_alerts").values({ incidentId, alertId: id, addedAt: 0 }).execute();
    }
  });
  const again = (await site.get<NoiseReport>("noise")).data;
  const [best] = again[0]?.suggestions ?? [];
  assert.deepEqual(best?.matchers, ['alertname="Never"', 'env="prod"', 'team="db"']);
  assert.equal(best?.labels["host"], "h9", "of the newest");
  const joined = again.flatMap(({ suggestions }) => suggestions).find(({ kind }) => kind === "together");
  assert.equal(joined?.withLabels["host"], "h9");
});

test("a suggestion names a gentler change, and of equal ones the gentlest is first", async (t) => {
  const site = await ReportWorld.start(t);
  const ann = (await site.world.member("ann")).id;
  const times = Array.from({ length: 10 }, (_, n) => n);
  const given = (name: string, lastsMs: (n: number) => number): Given[] =>
    times.map((n) => ({ name, at: (n + 1) * DAY - name.length * HOUR, lastsMs: lastsMs(n), pages: [ann] }));
  await site.happened([
    ...given("Brief", () => MINUTE),
    ...given("Half_of", (n) => (n < 6 ? MINUTE : HOUR)),
    ...given("Long_lasting", (n) => (n < 2 ? MINUTE : HOUR)),
  ]);
  const { data } = await site.get<NoiseReport>("noise");
  const of = (name: string) => data.find(({ key }) => key.startsWith(name))?.suggestions ?? [];
  assert.deepEqual(
    of("Brief").map(({ kind }) => kind),
    ["brief", "unacknowledged"],
  );
  const [half] = of("Half_of");
  assert.equal(half?.kind, "unacknowledged");
  assert.match(
    half.text,
    /saved 10 of 10 pages\. Gentler: `for` at its source or a group wait of 2 minutes would have saved 6 of them, and/,
  );
  assert.match(of("Long_lasting")[0]?.text ?? "", /saved 10 of 10 pages$/);
});

test("what a suggestion saves is of the whole time of the report", async (t) => {
  const site = await ReportWorld.start(t);
  const ann = (await site.world.member("ann")).id;
  const given = (n: number): Given => ({ name: "Never", at: n * 5 * DAY, lastsMs: HOUR, pages: [ann] });
  const early: Given = { ...given(12), ack: [ann, MINUTE] };
  await site.happened([1, 2, 3, 4, 5, 8, 9].map(given).concat(early));
  const from = new Date(site.world.clock.now() - 80 * DAY).toISOString();
  const [never] = (await site.get<NoiseReport>(`noise?from=${from}`)).data;
  assert.match(never?.suggestions[0]?.text ?? "", /any of the 5 in 30 days.* saved 7 of 8 pages/);
});

test("facts go after retention.reportDays, and with their project; an account's name goes with it", async (t) => {
  const site = await ReportWorld.start(t, { "retention.reportDays": "30", "retention.trustClock": "true" });
  const { prism, clock } = site.world;
  const ann = (await site.world.member("ann")).id;
  await site.happened([
    { name: "Old", at: 40 * DAY, lastsMs: HOUR, pages: [ann] },
    { name: "New", at: 2 * DAY, lastsMs: HOUR, ack: [ann, 5 * MINUTE], pages: [ann] },
  ]);
  const { body: shop } = await answered(201, prism.post<{ id: string }>("/api/v1/projects", { name: "shop" }));
  await site.happened([{ name: "Shop", at: DAY, lastsMs: HOUR, pages: [ann], projectId: shop.id }]);
  assert.deepEqual(
    ["incident_facts", "incident_days", "person_days"].map((table) => countOf(prism, table)),
    [3, 3, 3],
  );
  await deleteAccount(site, ann);
  assert.equal(scalarOf(prism, "select count(*) from incident_facts where firstAckBy is not null"), 0);
  assert.equal(countOf(prism, "person_days"), 0);
  await answered(204, prism.delete(`/api/v1/projects/${shop.id}`));
  for (const { sweep } of prism.parts.offers
    .sweeps()
    .filter(({ name }) => /^(incident_facts|incident_days)$/.test(name)))
    await sweep(prism.parts.base.database, clock.now(), () => false);
  assert.deepEqual(rowsOf(prism, "select key from incident_facts union all select key from incident_days"), [
    { key: "New env=prod" },
    { key: "New env=prod" },
  ]);
});

async function deleteAccount({ world }: ReportWorld, userId: string): Promise<void> {
  await world.db.write((trx) => world.prism.parts.offers.deletions.user(trx, userId, world.clock.now()));
}

test("a real incident becomes a fact a minute after its end, with metrics; mirrors and silent webhooks do not", async (t) => {
  const world = await IncidentWorld.start(t, LONG);
  const { prism } = world;
  const ann = await world.member("ann");
  await world.fire("Disk", { labels: { alertname: "Disk", severity: "warning" } });
  await world.pass(MINUTE);
  const { id } = await world.only();
  await answered(200, prism.post(`/api/v1/incidents/${id}/acknowledge`, {}, { token: ann.token }));
  await world.pass(MINUTE);
  await world.resolveAlert("Disk", { labels: { alertname: "Disk", severity: "warning" } });
  await world.pass(10 * MINUTE);
  const { reports } = prism.parts.offers;
  await reports.collect();
  const [fact] = rowsOf<Record<string, unknown>>(prism, "select * from incident_facts");
  assert.deepEqual(
    [fact?.["incidentId"], fact?.["firstAckBy"], fact?.["end"], fact?.["severity"]],
    [id, ann.id, "alerts", "warning"],
  );
  const { text } = await prism.get("/metrics");
  assert.match(text, /prism_incident_ack_seconds_count\{project="default",severity="warning"\} 1/);
  assert.match(text, /prism_incident_resolve_seconds_count\{project="default",severity="warning"\} 1/);
});

test("a post-mortem has facts, timeline, people, alerts and notes, without markup of strangers, by a template of one's own", async (t) => {
  const template = join(temporaryDir(t), "template.md");
  const world = await IncidentWorld.start(t, LONG);
  const { prism } = world;
  await world.member("ann");
  await world.fire("Disk", { labels: { alertname: "Disk [full](http://evil.example)", severity: "critical" } });
  await world.pass(MINUTE);
  const { id, number } = await world.only();
  await answered(200, prism.post(`/api/v1/incidents/${id}/notes`, { text: "Called # the data centre" }));
  await answered(200, prism.post(`/api/v1/incidents/${id}/resolve`, {}));
  const get = async () => (await answered(200, prism.get<PostMortem>(`/api/v1/incidents/${id}/post-mortem`))).body;
  const first = await get();
  assert.equal(first.number, number);
  assert.ok(first.timeline.length > 2 && first.alerts.length === 1, JSON.stringify(first));
  assert.deepEqual(
    first.notes.map(({ text }) => text),
    ["Called # the data centre"],
  );
  assert.match(first.markdown, /^# Incident 1: /);
  assert.match(first.markdown, /## Root cause\n\n## Timeline/);
  assert.match(first.markdown, /Called \\# the data centre/);
  assert.doesNotMatch(first.markdown, /[^\\]\]\(http/);
  assert.notEqual(first.firstAckAt, null);

  writeFileSync(template, "No {{ number }} of {{ project | upper }}\n{{ notes }}");
  await t.test("of the configuration", async (t) => {
    const other = await IncidentWorld.start(t, { ...LONG, "reports.postMortem": template });
    await other.fire("Disk");
    await other.pass(MINUTE);
    const row = await other.only();
    const read = () => answered(200, other.prism.get<PostMortem>(`/api/v1/incidents/${row.id}/post-mortem`));
    assert.equal((await read()).body.markdown, "No 1 of DEFAULT\nNone.");
    // A wrong one gives way: the facts matter more.
    writeFileSync(template, "{{ nothing }}");
    assert.match((await read()).body.markdown, /^# Incident 1: /);
  });
});
