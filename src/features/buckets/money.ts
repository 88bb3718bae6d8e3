import { SCALE } from "../../core/text/decimal.ts";

const PLAIN = /^(-?)(\d{1,15})(?:\.(\d{1,4}))?$/;

/**
 * Parses an amount in units of 1e-4: a decimal text, or a JSON number by its shortest decimal form. A number beyond
 * 2^53 - 1 units may have been rounded earlier.
 * @returns undefined if it is not an exact amount.
 */
export function parseMoney(value: string | number): bigint | undefined {
  const [match, sign, whole = "", fraction = ""] = PLAIN.exec(String(value)) ?? [];
  if (match === undefined) return undefined;
  const size = BigInt(whole + fraction.padEnd(SCALE, "0"));
  if (typeof value === "number" && size > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  return sign === "-" ? -size : size;
}

/** {@link parseMoney} for a text written by this program. @throws TypeError */
export function moneyOf(text: string): bigint {
  const units = parseMoney(text);
  if (units === undefined) throw new TypeError(`not an amount of money: ${text}`);
  return units;
}
