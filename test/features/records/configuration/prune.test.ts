import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { changesOf, configure, type FileObject, problemsOf } from "./configuration.ts";

const DUTY: FileObject = ["projects", null, { slug: "duty", name: "Duty" }];
const beat = (name: string, more: object = {}): FileObject => ["heartbeats", "duty", { name, ...more }];
const beats = (count: number): FileObject[] => Array.from({ length: count }, (_, n) => beat(`Beat ${n}`));
const NOTHING = [DUTY, beat("Beat 0")];

test("many deletions need their exact number, and a deletion beside a new URL needs it, too", async (t) => {
  const prism = await startPrism(t);
  const applied = await configure(prism, "apply", [DUTY, ...beats(12)]);
  assert.equal(applied.status, 200, JSON.stringify(applied.body));
  for (const allowDeletes of [undefined, 10, 12, 0]) {
    const plan = await configure(prism, "plan", NOTHING, {
      prune: true,
      ...(allowDeletes !== undefined && { allowDeletes }),
    });
    assert.deepEqual(
      problemsOf(plan.body).map((each) => each.replace(/^heartbeats Beat \d+ /, "")),
      ["TOO_MANY_DELETIONS"],
    );
  }
  const done = await configure(prism, "apply", NOTHING, { prune: true, allowDeletes: 11 });
  assert.deepEqual([done.status, done.body.changes.length], [200, 11]);
  const held: readonly FileObject[] = [
    beat("Old"),
    ["receivers", "duty", { name: "Old", preset: "generic" }],
    ["integrations", "duty", { name: "Old", kind: "pagerduty" }],
  ];
  for (const old of held) {
    const [kind, project, spec] = old;
    const next: FileObject = [kind, project, { ...(spec as object), name: "New" }];
    assert.equal((await configure(prism, "apply", [DUTY, beat("Beat 0"), old], { issued: true })).status, 200, kind);
    const plan = await configure(prism, "plan", [DUTY, beat("Beat 0"), next], { prune: true, issued: true });
    assert.deepEqual(problemsOf(plan.body), [`${kind} Old RENAMED`]);
    const [from, to] = ["Old", "New"];
    const renamed = await configure(
      prism,
      "apply",
      [DUTY, beat("Beat 0"), [kind, project, { ...(spec as object), name: to }, from]],
      { prune: true },
    );
    assert.deepEqual([renamed.status, changesOf(renamed.body)], [200, [`rename ${kind} New`]]);
    const third: FileObject = [kind, project, { ...(spec as object), name: "Third" }];
    const counted = await configure(prism, "apply", [DUTY, beat("Beat 0"), third], {
      prune: true,
      issued: true,
      allowDeletes: 1,
    });
    assert.deepEqual([counted.status, counted.body.changes.length], [200, 2], JSON.stringify(counted.body));
    assert.equal((await configure(prism, "apply", NOTHING, { prune: true })).status, 200);
  }
});

test("prune leaves alone what another source made, what was made by hand, people, projects and server kinds that are not named", async (t) => {
  const prism = await startPrism(t);
  const role: FileObject = ["roles", null, { name: "Duty lead", permissions: ["incidents:act"] }];
  const other: FileObject = ["projects", null, { slug: "other", name: "Other" }];
  const person: FileObject = ["people", null, { username: "ben", email: "ben@example.com", invite: true }];
  const lone: FileObject = ["heartbeats", "other", { name: "Lone" }];
  const policy: FileObject = ["policies", "duty", { name: "default", steps: [{ type: "notify", members: true }] }];
  const first = await configure(prism, "apply", [role, person, DUTY, other, lone, policy, beat("Mine")], {
    source: "first",
  });
  assert.equal(first.status, 200, JSON.stringify(first.body));
  assert.equal((await configure(prism, "apply", [beat("Theirs")], { source: "second" })).status, 200);
  await answered(201, prism.post("/api/v1/heartbeats", { projectId: "duty", name: "By hand" }));
  const names = () =>
    rowsOf<{ name: string }>(prism, "select name from heartbeats order by name").map(({ name }) => name);
  // The other project and the roles are not in these files.
  const pruned = await configure(prism, "apply", [DUTY, ["heartbeats", "duty", { name: "Next" }]], {
    source: "first",
    prune: true,
    allowDeletes: 1,
  });
  assert.equal(pruned.status, 200, JSON.stringify(pruned.body));
  assert.deepEqual(changesOf(pruned.body).sort(), ["create heartbeats Next", "delete heartbeats Mine"]);
  assert.deepEqual(names(), ["By hand", "Lone", "Next", "Theirs"]);
  const [kept] = rowsOf<{ count: number }>(
    prism,
    "select count(*) as count from policies where name = 'default' and deletedAt is null",
  );
  assert.equal(kept?.count, 1);
  assert.deepEqual(rowsOf(prism, "select name from roles where builtin = 0"), [{ name: "Duty lead" }]);
  assert.equal(rowsOf(prism, "select id from users where username = 'ben' and deletedAt is null").length, 1);
  // Members are the project's own again, once the files do not have them.
  await configure(prism, "apply", [["members", "duty", { dev: "owner", ben: "viewer" }]], { source: "first" });
  const left = await configure(prism, "apply", [DUTY, ["heartbeats", "duty", { name: "Next" }]], {
    source: "first",
    prune: true,
  });
  assert.equal(left.status, 200, JSON.stringify(left.body));
  assert.equal(
    rowsOf(prism, "select userId from project_members m join projects p on p.id = m.projectId where p.slug = 'duty'")
      .length,
    2,
  );
});

const RUNTIME = [
  "select * from oncall_shifts where kind in ('override', 'swap') order by id",
  "select * from silences order by id",
  "select * from oncall_days_off order by id",
  "select id, status, pingCount, lastPingAt from heartbeats order by id",
  "select * from incident_acks order by incidentId",
  "select id, state, openedAt, snoozedUntil from incidents order by id",
  "select * from project_members order by projectId, userId",
];

const runtimeOf = (prism: TestPrism) => RUNTIME.map((sql) => rowsOf(prism, sql));

/** Opens two incidents; one is acknowledged, the other sleeps. */
async function openIncidents(prism: TestPrism): Promise<void> {
  for (const alertname of ["Acknowledged", "Asleep"])
    await answered(
      200,
      prism.post("/api/v1/alerts", { projectId: "duty", alerts: [{ labels: { alertname, severity: "critical" } }] }),
    );
  const incidents = await eventually("two incidents", async () => {
    const { body } = await prism.get<{ data: { id: string }[] }>("/api/v1/incidents?projectId=duty");
    return body.data.length === 2 ? body.data : null;
  });
  const [first, second] = incidents.map(({ id }) => `/api/v1/incidents/${id}`);
  await answered(200, prism.post(`${first}/acknowledge`, {}));
  await answered(200, prism.post(`${second}/snooze`, { durationMs: 28_800_000 }));
}

test("what people do at night stays as it is when files are applied", async (t) => {
  const prism = await startPrism(t);
  const shift = { name: "Weeks", start: "2026-11-23T09:00:00", duration: "7d", recurrence: { frequency: "weekly" } };
  const files = (form: number): FileObject[] => [
    DUTY,
    [
      "oncall",
      "duty",
      { name: "Duty", description: `form ${form}`, shifts: [{ ...shift, turns: [["dev"]], level: form }] },
    ],
    ["policies", "duty", { name: "Night", repeat: form, steps: [{ type: "notify", schedules: [{ name: "Duty" }] }] }],
    ["routes", "duty", { route: { policy: "Night", groupBy: ["alertname"], groupWait: `${form}s` } }],
    beat("Paused", { timeout: `${form + 1}h`, ping: { env: "PRISM_SECRET_PING" } }),
    ["rules", "duty", { name: "Big", condition: `event.payload.n > ${form}`, targetUsers: ["dev"] }],
  ];
  const secrets = { "env:PRISM_SECRET_PING": "0b7f1d9e-6a52-4c38-9d1f-2e8a7b5c4d30" };
  const first = await configure(prism, "apply", files(0), { secrets });
  assert.equal(first.status, 200, JSON.stringify(first.body));
  const idOf = (table: string) =>
    rowsOf<{ id: string }>(prism, `select id from ${table} where name in ('Duty', 'Paused')`)[0]?.id;
  const span = { start: "2027-01-04T00:00:00Z", end: "2027-01-05T00:00:00Z" };
  await answered(
    201,
    prism.post(`/api/v1/oncall/schedules/${idOf("oncall_schedules")}/overrides`, { ...span, users: ["dev"] }),
  );
  await answered(
    201,
    prism.post(`/api/v1/oncall/schedules/${idOf("oncall_schedules")}/swaps`, {
      start: "2027-02-01T00:00:00Z",
      end: "2027-02-02T00:00:00Z",
    }),
  );
  await answered(201, prism.post("/api/v1/oncall/days-off", { firstDay: "2027-03-01", lastDay: "2027-03-02" }));
  await answered(
    201,
    prism.post("/api/v1/silences", {
      projectId: "duty",
      matchers: ['alertname="A"'],
      endsAt: span.end,
      comment: "moved",
    }),
  );
  await answered(200, prism.get("/ping/0b7f1d9e-6a52-4c38-9d1f-2e8a7b5c4d30"));
  await answered(200, prism.post(`/api/v1/heartbeats/${idOf("heartbeats")}/pause`, {}));
  // Members that are not in the files are those of the project.
  const { id } = await makeUser(prism, "ben");
  await answered(201, prism.post("/api/v1/projects/duty/members", { userId: id, role: "editor" }));
  await openIncidents(prism);
  const before = runtimeOf(prism);
  for (const rows of before) assert.ok(rows.length > 0);
  const more = (name: string, ...from: [] | [string]): FileObject[] => [
    ["policies", "duty", { name, steps: [{ type: "notify", users: ["dev"] }] }, ...from],
    ["receivers", "duty", { name, preset: "generic" }, ...from],
  ];
  const applies: readonly (readonly [string, readonly FileObject[], counts: readonly number[]])[] = [
    ["changes", files(1), [0, 5, 0]],
    ["creations", [...files(1), ...more("More")], [2, 0, 0]],
    ["names", [...files(1), ...more("Renamed", "More")], [0, 2, 0]],
    ["changes and deletions", files(2), [0, 5, 2]],
    ["changes back", files(0), [0, 5, 0]],
  ];
  for (const [what, objects, counts] of applies) {
    const { status, body } = await configure(prism, "apply", objects, { secrets, prune: true, issued: true });
    assert.equal(status, 200, `${what} ${JSON.stringify(body)}`);
    const { created, changed, deleted } = body.counts;
    assert.deepEqual([created, changed, deleted], counts, what);
    assert.deepEqual(runtimeOf(prism), before, what);
  }
});
