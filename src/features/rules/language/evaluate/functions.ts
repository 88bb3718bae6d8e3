import type { PlainFunctionName } from "../parse/tree.ts";
import { toDecimal } from "./decimal.ts";
import { abs, ceil, floor, max, min, number, round, string } from "./number-functions.ts";
import {
  concat,
  contains,
  endsWith,
  length,
  lower,
  split,
  startsWith,
  substr,
  trim,
  upper,
} from "./string-functions.ts";
import { toEpochMs } from "./timestamp.ts";
import type { Value } from "./value.ts";

/** A function of the language: total (a wrong type gives null or false, never an exception). */
export type LanguageFunction = (...args: Value[]) => Value;

/** What the functions of contract 6.2 do; `now` is not among them, since it asks the event. */
export const FUNCTIONS: Readonly<Record<Exclude<PlainFunctionName, "now">, LanguageFunction>> = {
  lower,
  upper,
  trim,
  length,
  contains,
  startsWith,
  endsWith,
  concat,
  substr,
  split,
  abs,
  min,
  max,
  round,
  floor,
  ceil,
  number,
  string,
  dec: toDecimal,
  time: toEpochMs,
};
