import assert from "node:assert/strict";
import { type ChildProcess, type SpawnOptionsWithStdioTuple, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Database as Sqlite } from "better-sqlite3";
import { readPosition } from "../../../src/cluster/log/position.ts";
import { differing, digestOf, type TableDigest } from "../../../src/cluster/tools/digest.ts";
import { closing, openForReading } from "../../../src/store/sqlite/connection.ts";
import { ChildOutput } from "../../helpers/child-output.ts";
import { eventually } from "../../helpers/eventually.ts";
import { lastingPort } from "../../helpers/free-ports.ts";
import type { Scope } from "../../helpers/scope.ts";
import { temporaryDir } from "../../helpers/store.ts";
import type { NatsServer } from "./nats.ts";

const built = join(import.meta.dirname, "../../../dist/prism");

/** How long a test waits for nodes to agree. */
const PATIENCE_MS = 60_000;
/** Characters of a node's output that a failure shows. */
const OUTPUT_END = 6000;

/** Members of the answer of `/health`. */
interface Health {
  readonly role?: string;
  readonly leader?: string | null;
  readonly checks?: object;
  readonly degraded?: boolean;
  readonly problem?: string;
}

/** A node of a cluster: the executable in a folder of its own. */
export class ClusterNode {
  readonly name: string;
  readonly dir: string;
  readonly port: number;
  readonly url: string;
  /** The executable. */
  program = built;
  #env: Readonly<Record<string, string>>;
  #child: ChildProcess | null = null;
  #output: ChildOutput | null = null;

  constructor(name: string, dir: string, port: number, env: Readonly<Record<string, string>>) {
    this.name = name;
    this.dir = dir;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.#env = {
      ...env,
      PORT: String(port),
      PRISM_DATA_DIR: dir,
      PRISM_CLUSTER_NODE: name,
      PRISM_CLUSTER_ADVERTISE: this.url,
    };
  }

  /** The process that was started, and the one that follows or leads. */
  get pids(): number[] {
    const pid = this.#child?.pid;
    if (pid === undefined || this.#isOver) return [];
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").split(" ");
    return [pid, ...children.filter((each) => each !== "").map(Number)];
  }

  get file(): string {
    return join(this.dir, "prism.db");
  }

  get output(): string {
    return this.#output?.all ?? "";
  }

  /** Changes its configuration from the next start on. */
  set(env: Readonly<Record<string, string>>): void {
    this.#env = { ...this.#env, ...env };
  }

  /** Resolves when it follows or leads. */
  async start(): Promise<void> {
    // A group of its own, so that the process and the one that it starts are killed together.
    const child = spawn(this.program, ["serve"], { ...this.#options(), detached: true });
    this.#child = child;
    this.#output = new ChildOutput(child);
    await this.#output.until("the node follows", () => this.output.includes("following the cluster"));
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined || this.#isOver) return;
    const ended = once(child, "exit");
    process.kill(-child.pid, "SIGKILL");
    await ended;
  }

  /** Runs a command of the program in the node's folder. */
  command(...args: string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
    return spawnSync(this.program, args, { ...this.#options(), encoding: "utf8" });
  }

  /** {@link command} beside servers of the test. */
  async run(
    ...args: string[]
  ): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
    const child = spawn(this.program, args, this.#options());
    const output = new ChildOutput(child);
    const { code } = await output.ended;
    return { code, stdout: output.stdout, stderr: output.stderr };
  }

  /** Runs the server without the settings of the cluster until `use` is done. */
  async alone(use: (token: string) => Promise<void>): Promise<void> {
    const own = Object.entries(this.#env).filter(([name]) => !name.startsWith("PRISM_CLUSTER_"));
    const child = spawn(this.program, ["serve"], this.#options(Object.fromEntries(own)));
    const output = new ChildOutput(child);
    await output.until("it is ready", () => output.all.includes("Prism is ready"));
    try {
      const { token } = (await (await fetch(`${this.url}/dev/token`)).json()) as { token: string };
      await use(token);
    } finally {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    }
  }

  #options(env = this.#env): SpawnOptionsWithStdioTuple<"ignore", "pipe", "pipe"> {
    return {
      cwd: this.dir,
      env: { PATH: process.env["PATH"] ?? "", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    };
  }

  /** What it says of itself; null: no process listens, as while a leader becomes a follower. */
  async health(): Promise<Health | null> {
    const reply = await fetch(`${this.url}/health`, { signal: AbortSignal.timeout(5000) }).catch(() => null);
    return ((await reply?.json().catch(() => null)) ?? null) as Health | null;
  }

  /** Stops or continues all of its processes, as a machine that hangs. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    if (this.#child?.pid !== undefined) process.kill(-this.#child.pid, signal);
  }

  /** Ends it in order. @returns the exit code */
  async stop(): Promise<number | null> {
    const child = this.#child;
    if (!child || this.#isOver) return child?.exitCode ?? null;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
    return child.exitCode;
  }

  /** Resolves with the exit code when it has ended by itself. */
  async ended(): Promise<number | null> {
    const child = this.#child;
    if (child && !this.#isOver) await once(child, "exit");
    return child?.exitCode ?? null;
  }

  get #isOver(): boolean {
    return this.#child === null || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #reading<T>(read: (reader: Sqlite) => T): T {
    return closing(openForReading(this.file), read);
  }

  /** Sequence of the last record that its file has. */
  async position(): Promise<number> {
    return this.#reading((reader) => readPosition(reader)?.sequence ?? 0);
  }

  /** The number of events of a type that its file has. */
  async eventsOf(type: string): Promise<number> {
    const sql = "select count(*) from events where type = ?";
    return this.#reading((reader) => reader.prepare<[string], number>(sql).pluck().get(type) ?? 0);
  }

  /** Names of the applied migrations. */
  async migrations(): Promise<string[]> {
    return this.#reading((reader) => reader.prepare<[], string>("select name from migrations").pluck().all());
  }

  /** Names of what leaders have stored in the settings of its file. */
  async leaderNotes(): Promise<string[]> {
    const sql = "select key from settings where key like 'cluster.%'";
    return this.#reading((reader) => reader.prepare<[], string>(sql).pluck().all());
  }

  async digest(): Promise<TableDigest[]> {
    const reader = openForReading(this.file);
    try {
      return await digestOf(reader);
    } finally {
      reader.close();
    }
  }
}

export interface TestCluster {
  readonly nodes: readonly ClusterNode[];
  /** The node that leads and serves. */
  leader(): Promise<ClusterNode>;
  /** A token of the development administrator. */
  token(): Promise<string>;
  /** The number of records by which the last node is behind the first one. */
  behind(): Promise<number>;
  /** Waits until the tables of all nodes are equal; fails with the nodes' output after a minute. */
  requireEqual(): Promise<void>;
}

/** @returns the node that leads, and the one of two that follows it */
export async function rolesOf(cluster: TestCluster): Promise<readonly [leader: ClusterNode, follower: ClusterNode]> {
  const leader = await cluster.leader();
  const follower = cluster.nodes.find((node) => node !== leader);
  assert.ok(follower);
  // The leader answers a moment before its first message as a leader.
  const leaderOf = async () => (await follower.health())?.leader;
  await eventually("the other node follows it", async () => (await leaderOf()) === leader.name, PATIENCE_MS);
  return [leader, follower];
}

/** Nodes with empty directories, which form a cluster by their configuration alone. */
export async function startCluster(
  t: Scope,
  servers: readonly NatsServer[],
  names: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<TestCluster> {
  const cluster = await makeCluster(t, servers, names, env);
  await Promise.all(cluster.nodes.map((node) => node.start()));
  return cluster;
}

/** {@link startCluster} without the start. */
export async function makeCluster(
  t: Scope,
  servers: readonly NatsServer[],
  names: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<TestCluster> {
  const common = {
    NODE_ENV: "development",
    PRISM_LOG_LEVEL: "info",
    JWT_SECRET: "a secret of the tests with enough characters",
    JWT_REFRESH_SECRET: "another secret of the tests with enough characters",
    PRISM_ENCRYPTION_KEY: "07".repeat(32),
    PRISM_CLUSTER_SERVERS: servers.map(({ address }) => address).join(","),
    PRISM_CLUSTER_SECRET: "the secret of the cluster of the tests",
    PRISM_CLUSTER_REPLICAS: String(servers.length),
    ...env,
  };
  const nodes: ClusterNode[] = [];
  for (const name of names) nodes.push(new ClusterNode(name, temporaryDir(t), await lastingPort(), common));
  // As other clients of NATS name them; the second node has them as host:port.
  nodes[0]?.set({ PRISM_CLUSTER_SERVERS: servers.map(({ address }) => `nats://${address}`).join(","), ...env });
  t.after(async () => {
    await Promise.all(nodes.map((node) => node.kill()));
  });
  const leader = () =>
    eventually(
      "a node leads",
      async () => {
        for (const node of nodes) {
          const reply = await fetch(`${node.url}/health`).catch(() => null);
          const body = (await reply?.json().catch(() => null)) as { role?: string; checks?: object } | null;
          if (reply?.status === 200 && body?.checks !== undefined && body.role === undefined) return node;
        }
        return undefined;
      },
      PATIENCE_MS,
    );
  return {
    nodes,
    leader,
    async token() {
      const reply = await fetch(`${(await leader()).url}/dev/token`);
      return ((await reply.json()) as { token: string }).token;
    },
    async behind() {
      const all = await Promise.all(nodes.map((node) => node.position()));
      return Math.max(...all) - Math.min(...all);
    },
    requireEqual: () => requireEqual(nodes),
  };
}

/** Records that change nothing, such as beats, are not in every file: rows are compared, not positions. */
async function requireEqual(nodes: readonly ClusterNode[]): Promise<void> {
  let found: string[] = [];
  for (const until = Date.now() + PATIENCE_MS; Date.now() < until; await setTimeout(100)) {
    const [first = [], ...others] = await Promise.all(nodes.map((node) => node.digest()));
    found = others.flatMap((other) => differing(first, other));
    if (found.length === 0) return;
  }
  const outputs = nodes.map(
    ({ name, pids, output }) => `${name} (${pids.length} processes):\n${output.slice(-OUTPUT_END)}`,
  );
  assert.fail(`tables differ: ${found.join(", ")}\n${outputs.join("\n")}`);
}
