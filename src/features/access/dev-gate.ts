import type { Config } from "../../config/load.ts";
import { CidrSet } from "../../core/ip-addresses.ts";
import type { Exchange } from "../../http/exchange.ts";

/** What proxies, load balancers and CDNs add to the requests that they pass on. */
const FORWARDING_NAMES = new Set(["forwarded", "via", "true-client-ip", "client-ip", "x-host", "x-proxyuser-ip"]);
const FORWARDING_PREFIXES = [
  ...["x-forwarded", "x-real-", "x-client-", "x-cluster-", "x-remote-", "x-original-", "x-rewrite-", "x-proxy-"],
  ...["akamai-", "cdn-", "cf-", "fastly-", "fly-", "x-akamai-", "x-amz-cf-", "x-amzn-", "x-appengine-", "x-arr-"],
  ...["x-azure-", "x-envoy-", "x-goog-", "x-nf-", "x-sucuri-", "x-vercel-"],
];
const LOOPBACK_HOST = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/**
 * Who may have an administrator's token for the asking, and read the metrics without one (D10): a process on this machine that asks directly.
 * Everything that a proxy, a browser page of another origin or a rebound host name would show, closes it.
 */
export class DevGate {
  readonly #config: Config;
  readonly #peers: CidrSet;
  readonly #hosts: ReadonlySet<string>;

  constructor(config: Config) {
    this.#config = config;
    this.#peers = new CidrSet(config.auth.devTokenCidrs);
    this.#hosts = new Set(config.auth.devTokenHosts.map((host) => host.toLowerCase()));
  }

  allows(exchange: Exchange): boolean {
    const host = exchange.header("host").toLowerCase();
    return (
      this.#config.env === "development" &&
      this.#peers.has(exchange.clientAddress) &&
      !exchange.headerNames().some(isForwarding) &&
      this.#isOwnHost(host) &&
      this.#isOwnOrigin(exchange.header("origin"), host) &&
      ["", "none", "same-origin"].includes(exchange.header("sec-fetch-site")) &&
      hasLocalPublicUrl(this.#config)
    );
  }

  #isOwnHost(host: string): boolean {
    const name = host.replace(/:\d{1,5}$/, "");
    return LOOPBACK_HOST.test(name) || this.#hosts.has(name);
  }

  /** Only a page of this very server is not foreign: another port of this machine may serve anybody's. The host has been checked before. */
  #isOwnOrigin(origin: string, host: string): boolean {
    return origin === "" || origin === `http://${host}`;
  }
}

/** A server that clients call by the name of another host gives no development token, to this machine neither. */
export function hasLocalPublicUrl({ publicUrl }: Pick<Config, "publicUrl">): boolean {
  return publicUrl === undefined || LOOPBACK_HOST.test(new URL(publicUrl).hostname);
}

/** @param name in lower case. */
function isForwarding(name: string): boolean {
  return FORWARDING_NAMES.has(name) || FORWARDING_PREFIXES.some((prefix) => name.startsWith(prefix));
}
