import { LIMITS } from "../limits.ts";
import type { Value } from "./value.ts";

const SCALE = 4;
const UNIT = 10_000n;
/** 999999999999999.9999, the largest DECIMAL(19,4). */
const LARGEST = 10n ** 19n - 1n;

const PLAIN = /^(-?)([0-9]+)(?:\.([0-9]+))?$/;
const SCIENTIFIC = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:e([+-][0-9]+))?$/;

/**
 * `dec(x)`: the exact value of a decimal string or number in 1e-4 units. A number counts as its shortest decimal form.
 *
 * @returns null for what DECIMAL(19,4) cannot hold exactly, for other notations, and for other types.
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

/** Of two decimals, or one and a number; exact, or null. */
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
  return units >= -LARGEST && units <= LARGEST ? units : null;
}

/** Order of a decimal and a finite number, exact: negative, 0 or positive. */
export function compareToNumber(units: bigint, value: number): number {
  // Only these: the double nearest to 1e23 is 99999999999999991611392, but its shortest form, which counts, is 1e23.
  if (Number.isSafeInteger(value)) return sign(units - BigInt(value) * UNIT);
  const { digits, exponent } = shortestForm(value);
  const shift = exponent + SCALE;
  return shift < 0 ? sign(units * 10n ** BigInt(-shift) - digits) : sign(units - digits * 10n ** BigInt(shift));
}

/** `value` as digits × 10^exponent, by the shortest decimal that reads back as the same double (ECMA-262 Number::toString). */
function shortestForm(value: number): { readonly digits: bigint; readonly exponent: number } {
  const [, sign, whole = "0", fraction = "", power = "0"] = SCIENTIFIC.exec(String(value)) ?? [];
  const digits = BigInt(whole + fraction);
  return { digits: sign === "-" ? -digits : digits, exponent: Number(power) - fraction.length };
}

function sign(difference: bigint): number {
  return difference === 0n ? 0 : difference < 0n ? -1 : 1;
}

/** The shortest plain decimal: no trailing zeros after the point, no point without digits after it. */
export function decimalText(units: bigint): string {
  const digits = String(units < 0n ? -units : units).padStart(SCALE + 1, "0");
  const fraction = digits.slice(-SCALE).replace(/0+$/, "");
  return `${units < 0n ? "-" : ""}${digits.slice(0, -SCALE)}${fraction === "" ? "" : `.${fraction}`}`;
}
