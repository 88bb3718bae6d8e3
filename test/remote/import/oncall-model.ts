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

function eventsOf(schedule: ModelSchedule, shift: ModelShift, to: number): Event[] {
  const zone = shift.time_zone ?? (schedule.type === "web" || shift.type === "override" ? "UTC" : schedule.time_zone);
  const isCut = schedule.type === "web" && shift.type === "rolling_users";
  const level = shift.type === "override" ? 99 : shift.level;
  const cut = [
    Date.parse(`${shift.rotation_start}Z`),
    shift.until === undefined ? Number.POSITIVE_INFINITY : Date.parse(`${shift.until}Z`),
  ];
  return wallsOf(shift, to + 2 * DAY).flatMap(({ wall, users }) => {
    let start = instantIn(zone, wall);
    let end = instantIn(zone, wall + shift.duration * 1000);
    if (start > (cut[1] ?? 0)) return [];
    if (isCut) [start, end] = [Math.max(start, cut[0] ?? 0), Math.min(end, cut[1] ?? 0)];
    return start < end ? [{ start, end, level, users }] : [];
  });
}

function wallsOf(shift: ModelShift, to: number): { wall: number; users: readonly string[] }[] {
  const start = Date.parse(`${shift.start}Z`);
  const groups = shift.type === "rolling_users" ? (shift.rolling_users ?? []) : [shift.users ?? []];
  const first = shift.start_rotation_from_user_index ?? 0;
  const groupAt = (turn: number) => groups[(first + turn) % groups.length] ?? [];
  const { frequency = null, interval = 1, by_day, by_monthday, week_start = "SU" } = shift;
  if (frequency === null) return [{ wall: start, users: groupAt(0) }];
  const found: { wall: number; users: readonly string[] }[] = [];
  if (frequency === "hourly") {
    for (let n = 0; start + n * interval * HOUR < to; n++)
      found.push({ wall: start + n * interval * HOUR, users: groupAt(n) });
    return found;
  }
  const dayName = (wall: number) => DAYS[new Date(wall).getUTCDay()] ?? "";
  let begin = start;
  if (shift.type === "rolling_users" && by_day) {
    const isSelected = (wall: number) => by_day.includes(dayName(wall));
    const begins = Date.parse(`${shift.rotation_start}Z`);
    const isLate = begins !== start;
    // Of a rotation that begins later the first selected day counts, in weeks one of its first week that is not over.
    const days = Array.from({ length: 7 }, (_, n) => start + n * DAY);
    const inWeek = days.slice(0, ((DAYS.indexOf(week_start) + 6 - DAYS.indexOf(dayName(start)) + 7) % 7) + 1);
    const first =
      frequency === "daily"
        ? days.find(isSelected)
        : inWeek.find((day) => isSelected(day) && day + shift.duration * 1000 > begins);
    if (isLate) begin = first ?? start;
    // Another day moves to the first of its days in the order of the week.
    const order = Array.from({ length: 7 }, (_, n) => DAYS[(DAYS.indexOf(week_start) + n) % 7] ?? "");
    const wanted = order.find((day) => by_day.includes(day));
    if (!isSelected(begin)) while (dayName(begin) !== wanted) begin += DAY;
  }
  const weekOf = (wall: number) =>
    Math.floor((wall - begin) / DAY + ((DAYS.indexOf(dayName(begin)) - DAYS.indexOf(week_start) + 7) % 7)) / 7;
  const monthOf = (wall: number) => new Date(wall).getUTCFullYear() * 12 + new Date(wall).getUTCMonth();
  let selected = 0;
  for (let wall = begin; wall < to; wall += DAY) {
    const date = new Date(wall);
    if (frequency === "daily") {
      const isSelected = !by_day || by_day.includes(dayName(wall));
      const day = Math.round((wall - begin) / DAY);
      if (by_day && shift.type === "rolling_users") {
        if (isSelected) found.push({ wall, users: groupAt(Math.floor(selected++ / interval)) });
      } else if (day % interval === 0 && isSelected) found.push({ wall, users: groupAt(day / interval) });
    } else if (frequency === "weekly") {
      const week = Math.floor(weekOf(wall));
      if (week % interval !== 0 || !(by_day ?? [dayName(begin)]).includes(dayName(wall))) continue;
      found.push({ wall, users: groupAt(week / interval) });
    } else {
      const month = monthOf(wall) - monthOf(begin);
      const isDay = (by_monthday ?? [new Date(begin).getUTCDate()]).includes(date.getUTCDate());
      if (month % interval === 0 && isDay) found.push({ wall, users: groupAt(month / interval) });
    }
  }
  return found;
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
