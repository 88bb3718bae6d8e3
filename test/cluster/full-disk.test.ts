import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  appendFileSync,
  existsSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { temporaryDir } from "../helpers/store.ts";
import { openLog, startNats } from "./support/nats.ts";
import { type ClusterNode, makeCluster } from "./support/nodes.ts";
import { sendEvent } from "./support/sending.ts";

const PATIENCE_MS = 120_000;
/** For what a node writes while its spool is sent. */
const LEFT_BYTES = 524_288;
const CHUNK = Buffer.alloc(65_536);

/** Wraps the program: a server has its data on a tmpfs of 96 MB. The machine must permit unshare(1). */
function onSmallDisk(program: string, dir: string): string {
  const file = join(dir, "prism-on-small-disk");
  const enter = `mount -t tmpfs -o size=96m none "$1" && cd "$1" && shift && exec "$@"`;
  const serve = `exec unshare --user --map-root-user --mount /bin/sh -c '${enter}' sh "$PRISM_DATA_DIR" ${program} "$@"`;
  writeFileSync(file, `#!/bin/sh\n[ "$1" = serve ] || exec ${program} "$@"\n${serve}\n`, { mode: 0o755 });
  return file;
}

test("a follower with a full disk says so, copies the leader's database when there is room, and keeps its spool", async (t) => {
  const servers = await startNats(t);
  const settings = { PRISM_CLUSTER_EMERGENCY_AFTER_MS: "2000", PRISM_CLUSTER_HOLD_MS: "1000" };
  const cluster = await makeCluster(t, servers, ["a", "b"], settings);
  const [leader, follower] = cluster.nodes as [ClusterNode, ClusterNode];
  follower.program = onSmallDisk(follower.program, temporaryDir(t));
  follower.set({ PRISM_CLUSTER_ROLE: "standby", PRISM_MIN_FREE_BYTES: "0" });
  await Promise.all([leader.start(), follower.start()]);
  const token = await cluster.token();
  await sendEvent(follower, token, "before");
  const dir = `/proc/${follower.pids[0]}/root${follower.dir}`;
  const spooled = (): string[] => readdirSync(join(dir, "spool")).filter((name) => name.endsWith(".request"));

  await servers[0]?.stop("SIGKILL");
  const isDegraded = async () => (await follower.health())?.degraded === true;
  await eventually("the follower answers without a leader", isDegraded, PATIENCE_MS);
  for (let n = 0; n < 3; n++) await sendEvent(follower, token, "kept");
  assert.equal(spooled().length, 3);
  const filler = join(dir, "filler");
  fill(filler);
  truncateSync(filler, statSync(filler).size - LEFT_BYTES);
  await servers[0]?.start();
  await cluster.leader();
  await eventually("the leader has the spool", async () => (await leader.eventsOf("kept")) === 3, PATIENCE_MS);
  await eventually("nothing is left in it", () => spooled().length === 0, PATIENCE_MS);

  const isRemoved = () => !existsSync(join(dir, "without-leader"));
  await eventually("the copy is removed", isRemoved, PATIENCE_MS);
  // However slow the machine is, few records are to be applied until the disk is full.
  fill(filler);
  const isFull = () => /database or disk is full|ENOSPC/.test(follower.output);
  await eventually(
    "the follower says that its disk is full",
    async () => {
      await sendEvent(leader, await cluster.token(), randomBytes(20).toString("hex"));
      return isFull();
    },
    PATIENCE_MS,
  );
  const statusSays = (text: RegExp) => () => text.test(leader.command("cluster", "status").stdout);
  await eventually("it follows", statusSays(/\nb +follows +\d+ /), PATIENCE_MS);
  const behind = /WARN +cluster lag +b is \d+ records behind the log/;
  await eventually("doctor names it", () => behind.test(leader.command("doctor").stdout), PATIENCE_MS);
  const log = await openLog(t, servers);
  await log.purge(await log.last());
  await sendEvent(leader, token, "after");
  await eventually("it waits for room", () => /less room: free some/.test(follower.output), PATIENCE_MS);
  const alone = /WARN +cluster nodes +a leads, and no other node was heard/;
  await eventually("doctor does not hear it", () => alone.test(leader.command("doctor").stdout), PATIENCE_MS);
  await eventually("status does not list it", statusSays(/^(?!.*\nb ).*\na /s), PATIENCE_MS);

  rmSync(filler);
  await eventually(
    "it copies the database",
    () => /copied the database from the leader/.test(follower.output),
    PATIENCE_MS,
  );
  const equal = () => /\nb +equal /.test(leader.command("cluster", "compare").stdout);
  await eventually("its tables equal the leader's", equal, PATIENCE_MS);
  await eventually(
    "doctor hears it",
    () => /PASS +cluster nodes +a leads; heard: a, b/.test(leader.command("doctor").stdout),
    PATIENCE_MS,
  );
  assert.equal(await leader.eventsOf("kept"), 3);
});

test("a leader with a full disk hands over to a node with room, and events are stored again", async (t) => {
  const cluster = await makeCluster(t, await startNats(t), ["a", "b"]);
  const [small, roomy] = cluster.nodes as [ClusterNode, ClusterNode];
  small.program = onSmallDisk(small.program, temporaryDir(t));
  small.set({ PRISM_MIN_FREE_BYTES: "20000000" });
  await small.start();
  assert.equal((await cluster.leader()).name, "a");
  const token = await cluster.token();
  await sendEvent(small, token, "before");
  await roomy.start();
  const copied = () => roomy.eventsOf("before").catch(() => 0);
  await eventually("the other node has it", async () => (await copied()) === 1, PATIENCE_MS);
  const filler = join(`/proc/${small.pids[0]}/root${small.dir}`, "filler");
  const { bavail, bsize } = statfsSync(dirname(filler));
  writeFileSync(filler, Buffer.alloc(bavail * bsize - 15_000_000));
  await eventually("the other node leads", async () => (await cluster.leader()).name === "b", PATIENCE_MS);
  await eventually("the node follows", async () => (await small.health())?.leader === "b", PATIENCE_MS);
  await sendEvent(small, token, "after");
  assert.equal(await roomy.eventsOf("after"), 1);
  assert.match(small.output, /hands over the cluster/);
  const headers = { Authorization: `Bearer ${token}` };
  const warned = "The disk of the node a has too little free space: it takes over last";
  await eventually("it is a warning", async () => {
    const reply = await fetch(`${roomy.url}/api/v1/cluster`, { headers });
    const text = await reply.text();
    return text.includes(warned);
  });
});

/** Lets a file grow until its disk is full. */
function fill(path: string): void {
  try {
    for (;;) appendFileSync(path, CHUNK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
}
