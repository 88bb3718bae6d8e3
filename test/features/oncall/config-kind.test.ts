import assert from "node:assert/strict";
import test from "node:test";
import { finalShiftsOf, onCallDifference, scheduleRowsOf } from "../../../src/features/oncall/index.ts";
import { applying, assertRoundTrip, KnownNames, kindOf, written } from "../../helpers/config-kinds.ts";
import { makeUser } from "../../helpers/people.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { DAY, HOUR, iso, join, local, made, makeShift, type OnCallWorld, onCallWorld, PATH } from "./support.ts";

const WEEK = 7 * DAY;
const IN_EFFECT = "select * from oncall_shifts where validUntil is null order by id";

async function filesOf(world: OnCallWorld) {
  const { prism, projectId, ada, grace } = world;
  const names = new KnownNames();
  names.add("people", ada.id, "ada");
  names.add("people", grace.id, "grace");
  return { names, kind: await kindOf(prism, "oncall"), ...applying(prism, projectId, names) };
}

const weeks = {
  name: "Weeks",
  start: "2026-11-23T09:00:00",
  duration: "1w",
  recurrence: { frequency: "weekly" },
  turns: [["ada"], ["grace"]],
};
const duty = { name: "Duty", timezone: "Europe/Berlin", handoverLead: "1h", shifts: [weeks] };

test("a schedule of files is made, read back as it was written, changed, and removed", async (t) => {
  const world = await onCallWorld(t);
  const { kind, names, store, find, remove } = await filesOf(world);
  const until = "2027-06-01T00:00:00.000Z";
  const nights = { ...weeks, name: "Nights", level: 2, timezone: "UTC", startTurn: 1 };
  const all = [weeks, { ...nights, recurrence: { frequency: "daily", interval: 2, until } }];
  await store(kind, { ...duty, shifts: all });
  const made = await find(kind, "Duty");
  assertRoundTrip(kind, made, names);
  const file = written(kind, made, names);
  assert.deepEqual(file["shifts"], all);
  assert.equal(file["handoverLead"], "1h");

  const [before] = rowsOf(world.prism, IN_EFFECT);
  await store(kind, { ...duty, description: "At night", shifts: all.slice(0, 1) });
  const changed = await find(kind, "Duty");
  assert.notEqual(changed.version, made.version);
  assert.deepEqual(written(kind, changed, names)["shifts"], [weeks]);
  assert.equal(changed.spec["description"], "At night");
  assert.deepEqual(rowsOf(world.prism, IN_EFFECT)[0], before, "what stays is not written");

  // Without the member, shifts are not in the files.
  const { shifts: _, ...others } = duty;
  await store(kind, { ...others, description: "" });
  assert.deepEqual(written(kind, await find(kind, "Duty"), names)["shifts"], [weeks]);
  await store(kind, { ...duty, shifts: [] });
  assert.deepEqual((await find(kind, "Duty")).spec["shifts"], []);
  await remove(kind, "Duty");
  assert.deepEqual(await kind.list(world.prism.parts.features.context.db.read, world.projectId), []);
});

test("shifts without a name, or of one name, get one in files, and are found by their content", async (t) => {
  const world = await onCallWorld(t);
  const { kind, names, store, find } = await filesOf(world);
  const { name: _, ...unnamed } = weeks;
  const shift = (level: number) => ({ ...unnamed, level });
  const id = await store(kind, { ...duty, shifts: [] });
  const api = { start: weeks.start, durationMs: WEEK, turns: [["ada"]], recurrence: { frequency: "weekly" } };
  for (const name of ["", "Day", "Day", ""]) await makeShift(world, id, { ...api, name });
  const stored = await find(kind, "Duty");
  const shifts = written(kind, stored, names)["shifts"] as { name: string }[];
  assert.deepEqual(
    shifts.map(({ name }) => name),
    ["Shift 1", "Day", "Day 2", "Shift 2"],
  );
  assertRoundTrip(kind, stored, names);

  await store(kind, { ...duty, shifts: [shift(1), shift(2), shift(3)] });
  const made = rowsOf<{ id: string; level: number }>(world.prism, IN_EFFECT);
  // The first goes, one changes: no other is written again.
  world.clock.advance(60_000);
  await store(kind, { ...duty, shifts: [shift(2), { ...shift(3), level: 4 }] });
  const left = rowsOf<{ id: string; level: number }>(world.prism, IN_EFFECT);
  const idAt = (level: number) => made.find((each) => each.level === level)?.id;
  assert.equal(left.find(({ level }) => level === 2)?.id, idAt(2));
  assert.equal(left.length, 2);
});

test("a shift that changes ends in its earlier form, and overrides, swaps, days off and links stay", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, ada, grace } = world;
  const { kind, store } = await filesOf(world);
  const id = await store(kind, { ...duty, shifts: [{ ...weeks, start: local(clock.now() - WEEK) }] });
  clock.advance(DAY);
  const now = clock.now();
  const path = `${PATH}/schedules/${id}`;
  const span = { start: iso(now + HOUR), end: iso(now + 2 * HOUR) };
  await made(prism.post(`${path}/overrides`, { ...span, users: [grace.id], reason: "Dentist" }));
  await made(prism.post(`${path}/swaps`, { ...span, userId: ada.id }));
  await made(prism.post(`${path}/calendar-link`, {}));
  const kept = "select * from oncall_shifts where kind in ('override', 'swap')";
  const before = [rowsOf(prism, kept), rowsOf(prism, "select tokenHash from oncall_schedules")];
  const { context } = prism.parts.features;
  const final = async () =>
    finalShiftsOf(context, (await scheduleRowsOf(context.db.read, [id])).get(id), {
      from: now - WEEK,
      to: now + 2 * WEEK,
    });
  const old = await final();
  await store(kind, { ...duty, shifts: [{ ...weeks, start: local(now - WEEK), turns: [["grace"]] }] });
  const after = [rowsOf(prism, kept), rowsOf(prism, "select tokenHash from oncall_schedules")];
  assert.deepEqual(after, before);
  const differences = onCallDifference(old, await final());
  assert.ok(differences.length > 0);
  for (const { from, after: users } of differences) {
    assert.ok(from >= now, "past times do not change");
    assert.deepEqual(users, [grace.id]);
  }
  const forms = rowsOf<{ currentId: string | null }>(
    prism,
    "select currentId from oncall_shifts where kind = 'rotation'",
  );
  assert.equal(forms.filter(({ currentId }) => currentId !== null).length, 1);
  const shown = await made<{ data: { start: string; end: string; users: { id: string }[] }[] }>(
    prism.get(`${path}/final-shifts?from=${iso(now - WEEK)}&to=${iso(now + 2 * WEEK)}`),
  );
  assert.deepEqual(
    shown.data.map(({ start, end, users }) => [start, end, users.map((user) => user.id)]),
    (await final()).map(({ start, end, users }) => [iso(start), iso(end), users]),
  );
});

test("with an anchor, who is on call now stays when people come, go or move, over both clock changes", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock } = world;
  const { kind, names, store } = await filesOf(world);
  const cy = await makeUser(prism, "cy");
  names.add("people", cy.id, "cy");
  await join(prism, world.projectId, cy.id);
  const id = await store(kind, duty);
  const { context } = prism.parts.features;
  const onCallAt = async (at: number) => {
    const [first] = await finalShiftsOf(context, (await scheduleRowsOf(context.db.read, [id])).get(id), {
      from: at,
      to: at + 1,
    });
    return names.nameOf("people", first?.users[0] ?? "")?.name ?? "";
  };
  // Wednesdays before and after the clock changes of Berlin, and the days on which the shift began.
  for (const [at, on] of [
    ["2027-03-24T12:00:00Z", "2027-03-22"],
    ["2027-03-31T12:00:00Z", "2027-03-29"],
    ["2027-10-27T12:00:00Z", "2027-10-25"],
    ["2027-11-03T12:00:00Z", "2027-11-01"],
  ] as const) {
    clock.advance(Date.parse(at) - clock.now());
    const now = clock.now();
    for (const people of [
      ["cy", "ada", "grace"],
      ["grace", "ada", "cy"],
      ["ada", "grace", "cy"],
      ["ada", "grace"],
    ]) {
      const current = await onCallAt(now);
      const past = await finalShiftsOf(context, (await scheduleRowsOf(context.db.read, [id])).get(id), {
        from: now - 4 * WEEK,
        to: now,
      });
      if (!people.includes(current)) people.push(current);
      const anchor = { on, turn: [current] };
      await store(kind, { ...duty, shifts: [{ ...weeks, turns: people.map((each) => [each]), anchor }] });
      assert.equal(await onCallAt(now), current, `${at} ${people.join()}`);
      const next = people[(people.indexOf(current) + 1) % people.length];
      assert.equal(await onCallAt(now + WEEK), next, `${at} ${people.join()}, a week later`);
      assert.deepEqual(
        await finalShiftsOf(context, (await scheduleRowsOf(context.db.read, [id])).get(id), {
          from: now - 4 * WEEK,
          to: now,
        }),
        past,
      );
    }
  }
});

test("an anchor that no shift has, two shifts of one name, and unknown people are refused with their place", async (t) => {
  const world = await onCallWorld(t);
  const { kind, names, store } = await filesOf(world);
  const stranger = await makeUser(world.prism, "eve");
  names.add("people", stranger.id, "eve");
  const refused = async (shifts: object[], path: string, code = "VALIDATION_FAILED") =>
    assert.rejects(store(kind, { ...duty, shifts }), (error: { code: string; details: { path: string }[] }) => {
      assert.deepEqual([error.code, error.details[0]?.path], [code, path]);
      return true;
    });
  await refused([{ ...weeks, anchor: { on: "2026-12-07", turn: ["eve"] } }], "shifts.0.anchor.turn");
  await refused([{ ...weeks, anchor: { on: "2026-02-30", turn: ["ada"] } }], "shifts.0.anchor.on");
  await refused([{ ...weeks, startTurn: 1, anchor: { on: "2026-12-07", turn: ["ada"] } }], "shifts.0.anchor");
  await refused([weeks, { ...weeks, level: 2 }], "shifts.1.name");
  await refused([weeks, { ...weeks, name: "Other", turns: [["eve"]] }], "shifts.1.turns.0.0", "RECIPIENT_NOT_FOUND");
});

test("the URL of a calendar is a secret of the schedule: absent, it stays", async (t) => {
  const world = await onCallWorld(t, { "network.allowPrivate": "true" });
  const { kind, store, find, owner } = await filesOf(world);
  const { db } = world.prism.parts.features.context;
  const id = await store(kind, duty);
  const stored = await find(kind, "Duty");
  assert.equal(stored.secrets, undefined);
  const spec = { ...stored.spec, calendarUrl: "http://127.0.0.1:9/a.ics" };
  const prepared = await kind.prepare?.(owner, spec, stored, id).catch(() => "http://127.0.0.1:9/a.ics");
  await db.write((trx) => kind.update(trx, owner, stored, spec, prepared));
  const changed = await find(kind, "Duty");
  assert.deepEqual(changed.secrets, { calendarUrl: "http://127.0.0.1:9/a.ics" });
  assert.equal("calendarUrl" in changed.spec, false);
  assert.notEqual(changed.version, stored.version);
  await store(kind, { ...duty, description: "new" });
  assert.deepEqual((await find(kind, "Duty")).secrets, changed.secrets);
});

test("differences of who is on call: gaps, joined spans, and at most 20", () => {
  const shift = (start: number, end: number, ...users: string[]) => ({ start, end, users, level: 0, shiftIds: [] });
  assert.deepEqual(
    onCallDifference([shift(0, 4, "a"), shift(4, 8, "b")], [shift(0, 2, "a"), shift(2, 4, "c"), shift(6, 10, "b")]),
    [
      { from: 2, to: 4, before: ["a"], after: ["c"] },
      { from: 4, to: 6, before: ["b"], after: [] },
      { from: 8, to: 10, before: [], after: ["b"] },
    ],
  );
  const joined = onCallDifference([shift(0, 9, "a")], [shift(0, 3, "b"), shift(3, 9, "b")]);
  assert.deepEqual(joined, [{ from: 0, to: 9, before: ["a"], after: ["b"] }]);
  const many = Array.from({ length: 60 }, (_, at) => shift(at, at + 1, `u${at}`));
  assert.equal(onCallDifference([], many).length, 20);
});
