import { CidrSet } from "../../base/cidr.ts";
import type { Config } from "../../config/load.ts";
import type { Exchange } from "../../http/exchange.ts";

const FORWARDING_HEADERS = /^(forwarded|x-forwarded-.+|x-real-ip|via|cf-.+|true-client-ip)$/;
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
      !exchange.headerNames().some((name) => FORWARDING_HEADERS.test(name)) &&
      this.#isOwnHost(host) &&
      this.#isOwnOrigin(exchange.header("origin"), host) &&
      ["", "none", "same-origin"].includes(exchange.header("sec-fetch-site")) &&
      this.#isPublicUrlLocal()
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

  #isPublicUrlLocal(): boolean {
    return this.#config.publicUrl === undefined || LOOPBACK_HOST.test(new URL(this.#config.publicUrl).hostname);
  }
}
