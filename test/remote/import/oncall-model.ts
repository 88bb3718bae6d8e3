/*
 * What Grafana OnCall says of its schedules, written from its documentation and apart from what is tested: days are
 * looked at one by one.
 */

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const DAYS = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"];

export interface ModelShift {
  readonly id: string;
  readonly name: string;
  readonly type: "single_event" | "recurrent_event" | "rolling_users" | "override";
  readonly time_zone: string | null;
  readonly level: number;
  readonly start: string;
  /** Seconds. */
  readonly duration: number;
  readonly rotation_start: string;
  readonly frequency?: "hourly" | "daily" | "weekly" | "monthly" | null;
  readonly interval?: number;
  readonly until?: string;
  readonly week_start?: string;
  readonly by_day?: readonly string[];
  readonly by_monthday?: readonly number[];
  readonly users?: readonly string[];
  readonly rolling_users?: readonly (readonly string[])[];
  readonly start_rotation_from_user_index?: number;
}

export interface ModelSwap {
  readonly id: string;
  readonly schedule: string;
  readonly swap_start: string;
  readonly swap_end: string;
  readonly beneficiary: string;
  readonly benefactor: string | null;
}

export interface ModelSchedule {
  readonly id: string;
  readonly name: string;
  readonly type: "web" | "calendar";
  readonly time_zone: string;
  readonly shifts: readonly ModelShift[];
  readonly swaps: readonly ModelSwap[];
}

interface Event {
  readonly start: number;
  readonly end: number;
  readonly level: number;
  readonly users: readonly string[];
}

export interface ModelFinalShift {
  readonly user_pk: string;
  readonly user_email: string;
  readonly user_username: string;
  readonly shift_start: string;
  readonly shift_end: string;
}

/** The answer of `final_shifts`. */
export function finalShiftsOf(schedule: ModelSchedule, from: number, to: number): ModelFinalShift[] {
  return peopleOf(schedule, from, to).flatMap(({ start, end, users }) =>
    users.map((user) => ({
      ...{ user_pk: user, user_email: `${user}@example.com`, user_username: user.toLowerCase() },
      ...{ shift_start: new Date(start).toISOString(), shift_end: new Date(end).toISOString() },
    })),
  );
}

/** Who is on call from one change to the next. */
export function peopleOf(schedule: ModelSchedule, from: number, to: number) {
  const events = schedule.shifts.flatMap((shift) => eventsOf(schedule, shift, to));
  const swaps = schedule.swaps.map((swap) => ({
    ...swap,
    start: Date.parse(swap.swap_start),
    end: Date.parse(swap.swap_end),
  }));
  const edges = [...events, ...swaps].flatMap(({ start, end }) => [start, end]).filter((at) => at > from && at < to);
  const times = [...new Set([from, ...edges, to])].sort((a, b) => a - b);
  const sorted = events.sort((a, b) => a.start - b.start);
  let next = 0;
  let active: Event[] = [];
  const found: { start: number; end: number; users: string[] }[] = [];
  for (const [at, start] of times.slice(0, -1).entries()) {
    while (sorted[next] && (sorted[next] as Event).start <= start) active.push(sorted[next++] as Event);
    active = active.filter(({ end }) => end > start);
    const now = active.map(({ level, users }) => ({
      level,
      users: users.map((user) => {
        let who = user;
        for (const swap of swaps)
          if (swap.start <= start && swap.end > start && swap.beneficiary === who && swap.benefactor !== null)
            who = swap.benefactor;
        return who;
      }),
    }));
    const top = Math.max(...now.filter(({ users }) => users.length > 0).map(({ level }) => level));
    const users = [...new Set(now.filter(({ level }) => level === top).flatMap((each) => each.users))].sort();
    const last = found.at(-1);
    const end = times[at + 1] ?? to;
    if (last && last.end === start && last.users.join() === users.join()) last.end = end;
    else if (users.length > 0) found.push({ start, end, users });
  }
  return found;
}

/** Whom OnCall does not list any more. */
export const GONE = "Ugone";

function eventsOf(schedule: ModelSchedule, shift: ModelShift, to: number): Event[] {
  const zone = shift.time_zone ?? (schedule.type === "web" || shift.type === "override" ? "UTC" : schedule.time_zone);
  const isWeb = schedule.type === "web";
  const level = shift.type === "override" ? 99 : shift.level;
  const until = shift.until === undefined ? Number.POSITIVE_INFINITY : Date.parse(`${shift.until}Z`);
  const begins = isWeb ? Date.parse(`${shift.rotation_start}Z`) : Number.NEGATIVE_INFINITY;
  return turnsOf(shift, isWeb).flatMap(({ wall: first, users, every, rule }) => {
    const end = Math.min(first + shift.duration * 1000, until);
    // A repetition lasts as long as the first one did, and ends by the clocks.
    const duration = instantIn(zone, end) - instantIn(zone, first);
    const named = users[0] === GONE ? [] : users.filter((user) => user !== GONE);
    const found: Event[] = [];
    for (let wall = first; wall < to + 2 * DAY; wall += stepOf(shift)) {
      if (wall !== first && !isIn({ ...shift, ...rule }, first, wall, every)) continue;
      const start = instantIn(zone, wall);
      if (start > until) break;
      const event = { start: Math.max(start, begins), end: instantIn(zone, wall + duration), level, users: named };
      if (event.start < event.end) found.push(event);
      if (shift.frequency === null || shift.frequency === undefined) break;
    }
    return found;
  });
}

interface Turn {
  readonly wall: number;
  readonly users: readonly string[];
  /** It repeats every so many hours, days, weeks or months. */
  readonly every: number;
  readonly rule?: Pick<ModelShift, "frequency" | "by_day">;
}

/** With each turn an event of a calendar begins. */
function turnsOf(shift: ModelShift, isWeb: boolean): Turn[] {
  const start = Date.parse(`${shift.start}Z`);
  const { frequency = null, interval = 1, by_day, start_rotation_from_user_index: index = 0 } = shift;
  if (shift.type !== "rolling_users") return [{ wall: start, users: shift.users ?? [], every: interval }];
  const groups = shift.rolling_users ?? [];
  const groupAt = (turn: number) => groups[(index + turn) % groups.length] ?? [];
  if (frequency === null) return [{ wall: start, users: groupAt(0), every: 1 }];
  const begins = Date.parse(`${shift.rotation_start}Z`);
  const hasBegun = (wall: number) => wall >= begins || (isWeb && wall + shift.duration * 1000 > begins);
  const until = shift.until === undefined ? Number.POSITIVE_INFINITY : Date.parse(`${shift.until}Z`);
  let wall = start === begins ? start : nextOf(shift, start, start, hasBegun);
  if (wall > until) return [];
  if (by_day && !by_day.includes(dayOf(wall))) {
    const week = isWeb ? "MO" : "SU";
    const wanted = weekFrom(shift.week_start ?? week).find((day) => by_day.includes(day));
    while (dayOf(wall) !== wanted) wall += DAY;
  }
  if (frequency === "daily" && by_day) return daysOf(shift, wall, groups.length, groupAt);
  const found: Turn[] = [];
  let event = start;
  for (let turn = 0, made = 0; made < groups.length && wall <= until; turn++) {
    const users = groupAt(turn);
    if (hasBegun(wall)) made++;
    if (hasBegun(wall) && users.length > 0) found.push({ wall, users, every: interval * groups.length });
    // A turn of nobody makes no event: the next one is counted from the event before it.
    if (!hasBegun(wall) || users.length > 0) event = wall;
    wall = nextOf(shift, event, periodAfter(shift, event), hasBegun);
  }
  return found;
}

/** Each turn has so many of the selected days, one event each. */
function daysOf(shift: ModelShift, first: number, count: number, groupAt: (turn: number) => readonly string[]): Turn[] {
  const { by_day = [], interval = 1 } = shift;
  const found: Turn[] = [];
  const seen = new Set<string>();
  for (let wall = first, n = 0; ; wall += DAY) {
    if (!by_day.includes(dayOf(wall))) continue;
    const turn = Math.floor(n / interval) % count;
    const key = `${turn} ${n++ % interval} ${dayOf(wall)}`;
    if (seen.has(key)) break;
    seen.add(key);
    found.push({ wall, users: groupAt(turn), every: 0, rule: { frequency: "weekly", by_day: [dayOf(wall)] } });
  }
  return found.map((turn) => ({ ...turn, every: found.length / by_day.length }));
}

/** The first day of its rule from a day on, in the week or month of that day; else that day. */
function nextOf(shift: ModelShift, event: number, from: number, hasBegun: (wall: number) => boolean): number {
  const { frequency, week_start = "SU" } = shift;
  const isPeriod = frequency === "weekly" || frequency === "monthly";
  const inPeriod = (wall: number) =>
    frequency === "weekly" ? weeksOf(from, wall, week_start) === 0 : monthOf(wall) === monthOf(from);
  for (let wall = from; wall <= from + 31 * DAY; wall += stepOf(shift)) {
    if (isPeriod && !inPeriod(wall)) break;
    if (wall !== event && !isIn(shift, event, wall, shift.interval ?? 1)) continue;
    if (!isPeriod || hasBegun(wall)) return wall;
  }
  return from;
}

function periodAfter({ frequency, interval = 1, week_start = "SU" }: ModelShift, event: number): number {
  if (frequency === "hourly") return event + HOUR;
  let wall = event + DAY;
  if (frequency === "weekly") while (weeksOf(event, wall, week_start) < interval) wall += DAY;
  if (frequency === "monthly") while (monthOf(wall) - monthOf(event) < interval) wall += DAY;
  return wall;
}

/** Whether an event that began at `event` repeats on this day. */
function isIn(shift: ModelShift, event: number, wall: number, every: number): boolean {
  const { frequency, by_day, by_monthday, week_start = "SU" } = shift;
  if (frequency === "hourly") return ((wall - event) / HOUR) % every === 0;
  if (frequency === "daily") return ((wall - event) / DAY) % every === 0 && (by_day?.includes(dayOf(wall)) ?? true);
  if (frequency === "weekly")
    return weeksOf(event, wall, week_start) % every === 0 && (by_day ?? [dayOf(event)]).includes(dayOf(wall));
  const days = by_monthday ?? [new Date(event).getUTCDate()];
  return (monthOf(wall) - monthOf(event)) % every === 0 && days.includes(new Date(wall).getUTCDate());
}

function stepOf({ frequency }: ModelShift): number {
  return frequency === "hourly" ? HOUR : DAY;
}

function dayOf(wall: number): string {
  return DAYS[new Date(wall).getUTCDay()] ?? "";
}

function weekFrom(first: string): string[] {
  return DAYS.map((_, n) => DAYS[(DAYS.indexOf(first) + n) % 7] ?? "");
}

/** How many weeks begin between two days. */
function weeksOf(from: number, to: number, weekStart: string): number {
  const week = (wall: number) => Math.floor((Math.floor(wall / DAY) + 4 - DAYS.indexOf(weekStart)) / 7);
  return week(to) - week(from);
}

function monthOf(wall: number): number {
  return new Date(wall).getUTCFullYear() * 12 + new Date(wall).getUTCMonth();
}

const formats = new Map<string, Intl.DateTimeFormat>();
const offsets = new Map<string, number>();

function offsetAt(zone: string, at: number): number {
  const key = `${zone} ${at}`;
  const known = offsets.get(key);
  if (known !== undefined) return known;
  const parts = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric" } as const;
  const format = formats.get(zone) ?? new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...parts });
  formats.set(zone, format);
  const shown = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0 } = shown;
  const offset = Date.UTC(year, month - 1, day, hour, minute) - (at - (at % 60_000));
  offsets.set(key, offset);
  return offset;
}

/** The instant at which the clocks of a zone show a time that they show once. */
function instantIn(zone: string, wall: number): number {
  if (zone === "UTC") return wall;
  for (const guess of [offsetAt(zone, wall - 14 * HOUR), offsetAt(zone, wall + 14 * HOUR)])
    if (offsetAt(zone, wall - guess) === guess) return wall - guess;
  throw new Error(`${zone} does not show ${new Date(wall).toISOString()}`);
}
