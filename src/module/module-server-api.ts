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
  /**
   * Adds a service to which channels send, with the code that sends. Users make channels of it as
   * of the built-in ones. @throws TypeError for a name that another module has
   */
  channel(channel: ModuleChannel): void;
}

/** A service of channels. */
export interface ModuleChannel {
  /** `^[a-z][a-z0-9-]{1,39}$` */
  readonly name: string;
  readonly title: string;
  readonly fields: readonly ModuleChannelField[];
  /** Messages of one channel. Default: one a second, five at once. */
  readonly rate?: { readonly perSecond: number; readonly burst: number };
  /**
   * Sends a message. `ref` names it at the service: a later message about the same alert gets it, to
   * change the earlier one. An error is retried with backoff, with `permanent: true` on it never,
   * with `retryAfterMs` not earlier, with `disable: true` the channel is disabled.
   */
  send(
    message: ModuleChannelMessage,
    fields: Readonly<Record<string, string>>,
    options: ModuleSendOptions,
    // biome-ignore lint/suspicious/noConfusingVoidType: a function without a ref returns nothing.
  ): Promise<{ readonly ref?: string } | undefined | void>;
}

export interface ModuleSendOptions {
  /** Equal in every attempt. */
  readonly id: string;
  /** Id of the earlier message about the same alert. */
  readonly ref: string | undefined;
  readonly signal: AbortSignal;
}

export interface ModuleChannelField {
  readonly key: string;
  readonly title: string;
  readonly example: string;
  /** Sealed in the database and never shown again. */
  readonly secret?: boolean;
  readonly type?: "text" | "url" | "number" | "choice" | "long";
  readonly choices?: string[];
  /** Regular expression that the whole value fits. */
  readonly pattern?: string;
  readonly hint?: string;
  /** Default: true. */
  readonly required?: boolean;
  readonly default?: string;
}

/** A message of Prism to a service. Texts are plain. */
export interface ModuleChannelMessage {
  readonly title: string;
  readonly message: string;
  readonly text: string;
  readonly severity: "critical" | "error" | "warning" | "info";
  readonly status: "firing" | "acknowledged" | "escalated" | "resolved" | "event";
  readonly color: string;
  readonly emoji: string;
  readonly priority: number;
  /** Equal for all messages about one alert. */
  readonly key: string;
  readonly url: string;
  readonly ackUrl: string;
  readonly labels: readonly string[];
  readonly facts: readonly { readonly title: string; readonly value: string }[];
  readonly project: string;
  readonly at: string;
}

/**
 * The return value is the answer: JSON with 200, undefined with 204, or a {@link ModuleReply}. An error
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
  readonly user: ModulePrincipal | null;
  /** The request id, as in the answer and the log. */
  readonly id: string;
  /** Aborts when the client disconnects. */
  readonly signal: AbortSignal;
  /** An answer with more than a body. With your own `Content-Type` the body is sent unchanged. */
  reply(status: number, body?: unknown, headers?: Readonly<Record<string, string>>): ModuleReply;
}

/** Made by {@link ModuleRequest.reply}. */
export interface ModuleReply {
  readonly status: number;
}

/** The caller. Permissions are current. */
export type ModulePrincipal =
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
