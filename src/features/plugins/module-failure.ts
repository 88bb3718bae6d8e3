import { withinOr } from "../../core/within.ts";
import { placeOf } from "./error-place.ts";

/** Why a module is not active. The message is for operators: it names what is wrong and, where there is one, the next step. */
export class ModuleFailure extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ModuleFailure";
  }
}

/** What a module's own code has thrown, with where it did. @param copy the folder that the module was imported from. */
export function failureOf(error: unknown, copy: string): ModuleFailure {
  const place = placeOf(error, copy);
  const text = failureText(error);
  return new ModuleFailure(place === undefined ? text : `${text} (${place})`, { cause: error });
}

/** What the log is to show of a failure: the error of the module's own code, where there is one. */
export function causeOf(failure: unknown): unknown {
  return failure instanceof ModuleFailure && failure.cause !== undefined ? failure.cause : failure;
}

const MAX_LENGTH = 2000;

/** What a module's own error says, in a length that fits a table. */
export function failureText(error: unknown): string {
  const text = error instanceof Error ? (error.message === "" ? error.name : error.message) : String(error);
  return text.slice(0, MAX_LENGTH);
}

/** Resolves as `work` does. @throws ModuleFailure when that takes longer. */
export function withinLimit<T>(work: Promise<T>, limitMs: number, what: string): Promise<T> {
  return withinOr(limitMs, work, () => {
    throw new ModuleFailure(`${what} has not ended within ${limitMs / 1000} s`);
  });
}
