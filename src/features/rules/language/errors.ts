import { type ErrorDetail, PrismError } from "../../../core/errors.ts";

/** A condition that does not read. `details[0]` is `{path:"condition", code, message, position, line, column, expected}`. */
export class InvalidCondition extends PrismError {
  /** 0-based index, in UTF-16 units, of the place in the condition. */
  readonly position: number;
  readonly expected: readonly string[];

  constructor(source: string, refusal: Refusal) {
    const detail = detailOf("condition", source, refusal);
    super("INVALID_CONDITION", sentenceOf("condition", detail), { details: [detail] });
    this.position = refusal.position;
    this.expected = refusal.expected;
  }
}

/** A template that does not read. `details[0]` is as in `InvalidCondition`; its `path` is the field that holds the template. */
export class InvalidTemplate extends PrismError {
  readonly position: number;
  readonly expected: readonly string[];

  constructor(field: string, source: string, refusal: Refusal) {
    const detail = detailOf(field, source, refusal);
    super("INVALID_TEMPLATE", sentenceOf(field, detail), { details: [detail] });
    this.position = refusal.position;
    this.expected = refusal.expected;
  }
}

interface RefusalDetail extends ErrorDetail {
  readonly position: number;
  readonly line: number;
  readonly column: number;
  readonly expected: readonly string[];
}

function detailOf(path: string, source: string, refusal: Refusal): RefusalDetail {
  const { code, message, position, expected } = refusal;
  return { path, code, message, position, ...placeOf(source, position), expected };
}

function sentenceOf(field: string, { line, column, message }: RefusalDetail): string {
  return `${field}, line ${line}, column ${column}: ${message}`;
}

type RefusalCode = "SYNTAX" | "UNKNOWN_NAME" | "UNSAFE_NAME" | "LIMIT" | "TYPE" | "REGEX";

/**
 * Why a condition or template is not accepted, thrown by whichever step of reading it finds out. It stays inside this folder:
 * `compileCondition` and `compileTemplate` turn it into their public errors.
 */
export class Refusal extends Error {
  readonly code: RefusalCode;
  /** 0-based index, in UTF-16 units, of the place in the source. */
  readonly position: number;
  /** What could stand there, for people; empty where no short list would be true. */
  readonly expected: readonly string[];

  constructor(code: RefusalCode, position: number, message: string, expected: readonly string[] = []) {
    super(message);
    this.code = code;
    this.position = position;
    this.expected = expected;
  }
}

/** Line and column, both from 1, of the unit `position` in `source`. */
export function placeOf(source: string, position: number): { readonly line: number; readonly column: number } {
  const linesBefore = source.slice(0, position).split("\n");
  return { line: linesBefore.length, column: (linesBefore.at(-1) ?? "").length + 1 };
}
