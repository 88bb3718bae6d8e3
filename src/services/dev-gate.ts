import { CidrSet } from "../base/cidr.ts";
import type { Config } from "../config/load.ts";
import type { Exchange } from "../http/exchange.ts";
import type { LiveSettings } from "./live-settings.ts";

const FORWARDING_HEADERS = /^(forwarded|x-forwarded-.+|x-real-ip|via|cf-.+|true-client-ip)$/;
const LOOPBACK_HOST = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/**
 * Who may have an administrator's token for the asking, and read the metrics without one (D10): a process on this machine that asks directly. Everything that a proxy, a browser
 * page of another origin or a rebound host name would show, closes it.
 */
export class DevGate {
  readonly #config: Config;
  readonly #settings: LiveSettings;
  readonly #peers: CidrSet;

  constructor(config: Config, settings: LiveSettings) {
    this.#config = config;
    this.#settings = settings;
    this.#peers = new CidrSet(config.auth.devTokenCidrs);
  }

  allows(exchange: Exchange): boolean {
    return (
      this.#config.env === "development" &&
      this.#peers.has(exchange.clientAddress) &&
      !Object.keys(exchange.allHeaders()).some((name) => FORWARDING_HEADERS.test(name)) &&
      this.#isOwnHost(exchange.header("host")) &&
      this.#isOwnOrigin(exchange.header("origin")) &&
      ["", "none", "same-origin"].includes(exchange.header("sec-fetch-site")) &&
      this.#isPublicUrlLocal()
    );
  }

  #isOwnHost(host: string): boolean {
    const name = host.replace(/:\d{1,5}$/, "").toLowerCase();
    return (
      LOOPBACK_HOST.test(name) || this.#config.auth.devTokenHosts.some((allowed) => allowed.toLowerCase() === name)
    );
  }

  #isOwnOrigin(origin: string): boolean {
    return origin === "" || this.#settings.cors.allows(origin);
  }

  #isPublicUrlLocal(): boolean {
    return this.#config.publicUrl === undefined || LOOPBACK_HOST.test(new URL(this.#config.publicUrl).hostname);
  }
}
