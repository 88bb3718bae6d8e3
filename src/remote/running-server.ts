import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { nodeOf } from "../config/checks.ts";
import type { Config, LoadedConfig, Origin } from "../config/load.ts";
import { otherPorts, tlsFilesOf } from "../config/public-url.ts";
import { CommandError, ServerRefused } from "../core/command-error.ts";
import { type Finding, fail, pass, warn } from "../core/finding.ts";
import { CONTROL_SOCKET, tryListen } from "../core/listening.ts";
import { VERSION } from "../core/runtime.ts";
import type { SettingView } from "../features/records/settings/service.ts";
import { ControlTransport, type SocketState, socketState } from "./control-transport.ts";
import { type ClientOutput, ServerClient } from "./server-client.ts";

/* doctor judges the settings of the running server, not those of the shell that it is called from. */

type Setting = Pick<SettingView, "key" | "value" | "origin" | "secret">;

/** The settings that are judged. */
export interface Judged {
  readonly loaded: LoadedConfig;
  /** Null: those of this shell. */
  readonly server: {
    /** Settings that have another value in this shell. */
    readonly differing: readonly string[];
    /** Secrets that the server has and this shell does not. */
    readonly missing: readonly string[];
  } | null;
  /** `denied`: a server runs that this user may not ask. */
  readonly socket: SocketState;
}

/** The settings of the server that runs on the data directory, else those that this shell gives. */
export async function judgedConfig(loaded: LoadedConfig, out: ClientOutput): Promise<Judged> {
  const { dataDir } = loaded.config;
  const path = join(dataDir, CONTROL_SOCKET);
  const socket = await socketState(path);
  if (socket !== "open") return { loaded, server: null, socket };
  const transport = new ControlTransport(path);
  try {
    const api = new ServerClient({ base: `the server of ${dataDir}`, token: undefined, transport }, out);
    const { data } = await api.get<{ data: readonly Setting[] }>("/api/v1/settings");
    return { ...overlaid(loaded, data), socket };
  } catch (error) {
    // A server that stops, or one of another version.
    if (!(error instanceof ServerRefused || error instanceof CommandError)) throw error;
    return { loaded, server: null, socket };
  } finally {
    transport.close();
  }
}

/** Secrets are masked: those of this shell stay. */
function overlaid(loaded: LoadedConfig, settings: readonly Setting[]): Pick<Judged, "loaded" | "server"> {
  const origins = new Map<string, Origin>(loaded.origins);
  const [differing, missing]: [string[], string[]] = [[], []];
  let { config } = loaded;
  for (const { key, value, origin, secret } of settings) {
    const path = key.split(".");
    const own = path.reduce<unknown>((node, name) => Object(node)[name], loaded.config);
    const isHidden = secret || String(value).includes("://***@");
    if (isHidden) {
      if (value !== null && isUnset(own) && origin !== "generated") missing.push(key);
      continue;
    }
    // The port that was chosen at the start is not known here.
    if (key === "port" && value === 0) continue;
    origins.set(key, origin);
    if (JSON.stringify(own ?? null) === JSON.stringify(value)) continue;
    differing.push(key);
    config = replaced(config, path, value ?? undefined) as Config;
  }
  // The server reports the warnings of its own start.
  return { loaded: { ...loaded, config, origins, warnings: [] }, server: { differing, missing } };
}

function isUnset(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.length === 0);
}

/** A copy with another value at the path. */
function replaced(node: unknown, [name = "", ...rest]: readonly string[], value: unknown): unknown {
  const known = Object(node) as Record<string, unknown>;
  return { ...known, [name]: rest.length === 0 ? value : replaced(known[name], rest, value) };
}

const ANSWER_LIMIT_MS = 2000;

/** Whether a server could listen on every configured port, or the running one does. */
export async function checkPort(config: Config, isServed: boolean): Promise<Finding[]> {
  const main = config.port === 0 ? pass("port", "a free port is chosen at start") : await checkOne(config, isServed);
  const extra = otherPorts(config).map(({ port, setting, health }) =>
    checkOne({ ...config, port }, isServed, setting, health),
  );
  return [main, ...(await Promise.all(extra))];
}

/** @param setting to change when the port is not available. @param health path of the health check there. */
async function checkOne(config: Config, isServed: boolean, setting = "PORT", health = "/health"): Promise<Finding> {
  const { host, port } = config;
  const problem = await tryListen(host, port);
  if (problem === undefined) {
    return pass("port", isServed ? `${port} is free; the running server listens on another` : `${port} is free`);
  }
  if (problem !== "EADDRINUSE") return fail("port", `cannot listen on ${host}:${port} (${problem})`, "choose another");
  const found = await askPrism(config, health);
  if (found === undefined) return fail("port", `${port} is taken by another program`, `choose another with ${setting}`);
  if (found.follower?.node === nodeOf(config))
    return pass("port", `${port} is held by this node, ${followingText(found.follower)}`);
  if (!isServed)
    return fail("port", `${port} is taken by a Prism on another data directory`, `choose another with ${setting}`);
  if (found.database !== "ok")
    return fail("port", `the running server on ${port} cannot write the database: ${found.database}`, "see its log");
  return pass(
    "port",
    `${port} is held by the running server${found.version === undefined ? "" : `, version ${found.version}`}`,
  );
}

/**
 * Warnings of the running server, over its control socket; nothing if this user may not connect.
 * @param known warnings reported by other checks of the same configuration.
 */
export async function checkServer(
  { dataDir }: Config,
  isServed: boolean,
  out: ClientOutput,
  known: ReadonlySet<string>,
): Promise<Finding[]> {
  const socket = join(dataDir, CONTROL_SOCKET);
  if (!isServed || (await socketState(socket)) !== "open") return [];
  const transport = new ControlTransport(socket);
  try {
    const api = new ServerClient({ base: `the server of ${dataDir}`, token: undefined, transport }, out);
    const { version, warnings } = await api.get<{ version: string; warnings: readonly string[] }>("/api/v1/status");
    const news = warnings.filter((text) => !known.has(text)).map((text) => warn("server", text));
    if (version !== VERSION)
      news.push(warn("server", `version ${version} runs, this program is ${VERSION}`, "restart the service"));
    const paging = version === VERSION ? await checkPaging(api) : [];
    return [
      ...(news.length > 0 ? news : [pass("server", `version ${version} runs and reports nothing else`)]),
      ...paging,
    ];
  } finally {
    transport.close();
  }
}

const LISTED = 20;

/** Reasons why pages would not arrive; none for a server whose policies are all the built-in one and work. */
async function checkPaging(api: ServerClient): Promise<Finding[]> {
  type Found = { data: readonly { message: string; project: string }[]; hasOutsideWay: boolean };
  const { data, hasOutsideWay } = await api.get<Found>("/api/v1/policies/warnings", { scope: "all" });
  const messages = [...new Set(data.map(({ message, project }) => `project ${project}: ${message}`))];
  const listed = messages.slice(0, LISTED).map((message) => warn("paging", message));
  if (messages.length > LISTED) listed.push(warn("paging", `and ${messages.length - LISTED} more warnings of paging`));
  if (listed.length > 0) return listed;
  return hasOutsideWay ? [pass("paging", "every policy reaches people by ways that are tested")] : [];
}

interface FoundServer {
  /** Undefined where it is not shown to this address. */
  readonly version: string | undefined;
  /** `ok`, or the server's problem with the database. */
  readonly database: string;
  readonly follower?: FollowingNode;
}

/** A node of a cluster that does not lead. */
export interface FollowingNode {
  readonly node: string;
  /** Null: no node leads. */
  readonly leader: string | null;
  readonly version: string;
  /** It pages people from a copy of its database, because no node leads. */
  readonly isDegraded: boolean;
  /** Requests that wait for the next leader; null: it takes none. */
  readonly spooled: number | null;
}

/** The node of this configuration that runs and does not lead; null: there is none. */
export async function followerHere(config: Config): Promise<FollowingNode | null> {
  if (config.cluster.servers.length === 0) return null;
  const follower = (await askPrism(config, "/health"))?.follower;
  return follower?.node === nodeOf(config) ? follower : null;
}

export function followingText({ leader }: FollowingNode): string {
  return leader === null ? "which hears no leader" : `which follows ${leader}`;
}

/** @returns its health, if Prism answers. */
function askPrism(config: Config, path: string): Promise<FoundServer | undefined> {
  const { host, port } = config;
  const name = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
  const options = { host: name, port, path, signal };
  return new Promise((resolve) => {
    const read = (response: IncomingMessage): void => {
      json(response).then(
        (body) => resolve(serverIn(body)),
        () => resolve(undefined),
      );
    };
    // The question is which program answers, not whether its certificate matches this address;
    // nothing secret is sent.
    const request = tlsFilesOf(config)
      ? process.getBuiltinModule("node:https").get({ ...options, rejectUnauthorized: false }, read)
      : process.getBuiltinModule("node:http").get(options, read);
    request.on("error", () => resolve(undefined));
  });
}

function serverIn(body: unknown): FoundServer | undefined {
  const { version, uptimeMs, checks, healthy } = Object(body) as Readonly<Record<string, unknown>>;
  if (healthy === true) return { version: undefined, database: "ok" };
  const follower = followerIn(body);
  if (follower) return { version: follower.version, database: "ok", follower };
  if (typeof checks !== "object" || checks === null || typeof uptimeMs !== "number") return undefined;
  const { database } = checks as { database?: unknown };
  return {
    version: typeof version === "string" ? version : undefined,
    database: typeof database === "string" ? database : "ok",
  };
}

function followerIn(body: unknown): FollowingNode | null {
  const { role, node, leader, version, degraded, spooled } = Object(body) as Readonly<Record<string, unknown>>;
  if (role !== "standby" || typeof node !== "string" || typeof version !== "string") return null;
  return {
    ...{ node, leader: typeof leader === "string" ? leader : null, version, isDegraded: degraded === true },
    spooled: typeof spooled === "number" ? spooled : null,
  };
}
