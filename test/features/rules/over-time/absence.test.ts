import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { Absences } from "../../../../src/features/rules/over-time/absences.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { refuseWrites } from "../../../helpers/refuse-writes.ts";
import { column, openBeside, openTestStore } from "../../../helpers/store.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { alertsOf, MINUTE, outcomes, send, states, timedRule, timedWorld, type World } from "./support.ts";

interface Notice {
  readonly title: string;
  readonly message: string;
  readonly eventId: string | null;
}

const notices = ({ prism }: World): Notice[] =>
  rowsOf<Notice>(prism, "select title, message, eventId from notifications where kind = 'rule' order by createdAt, id");

/** Lets the server look at what is due. */
async function due({ prism }: World): Promise<void> {
  await prism.parts.offers.absences.due.check();
}

test("an absence notifies once for each key that was seen, with the last event, and again after the next match", async (t) => {
  const world = await timedWorld(t);
  const { clock } = world;
  await timedRule(world, {
    targetUsers: ["me"],
    titleTemplate: "No news of {{event.host}}",
    messageTemplate: "last: {{event.n}}",
    absence: { forMs: 10 * MINUTE, key: "{{ event.host }}" },
  });
  await send(world, "x", { host: "a", n: 1 });
  clock.advance(5 * MINUTE);
  const last = await send(world, "x", { host: "a", n: 2 });
  await send(world, "x", { host: "b", n: 3 });
  clock.advance(5 * MINUTE);
  await send(world, "x", { host: "b", n: 4 });
  await due(world);
  assert.deepEqual(notices(world), []);
  clock.advance(5 * MINUTE);
  await due(world);
  assert.deepEqual(notices(world), [{ title: "No news of a", message: "last: 2", eventId: last }]);
  clock.advance(60 * MINUTE);
  await due(world);
  assert.deepEqual(valuesOf(notices(world), "title"), ["No news of a", "No news of b"]);
  await send(world, "x", { host: "a", n: 5 });
  clock.advance(10 * MINUTE);
  await due(world);
  assert.equal(notices(world).length, 3);
  assert.deepEqual(await outcomes(world), ["counted", "counted", "counted", "counted", "counted"]);
});

test("an absence opens an alert that the next match resolves", async (t) => {
  const world = await timedWorld(t);
  const { prism, clock } = world;
  const id = await timedRule(world, {
    absence: { forMs: MINUTE, key: "{{ event.host }}" },
    alert: { labels: { host: "{{ event.host }}" } },
  });
  await send(world, "x", { host: "a" });
  await send(world, "x", { host: "b" });
  clock.advance(MINUTE - 1);
  await send(world, "x", { host: "b" });
  clock.advance(1);
  await due(world);
  assert.deepEqual(await states(world), ["firing a"]);
  assert.equal((JSON.parse(alertsOf(world)[0]?.labels ?? "{}") as { host: string }).host, "a");
  await send(world, "x", { host: "a" });
  assert.deepEqual(await states(world), ["resolved a"]);
  assert.deepEqual((await outcomes(world)).at(-1), "alert-resolved");
  const { body } = await prism.get<Record<string, number>>(`/api/v1/rules/${id}/stats`);
  assert.deepEqual([body["alertsOpened"], body["alertsResolved"]], [1, 1]);
});

test("without a key the first match is awaited from when the rule was made", async (t) => {
  const world = await timedWorld(t);
  const { clock } = world;
  await timedRule(world, { name: "Backup", targetUsers: ["me"], absence: { forMs: 60 * MINUTE } });
  clock.advance(60 * MINUTE);
  await due(world);
  assert.deepEqual(notices(world), [
    { title: "Backup: nothing for 1 h", message: "No event has come yet", eventId: null },
  ]);
});

test("what is awaited survives a restart and a kill; after a down time it has that time once more", async (t) => {
  const world = await timedWorld(t);
  const { prism, clock } = world;
  await timedRule(world, { targetUsers: ["me"], absence: { forMs: 10 * MINUTE, key: "{{ event.host }}" } });
  await send(world, "x", { host: "a" });
  await prism.restart();
  clock.advance(10 * MINUTE);
  await due(world);
  assert.equal(notices(world).length, 1, "there was no down time");

  await send(world, "x", { host: "b" });
  await prism.restart(() => clock.advance(4 * MINUTE));
  clock.advance(6 * MINUTE - 1);
  await due(world);
  assert.equal(notices(world).length, 1);
  clock.advance(1);
  await due(world);
  assert.equal(notices(world).length, 2);

  await send(world, "x", { host: "c" });
  await prism.restart(() => clock.advance(60 * MINUTE));
  clock.advance(10 * MINUTE - 1);
  await due(world);
  assert.equal(notices(world).length, 2, "what came meanwhile may not be here yet");
  clock.advance(1);
  await due(world);
  assert.equal(notices(world).length, 3);
});

test("a jump of the clock counts as a down time, and a clock that is set back delays nothing", async (t) => {
  const world = await timedWorld(t);
  const { clock } = world;
  await timedRule(world, { targetUsers: ["me"], absence: { forMs: 10 * MINUTE, key: "{{ event.host }}" } });
  await send(world, "x", { host: "a" });
  await due(world);
  clock.set(60 * MINUTE);
  await due(world);
  clock.advance(10 * MINUTE - 1);
  await due(world);
  assert.equal(notices(world).length, 0);
  clock.advance(1);
  await due(world);
  assert.equal(notices(world).length, 1);

  await send(world, "x", { host: "b" });
  await due(world);
  clock.set(-60 * MINUTE);
  await due(world);
  clock.advance(10 * MINUTE);
  await due(world);
  assert.equal(notices(world).length, 2);
  await send(world, "x", { host: "c" });
  clock.advance(10 * MINUTE);
  await due(world);
  assert.equal(notices(world).length, 3);
});

test("a rule that is changed, switched off or deleted awaits nothing that it no longer means", async (t) => {
  const world = await timedWorld(t);
  const { prism, clock } = world;
  const rule = { targetUsers: ["me"], absence: { forMs: MINUTE, key: "{{ event.host }}" } };
  const id = await timedRule(world, rule);
  const off = await timedRule(world, { ...rule, name: "off" });
  const gone = await timedRule(world, { ...rule, name: "gone" });
  await send(world, "x", { host: "a", zone: "z" });
  assert.equal(prism.parts.offers.absences.size, 3);
  await prism.patch(`/api/v1/rules/${id}`, { absence: { forMs: 2 * MINUTE, key: "{{ event.host }}" } });
  await prism.patch(`/api/v1/rules/${off}`, { active: false });
  await prism.delete(`/api/v1/rules/${gone}`);
  assert.equal(prism.parts.offers.absences.size, 1);
  clock.advance(MINUTE);
  await due(world);
  assert.equal(notices(world).length, 0, "it takes two minutes now");
  await prism.patch(`/api/v1/rules/${id}`, { absence: { forMs: MINUTE, key: "{{ event.zone }}" } });
  clock.advance(10 * MINUTE);
  await due(world);
  assert.equal(notices(world).length, 0, "no zone was seen");
  await prism.restart();
  assert.equal(countOf(prism, "rule_absences"), 0);
});

const KNOWN_UP_TO = "select value ->> 'upTo' from settings where key = 'rules.absences'";

test("many last matches are stored in parts; what was stored before a part fails is not stored again", async (t) => {
  const clock = new FakeClock();
  const { database: db, reader, log } = openTestStore(t);
  const parts = { db, reader, clock, log, ownerOf: () => null, link: {} } as unknown as ConstructorParameters<
    typeof Absences
  >[0];
  const absences = new Absences(parts);
  const rule = { row: { id: "r", version: 1, projectId: null }, condition: { source: "true" } };
  absences.put({ ...rule, overTime: { absence: { forMs: MINUTE, key: {} } } } as unknown as Parameters<
    typeof absences.put
  >[0]);
  for (let seq = 1; seq <= 1200; seq++) absences.seen("r", "p", `key ${seq}`, clock.now(), seq);
  const rows = (where = "true") =>
    reader.prepare(`select count(*) from rule_absences where ${where}`).pluck().get() as number;
  const upTo = () => reader.prepare(KNOWN_UP_TO).pluck().get();
  const write = t.mock.method(db, "write");
  write.mock.mockImplementationOnce(() => Promise.reject(new Error("no")), 1);
  await absences.stop();
  assert.deepEqual([rows(), upTo()], [500, undefined], "the second part has failed");
  await db.write((trx) => trx.updateTable("rule_absences").set({ firedAt: 7 }).execute());
  await absences.stop();
  assert.deepEqual([rows(), rows("firedAt = 7"), upTo()], [1200, 500, 1200]);
});

test("a kill between two parts of the last matches loses none of them", async (t) => {
  const world = await timedWorld(t);
  const { prism } = world;
  await timedRule(world, { targetUsers: ["me"], absence: { forMs: 10 * MINUTE, key: "{{ event.host }}" } });
  const stored = () => countOf(prism, "rule_absences");
  refuseWrites(prism, () => stored() === 0);
  for (let from = 0; from < 1200; from += 400) {
    const events = Array.from({ length: 400 }, (_, n) => ({ type: "x", payload: { host: `host ${from + n}` } }));
    assert.equal((await prism.post("/api/v1/events", events)).status, 202);
  }
  await outcomes(world);
  const last = scalarOf<number>(prism, "select max(seq) from events where type = 'x'") ?? 0;
  await prism.restart(() => {
    const beside = openBeside(t, join(prism.dir, "prism.db"));
    const [rows = 0] = column<number>(beside, "select count(*) from rule_absences");
    const [upTo = 0] = column<number>(beside, KNOWN_UP_TO);
    assert.ok(rows > 0 && rows < 1200 && upTo < last, `a part was stored: ${rows} rows, ${upTo}`);
  });
  assert.equal(prism.parts.offers.absences.size, 1200);
  await prism.restart();
  const right =
    "select count(*) from rule_absences a join events e on e.seq = a.lastSeq and e.payload ->> 'host' = a.key";
  assert.deepEqual([stored(), scalarOf(prism, right)], [1200, 1200]);
  assert.equal(scalarOf(prism, KNOWN_UP_TO), last);
});

test("a new key costs the same whatever the number of projects, and a full rule is warned about once a minute", (t) => {
  const clock = new FakeClock();
  const { database: db, reader, log } = openTestStore(t);
  let asked = 0;
  let newOwner = "";
  const ownerOf = (projectId: string): string => {
    asked++;
    return newOwner || `owner of ${projectId}`;
  };
  const parts = { db, reader, clock, log, ownerOf, link: {} } as unknown as ConstructorParameters<typeof Absences>[0];
  const absences = new Absences(parts);
  for (const id of ["r", "s"]) {
    const rule = { row: { id, version: 1, projectId: null }, condition: { source: "true" } };
    absences.put({ ...rule, overTime: { absence: { forMs: MINUTE, key: {} } } } as unknown as Parameters<
      typeof absences.put
    >[0]);
  }
  let seq = 0;
  const fill = (rule: string, projectId: string, keys: number): void => {
    for (let n = 0; n < keys; n++) absences.seen(rule, projectId, `key ${++seq}`, clock.now(), seq);
  };
  for (let project = 0; project < 410; project++) fill("r", `p${project}`, 100);
  assert.equal(absences.size, 41_000);
  asked = 0;
  fill("r", "p1", 500);
  assert.ok(asked <= 410 + 2 * 500, `${asked} projects were looked up for 500 keys`);
  newOwner = "one person";
  absences.ownersChanged();
  fill("s", "p2", 50);
  assert.equal(absences.size, 41_500, "all projects have one owner now");
  assert.equal(log.lines.length, 1);
  clock.advance(MINUTE);
  fill("s", "p2", 50);
  assert.equal(log.lines.length, 2);
});

test("one project's keys neither use up a rule for all projects nor another person's, and stay its own", async (t) => {
  const world = await timedWorld(t);
  const { prism, clock } = world;
  const { absences } = prism.parts.offers;
  const absence = { forMs: 10 * MINUTE, key: "{{ event.host }}" };
  const everywhere = { projectId: null, targetUsers: ["me"], titleTemplate: "No news of {{event.host}}", absence };
  const rules = [await timedRule(world, everywhere), await timedRule(world, { ...everywhere, name: "r2" })];
  const mal = await makeUser(prism, "mal", ["User"]);
  const as = { token: mal.token };
  const projects: { id: string; apiKey: string }[] = [];
  for (const name of ["a", "b", "c"]) {
    const { body } = await prism.post<{ id: string; apiKey: string }>("/api/v1/projects", { name }, as);
    projects.push(body);
  }
  const [a, b, c] = projects as [{ id: string; apiKey: string }, { id: string; apiKey: string }, { id: string }];
  const fill = (projectId: string) => {
    for (const rule of rules)
      for (let n = 0; n < 10_001; n++) absences.seen(rule, projectId, `host-${n}`, clock.now(), n + 1);
  };
  fill(a.id);
  assert.equal(absences.size, 20_000, "of each rule 10 000 in one project");
  const shown = await prism.post("/api/v1/events", { type: "x", payload: { host: "db" } }, { apiKey: b.apiKey });
  assert.equal(shown.status, 202);
  await outcomes(world);
  assert.equal(absences.size, 20_002, "another project has its own");
  fill(b.id);
  fill(c.id);
  assert.equal(absences.size, 40_000, "of all projects of one person");
  await send(world, "x", { host: "web" });
  await outcomes(world);
  assert.equal(absences.size, 40_002, "another person has room");
});
