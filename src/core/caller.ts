import { userInfo } from "node:os";
import { AsyncScope } from "./async-scope.ts";
import type { Principal } from "./principal.ts";

/** Counted work: what of a request costs time on the main thread. */
export interface Work {
  /** Bytes that are received and kept. */
  readonly read?: number;
  /** Bytes that are decoded and parsed, or encoded. */
  readonly bytes?: number;
  /** Members of objects and elements of lists, lines of a mail, parts of a form. */
  readonly members?: number;
  /** Steps of rules, mappings and templates. */
  readonly steps?: number;
  /** Rows that are stored: events, alerts, entries of a log. */
  readonly rows?: number;
  /** Rows that the database returns. */
  readonly found?: number;
  /** Chunks of a body, however small. */
  readonly chunks?: number;
}

/** The identity that code runs for, and the request that caused it. Audit rows store both. */
export interface Caller {
  readonly principal: Principal | null;
  /** Name in audit rows of a caller without a principal. */
  readonly process: "request" | "job" | "cli" | "system";
  readonly ip: string | null;
  readonly requestId: string | null;
  readonly correlationId: string | null;
  /** When a node of a cluster took the request without a leader, in epoch ms; undefined: it comes from its client now. */
  readonly takenAt?: number | undefined;
  /** True when the client has disconnected, so that the result is no longer needed. */
  isGone?(): boolean;
  /** Charges work that was done for a request to the account that pays for it. */
  charge?(work: Work): void;
  /** {@link charge} of work that is about to be done, unless earlier work is not paid. @throws WORK_LIMITED */
  pay?(work: Work): void;
  /** Checks the caller of a request again, as it waited for the writer. @throws TOKEN_INVALID, UNAUTHORIZED_ROLE, … */
  requireStill?(): void;
  /** The module whose code is running; undefined for Prism's own code. */
  readonly module?: string;
}

/** The program itself. */
export const SYSTEM: Caller = { principal: null, process: "system", ip: null, requestId: null, correlationId: null };

/** The operator: a person who runs a command on the data directory. */
export const COMMAND_LINE: Caller = { ...SYSTEM, process: "cli" };

const current = new AsyncScope<Caller>();

/** Runs `fn`, and everything it awaits, on behalf of the caller. */
export function runAs<T>(caller: Caller, fn: () => T): T {
  return current.run(caller, fn);
}

export function currentCaller(): Caller {
  return current.get() ?? SYSTEM;
}

/**
 * The `actor` of an audit row (JSON) and its `userId`. A command names the account of the operating
 * system that ran it; an action of a module for a user is the user's, through the module.
 */
export function actorOf({ principal, process, module }: Caller): {
  readonly actor: string;
  readonly userId: string | null;
} {
  const by = module === undefined ? {} : { module };
  if (!principal) {
    if (module !== undefined) return { actor: JSON.stringify({ type: "module", name: module }), userId: null };
    const actor = process === "cli" ? { type: "cli", account: userInfo().username } : { type: process };
    return { actor: JSON.stringify(actor), userId: null };
  }
  if (principal.kind === "apiKey")
    return { actor: JSON.stringify({ type: "apiKey", id: principal.keyId, ...by }), userId: null };
  if (principal.kind === "operator") return { actor: JSON.stringify({ type: "operator", ...by }), userId: null };
  const token = principal.tokenId === null ? {} : { tokenId: principal.tokenId };
  const actor = { type: principal.kind, id: principal.userId, ...token, ...by };
  return { actor: JSON.stringify(actor), userId: principal.userId };
}

/** Who reads a history: a user, a key, or without either an address. */
export interface Reader {
  readonly principal: Principal | null;
  readonly address: string;
}

/** Bounds what reading histories costs, by owner. */
export interface ReplayBudget {
  /** Milliseconds until the reader's earlier pages are paid; 0: now. */
  waitMs(reader: Reader): number;
  charge(reader: Reader, work: Work): void;
}
