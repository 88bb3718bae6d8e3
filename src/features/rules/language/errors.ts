import { PrismError } from "../../../core/errors.ts";

/**
 * A source that does not read. `details[0]` is `{path, code, message, position, line, column,
 * expected}`; `path` names the field.
 */
class InvalidSource extends PrismError {
  /** 0-based index, in UTF-16 units, of the character where reading stopped. */
  readonly position: number;
  readonly expected: readonly string[];

  constructor(code: "INVALID_CONDITION" | "INVALID_TEMPLATE", field: string, source: string, refusal: Refusal) {
    const { code: why, message, position, expected } = refusal;
    const detail = { path: field, code: why, message, position, ...placeOf(source, position), expected };
    super(code, `${field}, line ${detail.line}, column ${detail.column}: ${detail.message}`, { details: [detail] });
    this.position = position;
    this.expected = expected;
  }
}

export class InvalidCondition extends InvalidSource {
  constructor(source: string, refusal: Refusal) {
    super("INVALID_CONDITION", "condition", source, refusal);
  }
}

export class InvalidTemplate extends InvalidSource {
  constructor(field: string, source: string, refusal: Refusal) {
    super("INVALID_TEMPLATE", field, source, refusal);
  }
}

type RefusalCode = "SYNTAX" | "UNKNOWN_NAME" | "UNSAFE_NAME" | "LIMIT" | "TYPE" | "REGEX";

/**
 * Why a condition or template is not accepted, thrown by whichever step of reading it finds out. It
 * stays inside this folder: `compileCondition` and `compileTemplate` turn it into their public
 * errors.
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
