const NICKNAMES: Readonly<Record<string, string>> = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
};
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A cron pattern in words, such as "Mon–Fri at 08:50"; null: one of the rarer ones, which speak for themselves. */
export function cronWords(pattern: string): string | null {
  const text = NICKNAMES[pattern.trim().toLowerCase()] ?? pattern.trim();
  const given = text.split(/\s+/);
  const [minute = "", hour = "", day = "", month = "", weekday = "", more] =
    given.length === 6 && given[0] === "0" ? given.slice(1) : given;
  if (weekday === "" || more !== undefined) return null;
  const [times, days] = [timesOf(minute, hour), daysOf(day, month, weekday)];
  if (times === null || days === null) return null;
  if (times.startsWith("at")) return `${days} ${times}`;
  return days === "every day" ? times : `${times}, ${days}`;
}

function timesOf(minute: string, hour: string): string | null {
  const every = stepOf(minute, 60);
  if (hour === "*" && (minute === "*" || every === 1)) return "every minute";
  if (hour === "*" && every !== undefined) return `every ${every} min`;
  if (!/^\d+$/.test(minute)) return null;
  const past = `:${minute.padStart(2, "0")}`;
  if (hour === "*") return `every hour at ${past}`;
  const hours = stepOf(hour, 24);
  if (hours === 1) return `every hour at ${past}`;
  if (hours !== undefined) return `every ${hours} hours at ${past}`;
  if (!/^\d+(,\d+)*$/.test(hour)) return null;
  return `at ${listed(hour.split(",").map((each) => `${each.padStart(2, "0")}${past}`))}`;
}

/** The step of a pattern that repeats without a jump at the end of the hour or day. */
function stepOf(field: string, whole: number): number | undefined {
  const step = Number(/^\*\/(\d+)$/.exec(field)?.[1]);
  return whole % step === 0 ? step : undefined;
}

function daysOf(day: string, month: string, weekday: string): string | null {
  const months = month === "*" ? "" : named(month, MONTHS, 1);
  if (months === null) return null;
  const of = months === "" ? "" : ` of ${months}`;
  if (day === "*" && weekday === "*") return `every day${of}`;
  if (day === "*") {
    const days = named(weekday, DAYS, 0);
    return days && `${days}${of}`;
  }
  if (weekday !== "*" || !/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(day)) return null;
  return `on day ${listed(day.replaceAll("-", "–").split(","))}${of || " of the month"}`;
}

/** "Mon–Fri", "Mar and Oct". */
function named(field: string, names: readonly string[], first: number): string | null {
  const nameOf = (text: string): string | undefined =>
    /^\d+$/.test(text) ? names[Number(text) - first] : names.find((name) => name.toLowerCase() === text.toLowerCase());
  const parts = field.split(",").map((part) => {
    const ends = part.split("-").map(nameOf);
    return ends.length > 2 || ends.includes(undefined) ? null : ends.join("–");
  });
  return parts.includes(null) ? null : listed(parts as string[]);
}

function listed(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}
