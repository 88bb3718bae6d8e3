import { readAsset } from "../../core/runtime.ts";
import { SAMPLE_DOMAIN } from "../../core/text/vocabulary.ts";
import { DAY_MS, toRfc3339 } from "../../core/time/clock.ts";

/**
 * The data of `prism seed`: examples/demo.json. Everything has a name by which it is
 * known again, so that a second run creates nothing twice.
 */

/** Numbers of items to create. */
export interface SeedAmounts {
  /** Accounts besides `admin`. */
  readonly users: number;
  readonly events: number;
  readonly tasks: number;
}

export const PLAIN: SeedAmounts = { users: 1, events: 20, tasks: 5 };
export const DEMO: SeedAmounts = { users: 5, events: 500, tasks: 25 };
export const ADMIN = "admin";

interface SampleEvent {
  readonly type: string;
  readonly source: string;
  readonly level: string;
  readonly projectId: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

export interface Samples {
  /** The first is `admin`; the others have one role each. */
  readonly accounts: readonly { readonly username: string; readonly name: string; readonly role: string }[];
  readonly tasks: readonly {
    readonly title: string;
    readonly status: string;
    readonly priority: number;
    readonly dueDay: number | null;
  }[];
  /** In a payload a list is a choice, and `{20+n*3%10}` a number. */
  readonly events: readonly {
    readonly event: SampleEvent;
    /** Also of a plain seed. */
    readonly plain?: true;
  }[];
}

/** examples/demo.json. */
export function demoFile<T>(): T {
  return JSON.parse(readAsset("demo.json", "examples/demo.json").toString("utf8")) as T;
}

let known: Samples | undefined;

function table(): Samples {
  known ??= demoFile<{ readonly samples: Samples }>().samples;
  return known;
}

/** `admin` and this many others. */
export function sampleAccounts(count: number) {
  const { accounts } = table();
  return Array.from({ length: count + 1 }, (_, at) => {
    const number = String(at).padStart(3, "0");
    const account = accounts[at] ?? { username: `user-${number}`, name: `User ${number}`, role: "User" };
    return { ...account, email: `${account.username}@${SAMPLE_DOMAIN}` };
  });
}

/** @param at 0-based. @param now start of the day that counts as 0. */
export function sampleTask(at: number, now: number) {
  const { tasks } = table();
  const { dueDay = null, title = "", ...task } = { ...tasks[at % tasks.length] };
  const round = Math.floor(at / tasks.length);
  const dueAt = dueDay === null ? null : toRfc3339(now + (dueDay + 0.5) * DAY_MS);
  return { ...task, title: round === 0 ? title : `${title} (${round + 1})`, dueAt };
}

/** @param n how often the kind was before */
function eventOf({ event }: Kinds[number], n: number): SampleEvent {
  const payload = Object.entries(event.payload).map(([name, value]) => {
    const one: unknown = Array.isArray(value) && name !== "tags" ? value[n % value.length] : value;
    return [name, typeof one === "string" ? withNumbers(one, n) : one];
  });
  return { ...event, payload: Object.fromEntries(payload) };
}

function withNumbers(text: string, n: number): string | number {
  let number: number | undefined;
  const filled = text.replace(/\{(\d+)\+n\*(\d+)%(\d+)\}/g, (_whole, from: string, times: string, below: string) => {
    number = Number(from) + ((n * Number(times)) % Number(below));
    return String(number);
  });
  return number !== undefined && filled === String(number) ? number : filled;
}

/** Too few to raise an alert, for any number of events. */
const MAX_ERRORS = 5;

type Kinds = Samples["events"];

/** Events evenly until now, the kinds in turn. @param kindsOf of the event at this place */
function spread(count: number, now: number, overMs: number, kindsOf: (at: number) => Kinds) {
  return Array.from({ length: count }, (_, i) => {
    const kinds = kindsOf(i);
    const kind = kinds[i % kinds.length];
    if (!kind) throw new TypeError("the table has no events");
    const at = now - Math.floor(((count - 1 - i) / count) * overMs);
    return { ...eventOf(kind, Math.floor(i / kinds.length)), at };
  });
}

/** The events of a plain seed: the last is now, the first a day ago. */
export function plainEvents(count: number, now: number) {
  const kinds = table().events.filter(({ plain }) => plain);
  const quiet = kinds.filter(({ event }) => event.level !== "error");
  const events = spread(count, now, DAY_MS, (i) => (i < MAX_ERRORS * kinds.length ? kinds : quiet));
  return events.map(({ projectId: _of, at, ...event }, i) => ({
    ...event,
    occurredAt: toRfc3339(at),
    dedupeKey: `seed:${String(i + 1).padStart(6, "0")}`,
  }));
}

/** How far back the history of the demo goes. */
export const HISTORY_MS = 7 * DAY_MS;

/** The events of the file, again and again over a week, with the keys by which they are known again. */
export function demoEvents(count: number, now: number) {
  const events = spread(count, now, HISTORY_MS, () => table().events);
  return events.map((event, i) => ({ ...event, key: `demo:${String(i + 1).padStart(6, "0")}` }));
}
