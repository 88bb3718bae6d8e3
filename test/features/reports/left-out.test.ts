import assert from "node:assert/strict";
import test from "node:test";
import type { IncidentsReport, NoiseReport, PeopleReport, SchedulesReport } from "../../../src/client/api-types.gen.ts";
import { later } from "../../../src/store/database.ts";
import { answered } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { DAY, type Given, HOUR, MINUTE, ReportWorld } from "./support.ts";

test("pages are counted by night, in the time zone of each person", async (t) => {
  const site = await ReportWorld.start(t);
  const { world } = site;
  const [ann, bob] = [(await world.member("ann")).id, (await world.member("bob")).id];
  await world.db.write((trx) =>
    trx.updateTable("users").set({ timezone: "Asia/Tokyo" }).where("id", "=", bob).execute(),
  );
  // Pages that came before the start are not counted; from here on the clock stands at 3:00 UTC.
  world.clock.advance(2 * DAY - (world.clock.now() % DAY) + 3 * HOUR);
  await site.happened([{ name: "Disk", at: HOUR, lastsMs: 10 * MINUTE, pages: [ann, ann, bob] }]);
  const { text } = await world.prism.get("/metrics");
  assert.match(text, /^prism_pages_total\{night="true"\} 2$/m);
  assert.match(text, /^prism_pages_total\{night="false"\} 1$/m);
});

test("incidents of mirrors, pages of drills, and what only calls webhooks are in no report", async (t) => {
  const site = await ReportWorld.start(t);
  const { world, maker } = site;
  const { prism, clock, projectId } = world;
  const ann = (await world.member("ann")).id;
  const { body: mirror } = await answered(201, prism.post<{ id: string }>("/api/v1/projects", { name: "mirror" }));
  await world.db.write((trx) =>
    trx.updateTable("projects").set({ settings: '{"mirror":"pagerduty"}' }).where("id", "=", mirror.id).execute(),
  );
  const openedAt = clock.now() - 3 * HOUR;
  const ended = { openedAt, notifiedAt: openedAt, resolvedAt: openedAt + HOUR };
  const page = { projectId, userId: ann, createdAt: openedAt, deliveredAt: openedAt };
  const onlyWebhooks = maker.incident({ ...ended, forPeople: 0, assigned: null });
  const counted = maker.incident(ended);
  const drill = { ...page, incidentId: String(counted["id"]), reason: "drill" };
  await maker.store([
    { incident: onlyWebhooks, log: [], pages: [] },
    {
      incident: counted,
      log: [],
      pages: [maker.page({ ...page, incidentId: String(counted["id"]) }), maker.page(drill)],
    },
  ]);
  await site.happened([{ name: "Mirrored", at: HOUR, lastsMs: MINUTE, pages: [], projectId: mirror.id }]);
  const { total } = await site.get<IncidentsReport>("incidents");
  assert.deepEqual([total.incidents, total.paged], [1, 1]);
  assert.equal((await site.get<NoiseReport>("noise")).data.length, 1);
  const [load] = (await site.get<PeopleReport>("people")).data;
  assert.equal((load?.pagesDay ?? 0) + (load?.pagesNight ?? 0), 1);
  assert.equal(
    load?.hours.reduce((sum, n) => sum + n, 0),
    1,
  );
  await answered(201, prism.post("/api/v1/oncall/schedules", { projectId, name: "Duty", timezone: "UTC" }));
  assert.equal((await site.get<SchedulesReport>("schedules")).data.length, 1);
});

test("when and by what a person was paged", async (t) => {
  const site = await ReportWorld.start(t);
  const { world } = site;
  const ann = (await world.member("ann")).id;
  world.clock.advance(2 * DAY - (world.clock.now() % DAY) + 12 * HOUR);
  await site.happened([
    { name: "Night", at: 10 * HOUR, lastsMs: HOUR, pages: [ann] },
    { name: "Day", at: 2 * HOUR, lastsMs: HOUR, pages: [ann, ann] },
  ]);
  const [load] = (await site.get<PeopleReport>("people")).data;
  assert.deepEqual(load?.keys, [
    { key: "Day env=prod", pages: 2, pagesNight: 0 },
    { key: "Night env=prod", pages: 1, pagesNight: 1 },
  ]);
  assert.deepEqual(
    load?.hours.flatMap((n, hour) => (n > 0 ? [[hour, n]] : [])),
    [
      [2, 1],
      [10, 2],
    ],
  );
});

/** As many as are reported exactly, and one more. */
const MANY = 100_001;
const FACTS = `with recursive n (i) as (select 0 union all select i + 1 from n where i < ${MANY - 1})
  insert into incident_facts select 'i' || i, ?, i, 'p', case i % 2 when 0 then 'critical' else 'info' end, 'K' || (i % 3), '{}',
    ? + i * 1000, ? + i * 1000, null, ? + i * 1000 + (i % 600 + 1) * 1000, null, ? + i * 1000 + 3600000, 'alerts', 1, 2, 1, 1, 0, 0, 0 from n`;
const DAYS = `insert into incident_days select projectId, openedAt / 86400000, policy, severity, key, count(*), count(*), count(*),
    0, 0, sum(pages), sum(firstAckAt - pagedAt), sum(resolvedAt - openedAt), '{}', '{}' from incident_facts group by 1, 2, 3, 4, 5`;
const HISTOGRAM = `update incident_days set resolves = json_object('11', incidents), acks = (select json_group_object(bucket, n) from
    (select cast(log2((f.firstAckAt - f.pagedAt) / 1000) as integer) bucket, count(*) n from incident_facts f
      where f.openedAt / 86400000 = incident_days.day and f.severity = incident_days.severity and f.key = incident_days.key group by 1))`;

test("with more than 100 000 incidents in the range a report is approximate, and equal in its counts", async (t) => {
  const site = await ReportWorld.start(t);
  const { clock, db, projectId, prism } = site.world;
  const from = Math.floor((clock.now() - 5 * DAY) / DAY) * DAY;
  await db.write(async (trx) => {
    later(trx, FACTS, [projectId, from, from, from, from]);
    later(trx, DAYS, []);
    later(trx, HISTOGRAM, []);
  });
  const range = `from=${new Date(from).toISOString()}`;
  const { isApproximate, total, data } = await site.get<IncidentsReport>(`incidents?${range}&by=severity`);
  assert.equal(isApproximate, true);
  assert.deepEqual([total.incidents, total.pages, total.acknowledged], [MANY, 2 * MANY, MANY]);
  assert.deepEqual(total.severities, { critical: 50_001, error: 0, warning: 0, info: 50_000 });
  assert.deepEqual(
    data.map(({ group, incidents, severities }) => [group, incidents, severities.critical]),
    [
      ["critical", 50_001, 50_001],
      ["info", 50_000, 0],
    ],
  );
  assert.equal(total.ackSinceOpening, null);
  // Responses took 1 to 600 seconds, evenly: the median is in the bucket from 256 to 512 seconds.
  const { median = null, p90 = null } = total.ack;
  assert.ok(median !== null && median >= 256_000 && median < 512_000, `${median}`);
  assert.ok(p90 !== null && p90 >= 512_000 && p90 <= 1_024_000, `${p90}`);
  const [exact] = rowsOf<{ mean: number }>(prism, "select avg(firstAckAt - pagedAt) mean from incident_facts");
  assert.equal(total.ack.mean, Math.round(exact?.mean ?? 0));
  const days = await site.get<IncidentsReport>(`incidents?${range}&by=day`);
  assert.deepEqual(
    days.data.map(({ group, incidents }) => `${group} ${incidents}`),
    [`${new Date(from).toISOString().slice(0, 10)} 86400`, `${new Date(from + DAY).toISOString().slice(0, 10)} 13601`],
  );
  const refused = await prism.get<{ error: { code: string } }>(`/api/v1/reports/incidents?${range}&by=label:env`);
  assert.deepEqual([refused.status, refused.body.error.code], [400, "VALIDATION_FAILED"]);
  const comparing = async (start: number, end: number) => {
    const times = `from=${new Date(start).toISOString()}&to=${new Date(end).toISOString()}`;
    const found = await site.get<IncidentsReport>(`incidents?${times}&compare=true`);
    const { compared } = found;
    return [
      found.isApproximate,
      compared && [compared.with, compared.isApproximate, compared.before.incidents, compared.now.incidents],
    ];
  };
  const end = from + MANY * 1000;
  assert.deepEqual(await comparing(end, end + MANY * 1000), [false, ["before", true, MANY, 0]]);
  assert.deepEqual(await comparing(from, from + 3 * DAY), [true, ["firstHalf", true, MANY, 0]], "each day in one half");
  const shorter = await site.get<IncidentsReport>(`incidents?${range}&to=${new Date(from + HOUR).toISOString()}`);
  assert.deepEqual([shorter.isApproximate, shorter.total.incidents], [false, 3600]);
});

test("an incident of the list is found by what reports count it as, its key, its time and whom it paged", async (t) => {
  const site = await ReportWorld.start(t);
  const { world } = site;
  const { prism, clock } = world;
  const [ann, bob] = [await world.member("ann"), await world.member("bob")];
  await site.happened([
    { name: "Acked", at: 3 * DAY, lastsMs: HOUR, ack: [ann.id, 5 * MINUTE], pages: [ann.id] },
    { name: "Brief", at: 2 * DAY, lastsMs: MINUTE, pages: [bob.id] },
    { name: "Brief", at: 2 * DAY - 10 * MINUTE, lastsMs: HOUR, pages: [bob.id] },
  ]);
  const titles = async (query: string, token?: string) => {
    const options = token === undefined ? {} : { token };
    const path = `/api/v1/incidents?${query}`;
    const { body } = await answered(200, prism.get<{ data: { title: string }[] }>(path, options));
    return body.data.map(({ title }) => title).sort();
  };
  const at = (ago: number) => new Date(clock.now() - ago).toISOString();
  assert.deepEqual(await titles("counted=all"), ["Acked", "Brief", "Brief"]);
  assert.deepEqual(await titles("counted=acknowledged"), ["Acked"]);
  assert.deepEqual(await titles("counted=unacknowledged"), ["Brief", "Brief"]);
  assert.deepEqual(await titles("counted=brief"), ["Brief"]);
  assert.deepEqual(await titles("counted=reopened"), ["Brief"]);
  assert.deepEqual(await titles("key=Acked env%3Dprod"), ["Acked"]);
  assert.deepEqual(await titles(`from=${at(2.5 * DAY)}&to=${at(2 * DAY - MINUTE)}`), ["Brief"]);
  assert.deepEqual(await titles(`paged=${ann.id}`), ["Acked"]);
  assert.deepEqual(await titles(`paged=${bob.id}`, bob.token), ["Brief", "Brief"], "the own ones");
  assert.deepEqual(await titles(`paged=${ann.id}`, bob.token), [], "others' by reports.people");
  for (const query of ["pages=some", "counted=none", "paged=ann", "from=yesterday", "pages=night"])
    await answered(400, prism.get(`/api/v1/incidents?${query}`));
});

test("the incidents with a person's pages by day or at night are as many as the report about people counts", async (t) => {
  const site = await ReportWorld.start(t);
  const { world } = site;
  const { prism, clock } = world;
  const ann = await world.member("ann");
  // Their nights are days in UTC, and their date changes at 11:00 UTC.
  await world.db.write((trx) =>
    trx.updateTable("users").set({ timezone: "Pacific/Auckland" }).where("id", "=", ann.id).execute(),
  );
  const today = Math.floor(clock.now() / DAY) * DAY;
  const at = (days: number, hour: number) => clock.now() - (today - days * DAY + hour * HOUR);
  const page = (name: string, ago: number): Given => ({ name, at: ago, lastsMs: HOUR, pages: [ann.id] });
  await site.happened([
    page("Before", at(6, 10)),
    page("Night", at(6, 12)),
    page("Day", at(4, 2)),
    page("Late", at(2, 10)),
    page("Later", at(2, 12)),
  ]);
  const range = { from: new Date(today - 5 * DAY).toISOString(), to: new Date(today - DAY).toISOString() };
  const titles = async (pages: string, more: Readonly<Record<string, string>> = range) => {
    const query = new URLSearchParams({ paged: ann.id, pages, ...more });
    const { body } = await answered(200, prism.get<{ data: { title: string }[] }>(`/api/v1/incidents?${query}`));
    return body.data.map(({ title }) => title).sort();
  };
  const [load] = (await site.get<PeopleReport>(`people?${new URLSearchParams(range)}`)).data;
  assert.deepEqual(await titles("night"), ["Late", "Night"]);
  assert.deepEqual(await titles("day"), ["Day"]);
  assert.deepEqual([load?.pagesNight, load?.pagesDay], [2, 1]);
  assert.deepEqual(await titles("all"), ["Day", "Late", "Night"]);
  const longAgo = { from: new Date(today - 30 * DAY).toISOString() };
  assert.deepEqual(await titles("all", longAgo), ["Before", "Day", "Late", "Later", "Night"]);
});
