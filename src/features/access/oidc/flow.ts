import { isHttps } from "../../../config/public-url.ts";
import { UnsealError } from "../../../core/crypto/sealed-box.ts";
import { PrismError } from "../../../core/errors.ts";
import { TtlCache } from "../../../core/limits/ttl-cache.ts";
import { MINUTE_MS } from "../../../core/time/clock.ts";
import { Reply } from "../../../http/api/route.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { AuthLimits, cookieOf } from "../sessions/guards.ts";
import { clientOf } from "../sessions/sessions.ts";
import { linkIdentity } from "./identities.ts";
import { consolePath, landAt, landOpened, landRefused } from "./landing.ts";
import type { FlowSecrets } from "./provider.ts";
import type { OidcContext, OidcProviders } from "./providers.ts";
import { signInWith } from "./sign-in.ts";

/** Between the start at Prism and the answer of the provider. */
interface Flow extends FlowSecrets {
  readonly provider: string;
  /** A page of the console. */
  readonly next: string;
  /** Epoch ms. */
  readonly until: number;
  /** The session that links the account of the provider; without it the flow signs in. */
  readonly link?: { readonly userId: string; readonly sessionId: string } | undefined;
}

const FLOW_MS = 10 * MINUTE_MS;
const MAX_FLOWS = 10_000;
const SEAL = "oidc flow";
/** Flows of several tabs at a time; browsers send all of these cookies with each request. */
const COOKIES = 4;

/** The way of a browser to a provider and back. A sealed cookie carries what must be the same at the end. */
export class SignInFlow {
  readonly #context: OidcContext;
  readonly #providers: OidcProviders;
  readonly #limits: AuthLimits;
  /** States that came back; the codes of providers are used once, too. */
  readonly #used: TtlCache<string, true>;

  constructor(context: OidcContext, providers: OidcProviders) {
    this.#context = context;
    this.#providers = providers;
    this.#limits = new AuthLimits(context);
    this.#used = new TtlCache({ maxEntries: MAX_FLOWS, ttlMs: FLOW_MS, clock: context.clock });
  }

  /** Leads to the provider. Errors lead to the sign-in page. */
  async start(exchange: Exchange, provider: string, returnTo = ""): Promise<Reply> {
    const next = consolePath(returnTo);
    try {
      this.#limits.take(exchange, "login");
      const { url, cookie } = await this.begin(provider, next);
      return new Reply(302, undefined, { Location: url, "Set-Cookie": cookie });
    } catch (error) {
      return this.#refused(error, provider, next);
    }
  }

  /** @throws NOT_FOUND, PROVIDER_UNREACHABLE, PROVIDER_REFUSED */
  async begin(
    name: string,
    next: string,
    link?: Flow["link"],
  ): Promise<{ readonly url: string; readonly cookie: string }> {
    const { url, ...secrets } = await this.#providers.require(name).begin();
    const until = this.#context.clock.now() + FLOW_MS;
    const flow: Flow = { provider: name, next, until, link, ...secrets };
    const sealed = this.#context.box.seal(SEAL, Buffer.from(JSON.stringify(flow))).toString("base64url");
    return { url: url.href, cookie: this.#cookie(secrets.state, sealed, FLOW_MS) };
  }

  /** The browser comes back from the provider. */
  async callback(exchange: Exchange, name: string): Promise<Reply> {
    const state = new URLSearchParams(exchange.queryText).get("state") ?? "";
    exchange.extraHeaders += `Set-Cookie: ${this.#cookie(state, "", 0)}\r\n`;
    let flow: Flow | undefined;
    try {
      flow = this.#takeFlow(exchange, name, state);
      const provider = this.#providers.require(name);
      const answer = await provider.finish(exchange.queryText, flow);
      if (flow.link) {
        const { email, username, name: shown, issuer, subject } = answer;
        const identity = { issuer, subject, provider: name, name: email ?? username ?? shown };
        await this.#link(flow.link, identity);
        return landAt(this.#context, flow.next);
      }
      const opened = await signInWith(this.#context.accounts, provider.settings, answer, clientOf(exchange));
      return landOpened(this.#context, opened, flow.next);
    } catch (error) {
      return this.#refused(error, name, flow?.next ?? "/", flow?.link && flow.next);
    }
  }

  async #link(
    { userId, sessionId }: NonNullable<Flow["link"]>,
    identity: Parameters<typeof linkIdentity>[2],
  ): Promise<void> {
    const { accounts, db, clock, deletions } = this.#context;
    await db.write(async (trx) => {
      const session = await trx
        .selectFrom("sessions")
        .innerJoin("users", "users.id", "sessions.userId")
        .select("sessions.id")
        .where("sessions.id", "=", sessionId)
        .where("sessions.userId", "=", userId)
        .where("sessions.revokedAt", "is", null)
        .where("sessions.expiresAt", ">", clock.now())
        .where("users.status", "=", "active")
        .executeTakeFirst();
      if (!session) throw new PrismError("SESSION_REVOKED", "The session has ended; sign in and link again");
      await linkIdentity(accounts, userId, identity, trx, { byUser: userId, deletions });
    });
  }

  /** The flow of the cookie, once. Only failures count: its start did. @throws SIGN_IN_EXPIRED, RATE_LIMITED */
  #takeFlow(exchange: Exchange, provider: string, state: string): Flow {
    const expired = () => {
      this.#limits.take(exchange, "login");
      return new PrismError("SIGN_IN_EXPIRED", "The sign-in took too long, or began in another browser");
    };
    const sealed = Buffer.from(cookieOf(exchange, this.#cookieName(state)) ?? "", "base64url");
    let flow: Flow;
    try {
      flow = JSON.parse(this.#context.box.open(SEAL, sealed).toString()) as Flow;
    } catch (error) {
      if (error instanceof UnsealError) throw expired();
      throw error;
    }
    const isOpen = flow.until > this.#context.clock.now() && this.#used.get(flow.state) === undefined;
    if (!isOpen || flow.provider !== provider || flow.state !== state) throw expired();
    this.#used.set(flow.state, true);
    return flow;
  }

  /** With https the prefix keeps other hosts from setting it (RFC 6265bis section 4.1.3.2). */
  #cookieName(state: string): string {
    const name = `prism_oidc_${state.charCodeAt(0) % COOKIES || 0}`;
    return isHttps(this.#context.settings.current) ? `__Host-${name}` : name;
  }

  /** Lax: the browser comes back from a page of the provider. */
  #cookie(state: string, value: string, maxAgeMs: number): string {
    const secure = isHttps(this.#context.settings.current) ? "; Secure" : "";
    return `${this.#cookieName(state)}=${value}; Max-Age=${maxAgeMs / 1000}; HttpOnly; SameSite=Lax; Path=/${secure}`;
  }

  #refused(error: unknown, name: string, next: string, page?: string): Promise<Reply> {
    const who = this.#providers.has(name) ? name : "a provider";
    return landRefused(this.#context, error, page === undefined ? { who, next } : { who, next, page });
  }
}
