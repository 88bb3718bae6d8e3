import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { App } from "../app/start.ts";
import { sudoAs } from "../config/config-file.ts";
import type { LoadedConfig } from "../config/load.ts";
import { createLogger } from "../config/logger.ts";
import { prepareDataDir } from "../core/data-dir.ts";
import { CONTROL_SOCKET } from "../core/listening.ts";
import { silentLogger } from "../core/log.ts";
import type { Clock } from "../core/time/clock.ts";
import { ControlTransport, socketState } from "../remote/control-transport.ts";
import { type FollowingNode, followerHere, followingText } from "../remote/running-server.ts";
import { ServerClient } from "../remote/server-client.ts";
import { DataDirLock } from "../store/sqlite/data-dir-lock.ts";
import { type CommandContext, isOnline, isSet, refuseUrl } from "./context.ts";
import { giveToOwner, heldBy, makeCurrent, requireDatabase, tryLockDataDir } from "./data-dir.ts";
import { CommandError, EXIT, ServerRefused } from "./output/exit-codes.ts";
import { serverOf, tokenOf } from "./server-of.ts";

/** A starting server has no socket yet, and another command is soon done. For each that holds it. */
const LOCK_WAIT_MS = 5000;
const LONGEST_LOCK_WAIT_MS = 60_000;
const LOCK_RETRY_MS = 50;
/** Socket of a core in this process: no other command finds it. */
const COMMAND_SOCKET = "command.sock";

export interface ServerUse {
  /** The command needs a running server, for example to follow events. */
  readonly mustRun?: boolean;
  /**
   * The name of a command that uses routes of the operator: it uses the data directory, even if
   * PRISM_URL is set.
   */
  readonly localOnly?: string;
  /** The command needs the data directory for itself: a server that runs is an error. */
  readonly alone?: boolean;
}

/**
 * Runs `work` with the command's server. In this order: `--url` or PRISM_URL over HTTP; the control
 * socket of the server on the data directory, where the command is the operator; otherwise the same
 * core in this process, under the lock of the data directory. If another user owns the socket, or
 * there is no database, HTTP at the configured address is used with a token.
 * @throws CommandError 4 without a server and a database, or without access to them; ConfigRefused
 */
export async function withServer<T>(
  context: CommandContext,
  work: (api: ServerClient) => Promise<T>,
  { mustRun = false, localOnly, alone = false }: ServerUse = {},
): Promise<T> {
  if (localOnly !== undefined) refuseUrl(context, localOnly);
  else if (isOnline(context)) return work(await serverOf(context));
  const loaded = context.loadConfig("none");
  const { dataDir } = loaded.config;
  const socket = join(dataDir, CONTROL_SOCKET);
  if (alone) return inProcess(context, loaded, work, () => Promise.reject(heldBy(loaded.config)));
  const state = await socketState(socket);
  if (state === "open") return overSocket(context, socket, dataDir, work);
  const hasToken = localOnly === undefined && tokenOf(context) !== undefined;
  if (state === "denied" && !hasToken)
    throw ofAnotherUser(dataDir, socket, localOnly === undefined ? ", or give a token (--token, PRISM_TOKEN)" : "");
  const follower = await followerHere(loaded.config);
  if (follower !== null) {
    if (localOnly !== undefined) throw notHere(follower);
    const server = await serverOf(context);
    if (server.token === undefined) throw notHere(follower, ", or give a token (--token, PRISM_TOKEN)");
    return work(server);
  }
  if (state === "denied" || mustRun) return work(await serverOf(context));
  if (localOnly === undefined && !existsSync(loaded.config.databaseFile) && (hasToken || namesPort(loaded))) {
    // The configuration may be that of a server whose data directory is elsewhere.
    const server = await serverOf(context);
    if (server.token !== undefined) return work(server);
  }
  return inProcess(context, loaded, work);
}

/**
 * {@link withServer} for a command whose requests need their effects, such as jobs: without a
 * running server a whole one runs for this command, on a random port of this machine. It creates a
 * missing database.
 * @param work gets the server that runs for it. @param clockOf the clock of that server. @throws CommandError 4, ConfigRefused
 */
export async function withWholeServer<T>(
  context: CommandContext,
  loaded: LoadedConfig,
  work: (api: ServerClient, app?: App) => Promise<T>,
  clockOf: (isNew: boolean) => Clock,
): Promise<T> {
  const { config } = loaded;
  const socket = join(config.dataDir, CONTROL_SOCKET);
  const state = await socketState(socket);
  if (state === "open") return overSocket(context, socket, config.dataDir, work);
  if (state === "denied") throw ofAnotherUser(config.dataDir, socket);
  const follower = await followerHere(config);
  if (follower !== null) throw notHere(follower);
  prepareDataDir(config.dataDir);
  return servedOrLocked(context, loaded, work, async () => {
    const clock = clockOf(!existsSync(config.databaseFile));
    await makeCurrent(context, loaded, { opens: true });
    const { startApp } = await import("../app/start.ts");
    const app = await startApp({
      loaded: forThisMachine(loaded),
      log: quietLog(context, loaded),
      onFatal: fail,
      clock,
    });
    try {
      return await overSocket(context, socket, config.dataDir, (api) => work(api, app));
    } finally {
      await app.stop();
    }
  });
}

/** Only this machine reaches it, and it calls webhooks of this machine. */
function forThisMachine(loaded: LoadedConfig): LoadedConfig {
  const { config } = loaded;
  const webhooks = { ...config.webhooks, allowPrivateCidrs: [...config.webhooks.allowPrivateCidrs, "127.0.0.0/8"] };
  const open = {
    port: 0,
    host: "127.0.0.1",
    extraPorts: [],
    dashboardPort: undefined,
    tls: { certFile: undefined, keyFile: undefined },
  };
  return { ...loaded, config: { ...config, ...open, webhooks, rateLimit: { ...config.rateLimit, enabled: false } } };
}

/** The leader writes; a node that follows passes on what comes to its port with a token. */
function notHere(follower: FollowingNode, hint = ""): CommandError {
  const { node, leader } = follower;
  const next = leader === null ? "see prism cluster status" : `run it on the machine of ${leader}${hint}`;
  return new CommandError(EXIT.unreachable, `this node is ${node}, ${followingText(follower)}: ${next}`);
}

function ofAnotherUser(dataDir: string, socket: string, hint = ""): CommandError {
  const message = `the server of ${dataDir} belongs to another user: run ${sudoAs(dataDir, socket)}${hint}`;
  return new CommandError(EXIT.unreachable, message);
}

/** A server that has the default port by chance is not meant. */
function namesPort({ origins }: LoadedConfig): boolean {
  return origins.get("port") !== "default";
}

async function overSocket<T>(
  { flags, out }: CommandContext,
  socket: string,
  dataDir: string,
  work: (api: ServerClient) => Promise<T>,
): Promise<T> {
  const transport = new ControlTransport(socket);
  try {
    return await work(new ServerClient({ base: `the server of ${dataDir}`, token: flags.token, transport }, out));
  } catch (error) {
    throw flags.token === undefined ? withUnusedToken(error) : error;
  } finally {
    transport.close();
  }
}

/** A token in the environment changes nothing here: what the operator may not do must name it. */
function withUnusedToken(error: unknown): unknown {
  if (!(error instanceof ServerRefused) || error.code !== "FORBIDDEN") return error;
  const set = ["PRISM_TOKEN", "PRISM_TOKEN_FILE"].find((name) => isSet(process.env[name]));
  if (set === undefined) return error;
  const { status, code, message, details, retryAfterMs } = error;
  const hint = `${set} is not used beside the server: give --token, or --url with ${set}`;
  return new ServerRefused(status, code, `${message}; ${hint}`, details, retryAfterMs);
}

/** The core of the server, for this command alone. @param served what to do with a server that starts. */
function inProcess<T>(
  context: CommandContext,
  loaded: LoadedConfig,
  work: (api: ServerClient) => Promise<T>,
  served = work,
): Promise<T> {
  requireDatabase(loaded);
  return servedOrLocked(context, loaded, served, async () => {
    const { config, warnings } = loaded;
    const { startCommandApp } = await import("../app/start.ts");
    const path = join(config.dataDir, COMMAND_SOCKET);
    try {
      const app = await startCommandApp({ loaded, warnings, log: commandLog(context, loaded), onFatal: fail }, path);
      try {
        return await overSocket(context, app.socket, config.dataDir, work);
      } finally {
        await app.stop();
      }
    } catch (error) {
      // The configuration's own words say where the encryption key is looked for.
      if (!(error instanceof Error && "code" in error && error.code === "NOT_CONFIGURED")) throw error;
      throw keyError(context, error);
    }
  });
}

/**
 * Runs `served` with the server of the data directory where one runs, `locked` under the lock where
 * none does. @throws CommandError 4 while another process holds the directory
 */
export async function servedOrLocked<T>(
  context: CommandContext,
  loaded: LoadedConfig,
  served: (api: ServerClient) => Promise<T>,
  locked: () => Promise<T> | T,
): Promise<T> {
  const { dataDir } = loaded.config;
  const socket = join(dataDir, CONTROL_SOCKET);
  const lock = await lockUnlessServed(loaded);
  if (!lock) return overSocket(context, socket, dataDir, served);
  try {
    return await locked();
  } finally {
    giveToOwner(dataDir);
    lock.release();
  }
}

/** Why there is no encryption key, as the configuration says it. */
function keyError(context: CommandContext, error: Error): unknown {
  try {
    void context.loadConfig("encryption").config.secrets.encryptionKey;
    return error;
  } catch (refusal) {
    return refusal;
  }
}

function fail(error: Error): never {
  throw error;
}

/** {@link commandLog} without errors that the command's data cause; refused requests are its own. */
function quietLog(context: CommandContext, loaded: LoadedConfig) {
  return context.flags.logLevel === undefined ? silentLogger : commandLog(context, loaded);
}

/** Results are on stdout. */
function commandLog({ flags }: CommandContext, { config }: LoadedConfig) {
  return createLogger({
    level: flags.logLevel === undefined ? "error" : config.log.level,
    debug: config.debug,
    destination: { write: (line) => void process.stderr.write(line) },
  });
}

/**
 * The lock on the data directory; undefined once a server answers on the socket. @throws
 * CommandError 4 if another process keeps holding the directory
 */
export async function lockUnlessServed({ config }: LoadedConfig): Promise<DataDirLock | undefined> {
  const socket = join(config.dataDir, CONTROL_SOCKET);
  const startedAt = performance.now();
  let since = startedAt;
  // Not read before the first attempt: the kernel's list of locks costs each start 12 ms.
  let holder: number | undefined;
  for (;;) {
    const lock = tryLockDataDir(config);
    if (lock) return lock;
    if ((await socketState(socket)) === "open") return undefined;
    const current = DataDirLock.holderOf(config);
    const now = performance.now();
    // Commands that wait in a row take turns.
    if (current !== holder) since = now;
    holder = current;
    if (now - since > LOCK_WAIT_MS || now - startedAt > LONGEST_LOCK_WAIT_MS) throw heldBy(config);
    await sleep(LOCK_RETRY_MS);
  }
}
