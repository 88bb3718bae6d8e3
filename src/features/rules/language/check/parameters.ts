import type { PlainFunctionName } from "../parse/tree.ts";
import type { ValueType } from "./value-types.ts";

const TEXT: readonly ValueType[] = ["text"];
const NUMBER: readonly ValueType[] = ["number"];

/** The types that functions take, by argument; the last is for all that follow. Functions that take anything are absent. */
export const PARAMETERS: Readonly<Partial<Record<PlainFunctionName, readonly (readonly ValueType[])[]>>> = {
  lower: [TEXT],
  upper: [TEXT],
  trim: [TEXT],
  length: [["text", "list"]],
  contains: [
    ["text", "list"],
    ["text", "number", "boolean", "decimal"],
  ],
  startsWith: [TEXT],
  endsWith: [TEXT],
  concat: [TEXT],
  substr: [TEXT, NUMBER],
  split: [TEXT],
  abs: [NUMBER],
  min: [NUMBER],
  max: [NUMBER],
  round: [NUMBER],
  floor: [NUMBER],
  ceil: [NUMBER],
  number: [["text", "number", "decimal"]],
  string: [["text", "number", "boolean", "decimal"]],
  dec: [["text", "number", "decimal"]],
  time: [TEXT],
};
