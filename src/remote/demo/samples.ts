import { readAsset } from "../../core/runtime.ts";
import { SAMPLE_DOMAIN } from "../../core/text/vocabulary.ts";
import { DAY_MS, HOUR_MS, toRfc3339 } from "../../core/time/clock.ts";

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
  readonly single: readonly { readonly hoursAgo: number; readonly event: SampleEvent }[];
  /** In a payload a list is a choice, and `{20+n*3%10}` a number. */
  readonly everyday: readonly {
    readonly share: number;
    readonly event: SampleEvent;
    /** So many events in a row are the same but for `reason`: attempts of one thing. */
    readonly same?: number;
    /** Also of a plain seed. */
    readonly plain?: true;
  }[];
}

type Kind = Samples["everyday"][number];

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

/** @param n distinguishes it from others of the kind */
function eventOf(kind: Kind | undefined, n: number): SampleEvent {
  if (!kind) throw new TypeError("the table has no such events");
  const { event, same = 1 } = kind;
  const of = Math.floor(n / same) * same;
  const payload = Object.entries(event.payload).map(([name, value]) => {
    const one: unknown = Array.isArray(value) ? value[(name === "reason" ? n : of) % value.length] : value;
    return [name, typeof one === "string" ? withNumbers(one, of) : one];
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

/** The events of a plain seed: the last is now, the first a day ago. */
export function plainEvents(count: number, now: number) {
  const { everyday: all } = table();
  const [plain, errors] = [all.filter((kind) => kind.plain), all.filter(({ event }) => event.level === "error")];
  return Array.from({ length: count }, (_, at) => {
    const kinds = at % 4 === 3 && at < 4 * MAX_ERRORS ? errors : plain;
    const { projectId: _of, ...event } = eventOf(kinds[at % kinds.length], at * 5);
    const occurredAt = toRfc3339(now - Math.floor(((count - 1 - at) / count) * DAY_MS));
    return { ...event, occurredAt, dedupeKey: `seed:${String(at + 1).padStart(6, "0")}` };
  });
}

/** How far back the history of the demo goes. */
export const HISTORY_MS = 7 * DAY_MS;
/** Share of the events that are of the last hours. */
const RECENT = 0.3;
const RECENT_MS = 2 * HOUR_MS;

/** Time of an event: few at night and at weekends, many in the last hours. */
function timeOf(share: number, now: number, hours: readonly number[]): number {
  if (share >= 1 - RECENT) return now - RECENT_MS * ((1 - share) / RECENT);
  const total = hours.reduce((sum, weight) => sum + weight, 0);
  let left = (share / (1 - RECENT)) * total;
  for (const [at, weight] of hours.entries()) {
    if (left < weight) return now - HISTORY_MS + (at + left / weight) * HOUR_MS;
    left -= weight;
  }
  return now - RECENT_MS;
}

/** How busy each hour of the last week was, except the last ones. */
function busyHours(now: number): number[] {
  return Array.from({ length: (HISTORY_MS - RECENT_MS) / HOUR_MS }, (_, at) => {
    const time = new Date(now - HISTORY_MS + at * HOUR_MS);
    const isWeekend = time.getUTCDay() % 6 === 0;
    const byDay = 1 + 3 * Math.max(0, Math.sin(((time.getUTCHours() - 6) / 14) * Math.PI));
    return byDay * (isWeekend ? 0.4 : 1);
  });
}

/** A number that looks random and is the same for each run. */
function mixed(n: number): number {
  return Math.imul((n + 1) ^ 0x9e3779b9, 0x85ebca6b) >>> 8;
}

function kindAt(at: number): Kind | undefined {
  const { everyday } = table();
  let left = mixed(at) % everyday.reduce((sum, { share }) => sum + share, 0);
  return everyday.find(({ share }) => {
    left -= share;
    return left < 0;
  });
}

/** The events of a week with the keys by which they are known again, oldest first. */
export function demoEvents(count: number, now: number) {
  const hours = busyHours(now);
  const single = table()
    .single.slice(0, count)
    .map(({ hoursAgo, event }, at) => {
      return { ...event, at: Math.floor(now - hoursAgo * HOUR_MS), key: `demo:incident:${at + 1}` };
    });
  const others = count - single.length;
  const events = Array.from({ length: others }, (_, at) => ({
    ...eventOf(kindAt(at), at),
    at: Math.floor(timeOf((at + 1) / others, now, hours)),
    key: `demo:${String(at + 1).padStart(6, "0")}`,
  }));
  return [...events, ...single].sort((a, b) => a.at - b.at);
}
