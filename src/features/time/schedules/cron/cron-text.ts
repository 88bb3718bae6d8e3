import { PrismError } from "../../../../core/errors.ts";

/** Enough for lists of every second, minute and hour. */
const MAX_LENGTH = 512;

interface Field {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** Number of values, which limits the step. */
  readonly size: number;
  /** Names of the values, from the lowest. */
  readonly names: readonly string[];
  /** Whether an item is one that only this field accepts. */
  readonly isSpecial?: (item: string, text: string) => boolean;
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const WEEKDAY: Field = { name: "day of week", min: 0, max: 7, size: 7, names: DAYS, isSpecial: isWeekdaySpecial };
const DAY: Field = { name: "day of month", min: 1, max: 31, size: 31, names: [], isSpecial: isDaySpecial };
const MONTH: Field = { name: "month", min: 1, max: 12, size: 12, names: MONTHS };
const FIELDS: readonly Field[] = [
  { name: "second", min: 0, max: 59, size: 60, names: [] },
  { name: "minute", min: 0, max: 59, size: 60, names: [] },
  { name: "hour", min: 0, max: 23, size: 24, names: [] },
  DAY,
  MONTH,
  WEEKDAY,
];

export const NICKNAMES = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

export function invalidCron(message: string, options?: ErrorOptions): PrismError {
  return new PrismError("INVALID_CRON", `The pattern cannot be used: ${message}`, {
    ...options,
    details: [{ path: "cron", code: "INVALID_CRON", message }],
  });
}

/**
 * Checks a cron pattern field by field. The library reads `5*` as 5 and counts days from 0 in its
 * messages, so it only receives checked texts, and authors learn which field is wrong and why.
 * @returns the pattern with normalised blanks. @throws INVALID_CRON
 */
export function checkCronText(text: string): string {
  if (text.length > MAX_LENGTH) throw invalidCron(`it is longer than ${MAX_LENGTH} characters`);
  const pattern = text.trim().replace(/\s+/g, " ");
  if (pattern.startsWith("@")) {
    const name = pattern.toLowerCase();
    if (!NICKNAMES.includes(name)) throw invalidCron(`${pattern} is not one of ${NICKNAMES.join(", ")}`);
    return name;
  }
  const parts = pattern === "" ? [] : pattern.split(" ");
  if (parts.length === 7) throw invalidCron("it has 7 fields; a year cannot be given");
  const texts = parts.length === 5 ? ["0", ...parts] : parts;
  if (texts.length !== FIELDS.length)
    throw invalidCron(`it has ${parts.length} fields; give 5 (minute hour day month weekday) or 6 (second first)`);
  for (const [at, field] of FIELDS.entries()) {
    const text = texts[at] ?? "";
    for (const item of (field === WEEKDAY ? text.replace(/^\+(?=.)/, "") : text).split(","))
      if (!field.isSpecial?.(item, text)) checkItem(field, item);
  }
  return pattern;
}

/** `L` is the last day, `LW` the last weekday, `15W` the weekday nearest to the 15th. */
function isDaySpecial(item: string, field: string): boolean {
  if (/^lw$/i.test(field) || /^l$/i.test(item)) return true;
  const nearest = /^(\d{1,2})w$/i.exec(item);
  if (!nearest) return false;
  numberOf(DAY, nearest[1] ?? "");
  return true;
}

/** `FRI#2` is the second Friday of the month, `FRI#L` and `FRIL` the last one. */
function isWeekdaySpecial(item: string): boolean {
  const [, days, , nth] = /^([^#]+?)(#|(?=l$))([^#]+)$/i.exec(item) ?? [];
  if (days === undefined || nth === undefined) return false;
  checkRange(WEEKDAY, days);
  if (!/^[1-5l]$/i.test(nth)) throw wrong(WEEKDAY, `"${item}": after # use 1 to 5 or L`);
  return true;
}

function checkItem(field: Field, item: string): void {
  const [range = "", step, ...more] = item.split("/");
  if (more.length > 0) throw wrong(field, `"${item}" has more than one step`);
  const isAll = range === "*" || range === "?";
  if (!isAll) checkRange(field, range);
  if (step === undefined) return;
  if (!isAll && !range.includes("-"))
    throw wrong(
      field,
      `"${item}": a step needs * or a range before it, ` +
        `such as */${step || 5} or ${field.min}-${field.max}/${step || 5}`,
    );
  if (!/^\d{1,2}$/.test(step) || Number(step) < 1 || Number(step) > field.size)
    throw wrong(field, `"${item}": the step must be 1 to ${field.size}`);
}

function checkRange(field: Field, text: string): void {
  const [from = "", to, ...more] = text.split("-");
  if (more.length > 0) throw wrong(field, `"${text}" is not a range`);
  const first = numberOf(field, from);
  if (to === undefined) return;
  const last = numberOf(field, to);
  // A range may end on Sunday.
  if (first > (last === 0 && field === WEEKDAY && !/\d/.test(to) ? 7 : last))
    throw wrong(field, `the range "${text}" runs backwards`);
}

function numberOf(field: Field, text: string): number {
  const named = field.names.indexOf(text.toLowerCase());
  if (named !== -1) return named + (field === MONTH ? 1 : 0);
  const { min, max } = field;
  if (!/^\d{1,2}$/.test(text)) {
    const names =
      field.names.length > 0 ? ` or ${field.names[0]?.toUpperCase()} to ${field.names.at(-1)?.toUpperCase()}` : "";
    throw wrong(field, `"${text}" is not ${min} to ${max}${names}`);
  }
  if (Number(text) < min || Number(text) > max) throw wrong(field, `${text} is not ${min} to ${max}`);
  return Number(text);
}

function wrong(field: Field, message: string): PrismError {
  return invalidCron(`${field.name}: ${message}`);
}
