import type { Known } from "./known.ts";
import type { AccessWorld } from "./world.ts";

/** A request that would succeed if its sender may. */
export interface Request {
  readonly path: string;
  readonly body?: unknown;
  /** HEAD instead of GET: an event stream has no end. */
  readonly method?: string;
}

export type Refusal = readonly [status: number, code: string];

/** What the contract says of a caller. Null: served. */
export type Rule = (who: Known) => Refusal | null;

export interface Row {
  readonly refusal: Rule;
  /** Without the parameter `who` it is built once for all callers whose request changes nothing. */
  readonly request: (world: AccessWorld, who: Known, isServed: boolean) => Request | Promise<Request>;
  /** Served to all callers, with or without a credential. */
  readonly isPublic?: true;
  /** Of a public route: invalid credentials are refused all the same, as 401 UNAUTHENTICATED. */
  readonly refusesInvalid?: true;
  /** Only the operator is served, by the control socket. */
  readonly isOperators?: true;
  /** What a request that is let in answers, where that is no success. */
  readonly served?: Refusal;
}

/** Rows by method and canonical path; most have one. */
export type Table = Readonly<Record<string, Row | readonly Row[]>>;

/** An id that nothing has. */
export const NO_ID = "0198c0de-0000-7000-8000-000000000000";

export const at =
  (path: string, body?: unknown): Row["request"] =>
  () => ({ path, body });

export const inWorld =
  (path: (world: AccessWorld) => string, body?: unknown): Row["request"] =>
  (world) => ({ path: path(world), body });

export const open = (path: string): Row => ({ isPublic: true, refusal: () => null, request: at(path) });
