import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { StoredAlert } from "../../../../src/features/alerts/book/alert-book.ts";
import { Senders } from "../../../../src/features/alerts/book/senders.ts";
import type { IncidentRow } from "../../../../src/features/alerts/incidents/incident.ts";
import { type AlertInput, trialAlert } from "../../../../src/features/alerts/index.ts";
import { crashImage } from "../../../helpers/crash-image.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { startRecorder } from "../../../helpers/webhook-recorder.ts";
import { worldOf } from "../book/support.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

const INSTANT = /\d{4}-\d\d-\d\dT[\d:.]+Z/g;
/** As Prometheus sends them: repeated every minute, and over after four. */
const TIMEOUT = 4 * MINUTE;

/** A project whose alerts come from the API key `Prometheus`. */
class SilentWorld {
  readonly world: IncidentWorld;
  readonly sender: string;

  constructor(world: IncidentWorld, sender: string) {
    this.world = world;
    this.sender = sender;
  }

  static async start(t: TestContext, settings: Record<string, string> = {}): Promise<SilentWorld> {
    const world = await IncidentWorld.start(t, settings);
    await world.member("ann");
    const made = await world.prism.post<{ id: string }>(`/api/v1/projects/${world.projectId}/keys`, {
      name: "Prometheus",
    });
    assert.equal(made.status, 201, made.text);
    return new SilentWorld(world, `key:${made.body.id}`);
  }

  get alerts() {
    return worldOf(this.world.prism, this.world.clock).alerts();
  }

  /** The sender reports these alerts, or reports them again. */
  async report(names: readonly string[], more: Partial<AlertInput> = {}): Promise<void> {
    const { world, sender } = this;
    const { input } = worldOf(world.prism, world.clock);
    const endsAt = world.clock.now() + TIMEOUT;
    await this.alerts.submit(names.map((name) => input(name, { sender, source: "alertmanager", endsAt, ...more })));
    await world.incidents.check();
  }

  /** Time passes for alerts and incidents, in steps of a second. */
  async pass(ms: number, stepMs = 1000): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.world.clock.advance(Math.min(left, stepMs));
      await this.alerts.flush();
      await this.world.incidents.check();
    }
  }

  /** Time passes in which the sender repeats these alerts each minute. */
  async repeat(names: readonly string[], minutes: number): Promise<void> {
    for (let left = minutes; left > 0; left -= 1) {
      await this.report(names);
      await this.pass(MINUTE, MINUTE / 4);
    }
  }

  /** Incidents by title: state, and by what they ended. */
  async states(): Promise<string[]> {
    return (await this.world.rows()).map(({ title, state, resolvedBy }) =>
      [title, state, resolvedBy ?? ""].join(" ").trim(),
    );
  }

  async incident(title: string): Promise<IncidentRow> {
    const row = (await this.world.rows()).findLast((each) => each.title === title);
    assert.ok(row, `an incident ${title}`);
    return row;
  }

  /** Titles of notifications, with their recipients. */
  async notices(): Promise<string[]> {
    const rows = await this.world.db.read
      .selectFrom("notifications as n")
      .innerJoin("notification_recipients as r", "r.notificationId", "n.id")
      .innerJoin("users as u", "u.id", "r.userId")
      .select(["n.title", "u.username"])
      .where("n.kind", "=", "incident")
      .orderBy("n.createdAt")
      .orderBy("n.title")
      .orderBy("u.username")
      .execute();
    return rows.map(({ title, username }) => `${title} to ${username}`);
  }

  /** The rows of an incident's timeline about notifications and the source. */
  async log({ id }: IncidentRow): Promise<string[]> {
    const kinds = ["source-silent", "handed-over", "notified", "resolved"];
    return (await this.world.log(id)).filter((kind) => kinds.includes(kind));
  }
}

const SILENT = "Source silent: Prometheus";
const firing = (names: readonly string[], user = "ann") => names.map((name) => `Firing: ${name} to ${user}`);

test("three incidents of a source that fell silent end as timed out, and one incident reports the silence", async (t) => {
  const at = await SilentWorld.start(t);
  const { world } = at;
  const names = ["A", "B", "C"];
  await at.repeat(names, 3);
  await at.pass(TIMEOUT);
  assert.deepEqual(await at.states(), [
    "A resolved timeout",
    "B resolved timeout",
    "C resolved timeout",
    `${SILENT} open`,
  ]);
  assert.deepEqual(await at.notices(), [...firing(names), `${SILENT} to ann`]);
  const report = await at.incident(SILENT);
  assert.deepEqual([report.urgency, report.firing], ["high", 1]);
  for (const name of names) {
    const row = await at.incident(name);
    assert.equal(row.sourceIncidentId, report.id);
    assert.deepEqual(await at.log(row), ["notified", "handed-over", "resolved"]);
  }
  assert.deepEqual(await at.log(report), ["source-silent", "notified"]);
  const found = world.prism.parts.offers.findings.known().filter(({ code }) => code === "source-silent");
  assert.deepEqual(
    found.map(({ subject, pages }) => [subject, pages]),
    [[at.sender, "people"]],
    "the silence is a finding",
  );
  const notice = await world.db.read
    .selectFrom("notifications")
    .selectAll()
    .where("incidentId", "=", report.id)
    .executeTakeFirstOrThrow();
  assert.equal(notice.priority, 800);
  assert.deepEqual(notice.message.replaceAll(INSTANT, "<at>").split("\n\n"), [
    "Nothing came from the API key Prometheus since <at>. 3 incidents ended because their alerts were not repeated in time; " +
      "the problems may still exist.",
    "Incident 4. Acknowledge this notification if you take care of it.",
  ]);
  const explained = await world.prism.get(`/api/v1/explain/incident/${report.id}`);
  assert.match(explained.text, /Its source is silent\. In place of these incidents .*: #1, #2, #3\./);
  const own = await world.prism.get(`/api/v1/explain/incident/${(await at.incident("A")).id}`);
  assert.match(own.text, /in place of its end, people are notified of incident 4\./);

  const { id: ann } = await world.db.read
    .selectFrom("users")
    .select("id")
    .where("username", "=", "ann")
    .executeTakeFirstOrThrow();
  await world.incidents.acknowledge(report.id, { id: ann, via: "api" });
  assert.equal((await at.incident(SILENT)).state, "acknowledged");
});

test("when the source returns its incident is resolved, and what still fires is paged anew", async (t) => {
  const at = await SilentWorld.start(t);
  const names = ["A", "B", "C"];
  await at.report(names);
  await at.pass(TIMEOUT + 5 * MINUTE, MINUTE / 2);
  const before = await at.notices();
  await at.report(["A", "B"]);
  await at.pass(2000);
  assert.deepEqual((await at.states()).slice(3), [`${SILENT} resolved alerts`, "A open", "B open"]);
  assert.deepEqual((await at.notices()).slice(before.length), [...firing(["A", "B"]), `Resolved: ${SILENT} to ann`]);
  const end = await at.world.db.read
    .selectFrom("notifications")
    .select("message")
    .where("title", "like", "Resolved:%")
    .executeTakeFirstOrThrow();
  assert.match(
    end.message,
    /^Prometheus reports alerts again since .*Z\. Alerts that still fire are notified as new incidents\./,
  );
});

test("two incidents are no silent source: their ends are notified, one by one", async (t) => {
  const at = await SilentWorld.start(t);
  await at.report(["A", "B"]);
  await at.pass(TIMEOUT + 2 * MINUTE, MINUTE / 2);
  assert.deepEqual(await at.states(), ["A resolved timeout", "B resolved timeout"]);
  assert.deepEqual((await at.notices()).slice(2), ["No longer reported: A to ann", "No longer reported: B to ann"]);
});

test("a sender that reports others is not silent, nor are senders together, nor rules without one", async (t) => {
  const at = await SilentWorld.start(t);
  const names = ["A", "B", "C"];
  await at.report([...names, "D"]);
  await at.repeat(["D"], 7);
  assert.deepEqual(await at.states(), [...names.map((name) => `${name} resolved timeout`), "D open"]);
  assert.deepEqual(
    (await at.notices()).slice(4),
    names.map((name) => `No longer reported: ${name} to ann`),
  );
  await at.report(["E", "F"], { sender: "key:a" });
  await at.report(["G", "H"], { sender: "key:b" });
  await at.report(["I", "J", "K"], { sender: null });
  await at.repeat(["D"], 7);
  assert.ok(!(await at.states()).some((state) => state.includes("silent")));
});

test("a pair of senders is silent when both are; one that takes over keeps everything open", async (t) => {
  const at = await SilentWorld.start(t);
  const names = ["A", "B", "C"];
  for (let minute = 0; minute < 3; minute += 1) {
    await at.report(names, { sender: "key:other" });
    await at.pass(MINUTE / 2, MINUTE / 4);
    await at.report(names);
    await at.pass(MINUTE / 2, MINUTE / 4);
  }
  for (let minute = 0; minute < 6; minute += 1) {
    await at.report(names, { sender: "key:other" });
    await at.pass(MINUTE, MINUTE / 4);
  }
  assert.deepEqual(
    await at.states(),
    names.map((name) => `${name} open`),
  );
  await at.pass(TIMEOUT, MINUTE / 4);
  assert.deepEqual((await at.states()).slice(3), ["Source silent: other open"]);
});

test("ends wait while more may follow, and later incidents of a silent source end like the first", async (t) => {
  const at = await SilentWorld.start(t);
  const { world } = at;
  await world.prism.put("/api/v1/routes", {
    route: { policy: "default", groupBy: ["alertname"], groupWaitMs: 0, groupIntervalMs: 1000 },
  });
  for (const name of ["A", "B", "C", "D"]) {
    await at.report([name]);
    await at.pass(25_000, 5000);
  }
  await at.pass(TIMEOUT - 100_000, 5000);
  await at.pass(5000);
  assert.deepEqual(await at.states(), ["A open", "B open", "C open", "D open"], "A has timed out, and waits");
  await at.pass(30_000);
  assert.deepEqual(await at.states(), ["A open", "B open", "C open", "D open"]);
  await at.pass(20_000);
  const timedOut = ["A", "B", "C"].map((name) => `${name} resolved timeout`);
  assert.deepEqual(await at.states(), [...timedOut, "D open", `${SILENT} open`]);
  await at.pass(MINUTE);
  assert.deepEqual(await at.states(), [...timedOut, "D resolved timeout", `${SILENT} open`]);
  const report = await at.incident(SILENT);
  assert.equal((await at.incident("D")).sourceIncidentId, report.id);
  assert.deepEqual(await at.log(report), ["source-silent", "notified", "source-silent"]);
  assert.deepEqual((await at.notices()).slice(4), [`${SILENT} to ann`]);
  assert.match(
    at.alerts.byKey(world.projectId, `silent:${at.sender}`)?.annotations["description"] ?? "",
    /4 incidents ended/,
  );
  assert.ok(!(await at.notices()).some((each) => each.startsWith("No longer")));
});

test("ends that waited for more are notified if no more follow", async (t) => {
  const at = await SilentWorld.start(t);
  await at.world.prism.put("/api/v1/routes", {
    route: { policy: "default", groupBy: ["alertname"], groupWaitMs: 0, groupIntervalMs: 1000 },
  });
  await at.report(["A"]);
  await at.pass(MINUTE, MINUTE / 4);
  await at.report(["B", "C"]);
  await at.pass(TIMEOUT - MINUTE + 1000, 1000);
  assert.equal((await at.incident("A")).state, "open");
  await at.report(["B", "C"]);
  await at.pass(2 * MINUTE, 1000);
  assert.deepEqual(await at.states(), ["A resolved timeout", "B open", "C open"]);
  assert.deepEqual((await at.notices()).slice(3), ["No longer reported: A to ann"]);
});

/** `db` and `web` have a policy each, for one user; `web` waits before its first notification. */
async function teams(at: SilentWorld, webWaitMs: number): Promise<void> {
  const { world } = at;
  const [dan, wes] = [await world.member("dan"), await world.member("wes")];
  const policy = (name: string, user: { id: string }, urgency: string) =>
    world.prism.post("/api/v1/policies", { name, steps: [{ type: "notify", users: [user.id], urgency }] });
  assert.equal((await policy("Database", dan, "high")).status, 201);
  assert.equal((await policy("Web", wes, "low")).status, 201);
  const times = { groupBy: ["alertname"], groupWaitMs: 0, groupIntervalMs: 300_000 };
  const routes = [
    { matchers: ['team="db"'], policy: "Database" },
    { matchers: ['team="web"'], policy: "Web", groupWaitMs: webWaitMs },
  ];
  await answered(200, world.prism.put("/api/v1/routes", { route: { policy: "default", ...times, routes } }));
}

const of = (team: string, name: string) => ({ labels: { alertname: name, team } });

test("the people of all its incidents have the incident of the source, at the highest urgency of them", async (t) => {
  const at = await SilentWorld.start(t);
  await teams(at, 0);
  await at.report(["A"], of("db", "A"));
  for (const name of ["B", "C", "D"]) await at.report([name], of("web", name));
  await at.pass(TIMEOUT + 1000);
  assert.deepEqual((await at.notices()).slice(4), [`${SILENT} to dan`, `${SILENT} to wes`]);
  const report = await at.incident(SILENT);
  assert.equal(report.urgency, "high");
  const { data } = await at.world.db.read
    .selectFrom("incident_log")
    .select("data")
    .where("incidentId", "=", report.id)
    .where("kind", "=", "notified")
    .executeTakeFirstOrThrow();
  const through = Object.values((JSON.parse(data) as { through: Record<string, string> }).through).sort();
  assert.deepEqual(through, ["silent-source", "user"]);
});

test("a policy of low urgency is followed with the urgency of the others", async (t) => {
  const at = await SilentWorld.start(t);
  await teams(at, 0);
  for (const name of ["B", "C", "D"]) await at.report([name], of("web", name));
  await at.pass(TIMEOUT + 1000);
  assert.equal((await at.incident(SILENT)).urgency, "low");
});

test("people of an incident that was not notified yet, and of one that ends later, are notified too", async (t) => {
  const at = await SilentWorld.start(t);
  await teams(at, 10 * MINUTE);
  for (const name of ["A", "B", "C"]) await at.report([name], of("db", name));
  await at.pass(MINUTE / 2);
  await at.report(["W"], of("web", "W"));
  await at.pass(TIMEOUT - MINUTE / 2 + 1000);
  assert.deepEqual((await at.notices()).slice(3), [`${SILENT} to dan`]);
  await at.pass(MINUTE);
  assert.deepEqual((await at.notices()).slice(3), [`${SILENT} to dan`, `${SILENT} to wes`]);
  assert.deepEqual((await at.states()).slice(3), ["W resolved timeout", `${SILENT} open`]);
  const report = await at.incident(SILENT);
  assert.deepEqual(await at.log(report), ["source-silent", "notified", "source-silent", "notified"]);
});

test("if all of them are withheld no one is paged, and the ends go to those who were notified", async (t) => {
  const at = await SilentWorld.start(t);
  const names = ["A", "B", "C"];
  await at.report(names);
  const silence = { matchers: ['alertname=~"A|B|C"'], durationMs: 60 * MINUTE, comment: "moves" };
  assert.equal((await at.world.prism.post("/api/v1/silences", silence)).status, 201);
  await at.pass(TIMEOUT + 2 * MINUTE, MINUTE / 2);
  assert.deepEqual(
    (await at.notices()).slice(3),
    names.map((name) => `No longer reported: ${name} to ann`),
  );
});

test("a person may resolve the incident of the source; the next silence is another one", async (t) => {
  const at = await SilentWorld.start(t);
  const names = ["A", "B", "C"];
  await at.report(names);
  await at.pass(TIMEOUT + 1000);
  const report = await at.incident(SILENT);
  await at.world.incidents.resolve(report.id, { id: "operator", via: "api" });
  assert.equal(at.alerts.byKey(at.world.projectId, `silent:${at.sender}`), null);
  await at.report(names);
  await at.pass(TIMEOUT + 1000);
  const found = (await at.states()).filter((state) => state.includes("silent"));
  assert.deepEqual(found, [`${SILENT} resolved operator`, `${SILENT} open`]);
});

test("senders and projects are silent on their own", async (t) => {
  const at = await SilentWorld.start(t);
  const other = await at.world.prism.post<{ id: string }>("/api/v1/projects", { name: "Other", slug: "other" });
  assert.equal(other.status, 201, other.text);
  await at.report(["A", "B", "C"], { sender: "token:x", projectId: other.body.id });
  await at.report(["A", "B"], { sender: "token:x" });
  await at.report(["D", "E", "F"]);
  await at.pass(TIMEOUT + 2 * MINUTE, MINUTE / 2);
  const rows = (await at.world.rows()).filter(({ title }) => title.startsWith("Source silent"));
  assert.deepEqual(rows.map(({ title, projectId }) => [title, projectId === other.body.id]).sort(), [
    [SILENT, false],
    ["Source silent: x", true],
  ]);
});

test("a sender that is heard while the time-outs are stored is not silent", async (t) => {
  const at = await SilentWorld.start(t);
  await at.report(["A", "B", "C"]);
  await at.pass(TIMEOUT - 1000, MINUTE);
  at.world.clock.advance(1000);
  const timeOuts = at.alerts.flush();
  await at.report(["A"]);
  await timeOuts;
  await at.pass(3 * MINUTE);
  assert.deepEqual(await at.states(), ["A open", "B resolved timeout", "C resolved timeout"]);
});

test("rooms and webhooks have each end, and the incident of the source", async (t) => {
  interface Body {
    readonly status: string;
    readonly groupLabels: Record<string, string>;
    readonly alerts: { timedOut?: boolean }[];
  }
  const { url, posts } = await startRecorder<Body>(t);
  const at = await SilentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const steps = [
    { type: "notify", members: true },
    { type: "webhook", url, format: "alertmanager" },
  ];
  await at.world.prism.patch(`/api/v1/policies/${at.world.projectId}`, { steps });
  await at.report(["A", "B", "C"]);
  await eventually("the first calls", () => posts.length === 3);
  posts.length = 0;
  await at.pass(TIMEOUT + 1000, 5000);
  await eventually("the ends, and the source", () => posts.length === 4);
  const seen = posts.map(({ body: { status, groupLabels, alerts } }) => {
    const { alertname, sender = "" } = groupLabels;
    return `${alertname} ${sender} ${status} ${alerts.map(({ timedOut = false }) => timedOut).join()}`;
  });
  assert.deepEqual(seen.sort(), [
    "A  resolved true",
    "B  resolved true",
    "C  resolved true",
    "SourceSilent Prometheus firing false",
  ]);
});

test("senders that are forgotten are those heard of first, and a report is outdated once its sender is heard", () => {
  const senders = new Senders();
  for (let n = 0; n < 10_001; n += 1) senders.heard(`key:${n}`, n);
  assert.equal(senders.lastAt("key:0"), null);
  assert.equal(senders.lastAt("key:1"), 1);
  const alert = trialAlert("p", { alertname: "SourceSilent" }, 20_000) as StoredAlert;
  const report = Object.assign(alert, { source: "prism", sourceId: "key:1", lastAt: 20_000 });
  senders.opened(report);
  assert.deepEqual(senders.outdated(), []);
  assert.deepEqual([...senders.heard("key:1", 20_001)], [report]);
  assert.deepEqual(senders.outdated(), [report]);
  senders.ended(report);
  assert.deepEqual([...senders.heard("key:1", 20_002), ...senders.outdated()], []);
});

test("a restart keeps the report, and what was heard just before a crash ends it", async (t) => {
  const at = await SilentWorld.start(t);
  const { world } = at;
  await at.report(["A", "B", "C"]);
  await at.pass(TIMEOUT + 1000);
  await world.prism.restart();
  await at.pass(10 * MINUTE, MINUTE);
  assert.equal((await at.incident(SILENT)).state, "open");
  const found = (await at.notices()).filter((each) => each.includes("silent"));
  assert.deepEqual(found, [`${SILENT} to ann`]);
  await at.report(["A"]);
  await at.pass(1000);
  assert.equal((await at.incident(SILENT)).state, "resolved");
});

test("kill -9 at any moment: no end is lost or notified twice, and the report is there once", async (t) => {
  const at = await SilentWorld.start(t);
  const { world } = at;
  const images: { readonly dir: string; readonly at: number }[] = [];
  const image = async (): Promise<void> => {
    images.push({ dir: await crashImage(t, world.prism), at: world.clock.now() });
  };
  await at.report(["A", "B", "C", "D"]);
  await at.pass(TIMEOUT - 1);
  await image();
  world.clock.advance(1);
  // The time-outs are stored, the turns of the incidents are not.
  await at.alerts.flush();
  await image();
  await world.incidents.check();
  await image();
  for (const { dir, at: now } of images) {
    const clock = new FakeClock(now);
    const prism = await startPrism(t, { dir, clock });
    const again = new SilentWorld(world.of(prism, clock), at.sender);
    await again.pass(7 * MINUTE, 5000);
    assert.deepEqual(await again.states(), [
      ...["A", "B", "C", "D"].map((name) => `${name} resolved timeout`),
      `${SILENT} open`,
    ]);
    assert.deepEqual((await again.notices()).slice(4), [`${SILENT} to ann`]);
    await again.report(["A"]);
    await again.pass(1000);
    assert.deepEqual((await again.states()).slice(4), [`${SILENT} resolved alerts`, "A open"]);
    await prism.stop();
  }
});
