import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { runCli } from "../../../cli/run-cli.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { configure, type FileObject, problemsOf } from "./configuration.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const PEOPLE = ["ada", "ben", "cy"];

const TEAM: readonly FileObject[] = [
  ["projects", null, { slug: "duty", name: "Duty" }],
  ["members", "duty", { ada: "owner", ben: "editor", cy: "viewer" }],
  ["heartbeats", "duty", { name: "Nightly", timeout: "1d" }],
  ["heartbeats", "duty", { name: "Weekly", timeout: "7d" }],
  [
    "oncall",
    "duty",
    {
      ...{ name: "Duty", timezone: "Europe/Berlin" },
      shifts: [
        {
          ...{ name: "Days", start: "2026-01-01T09:00:00", duration: "1d", recurrence: { frequency: "daily" } },
          turns: [["ada"], ["ben"]],
        },
      ],
    },
  ],
];

const iso = (at: number) => new Date(at).toISOString();

interface Listed {
  readonly data: readonly Readonly<Record<string, unknown>>[];
}

const listOf = async (prism: TestPrism, path: string) =>
  (await answered(200, prism.get<Listed>(`/api/v1/${path}`))).body.data;

async function withTeam(prism: TestPrism, roles: readonly string[] = []) {
  const people: Record<string, Awaited<ReturnType<typeof makeUser>>> = {};
  for (const name of PEOPLE) people[name] = await makeUser(prism, name, roles);
  await answered(200, configure(prism, "apply", TEAM));
  const idOf = (name: string) => people[name]?.id ?? "";
  return { idOf, tokenOf: (name: string) => people[name]?.token ?? "", ...(await placesOf(prism)) };
}

async function placesOf(prism: TestPrism) {
  const [schedule] = await listOf(prism, "oncall/schedules?projectId=duty");
  return { schedule: `oncall/schedules/${schedule?.["id"]}`, silences: "silences?projectId=duty" };
}

/** Who is on call, with the ends of each shift. */
async function onCallOf(prism: TestPrism, from: number, to: number): Promise<string[]> {
  const { schedule } = await placesOf(prism);
  const users = await listOf(prism, "users");
  const nameOf = (id: string) => String(users.find((user) => user["id"] === id)?.["username"]);
  const shifts = await listOf(prism, `${schedule}/final-shifts?from=${iso(from)}&to=${iso(to)}`);
  return shifts.map(({ start, end, users: found }) => {
    const ids = (found as readonly (string | { readonly id: string })[]).map((each) =>
      typeof each === "string" ? each : each.id,
    );
    return `${String(start)} ${String(end)} ${ids.map(nameOf).sort().join()}`;
  });
}

async function silencesOf(prism: TestPrism) {
  const found = await listOf(prism, "silences?projectId=duty");
  return found
    .map(({ text, kind, recurrence, comment, annotations, endsAt }) =>
      JSON.stringify([text, kind, recurrence, comment, annotations, endsAt]),
    )
    .sort();
}

/** Overrides, swaps, days off, silences and a pause, by requests. */
async function makeRuntime(prism: TestPrism, { schedule, idOf }: Awaited<ReturnType<typeof withTeam>>, now: number) {
  const post = async (path: string, body: object) =>
    (await answered(201, prism.post<{ id: string }>(`/api/v1/${path}`, body))).body.id;
  const span = (from: number, to: number) => ({ start: iso(now + from * HOUR), end: iso(now + to * HOUR) });
  await post(`${schedule}/overrides`, { ...span(-2, 5), users: ["cy"], reason: "runs now" });
  // A swap whose taker is replaced later: the order counts.
  const early = await post(`${schedule}/swaps`, { ...span(48, 96), userId: "ada" });
  await answered(200, prism.post(`/api/v1/${schedule}/swaps/${early}/take`, { userId: "ben" }));
  await post(`${schedule}/overrides`, { ...span(50, 60), users: ["cy"], replaces: "ben" });
  const swap = await post(`${schedule}/swaps`, { ...span(120, 200), userId: "ben", reason: "Family" });
  await answered(200, prism.post(`/api/v1/${schedule}/swaps/${swap}/take`, { userId: "cy" }));
  await post(`${schedule}/swaps`, { ...span(300, 310), userId: "ada", reason: "open" });
  const over = await post(`${schedule}/overrides`, { ...span(210, 220), users: ["cy"] });
  await answered(204, prism.delete(`/api/v1/${schedule}/overrides/${over}`));
  const [firstDay, lastDay] = [iso(now + 10 * DAY), iso(now + 12 * DAY)].map((text) => text.slice(0, 10));
  await post("oncall/days-off", { userId: idOf("ada"), firstDay, lastDay, note: "Skiing" });
  const silence = { projectId: "duty", matchers: ['team="db"', 'host=~"db-[0-9]+"'], comment: "Disks" };
  await post("silences", { ...silence, durationMs: 5 * DAY, annotations: { ticket: "OPS-1" } });
  const recurrence = { cron: "0 22 * * 6", until: "06:00", timezone: "Europe/Berlin" };
  await post("silences", { ...silence, recurrence, comment: "Saturdays" });
  const ended = await post("silences", { ...silence, durationMs: DAY, comment: "ended" });
  await answered(204, prism.delete(`/api/v1/silences/${ended}`));
  const heartbeat = (await listOf(prism, "heartbeats?projectId=duty")).find(({ name }) => name === "Weekly");
  await answered(200, prism.post(`/api/v1/heartbeats/${heartbeat?.["id"]}/pause`, {}));
}

test("the runtime moves to another server once, and never comes back", async (t) => {
  const [first, second] = [await startPrism(t), await startPrism(t)];
  const now = Math.floor(Date.now() / 1000) * 1000;
  const team = await withTeam(first, ["Operator"]);
  await makeRuntime(first, team, now);
  const cwd = temporaryDir(t);
  const run = async (prism: TestPrism, words: string) => {
    const env = { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken };
    const { status, stdout, stderr } = await runCli(words.split(" "), { cwd, env });
    assert.equal(status, 0, `${words}: ${stdout}${stderr}`);
    return { stdout, stderr };
  };
  await run(first, "export config --people --out plain");
  assert.equal(existsSync(join(cwd, "plain", "runtime.yaml")), false);
  await run(first, "export config --people --with-runtime --out old");
  const text = readFileSync(join(cwd, "old", "runtime.yaml"), "utf8");
  assert.doesNotMatch(text, /[0-9a-f]{8}-[0-9a-f]{4}-|ended/);
  assert.equal(
    readFileSync(join(cwd, "old", "duty.yaml"), "utf8"),
    readFileSync(join(cwd, "plain", "duty.yaml"), "utf8"),
  );
  assert.match((await run(first, "check -f old")).stdout, /all valid/);

  const planned = await run(second, "plan -f old");
  assert.doesNotMatch(planned.stdout, /override|swap|silence|runtime/);
  assert.match(
    planned.stderr,
    /not part of this: 9 runtime entries; prism apply --runtime makes those that it has not made before/,
  );
  const plain = await run(second, "apply -f old --yes");
  assert.match(plain.stderr, /not part of this: 9 runtime entries/);
  assert.deepEqual(await silencesOf(second), []);
  const done = await run(second, "apply -f old --runtime --yes");
  assert.match(done.stdout, /^no changes\nruntime: 9 to make, 0 made before\nAll is stored\.$/m);

  // Who was invited is on call from the approval on.
  for (const { id } of await listOf(second, "users?status=pending"))
    await answered(200, second.post(`/api/v1/users/${String(id)}/approve`, {}));
  const [from, to] = [now + HOUR, now + 30 * DAY];
  const onCall = await onCallOf(first, from, to);
  assert.ok(onCall.some((line) => line.endsWith("cy")));
  assert.deepEqual(await onCallOf(second, from, to), onCall);
  assert.deepEqual(
    await silencesOf(second),
    (await silencesOf(first)).filter((line) => !line.includes('"ended"')),
  );
  const { schedule } = await placesOf(second);
  assert.deepEqual(
    (await listOf(second, `${schedule}/days-off?from=${iso(from)}&to=${iso(to)}`)).map(({ note }) => note),
    ["Skiing"],
  );
  const states = (await listOf(second, "heartbeats?projectId=duty")).map(({ name, status }) => `${name} ${status}`);
  assert.deepEqual(states.sort(), ["Nightly new", "Weekly paused"]);

  const again = await run(second, "apply -f old --runtime --yes");
  assert.equal(again.stdout, "no changes\nruntime: 0 to make, 9 made before\n");
  assert.deepEqual(await onCallOf(second, from, to), onCall);
  const overrides = await listOf(second, `${schedule}/overrides`);
  for (const { id } of overrides) await answered(204, second.delete(`/api/v1/${schedule}/overrides/${String(id)}`));
  for (const { id } of await listOf(second, "silences?projectId=duty"))
    await answered(204, second.delete(`/api/v1/silences/${String(id)}`));
  await run(second, "apply -f old --runtime --prune --yes");
  assert.deepEqual(await listOf(second, `${schedule}/overrides`), []);
  const after = (await listOf(second, "silences?projectId=duty")).map(({ state }) => state);
  assert.deepEqual([...new Set(after)], ["expired"]);
  assert.equal((await listOf(second, `${schedule}/swaps`)).length, 2);
});

const NOW = Date.parse("2026-12-01T12:00:00Z");
const OVERRIDE = { schedule: "Duty", start: "2026-12-24T08:00:00Z", end: "2026-12-24T20:00:00Z", users: ["cy"] };

type Entry = readonly [kind: string, spec: object];

const entriesOf = (entries: readonly Entry[], project = "duty") => ({
  runtime: entries.map(([kind, spec], index) => ({ kind, project, spec, at: `runtime.yaml:${index + 1}:1` })),
});

async function startDuty(t: Parameters<typeof startPrism>[0]) {
  const clock = new FakeClock(NOW);
  const prism = await startPrism(t, { clock });
  const team = await withTeam(prism);
  const send = (mode: "plan" | "apply", entries: readonly Entry[], options = {}) =>
    configure(prism, mode, [], { ...entriesOf(entries), ...options });
  const overrides = () => listOf(prism, `${team.schedule}/overrides`);
  return { clock, prism, send, overrides, ...team };
}

test("a plan makes nothing, and what is over is left out", async (t) => {
  const { send, overrides } = await startDuty(t);
  const past = { ...OVERRIDE, start: "2026-11-24T08:00:00Z", end: "2026-11-24T20:00:00Z" };
  const planned = await send("plan", [
    ["overrides", OVERRIDE],
    ["overrides", past],
  ]);
  const over = [{ kind: "overrides", project: "duty", name: "Duty", at: "runtime.yaml:2:1" }];
  assert.deepEqual([planned.body.changes, planned.body.runtime], [[], { made: 1, known: 0, over }]);
  assert.deepEqual(await overrides(), []);
  const { body } = await send("apply", [
    ["overrides", OVERRIDE],
    ["overrides", past],
    ["overrides", OVERRIDE],
  ]);
  assert.deepEqual(body.runtime, { made: 1, known: 0, over });
  assert.equal((await overrides()).length, 1);
  const none = await send("apply", []);
  assert.deepEqual(none.body.runtime, { made: 0, known: 0, over: [] });
});

test("an entry is the same however it is written, and one with a name by that", async (t) => {
  const { clock, prism, send, overrides, silences } = await startDuty(t);
  const other = { users: ["cy"], end: "2026-12-24T21:00:00+01:00", start: OVERRIDE.start, schedule: "Duty" };
  const named = { ...OVERRIDE, name: "Silvester", start: "2026-12-31T08:00:00Z", end: "2026-12-31T20:00:00Z" };
  const silence = { matchers: ['team="db"'], comment: "Disks", duration: "2h" };
  const first: readonly Entry[] = [
    ["overrides", OVERRIDE],
    ["overrides", named],
    ["silences", silence],
  ];
  assert.equal((await send("apply", first)).body.runtime?.made, 3);
  const again: readonly Entry[] = [
    ["overrides", other],
    ["overrides", { ...named, users: ["ada"] }],
    ["silences", { ...silence, duration: "120m" }],
  ];
  assert.deepEqual((await send("apply", again)).body.runtime, { made: 0, known: 3, over: [] });
  assert.equal((await overrides()).length, 2);
  assert.equal((await listOf(prism, silences)).length, 1);
  // Another source has entries of its own.
  assert.equal((await send("apply", [["overrides", OVERRIDE]], { source: "other" })).body.runtime?.made, 1);
  clock.set(Date.parse(named.end) + 1 - clock.now());
  prism.adminToken = (await prism.get<{ token: string }>("/dev/token", { token: null })).body.token;
  const next = { ...named, start: "2027-12-31T08:00:00Z", end: "2027-12-31T20:00:00Z" };
  assert.deepEqual((await send("apply", [["overrides", next]])).body.runtime, { made: 1, known: 0, over: [] });
});

test("one wrong entry refuses all, with its place", async (t) => {
  const { prism, send, overrides, silences } = await startDuty(t);
  const wrong: readonly Entry[] = [
    ["overrides", OVERRIDE],
    ["overrides", { ...OVERRIDE, end: OVERRIDE.start }],
    ["swaps", { schedule: "Night", start: OVERRIDE.start, end: OVERRIDE.end, user: "ada" }],
    ["silences", { matchers: ['team="db'], comment: "", duration: "2h" }],
    ["daysOff", { user: "dora", firstDay: "2026-12-24", lastDay: "2026-12-26" }],
    ["pauses", { heartbeat: "Hourly" }],
    ["overrides", { ...OVERRIDE, minutes: 3 }],
    ["channels", { name: "Room" }],
  ];
  const planned = await send("plan", wrong);
  assert.deepEqual(problemsOf(planned.body).sort(), [
    "channels UNKNOWN_KIND",
    "daysOff dora user RECIPIENT_NOT_FOUND",
    "overrides Duty minutes UNKNOWN_MEMBER",
    "pauses Hourly heartbeat NOT_FOUND",
    "swaps Night schedule NOT_FOUND",
  ]);
  const refused = await send("apply", wrong.slice(0, 2));
  assert.equal(refused.status, 409, JSON.stringify(refused.body));
  assert.deepEqual(
    refused.body.error.details.map(({ path, code }) => `${path} ${code}`),
    ["end VALUE"],
  );
  const matchers = await send("apply", [wrong[0] as Entry, wrong[3] as Entry]);
  assert.deepEqual([matchers.status, matchers.body.error.code], [409, "CONFIGURATION_REFUSED"]);
  // The days off overlap others, which only the transaction finds.
  const days = { user: "ada", firstDay: "2026-12-24", lastDay: "2026-12-26" };
  const overlapping = await send("apply", [
    ["overrides", OVERRIDE],
    ["daysOff", days],
    ["daysOff", { ...days, note: "x" }],
  ]);
  assert.match(overlapping.body.error.message, /runtime\.yaml:3:1 daysOff ada firstDay: the user is already away/);
  const planOnly = await configure(prism, "plan", [["overrides", "duty", OVERRIDE]]);
  assert.deepEqual(problemsOf(planOnly.body), ["overrides UNKNOWN_KIND"]);
  assert.deepEqual([await overrides(), await listOf(prism, silences)], [[], []]);
});

test("each entry needs the right of its request", async (t) => {
  const { send, overrides, tokenOf } = await startDuty(t);
  const own = { ...OVERRIDE, users: ["ada"], replaces: "cy" };
  const entries: readonly Entry[] = [
    ["overrides", OVERRIDE],
    ["swaps", { schedule: "Duty", start: OVERRIDE.start, end: OVERRIDE.end, user: "ada", takenBy: "cy" }],
    ["daysOff", { user: "ada", firstDay: "2026-12-24", lastDay: "2026-12-26" }],
    ["silences", { matchers: ['team="db"'], comment: "Disks", duration: "2h" }],
    ["pauses", { heartbeat: "Nightly" }],
  ];
  const token = tokenOf("cy");
  const planned = await send("plan", entries, { token });
  assert.deepEqual(problemsOf(planned.body), []);
  assert.deepEqual(planned.body.mayNot.map(({ kind, right }) => `${kind} ${right}`).sort(), [
    "daysOff oncall:write",
    "overrides oncall:write",
    "pauses heartbeats:write",
    "silences silences:write",
    "swaps oncall:write",
  ]);
  for (const entry of entries) {
    const { status, body } = await send("apply", [["overrides", own], entry], { token });
    assert.deepEqual([status, body.error.details.map(({ code }) => code)], [409, ["UNAUTHORIZED_ROLE"]], entry[0]);
  }
  assert.deepEqual(await overrides(), []);
  // Of their own shifts and days members may dispose.
  const mine: readonly Entry[] = [
    ["overrides", own],
    ["daysOff", { user: "cy", firstDay: "2026-12-24", lastDay: "2026-12-26" }],
  ];
  assert.equal((await send("apply", mine, { token })).status, 200);
  assert.equal((await overrides()).length, 1);
});

test("entries name what the same apply makes, and are kept in the audit trail of it", async (t) => {
  const prism = await startPrism(t, { clock: new FakeClock(NOW) });
  for (const name of PEOPLE) await makeUser(prism, name);
  const entries: readonly Entry[] = [
    ["overrides", OVERRIDE],
    ["pauses", { heartbeat: "Nightly" }],
  ];
  const { body } = await answered(200, configure(prism, "apply", TEAM, entriesOf(entries)));
  assert.deepEqual(body.runtime, { made: 2, known: 0, over: [] });
  const [row] = await listOf(prism, "audit?action=configuration.apply");
  assert.equal((row?.["metadata"] as { readonly runtime?: number } | undefined)?.runtime, 2);
  // A new schedule of the name is another one.
  const { schedule } = await placesOf(prism);
  await answered(204, prism.delete(`/api/v1/${schedule}`));
  const again = await answered(200, configure(prism, "apply", TEAM, entriesOf(entries)));
  assert.deepEqual(again.body.runtime, { made: 1, known: 1, over: [] });
});

test("a check finds wrong entries with their place, and its tests ask them with --runtime", async (t) => {
  const cwd = temporaryDir(t);
  const write = (entry: string) =>
    writeFileSync(
      join(cwd, "duty.yaml"),
      `version: 1
projects:
  - slug: duty
    name: Duty
    members: { ada: owner, cy: editor }
    oncall:
      - name: Duty
        shifts: [{ name: Always, start: 2026-01-01T00:00:00, duration: 7d, recurrence: { frequency: weekly }, turns: [[ada]] }]
    policies:
      - { name: Night, steps: [{ type: notify, schedules: [{ name: Duty }] }] }
    routes: { route: { policy: Night, groupWait: 0s } }
    runtime:
      overrides:
        - ${entry}
tests:
  - project: duty
    at: 2030-12-24T10:00:00Z
    name: pages
    alert: { alertname: DiskFull, severity: critical }
    expect: { policy: Night, pages: [{ after: 0s, to: [cy] }] }
`,
    );
  const run = (words: string) => runCli(words.split(" "), { cwd });
  write("{ schedule: Duty, start: 2030-12-24T08:00:00Z, end: 2030-12-24T20:00:00Z, users: [cy] }");
  assert.equal((await run("check -f .")).status, 8);
  const asked = await run("check -f . --runtime");
  assert.equal(asked.status, 0, asked.stdout);
  write("{ schedule: Duty, start: 2030-12-24T08:00:00Z, end: 2030-12-24, users: [cy] }");
  const wrong = await run("check -f .");
  assert.equal(wrong.status, 7);
  assert.match(wrong.stdout, /duty\.yaml:14:\d+: overrides "Duty", end: must be an RFC 3339 date-time/);
});
