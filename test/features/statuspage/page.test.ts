import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { LogLines } from "../../helpers/log-lines.ts";
import { answered, startPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";
import { fire, PATH, PUBLIC, putPage, resolve, type Summary, shows, type View, visit, WEBSITE } from "./support.ts";

const PUBLIC_TEXTS = ["", ".json", "/history.json", "/feed.atom", "/style.css", "/live.js"];

test("a page is closed until it is switched on, and closed again when it is switched off", async (t) => {
  const prism = await startPrism(t);
  const statuses = async () => Promise.all(PUBLIC_TEXTS.map(async (path) => (await visit(prism, path)).status));
  const closed = PUBLIC_TEXTS.map(() => 404);
  assert.deepEqual(await statuses(), closed);
  const { body } = await prism.get<View & { enabled: boolean; title: string }>(PATH);
  assert.deepEqual([body.enabled, body.version, body.groups], [false, 0, []]);
  const made = await putPage(prism);
  assert.deepEqual(
    await statuses(),
    PUBLIC_TEXTS.map(() => 200),
  );
  const id = String((await prism.get<{ projectId: string }>(PATH)).body.projectId);
  assert.equal((await prism.get(`/status/${id}`, { token: null })).status, 404, "the project's id is no address");
  await answered(412, prism.request("PUT", PATH, WEBSITE, { headers: { "If-Match": '"0"' } }));
  await putPage(prism, { ...WEBSITE, groups: made.groups, enabled: false });
  assert.deepEqual(await statuses(), closed);
});

test("alerts and heartbeats decide the states; each change is a row, also across a restart", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const heartbeat = await prism.post<{ id: string; pingUrl: string }>("/api/v1/heartbeats", { name: "backup" });
  const tagged = await prism.post<{ pingUrl: string }>("/api/v1/heartbeats", { name: "import", tags: ["night", "db"] });
  const page = await putPage(prism, {
    ...WEBSITE,
    groups: [
      ...WEBSITE.groups,
      {
        name: "Jobs",
        components: [
          { name: "Backup", sources: [{ heartbeats: [heartbeat.body.id], effect: "partial" }] },
          { name: "Import", sources: [{ tag: "db", effect: "degraded" }] },
        ],
      },
    ],
  });
  await shows(prism, "operational", "operational", "operational");
  clock.advance(60_000);
  await fire(prism, "a", { service: "web" });
  for (const { body } of [heartbeat, tagged]) await prism.get(`${new URL(body.pingUrl).pathname}/fail`);
  await shows(prism, "outage", "partial", "degraded");
  clock.advance(60_000);
  await prism.get(new URL(heartbeat.body.pingUrl).pathname);
  await shows(prism, "outage", "operational", "degraded");
  await prism.restart(() => clock.advance(60_000));
  await shows(prism, "outage", "operational", "degraded");
  clock.advance(60_000);
  await resolve(prism, "a");
  await shows(prism, "operational", "operational", "degraded");
  const [website] = page.groups.flatMap(({ components }) => components);
  const history = () =>
    rowsOf<{ state: string; at: number }>(
      prism,
      "select state, at from status_changes where componentId = ? order by at",
      website?.id ?? "",
    );
  await eventually("the last change is stored", () => history().length === 3);
  assert.deepEqual(valuesOf(history(), "state"), ["operational", "outage", "operational"]);
  assert.equal((history()[2]?.at ?? 0) - (history()[1]?.at ?? 0), 180_000);
  const metrics = await prism.get("/metrics");
  assert.match(metrics.text, /prism_status_pages 1/);
  assert.match(metrics.text, /prism_status_changes_total\{state="operational"\} 1/);
});

test("an alert in a maintenance window is maintenance, and the window is announced by its public text", async (t) => {
  const prism = await startPrism(t);
  await putPage(prism);
  await fire(prism, "a", { service: "web" });
  await shows(prism, "outage");
  const body = { matchers: ['service="web"'], comment: "private-comment" };
  const window = await prism.post<{ id: string }>("/api/v1/silences", {
    ...body,
    durationMs: 3_600_000,
    kind: "maintenance",
    annotations: { status_page: "We move the shop" },
  });
  assert.equal(window.status, 201, window.text);
  await shows(prism, "maintenance");
  const html = await visit(prism, "");
  assert.match(html.text, /We move the shop/);
  assert.ok(!html.text.includes("private-comment"));
  const others = [
    { matchers: ['team="db"'] },
    { matchers: ['service="db"'] },
    { matchers: ['service=~"web|db"', 'team="db"'], annotations: { status_page: "We move the database" } },
    { matchers: ['region="eu"'], annotations: { status_page: "We move to the EU" } },
  ];
  for (const other of others)
    await prism.post("/api/v1/silences", { ...body, durationMs: 60_000, kind: "maintenance", ...other });
  const shown = await visit<{ planned: { title: string }[] }>(prism, ".json");
  assert.deepEqual(
    shown.body.planned.map(({ title }) => title).sort(),
    ["We move the database", "We move the shop", "We move to the EU"],
    "silences without a public text and without a component are not shown",
  );
  await prism.delete(`/api/v1/silences/${window.body.id}`);
  await shows(prism, "outage");
});

test("nothing private is in any public answer, and hostile texts are texts", async (t) => {
  const prism = await startPrism(t);
  const secret = "s3cr3t-canary";
  const hostile = `<script>alert(1)</script>"'&`;
  const heartbeat = await prism.post<{ id: string; pingUrl: string }>("/api/v1/heartbeats", {
    name: `${secret}-heartbeat`,
    tags: ["db"],
    description: secret,
  });
  const page = await putPage(prism, {
    ...WEBSITE,
    title: hostile,
    description: hostile,
    subscriptions: true,
    groups: [
      {
        name: hostile,
        components: [
          {
            name: hostile,
            description: hostile,
            sources: [
              { matchers: [`service="web"`, `team="${secret}"`], effect: "outage" },
              { heartbeats: [heartbeat.body.id], effect: "degraded" },
            ],
          },
        ],
      },
    ],
  });
  await fire(prism, `${secret}-key`, { service: "web", team: secret, instance: `${secret}-host` });
  await prism.get(`${new URL(heartbeat.body.pingUrl).pathname}/fail`);
  await prism.post("/api/v1/silences", {
    matchers: [`team="${secret}"`],
    comment: secret,
    kind: "maintenance",
    durationMs: 3_600_000,
  });
  const notice = await prism.post<{ id: string }>(`${PATH}/notices`, {
    kind: "incident",
    title: hostile,
    text: hostile,
    components: page.groups.flatMap(({ components }) => components.map(({ id }) => id)),
  });
  assert.equal(notice.status, 201, notice.text);
  await shows(prism, "degraded");
  const { body: me } = await prism.get<{ id: string; username: string }>("/api/v1/users/me");
  const { body: view } = await prism.get<{ projectId: string }>(PATH);
  const privates = [secret, notice.body.id, heartbeat.body.id, view.projectId, me.id];
  for (const path of PUBLIC_TEXTS) {
    const reply = await visit(prism, path);
    assert.equal(reply.status, 200, path);
    const all = `${reply.text}\n${JSON.stringify([...reply.headers])}`;
    for (const each of privates) assert.ok(!all.includes(each), `${path} has ${each}`);
    if (path === "" || path.endsWith(".atom")) assert.ok(!reply.text.includes("<script>alert"), path);
  }
  const html = await visit(prism, "");
  assert.match(html.headers.get("content-security-policy") ?? "", /script-src 'self'; style-src 'self'/);
  assert.doesNotMatch(html.text, / style=| on[a-z]+=|<script>/);
});

test("texts are cached by their ETag, which a change replaces", async (t) => {
  const prism = await startPrism(t, { clock: new FakeClock() });
  await putPage(prism);
  await shows(prism, "operational");
  for (const path of PUBLIC_TEXTS) {
    const first = await visit(prism, path);
    const tag = first.headers.get("etag") ?? "";
    const again = await visit(prism, path, { "If-None-Match": tag });
    assert.deepEqual([again.status, again.text], [304, ""], path);
  }
  const before = (await visit(prism, "")).headers.get("etag") ?? "";
  await fire(prism, "a", { service: "web" });
  await shows(prism, "outage");
  assert.equal((await visit(prism, "", { "If-None-Match": before })).status, 200);
});

test("visitors are limited by their address", async (t) => {
  const prism = await startPrism(t, { settings: { "rateLimit.ip": "5" } });
  await putPage(prism);
  const statuses = await Promise.all(Array.from({ length: 20 }, async () => (await visit(prism, "")).status));
  assert.ok(statuses.includes(429), statuses.join(" "));
});

test("notices have updates, states by kind, and planned maintenance follows the clock", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  await putPage(prism);
  const later = (ms: number): string => new Date(clock.now() + ms).toISOString();
  const post = (body: object) => prism.post<{ id: string; state: string; version: number }>(`${PATH}/notices`, body);
  for (const body of [
    { kind: "incident", title: "a", text: "b", state: "scheduled" },
    { kind: "maintenance", title: "a", text: "b" },
    { kind: "maintenance", title: "a", text: "b", startsAt: later(2000), endsAt: later(1000) },
  ])
    assert.equal((await post(body)).status, 400, JSON.stringify(body));
  const incident = await post({ kind: "incident", title: "Payments fail", text: "We are looking" });
  const planned = await post({
    kind: "maintenance",
    title: "Move",
    text: "New rack",
    startsAt: later(60_000),
    endsAt: later(120_000),
  });
  assert.deepEqual([incident.body.state, planned.body.state], ["investigating", "scheduled"]);
  const html = async () => (await fetch(prism.url + PUBLIC)).text();
  assert.match(await html(), /<title>[^<]*: Incident in progress<[\s\S]*overall degraded/);
  const one = `${PATH}/notices/${incident.body.id}`;
  const fixed = await prism.patch<{ state: string; updates: unknown[] }>(one, { state: "resolved", text: "Fixed" });
  assert.deepEqual([fixed.body.state, fixed.body.updates.length], ["resolved", 2]);
  const read = async () => {
    const { body } = await visit<Summary>(prism, ".json");
    return [body.notices.map(({ title }) => title), body.planned.map(({ title }) => title)];
  };
  assert.deepEqual(await read(), [[], ["Move"]]);
  assert.doesNotMatch(await html(), /Incident in progress/);
  clock.advance(61_000);
  assert.deepEqual(await read(), [["Move"], []]);
  clock.advance(60_000);
  assert.deepEqual(await read(), [[], []]);
  const { text } = await visit(prism, "/feed.atom");
  for (const each of ["Payments fail (Resolved)", "Move (Completed)", "Fixed"]) assert.ok(text.includes(each), each);
  assert.equal((await prism.delete(one)).status, 204);
  assert.equal((await prism.get(one)).status, 404);
  const { body: list } = await prism.get<{ data: { title: string }[] }>(`${PATH}/notices`);
  assert.deepEqual(valuesOf(list.data, "title"), ["Move"]);
  const { body: trail } = await prism.get<{ data: { action: string }[] }>("/api/v1/audit?limit=100");
  const actions = trail.data.map(({ action }) => action).filter((action) => action.startsWith("status_"));
  assert.deepEqual(actions.reverse(), [
    "status_page.update",
    "status_notice.create",
    "status_notice.create",
    "status_notice.update",
    "status_notice.delete",
  ]);
});

test("components keep their history by their id, and ids of others are refused", async (t) => {
  const prism = await startPrism(t);
  const made = await putPage(prism);
  const again = await putPage(prism, { ...WEBSITE, groups: made.groups, title: "Other" });
  assert.deepEqual(again.groups, made.groups);
  for (const id of ["aaaaaaaaaaaa", "../../etc"]) {
    const groups = [{ name: "", components: [{ id, name: "x" }] }];
    assert.equal((await prism.request("PUT", PATH, { ...WEBSITE, groups })).status, 400);
  }
  const groups = [{ name: "", components: [{ name: "x", sources: [{ matchers: ["no matcher"], effect: "outage" }] }] }];
  assert.equal((await prism.request("PUT", PATH, { ...WEBSITE, groups })).status, 400);
  assert.equal((await prism.get(PUBLIC, { token: null })).status, 200);
});

test("a change of state is stored once its alert's commit is over, without a refused write", async (t) => {
  const log = new LogLines();
  const prism = await startPrism(t, { log });
  await putPage(prism);
  await shows(prism, "operational");
  await fire(prism, "k", { service: "web" });
  await shows(prism, "outage");
  const stored = () => prism.services.db.read.selectFrom("status_changes").select("state").execute();
  await eventually("both states are stored", async () => (await stored()).length === 2);
  const refused = log.lines.filter(({ message }) => message.includes("status pages"));
  assert.deepEqual(refused, []);
});
