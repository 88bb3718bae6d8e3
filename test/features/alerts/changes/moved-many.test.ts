import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { answered } from "../../../helpers/prism.ts";
import { httpServer } from "../../channels/presets/http.ts";
import { pagerdutyEvents } from "../../channels/presets/pagerduty.ts";
import { slackWebhook } from "../../channels/presets/slack.ts";
import { telegramBot } from "../../channels/presets/telegram.ts";
import { type Seen, type Service, type StandIn, startStandIn } from "../../channels/support/stand-in.ts";
import { IncidentWorld, MINUTE } from "../incidents/support.ts";

const SETTINGS = { "webhooks.allowPrivateCidrs": "127.0.0.0/8", "rateLimit.enabled": "false" };
const COUNT = 30;

/** How many incidents these messages report as moved: one each, or a summary of many. */
function movedIn(messages: readonly Seen[]): number {
  return messages
    .map(({ text }) => Number(/^(\d+) incidents have moved/m.exec(text)?.[1] ?? /Moved to #\d+: /.test(text)))
    .reduce((sum, count) => sum + count, 0);
}

test("incidents that one document moves are one notice to a person, and reach each room", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const { prism, projectId, clock } = world;
  const ann = await world.member("ann");
  const ben = await world.member("ben");
  const made: (StandIn & { id: string })[] = [];
  for (const [service, owner] of [
    [httpServer(), { token: ann.token }],
    [slackWebhook(), {}],
    [telegramBot(), {}],
    [pagerdutyEvents(), {}],
    // Without a way for ben the default policy is asked as well.
    [httpServer(), { token: ben.token }],
  ] as [Service, { token?: string }][]) {
    const standIn = await startStandIn(t, service);
    // Of steps only: a project's channel has all its notifications else.
    const place = owner.token === undefined ? { projectId, eventTypes: ["none.x"] } : {};
    const body = { name: service.preset, preset: service.preset, fields: service.fields(standIn.url), ...place };
    const { id } = (await answered(201, prism.post<{ id: string }>("/api/v1/channels", body, owner))).body;
    made.push({ ...standIn, id });
  }
  const [phone, room, chat, pager] = made;
  assert.ok(phone && room && chat && pager);
  const steps = [{ type: "notify", users: ["ann"] }, ...[room, chat, pager].map(({ id }) => ({ type: "channel", id }))];
  await answered(200, prism.patch(`/api/v1/policies/${projectId}`, { steps }));
  const low = { name: "Low", steps: [{ type: "notify", users: ["ben"] }] };
  await answered(201, prism.post("/api/v1/policies", low));
  const route = async (policy: string): Promise<void> => {
    prism.adminToken = (await prism.get<{ token: string }>("/dev/token", { token: null })).body.token;
    const { version } = (await prism.get<{ version: number }>("/api/v1/routes")).body;
    const root = { policy, groupBy: ["..."], groupWaitMs: 0, groupIntervalMs: 5 * MINUTE, repeatMs: 600 * MINUTE };
    await answered(200, prism.put("/api/v1/routes", { route: root }, { headers: { "If-Match": `"${version}"` } }));
  };
  const settle = (): Promise<unknown> =>
    eventually("all is sent", async () => {
      clock.advance(1000);
      await world.incidents.check();
      await prism.parts.offers.pages.check();
      const open = await world.db.read.selectFrom("pages").select("id").where("endedAt", "is", null).execute();
      return open.length === 0;
    });

  await route("default");
  const alerts = Array.from({ length: COUNT }, (_, n) => ({ key: `k${n}`, labels: { alertname: `Disk ${n}` } }));
  await answered(200, prism.post("/api/v1/alerts", { alerts }));
  await settle();
  assert.deepEqual([phone.seen.length, pager.seen.length], [COUNT, COUNT]);
  const before = made.map(({ seen }) => seen.length);
  await route("Low");
  await eventually("all have moved", async () => {
    await world.incidents.check();
    const rows = await world.rows();
    return rows.length === 2 * COUNT && rows.slice(0, COUNT).every(({ firing }) => firing === 0);
  });
  await world.pass(6 * MINUTE);
  await settle();
  const old = (await world.rows()).slice(0, COUNT);
  assert.ok(old.every(({ resolvedBy }) => resolvedBy === "moved"));

  const told = made.map(({ seen }, i) => seen.slice(before[i]));
  // The first may leave before the others are there.
  const [people = [], rooms = []] = told;
  assert.equal(movedIn(people), COUNT, JSON.stringify(people));
  assert.ok(rooms.length > 0 && rooms.length <= COUNT, JSON.stringify(rooms));
  assert.ok(people.length > 0 && people.length <= 3, JSON.stringify(people));
  assert.match(JSON.stringify(people), /incidents have moved[\s\S]*- Moved to #\d+: Disk/);
  const answers = await world.db.read.selectFrom("pages").select("answer").where("reason", "=", "moved").execute();
  assert.ok(answers.some(({ answer }) => /^in a summary of \d+/.test(answer ?? "")));
  assert.ok(pager.seen.every(({ state }) => state === "resolved"));
});
