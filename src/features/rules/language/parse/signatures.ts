/** What a call can give. `argument`: the type of whichever argument it chooses. */
type ResultType = "boolean" | "number" | "string" | "list" | "decimal" | "argument";

interface Signature {
  /** Fewest and most arguments. */
  readonly min: number;
  readonly max: number;
  readonly result: ResultType;
}

/** Every function of the language (contract 6.2). A name that is not here is refused as unknown. */
const SIGNATURES = {
  exists: { min: 1, max: 1, result: "boolean" },
  lower: { min: 1, max: 1, result: "string" },
  upper: { min: 1, max: 1, result: "string" },
  trim: { min: 1, max: 1, result: "string" },
  length: { min: 1, max: 1, result: "number" },
  contains: { min: 2, max: 2, result: "boolean" },
  startsWith: { min: 2, max: 2, result: "boolean" },
  endsWith: { min: 2, max: 2, result: "boolean" },
  matches: { min: 2, max: 2, result: "boolean" },
  concat: { min: 1, max: 8, result: "string" },
  substr: { min: 3, max: 3, result: "string" },
  split: { min: 2, max: 2, result: "list" },
  abs: { min: 1, max: 1, result: "number" },
  min: { min: 1, max: 8, result: "number" },
  max: { min: 1, max: 8, result: "number" },
  round: { min: 1, max: 1, result: "number" },
  floor: { min: 1, max: 1, result: "number" },
  ceil: { min: 1, max: 1, result: "number" },
  number: { min: 1, max: 1, result: "number" },
  string: { min: 1, max: 1, result: "string" },
  dec: { min: 1, max: 1, result: "decimal" },
  time: { min: 1, max: 1, result: "number" },
  now: { min: 0, max: 0, result: "number" },
  coalesce: { min: 1, max: 8, result: "argument" },
  if: { min: 3, max: 3, result: "argument" },
} as const satisfies Record<string, Signature>;

export type FunctionName = keyof typeof SIGNATURES;

export const FUNCTION_NAMES = Object.keys(SIGNATURES) as readonly FunctionName[];

/** What functions are called elsewhere, in lower case. */
export const OTHER_NAMES: ReadonlyMap<string, FunctionName> = new Map([
  ["len", "length"],
  ["size", "length"],
  ["includes", "contains"],
  ["has", "exists"],
  ["match", "matches"],
  ["regex", "matches"],
  ["tolower", "lower"],
  ["toupper", "upper"],
  ["decimal", "dec"],
  ["int", "number"],
  ["str", "string"],
  ["date", "time"],
  ["substring", "substr"],
]);

export function isFunctionName(name: string): name is FunctionName {
  return Object.hasOwn(SIGNATURES, name);
}

export function signatureOf(name: FunctionName): Signature {
  return SIGNATURES[name];
}
