const SCALE = 4;
/** 999999999999999.9999, the largest DECIMAL(19,4). */
const LARGEST_UNITS = 10n ** 19n - 1n;
const PLAIN = /^(-?)(\d{1,15})(?:\.(\d{1,4}))?$/;

/** Exact amounts as a count of 1e-4, which no double holds over the whole range. */
export type MoneyUnits = bigint;

/**
 * An amount as somebody writes it: a decimal text, or a JSON number, which counts as its shortest
 * decimal form. A number whose units pass 2^53 - 1 may have been rounded before it came here.
 * @returns undefined for what is not exactly an amount.
 */
export function parseMoney(value: string | number): MoneyUnits | undefined {
  const [match, sign, whole = "", fraction = ""] = PLAIN.exec(String(value)) ?? [];
  if (match === undefined) return undefined;
  const size = BigInt(whole + fraction.padEnd(SCALE, "0"));
  if (typeof value === "number" && size > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  return sign === "-" ? -size : size;
}

/** {@link parseMoney} of a text that this program has written. @throws TypeError */
export function moneyOf(text: string): MoneyUnits {
  const units = parseMoney(text);
  if (units === undefined) throw new TypeError(`not an amount of money: ${text}`);
  return units;
}

/**
 * The one text of an amount: no leading zeros, none behind the last digit of the fraction, and no
 * minus before nothing.
 */
export function moneyText(units: MoneyUnits): string {
  const digits = String(units < 0n ? -units : units).padStart(SCALE + 1, "0");
  const fraction = digits.slice(-SCALE).replace(/0+$/, "");
  return `${units < 0n ? "-" : ""}${digits.slice(0, -SCALE)}${fraction === "" ? "" : `.${fraction}`}`;
}

/** Whether the amount can be written at all. */
export function isMoney(units: MoneyUnits): boolean {
  return units >= -LARGEST_UNITS && units <= LARGEST_UNITS;
}
