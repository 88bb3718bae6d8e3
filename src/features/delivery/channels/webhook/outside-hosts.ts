import { isIP } from "node:net";
import type { Config } from "../../../../config/load.ts";
import { PrismError } from "../../../../core/errors.ts";
import { CidrSet, isPublicAddress } from "../../../../core/ip-addresses.ts";
import { resolveHost } from "./resolve-host.ts";

/** The addresses of a host name, all of them. */
export type Resolver = (host: string) => Promise<readonly ResolvedAddress[]>;

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

export interface OutsideRules {
  /** Lets http go to public addresses: development only. */
  readonly allowsHttp: boolean;
  readonly allowPorts: readonly number[];
  readonly allowPrivateCidrs: readonly string[];
}

const PORTS: readonly number[] = [443, 80, 8443];
const MAX_URL_LENGTH = 2048;
/** One text for both: which names exist in the operator's network is not for users to know. */
const NO_PUBLIC_ADDRESS =
  "the host has no address, or one that is not public (webhooks.allowPrivateCidrs allows more addresses)";

export function outsideRulesOf({ env, webhooks }: Pick<Config, "env" | "webhooks">): OutsideRules {
  return { allowsHttp: env === "development", ...webhooks };
}

/**
 * Where this server may be sent by what its users have written (contract 12.6): to public addresses by https, on a few ports; to the operator's
 * own ranges anyhow. A name is as good as its worst address.
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
   * The addresses to connect to for this URL, each of them checked. They are good for the connection that is made next: the name may lead
   * elsewhere a moment later.
   * @throws URL_REFUSED with a {@link HostUnknown} as its cause where the name has no address now
   */
  async require(text: string): Promise<{ readonly url: URL; readonly addresses: readonly ResolvedAddress[] }> {
    const url = readUrl(text);
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const family = isIP(host);
    const addresses = family === 0 ? await this.#addressesOf(host) : [{ address: host, family }];
    for (const { address } of addresses) this.#requireAddress(url, address);
    return { url, addresses };
  }

  async #addressesOf(host: string): Promise<readonly ResolvedAddress[]> {
    const addresses = await this.#resolve(host).catch((cause: unknown) => {
      throw refused(NO_PUBLIC_ADDRESS, new HostUnknown(host, { cause }));
    });
    if (addresses.length === 0) throw refused(NO_PUBLIC_ADDRESS, new HostUnknown(host));
    return addresses;
  }

  /** Says nothing of the address itself: what a name means inside the operator's network is not everybody's to know. */
  #requireAddress({ protocol, port }: URL, address: string): void {
    if (this.#own.has(address)) return;
    if (!isPublicAddress(address)) throw refused(NO_PUBLIC_ADDRESS);
    if (protocol !== "https:" && !this.#rules.allowsHttp) throw refused("only https is let out");
    const number = port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);
    if (!this.#ports.has(number)) throw refused(`port ${number} is not let out (webhooks.allowPorts)`);
  }
}

/** The name of a host has no address at this moment, which may be another in a minute. */
export class HostUnknown extends Error {
  override readonly name = "HostUnknown";

  constructor(host: string, options?: ErrorOptions) {
    super(`${host} has no address`, options);
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

function refused(why: string, cause?: Error): PrismError {
  return new PrismError("URL_REFUSED", `The URL is refused: ${why}`, cause ? { cause } : {});
}
