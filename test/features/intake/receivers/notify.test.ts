import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { IssuedReceiver as Made } from "../../../../src/client/api-types.gen.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";

const PATH = "/api/v1/receivers";
const HOUR = 3_600_000;

interface Explained {
  readonly rules: readonly { readonly name: string; readonly outcome: string; readonly reason: string }[];
}

async function receiver(prism: TestPrism, body: object = {}): Promise<Made> {
  const { status, body: made, text } = await prism.post<Made>(PATH, { name: "Backups", preset: "generic", ...body });
  assert.equal(status, 201, text);
  return made;
}

/** As `curl -d` sends it. */
async function curl(url: string, body: string): Promise<void> {
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  const { status } = await fetch(url, { method: "POST", body, headers });
  assert.equal(status, 200);
}

/** All events have been decided. */
function decided(prism: TestPrism): Promise<unknown> {
  return eventually("decided", () => scalarOf(prism, "select count(*) from events where processedAt is null") === 0);
}

function notified(prism: TestPrism): { title: string; users: string }[] {
  return rowsOf(
    prism,
    `select n.title, group_concat(u.username) as users from notifications n
       join notification_recipients r on r.notificationId = n.id join users u on u.id = r.userId
       where n.kind = 'rule' group by n.id order by n.createdAt, n.id`,
  );
}

/** A project with two members, ann and bob; a stranger is in none. */
async function team(t: TestContext, options: Parameters<typeof startPrism>[1] = {}) {
  const prism = await startPrism(t, options);
  const shop = await makeProject(prism);
  for (const name of ["ann", "bob"]) {
    const { id } = await makeUser(prism, name);
    await prism.post(`/api/v1/projects/${shop.id}/members`, { userId: id, role: "viewer" });
  }
  await makeUser(prism, "stranger");
  return { prism, shop };
}

const MEMBERS = "ann,bob,dev";

function sorted(users: string | undefined): string {
  return (users ?? "").split(",").sort().join(",");
}

test("U1: the four lines of the page: an alert, its end, a notification to the members, and an event", async (t) => {
  const { prism, shop } = await team(t);
  const { url, notify } = await receiver(prism, { projectId: shop.id });
  assert.equal(notify, "members");
  await curl(url, '{"title":"Disk almost full","level":"warning","key":"disk/var","status":"firing"}');
  await curl(url, '{"title":"Disk almost full","key":"disk/var","status":"ok"}');
  await curl(url, "Backup failed");
  assert.equal((await fetch(`${url}?title=Door+opened&level=info`)).status, 200);
  await decided(prism);
  const [one, ...others] = notified(prism);
  assert.deepEqual(others, []);
  assert.match(one?.title ?? "", /Backup failed/);
  assert.equal(sorted(one?.users), MEMBERS);
  const data = scalarOf<string>(prism, "select data from notifications where kind = 'rule'");
  assert.equal((JSON.parse(data ?? "{}") as { receiver?: { name: string } }).receiver?.name, "Backups");
  const { body } = await prism.get<Explained>(
    `/api/v1/explain/event/${scalarOf(prism, "select eventId from notifications where kind = 'rule'")}`,
  );
  const [rule] = body.rules;
  assert.deepEqual(
    [rule?.name, rule?.outcome, rule?.reason],
    ["Receiver Backups", "fired", "receiver Backups notifies its project's members; no rule of the project matched"],
  );
});

test("levels: none and from warning on; a rule that matches takes over, also when it is held back", async (t) => {
  const { prism, shop } = await team(t);
  const { url } = await receiver(prism, { projectId: shop.id });
  for (const level of ["debug", "info", "warning", "error", "critical"])
    await curl(url, `title=${level}&level=${level}`);
  await decided(prism);
  const shown = notified(prism).map(({ title }) => /warning|error|critical/.exec(title)?.[0]);
  assert.deepEqual(shown, ["warning", "error", "critical"]);
  const rule = { name: "Mine", projectId: shop.id, condition: "event.payload.title == 'mine'", targetUsers: ["ann"] };
  const suppression = { count: 1, windowMs: HOUR };
  assert.equal((await prism.post("/api/v1/rules", { ...rule, suppression })).status, 201);
  for (let i = 0; i < 3; i++) await curl(url, "title=mine&level=error");
  await decided(prism);
  assert.deepEqual(
    valuesOf(
      notified(prism).filter(({ title }) => title.includes("mine")),
      "users",
    ),
    ["ann"],
  );
});

test("a rule for all projects does not silence the receiver of a project", async (t) => {
  const { prism, shop } = await team(t);
  const { url } = await receiver(prism, { projectId: shop.id });
  const rule = { name: "All", projectId: null, condition: "event.level == 'error'", targetUsers: ["stranger"] };
  assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  await curl(url, "title=Backup+failed&level=error");
  await decided(prism);
  assert.deepEqual(
    notified(prism)
      .map(({ users }) => sorted(users))
      .sort(),
    [MEMBERS, "stranger"],
  );
});

test("events of other senders, and receivers that notify no one, cost and notify nothing", async (t) => {
  const { prism, shop } = await team(t);
  const made = await receiver(prism, { projectId: shop.id, notify: "none" });
  await curl(made.url, "Backup failed");
  const event = { type: "x", level: "error", source: "Backups", payload: { receiver: { id: made.id } } };
  await prism.post("/api/v1/events", event, { apiKey: shop.apiKey });
  await decided(prism);
  assert.deepEqual([notified(prism), countOf(prism, "receiver_events")], [[], 0]);
  const change = { headers: { "If-Match": `"${made.version}"` } };
  assert.equal((await prism.patch<Made>(`${PATH}/${made.id}`, { notify: "members" }, change)).body.notify, "members");
  await curl(made.url, "Backup failed again");
  await decided(prism);
  assert.equal(notified(prism).length, 1);
});

test("the project default: its explicit members, else the administrators", async (t) => {
  const { prism } = await team(t);
  const { url } = await receiver(prism);
  await curl(url, "first");
  await decided(prism);
  assert.deepEqual(valuesOf(notified(prism), "users"), ["dev"]);
  await prism.post("/api/v1/projects/default/members", { userId: "ann", role: "viewer" });
  await curl(url, "second");
  await decided(prism);
  assert.deepEqual(valuesOf(notified(prism), "users"), ["dev", "ann"]);
});

test("what a receiver cannot read is notified of once an hour, also across a restart", async (t) => {
  const clock = new FakeClock();
  const { prism, shop } = await team(t, { clock });
  const { url } = await receiver(prism, { projectId: shop.id, preset: "grafana" });
  const send = async () => {
    const address = `${prism.url}${new URL(url).pathname}`;
    await fetch(address, { method: "POST", body: '{"other":1}', headers: { "Content-Type": "application/json" } });
    await decided(prism);
  };
  await send();
  await send();
  await prism.restart();
  await send();
  assert.equal(
    countOf(prism, "events"),
    scalarOf(prism, "select count(*) from events where type = 'receiver.unmapped'"),
  );
  assert.equal(notified(prism).length, 1);
  clock.advance(HOUR);
  await send();
  assert.equal(notified(prism).length, 2);
});

test("a flood is held back as of a rule, and summed up to the members", async (t) => {
  const settings = {
    "suppression.enforceDefault": "true",
    "suppression.defaultCount": "2",
    "suppression.defaultWindowMs": "1000",
  };
  const clock = new FakeClock();
  const { prism, shop } = await team(t, { clock, settings });
  const { url } = await receiver(prism, { projectId: shop.id });
  for (let i = 0; i < 6; i++) await curl(url, `Backup ${i} failed`);
  await decided(prism);
  const summary = await eventually("a summary", () => {
    clock.advance(1000);
    prism.parts.offers.runner.enqueued([]);
    const sql = "select title, message from notifications where kind = 'aggregate' and title like '%storm over%'";
    return rowsOf<{ title: string; message: string }>(prism, sql)[0];
  });
  assert.match(summary.title, /Backups/);
  assert.match(summary.message, /^From \S+ to \S+ \d messages? notified no one/);
  assert.match(summary.message, /prism receivers requests "Backups"\.\nAmong them:\n- .*Backup \d failed/);
  assert.doesNotMatch(summary.message, /Keys:|[0-9a-f]{32}/);
  assert.ok(notified(prism).length <= 3);
});

test("all receivers of a project have a limit together, with one summary, and fatal events pass up to a higher one", async (t) => {
  const settings = { "suppression.enforceDefault": "true", "suppression.defaultCount": "2" };
  const { prism, shop } = await team(t, { settings });
  const urls: string[] = [];
  for (let n = 0; n < 8; n++)
    urls.push((await receiver(prism, { projectId: shop.id, name: `r${n}`, mapping: { output: "events" } })).url);
  const post = async (url: string, level: string) => {
    const body = JSON.stringify({ title: "t", level });
    const headers = { "Content-Type": "application/json" };
    assert.equal((await fetch(url, { method: "POST", headers, body })).status, 200);
  };
  const count = (level: string) =>
    scalarOf<number>(
      prism,
      `select count(*) from notifications where kind = 'rule' and eventId in (select id from events where level = '${level}')`,
    );
  for (const url of urls) for (let n = 0; n < 2; n++) await post(url, "error");
  await decided(prism);
  assert.equal(count("error"), 10, "five times the limit of one");
  for (let n = 0; n < 7; n++) await post(urls[0] ?? "", "fatal");
  await decided(prism);
  assert.equal(count("fatal"), 6, "three times the limit of one");
  for (const url of urls) for (let n = 0; n < 6; n++) await post(url, "fatal");
  await decided(prism);
  assert.equal(count("fatal"), 30, "three times the limit of all");
  const storms = () =>
    rowsOf<{ title: string }>(prism, "select title from notifications where kind = 'aggregate' order by title");
  await eventually("the notices", () => storms().length >= 3);
  const titles = storms().map(({ title }) => title.replace(/\d+ suppressed/, "n suppressed"));
  assert.deepEqual(new Set(titles).size, titles.length, titles.join());
  assert.ok(titles.includes("All receivers of the project: n suppressed"), titles.join());
  assert.ok(titles.includes("All receivers of the project: n suppressed (critical)"), titles.join());
});
