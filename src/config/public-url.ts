import type { Config } from "./load.ts";

/**
 * Whether clients reach this server over https: it speaks TLS itself, or what stands before it
 * does.
 */
export function isHttps({ tls, publicUrl }: Pick<Config, "tls" | "publicUrl">): boolean {
  return tls.certFile !== undefined || publicUrl?.startsWith("https:") === true;
}

/**
 * What clients call this server; without a configured name, links lead to this machine. @param port
 * the one it listens on.
 */
export function publicUrlOf(config: Pick<Config, "tls" | "publicUrl">, port: number): string {
  return config.publicUrl ?? `${isHttps(config) ? "https" : "http"}://localhost:${port}`;
}

/**
 * What programs of this machine call this server, by an address that it listens on. @param port one
 * of those it listens on
 */
export function localUrlOf(config: Pick<Config, "host" | "tls">, port: number): string {
  const { host } = config;
  const name = host === "0.0.0.0" || host === "::" ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return `${tlsFilesOf(config) ? "https" : "http"}://${name}:${port}`;
}

/**
 * The origins of pages that this server itself has given out. @param port the main one; without a
 * configured name it also goes by the others.
 */
export function ownOrigins(config: Pick<Config, "tls" | "publicUrl" | "extraPorts">, port: number): string[] {
  return [port, ...config.extraPorts].map((each) => new URL(publicUrlOf(config, each)).origin);
}

/** The files of the certificate; null where the server speaks plain HTTP. */
export function tlsFilesOf({
  tls: { certFile, keyFile },
}: Pick<Config, "tls">): { certFile: string; keyFile: string } | null {
  return certFile === undefined || keyFile === undefined ? null : { certFile, keyFile };
}
