/* DECIMAL(19,4): exact values in units of 1e-4, whose range exceeds that of a double. */

export const SCALE = 4;
export const UNIT = 10_000n;
/** 999999999999999.9999 */
const LARGEST = 10n ** 19n - 1n;

export function isInRange(units: bigint): boolean {
  return units >= -LARGEST && units <= LARGEST;
}

/** The shortest plain decimal: no leading or trailing zeros, no negative zero, no point without digits after it. */
export function decimalText(units: bigint): string {
  const digits = String(units < 0n ? -units : units).padStart(SCALE + 1, "0");
  const fraction = digits.slice(-SCALE).replace(/0+$/, "");
  return `${units < 0n ? "-" : ""}${digits.slice(0, -SCALE)}${fraction === "" ? "" : `.${fraction}`}`;
}
