/** Digits in a row that a double may not hold. */
const LONG = /\d{16}/;
/** No identity is longer; longer ones stay numbers. */
const INTEGER = /^-?\d{16,100}$/;

/** Not yet in the types: a text that JSON.stringify writes as it is. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/**
 * An integer of JSON that a double cannot hold, such as an id of 64 bits. `JSON.stringify` writes its
 * digits as a number.
 */
export class LongInteger {
  readonly digits: string;

  constructor(digits: string) {
    this.digits = digits;
  }

  toString(): string {
    return this.digits;
  }

  toJSON(): unknown {
    return rawJSON(this.digits);
  }
}

/** As `JSON.parse`, with such integers as {@link LongInteger}. A text without long digits costs a look. @throws SyntaxError */
export function parseWithLongIntegers(text: string): unknown {
  return LONG.test(text) ? JSON.parse(text, kept) : JSON.parse(text);
}

function kept(_: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const { source = "" } = context ?? {};
  return INTEGER.test(source) ? new LongInteger(source) : value;
}

/** A copy for another thread, which knows no classes: long integers as bigints. */
export function withBigInts(value: unknown): unknown {
  return copied(value, (each) => (each instanceof LongInteger ? BigInt(each.digits) : undefined));
}

/** Reverts {@link withBigInts}. */
export function withLongIntegers(value: unknown): unknown {
  return copied(value, (each) => (typeof each === "bigint" ? new LongInteger(String(each)) : undefined));
}

function copied(value: unknown, changed: (value: unknown) => unknown): unknown {
  const other = changed(value);
  if (other !== undefined) return other;
  if (Array.isArray(value)) return value.map((each: unknown) => copied(each, changed));
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, copied(each, changed)]));
}

/** Whether a value has such an integer, or digits that look like one. */
export function mayHaveLongIntegers(value: unknown): boolean {
  return LONG.test(JSON.stringify(value));
}
