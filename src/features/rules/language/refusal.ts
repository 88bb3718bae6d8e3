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
