import type { Kysely } from "kysely";
import { PrismError } from "../../core/errors.ts";

/** What a service throws to the code of an instance that has ended. The log has named it already. */
export class InstanceEnded extends PrismError {
  constructor(module: string, call: string) {
    super("MODULE_UNAVAILABLE", `This instance of the module ${module} has ended; it may not call ${call}`);
  }
}

/** @throws InstanceEnded when the instance that calls has ended. @param call such as `kv.set` */
export type RequireInstance = (call: string) => void;

/** Methods that answer at once; all others return a promise, which is then rejected. */
const IMMEDIATE = new Set([
  "events.emit",
  "events.on",
  "events.once",
  "events.consume",
  "scheduler.handle",
  "realtime.isLive",
  "realtime.authorizeChannel",
]);

/** The same service for one instance of a module: every method checks first that the instance has not ended. */
export function untilEnd<T extends object>(name: string, service: T, requireInstance: RequireInstance): T {
  const methods = Object.entries(service).map(([method, call]: [string, (...args: unknown[]) => unknown]) => {
    const fullName = `${name}.${method}`;
    const checked = (...args: unknown[]): unknown => {
      requireInstance(fullName);
      return call(...args);
    };
    return [method, IMMEDIATE.has(fullName) ? checked : async (...args: unknown[]) => checked(...args)] as const;
  });
  return Object.fromEntries(methods) as T;
}

/** The same reader for one instance of a module. Queries that were built before its end are refused as well. */
export function readerUntilEnd<T>(read: Kysely<T>, requireInstance: RequireInstance): Kysely<T> {
  return read.withPlugin({
    transformQuery: ({ node }) => {
      requireInstance("db.read");
      return node;
    },
    transformResult: async ({ result }) => result,
  });
}
