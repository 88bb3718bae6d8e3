import * as v from "valibot";
import type { ErrorCode, PrismError } from "../../core/errors.ts";
import type { KeyScope, Permission, TokenScope } from "../../core/permissions.ts";
import { tagOf } from "../body/negotiation.ts";
import type { Exchange } from "../server/exchange.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** Who may call. Anything not allowed here is refused. */
export type RouteAccess =
  | "public"
  | {
      /** The user's required permission; undefined: any active user. */
      readonly permission?: Permission;
      /** The permission may also come from a role in the project, which the handler checks. */
      readonly within?: "project";
      /** Without a permission: a service token needs one of these; undefined: all are refused. */
      readonly tokenScopes?: readonly TokenScope[];
      /** Any service token may call: the result allows nothing that the token does not. */
      readonly anyToken?: true;
      /** The API key's required scope; undefined: API keys are refused. */
      readonly keyScope?: KeyScope;
      /** Any API key may call: the result allows nothing that the key does not. */
      readonly anyKey?: true;
      /** Accepts `?token=`, for clients that cannot set headers: upgrades and event streams. */
      readonly queryToken?: true;
      /** Accepts HTTP basic authentication: the password is the credential, any username. */
      readonly basic?: true;
      /** Only the operator may call, through the control socket. */
      readonly operatorOnly?: true;
      /** Admits a request by another credential (the metrics token, the development gate). */
      readonly admits?: (exchange: Exchange) => boolean;
      /**
       * The request is signed in its own protocol, and Prism's credentials do not apply: a holder
       * of the secret may do everything.
       * @returns the rate limit key of its requests, with the limit of an API key; null: the signer is not
       * known, and the request counts for its address. @throws SIGNATURE_INVALID, NOT_FOUND
       */
      readonly signer?: (exchange: Exchange) => string | null;
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
  // For modules: any named type, or all.
  | `${string}/${string}`
  | "*";

export interface Input<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
}

/** Any valibot schema with output T. */
export type Shape<T> = v.GenericSchema<unknown, T>;

/** A body that is not JSON. Its handler sends it itself and returns {@link ANSWERS_LATER}. */
export interface Described {
  readonly contentType: string;
  readonly description: string;
}

/** A schema, or a function that makes it: called once, when a request or the description first needs it. */
type Lazy<T> = T | (() => T);

/**
 * A route. Matching, validation, authorisation, rate limits, 405, HEAD, CORS and the OpenAPI
 * document derive from it. `path` is absolute; `:name` is a parameter.
 */
export interface RouteDefinition<P = unknown, Q = unknown, B = unknown, R = unknown> {
  /** The `operationId`, such as `createRule`. Routes of modules have none. */
  readonly id?: string;
  readonly method: Method;
  readonly path: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  /** Sentences for the API page besides the summary; access and limits are added to them. */
  readonly details?: string;
  /** The description of a success; undefined: that of the response's shape. */
  readonly returns?: string;
  readonly tag: string;
  readonly access: RouteAccess;
  readonly params?: Shape<P>;
  readonly query?: Lazy<Shape<Q>>;
  /** Undefined: no body. With `raw` the handler reads the bytes; the shape is documentation. */
  readonly body?: Lazy<Shape<B>>;
  /** For PUT and PATCH: the path whose GET returns the resource, if it differs. */
  readonly resource?: string;
  readonly raw?: {
    readonly types: readonly BodyType[];
    readonly gzip: boolean;
    /** Any content encoding is accepted, and the bytes are passed as they were sent. */
    readonly encoded?: true;
    /** A missing body is passed as no bytes, otherwise as `{}`. */
    readonly exact?: boolean;
  };
  readonly maxBodyBytes?: number;
  /** Members of a JSON body; default: 20 000, of a public route 500. */
  readonly maxMembers?: number;
  /** Signs a person in: paid from a budget of its own, and small bodies pass in debt. */
  readonly signsIn?: true;
  /** The handler charges the work of a request itself, by its own rules. */
  readonly chargesItself?: true;
  readonly status?: number;
  /** Further statuses with the same body (204: none), for the OpenAPI document. */
  readonly otherStatuses?: readonly number[];
  /** Undefined: no body. */
  readonly response?: Lazy<Shape<R>> | Described;
  /** Errors of this route besides those of every route. */
  readonly errors?: readonly ErrorCode[];
  /** Not counted by the limits for callers without credentials (health checks). */
  readonly unlimited?: boolean;
  /** Counts a request before reading its body; replaces the address limit. @throws RATE_LIMITED */
  readonly limit?: (exchange: Exchange) => void;
  /** Headers of the answer to OPTIONS, for POST routes; null: that to a preflight. */
  readonly options?: (exchange: Exchange) => Readonly<Record<string, string>> | null;
  /**
   * Login attempts and similar: counted by address, with `name` also by the account's name. Counted
   * by the handler; documented here.
   */
  readonly attempts?: "address" | "name";
  /** Uploads, counted per user by the handler. */
  readonly uploads?: true;
  /** Accepted requests are logged at debug, refused ones at most ten a second (ingest). */
  readonly quiet?: boolean;
  /**
   * The handler runs outside of the caller's context, as that of a quiet route: it passes on what it needs
   * of the caller.
   */
  readonly withoutContext?: true;
  /** A list with an ETag, which otherwise only versioned resources have; for the OpenAPI text. */
  readonly tagged?: true;
  readonly module?: string;
  /** Omitted from the OpenAPI document: a separate protocol. */
  readonly undocumented?: boolean;
  /**
   * Schemas of a module's input and output, in any library, for the OpenAPI document only. The
   * module's handler validates them.
   */
  readonly described?: { readonly query?: unknown; readonly body?: unknown; readonly response?: unknown };
  /**
   * @returns the JSON body for `status` (default 200), undefined for 204, a {@link Reply}, or
   * {@link ANSWERS_LATER}.
   */
  handle(exchange: Exchange, input: Input<P, Q, B>): Awaitable<RouteAnswer<NoInfer<R>>>;
}

/** A route with its schemas. */
export interface Route<P = unknown, Q = unknown, B = unknown, R = unknown> extends RouteDefinition<P, Q, B, R> {
  readonly query?: Shape<Q>;
  readonly body?: Shape<B>;
  readonly response?: Shape<R> | Described;
}

export type Awaitable<T> = T | Promise<T>;

/** What a handler may return when the response has the shape R; undefined: no body. */
export type RouteAnswer<R> =
  | Shown<R>
  // biome-ignore lint/suspicious/noConfusingVoidType: a function without a result returns nothing.
  | (R extends undefined ? void : never)
  | Reply<Shown<R> | RawJson<Shown<R>>>
  | RawJson<Shown<R>>
  | AnswersLater;

/** A value as a response. Its builder may keep it, so it is never changed. */
export type Shown<T> = T extends readonly (infer E)[]
  ? readonly Shown<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Shown<T[K]> }
    : T;

/**
 * Another program's API below a path. Its clients read other error bodies, and may run in any web
 * page, which cannot use the credentials that the browser keeps.
 */
export interface Dialect {
  readonly prefix: string;
  /** Answers OPTIONS of every path with these headers, which its pages may send. */
  readonly allowsHeaders?: string;
  /** A path of Prism's own that takes no API keys: a GET with one and without a query means the path `prefix`. */
  readonly withKey?: string;
  /** False: a 401 has no challenge, because its clients would ask for a password. */
  readonly challenges?: false;
  /**
   * Members for its clients, besides Prism's own, or in place of one of the same name.
   * @param allowed the methods of an existing path.
   */
  errorBody(error: PrismError, exchange: Exchange, allowed: readonly string[]): object;
}

const made = new WeakMap<() => unknown, unknown>();

/** Lets TypeScript infer the shapes of a route from its schemas, and compares its answers with them. */
export function route<P = undefined, Q = undefined, B = undefined, R = undefined>(
  definition: RouteDefinition<P, Q, B, R>,
): Route {
  for (const name of ["query", "body", "response"] as const) {
    const make: unknown = Object.getOwnPropertyDescriptor(definition, name)?.value;
    if (typeof make === "function")
      Object.defineProperty(definition, name, { get: () => madeBy(make as () => unknown) });
  }
  return definition as unknown as Route;
}

/** Two routes with the same function have the same schema, which is one component of the description. */
function madeBy(make: () => unknown): unknown {
  if (!made.has(make)) made.set(make, make());
  return made.get(make);
}

class AnswersLater {
  readonly answersLater = true;
}

/** The response of a protocol that the OpenAPI document omits: its answers are not compared. */
export const undescribed = v.unknown();

/** The handler has taken over the exchange and will answer it. */
export const ANSWERS_LATER = new AnswersLater();

/** An answer with more than a body. */
export class Reply<out T = undefined> {
  readonly status: number;
  readonly body: T;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body: T, headers: Readonly<Record<string, string>> = {}) {
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/** No body, where the response has one: 204 is among `otherStatuses`. */
export const NO_CONTENT = new Reply<never>(204, undefined as never);

declare const writtenFrom: unique symbol;

/** JSON text of a value of type T. */
export type JsonText<T> = string & { readonly [writtenFrom]: T };

export function jsonOf<T>(value: T): JsonText<T> {
  return JSON.stringify(value) as JsonText<T>;
}

/** The JSON text of a column. @param text of a column that holds nothing but values of type T */
export function columnJson<T>(text: string): JsonText<T> {
  return text as JsonText<T>;
}

export function arrayJson<T>(items: readonly JsonText<T>[]): JsonText<readonly T[]> {
  return columnJson(`[${items.join(",")}]`);
}

/** An object whose first member is written already. @param rest its other members, at least one */
export function withFirst<N extends string, V, R extends object>(
  name: N,
  value: JsonText<V>,
  rest: R,
): JsonText<Readonly<Record<N, V>> & R> {
  return columnJson(`{"${name}":${value},${JSON.stringify(rest).slice(1)}`);
}

/** Adds a member at the end. @param object text of an object with members */
export function withMember<T, N extends string, V>(
  object: JsonText<T>,
  name: N,
  value: JsonText<V>,
): JsonText<T & Readonly<Record<N, V>>> {
  return columnJson(`${object.slice(0, -1)},"${name}":${value}}`);
}

/** JSON that was written before, of a value of type T. */
export class RawJson<out T> {
  readonly text: JsonText<T>;

  constructor(text: JsonText<T>) {
    this.text = text;
  }
}

/**
 * A versioned resource: answers `ETag: "<version>"`, and 304 if the client has it.
 * @param state hash by `stateOf` of members that change without a new version or differ between
 * callers. The tag is then `"<version>.<state>"`, so that clients do not keep outdated ones.
 * `If-Match` accepts both forms.
 */
export function versioned<T>(version: number, body: T, { status = 200, state = "" } = {}): Reply<T> {
  return new Reply(status, body, { ETag: tagOf(version, state), "Cache-Control": "private, no-cache" });
}

/** {@link versioned} for a body that shows its version. */
export function withVersion<T extends { readonly version: number }>(
  body: T,
  options: Parameters<typeof versioned>[2] = {},
): Reply<T> {
  return versioned(body.version, body, options);
}
