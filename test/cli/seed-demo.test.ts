import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import test from "node:test";
import { DAY_MS } from "../../src/core/time/clock.ts";
import { makeUser } from "../helpers/people.ts";
import { answered, startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { valuesOf } from "../helpers/values.ts";
import { RunningCli, runCli, runJson } from "./run-cli.ts";
import { DEMO_MADE, env, type Seeded } from "./seed-support.ts";

test("a seed that fails midway shows the passwords that it has made, and a second run continues", async (t) => {
  const cwd = temporaryDir(t);
  const full = await runCli(["seed", "--json"], { cwd, env: { ...env, PRISM_MIN_FREE_BYTES: "1000000000000000" } });
  assert.equal(full.status, 4);
  assert.match(full.stderr, /"code":"STORAGE_FULL"/);
  const { accounts, made } = JSON.parse(full.stdout) as Seeded;
  assert.deepEqual([made, accounts.every(({ password }) => password !== null)], [{ accounts: 2 }, true]);
  const again = await runJson<Seeded>(["seed"], { cwd, env });
  assert.deepEqual([again.made["accounts"], again.made["events"]], [0, 20]);
  const failed = await runCli(["seed", "--events", "30"], {
    cwd,
    env: { ...env, PRISM_MIN_FREE_BYTES: "1000000000000000" },
  });
  assert.deepEqual([failed.status, failed.stdout], [4, ""], "nothing new has been made, and nothing is shown");
});

interface NoisyKey {
  readonly key: string;
  readonly suggestions: { readonly kind: string; readonly matchers: readonly string[] }[];
}

test("seed --demo gives a new database a past, which the next server goes on with", async (t) => {
  const cwd = temporaryDir(t);
  const demo = ["seed", "--demo", "--events", "200"];
  const { made } = await runJson<Seeded>(demo, { cwd, env });
  const earlier = made["earlier incidents"] ?? 0;
  assert.ok(earlier > 150, `${earlier} incidents`);
  assert.deepEqual(made, { ...DEMO_MADE, "earlier incidents": earlier });
  const dir = join(cwd, "data");
  const prism = await startPrism(t, { dir, settings: { "auth.bcryptCost": "4" } });
  const days = (table: string, column: string) =>
    prism.parts.base.store.reader
      .prepare<[], number>(`select count(distinct ${column} / 86400000) from ${table}`)
      .pluck()
      .get() ?? 0;
  assert.ok(days("events", "receivedAt") >= 7, `events of ${days("events", "receivedAt")} days`);
  assert.ok(days("notifications", "createdAt") >= 5, `notifications of ${days("notifications", "createdAt")} days`);
  const { body: audit } = await prism.get<{ ok: boolean }>("/api/v1/audit/verify");
  assert.equal(audit.ok, true);
  const { body: schedules } = await prism.get<{ data: { nextRuns: { dst?: string }[] }[] }>("/api/v1/schedules");
  assert.ok(schedules.data.some(({ nextRuns }) => nextRuns.some(({ dst }) => dst !== undefined)));

  await t.test("incidents of 90 days are told by the reports, with what is noise and whom it wakes", async () => {
    const from = new Date(Date.now() - 91 * DAY_MS).toISOString();
    const report = async <T>(path: string) => (await prism.get<T>(`/api/v1/reports/${path}`)).body;
    const { total } = await report<{ total: Record<string, number> }>(`incidents?from=${from}`);
    assert.ok((total["incidents"] ?? 0) >= earlier, `${total["incidents"]} of ${earlier}`);
    assert.ok(days("incidents", "openedAt") > 60, `incidents of ${days("incidents", "openedAt")} days`);
    const { data: noise } = await report<{ data: NoisyKey[] }>("noise");
    const kindsOf = (key: string) => valuesOf(noise.find((each) => each.key === key)?.suggestions ?? [], "kind");
    assert.ok(kindsOf("CacheMemory").includes("unacknowledged"), "one is never acknowledged");
    for (const { matchers } of noise.flatMap(({ suggestions }) => suggestions))
      assert.ok(matchers.includes('prism_demo="true"'), matchers.join());
    assert.ok(kindsOf("LoadSpike").includes("brief"), "one ends within two minutes");
    const { data: people } = await report<{ data: { pagesNight: number; pagesDay: number; onCallHours: number }[] }>(
      `people?from=${from}`,
    );
    const paged = people.filter(({ pagesDay, pagesNight }) => pagesDay > 0 && pagesNight > 0);
    assert.equal(paged.length, 5);
    const loads = paged.map(({ pagesNight }) => pagesNight);
    assert.ok(Math.max(...loads) > 3 * Math.min(...loads), loads.join());
    assert.ok(people.filter(({ onCallHours }) => onCallHours > 500).length >= 3);
    const { data: ended } = await prism
      .get<{ data: { id: string }[] }>("/api/v1/incidents?state=resolved&q=HostDown&limit=5")
      .then(({ body }) => body);
    const { body: incident } = await prism.get<{
      timeline: { kind: string }[];
      alertList: object[];
      notices: { outcome: string }[];
      audience: { userId: string }[];
    }>(`/api/v1/incidents/${ended[0]?.id}`);
    assert.deepEqual([valuesOf(incident.timeline, "kind")[0], incident.alertList.length], ["opened", 1]);
    assert.ok(valuesOf(incident.notices, "outcome").includes("delivered"));
    assert.ok(incident.audience.length > 0, "people were notified");
    const { body: postMortem } = await prism.get<{ people: object[] }>(`/api/v1/incidents/${ended[0]?.id}/post-mortem`);
    assert.equal(postMortem.people.length, incident.audience.length);
    const { data: heartbeats } = (await prism.get<{ data: { id: string; name: string }[] }>("/api/v1/heartbeats")).body;
    const backup = heartbeats.find(({ name }) => name === "Nightly backup");
    const { body: flips } = await prism.get<{ data: { to: string }[] }>(`/api/v1/heartbeats/${backup?.id}/flips`);
    assert.ok(valuesOf(flips.data, "to").filter((to) => to === "down").length >= 5);
  });

  await t.test("a run beside that server creates nothing again", async () => {
    const { stdout, stderr } = await runCli([...demo, "--data-dir", dir, "--json"], { cwd, env });
    assert.deepEqual([...new Set(Object.values((JSON.parse(stdout) as Seeded).made))], [0]);
    assert.match(stderr, /Incidents of the last 90 days come with a new database only/);
  });
});

test("seed --demo fills a running server, in which no token of it stays valid", async (t) => {
  const settings = { "auth.bcryptCost": "4", "webhooks.allowPrivateCidrs": "127.0.0.0/8" };
  const prism = await startPrism(t, { settings });
  const demo = ["seed", "--demo", "--events", "200", "--data-dir", prism.dir];
  const { made, accounts } = await runJson<Seeded>(demo, { cwd: temporaryDir(t), env });
  assert.deepEqual(made, DEMO_MADE);
  const [admin] = accounts;
  await answered(200, prism.post("/auth/login", { username: "admin", password: admin?.password }, { token: null }));
  const { body: unread } = await prism.get<{ data: { acknowledgedAt: string | null }[] }>(
    "/api/v1/notifications/all?state=acknowledged",
  );
  assert.ok(unread.data.length > 0);
  const valid = prism.parts.base.store.reader
    .prepare<[], number>("select count(*) from service_tokens where revokedAt is null and name = 'prism seed'")
    .pluck()
    .get();
  assert.equal(valid, 0);
});

test("seed --demo leaves a person out who is called admin: no shift, no step, no changed settings", async (t) => {
  const prism = await startPrism(t, { settings: { "auth.bcryptCost": "4" } });
  const { id, token } = await makeUser(prism, "admin", ["Admin"]);
  const demo = ["seed", "--demo", "--events", "20", "--tasks", "0", "--data-dir", prism.dir, "--json"];
  const { status, stdout, stderr } = await runCli(demo, { cwd: temporaryDir(t), env });
  assert.equal(status, 0, stderr);
  assert.match(stderr, /^admin: existed before\. Sample rules notify their roles/m);
  const { made } = JSON.parse(stdout) as Seeded;
  assert.deepEqual([made["preferences"], made["contact rules"], made["on-call schedules"]], [1, 0, 2]);
  const { reader } = prism.parts.base.store;
  for (const [table, column] of [
    ["oncall_shifts", "turns"],
    ["policies", "definition"],
  ])
    assert.deepEqual(reader.prepare(`select id from ${table} where instr(${column}, ?) > 0`).all(id), []);
  const rules = await prism.get<{ high: readonly unknown[] }>("/api/v1/users/me/contact-rules", { token });
  assert.deepEqual(rules.body.high, []);
});

test("seed skips webhooks that the running server would not call", async (t) => {
  const prism = await startPrism(t, { settings: { "auth.bcryptCost": "4" } });
  const demo = ["seed", "--demo", "--events", "20", "--tasks", "0", "--data-dir", prism.dir, "--json"];
  const { status, stdout, stderr } = await runCli(demo, { cwd: temporaryDir(t), env });
  assert.deepEqual([status, (JSON.parse(stdout) as Seeded).made["webhooks"]], [0, 0], stderr);
  assert.match(stderr, /no webhook for http:\/\/127\.0\.0\.1:\d+\/hooks\/chat: webhooks\.allowPrivateCidrs/);
});

test("seed asks in production, and refuses a server's URL", async (t) => {
  const prism = await startPrism(t);
  const cwd = temporaryDir(t);
  const online = await runCli(["seed", "--url", prism.url], { cwd, env });
  assert.equal(online.status, 2);
  const secrets = {
    JWT_SECRET: randomBytes(48).toString("base64"),
    PRISM_ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    HOST: "127.0.0.1",
    NODE_ENV: "production",
  };
  const unasked = await runCli(["seed"], { cwd, env: secrets });
  assert.deepEqual([unasked.status, /this is production: nothing was created/.test(unasked.stderr)], [2, true]);
  const none = ["seed", "--yes", "--users", "0", "--events", "0", "--tasks", "0"];
  const asked = await runJson<Seeded>(none, { cwd, env: secrets });
  assert.deepEqual(asked.made, { accounts: 1, rules: 3, buckets: 2, tasks: 0, events: 0 });
  const { stdout } = await runCli(["doctor", "--db"], { cwd, env: secrets });
  assert.match(
    stdout,
    /WARN +accounts +administrators of the sample data: admin; an incident that reaches no one pages/,
  );
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env: secrets });
  await server.until(/Prism is ready/);
  assert.doesNotMatch(server.stderr, /No administrator yet/);
  server.signal("SIGTERM");
  assert.equal(await server.ended(), 0);
});
