import { PrismError } from "../../../../core/errors.ts";
import { isInRange, SCALE, UNIT } from "../../../../core/text/decimal.ts";
import { LongInteger } from "../../../../core/text/json-text.ts";
import { LIMITS } from "../limits.ts";

/** A value of the language. Numbers are finite. A bigint is a decimal in units of 1e-4. */
export type Value = null | boolean | number | string | bigint | readonly unknown[] | JsonObject;

/** Members are `unknown`: each passes `toValue` when it is read. */
export interface JsonObject {
  readonly [member: string]: unknown;
}

/**
 * Converts a member of the payload or an element of a list. JSON.parse gives Infinity for `1e999`,
 * which is stored as null. Reading it as null from the start gives the same decision in a replay.
 * An integer that a double cannot hold is a decimal.
 */
export function toValue(member: unknown): Value {
  switch (typeof member) {
    case "string":
    case "boolean":
    case "bigint":
      return member;
    case "number":
      return Number.isFinite(member) ? member : null;
    case "object":
      if (member instanceof LongInteger) return BigInt(member.digits) * UNIT;
      return member as readonly unknown[] | JsonObject | null;
    default:
      return null;
  }
}

export function isList(value: Value): value is readonly unknown[] {
  return Array.isArray(value);
}

const PLAIN = /^(-?)([0-9]+)(?:\.([0-9]+))?$/;
const SCIENTIFIC = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:e([+-][0-9]+))?$/;

/**
 * `dec(x)`: the exact value of a decimal string or number in units of 1e-4. A number counts as its
 * shortest decimal form.
 * @returns null for a value that DECIMAL(19,4) cannot hold exactly, for other notations, and for
 * other types.
 */
export function toDecimal(value: Value): bigint | null {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return fromNumber(value);
  return typeof value === "string" && value.length <= LIMITS.convertedUnits ? fromText(value) : null;
}

function fromNumber(value: number): bigint | null {
  if (Number.isSafeInteger(value)) return inRange(BigInt(value) * UNIT);
  const { digits, exponent } = shortestForm(value);
  const shift = exponent + SCALE;
  return shift < 0 ? null : inRange(digits * 10n ** BigInt(shift));
}

function fromText(text: string): bigint | null {
  const [match, sign, whole = "", fraction = ""] = PLAIN.exec(text) ?? [];
  if (match === undefined || !/^0*$/.test(fraction.slice(SCALE))) return null;
  const units = BigInt(whole + fraction.slice(0, SCALE).padEnd(SCALE, "0"));
  return inRange(sign === "-" ? -units : units);
}

export const addDecimals = ofDecimals((left, right) => left + right);
export const subtractDecimals = ofDecimals((left, right) => left - right);
export const multiplyDecimals = ofDecimals((left, right) => {
  const product = left * right;
  return product % UNIT === 0n ? product / UNIT : null;
});

type DecimalArithmetic = (left: Value, right: Value) => bigint | null;

/** Applies an exact operation to decimals, or a decimal and a number; null if inexact. */
function ofDecimals(apply: (left: bigint, right: bigint) => bigint | null): DecimalArithmetic {
  return (left, right) => {
    if (typeof left !== "bigint" && typeof right !== "bigint") return null;
    if (typeof left === "string" || typeof right === "string") return null;
    const leftUnits = toDecimal(left);
    const rightUnits = toDecimal(right);
    if (leftUnits === null || rightUnits === null) return null;
    const result = apply(leftUnits, rightUnits);
    return result === null ? null : inRange(result);
  };
}

function inRange(units: bigint): bigint | null {
  return isInRange(units) ? units : null;
}

/** Exact order of a decimal and a finite number: negative, 0 or positive. */
export function compareToNumber(units: bigint, value: number): number {
  // Safe integers only: the double nearest to 1e23 is 99999999999999991611392, but its shortest
  // form, which counts, is 1e23.
  if (Number.isSafeInteger(value)) return sign(units - BigInt(value) * UNIT);
  const { digits, exponent } = shortestForm(value);
  const shift = exponent + SCALE;
  return shift < 0 ? sign(units * 10n ** BigInt(-shift) - digits) : sign(units - digits * 10n ** BigInt(shift));
}

/**
 * `value` as digits × 10^exponent, by the shortest decimal that parses to the same double (ECMA-262
 * Number::toString).
 */
function shortestForm(value: number): { readonly digits: bigint; readonly exponent: number } {
  const [, sign, whole = "0", fraction = "", power = "0"] = SCIENTIFIC.exec(String(value)) ?? [];
  const digits = BigInt(whole + fraction);
  return { digits: sign === "-" ? -digits : digits, exponent: Number(power) - fraction.length };
}

function sign(difference: bigint): number {
  return difference === 0n ? 0 : difference < 0n ? -1 : 1;
}

// RFC 3339 section 5.6, which permits lower case t and z and any number of fraction digits.
const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/**
 * `time(s)`: epoch ms of an RFC 3339 date-time, truncated to milliseconds. A leap second counts as
 * the first second of the next minute, as in POSIX time.
 * @returns null for other types, invalid days, and local times without an offset.
 */
export function toEpochMs(value: Value): number | null {
  if (typeof value !== "string" || value.length > LIMITS.convertedUnits) return null;
  const match = RFC_3339.exec(value);
  if (match === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  const offsetHour = Number(match[9] ?? 0);
  const offsetMinute = Number(match[10] ?? 0);
  if (hour > 23 || minute > 59 || second > 60 || offsetHour > 23 || offsetMinute > 59) return null;

  // Date.UTC maps the years 0000 to 0099 to 1900 to 1999.
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  const ms = Number((match[7] ?? "").padEnd(3, "0").slice(0, 3));
  const offsetMs = (match[8] === "-" ? -1 : 1) * (offsetHour * 60 + offsetMinute) * 60_000;
  return date.getTime() + ((hour * 60 + minute) * 60 + second) * 1000 + ms - offsetMs;
}

/** Index of the unit after the first `count` code points of `text`; -1 if it is not longer. */
export function unitsOfCodePoints(text: string, count: number): number {
  if (text.length <= count) return -1;
  let at = 0;
  for (let seen = 0; seen < count && at < text.length; seen++) {
    at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  }
  return at < text.length ? at : -1;
}

/** Truncates `text` to at most `count` (≥ 1) code points, ending in `…` if something was cut. */
export function cutText(text: string, count: number): string {
  if (unitsOfCodePoints(text, count) === -1) return text;
  return `${text.slice(0, unitsOfCodePoints(text, count - 1))}…`;
}

/** Replaces lone surrogates in `text` by U+FFFD, so that it survives UTF-8 encoding. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

/** A condition exceeds the steps that were left. */
export class ConditionTooCostly extends PrismError {
  override readonly name = "ConditionTooCostly";
  constructor() {
    super(
      "INTERNAL",
      "the condition takes too long on this event: it searches or makes too much text; use fewer and smaller patterns",
    );
  }
}

/** Keeps a sum a small integer. */
const SMALL = 0x3fff_ffff;

/**
 * Counts, in steps of about 10 ns, the work that grows with the event: searching or building texts
 * and lists. Texts and lists up to {@link FREE_UNITS} are part of a condition's fixed cost.
 */
class EvaluationBudget {
  /** Always a small integer: V8 would allocate for other numbers. */
  leftSteps: number = LIMITS.evaluationSteps;
  #given: number = LIMITS.evaluationSteps;
  #taken = 0;

  /** Resets the budget. @param steps limit for the next evaluations together */
  begin(steps: number = LIMITS.evaluationSteps): void {
    this.#taken = (this.#taken + this.#given - this.leftSteps) & SMALL;
    this.#given = steps;
    this.leftSteps = steps;
  }

  /** Runs evaluations that begin budgets of their own. @returns also the steps of all of them */
  measure<T>(evaluate: () => T): { readonly result: T; readonly steps: number } {
    this.begin();
    const before = this.#taken;
    const result = evaluate();
    this.begin();
    return { result, steps: (this.#taken - before) & SMALL };
  }

  /** Call it before the work. @param steps a whole number @throws ConditionTooCostly */
  charge(steps: number): void {
    this.leftSteps -= steps;
    if (this.leftSteps < 0) throw new ConditionTooCostly();
  }
}

/** One per thread: evaluations are synchronous. */
export const evaluationBudget = new EvaluationBudget();

/** Length of a text in UTF-16 units up to which reading or building it is free. */
export const FREE_UNITS = 64;
