import * as v from "valibot";
import type { DatabaseFile } from "./database-file.ts";
import { unreadable } from "./http-source.ts";

/** Reads tables as rows of a shape. @throws CommandError 7 for a row of another shape, which names no value */
export function rowsAs(database: Pick<DatabaseFile, "rows">) {
  return async <S extends v.GenericSchema>(table: string, shape: S): Promise<readonly v.InferOutput<S>[]> =>
    shaped(v.array(shape), await database.rows(table), table);
}

/** @throws CommandError 7, which names the place and no value */
export function shaped<S extends v.GenericSchema>(shape: S, value: unknown, what: string): v.InferOutput<S> {
  const found = v.safeParse(shape, value);
  if (found.success) return found.output;
  throw unreadable(`${what}: ${v.getDotPath(found.issues[0]) ?? "it"} is not as described`);
}

export function isMembers(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/* Columns. Of a folder of tables all values are texts. */

export const number = v.union([v.number(), v.pipe(v.string(), v.regex(/^-?\d+$/), v.transform(Number))]);
export const text = v.pipe(v.union([v.string(), v.number()]), v.transform(String));
export const optional = v.nullish(text);
export const flag = v.pipe(
  v.nullish(v.union([v.number(), v.string()])),
  v.transform((value) => ["1", "t", "true"].includes(String(value))),
);
