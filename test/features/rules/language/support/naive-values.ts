/** A decimal: an integer and the power of ten it is divided by. */
export class Decimal {
  readonly digits: bigint;
  readonly places: number;

  constructor(digits: bigint, places: number) {
    this.digits = digits;
    this.places = places;
  }

  /** From a plain or scientific decimal text, whatever its length. */
  static parse(text: string): Decimal {
    const [mantissa = "", power = "0"] = text.split("e");
    const [whole = "", fraction = ""] = mantissa.split(".");
    const digits = BigInt(`${whole}${fraction}`.replace("-", ""));
    const places = fraction.length - Number(power);
    const signed = text.startsWith("-") ? -digits : digits;
    return places >= 0 ? new Decimal(signed, places) : new Decimal(signed * 10n ** BigInt(-places), 0);
  }

  compare(other: Decimal): number {
    const places = Math.max(this.places, other.places);
    const a = this.digits * 10n ** BigInt(places - this.places);
    const b = other.digits * 10n ** BigInt(places - other.places);
    return a < b ? -1 : a > b ? 1 : 0;
  }

  /** Plain, without needless zeros. */
  toString(): string {
    const sign = this.digits < 0n ? "-" : "";
    const text = String(this.digits < 0n ? -this.digits : this.digits).padStart(this.places + 1, "0");
    const whole = text.slice(0, text.length - this.places);
    const fraction = text.slice(text.length - this.places).replace(/0+$/, "");
    return fraction === "" ? `${sign}${whole}` : `${sign}${whole}.${fraction}`;
  }

  /** Whether DECIMAL(19,4) holds it without loss. */
  fits(): boolean {
    const [whole = "", fraction = ""] = this.toString().replace("-", "").split(".");
    return whole.length <= 15 && fraction.length <= 4;
  }
}

export type NaiveValue =
  | null
  | boolean
  | number
  | string
  | Decimal
  | readonly NaiveValue[]
  | { readonly [member: string]: unknown };

export function isNumber(value: NaiveValue | undefined): value is number {
  return typeof value === "number";
}

/** `==` of two values that are not null. */
export function equals(a: NaiveValue, b: NaiveValue): boolean {
  if (a === null || b === null) return false;
  if (a instanceof Decimal || b instanceof Decimal) return compare(a, b) === 0;
  if (typeof a === "object" || typeof b === "object") return false;
  return a === b;
}

/** The order of two values that have one. */
export function compare(a: NaiveValue, b: NaiveValue): number | undefined {
  if (isNumber(a) && isNumber(b)) return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === "string" && typeof b === "string") return compareLists(codePoints(a), codePoints(b));
  const [left, right] = [asDecimal(a), asDecimal(b)];
  return left !== undefined && right !== undefined ? left.compare(right) : undefined;
}

function asDecimal(value: NaiveValue): Decimal | undefined {
  if (value instanceof Decimal) return value;
  return isNumber(value) ? Decimal.parse(String(value)) : undefined;
}

function codePoints(text: string): number[] {
  return [...text].map((character) => character.codePointAt(0) ?? 0);
}

function compareLists(a: readonly number[], b: readonly number[]): number {
  for (const [index, left] of a.entries()) {
    const right = b[index];
    if (right === undefined) return 1;
    if (left !== right) return left - right;
  }
  return a.length - b.length;
}
