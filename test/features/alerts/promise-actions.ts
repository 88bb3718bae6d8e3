import fc from "fast-check";
import { MINUTE } from "./incidents/support.ts";

/* What may happen in the random histories, see promise-run.ts. */

export const PEOPLE = ["ann", "bob"] as const;
export type Person = (typeof PEOPLE)[number];
export const WAYS = [...PEOPLE, "room", "hook"] as const;
export type WayName = (typeof WAYS)[number];

/** A is muted by an interval, B inhibits C, and C has another policy while it is critical. */
export const NAMES = ["A", "B", "C"] as const;
/** Severities, from the highest. */
export const LEVELS = ["critical", "error", "warning", "info"] as const;
export type Level = (typeof LEVELS)[number];
/** The route of alerts of this name opens no incidents. */
export const LISTED = "listed";

export type Action =
  | {
      readonly do: "fire" | "resolve" | "flap" | "ack" | "unack" | "snooze" | "silence" | "unsilence";
      readonly name: string;
    }
  | { readonly do: "rate"; readonly name: string; readonly level: Level }
  | { readonly do: "route"; readonly isOther: boolean }
  | { readonly do: "down" | "up" | "hang"; readonly way: WayName }
  | { readonly do: "busy"; readonly way: WayName; readonly seconds: number }
  | { readonly do: "leave" | "return" | "connect" | "disconnect" | "full"; readonly who: Person }
  | { readonly do: "duty" | "calendar"; readonly who: Person | null }
  | { readonly do: "edit"; readonly policy: number }
  | { readonly do: "pass" | "set"; readonly minutes: number }
  | { readonly do: "mute" | "unmute" | "restart" }
  | { readonly do: "storm"; readonly alerts: number };

interface Made {
  readonly schedule: string;
  /** A schedule with an imported calendar. */
  readonly calendar: string;
  readonly room: string;
  readonly hook: string;
}

/** Steps by what the server of a run has made: schedules, a room, a webhook. */
export function policies(made: Made) {
  const onCall = { type: "notify", schedules: [{ id: made.schedule }] };
  const [ann, bob] = PEOPLE.map((name) => ({ type: "notify", users: [name] }));
  const room = { type: "channel", id: made.room };
  const hook = { type: "webhook", url: `${made.hook}/webhook` };
  return [
    [],
    [ann],
    [ann, { type: "wait", ms: 10 * MINUTE }, bob],
    [onCall],
    [onCall, { type: "wait", ms: 5 * MINUTE }, ann],
    [room, { type: "wait", ms: 15 * MINUTE }, bob],
    [hook, onCall],
    [{ type: "ifCount", alerts: 2, windowMs: 30 * MINUTE }, ann],
    [{ type: "onlyIn", interval: "muted", otherwise: "hold" }, bob],
    [{ type: "notify", schedules: [{ id: made.calendar }] }, { type: "wait", ms: 10 * MINUTE }, ann],
  ];
}

const POLICIES = policies({ schedule: "", calendar: "", room: "", hook: "" }).length;

const oneOf = <T>(...values: readonly T[]) => fc.constantFrom(...values);
const name = oneOf(...NAMES);
const way = oneOf(...WAYS);
const who = oneOf(...PEOPLE);
const minutes = fc.integer({ min: 1, max: 12 });

const policy = fc.integer({ min: 0, max: POLICIES - 1 });
const duty = oneOf<Person | null>(...PEOPLE, null);

/** How things are when the first alert fires: most incidents reach no one at once. */
const beginnings = fc
  .record({ policy, duty, down: fc.subarray([...WAYS]) })
  .map((start): Action[] => [
    { do: "edit", policy: start.policy },
    { do: "duty", who: start.duty },
    ...start.down.map((each) => ({ do: "down", way: each }) as const),
    { do: "fire", name: "A" },
  ]);

const actions = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: oneOf("fire", "fire", "fire", "resolve", "flap"), name }) },
    { weight: 3, arbitrary: fc.record({ do: oneOf("ack", "unack", "snooze", "silence", "unsilence"), name }) },
    { weight: 1, arbitrary: fc.record({ do: oneOf("fire", "resolve"), name: oneOf(LISTED) }) },
    { weight: 6, arbitrary: fc.record({ do: oneOf("rate"), name, level: oneOf(...LEVELS) }) },
    { weight: 1, arbitrary: fc.record({ do: oneOf("route"), isOther: fc.boolean() }) },
    { weight: 6, arbitrary: fc.record({ do: oneOf("down", "down", "up", "up", "hang"), way }) },
    { weight: 2, arbitrary: fc.record({ do: oneOf("busy"), way, seconds: oneOf(1, 20, 29, 45, 300) }) },
    { weight: 3, arbitrary: fc.record({ do: oneOf("leave", "leave", "return", "connect", "disconnect"), who }) },
    { weight: 2, arbitrary: fc.record({ do: oneOf("duty", "calendar"), who: duty }) },
    { weight: 2, arbitrary: fc.record({ do: oneOf("edit"), policy }) },
    { weight: 7, arbitrary: fc.record({ do: oneOf("pass"), minutes }) },
    { weight: 1, arbitrary: fc.record({ do: oneOf("set"), minutes: fc.integer({ min: -30, max: 30 }) }) },
    { weight: 2, arbitrary: fc.record({ do: oneOf("mute", "unmute", "restart") }) },
    { weight: 1, arbitrary: fc.record({ do: oneOf("full"), who }) },
  ) as fc.Arbitrary<Action>,
  { minLength: 6, maxLength: 20 },
);

export const histories: fc.Arbitrary<readonly Action[]> = fc.tuple(beginnings, actions).map((parts) => parts.flat());

/** The severity is a label, too: routes go by it. */
export function rated(name: string, severity: Level) {
  return { severity, labels: { alertname: name, severity } };
}
