import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import type { MirrorReport } from "../../../src/client/api-types.gen.ts";
import { type Clock, systemClock } from "../../../src/core/time/clock.ts";
import { compareSince } from "../../../src/features/mirror/report.ts";
import { eventually } from "../../helpers/eventually.ts";
import { lastingPort } from "../../helpers/free-ports.ts";
import { makeUser } from "../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { configure } from "../records/configuration/configuration.ts";
import { Alertmanager } from "./alertmanager-program.ts";

const isAll = process.env["TEST_ALL_RUNS"] !== undefined;
const ALERTS = isAll ? 5000 : 240;
/** A minute of a real system is a second here. */
const SECOND_MS = 1000;
const TIMES = { wait: 500, interval: 5000 };
/** After Alertmanager's notice, and longer than the interval: each alert is seen by both, however slow the machine is. */
const LIFE_MS = 7000;
/** New alerts in a step. */
const BATCH = isAll ? 8 : 4;
const STEP_MS = 400;
const TEAMS = ["db", "web", "net"] as const;

/** The real time, and at the end some minutes later: what is younger is not compared yet. */
class LaterClock implements Clock {
  laterMs = 0;
  now = (): number => systemClock.now() + this.laterMs;
  elapsed = (): number => systemClock.elapsed() + this.laterMs;
}

interface World {
  readonly prism: TestPrism;
  readonly clock: LaterClock;
  readonly alertmanager: Alertmanager;
  configuration(webIs: string): object;
  readonly source: Source;
}

async function start(t: TestContext): Promise<World> {
  const clock = new LaterClock();
  const port = await lastingPort();
  const settings = { port: String(port), "rateLimit.enabled": "false", "webhooks.allowPrivateCidrs": "127.0.0.0/8" };
  const prism = await startPrism(t, { clock, settings });
  const { defaultProjectId: projectId } = prism.parts.offers;
  for (const name of ["ann", "bob", "cy"]) await member(prism, name);
  const schedule = await answered(
    201,
    prism.post<{ id: string }>("/api/v1/oncall/schedules", { name: "Web", timezone: "UTC" }),
  );
  const shift = {
    start: "2026-01-01T00:00:00",
    durationMs: 86_400_000,
    recurrence: { frequency: "daily" },
    turns: [["ann"]],
  };
  await answered(201, prism.post(`/api/v1/oncall/schedules/${schedule.body.id}/shifts`, shift));
  const policy = (name: string, step: object) =>
    ["policies", "default", { name, steps: [{ type: "notify", ...step }] }] as const;
  const routes = TEAMS.map((team) => ({ matchers: [`team="${team}"`], policy: team }));
  const times = { groupWait: `${TIMES.wait}ms`, groupInterval: `${TIMES.interval}ms`, repeat: "4m" };
  const applied = await configure(prism, "apply", [
    policy("db", { users: ["bob"] }),
    policy("web", { schedules: [{ name: "Web" }] }),
    policy("net", { users: ["cy"] }),
    ["routes", "default", { route: { policy: "net", groupBy: ["alertname", "team"], ...times, routes } }],
    ["projects", null, { slug: "default", name: "Default", settings: { mirror: { from: "alertmanager" } } }],
  ]);
  assert.equal(applied.status, 200, JSON.stringify(applied.body));
  const key = async (scopes: readonly string[]) =>
    (await answered(201, prism.post<{ key: string }>(`/api/v1/projects/${projectId}/keys`, { scopes }))).body.key;
  const credentials = await key(["mirror:observe"]);
  const observed = (person: string) => ({
    url: `http://127.0.0.1:${port}/api/v1/mirror/observed?person=${person}`,
    http_config: { authorization: { credentials } },
  });
  const configuration = (webIs: string) => {
    const people: Record<(typeof TEAMS)[number], string> = { db: "bob", web: webIs, net: "cy" };
    return {
      route: {
        ...{ receiver: "net", group_by: ["alertname", "team"] },
        ...{ group_wait: `${TIMES.wait}ms`, group_interval: `${TIMES.interval}ms`, repeat_interval: "4m" },
        routes: TEAMS.map((team) => ({ matchers: [`team="${team}"`], receiver: team })),
      },
      receivers: TEAMS.map((team) => ({ name: team, webhook_configs: [observed(people[team])] })),
    };
  };
  const alertmanager = await Alertmanager.start(t, configuration("ann"));
  const targets = {
    [`${alertmanager.url}/api/v2/alerts`]: null,
    [`http://127.0.0.1:${port}/alertmanager/api/v2/alerts`]: await key(["events:write"]),
  };
  const source = new Source(targets, () => seenBy(prism));
  return { prism, clock, alertmanager, configuration, source };
}

async function member(prism: TestPrism, name: string): Promise<void> {
  const { id } = await makeUser(prism, name);
  const row = { projectId: prism.parts.offers.defaultProjectId, userId: id, role: "editor", createdAt: 1 } as const;
  await prism.services.db.write((trx) => trx.insertInto("project_members").values(row).execute());
  prism.rightsChanged();
  const channel = { name, preset: "http", fields: { url: "http://127.0.0.1:9/hook" } };
  const made = await answered(201, prism.post<{ id: string }>("/api/v1/channels", channel));
  await prism.services.db.write((trx) =>
    trx.updateTable("channels").set({ userId: id }).where("id", "=", made.body.id).execute(),
  );
}

interface Sent {
  readonly labels: Readonly<Record<string, string>>;
  readonly startsAt: number;
  /** When Alertmanager's notice was seen. */
  seenAt: number | null;
  endsAt: number | null;
}

/** Sends its alerts to both, again and again, as Prometheus does. */
class Source {
  readonly #targets: Readonly<Record<string, string | null>>;
  readonly #alerts: Sent[] = [];
  readonly #seen: () => ReadonlySet<string>;
  #made = 0;

  /** @param seen labels `n` of those that Alertmanager has notified of */
  constructor(targets: Readonly<Record<string, string | null>>, seen: () => ReadonlySet<string>) {
    this.#targets = targets;
    this.#seen = seen;
  }

  get made(): number {
    return this.#made;
  }

  add(count: number): void {
    for (let left = count; left > 0; left--) {
      const n = this.#made++;
      const team = TEAMS[n % TEAMS.length] ?? "";
      // Groups of three; of web one by one, as a changed group is told again as a whole, after a reload to others.
      const labels = { alertname: `A${team === "web" ? n : Math.floor(n / 9)}`, team, n: String(n) };
      this.#alerts.push({ labels, startsAt: Date.now(), seenAt: null, endsAt: null });
    }
  }

  /** Those that fire, and the ends of the last seconds. */
  async send(): Promise<void> {
    const now = Date.now();
    const seen = this.#seen();
    for (const alert of this.#alerts) {
      if (alert.seenAt === null && seen.has(alert.labels["n"] ?? "")) alert.seenAt = now;
      if (alert.seenAt !== null && now - alert.seenAt > LIFE_MS) alert.endsAt ??= now;
    }
    const shown = this.#alerts.filter(({ endsAt }) => endsAt === null || endsAt > now - 20 * SECOND_MS);
    const body = shown.map(({ labels, startsAt, endsAt }) => ({
      ...{ labels, annotations: { summary: `${labels["alertname"]} of ${labels["team"]}` } },
      startsAt: new Date(startsAt).toISOString(),
      endsAt: new Date(endsAt ?? now + 60 * SECOND_MS).toISOString(),
    }));
    await Promise.all(Object.entries(this.#targets).map(([url, key]) => post(url, key, body)));
  }
}

/** A server that is away gets it with the next one. */
async function post(url: string, key: string | null, body: unknown): Promise<void> {
  const headers = { "Content-Type": "application/json", ...(key === null ? {} : { Authorization: `Bearer ${key}` }) };
  await fetch(url, { method: "POST", headers, body: JSON.stringify(body) }).then(
    (answer) => answer.arrayBuffer(),
    () => undefined,
  );
}

/** While it starts again, none. */
function seenBy(prism: TestPrism): ReadonlySet<string> {
  const sql = "select distinct labels ->> '$.n' n from mirror_observed where kind = 'notified'";
  try {
    return new Set(rowsOf<{ n: string }>(prism, sql).map(({ n }) => n));
  } catch {
    return new Set();
  }
}

const count = (prism: TestPrism, sql: string): number => rowsOf<{ n: number }>(prism, sql)[0]?.n ?? 0;

test("beside Alertmanager 0.28, with restarts of both, nothing is missing, and an override that was left out is found", async (t) => {
  const { prism, clock, alertmanager, configuration, source } = await start(t);
  t.diagnostic(`Alertmanager ${await alertmanager.version()}`);
  const steps = Math.ceil(ALERTS / BATCH);
  // Alertmanager repeats a notice that a reload interrupts, and would tell both.
  const reload = async (webIs: string) => {
    for (let left = TIMES.interval + 2 * SECOND_MS; left > 0; left -= STEP_MS) {
      await source.send();
      await wait(STEP_MS);
    }
    await alertmanager.reload(configuration(webIs));
  };
  /** At these parts of the run. */
  const restarts = new Map<number, () => Promise<void>>([
    [Math.floor(steps * 0.2), () => prism.restart()],
    [
      Math.floor(steps * 0.35),
      async () => {
        await alertmanager.stop();
        await alertmanager.start();
      },
    ],
    [Math.floor(steps * 0.8), () => prism.restart()],
  ]);
  const restarted: (Promise<void> | undefined)[] = [];
  for (let step = 0; step < steps; step++) {
    // Meanwhile alerts go on.
    restarted.push(restarts.get(step)?.());
    // Bob stands in for Ann, which only Alertmanager's team has noted.
    if (step === Math.floor(steps * 0.5)) await reload("bob");
    if (step === Math.floor(steps * 0.7)) await reload("ann");
    source.add(Math.min(BATCH, ALERTS - source.made));
    await source.send();
    await wait(STEP_MS);
  }
  await Promise.all(restarted);
  const isSeen = () => count(prism, "select count(distinct key) n from mirror_observed where kind = 'notified'");
  await eventually(
    () => `Alertmanager has notified of ${isSeen()} of ${ALERTS}`,
    async () => {
      await source.send();
      return isSeen() === ALERTS && count(prism, "select count(*) n from incidents where state <> 'resolved'") === 0;
    },
    120_000,
  );
  clock.laterMs = 5 * 60 * SECOND_MS;
  const report = (await answered(200, prism.get<MirrorReport>("/api/v1/mirror/report"))).body;
  const { counts, alarms, lines } = report;
  t.diagnostic(JSON.stringify({ alarms, ...counts }));
  assert.deepEqual(lines.filter((line) => ["missing", "extra", "not-comparable"].includes(line.class)).slice(0, 5), []);
  assert.equal(alarms, ALERTS);
  const overridden = count(
    prism,
    `select count(distinct key) n from mirror_observed
     where kind = 'notified' and person = 'bob' and labels ->> '$.team' = 'web'`,
  );
  assert.ok(overridden > 0);
  const others = lines.filter((line) => line.class === "other-person");
  assert.equal(counts.otherPerson, overridden, "each of them is found");
  for (const { old, prism: ours, labels } of others)
    assert.deepEqual([old?.person, ours?.person, labels?.["team"]], ["bob", "ann", "web"]);
  const { defaultProjectId } = prism.parts.offers;
  const all = await compareSince({ db: prism.parts.base.database, clock }, defaultProjectId, 0);
  const apart = all.differences.map(({ old, prism: ours }) => Math.abs((ours?.at ?? 0) - (old?.at ?? 0)));
  const late = apart.filter((ms) => ms > SECOND_MS).length;
  t.diagnostic(`${late} of ${apart.length} notices more than a second apart; both restarted meanwhile`);
});
