/** Requests and answers of modules; a part of `prism/module`, see module-api.ts. */
import type { ErrorCode } from "../core/errors.ts";
import type { KeyScope, Permission } from "../core/permissions.ts";

/** Registers a module's routes at literal paths: `/hooks/:name` has the parameter `name`. */
export interface ModuleServer {
  get<T>(path: string, handler: RouteHandler<T>): void;
  get<T>(path: string, options: RouteOptions, handler: RouteHandler<T>): void;
  post<T>(path: string, handler: RouteHandler<T>): void;
  post<T>(path: string, options: RouteOptions, handler: RouteHandler<T>): void;
  put<T>(path: string, handler: RouteHandler<T>): void;
  put<T>(path: string, options: RouteOptions, handler: RouteHandler<T>): void;
  patch<T>(path: string, handler: RouteHandler<T>): void;
  patch<T>(path: string, options: RouteOptions, handler: RouteHandler<T>): void;
  delete<T>(path: string, handler: RouteHandler<T>): void;
  delete<T>(path: string, options: RouteOptions, handler: RouteHandler<T>): void;
}

/**
 * The return value is the answer: JSON with 200, undefined with 204, or a {@link Reply}. An error
 * is answered with 500 INTERNAL.
 */
export type RouteHandler<T> = (req: ModuleRequest) => T | Promise<T>;

export interface RouteOptions {
  /** No authentication; `req.user` is null. Without it a caller must be authenticated. */
  readonly public?: boolean;
  /**
   * The caller's required permission. An API key passes if the permission is one of its scopes;
   * without a permission API keys are refused.
   */
  readonly permission?: Permission;
  /** Further paths of the same route, with the same parameters. */
  readonly aliases?: readonly string[];
  readonly params?: AnySchema;
  readonly query?: AnySchema;
  readonly body?: AnySchema;
  /** For the OpenAPI document. */
  readonly response?: AnySchema;
  /** Codes of the handler: an error with such a `code` is answered with it and its message. */
  readonly errors?: readonly ErrorCode[];
  /**
   * Accepted content types, `*` for any; default: `application/json`. JSON arrives as its value, a
   * form as an object, text as a string, anything else as bytes.
   */
  readonly bodyTypes?: readonly string[];
  /** Provides `req.rawBody`, the original bytes, for a webhook's signature. */
  readonly rawBody?: boolean;
  /** Size limit of a body; default: 1 MiB, at most the setting `modules.maxBodyBytes`. */
  readonly maxBytes?: number;
  /**
   * Requests of one caller to this route, besides Prism's own limit. On a public route requests of
   * one address, instead of Prism's limit. At most the setting `modules.maxRequestsPerMinute`.
   */
  readonly rateLimit?: { readonly max: number; readonly windowMs: number };
  /** One line for the OpenAPI document. */
  readonly summary?: string;
}

/** A schema of Standard Schema version 1 (standardschema.dev): valibot, zod, arktype, others. */
export interface AnySchema {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    validate(value: unknown, ...rest: never[]): SchemaResult | Promise<SchemaResult>;
    readonly types?: { readonly input: unknown; readonly output: unknown } | undefined;
  };
}

export type SchemaResult =
  | { readonly value: unknown; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

export interface ModuleRequest {
  /** Parameters of the path; with a schema its output. The same applies to `query` and `body`. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body: unknown;
  /** The bytes of the body, for a route with `rawBody: true`. @throws TypeError on any other */
  readonly rawBody: Uint8Array;
  /** Names in lower case; values of repeated fields are joined by commas. */
  readonly headers: Readonly<Record<string, string>>;
  /** The caller; null on a public route. */
  readonly user: Principal | null;
  /** The request id, as in the answer and the log. */
  readonly id: string;
  /** Aborts when the client disconnects. */
  readonly signal: AbortSignal;
  /** An answer with more than a body. With your own `Content-Type` the body is sent unchanged. */
  reply(status: number, body?: unknown, headers?: Readonly<Record<string, string>>): Reply;
}

/** Made by {@link ModuleRequest.reply}. */
export interface Reply {
  readonly status: number;
}

/** The caller. Permissions are current. */
export type Principal =
  | {
      readonly kind: "user" | "service";
      readonly userId: string;
      readonly name: string;
      readonly permissions: ReadonlySet<Permission>;
    }
  | {
      /** The operator of the server, by the control socket: holds every permission, has no account. */
      readonly kind: "operator";
      readonly userId: null;
      readonly name: string;
      readonly permissions: ReadonlySet<Permission>;
    }
  | {
      readonly kind: "apiKey";
      readonly keyId: string;
      readonly projectId: string;
      readonly scopes: ReadonlySet<KeyScope>;
    };
