import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { finalShiftsOf, onCallDifference, scheduleRowsOf } from "../../../../src/features/oncall/index.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { configure, type FileObject, problemsOf } from "./configuration.ts";

const DAY = 86_400_000;
const AHEAD = 28 * DAY;

type Anchor = { readonly on: string; readonly turn: readonly string[] };

/** Weeks from Monday at 09:00 in Berlin. */
const duty = (turns: readonly string[][], more: { anchor?: Anchor; startTurn?: number } = {}): FileObject => [
  "oncall",
  "default",
  {
    ...{ name: "Duty", timezone: "Europe/Berlin" },
    shifts: [
      {
        ...{ name: "Weeks", start: "2026-09-07T09:00:00", duration: "7d", recurrence: { frequency: "weekly" } },
        ...{ turns, ...more },
      },
    ],
  },
];

async function startDuty(t: TestContext, now: string, turns: readonly string[][]) {
  const clock = new FakeClock(Date.parse(now));
  const prism = await startPrism(t, { clock });
  const ids = new Map<string, string>();
  for (const name of ["ada", "ben", "cy"]) ids.set((await makeUser(prism, name)).id, name);
  const ask = async (mode: "plan" | "apply", file: FileObject, options = {}) => {
    const { status, body } = await configure(prism, mode, [file], options);
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(problemsOf(body), []);
    return body;
  };
  await ask("apply", duty(turns));
  const { db, clock: own } = prism.parts.features.context;
  const { users } = prism.parts.offers;
  const row = await db.read.selectFrom("oncall_schedules").select("id").executeTakeFirstOrThrow();
  const shifts = async () => {
    const from = clock.now();
    return finalShiftsOf({ users, clock: own }, (await scheduleRowsOf(db.read, [row.id])).get(row.id), {
      from,
      to: from + AHEAD,
    });
  };
  const namesOf = (found: readonly string[]) => found.map((id) => ids.get(id) ?? id);
  const onCallNow = async () => namesOf((await shifts())[0]?.users ?? []).join();
  return { clock, ask, shifts, namesOf, onCallNow };
}

/** Both changes of the clocks in Berlin are within the next week. */
for (const now of ["2026-10-21T12:00:00Z", "2027-03-24T12:00:00Z"])
  test(`with an anchor nobody loses a turn that runs, over a change of the clocks: ${now}`, async (t) => {
    const turns = [["ada"], ["ben"]];
    const { ask, shifts, namesOf, onCallNow } = await startDuty(t, now, turns);
    const who = await onCallNow();
    const on = now.startsWith("2026") ? "2026-10-19" : "2027-03-22";
    const anchor = { on, turn: [who] };
    for (const next of [
      [["ada"], ["ben"], ["cy"]],
      [["cy"], ["ada"], ["ben"]],
      [["ben"], ["cy"], ["ada"]],
      [[who], ["cy"]],
    ]) {
      const file = duty(next, { anchor });
      const before = await shifts();
      const plan = await ask("plan", file);
      assert.deepEqual(
        plan.warnings.filter(({ code }) => code === "turn-moved"),
        [],
      );
      await ask("apply", file);
      assert.equal(await onCallNow(), who);
      const expected = onCallDifference(before, await shifts()).map(({ from, to, before: old, after }) => ({
        ...{ project: "default", schedule: "Duty", timezone: "Europe/Berlin" },
        ...{ from: new Date(from).toISOString(), to: new Date(to).toISOString() },
        ...{ before: namesOf(old), after: namesOf(after) },
      }));
      assert.deepEqual(plan.onCall, expected);
      assert.ok(expected.every(({ from }) => Date.parse(from) > Date.parse(now)));
      assert.deepEqual((await ask("plan", file)).changes, []);
    }
  });

test("a turn that would move is a warning with the anchor that keeps it, and keepNow writes it", async (t) => {
  const { ask, onCallNow } = await startDuty(t, "2026-10-21T12:00:00Z", [["ada"], ["ben"]]);
  assert.equal(await onCallNow(), "ada");
  const moved = duty([["ben"], ["cy"], ["ada"]]);
  const plan = await ask("plan", moved);
  const warning = plan.warnings.find(({ code }) => code === "turn-moved");
  assert.deepEqual([warning?.name, warning?.at], ["Duty", "duty.yaml:1:1"]);
  assert.equal(
    warning?.message,
    "Weeks: on call now is ben in place of ada; write anchor: { on: 2026-10-19, turn: [ada] } at it, or use --keep-now",
  );
  assert.equal(plan.onCall[0]?.from, "2026-10-21T12:00:00.000Z");

  const anchor = { on: "2026-10-19", turn: ["ada"] };
  const kept = await ask("plan", moved, { keepNow: true });
  assert.deepEqual(
    kept.kept.map(({ name, shift, anchor: line }) => [name, shift, line]),
    [["Duty", "Weeks", anchor]],
  );
  assert.equal(
    kept.warnings.find(({ code }) => code === "turn-moved"),
    undefined,
  );
  assert.ok((kept.onCall[0]?.from ?? "") > "2026-10-22");
  await ask("apply", moved, { keepNow: true });
  assert.equal(await onCallNow(), "ada");
  assert.deepEqual((await ask("plan", duty([["ben"], ["cy"], ["ada"]], { anchor }))).changes, []);

  // Without the anchor in the file the wheel would turn, which is said again.
  assert.equal((await ask("plan", moved)).warnings.length, 1);
  const gone = await ask("plan", duty([["ben"], ["cy"]], { startTurn: 0 }), { keepNow: true });
  assert.deepEqual([gone.kept, gone.warnings.length], [[], 1]);
  assert.match(
    gone.warnings[0]?.message ?? "",
    /on call now is \w+ in place of ada; none of its turns is that of ada$/,
  );
});

test("between two shifts the next turn is kept, and shifts of a day have the anchor of its first", async (t) => {
  const { ask } = await startDuty(t, "2026-10-21T20:00:00Z", [["ada"]]);
  const days = (turns: readonly string[][]): FileObject => [
    "oncall",
    "default",
    {
      ...{ name: "Days", timezone: "Europe/Berlin" },
      shifts: [
        {
          ...{
            name: "Office",
            start: "2026-10-19T09:00:00",
            duration: "8h",
            recurrence: { frequency: "daily" },
            turns,
          },
        },
        {
          ...{ name: "Hours", start: "2026-10-19T00:00:00", duration: "6h", level: 1 },
          ...{ recurrence: { frequency: "hourly", interval: 6 }, turns },
        },
      ],
    },
  ];
  await ask("apply", days([["ada"], ["ben"]]));
  const { warnings } = await ask("plan", days([["ben"], ["ada"]]));
  assert.deepEqual(
    warnings.map(({ message }) => message),
    [
      "Office: on call from 2026-10-22 09:00:00 Europe/Berlin is ada in place of ben; " +
        "write anchor: { on: 2026-10-22, turn: [ben] } at it, or use --keep-now",
      "Hours: on call now is ada in place of ben; " +
        "write anchor: { on: 2026-10-21, turn: [ada] } at it, or use --keep-now",
    ],
  );
  assert.equal((await ask("plan", days([["ben"], ["ada"]]), { keepNow: true })).onCall.length, 0);
});

test("shifts that are not in the files keep their zone when the schedule gets another one", async (t) => {
  const { ask, shifts } = await startDuty(t, "2026-11-28T12:00:00Z", [["ada"], ["ben"]]);
  const before = await shifts();
  const moved = { name: "Duty", timezone: "America/New_York" };
  for (const spec of [moved, { ...moved, shifts: "manual" }]) {
    const file: FileObject = ["oncall", "default", spec];
    const plan = await ask("plan", file);
    assert.deepEqual(
      plan.changes.map(({ members }) => members.map(({ path }) => path)),
      [["timezone"]],
    );
    assert.deepEqual([plan.onCall, plan.warnings], [[], []]);
  }
  await ask("apply", ["oncall", "default", { ...moved, shifts: "manual" }]);
  assert.deepEqual(await shifts(), before);
});
