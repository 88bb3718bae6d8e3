import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { MirrorReport, ObservedReply } from "../../../src/client/api-types.gen.ts";
import { MIRROR_SWEEPS } from "../../../src/features/mirror/feature.ts";
import { eventually } from "../../helpers/eventually.ts";
import { answered } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";
import { IncidentWorld, MINUTE } from "../alerts/incidents/support.ts";

interface Given {
  readonly ref: string;
  readonly kind?: "notified" | "acknowledged" | "resolved";
  readonly at?: number;
  readonly [member: string]: unknown;
}

/** A mirror of Alertmanager, with the default policy to Ann and a webhook of hers. */
class MirrorWorld {
  readonly world: IncidentWorld;
  readonly key: string;

  private constructor(world: IncidentWorld, key: string) {
    this.world = world;
    this.key = key;
  }

  static async start(t: TestContext, mirror: object | null = { from: "alertmanager" }): Promise<MirrorWorld> {
    const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
    const { prism, projectId } = world;
    for (const name of ["ann", "bob"]) await giveWay(world, (await world.member(name)).id);
    await setSteps(world, [{ type: "notify", users: ["ann"] }]);
    await setMirror(world, mirror);
    const made = await answered(
      201,
      prism.post<{ key: string }>(`/api/v1/projects/${projectId}/keys`, { name: "old", scopes: ["mirror:observe"] }),
    );
    return new MirrorWorld(world, made.body.key);
  }

  post(body: unknown, query = "", token: string | null = this.key) {
    return this.world.prism.post<ObservedReply>(
      `/api/v1/mirror/observed${query}`,
      body,
      token === null ? {} : { token },
    );
  }

  async observe(...all: readonly Given[]): Promise<ObservedReply> {
    const list = all.map(({ at = this.world.clock.now(), kind = "notified", ...rest }) => ({
      ...{ ...rest, kind, at: new Date(at).toISOString() },
    }));
    return (await answered(200, this.post(list))).body;
  }

  /** @returns the report, after the time in which things are on their way */
  async report(): Promise<MirrorReport> {
    await this.world.pass(3 * MINUTE);
    return (await answered(200, this.world.prism.get<MirrorReport>("/api/v1/mirror/report"))).body;
  }

  /** An alert, whose page is skipped. */
  async fire(name: string, pages: number): Promise<void> {
    await this.world.fire(name);
    await eventually(`${pages} pages are skipped`, () => skipped(this.world).length === pages);
  }
}

const skipped = ({ prism }: IncidentWorld) =>
  rowsOf<{ at: number }>(prism, "select endedAt at from pages where outcome = 'skipped' and note = 'mirror'");

async function giveWay({ prism, db }: IncidentWorld, userId: string): Promise<void> {
  const body = { name: `of ${userId}`, preset: "http", fields: { url: "http://127.0.0.1:9/hook" } };
  const made = await answered(201, prism.post<{ id: string }>("/api/v1/channels", body));
  await db.write((trx) => trx.updateTable("channels").set({ userId }).where("id", "=", made.body.id).execute());
}

async function setSteps({ prism, projectId }: IncidentWorld, steps: readonly object[]): Promise<void> {
  const path = `/api/v1/policies/${projectId}`;
  const { body } = await prism.get<{ version: number }>(path);
  await answered(200, prism.put(path, { steps }, { headers: { "If-Match": `"${body.version}"` } }));
}

async function setMirror({ prism, projectId }: IncidentWorld, mirror: object | null): Promise<void> {
  const path = `/api/v1/projects/${projectId}`;
  const { body } = await prism.get<{ version: number }>(path);
  const headers = { "If-Match": `"${body.version}"` };
  await answered(200, prism.patch(path, { settings: { mirror } }, { headers }));
}

const classes = ({ lines }: MirrorReport) =>
  lines.map((line) => `${line.class} ${line.old?.person} ${line.prism?.person}`);

test("the same person within a minute, another one, and an alarm that Prism does not have", async (t) => {
  const mirror = await MirrorWorld.start(t);
  const { clock } = mirror.world;
  const empty = await mirror.report();
  assert.deepEqual([empty.system, empty.observed, empty.lines], ["alertmanager", 0, []]);
  await mirror.fire("A", 1);
  await mirror.observe({ ref: "1", labels: { alertname: "A" }, person: "Ann" });
  await mirror.fire("B", 2);
  await mirror.observe({ ref: "2", labels: { alertname: "B" }, person: "bob" });
  await mirror.observe({
    ref: "3",
    labels: { alertname: "C" },
    person: "ann",
    startsAt: new Date(clock.now()).toISOString(),
  });
  await mirror.fire("D", 3);
  const report = await mirror.report();
  assert.deepEqual(classes(report), [
    "missing ann undefined",
    "other-person bob ann",
    "extra undefined ann",
    "same Ann ann",
  ]);
  const { missing, otherPerson, extra, same } = report.counts;
  assert.deepEqual([report.alarms, missing, otherPerson, extra, same], [3, 1, 1, 1, 1]);
  const [first, other] = report.lines;
  assert.equal(first?.why, "Prism has no such alarm");
  assert.match(first?.link ?? "", /^\/policies\/routes\?project=default&labels=alertname%3D%22C%22&at=/);
  assert.equal(other?.link, `/incidents/${other?.incident?.id}`);
  assert.deepEqual(other?.labels, { alertname: "B" });
});

test("an observation counts once, and Alertmanager's repetitions are one", async (t) => {
  const mirror = await MirrorWorld.start(t);
  const { clock } = mirror.world;
  await mirror.fire("A", 1);
  const given = { ref: "1", labels: { alertname: "A" }, person: "ann" };
  assert.equal((await mirror.observe(given)).stored, 1);
  assert.deepEqual(await mirror.observe(given), { stored: 0, known: 1, acknowledged: 0, resolved: 0 });
  const alert = { status: "firing", labels: { alertname: "A" }, startsAt: new Date(clock.now()).toISOString() };
  const body = { receiver: "ann", status: "firing", version: "4", alerts: [{ ...alert, fingerprint: "x" }] };
  const twice = [await mirror.post(body, "?person=bob"), await mirror.post(body, "?person=bob")];
  assert.deepEqual(
    valuesOf(
      twice.map(({ body: reply }) => reply),
      "stored",
    ),
    [1, 0],
  );
  const other = await answered(200, mirror.post(body, "?way=room"));
  assert.equal(other.body.stored, 1, "another receiver of Alertmanager's is another way");
  const report = await mirror.report();
  assert.equal(report.observed, 3);
});

test("only a key with the scope reports, and only to its own project, if that is a mirror", async (t) => {
  const mirror = await MirrorWorld.start(t, null);
  const { prism, projectId } = mirror.world;
  const given = [{ ref: "1", kind: "notified", at: new Date(mirror.world.clock.now()).toISOString(), key: "a" }];
  const code = async (asked: ReturnType<MirrorWorld["post"]>) =>
    (await asked).body as unknown as { error: { code: string } };
  assert.equal((await code(mirror.post(given))).error.code, "INVALID_STATE");
  await setMirror(mirror.world, { from: "pagerduty" });
  assert.equal(
    (await code(mirror.post(given, "", null))).error.code,
    "FORBIDDEN",
    "no user, not even the administrator",
  );
  const made = await prism.post<{ key: string }>(`/api/v1/projects/${projectId}/keys`, { name: "events" });
  assert.equal((await code(mirror.post(given, "", made.body.key))).error.code, "SCOPE_MISSING");
  const far = [{ ...given[0], at: "2999-01-01T00:00:00Z" }];
  assert.equal((await code(mirror.post(far))).error.code, "VALIDATION_FAILED");
  const unknown = await mirror.post([{ ...given[0], kind: "called" }]);
  assert.match(unknown.text, /"path":"0\.kind"/);
  assert.equal((await mirror.post(given)).status, 200);
  assert.deepEqual(
    rowsOf<{ system: string }>(prism, "select system from mirror_observed").map(({ system }) => system),
    ["pagerduty"],
  );
});

test("what people acknowledge and end in the other system is so here, and nothing escalates", async (t) => {
  const mirror = await MirrorWorld.start(t, { from: "oncall" });
  const { world } = mirror;
  await setSteps(world, [
    { type: "notify", users: ["ann"] },
    { type: "wait", ms: 5 * MINUTE },
    { type: "notify", users: ["bob"] },
  ]);
  await mirror.fire("A", 1);
  const alarm = { labels: { alertname: "A" } };
  const acknowledged = await mirror.observe({ ref: "ack", kind: "acknowledged", ...alarm, person: "ann" });
  assert.deepEqual(acknowledged, { stored: 1, known: 0, acknowledged: 1, resolved: 0 });
  const [row] = await world.rows();
  assert.equal(row?.state, "acknowledged");
  await world.pass(20 * MINUTE);
  assert.equal(skipped(world).length, 1, "bob is not notified");
  const ended = await mirror.observe({ ref: "end", kind: "resolved", ...alarm });
  assert.equal(ended.resolved, 1);
  const [after] = await world.rows();
  assert.deepEqual([after?.state, after?.resolvedBy], ["resolved", "mirror"]);
  const log = rowsOf<{ actor: string }>(world.prism, "select actor from incident_log where kind = 'acknowledged'");
  assert.deepEqual(valuesOf(log, "actor"), ["mirror"]);
});

test("observations go after 35 days, and with their project", async (t) => {
  const mirror = await MirrorWorld.start(t);
  const { world } = mirror;
  await mirror.observe({ ref: "old", key: "a" });
  const sweep = async () => {
    const { database } = world.prism.parts.base;
    for (const each of MIRROR_SWEEPS) await each.sweep(database, world.clock.now(), () => false);
    return rowsOf(world.prism, "select ref from mirror_observed").length;
  };
  world.clock.advance(34 * 24 * 60 * MINUTE);
  await mirror.observe({ ref: "new", key: "b" });
  assert.equal(await sweep(), 2);
  world.clock.advance(2 * 24 * 60 * MINUTE);
  assert.equal(await sweep(), 1);
  await world.db.write((trx) => trx.updateTable("projects").set({ deletedAt: 1 }).execute());
  assert.equal(await sweep(), 0);
});

test("an act finds its alert by the key, without a look at the others, and one that is late is of an earlier alarm", async (t) => {
  const mirror = await MirrorWorld.start(t, { from: "oncall" });
  const { world } = mirror;
  const { alerts } = world.prism.parts.offers;
  await mirror.fire("A", 1);
  const [alert] = alerts.list(world.projectId);
  const listed = t.mock.method(alerts, "list");
  const late = { key: alert?.key, at: world.clock.now() - 2 * MINUTE };
  assert.equal((await mirror.observe({ ref: "late", kind: "resolved", ...late })).resolved, 0);
  assert.equal((await mirror.observe({ ref: "end", kind: "resolved", key: alert?.key })).resolved, 1);
  assert.equal(listed.mock.callCount(), 0);
  await mirror.observe({ ref: "x", kind: "resolved", key: "x", labels: { alertname: "Other" } });
  assert.deepEqual(
    listed.mock.calls.map(({ result }) => result),
    [[]],
    "none that has one of its names",
  );
  const acts = Array.from({ length: 51 }, (_, n) => ({ ref: `n${n}`, kind: "resolved", at: "2026-01-01T00:00:00Z" }));
  assert.equal((await mirror.post(acts)).status, 400);
});

test("observations leave the reserve of alerts, and repetitions need a start", async (t) => {
  const mirror = await MirrorWorld.start(t);
  const { prism, projectId } = mirror.world;
  const { storage } = prism.parts.offers.projects;
  t.mock.method(storage, "limitOf", () => 1_000_000);
  t.mock.method(storage, "bytesOf", () => 1_000_000);
  assert.equal(storage.roomForAlert(projectId), "whole", "alerts have room");
  const refused = await mirror.post([{ ref: "1", kind: "notified", at: "2026-01-01T00:00:00Z", key: "a" }]);
  assert.match(refused.text, /STORAGE_LIMIT_REACHED/);
  const body = { alerts: [{ status: "firing", labels: { alertname: "A" } }] };
  assert.equal((await mirror.post(body)).status, 400);
});

test("a report does not say whether an address is that of an account", async (t) => {
  const mirror = await MirrorWorld.start(t);
  const { world } = mirror;
  const mailOf = (name: string) => `${name}@example.com`;
  for (const name of ["ann", "bob"])
    await world.db.write((trx) =>
      trx
        .updateTable("users")
        .set({ email: mailOf(name) })
        .where("username", "=", name)
        .execute(),
    );
  await mirror.fire("A", 1);
  for (const person of [mailOf("ann"), mailOf("bob"), "nobody@example.com"])
    await mirror.observe({ ref: `a ${person}`, labels: { alertname: "A" }, person });
  const { lines } = await mirror.report();
  assert.deepEqual(
    lines.map(({ class: name, why, old }) => [name, why, old?.person]).sort(),
    [
      ["missing", null, mailOf("bob")],
      ["missing", null, "nobody@example.com"],
      ["same", null, mailOf("ann")],
    ].sort(),
  );
});

test("a report has so many bytes", async (t) => {
  const mirror = await MirrorWorld.start(t);
  const { world } = mirror;
  const text = "x".repeat(900_000);
  const row = { projectId: world.projectId, system: "oncall", kind: "notified", title: null, way: null } as const;
  const more = { labels: null, startsAt: null, person: text, at: world.clock.now() } as const;
  for (let n = 0; n < 25; n++)
    await world.db.write((trx) =>
      trx
        .insertInto("mirror_observed")
        .values({ ...row, ...more, ref: String(n), key: `k${n}` })
        .execute(),
    );
  const get = () => world.prism.get<MirrorReport>("/api/v1/mirror/report");
  await world.pass(3 * MINUTE);
  const { body } = await answered(200, get());
  assert.deepEqual([body.isCut, body.observed], [true, 19]);
});
