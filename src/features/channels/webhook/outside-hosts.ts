import { isIP } from "node:net";
import type { Config } from "../../../config/load.ts";
import { isProxied, type OutgoingProxy, outgoingProxyOf, targetOf } from "../../../config/outgoing-proxy.ts";
import { PrismError } from "../../../core/errors.ts";
import { CidrSet, isPublicAddress } from "../../../core/ip-addresses.ts";
import { type CallLimits, withinDns } from "../../delivery/calls/connect.ts";
import { type ResolvedAddress, resolveHost } from "../../delivery/calls/resolve.ts";
import { NoAnswer } from "../../delivery/channel.ts";

/** Resolves a host name to all its addresses. */
export type Resolver = (host: string) => Promise<readonly ResolvedAddress[]>;

export interface OutsideRules {
  /** Permits http to public addresses: development only. */
  readonly allowsHttp: boolean;
  readonly allowPorts: readonly number[];
  readonly allowPrivateCidrs: readonly string[];
  readonly proxy?: OutgoingProxy | null;
}

const PORTS: readonly number[] = [443, 80, 8443];
const MAX_URL_LENGTH = 2048;
/** A name that is not resolved here in this time is left to a proxy that resolves names. */
const LEFT_TO_PROXY_MS = 1500;
/** For a URL with an address: the refusal reveals nothing about names. */
const PRIVATE_ADDRESS =
  "the address is not public; an operator allows it with webhooks.allowPrivateCidrs " +
  "(PRISM_WEBHOOKS_ALLOW_PRIVATE_CIDRS)";
/** For a name that would leave through the proxy, which may know it. */
const LEFT_TO_PROXY =
  "if only the proxy of proxy.url resolves it, an operator sets proxy.resolves (PRISM_PROXY_RESOLVES)";
/** One text for both cases of a name: users must not learn which names exist in the operator's network. */
const NO_PUBLIC_ADDRESS =
  "The host name could not be resolved: check its spelling, and the name server. " +
  "A name with an address that is not public counts as one without an address";

export function outsideRulesOf({ env, webhooks, proxy }: Pick<Config, "env" | "webhooks" | "proxy">): OutsideRules {
  return { allowsHttp: env === "development", ...webhooks, proxy: outgoingProxyOf(proxy) };
}

/**
 * The hosts that URLs of users may point to: public addresses by https on a few ports, and the
 * operator's own ranges. A name is refused if any of its addresses is. One without an address goes
 * to the outgoing proxy only if that resolves names.
 */
export class OutsideHosts {
  readonly #rules: OutsideRules;
  readonly #own: CidrSet;
  readonly #ports: ReadonlySet<number>;
  readonly #resolve: Resolver;

  constructor(rules: OutsideRules, resolve: Resolver = resolveHost) {
    this.#rules = rules;
    this.#own = new CidrSet(rules.allowPrivateCidrs);
    this.#ports = new Set([...PORTS, ...rules.allowPorts]);
    this.#resolve = resolve;
  }

  /**
   * Resolves and checks the addresses for this URL. Use them for the next connection only: the name
   * may change.
   * @throws URL_REFUSED, with {@link UnresolvedHostError} as its cause when the name does not resolve now
   */
  async require(text: string): Promise<{ readonly url: URL; readonly addresses: readonly ResolvedAddress[] }> {
    const url = readUrl(text);
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const family = isIP(host);
    const addresses = family === 0 ? await this.#addressesOf(url, host) : [{ address: host, family }];
    if (addresses.length === 0) this.#requirePort(url);
    for (const { address } of addresses) this.#requireAddress(url, address, family !== 0);
    return { url, addresses };
  }

  /** What to set for a name that does not resolve here; empty: nothing helps. It reveals nothing about the name. */
  hintFor(url: URL): string {
    const { proxy } = this.#rules;
    return proxy && !proxy.resolves && isProxied(proxy, targetOf(url)) ? LEFT_TO_PROXY : "";
  }

  /** None: the proxy resolves the name. */
  async #addressesOf(url: URL, host: string): Promise<readonly ResolvedAddress[]> {
    const { proxy } = this.#rules;
    if (proxy?.resolves && isProxied(proxy, targetOf(url))) return this.#addressesInTime(host);
    const addresses = await this.#resolve(host).catch((cause: unknown) => {
      throw this.#unresolved(url, new UnresolvedHostError(host, { cause }));
    });
    if (addresses.length === 0) throw this.#unresolved(url, new UnresolvedHostError(host));
    return addresses;
  }

  /** A network whose names only the proxy knows may have no name server that answers. */
  async #addressesInTime(host: string): Promise<readonly ResolvedAddress[]> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<readonly ResolvedAddress[]>((resolve) => {
      timer = setTimeout(() => resolve([]), LEFT_TO_PROXY_MS);
    });
    const found = this.#resolve(host).catch(() => []);
    return Promise.race([found, late]).finally(() => clearTimeout(timer));
  }

  /** The error omits the address: users must not learn how the operator's network resolves. */
  #requireAddress(url: URL, address: string, isGiven: boolean): void {
    if (this.#own.has(address)) return;
    if (!isPublicAddress(address)) throw isGiven ? refused(PRIVATE_ADDRESS) : this.#unresolved(url);
    this.#requirePort(url);
  }

  #unresolved(url: URL, cause?: UnresolvedHostError): PrismError {
    return new UnresolvedName(this.hintFor(url), cause);
  }

  #requirePort({ protocol, port }: Pick<URL, "protocol" | "port">): void {
    if (protocol !== "https:" && !this.#rules.allowsHttp) throw refused("only https is let out");
    const number = port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);
    if (!this.#ports.has(number)) throw refused(`port ${number} is not let out (webhooks.allowPorts)`);
  }
}

/** The host name does not resolve at the moment, which may change within a minute. */
export class UnresolvedHostError extends Error {
  override readonly name = "UnresolvedHostError";

  constructor(host: string, options?: ErrorOptions) {
    super(`${host} has no address`, options);
  }
}

/**
 * The addresses of a URL that is called now. @throws URL_REFUSED; NoAnswer for a name that does not
 * resolve, or not in time, or to an address that is not public; the signal's reason
 */
export async function addressesOf(
  hosts: OutsideHosts,
  url: string,
  limits: Pick<CallLimits, "dnsMs">,
  signal?: AbortSignal,
): ReturnType<OutsideHosts["require"]> {
  try {
    return await withinDns(hosts.require(url), limits, signal);
  } catch (error) {
    if (error instanceof NoAnswer && error.timedOut && URL.canParse(url)) {
      const hint = hosts.hintFor(new URL(url));
      if (hint !== "") throw new NoAnswer(`${error.message}; ${hint}`, { phase: "dns", timedOut: true, cause: error });
    }
    // Routers, captive portals and filters give private addresses for a moment.
    if (!(error instanceof UnresolvedName)) throw error;
    throw new NoAnswer(error.message, { phase: "dns", cause: error });
  }
}

function readUrl(text: string): URL {
  if (!URL.canParse(text)) throw refused("it is not a URL");
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") throw refused("only https is let out");
  if (url.username !== "" || url.password !== "") throw refused("it holds a name or password");
  if (url.href.length > MAX_URL_LENGTH) throw refused(`it is longer than ${MAX_URL_LENGTH} characters`);
  return url;
}

function refused(why: string): PrismError {
  return new PrismError("URL_REFUSED", `The URL is refused: ${why}`);
}

/** A name without an address, or with one that is not public. */
class UnresolvedName extends PrismError {
  override readonly name = "UnresolvedName";
  constructor(hint: string, cause?: UnresolvedHostError) {
    super("URL_REFUSED", hint === "" ? NO_PUBLIC_ADDRESS : `${NO_PUBLIC_ADDRESS}; ${hint}`, cause ? { cause } : {});
  }
}
