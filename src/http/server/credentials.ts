import { type Caller, type Principal, type RightsWatch, SYSTEM } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { Route, RouteAccess } from "../api/route.ts";
import { parseQuery } from "../body/input.ts";
import { requireAccessStill } from "./access.ts";
import type { Exchange } from "./exchange.ts";
import { isFromThisMachine, TAKEN_AT_HEADER } from "./headers.ts";

/** A credential: `bearer` is an access or service token; checking a `ticket` uses it up. */
export interface Credential {
  readonly kind: "bearer" | "apiKey" | "ticket";
  readonly secret: string;
}

/** What must be done before a token can be authenticated. */
export interface CredentialCheck {
  /** Whether its work is charged to the sender's address. */
  readonly isCharged: boolean;
  run(): Promise<void>;
}

/** Resolves a credential to its current principal. */
export interface Authenticator {
  /** @throws TOKEN_EXPIRED, TOKEN_INVALID, INVALID_API_KEY, ACCOUNT_DISABLED, ACCOUNT_PENDING, … */
  authenticate(credential: Credential): Principal;
  /**
   * The check of a token that was not verified yet, such as a new access token. Run it before
   * `authenticate`, which otherwise throws OVERLOADED for the token. Null if no check is needed.
   * Undefined: there are no access tokens.
   */
  readonly prepare?: ((credential: Credential) => CredentialCheck | null) | undefined;
  /** Undefined: rights do not change. */
  readonly rights?: RightsWatch | undefined;
}

/** Length limit of credentials. */
export const MAX_SECRET_LENGTH = 8192;

/**
 * The credential of a request: `Authorization`, `X-API-Key`, and with `allowQuery` also `?token=`,
 * `?access_token=`, `?ticket=` or the WebSocket subprotocol `bearer.<token>`. With `allowBasic` the password of basic
 * authentication too. @returns null without one. @throws AMBIGUOUS_CREDENTIALS, UNAUTHENTICATED for
 * an unknown scheme.
 */
export function readCredential(exchange: Exchange, allowQuery = false, allowBasic = false): Credential | null {
  const authorization = exchange.header("authorization");
  const apiKey = exchange.header("x-api-key");
  let credential: Credential | null = apiKey === "" ? null : { kind: "apiKey", secret: apiKey };
  if (allowQuery) {
    for (const token of tokensBesideHeaders(exchange)) {
      if (credential) throw ambiguous();
      credential = fromSecret(token);
    }
    const ticket = ticketOf(exchange);
    if (ticket !== undefined) {
      if (credential) throw ambiguous();
      credential = { kind: "ticket", secret: ticket };
    }
  }
  if (authorization !== "") {
    if (credential) throw ambiguous();
    credential = fromAuthorization(authorization, allowBasic);
  }
  if (!credential) return null;
  // No credential contains a comma: two fields of the same name were joined.
  if (credential.secret.includes(",")) throw ambiguous();
  if (credential.secret.length > MAX_SECRET_LENGTH) throw new PrismError("TOKEN_INVALID", "The credential is too long");
  return credential;
}

/** Null also for what {@link readCredential} refuses: authenticating says why. */
export function credentialIfAny(...given: Parameters<typeof readCredential>): ReturnType<typeof readCredential> {
  try {
    return readCredential(...given);
  } catch {
    return null;
  }
}

/** The ticket in the query, or undefined. @throws VALIDATION_FAILED for an invalid query */
export function ticketOf(exchange: Exchange): string | undefined {
  return exchange.queryText.includes("ticket=") ? parseQuery(exchange.queryText)["ticket"] : undefined;
}

function ambiguous(): PrismError {
  return new PrismError("AMBIGUOUS_CREDENTIALS", "Send one credential, not several");
}

/** The prefix shows the kind of the token. */
export function fromSecret(secret: string): Credential {
  return { kind: secret.startsWith("prk_") ? "apiKey" : "bearer", secret };
}

function fromAuthorization(value: string, allowBasic: boolean): Credential {
  const space = value.indexOf(" ");
  const scheme = value.slice(0, space).toLowerCase();
  const secret = value.slice(space + 1).trim();
  if (scheme === "bearer") return fromSecret(secret);
  if (scheme === "apikey") return { kind: "apiKey", secret };
  if (scheme === "basic" && allowBasic) return fromSecret(passwordOf(secret));
  throw new PrismError("UNAUTHENTICATED", "Authorization must be Bearer or ApiKey");
}

function passwordOf(encoded: string): string {
  const basic = readBasic(encoded);
  if (!basic) throw new PrismError("UNAUTHENTICATED", "Basic authentication needs a username and a password");
  return basic.password;
}

export interface Basic {
  readonly login: string;
  readonly password: string;
}

/** RFC 7617: the username ends at the first colon. @returns null without a colon */
export function readBasic(encoded: string): Basic | null {
  const pair = Buffer.from(encoded, "base64").toString("utf8");
  const colon = pair.indexOf(":");
  return colon === -1 ? null : { login: pair.slice(0, colon), password: pair.slice(colon + 1) };
}

const NO_TOKENS: readonly string[] = [];

function tokensBesideHeaders(exchange: Exchange): readonly string[] {
  const query = exchange.queryText.includes("token=") ? parseQuery(exchange.queryText) : null;
  const inQuery = query?.["token"] ?? query?.["access_token"];
  const protocols = exchange.header("sec-websocket-protocol");
  if (protocols === "") return inQuery === undefined ? NO_TOKENS : [inQuery];
  const inProtocols = protocols
    .split(",")
    .map((protocol) => protocol.trim())
    .filter((protocol) => protocol.startsWith(TOKEN_PROTOCOL))
    .map((protocol) => protocol.slice(TOKEN_PROTOCOL.length));
  return inQuery === undefined ? inProtocols : [inQuery, ...inProtocols];
}

const TOKEN_PROTOCOL = "bearer.";

/** Logs the principal, or the code of the refusal, at debug; never the credential. */
export function tracedAuthenticator(inner: Authenticator, log: Logger): Authenticator {
  return {
    prepare: inner.prepare,
    rights: inner.rights,
    authenticate(credential) {
      if (!log.isDebug()) return inner.authenticate(credential);
      const { kind: credentialKind } = credential;
      try {
        const principal = inner.authenticate(credential);
        log.debug({ credentialKind, kind: principal.kind, caller: principal.key }, "caller authenticated");
        return principal;
      } catch (error) {
        log.debug(
          { credentialKind, code: error instanceof PrismError ? error.code : "INTERNAL" },
          "credential refused",
        );
        throw error;
      }
    },
  };
}

interface ChecksCallers {
  check(exchange: Exchange): Promise<void> | null;
  authenticate(exchange: Exchange): Principal;
}

/** Whether the caller may learn the server's version and mode: signed in, or on this machine. */
export async function mayKnowServer(kernel: ChecksCallers, exchange: Exchange): Promise<boolean> {
  if (isFromThisMachine(exchange)) return true;
  try {
    await kernel.check(exchange);
    kernel.authenticate(exchange);
    return true;
  } catch {
    return false;
  }
}

/** See {@link Caller.takenAt}. A sender that says so itself only weakens what it reports. */
function takenAtOf(exchange: Exchange): number | undefined {
  return Number(exchange.header(TAKEN_AT_HEADER)) || undefined;
}

/**
 * The caller on whose behalf the request's handler runs. @param access of the route: its caller is checked
 * again in each transaction
 */
export function requestCaller(exchange: Exchange, access: RouteAccess = "public"): Caller {
  const { principal, requestId, correlationId } = exchange;
  return {
    principal,
    process: "request",
    ip: exchange.isControl ? null : exchange.clientAddress,
    requestId,
    correlationId,
    takenAt: takenAtOf(exchange),
    isGone: () => exchange.isOver,
    charge: (work) => exchange.work?.charge(exchange, work),
    pay: (work) => exchange.work?.pay(exchange, work),
    requireStill: () => requireAccessStill(access, exchange),
  };
}

/** Null: the route needs none. */
export function handlerCaller(
  exchange: Exchange,
  route: Pick<Route, "access" | "quiet" | "withoutContext">,
): Caller | null {
  if (!route.quiet && !route.withoutContext) return requestCaller(exchange, route.access);
  const takenAt = takenAtOf(exchange);
  return takenAt === undefined ? null : { ...SYSTEM, takenAt };
}
