import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { readTests, runTests } from "../../src/cli/commands/configuration/run-tests.ts";
import { ServerClient } from "../../src/remote/server-client.ts";
import { IncidentWorld, MINUTE } from "../features/alerts/incidents/support.ts";
import { httpServer } from "../features/channels/presets/http.ts";
import { answered } from "../helpers/prism.ts";

const DAY_MS = 24 * 60 * MINUTE;

/** Ada, Ben and Cy in turn: Cy from 24 December 03:00 in Berlin, then Ada. Info waits for the office. */
async function startServer(t: TestContext) {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism, projectId } = world;
  const people = { ada: await world.member("ada"), ben: await world.member("ben"), cy: await world.member("cy") };
  const made = async (path: string, body: unknown, token?: string) =>
    (await answered(201, prism.post<{ id: string }>(`/api/v1${path}`, body, token ? { token } : {}))).body.id;
  const schedule = await made("/oncall/schedules", { name: "Duty", timezone: "Europe/Berlin" });
  await made(`/oncall/schedules/${schedule}/shifts`, {
    ...{ name: "Weeks", start: "2026-12-10T03:00:00", durationMs: 7 * DAY_MS },
    ...{ recurrence: { frequency: "weekly" }, turns: [["ada"], ["ben"], ["cy"]] },
  });
  await made("/policies", {
    name: "Night",
    steps: [
      { type: "notify", schedules: [{ id: schedule }] },
      { type: "wait", ms: 5 * MINUTE },
      { type: "notify", schedules: [{ id: schedule, who: "next" }], urgency: "low" },
    ],
  });
  const times = [{ start_time: "09:00", end_time: "17:00" }];
  await answered(
    200,
    prism.put("/api/v1/routes", {
      route: {
        ...{ policy: "Night", groupBy: ["alertname"], groupWaitMs: 0 },
        routes: [{ matchers: ['severity="info"'], activeIntervals: ["office"] }],
      },
      inhibitRules: [
        { sourceMatchers: ['alertname="SwitchDown"'], targetMatchers: ['alertname="HostDown"'], equal: ["site"] },
      ],
      timeIntervals: [{ name: "office", intervals: [{ times, location: "Europe/Berlin" }] }],
    }),
  );
  const fields = httpServer().fields("http://127.0.0.1:9/");
  await made("/channels", { name: "Phone", preset: "http", fields }, people.cy.token);
  const rule = { projectId, targetRoles: ["Admin"], targetUsers: ["ada"], channels: ["fcm", "webpush", "in_app"] };
  await made("/rules", { ...rule, name: "Big", condition: "event.type == 'payment' && event.amount > 1000" });
  const out = { progress: () => ({ update() {}, end() {} }), trace() {}, note() {} };
  const server = new ServerClient({ base: prism.url, token: prism.adminToken }, out);
  /** The failures of one test. */
  const run = async (given: object) => {
    const { tests, problems } = readTests([{ name: "one", ...given }]);
    assert.deepEqual(problems, []);
    const [result, ...others] = await runTests(server, tests);
    assert.ok(result && others.length === 0);
    assert.equal(result.ok, result.failures.length === 0);
    return result;
  };
  return { server, run };
}

const NIGHT = { at: "2026-12-24T03:00:00+01:00", alert: { alertname: "DiskFull", severity: "critical" } };
const PAGES = [
  { after: "0s", to: ["cy"], urgency: "high" },
  { after: "5m", to: ["Ada"], urgency: "low" },
];

test("tests of configuration files compare what would happen with what is expected", async (t) => {
  const { server, run } = await startServer(t);
  const failures = async (expect: object, more: object = NIGHT) => (await run({ ...more, expect })).failures;

  await t.test("all that holds", async () => {
    const expect = { policy: "Night", pages: PAGES, never: ["ben"], withheld: "none" };
    const { ok, sentence, failures: none } = await run({ ...NIGHT, project: "default", expect });
    assert.deepEqual([ok, none], [true, []]);
    assert.match(sentence, /^The alert would open an incident .* Step 1 notifies with high urgency: cy/);
    assert.deepEqual(await failures({ pages: [{ after: 0, to: ["cy"], ways: { cy: ["service"] } }] }), []);
    assert.deepEqual(await failures({ pages: [{ after: "1s", to: ["cy"] }] }), [], "a second is no difference");
  });

  for (const { name, expect, text, more } of [
    { name: "another policy", expect: { policy: "Day" }, text: ["policy: expected Day, got Night"] },
    {
      name: "another person",
      expect: { pages: [{ after: "0s", to: ["ben"] }] },
      text: ["after 0s: expected ben, got cy"],
    },
    {
      name: "one person more than expected, and one less",
      expect: { pages: [{ after: "0s", to: ["ben", "cy"] }, PAGES[1]] },
      text: ["after 0s: expected ben, cy, got cy"],
    },
    {
      name: "a page at another time",
      expect: { pages: [PAGES[0], { after: "4m", to: ["ada"] }] },
      text: ["after 4m: expected ada, got none; ada comes after 5m"],
    },
    {
      name: "a page before the last one that is expected",
      expect: { pages: [PAGES[1]] },
      text: ["after 0s: expected none, got cy"],
    },
    {
      name: "pages where there should be none",
      expect: { pages: [] },
      text: ["after 0s: expected none, got cy", "after 5m: expected none, got ada"],
    },
    {
      name: "another urgency",
      expect: { pages: [{ ...PAGES[0], urgency: "low" }] },
      text: ["after 0s, urgency of cy: expected low, got high"],
    },
    {
      name: "another way",
      expect: { pages: [{ ...PAGES[0], ways: { cy: ["push"] } }] },
      text: ["after 0s, ways of cy: expected push, got service"],
    },
    {
      name: "a person who is never paged",
      expect: { never: ["ada"] },
      text: ["never: expected no page of ada, got one after 5m"],
    },
    { name: "nothing withholds it", expect: { withheld: "muted" }, text: ["withheld: expected muted, got none"] },
    {
      name: "an interval mutes it",
      more: { ...NIGHT, alert: { alertname: "Slow", severity: "info" } },
      expect: { withheld: "none", pages: [PAGES[0]] },
      text: ["withheld: expected none, got muted", "after 0s: expected cy, got none"],
    },
    {
      name: "an alert inhibits it",
      more: {
        ...{ ...NIGHT, alert: { alertname: "HostDown", site: "fra" } },
        firing: [{ alertname: "SwitchDown", site: "fra" }],
      },
      expect: { withheld: "silenced" },
      text: ["withheld: expected silenced, got inhibited"],
    },
    {
      name: "an unknown project",
      more: { ...NIGHT, project: "nowhere" },
      expect: {},
      text: ["there is no project nowhere"],
    },
  ])
    await t.test(name, async () => assert.deepEqual(await failures(expect, more), text));

  await t.test("what is withheld, as expected", async () => {
    const noon = { at: "2026-12-24T12:00:00+01:00", alert: { alertname: "Slow", severity: "info" } };
    assert.deepEqual(await failures({ withheld: "none" }, noon), []);
    assert.deepEqual(await failures({ withheld: "muted", pages: [] }, { ...noon, at: NIGHT.at }), []);
  });

  await t.test("events", async () => {
    const event = { event: { type: "payment", amount: 1200 } };
    const expected = { rules: ["Big"], notifies: ["ada", "dev"], channels: ["push", "in_app"] };
    const { failures: none, sentence } = await run({ ...event, expect: expected });
    assert.deepEqual(none, []);
    assert.match(sentence, /^Rules that match: Big\. They notify: .*ada/);
    assert.deepEqual(await failures({ rules: [], notifies: ["ben"], channels: ["email"] }, event), [
      "rules: expected none, got Big",
      "notifies: expected ben, got ada, dev",
      "channels: expected email, got in_app, push",
    ]);
    const small = { event: { type: "payment", amount: 1 } };
    assert.deepEqual(await failures({ rules: [], notifies: [], channels: [] }, small), []);
    assert.deepEqual(await failures({ rules: ["Big"] }, { ...small, project: "nowhere" }), [
      "there is no project nowhere",
    ]);
  });

  await t.test("a caller without rights is refused", async () => {
    const { tests } = readTests([{ name: "one", ...NIGHT, expect: {} }]);
    await assert.rejects(runTests(server.as("psk_wrong"), tests), { status: 401 });
  });
});

test("tests that are not readable are named with their path", () => {
  const ok = { name: "ok", ...NIGHT, expect: { pages: PAGES } };
  const { tests, problems } = readTests([
    ok,
    { ...ok, at: "2026-12-24", expect: { pages: [{ after: "5 min", to: [] }], withheld: "maybe" } },
    { name: "no labels", expect: {}, labels: {} },
    { name: "event", event: [], expect: { rule: [] } },
    "text",
  ]);
  assert.equal(tests.length, 1);
  assert.deepEqual(
    problems.map(({ path, message }) => `${path}: ${message}`).sort(),
    [
      "1.at: must be an RFC 3339 date-time with offset, such as 2026-01-31T08:00:00Z",
      '1.expect.pages.0.after: must be a duration such as 90s, 15m, 4h, 7d or 1h30m, not "5 min"',
      "1.expect.pages.0.to: must have at least 1 item",
      '1.expect.withheld: must be silenced, inhibited, muted or none, not "maybe"',
      "2.alert: is required",
      "2.labels: is not a member of this object",
      "3.event: must be a JSON object, not an array",
      "3.expect.rule: is not a member of this object",
      '4: must be an object, not "text"',
    ].sort(),
  );
});
