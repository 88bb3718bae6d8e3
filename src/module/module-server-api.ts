/** How a module answers requests; a part of `prism/module`, see module-api.ts. */
import type { ErrorCode } from "../core/errors.ts";
import type { KeyScope, Permission } from "../core/permissions.ts";

/** Where a module puts its routes, at the literal path: `/hooks/:name` has the parameter `name`. */
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
 * What it returns is the answer: JSON with 200, nothing (undefined) with 204, or a {@link Reply}.
 * What it throws is answered as 500 INTERNAL.
 */
export type RouteHandler<T> = (req: ModuleRequest) => T | Promise<T>;

export interface RouteOptions {
  /** Anybody may call; `req.user` is null. Without it a caller must be authenticated. */
  readonly public?: boolean;
  /**
   * What the caller must hold. An API key passes where the permission is one of its scopes; without
   * a permission API keys are refused.
   */
  readonly permission?: Permission;
  /** Further paths of the same route, with the same parameters. */
  readonly aliases?: readonly string[];
  readonly params?: AnySchema;
  readonly query?: AnySchema;
  readonly body?: AnySchema;
  /** For the OpenAPI document. */
  readonly response?: AnySchema;
  /**
   * Codes that the handler answers with: an error that it throws with such a `code` is answered so,
   * with the error's message.
   */
  readonly errors?: readonly ErrorCode[];
  /**
   * Content types that are taken, `*` for any; default: `application/json`. JSON arrives as its
   * value, a form as an object, text as a string, else bytes.
   */
  readonly bodyTypes?: readonly string[];
  /**
   * Gives the handler `req.rawBody`, the bytes as they came: what a webhook's signature is made of.
   */
  readonly rawBody?: boolean;
  /** Bytes that a body may have; default: 1 MiB, at most the setting `modules.maxBodyBytes`. */
  readonly maxBytes?: number;
  /**
   * Requests of one caller to this route, beside Prism's own limit for that caller. On a public
   * route requests of one address, in place of Prism's limit for addresses. At most the setting
   * `modules.maxRequestsPerMinute`.
   */
  readonly rateLimit?: { readonly max: number; readonly windowMs: number };
  /** One line for the OpenAPI document. */
  readonly summary?: string;
}

/**
 * Any schema with the Standard Schema interface, version 1 (standardschema.dev): valibot, zod,
 * arktype and others.
 */
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
  /**
   * Of the path; where the route has a schema for them, what that made of them. The same holds for
   * `query` and `body`.
   */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body: unknown;
  /** The bytes of the body, of a route with `rawBody: true`. @throws TypeError on any other */
  readonly rawBody: Uint8Array;
  /** Names in lower case; the values of a repeated field are joined by commas. */
  readonly headers: Readonly<Record<string, string>>;
  /** Who is calling; null on a public route. */
  readonly user: Principal | null;
  /** The request id, which is in the answer and in the log. */
  readonly id: string;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  /**
   * An answer that is more than a body. With a `Content-Type` of your own a string or bytes are
   * sent as they are.
   */
  reply(status: number, body?: unknown, headers?: Readonly<Record<string, string>>): Reply;
}

/** Made by {@link ModuleRequest.reply}. */
export interface Reply {
  readonly status: number;
}

/** Who is calling. Permissions are those of this moment. */
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
