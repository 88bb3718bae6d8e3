import { compileCondition, InvalidCondition } from "../../../../../src/features/rules/language/language.ts";

interface Refused {
  readonly code: unknown;
  readonly position: unknown;
  readonly message: string;
  readonly expected: unknown;
  readonly detail: Readonly<Record<string, unknown>>;
}

/**
 * What `source` is refused with. @throws where it is not refused, or with anything but
 * InvalidCondition.
 */
export function refusalOf(source: string): Refused {
  try {
    compileCondition(source);
  } catch (error) {
    if (!(error instanceof InvalidCondition)) throw error;
    const [detail] = error.details ?? [];
    if (detail === undefined) throw new TypeError("an InvalidCondition without details");
    const { code, position, message, expected } = detail;
    return { code, position, message, expected, detail };
  }
  throw new TypeError(`not refused: ${source}`);
}

/** Removes the `▸` from a source: it marks the expected position of an error. */
export function marked(text: string): { readonly source: string; readonly position: number } {
  const position = text.indexOf("▸");
  if (position === -1) throw new TypeError(`no ▸ in ${text}`);
  return { source: text.replace("▸", ""), position };
}
