// needs: nats-server
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { connectNats, isOldServer, NatsLog } from "../../../src/cluster/log/nats-log.ts";
import { makeCertificate } from "../../helpers/certificate.ts";
import { eventually } from "../../helpers/eventually.ts";
import { lastingPort } from "../../helpers/free-ports.ts";
import type { Scope } from "../../helpers/scope.ts";
import { temporaryDir } from "../../helpers/store.ts";
import type { Namespace } from "./namespace.ts";

const root = join(import.meta.dirname, "../../..");
/** Kept between runs, beside the packages. */
const FETCHED = join(root, "node_modules/.cache/debian-next");

/** nats-server 2.9.10, which may lose what it acknowledged. */
export function oldNatsServer(): string {
  const folder = `${FETCHED}-bookworm`;
  if (!existsSync(folder)) fetchServer(folder, "bookworm");
  return join(folder, "usr/sbin/nats-server");
}

/** The path of nats-server of Debian's next release, which is fetched when it is missing. */
function natsServer(): string {
  const given = process.env["NATS_SERVER"];
  if (given !== undefined) return given;
  const program = join(FETCHED, "usr/sbin/nats-server");
  if (!existsSync(program)) {
    const found = (process.env["PATH"] ?? "").split(delimiter).map((dir) => join(dir, "nats-server"));
    const installed = found.find(isExecutable);
    const [, version] =
      /v(\d\S*)/.exec(installed ? execFileSync(installed, ["--version"], { encoding: "utf8" }) : "") ?? [];
    if (installed !== undefined && version !== undefined && !isOldServer(version)) return installed;
    fetchServer(FETCHED, "trixie");
  }
  return program;
}

/** Several tests may fetch it at once. */
function fetchServer(into: string, suite: "bookworm" | "trixie"): void {
  const folder = `${into}.${process.pid}`;
  const env = { ...process.env, DEBIAN_SUITE: suite };
  execFileSync(join(root, "scripts/debian-next.sh"), [folder, "nats-server"], { stdio: "pipe", env });
  try {
    renameSync(folder, into);
  } catch {
    rmSync(folder, { recursive: true, force: true });
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** One of the servers of a test. */
export interface NatsServer {
  /** As servers call it. */
  readonly name: string;
  /** For clients, `127.0.0.1:port`. */
  readonly address: string;
  readonly monitor: string;
  start(): Promise<void>;
  stop(signal?: NodeJS.Signals): Promise<void>;
  readonly child: ChildProcess;
}

interface NatsOptions {
  readonly program?: string;
  /** Further lines of the configuration. */
  readonly settings?: string;
  /** Where it runs; default: on loopback. */
  readonly namespace?: Namespace | null;
}

/** nats-servers with JetStream: one alone, or a cluster of three. */
export async function startNats(
  t: Scope,
  count: 1 | 3 = 1,
  { program = natsServer(), settings = "", namespace }: NatsOptions = {},
): Promise<NatsServer[]> {
  const host = namespace?.address ?? "127.0.0.1";
  const command = [...(namespace?.enter ?? []), program];
  const ports = await Promise.all(
    Array.from({ length: count }, async () => [await lastingPort(), await lastingPort(), await lastingPort()] as const),
  );
  const sync = process.env["PRISM_TEST_SYNC"] === undefined ? "" : `, sync_interval: ${process.env["PRISM_TEST_SYNC"]}`;
  const routes = ports.map(([, route]) => `nats://${host}:${route}`);
  const servers = ports.map(([client, route, monitor], i) => {
    const [name, dir] = [`n${i}`, temporaryDir(t)];
    const file = join(dir, "nats.conf");
    const cluster =
      count === 1 ? "" : `cluster { name: test, listen: "${host}:${route}", routes: [${routes.join(", ")}] }\n`;
    writeFileSync(
      file,
      `server_name: ${name}\nlisten: "${host}:${client}"\nhttp: "${host}:${monitor}"\n` +
        `jetstream { store_dir: "${dir}/js", max_file_store: 1G${sync} }\n${settings}\n${cluster}`,
    );
    return serverOf(command, file, {
      name,
      address: `${host}:${client}`,
      monitor: `http://${host}:${monitor}`,
    });
  });
  t.after(async () => {
    await Promise.all(servers.map((server) => server.stop("SIGKILL")));
  });
  await Promise.all(servers.map((server) => server.start()));
  if (count > 1) await untilGrouped(servers);
  return servers;
}

/** The leader of JetStream's group names the others. */
interface JetStreamState {
  readonly meta_cluster?: { readonly leader?: string; readonly replicas?: readonly JetStreamPeer[] };
}

interface JetStreamPeer {
  readonly name: string;
  readonly current: boolean;
  readonly offline?: boolean;
}

/** Longer than an election, mostly. */
const GROUPED_MS = 10_000;

/**
 * Waits until JetStream has one group of all servers. Of servers that start at the same moment two
 * may form one without the third, which joins them when it starts again.
 */
async function untilGrouped(servers: readonly NatsServer[]): Promise<void> {
  let names: readonly string[] = [];
  let since = performance.now();
  await eventually(
    () => `one group of nats-servers: ${names.join(", ") || "none"}`,
    async () => {
      const found = await Promise.all(servers.map(groupOf));
      names = found.find((group) => group.length > 0) ?? [];
      const missing = servers.find(({ name }) => !names.includes(name));
      if (!missing) return true;
      if (names.length > 0 && performance.now() - since > GROUPED_MS) {
        await missing.stop();
        await missing.start();
        since = performance.now();
      }
      return false;
    },
    120_000,
  );
}

/** @returns names of the group that this server leads; none: it does not */
async function groupOf({ name, monitor }: NatsServer): Promise<string[]> {
  const reply = await fetch(`${monitor}/jsz`).catch(() => null);
  const state = (await reply?.json().catch(() => null)) as JetStreamState | null;
  const { leader, replicas = [] } = state?.meta_cluster ?? {};
  const live = replicas.filter(({ current, offline }) => current && offline !== true);
  return leader === name ? [name, ...live.map((each) => each.name)] : [];
}

/** A nats-server with the configuration that `deploy/cluster` has for a machine, here on loopback. */
async function startShippedNats(t: Scope, change: (configuration: string, dir: string) => string) {
  const [port, route, monitorPort] = [await lastingPort(), await lastingPort(), await lastingPort()];
  const dir = temporaryDir(t);
  const shipped = readFileSync(join(root, "deploy/cluster/nats-server.conf"), "utf8")
    .replace('"0.0.0.0:4222"', `"127.0.0.1:${port}"\nhttp: "127.0.0.1:${monitorPort}"`)
    .replace('"0.0.0.0:6222"', `"127.0.0.1:${route}"`)
    .replace("/var/lib/nats", join(dir, "js"))
    .replace(/nats:\/\/nats-\d\.example\.com:6222\n\s*/g, "");
  const file = join(dir, "nats.conf");
  writeFileSync(file, change(shipped, dir));
  const monitor = `http://127.0.0.1:${monitorPort}`;
  const server = serverOf([natsServer()], file, { name: "nats-1", address: `127.0.0.1:${port}`, monitor });
  t.after(() => server.stop("SIGKILL"));
  await server.start();
  return server;
}

/** Of the account of {@link startSecured}. */
export const PASSWORD = "a password of the nats-servers";

const NOTHING = 'subscribe: ["nothing"]';

/** The shipped configuration, with a second account, for a server that is alone. @param name in its certificate */
export async function startSecured(t: Scope, name: string | null = null) {
  const { cert, key } = makeCertificate({ name });
  const dir = temporaryDir(t);
  const caFile = join(dir, "ca.crt");
  writeFileSync(caFile, cert);
  writeFileSync(join(dir, "server.key"), key);
  let passwordFile = "";
  let file = "";
  const server = await startShippedNats(t, (configuration, own) => {
    file = join(own, "nats.conf");
    mkdirSync(join(own, "nats"));
    passwordFile = join(own, "nats/password.conf");
    writeFileSync(passwordFile, `PRISM_NATS_PASSWORD: "${PASSWORD}"\n`);
    return configuration
      .replace(/cluster \{[\s\S]*?\n\}\n/, "")
      .replaceAll(/"\/etc\/nats\/(ca|server)\.crt"/g, `"${caFile}"`)
      .replace("/etc/nats/server.key", join(dir, "server.key"))
      .replace("accounts {", 'accounts {\n  OTHER { jetstream: enabled, users: [{ user: other, password: "other" }] }');
  });
  /** From now on the server accepts this one. */
  const setPassword = (password: string): void => {
    writeFileSync(passwordFile, `PRISM_NATS_PASSWORD: "${password}"\n`);
    server.child.kill("SIGHUP");
  };
  const subscribe = 'subscribe: ["prism.prism.>", "_INBOX.>"]';
  /** From now on the user may subscribe to what it needs, or to nothing of that. */
  const setMayRead = (mayRead: boolean): void => {
    const [before, after] = mayRead ? [NOTHING, subscribe] : [subscribe, NOTHING];
    const configuration = readFileSync(file, "utf8");
    if (!configuration.includes(before)) throw new Error("the configuration has other permissions");
    writeFileSync(file, configuration.replace(before, after));
    server.child.kill("SIGHUP");
  };
  return { server, caFile, setPassword, setMayRead };
}

/** Lets a stream take nothing any more; the library has no call for it. */
export async function seal(connection: NatsConnection, stream: string): Promise<void> {
  const { config } = await (await jetstreamManager(connection, { checkAPI: false })).streams.info(stream);
  await connection.request(`$JS.API.STREAM.UPDATE.${stream}`, JSON.stringify({ ...config, sealed: true }));
}

/** The log of the cluster `prism`, as a node has it. */
export async function openLog(t: Scope, servers: readonly NatsServer[]): Promise<NatsLog> {
  const options = {
    servers: servers.map(({ address }) => address),
    ...{ name: "prism", replicas: servers.length, allowOldServer: false },
  };
  const connection = await connectNats(options, "test");
  t.after(() => connection.close());
  return NatsLog.open(connection, options);
}

/** A server that was killed may say for ever that it is "not current with the meta leader". */
const STUCK_MS = 30_000;

function serverOf(
  [program = "", ...words]: readonly string[],
  file: string,
  { name, address, monitor }: Pick<NatsServer, "name" | "address" | "monitor">,
): NatsServer {
  let child: ChildProcess | null = null;
  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<void> => {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  };
  return {
    name,
    address,
    monitor,
    get child() {
      if (child === null) throw new Error("nats-server does not run");
      return child;
    },
    async start() {
      let since = performance.now();
      let started = spawn(program, [...words, "-c", file], { stdio: "ignore" });
      child = started;
      let seen = "no answer";
      await eventually(
        () => `nats-server answers: ${seen}, exit code ${started.exitCode}`,
        async () => {
          // Another test may have had one of its ports for a moment; or it stays without the others.
          if (started.exitCode !== null || performance.now() - since > STUCK_MS) {
            await stop("SIGTERM");
            since = performance.now();
            started = spawn(program, [...words, "-c", file], { stdio: "ignore" });
            child = started;
          }
          const reply = await fetch(`${monitor}/healthz?js-server-only=true`).catch(() => null);
          seen = (await reply?.text()) ?? "no answer";
          return reply?.status === 200;
        },
        120_000,
      );
    },
    stop,
  };
}
