import { AsyncLocalStorage } from "node:async_hooks";
import { userInfo } from "node:os";
import { type KeyScope, PERMISSIONS, type Permission } from "./permissions.ts";
import type { EpochMs } from "./time/clock.ts";

/** The authenticated caller. Permissions are read from the database at each request. */
export type Principal = PermissionHolder | KeyPrincipal;

/** A caller with permissions of its own; an API key has scopes instead. */
export type PermissionHolder = UserPrincipal | OperatorPrincipal;

export interface UserPrincipal {
  /**
   * Permanent, unique name of the principal: the scope of its idempotency keys, and the owner of
   * its rate limits and connections.
   */
  readonly key: string;
  /** `service`: the user's personal token, which carries a subset of the user's permissions. */
  readonly kind: "user" | "service";
  readonly userId: string;
  readonly name: string;
  readonly permissions: ReadonlySet<Permission>;
  readonly roleIds: ReadonlySet<string>;
  /** The user's role per project. */
  readonly memberships: ReadonlyMap<string, "owner" | "editor" | "viewer">;
  readonly tokenId: string | null;
  /** The login session of the access token. */
  readonly sessionId: string | null;
  /**
   * Scopes of a service token, granted or not; null: all. Bounds what {@link permissions} does not
   * cover: rights from a role in a project, and the scopes of every user.
   */
  readonly tokenScopes: ReadonlySet<string> | null;
  /** When the credential expires; Infinity if it does not. */
  readonly expiresAt: EpochMs;
  /** Name of the only stream a connection may follow, if a ticket for it opened the connection. */
  readonly onlyStream?: string;
}

/**
 * The operator of this server: a request on the control socket. Holds every permission and has no
 * account, so that routes about the caller's own things refuse it.
 */
export interface OperatorPrincipal {
  readonly key: "operator";
  readonly kind: "operator";
  readonly userId: null;
  readonly name: "operator";
  readonly permissions: ReadonlySet<Permission>;
  readonly roleIds: ReadonlySet<string>;
  readonly memberships: ReadonlyMap<string, "owner" | "editor" | "viewer">;
  readonly tokenId: null;
  readonly sessionId: null;
  readonly tokenScopes: null;
  readonly expiresAt: EpochMs;
  readonly onlyStream?: string;
}

export const OPERATOR: OperatorPrincipal = {
  key: "operator",
  kind: "operator",
  userId: null,
  name: "operator",
  permissions: new Set(PERMISSIONS),
  roleIds: new Set(),
  memberships: new Map(),
  tokenId: null,
  sessionId: null,
  tokenScopes: null,
  expiresAt: Number.POSITIVE_INFINITY,
};

export interface KeyPrincipal {
  readonly key: string;
  readonly kind: "apiKey";
  readonly keyId: string;
  readonly projectId: string;
  readonly scopes: ReadonlySet<KeyScope>;
  /** The user who made the key; null: the operator. */
  readonly createdBy: string | null;
  /** Requests per minute and events per minute, in place of the general limits. */
  readonly rateLimit: number | null;
  readonly expiresAt: EpochMs;
  /** See {@link UserPrincipal}. */
  readonly onlyStream?: string;
}

/** The person whose limits a caller uses: the user, and for an API key the user who made it. */
export function personKey(principal: Principal): string {
  return principal.kind === "apiKey" && principal.createdBy !== null ? `user:${principal.createdBy}` : principal.key;
}

/** Tells whether rights have changed since a request was admitted. */
export interface RightsWatch {
  /** Number of changes so far. */
  readonly changes: number;
  /** The principal with its current rights; null once its credential or account is invalid. */
  refresh(principal: Principal): Principal | null;
}

/** The subject whose rights changed. */
export type RightsChange =
  | { readonly of: "user"; readonly userId: string }
  | { readonly of: "session"; readonly sessionId: string; readonly userId: string }
  | { readonly of: "token"; readonly tokenId: string; readonly userId: string }
  | { readonly of: "key"; readonly keyId: string }
  | { readonly of: "role"; readonly roleId: string }
  | { readonly of: "project"; readonly projectId: string }
  /** After a change of settings: all are read again. */
  | { readonly of: "all" };

/** One call of {@link AsyncScope.run}. */
interface Visit<T> {
  readonly value: T;
  isOver: boolean;
}

/**
 * A value that follows a call through everything it awaits. Work that outlives the call loses the
 * value. Without an active call Node's asynchronous hooks are disabled, because they slow every
 * callback and promise of the process.
 */
export class AsyncScope<T> {
  readonly #storage = new AsyncLocalStorage<Visit<T>>();
  #inside = 0;

  get(): T | undefined {
    if (this.#inside === 0) return undefined;
    const visit = this.#storage.getStore();
    return visit === undefined || visit.isOver ? undefined : visit.value;
  }

  run<R>(value: T, fn: () => R): R {
    const visit: Visit<T> = { value, isOver: false };
    this.#inside++;
    let result: R;
    try {
      result = this.#storage.run(visit, fn);
    } catch (error) {
      this.#leave(visit);
      throw error;
    }
    if (result instanceof Promise) {
      const leave = (): void => this.#leave(visit);
      result.then(leave, leave);
    } else this.#leave(visit);
    return result;
  }

  #leave(visit: Visit<T>): void {
    visit.isOver = true;
    this.#inside--;
    if (this.#inside === 0) this.#storage.disable();
  }
}

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
  /** Takes a host name that does not resolve now, which else refuses its URL: a start must not need DNS. */
  onUnresolved?(host: string): void;
  /** The module whose code is running; undefined for Prism's own code. */
  readonly module?: string;
  /** Also in the metadata of each audit row: the source of configuration files that are applied. */
  readonly audited?: Readonly<Record<string, string>>;
  /** Called with each row of the audit trail, in its transaction. @throws to refuse the change */
  onAudit?(action: string, resourceId?: string): void;
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
