import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { AlertTrial } from "../../../src/features/explain/alert-schema.ts";
import { answered } from "../../helpers/prism.ts";
import { IncidentWorld, MINUTE } from "../alerts/incidents/support.ts";
import { httpServer } from "../channels/presets/http.ts";

const DAY_MS = 24 * 60 * MINUTE;
const NIGHT = "2026-12-24T03:00:00+01:00";
const LABELS = { alertname: "DiskFull", severity: "critical" };

interface Asked {
  readonly labels?: Readonly<Record<string, string>>;
  readonly at?: string;
  readonly firing?: readonly Readonly<Record<string, string>>[];
  readonly token?: string;
}

/** Ada, Ben and Cy in turn, each from Thursday to Thursday at 03:00 in Berlin, the next after 5 minutes. */
async function startNight(t: TestContext, routing: Readonly<Record<string, unknown>> = {}) {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism } = world;
  const people = { ada: await world.member("ada"), ben: await world.member("ben"), cy: await world.member("cy") };
  const made = async (path: string, body: unknown) =>
    (await answered(201, prism.post<{ id: string }>(`/api/v1${path}`, body))).body.id;
  const schedule = await made("/oncall/schedules", { name: "Duty", timezone: "Europe/Berlin" });
  await made(`/oncall/schedules/${schedule}/shifts`, {
    ...{ name: "Weeks", start: "2026-12-10T03:00:00", durationMs: 7 * DAY_MS },
    ...{ recurrence: { frequency: "weekly" }, turns: [["ada"], ["ben"], ["cy"]] },
  });
  const steps = [
    { type: "notify", schedules: [{ id: schedule }] },
    { type: "wait", ms: 5 * MINUTE },
    { type: "notify", schedules: [{ id: schedule, who: "next" }], urgency: "low" },
  ];
  await made("/policies", { name: "Night", steps });
  const route = { policy: "Night", groupBy: ["alertname"], groupWaitMs: 0 };
  await answered(200, prism.put("/api/v1/routes", { route, ...routing }));
  const explain = async ({ token, ...more }: Asked = {}): Promise<AlertTrial> =>
    (
      await answered(
        200,
        prism.post<AlertTrial>("/api/v1/explain/alert", { labels: LABELS, ...more }, token ? { token } : {}),
      )
    ).body;
  return { world, prism, people, schedule, made, explain };
}

const pagesOf = ({ routes: [route] }: AlertTrial) =>
  route?.next.flatMap(({ afterMs, urgency, users }) =>
    users ? [[afterMs / MINUTE, urgency, users.map(({ username }) => username).join()]] : [],
  );

test("explain says who would be paged at another time", async (t) => {
  const { world, prism, people, schedule, made, explain } = await startNight(t);

  await t.test("a rotation turns on 24 December at 03:00", async () => {
    const before = await explain({ at: "2026-12-24T02:59:00+01:00" });
    assert.deepEqual(pagesOf(before), [
      [0, "high", "ben"],
      [5, "low", "ada"],
    ]);
    const after = await explain({ at: NIGHT });
    assert.deepEqual(pagesOf(after), [
      [0, "high", "cy"],
      [5, "low", "ada"],
    ]);
    assert.equal(Date.parse(after.at), Date.parse(NIGHT));
    assert.match(after.answer, /^The alert would open an incident .* Step 1 notifies with high urgency: cy/);
    const [first] = after.routes[0]?.next ?? [];
    assert.equal(Date.parse(first?.at ?? ""), Date.parse(NIGHT));
    assert.equal(first?.users?.[0]?.userId, people.cy.id);
    assert.equal(first?.users?.[0]?.name, "cy");
  });

  await t.test("an incident that is open now is not open then, and one is joined now", async () => {
    await world.fire("DiskFull", { labels: LABELS });
    const then = await explain({ at: NIGHT });
    assert.deepEqual([then.alertId, then.routes[0]?.incident], [null, null]);
    const now = await explain();
    assert.ok(now.alertId);
    assert.equal(now.routes[0]?.incident?.number, 1);
  });

  await t.test("days off change nothing by themselves; the person who covers them is paged", async () => {
    const days = { userId: "ada", firstDay: "2026-12-31", lastDay: "2027-01-06" };
    await made("/oncall/days-off", days);
    const at = "2027-01-02T03:00:00+01:00";
    assert.equal(pagesOf(await explain({ at }))?.[0]?.[2], "ada");
    await made(`/oncall/schedules/${schedule}/overrides`, {
      ...{ start: "2026-12-31T03:00:00+01:00", end: "2027-01-07T03:00:00+01:00", users: ["ben"] },
    });
    assert.equal(pagesOf(await explain({ at }))?.[0]?.[2], "ben");
  });

  await t.test("what goes to a person outside of the app, to those who may read it", async () => {
    const waysOf = (trial: AlertTrial) => trial.routes[0]?.next[0]?.users?.[0]?.ways;
    assert.deepEqual(waysOf(await explain({ at: NIGHT })), []);
    const { token } = people.cy;
    const fields = httpServer().fields("http://127.0.0.1:9/");
    await answered(201, prism.post("/api/v1/channels", { name: "Phone", preset: "http", fields }, { token }));
    assert.deepEqual(waysOf(await explain({ at: NIGHT })), ["service"]);
    assert.equal(waysOf(await explain({ at: NIGHT, token: people.ada.token })), undefined);
    assert.deepEqual(waysOf(await explain({ at: NIGHT, token })), ["service"]);
    const rules = { high: [{ afterMs: 0, channels: ["push"] }], low: [] };
    await answered(200, prism.put("/api/v1/users/me/contact-rules", rules, { token }));
    assert.deepEqual(waysOf(await explain({ at: NIGHT })), []);
  });

  await t.test("a time without an offset is refused", async () => {
    const refused = await answered(
      400,
      world.prism.post<{ error: { details: { path: string }[] } }>("/api/v1/explain/alert", {
        ...{ labels: LABELS, at: "2026-12-24" },
      }),
    );
    assert.equal(refused.body.error.details[0]?.path, "at");
  });
});

test("explain says what would withhold an alert at another time", async (t) => {
  const equal = ["site"];
  const rule = { sourceMatchers: ['alertname="SwitchDown"'], targetMatchers: ['alertname="HostDown"'], equal };
  const times = [{ start_time: "00:00", end_time: "06:00" }];
  const { world, made, explain } = await startNight(t, {
    route: {
      ...{ policy: "Night", groupBy: ["alertname"], groupWaitMs: 0 },
      routes: [{ matchers: ['alertname=~".+"'], muteIntervals: ["night"] }],
    },
    ...{ inhibitRules: [rule], timeIntervals: [{ name: "night", intervals: [{ times, location: "Europe/Berlin" }] }] },
  });
  const withheld = ({ routes: [route] }: AlertTrial) => route?.withheld.map(({ reason, text }) => `${reason}: ${text}`);
  const noon = "2026-12-24T12:00:00+01:00";
  const host = { alertname: "HostDown", site: "fra" };

  await t.test("the interval of that time mutes it", async () => {
    const trial = await explain({ at: NIGHT });
    assert.deepEqual(withheld(trial), ["muted: It is muted by the time interval night."]);
    assert.deepEqual(pagesOf(trial), []);
    assert.match(trial.answer, /No one would be notified: it is muted by the time interval night\.$/);
    assert.deepEqual(withheld(await explain({ at: noon })), []);
  });

  await t.test("an alert that is taken as firing inhibits it, with equal labels", async () => {
    const switchDown = { alertname: "SwitchDown", site: "fra" };
    const trial = await explain({ labels: host, at: noon, firing: [switchDown] });
    assert.deepEqual(withheld(trial), [
      'inhibited: It is inhibited by the firing alert {alertname="SwitchDown", site="fra"}.',
    ]);
    assert.deepEqual(pagesOf(trial), []);
    assert.deepEqual(withheld(await explain({ labels: host, at: noon, firing: [{ ...switchDown, site: "ber" }] })), []);
    assert.deepEqual(withheld(await explain({ labels: host, at: noon })), [], "nothing of it is kept");
    await world.fire("SwitchDown", { labels: switchDown });
    assert.match(withheld(await explain({ labels: host, at: noon }))?.join() ?? "", /SwitchDown/);
  });

  await t.test("silences are those of now", async () => {
    await made("/silences", { matchers: ['severity="critical"'], durationMs: 5 * MINUTE, comment: "Move" });
    assert.match(withheld(await explain({ at: noon }))?.join() ?? "", /^silenced: It is silenced by "Move"/);
    world.clock.advance(6 * MINUTE);
    assert.deepEqual(withheld(await explain({ at: noon })), []);
  });
});
