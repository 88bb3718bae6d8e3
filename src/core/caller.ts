import { userInfo } from "node:os";
import { AsyncScope } from "./async-scope.ts";
import type { Principal } from "./principal.ts";

/** On whose behalf code runs, and by which request: what an audit row says of its cause. */
export interface Caller {
  readonly principal: Principal | null;
  /** How an audit row names a caller that is no principal. */
  readonly process: "request" | "job" | "cli" | "system";
  readonly ip: string | null;
  readonly requestId: string | null;
  readonly correlationId: string | null;
  /** True when nobody waits for the result any more: the client has gone away. */
  isGone?(): boolean;
  /** The loaded module whose code runs; absent for Prism's own. */
  readonly module?: string;
}

/** The program itself. */
export const SYSTEM: Caller = { principal: null, process: "system", ip: null, requestId: null, correlationId: null };

/** Whoever runs a command on the data directory. */
export const COMMAND_LINE: Caller = { ...SYSTEM, process: "cli" };

const current = new AsyncScope<Caller>();

/** Runs `fn`, and all that it awaits, on behalf of the caller. */
export function runAs<T>(caller: Caller, fn: () => T): T {
  return current.run(caller, fn);
}

export function currentCaller(): Caller {
  return current.get() ?? SYSTEM;
}

/**
 * The `actor` of an audit row (JSON) and its `userId`. A command names the account of the operating
 * system that ran it; what a module does for somebody is that one's doing, through the module.
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
  const token = principal.tokenId === null ? {} : { tokenId: principal.tokenId };
  const actor = { type: principal.kind, id: principal.userId, ...token, ...by };
  return { actor: JSON.stringify(actor), userId: principal.userId };
}
