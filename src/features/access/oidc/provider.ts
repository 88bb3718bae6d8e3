import { createRemoteJWKSet, customFetch, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import type { Configuration } from "openid-client";
import type { Config } from "../../../config/load.ts";
import type { OidcSettings } from "../../../config/oidc-options.ts";
import { connectionReason, PrismError } from "../../../core/errors.ts";
import { TtlCache } from "../../../core/limits/ttl-cache.ts";
import type { Logger } from "../../../core/log.ts";
import { ISSUER_ALGORITHMS } from "../../../core/text/vocabulary.ts";
import { HOUR_MS } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import { lacksClaims, type ProvedPerson, personOf } from "./claims.ts";
import { callProvider, ProviderUnreachable, TIMEOUT_MS } from "./outgoing.ts";

/** What a sign-in keeps until the provider sends the browser back. */
export interface FlowSecrets {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

/** @property refreshToken of the provider, if it gave one */
export interface PersonAnswer extends ProvedPerson {
  readonly refreshToken: string | undefined;
}

/** Why the last attempt failed; `since`: epoch ms. */
export interface ProviderProblem {
  readonly since: number;
  readonly text: string;
}

interface Parts extends Uses<"clock" | "publicUrl"> {
  readonly log: Pick<Logger, "warn">;
  readonly settings: { readonly current: Pick<Config, "proxy"> };
}

const DISCOVERED_MS = HOUR_MS;
const CLOCK_SKEW_S = 30;
/** A logout token is sent at once; older ones are repeated. */
const LOGOUT_TOKEN_S = 300;
const LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout";

/** One OpenID provider. Nothing is asked before someone signs in there. */
export class OidcProvider {
  readonly settings: OidcSettings;
  readonly #parts: Parts;
  /** `jti` of logout tokens, which are valid once. */
  readonly #logouts: TtlCache<string, true>;
  #found: { readonly at: number; readonly config: Configuration } | null = null;
  #discovering: Promise<Configuration> | null = null;
  /** Of logout tokens; kept, so that strangers' tokens make it ask for no keys. */
  #keys: { readonly url: string; readonly set: JWTVerifyGetKey } | null = null;
  #broken: ProviderProblem | null = null;
  #groupsUnknown: ProviderProblem | null = null;

  constructor(settings: OidcSettings, parts: Parts) {
    this.settings = settings;
    this.#parts = parts;
    this.#logouts = new TtlCache({ maxEntries: 10_000, ttlMs: 2 * LOGOUT_TOKEN_S * 1000, clock: parts.clock });
  }

  get label(): string {
    return this.settings.label ?? this.settings.name;
  }

  /** Its own for each provider, so that no answer of one is taken for that of another (RFC 9700 section 4.4). */
  get redirectUri(): string {
    return `${this.#parts.publicUrl()}/auth/oidc/${this.settings.name}/callback`;
  }

  get problems(): readonly ProviderProblem[] {
    return [this.#broken, this.#groupsUnknown].filter((each) => each !== null);
  }

  /** New secrets of a sign-in, and the page of the provider. @throws PROVIDER_UNREACHABLE, PROVIDER_REFUSED */
  async begin(): Promise<FlowSecrets & { readonly url: URL }> {
    return this.#asking(async (config, client) => {
      const secrets = {
        ...{ state: client.randomState(), nonce: client.randomNonce() },
        verifier: client.randomPKCECodeVerifier(),
      };
      const { scopes, acr, mfa } = this.settings;
      const url = client.buildAuthorizationUrl(config, {
        ...{ redirect_uri: this.redirectUri, state: secrets.state, nonce: secrets.nonce },
        scope: [...new Set(["openid", ...scopes])].join(" "),
        code_challenge: await client.calculatePKCECodeChallenge(secrets.verifier),
        code_challenge_method: "S256",
        ...(mfa === "trust" && acr.length > 0 ? { acr_values: acr.join(" ") } : {}),
      });
      return { ...secrets, url };
    });
  }

  /**
   * Who has signed in, by the query of the provider's answer. State, nonce, issuer (also RFC 9207), audience, times and
   * signature are checked. @throws PROVIDER_UNREACHABLE, PROVIDER_REFUSED
   */
  async finish(query: string, { state, nonce, verifier }: FlowSecrets): Promise<PersonAnswer> {
    return this.#asking(async (config, client) => {
      const url = new URL(`${this.redirectUri}?${query}`);
      const tokens = await client.authorizationCodeGrant(config, url, {
        ...{ expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true },
      });
      return this.#personOf(config, client, tokens);
    });
  }

  /**
   * The person of a refresh token, now. @throws PROVIDER_UNREACHABLE; PROVIDER_REFUSED with the cause `invalid_grant` for
   * a person who may no longer sign in
   */
  async again(refreshToken: string): Promise<PersonAnswer> {
    return this.#asking(async (config, client) => {
      const tokens = await client.refreshTokenGrant(config, refreshToken);
      return this.#personOf(config, client, { ...tokens, claims: () => tokens.claims() ?? {} });
    });
  }

  /** The claims of a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.6). @throws as {@link finish} */
  async logoutClaims(token: string): Promise<JWTPayload> {
    return this.#asking(async (config) => {
      const { issuer, jwks_uri: keys = "" } = config.serverMetadata();
      if (this.#keys?.url !== keys) {
        const set = createRemoteJWKSet(new URL(keys), { [customFetch]: this.#call, timeoutDuration: TIMEOUT_MS });
        this.#keys = { url: keys, set };
      }
      const { payload, protectedHeader } = await jwtVerify(token, this.#keys.set, {
        ...{ issuer, audience: this.settings.clientId, algorithms: [...ISSUER_ALGORITHMS] },
        ...{ requiredClaims: ["iat", "jti"], maxTokenAge: LOGOUT_TOKEN_S, clockTolerance: CLOCK_SKEW_S },
        currentDate: new Date(this.#parts.clock.now()),
      });
      const { typ = "JWT" } = protectedHeader;
      const events: unknown = payload["events"];
      const isLogout = typeof events === "object" && events !== null && LOGOUT_EVENT in events;
      if (!isLogout || "nonce" in payload || !/^(logout\+)?jwt$/i.test(typ)) throw new Error("it is no logout token");
      return payload;
    });
  }

  /** Notes the `jti` of a logout token. @returns false if it was used before */
  takeLogoutToken(jti: string): boolean {
    if (this.#logouts.get(jti) !== undefined) return false;
    this.#logouts.set(jti, true);
    return true;
  }

  async #personOf(
    config: Configuration,
    client: typeof import("openid-client"),
    tokens: {
      readonly access_token: string;
      readonly refresh_token?: string;
      claims(): Readonly<Record<string, unknown>> | undefined;
    },
  ): Promise<PersonAnswer> {
    const idToken = tokens.claims() ?? {};
    const { issuer, userinfo_endpoint: infoUrl } = config.serverMetadata();
    const subject = typeof idToken["sub"] === "string" ? idToken["sub"] : client.skipSubjectCheck;
    const info =
      infoUrl !== undefined && lacksClaims(idToken, this.settings)
        ? await client.fetchUserInfo(config, tokens.access_token, subject)
        : {};
    const person = personOf(this.settings, { iss: issuer, ...idToken }, info);
    if (person === null) throw new Error(`it gives no usable ${this.settings.userClaim}`);
    const isUnknown = person.groups === null;
    const text = `no ${this.settings.groupsClaim}, or a link in place of them, as Entra ID does for people in many groups: roles and memberships stay as they are`;
    this.#groupsUnknown = isUnknown ? { since: this.#groupsUnknown?.since ?? this.#parts.clock.now(), text } : null;
    return { ...person, refreshToken: tokens.refresh_token };
  }

  readonly #call = (url: string, call: Parameters<typeof callProvider>[2]): Promise<Response> =>
    callProvider(this.#parts.settings.current.proxy, url, call);

  /** Runs work that needs the provider, and notes whether it answers. */
  async #asking<T>(work: (config: Configuration, client: typeof import("openid-client")) => Promise<T>): Promise<T> {
    const { log, clock } = this.#parts;
    const provider = this.settings.name;
    try {
      const client = await import("openid-client");
      const result = await work(await this.#discovered(client), client);
      this.#broken = null;
      return result;
    } catch (error) {
      if (error instanceof PrismError) throw error;
      const unreachable = chainOf(error).find((each) => each instanceof ProviderUnreachable);
      const text = unreachable?.message ?? reasonOf(error);
      // Without what it publishes no sign-in is possible.
      if (unreachable || this.#found === null) this.#broken = { since: this.#broken?.since ?? clock.now(), text };
      log.warn({ provider, reason: text }, "an OpenID provider gives no answer that can be used");
      throw unreachable
        ? new PrismError("PROVIDER_UNREACHABLE", `${this.label} cannot be reached`, { cause: error })
        : new PrismError("PROVIDER_REFUSED", `The answer of ${this.label} cannot be used`, { cause: error });
    }
  }

  /** What the provider publishes; sign-ins at the same time ask for it once. */
  #discovered(client: typeof import("openid-client")): Promise<Configuration> {
    this.#discovering ??= this.#discover(client).finally(() => {
      this.#discovering = null;
    });
    return this.#discovering;
  }

  /** Once an hour; if it cannot be read again, what is known stays. */
  async #discover(client: typeof import("openid-client")): Promise<Configuration> {
    const now = this.#parts.clock.now();
    if (this.#found && now - this.#found.at < DISCOVERED_MS) return this.#found.config;
    const { issuer, clientId, clientSecret } = this.settings;
    const secret = clientSecret === undefined ? {} : { client_secret: clientSecret };
    const [basic, post, none] = [client.ClientSecretBasic(), client.ClientSecretPost(), client.None()];
    try {
      const config = await client.discovery(
        new URL(issuer),
        clientId,
        { ...secret, [client.clockTolerance]: CLOCK_SKEW_S },
        (server, ...call) => {
          const { token_endpoint_auth_methods_supported: methods = ["client_secret_basic"] } = server;
          const way = clientSecret === undefined ? none : methods.includes("client_secret_basic") ? basic : post;
          return way(server, ...call);
        },
        {
          [client.customFetch]: this.#call,
          timeout: TIMEOUT_MS / 1000,
          execute: [
            // Signatures are checked also where TLS proves the issuer (OpenID Connect Core section 3.1.3.7).
            client.enableNonRepudiationChecks,
            ...(issuer.startsWith("http:") ? [client.allowInsecureRequests] : []),
          ],
        },
      );
      // Identities are found by it, character by character (OpenID Connect Discovery section 4.3).
      const published = config.serverMetadata().issuer;
      if (published !== issuer) throw new Error(`its issuer is ${published}: write it so in the settings`);
      this.#found = { at: now, config };
      return config;
    } catch (error) {
      if (this.#found === null) throw error;
      this.#found = { ...this.#found, at: now - DISCOVERED_MS + 60_000 };
      return this.#found.config;
    }
  }
}

/** An error and its causes. */
function chainOf(error: unknown): readonly Error[] {
  return error instanceof Error ? [error, ...chainOf(error.cause)] : [];
}

/** Whether a provider refused a refresh token (RFC 6749 section 5.2). */
export function isGrantRefused(error: unknown): boolean {
  return chainOf(error).some((each) => "error" in each && each.error === "invalid_grant");
}

/** Without the answer of the provider, which may hold tokens. */
function reasonOf(error: unknown): string {
  const texts = chainOf(error).map((each) =>
    "error" in each ? `${each.message} (${errorCode(each.error)})` : each.message,
  );
  return texts.length === 0 ? connectionReason(error) : texts.join(": ").slice(0, 500);
}

/** Of characters of RFC 6749 section 5.2 alone: it may come from a link that a stranger made. */
function errorCode(given: unknown): string {
  return String(given)
    .replaceAll(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, "")
    .slice(0, 60);
}
