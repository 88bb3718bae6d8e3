import { isIP } from "node:net";
import { type EnvironmentVariables, readDotEnv } from "../config/environment.ts";
import type { Config } from "../config/load.ts";
import { maskCredentials } from "../config/option.ts";
import { localUrlOf, tlsFilesOf } from "../config/public-url.ts";
import { CommandError, EXIT } from "../core/command-error.ts";
import { ControlTransport } from "../remote/control-transport.ts";
import { ServerClient } from "../remote/server-client.ts";
import { type CommandContext, isSet } from "./context.ts";
import { readTextFile } from "./files.ts";

const DEV_TOKEN_LIMIT_MS = 5000;

/**
 * The server of `--url` or PRISM_URL; without them the one that `serve` would start here, with its
 * settings. In development that one hands out a token, so none has to be given.
 * @param useDevToken false for programs that run longer than such a token is valid
 * @throws CommandError 2 for no URL, for a token that cannot be one, or a file of PRISM_TOKEN_FILE
 * that cannot be read
 * @throws ConfigRefused for settings that `serve` would refuse, where no URL is given
 */
export async function serverOf({ flags, out, loadConfig }: CommandContext, useDevToken = true): Promise<ServerClient> {
  const named = flags.url ?? process.env["PRISM_URL"];
  const config = isSet(named) ? undefined : loadConfig("none").config;
  const base = isSet(named) ? named : config ? ownUrlOf(config) : "";
  requireServerUrl(base);
  const transport = transportTo(new URL(base), config === undefined ? authorityHere(loadConfig) : authorityOf(config));
  const asksForToken = useDevToken && config?.env === "development";
  const token = tokenOf({ flags }) ?? (asksForToken ? await devToken(base, transport) : undefined);
  // Checked here: errors of an invalid header quote its content.
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
    throw new CommandError(
      EXIT.usage,
      "the token is empty or has characters that a token cannot have; check --token or PRISM_TOKEN",
    );
  const target = { base: base.replace(/\/+$/, ""), token };
  return new ServerClient(transport ? { ...target, transport } : target, out);
}

/** The certificate of a node has the name of `cluster.advertise`. */
function ownUrlOf(config: Config): string {
  const { advertise } = config.cluster;
  return isSecureNode(config) && advertise !== undefined ? advertise : localUrlOf(config, config.port);
}

function isSecureNode(config: Config): boolean {
  return config.cluster.servers.length > 0 && tlsFilesOf(config) !== null;
}

/** The authority of the certificates of nodes; undefined: none of its own. */
function authorityOf(config: Config): string | undefined {
  const { caFile } = config.cluster;
  return isSecureNode(config) && caFile !== undefined ? readTextFile(caFile, "cluster.caFile") : undefined;
}

/** A server that is named may be a node of this machine's cluster. What cannot be read here does not matter to it. */
function authorityHere(loadConfig: CommandContext["loadConfig"]): string | undefined {
  try {
    const { servers, caFile } = loadConfig("none").config.cluster;
    return servers.length > 0 && caFile !== undefined ? readTextFile(caFile, "cluster.caFile") : undefined;
  } catch {
    return undefined;
  }
}

/** Connections to a server with a certificate of an authority that the system does not know. */
function transportTo(url: URL, authority: string | undefined): ControlTransport | undefined {
  if (authority === undefined || url.protocol !== "https:") return undefined;
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const { connect, rootCertificates } = process.getBuiltinModule("node:tls");
  const ca = [...rootCertificates, authority];
  const way = { host, port: Number(url.port || 443), ca, servername: isIP(host) === 0 ? host : "" };
  return new ControlTransport(() => connect(way), `http://${url.host}${url.pathname.replace(/\/+$/, "")}`);
}

/** Errors name the server by its URL, so that it may contain no secret. @throws CommandError 2 */
function requireServerUrl(base: string): void {
  const url = URL.canParse(base) ? new URL(base) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new CommandError(
      EXIT.usage,
      `${maskCredentials(base)} is not the URL of a server; use one such as http://127.0.0.1:3000`,
    );
  if (url.username + url.password + url.search + url.hash !== "")
    throw new CommandError(
      EXIT.usage,
      "the URL of a server has no user, password, query or fragment; give a token with --token or PRISM_TOKEN",
    );
}

/** The token of a flag, the environment or the folder: `.env` is for its server only. */
export function tokenOf({ flags }: Pick<CommandContext, "flags">): string | undefined {
  const isNamed = isSet(flags.url ?? process.env["PRISM_URL"]);
  return flags.token ?? tokenIn(process.env) ?? (isNamed ? undefined : tokenIn(readDotEnv(process.cwd(), [])));
}

/**
 * The token that a development server gives to this machine; undefined without an answer, so that
 * the command itself reports why.
 */
async function devToken(base: string, transport: ControlTransport | undefined): Promise<string | undefined> {
  try {
    const response = await (transport?.fetch ?? fetch)(`${transport?.url ?? base}/dev/token`, {
      redirect: "error",
      signal: AbortSignal.timeout(DEV_TOKEN_LIMIT_MS),
    });
    const { token } = (await response.json()) as { token?: unknown };
    return typeof token === "string" ? token : undefined;
  } catch {
    return undefined;
  }
}

function tokenIn({ PRISM_TOKEN, PRISM_TOKEN_FILE }: EnvironmentVariables): string | undefined {
  if (isSet(PRISM_TOKEN)) return PRISM_TOKEN;
  return isSet(PRISM_TOKEN_FILE) ? readTextFile(PRISM_TOKEN_FILE, "PRISM_TOKEN_FILE").trim() : undefined;
}
