import type * as v from "valibot";
import type { ErrorCode } from "../core/errors.ts";
import type { KeyScope, Permission, TokenScope } from "../core/permissions.ts";
import type { Exchange } from "./exchange.ts";
import { tagOf } from "./negotiation.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** Who may call. What is not said is closed. */
export type Access =
  | "public"
  | {
      /** What a user must hold; absent: any active user. */
      readonly permission?: Permission;
      /**
       * The permission may also come from a role in the project the request is about; the handler
       * asks for it with that project.
       */
      readonly within?: "project";
      /**
       * Without a permission: the scopes of which a service token needs one; absent: service tokens
       * are refused.
       */
      readonly tokenScopes?: readonly TokenScope[];
      /**
       * A service token may call, whatever it is scoped for: what it gets allows nothing that the
       * token does not.
       */
      readonly anyToken?: true;
      /** What an API key must be scoped for; absent: API keys are refused. */
      readonly keyScope?: KeyScope;
      /**
       * An API key may call, whatever it is scoped for: what it gets allows nothing that the key
       * does not.
       */
      readonly anyKey?: true;
      /**
       * The credential may stand in `?token=`, for clients that cannot set headers: upgrades and
       * event streams only.
       */
      readonly queryToken?: true;
      /** Only the operator may call, by the control socket. */
      readonly operatorOnly?: true;
      /**
       * Lets a request in that shows something else than a caller's credentials (the metrics token,
       * the development gate).
       */
      readonly admits?: (exchange: Exchange) => boolean;
      /**
       * The request is signed, as the protocol it speaks has it, and no credential of Prism's
       * counts: who holds the secret may do all of it.
       * @returns what its requests are counted by, up to as many as those of an API key. @throws
       * SIGNATURE_INVALID, NOT_FOUND
       */
      readonly signer?: (exchange: Exchange) => string;
    };

export type BodyType =
  | "application/json"
  | "application/x-ndjson"
  | "application/x-www-form-urlencoded"
  | "application/octet-stream"
  | "text/plain"
  | "application/ogg"
  | "multipart/form-data"
  | `audio/${string}`
  // Of loaded modules: any type that they name, or any at all.
  | `${string}/${string}`
  | "*";

export interface Input<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
}

/** Any valibot schema that gives a T. */
export type Shape<T> = v.GenericSchema<unknown, T>;

/**
 * A route, said once: matching, validation, authorisation, rate limits, 405, HEAD, CORS and the
 * OpenAPI document all come from here. `path` is absolute; `:name` is a parameter.
 */
export interface Route<P = unknown, Q = unknown, B = unknown> {
  /** The `operationId`, such as `createRule`. A route of a loaded module has none. */
  readonly id?: string;
  readonly method: Method;
  readonly path: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  /** Sentences for the API page besides the summary; access and limits are added to them. */
  readonly details?: string;
  /** The description of a success; absent: that of the response's shape. */
  readonly returns?: string;
  readonly tag: string;
  readonly access: Access;
  readonly params?: Shape<P>;
  readonly query?: Shape<Q>;
  /**
   * Absent: the route takes no body. With `raw` the handler reads the bytes itself and the shape
   * only documents them.
   */
  readonly body?: Shape<B>;
  /** Of PUT and PATCH: the path whose GET shows what is changed, where it is another one. */
  readonly resource?: string;
  readonly raw?: {
    readonly types: readonly BodyType[];
    readonly gzip: boolean;
    /** A request without a body is given as no bytes; else as those of `{}`. */
    readonly exact?: boolean;
  };
  readonly maxBodyBytes?: number;
  readonly status?: number;
  /** Further statuses with the same body (204: none), for the OpenAPI document. */
  readonly otherStatuses?: readonly number[];
  readonly response?: v.GenericSchema | { readonly contentType: string; readonly description: string };
  /** Codes of this route besides those that every route may answer with. */
  readonly errors?: readonly ErrorCode[];
  /** Not counted against the limits for callers without credentials (health checks). */
  readonly unlimited?: boolean;
  /**
   * Counts a request before its body is read; of a public route in place of the limit for
   * addresses. @throws RATE_LIMITED
   */
  readonly limit?: (exchange: Exchange) => void;
  /**
   * Attempts to log in and their like: counted by address, and `name` by the account's name too.
   * The handler counts; this documents it.
   */
  readonly attempts?: "address" | "name";
  /** Files come in here, counted by user; the handler counts. */
  readonly uploads?: true;
  /** Accepted requests are logged at debug, refused ones at most ten a second (ingest). */
  readonly quiet?: boolean;
  /**
   * A list that answers with an ETag, which else only what has a version does; for the OpenAPI
   * document.
   */
  readonly tagged?: true;
  /** The loaded module whose route it is. */
  readonly module?: string;
  /** Left out of the OpenAPI document: a protocol of its own. */
  readonly undocumented?: boolean;
  /**
   * What a loaded module says of its input and output: schemas of any library, for the OpenAPI
   * document alone. The module's own handler checks them.
   */
  readonly described?: { readonly query?: unknown; readonly body?: unknown; readonly response?: unknown };
  /**
   * @returns what is sent as JSON with `status` (200 unless said), undefined for 204, a {@link
   * Reply}, or {@link ANSWERS_LATER}.
   */
  handle(exchange: Exchange, input: Input<P, Q, B>): unknown;
}

/** Lets TypeScript infer the shapes of a route from its schemas. */
export function route<P = undefined, Q = undefined, B = undefined>(definition: Route<P, Q, B>): Route {
  return definition as unknown as Route;
}

/** The handler has taken the exchange over and will answer it itself. */
export const ANSWERS_LATER = Symbol("answers later");

/** An answer that is more than a body. */
export class Reply {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body?: unknown, headers: Readonly<Record<string, string>> = {}) {
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/** A body that is JSON text already. */
export class RawJson {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/**
 * A resource with a version: answers `ETag: "<version>"`, and 304 where the client has it already.
 * @param state what `stateOf` makes of the members that change without a new version, or differ
 * from caller to caller: the tag is then `"<version>.<state>"`, so that nobody is told to go on
 * showing old ones. `If-Match` takes it with and without.
 */
export function versioned(version: number, body: unknown, { status = 200, state = "" } = {}): Reply {
  return new Reply(status, body, { ETag: tagOf(version, state), "Cache-Control": "private, no-cache" });
}
