import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as wait } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { App } from "../../../app/start.ts";
import { FENCED_EXIT } from "../../../cluster/lead/lease.ts";
import { type LoadedConfig, sealedBoxOf } from "../../../config/load.ts";
import { localUrlOf } from "../../../config/public-url.ts";
import { writeStoredSettings } from "../../../config/stored-settings.ts";
import type { Logger } from "../../../core/log.ts";
import { executablePath } from "../../../core/runtime.ts";
import { sharedSettings } from "../../../features/records/settings/service.ts";
import { reading } from "../../../store/sqlite/connection.ts";
import type { DataDirLock } from "../../../store/sqlite/data-dir-lock.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { interrupt } from "../../output/process-ends.ts";
import { notifySystemd } from "./systemd.ts";

/** Set in the processes that a node consists of. */
const MARK = "NODE_OF_PRISM_CLUSTER";
/** When the node lost the leadership while its process was still running: epoch ms, separated by commas. */
const FENCED_AT = "NODE_OF_PRISM_CLUSTER_FENCED_AT";
const KEPT_FENCED = 20;
const END_MS = 2000;
/** A machine that is lost does not come back at once, in a drill neither. */
const LOST_MS = 15_000;
/** After a process that was ended by a signal, such as one that crashed. */
const RESTART_MS = 1000;
const ENDING = ["SIGTERM", "SIGINT", "SIGQUIT"] as const;
const SIGNALS = [...ENDING, "SIGHUP"] as const;
/** A terminal sends them to the node, too: its supervisor passes them on as SIGTERM. */
const OF_TERMINAL = ["SIGINT", "SIGQUIT"] as const;

/** `node`: of {@link superviseNode}; `copy`: of a node without a leader; null: the first one. */
export function clusterProcess(): "node" | "copy" | null {
  const kind = process.env[MARK];
  return kind === "node" || kind === "copy" ? kind : null;
}

/** The same command as a process beside this one, with a channel for messages. */
function spawnAs(kind: "node" | "copy", fencedAt: readonly number[] = []): ChildProcess {
  const [program, args] = [executablePath(), process.argv.slice(2)];
  const script = process.argv[1] ?? "";
  return spawn(program ?? process.execPath, program ? args : [...process.execArgv, script, ...args], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: { ...process.env, [MARK]: kind, [FENCED_AT]: fencedAt.join(",") },
  });
}

/**
 * Runs the node as a process of its own, and starts it again when it has crashed or leads no longer,
 * because a leader can become a follower only in a new process. @returns when it has ended otherwise
 */
export async function superviseNode(): Promise<void> {
  let isEnding = false;
  let fencedAt: readonly number[] = [];
  const ending = new AbortController();
  let child: ChildProcess | null = null;
  const passOn = (signal: NodeJS.Signals): void => {
    isEnding ||= signal !== "SIGHUP";
    if (isEnding) ending.abort();
    child?.kill(signal === "SIGHUP" ? signal : "SIGTERM");
  };
  for (const signal of SIGNALS) process.on(signal, passOn);
  process.off("SIGINT", interrupt);
  for (let code = FENCED_EXIT; code === FENCED_EXIT && !isEnding; ) {
    const started = spawnAs("node", fencedAt);
    child = started;
    let isFenced = false;
    let isDrill = false;
    let isCrashed = false;
    started.once("message", (reason) => {
      isFenced = true;
      isDrill = reason === "drill";
      if (isDrill) return;
      fencedAt = [...fencedAt, Date.now()].slice(-KEPT_FENCED);
      // A thread that waits for the log may hold up the end of its process.
      setTimeout(() => started.kill("SIGKILL"), END_MS).unref();
    });
    code = await new Promise<number>((resolve, reject) => {
      started.once("error", reject);
      started.once("exit", (exitCode, signal) => {
        isCrashed = signal !== null && !isFenced && !isEnding;
        if (isCrashed)
          process.stderr.write(`prism: the process of this node was ended by ${signal}; starting it again\n`);
        resolve(exitCode ?? (signal === null ? EXIT.failure : 128));
      });
    });
    if (isFenced || isCrashed) code = FENCED_EXIT;
    if (isDrill || isCrashed)
      await wait(isDrill ? LOST_MS : RESTART_MS, null, { signal: ending.signal }).catch(() => null);
    process.exitCode = isEnding && code === FENCED_EXIT ? EXIT.done : code;
  }
}

interface NodeParts {
  readonly loaded: LoadedConfig;
  readonly log: Logger;
  readonly lock: DataDirLock;
  readonly warnings: readonly string[];
  /** The server of the leader runs. */
  ready(app: App, loaded: LoadedConfig): Promise<void>;
}

/** Follows the cluster, and serves once this node leads. */
export async function serveNode({ loaded, log, lock, warnings, ready }: NodeParts): Promise<void> {
  const { config } = loaded;
  // The process that would start it again is gone: another one may take the data directory.
  process.once("disconnect", () => process.exit(EXIT.failure));
  process.channel?.unref();
  const { Fenced, isFinal, startNode, LogBehind, MemberStopped } = await import("../../../cluster/follow/join.ts");
  const { watchForLeader } = await import("../../../app/without-leader.ts");
  try {
    const fencedAt = (process.env[FENCED_AT] ?? "").split(",").map(Number).filter(Boolean);
    const node = await startNode(config, sealedBoxOf(config), log, fencedAt);
    // A node that follows is ready: it may lead months later, or never.
    notifySystemd(log);
    const watch = watchForLeader({ config, log, node, spawnCopy: () => spawnAs("copy") });
    let isLeaving = false;
    let exitCode: number = EXIT.done;
    const leave = (code: number): void => {
      // A stop during a restart is a stop; a second one does not wait.
      if (isLeaving && exitCode === code) process.exit(code);
      exitCode = code;
      if (isLeaving) return;
      isLeaving = true;
      // What answers without a leader may have requests, too.
      void node
        .stop()
        .finally(() => watch.stop())
        .finally(() => {
          lock.release();
          process.exit(exitCode);
        });
    };
    const stopFollowing = (): void => leave(EXIT.done);
    process.on("SIGTERM", stopFollowing);
    for (const signal of OF_TERMINAL) process.on(signal, () => undefined);
    process.off("SIGINT", interrupt);
    const startAgain = (): void => {
      if (isLeaving) return;
      log.info({}, "reading the configuration again: this node starts again");
      leave(FENCED_EXIT);
    };
    process.on("SIGHUP", startAgain);
    const leadership = await node.untilLeader();
    process.on("SIGHUP", () => undefined).off("SIGHUP", startAgain);
    const endAsLeader = (reason: string): void => {
      log.error({ reason }, "this node leads the cluster no longer; it starts again as a follower");
      process.send?.("fenced", () => process.exit(FENCED_EXIT));
    };
    const replication = await node.prepare(leadership).catch((error: unknown) => {
      if (!(error instanceof Fenced)) throw error;
      endAsLeader(error.message);
      return new Promise<never>(() => undefined);
    });
    const shared = await withSharedSettings(loaded, log);
    const stop = async (app: App): Promise<void> => {
      await node.end();
      await app.stop();
    };
    // It may serve, and not have begun its work yet.
    const finish = (code: number): void => {
      void starting.then(stop).finally(() => {
        lock.release();
        process.exit(code);
      });
    };
    const stepDown = (successor: string): void => {
      log.info({ successor }, "this node hands over the cluster; it starts again as a follower");
      finish(FENCED_EXIT);
    };
    let isStopping = false;
    const stopEarly = (): void => {
      if (isStopping) process.exit(EXIT.failure);
      isStopping = true;
      log.info({}, "stopping");
      finish(EXIT.done);
    };
    const { startApp } = await import("../../../app/start.ts");
    if (isLeaving) return await new Promise<never>(() => undefined);
    const cluster = node.lead(leadership, replication, {
      onStepDown: stepDown,
      onLost() {
        log.warn({}, "drill: this process ends as if its machine were lost");
        process.send?.("drill", () => process.kill(process.pid, "SIGKILL"));
      },
    });
    node.watch(replication, () => endAsLeader("the log accepted no record for 20 s"));
    const starting = startApp({
      ...{ loaded: shared, log, warnings, replication, cluster },
      beforeListen: () => node.freePort(),
      beforeWork: () => node.leads(cluster, leadership, localUrlOf(config, config.port)),
      onFatal: (error) => endAsLeader(error.message),
    });
    // A signal that has come is lost when its last listener is removed before it is heard.
    process.on("SIGTERM", stopEarly).off("SIGTERM", stopFollowing);
    const app = await starting;
    // It ends already, and another signal ends it at once.
    if (isStopping) return await new Promise<never>(() => undefined);
    const running = ready({ ...app, stop: () => stop(app) }, shared);
    process.off("SIGTERM", stopEarly);
    await running;
  } catch (error) {
    if (error instanceof MemberStopped) return;
    if (error instanceof LogBehind) {
      log.warn(
        { reason: error.message },
        "this node cannot follow from where it is; it copies the database of the leader",
      );
      process.exit(FENCED_EXIT);
    }
    if (error instanceof Error && isFinal(error)) throw new CommandError(EXIT.refused, error.message, { cause: error });
    throw error;
  }
}

/**
 * What an administrator has set in the console at any node, which this node's file has from now on.
 * With settings that do not fit its other sources it goes on with those that it had.
 */
async function withSharedSettings(loaded: LoadedConfig, log: Logger): Promise<LoadedConfig> {
  const { dataDir, databaseFile } = loaded.config;
  try {
    const settings = reading(databaseFile, (connection) => sharedSettings(connection, sealedBoxOf(loaded.config)));
    if (settings === null || isDeepStrictEqual(settings, loaded.stored)) return loaded;
    const next = loaded.reload(settings);
    await writeStoredSettings(dataDir, settings);
    return next;
  } catch (err) {
    log.error({ err }, "cannot use the settings that were made in the console of another node; using those of before");
    return loaded;
  }
}

/** Pages people from a copy of the database, for the node that has started this process, until it ends it. */
export async function serveNodeCopy(loaded: LoadedConfig, log: Logger): Promise<void> {
  process.once("disconnect", () => process.exit(EXIT.failure));
  process.off("SIGINT", interrupt);
  for (const signal of ENDING) process.on(signal, () => process.exit(EXIT.done));
  process.on("SIGHUP", () => undefined);
  const { serveCopy } = await import("../../../app/without-leader.ts");
  process.send?.(await serveCopy(await withSharedSettings(loaded, log), log));
}
