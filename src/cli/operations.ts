import { readAsset } from "../core/runtime.ts";
import type { Operation } from "../http/api/openapi/operation-table.ts";

let table: ReadonlyMap<string, Operation> | undefined;

/**
 * The operations of this program's own server, by id. Read once, by commands that need them; the
 * build writes them (http/api/openapi/operation-table.ts).
 */
export function operations(): ReadonlyMap<string, Operation> {
  table ??= byId(JSON.parse(readAsset("operations.json", "dist/operations.json").toString("utf8")) as Operation[]);
  return table;
}

export function byId(list: readonly Operation[]): ReadonlyMap<string, Operation> {
  return new Map(list.map((operation) => [operation.id, operation]));
}

/** The path of a request. @param given values of its parameters */
export function pathOf({ path }: Operation, given: Readonly<Record<string, unknown>>): string {
  return path.replace(/\{(\w+)\}/g, (_whole, name: string) => encodeURIComponent(String(given[name])));
}
