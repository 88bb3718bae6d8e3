const SCALE = 4;
/** 999999999999999.9999, the largest DECIMAL(19,4). */
const LARGEST_UNITS = 10n ** 19n - 1n;
const PLAIN = /^(-?)(\d{1,15})(?:\.(\d{1,4}))?$/;

/** An exact amount in units of 1e-4, whose range exceeds that of a double. */
export type MoneyUnits = bigint;

/**
 * Parses an amount: a decimal text, or a JSON number by its shortest decimal form. A number beyond
 * 2^53 - 1 units may have been rounded earlier.
 * @returns undefined if it is not an exact amount.
 */
export function parseMoney(value: string | number): MoneyUnits | undefined {
  const [match, sign, whole = "", fraction = ""] = PLAIN.exec(String(value)) ?? [];
  if (match === undefined) return undefined;
  const size = BigInt(whole + fraction.padEnd(SCALE, "0"));
  if (typeof value === "number" && size > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  return sign === "-" ? -size : size;
}

/** {@link parseMoney} for a text written by this program. @throws TypeError */
export function moneyOf(text: string): MoneyUnits {
  const units = parseMoney(text);
  if (units === undefined) throw new TypeError(`not an amount of money: ${text}`);
  return units;
}

/** The canonical text of an amount: no leading or trailing zeros, no negative zero. */
export function moneyText(units: MoneyUnits): string {
  const digits = String(units < 0n ? -units : units).padStart(SCALE + 1, "0");
  const fraction = digits.slice(-SCALE).replace(/0+$/, "");
  return `${units < 0n ? "-" : ""}${digits.slice(0, -SCALE)}${fraction === "" ? "" : `.${fraction}`}`;
}

/** Whether the amount is in range. */
export function isMoney(units: MoneyUnits): boolean {
  return units >= -LARGEST_UNITS && units <= LARGEST_UNITS;
}
