import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { watchForLeader } from "../../src/app/without-leader.ts";
import { Forwarder } from "../../src/cluster/follow/forward.ts";
import type { DegradedServer } from "../../src/cluster/lead/degraded.ts";
import { loadConfig } from "../../src/config/load.ts";
import { generateSecrets } from "../../src/config/secrets.ts";
import { closing, openForWriting } from "../../src/store/sqlite/connection.ts";
import { eventually } from "../helpers/eventually.ts";
import { LogLines } from "../helpers/log-lines.ts";
import { temporaryDir } from "../helpers/store.ts";

const ANSWERS = "process.send({ url: 'http://127.0.0.1:9' }); setInterval(() => undefined, 1000)";
const HANGS = "setInterval(() => undefined, 1000)";

interface State {
  leader: string | null;
  degraded: DegradedServer | null;
  free: number;
  isLeading: boolean;
}

/** A busy machine needs long to start a process. */
const START_MS = 5000;

/** Leaves a part of a copy, as one that has filled the disk. */
const CRASHES = "require('node:fs').mkdirSync(process.argv[1], { recursive: true }); process.exit(1)";

/** A node without a leader, with the processes beside it in turn; null: one that cannot be started. The last one stays. */
function watch(
  t: TestContext,
  scripts: readonly (string | null)[],
  { startMs, free = Number.POSITIVE_INFINITY }: { readonly startMs?: number; readonly free?: number } = {},
) {
  const dataDir = temporaryDir(t);
  const folder = join(dataDir, "without-leader");
  mkdirSync(folder);
  closing(openForWriting({ file: join(dataDir, "prism.db"), busyTimeoutMs: 5000 }), (connection) =>
    connection.exec("create table jobs (id text)"),
  );
  const { config } = loadConfig({
    flags: { dataDir, "cluster.emergencyAfterMs": "1000" },
    environment: { PRISM_CONFIG_DIR: dataDir },
    workingDir: dataDir,
  });
  generateSecrets(config);
  const log = new LogLines();
  const forwarder = new Forwarder({ node: "a", advertise: "http://127.0.0.1:1", log });
  const state: State = { leader: null, degraded: null, free, isLeading: false };
  const children: ChildProcess[] = [];
  const watching = watchForLeader({
    ...{ config, log, againMs: 0, free: () => state.free },
    ...(startMs !== undefined && { startMs }),
    node: {
      ...{ forwarder, leaderUrl: () => state.leader, silentMs: () => 60_000, rank: () => 1 },
      ...{ isCopying: () => false, isLeading: () => state.isLeading },
      setDegraded: (server) => {
        state.degraded = server;
      },
    },
    spawnCopy() {
      const script = scripts[Math.min(children.length, scripts.length - 1)] ?? null;
      const program = script === null ? join(dataDir, "missing") : process.execPath;
      const child = spawn(program, ["-e", script ?? "", folder], { stdio: ["ignore", "ignore", "ignore", "ipc"] });
      children.push(child);
      return child;
    },
  });
  t.after(() => watching.stop());
  return { state, children, folder, log, dataDir };
}

test("a process that pages is started again when it could not be started, and when it hangs", async (t) => {
  const { state, children, folder } = watch(t, [null, HANGS, ANSWERS], { startMs: START_MS });
  await eventually("what an earlier process left is removed", () => !existsSync(folder));
  await eventually("the next one answers", () => state.degraded?.url === "http://127.0.0.1:9");
  assert.equal(children[1]?.signalCode, "SIGKILL");
});

test("what a process that pages has copied is removed when it crashes", async (t) => {
  const { state, children, folder } = watch(t, [CRASHES, ANSWERS]);
  await eventually("the next one answers", () => state.degraded !== null);
  assert.deepEqual([children[0]?.exitCode, existsSync(folder)], [1, false]);
});

test("without room for a copy of the database none is begun, and the log says so", async (t) => {
  const { state, children, log } = watch(t, [ANSWERS], { free: 1_000_000 });
  const isSaid = () =>
    log.lines.some(({ fields }) => /a copy of the database needs .* free some/.test(String(fields["err"])));
  await eventually("it is said", isSaid);
  assert.equal(children.length, 0);
  state.free = 1_000_000_000;
  await eventually("it answers", () => state.degraded !== null);
});

test("a database that cannot be opened ends no node without a leader, and is tried again", async (t) => {
  const { state, log, dataDir } = watch(t, [ANSWERS]);
  const [file, aside] = ["prism.db", "aside.db"].map((name) => join(dataDir, name)) as [string, string];
  renameSync(file, aside);
  writeFileSync(file, "damaged ".repeat(1000));
  await eventually("it is said", () => log.lines.some(({ fields }) => /not a database/.test(String(fields["err"]))));
  renameSync(aside, file);
  await eventually("it answers", () => state.degraded !== null);
});

test("a node that leads leaves it to its server to note that it lives, and that it was stopped", async (t) => {
  const { state, folder, dataDir } = watch(t, [ANSWERS]);
  const alive = join(dataDir, "alive");
  await eventually("it answers", () => state.degraded !== null);
  mkdirSync(folder, { recursive: true });
  writeFileSync(alive, "stopped\n");
  state.isLeading = true;
  state.leader = "http://127.0.0.1:1";
  await eventually("it has seen the leader", () => state.degraded === null && !existsSync(folder));
  assert.equal(readFileSync(alive, "utf8"), "stopped\n");
});

test("the copy of the database is removed when a node leads again", async (t) => {
  const { state, children, folder, log } = watch(t, [ANSWERS]);
  await eventually("it answers", () => state.degraded !== null);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "prism.db"), "large");
  state.leader = "http://127.0.0.1:1";
  await eventually("it is removed", () => !existsSync(folder));
  assert.equal(state.degraded, null);
  assert.ok(children[0]?.signalCode === "SIGTERM");
  assert.deepEqual(
    log.lines.filter(({ message }) => message.includes("has ended")),
    [],
  );
});
