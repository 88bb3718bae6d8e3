import { sql } from "kysely";

/** What counts as an error (D29): by its level, or by a type that says so. */
export function isErrorEvent({ type, level }: { readonly type: string; readonly level: string }): boolean {
  if (level === "error" || level === "fatal") return true;
  return type === "error" || type.startsWith("error.") || type.endsWith(".error");
}

/** {@link isErrorEvent} of a row of `events`. */
export const IS_ERROR_ROW = sql<boolean>`(level in ('error', 'fatal') or type = 'error' or type glob 'error.*' or type glob '*.error')`;
