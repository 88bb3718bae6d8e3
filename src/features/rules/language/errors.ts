import { PrismError } from "../../../core/errors.ts";

/** `details[0]`: `{path, code, message, position, line, column, expected}`; `path`: the field. */
class InvalidSource extends PrismError {
  override readonly name: string = "InvalidSource";
  /** 0-based index, in UTF-16 units, of the character at which reading stopped. */
  readonly position: number;
  readonly expected: readonly string[];

  constructor(code: "INVALID_CONDITION" | "INVALID_TEMPLATE", field: string, source: string, refusal: Refusal) {
    const { code: why, message, position, expected } = refusal;
    const detail = { path: field, code: why, message, position, ...locationOf(source, position), expected };
    super(code, `${field}, line ${detail.line}, column ${detail.column}: ${detail.message}`, { details: [detail] });
    this.position = position;
    this.expected = expected;
  }
}

export class InvalidCondition extends InvalidSource {
  override readonly name: string = "InvalidCondition";
  constructor(source: string, refusal: Refusal) {
    super("INVALID_CONDITION", "condition", source, refusal);
  }
}

export class InvalidTemplate extends InvalidSource {
  override readonly name: string = "InvalidTemplate";
  constructor(field: string, source: string, refusal: Refusal) {
    super("INVALID_TEMPLATE", field, source, refusal);
  }
}

type RefusalCode = "SYNTAX" | "UNKNOWN_NAME" | "UNSAFE_NAME" | "LIMIT" | "TYPE" | "REGEX";

/**
 * Why a condition or template is refused, thrown by any step of reading it. Internal to this
 * folder: `compileCondition` and `compileTemplate` convert it to their public errors.
 */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code: RefusalCode;
  /** 0-based index in the source, in UTF-16 units. */
  readonly position: number;
  /** Expected tokens, for people; empty if no short list is correct. */
  readonly expected: readonly string[];

  constructor(code: RefusalCode, position: number, message: string, expected: readonly string[] = []) {
    super(message);
    this.code = code;
    this.position = position;
    this.expected = expected;
  }
}

/** 1-based line and column of the index `position` in `source`. */
export function locationOf(source: string, position: number): { readonly line: number; readonly column: number } {
  const linesBefore = source.slice(0, position).split("\n");
  return { line: linesBefore.length, column: (linesBefore.at(-1) ?? "").length + 1 };
}
