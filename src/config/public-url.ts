import { isIP } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { isPublicAddress } from "../core/ip-addresses.ts";
import type { Config } from "./load.ts";

/** Whether clients connect over https: this server or a proxy before it speaks TLS. */
export function isHttps({ tls, publicUrl }: Pick<Config, "tls" | "publicUrl">): boolean {
  return tls.certFile !== undefined || publicUrl?.startsWith("https:") === true;
}

/**
 * The URL under which clients reach this server; without publicUrl that of localhost.
 * @param port the port it listens on.
 */
export function publicUrlOf(config: Pick<Config, "tls" | "publicUrl">, port: number): string {
  return config.publicUrl ?? `${isHttps(config) ? "https" : "http"}://localhost:${port}`;
}

/**
 * The URL under which the sender of a request reached this server, if others can be given it:
 * without publicUrl, anyone can send any `Host`. Believed are this machine's names and addresses,
 * and private addresses; otherwise the URL is that of localhost.
 */
export function urlOfHost(config: Pick<Config, "tls" | "publicUrl" | "port">, host: string): string {
  const name = host
    .replace(/:\d{1,5}$/, "")
    .replace(/^\[(.*)\]$/, "$1")
    .toLowerCase();
  const isBelieved = isIP(name) === 0 ? isOwnName(name) : !isPublicAddress(name) || isOwnAddress(name);
  return isBelieved ? `${isHttps(config) ? "https" : "http"}://${host}` : publicUrlOf(config, config.port);
}

function isOwnName(name: string): boolean {
  const own = hostname().toLowerCase();
  return name === "localhost" || name === own || name === `${own}.local`;
}

function isOwnAddress(address: string): boolean {
  return Object.values(networkInterfaces()).some((all) => all?.some((each) => each.address === address));
}

/**
 * The URL for programs on this machine, with an address that the server listens on.
 * @param port one of the ports it listens on.
 */
export function localUrlOf(config: Pick<Config, "host" | "tls">, port: number): string {
  const { host } = config;
  const name = host === "0.0.0.0" || host === "::" ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return `${tlsFilesOf(config) ? "https" : "http"}://${name}:${port}`;
}

/**
 * The URLs under which other devices of this network reach a port, or that of this machine if the
 * server listens on one address only. IPv6 addresses are left out: they are hard to type on a phone.
 */
export function networkUrlsOf(config: Pick<Config, "host" | "tls">, port: number): readonly string[] {
  const { host } = config;
  if (host !== "0.0.0.0" && host !== "::") return [localUrlOf(config, port)];
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const addresses = all.filter(({ family, internal }) => family === "IPv4" && !internal).map(({ address }) => address);
  if (addresses.length === 0) return [localUrlOf(config, port)];
  return addresses.map((address) => localUrlOf({ ...config, host: address }, port));
}

/**
 * The origins of the server's own pages.
 * @param port the main port. Without publicUrl the extra ports are origins, too.
 */
export function ownOrigins(config: Ports & Pick<Config, "tls" | "publicUrl">, port: number): string[] {
  const { publicUrl, dashboardPort } = config;
  const origins = [port, ...furtherPorts(config)].map((each) => new URL(publicUrlOf(config, each)).origin);
  if (publicUrl === undefined || dashboardPort === undefined) return origins;
  const scheme = tlsFilesOf(config) ? "https" : "http";
  return [...origins, new URL(`${scheme}://${new URL(publicUrl).hostname}:${dashboardPort}`).origin];
}

type Ports = Pick<Config, "extraPorts" | "dashboardPort" | "ntfy">;

interface OtherPort {
  readonly port: number;
  /** The option and the environment variable that name it. */
  readonly setting: string;
  /** The prefix of the routes that are at its root; empty: it serves what the main port does. */
  readonly face: string;
  /** Path of the health check there. */
  readonly health: string;
}

/** All ports besides the main one. */
export function otherPorts({ extraPorts, dashboardPort, ntfy }: Ports): readonly OtherPort[] {
  const same = { face: "", health: "/health" };
  const extra = extraPorts.map((port) => ({ port, setting: "extraPorts or PRISM_EXTRA_PORTS", ...same }));
  const dashboard = { setting: "dashboardPort or PRISM_DASHBOARD_PORT", ...same };
  const ofNtfy = { setting: "ntfy.port or PRISM_NTFY_PORT", face: "/ntfy", health: "/v1/health" };
  return [
    ...extra,
    ...(dashboardPort === undefined ? [] : [{ port: dashboardPort, ...dashboard }]),
    ...(ntfy.port === undefined ? [] : [{ port: ntfy.port, ...ofNtfy }]),
  ];
}

/** The numbers of the ports that serve what the main one does. */
export function furtherPorts(config: Ports): readonly number[] {
  return otherPorts(config).flatMap(({ port, face }) => (face === "" ? [port] : []));
}

/** The files of the certificate; null if the server speaks plain HTTP. */
export function tlsFilesOf({
  tls: { certFile, keyFile },
}: Pick<Config, "tls">): { certFile: string; keyFile: string } | null {
  return certFile === undefined || keyFile === undefined ? null : { certFile, keyFile };
}
