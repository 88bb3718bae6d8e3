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
}

const SYSTEM: Caller = { principal: null, process: "system", ip: null, requestId: null, correlationId: null };

const current = new AsyncScope<Caller>();

/** Runs `fn`, and all that it awaits, on behalf of the caller. */
export function runAs<T>(caller: Caller, fn: () => T): T {
  return current.run(caller, fn);
}

export function currentCaller(): Caller {
  return current.get() ?? SYSTEM;
}

/** The `actor` of an audit row (JSON) and its `userId`. A command names the account of the operating system that ran it. */
export function actorOf({ principal, process }: Caller): { readonly actor: string; readonly userId: string | null } {
  if (!principal) {
    const actor = process === "cli" ? { type: "cli", account: userInfo().username } : { type: process };
    return { actor: JSON.stringify(actor), userId: null };
  }
  if (principal.kind === "apiKey")
    return { actor: JSON.stringify({ type: "apiKey", id: principal.keyId }), userId: null };
  const token = principal.tokenId === null ? {} : { tokenId: principal.tokenId };
  return { actor: JSON.stringify({ type: principal.kind, id: principal.userId, ...token }), userId: principal.userId };
}
