import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, readdirSync, readFileSync, readlinkSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { WorkerProcess, workToken } from "../helpers/worker-process.ts";

const built = join(import.meta.dirname, "../../dist/prism");

interface Started {
  readonly pid: number;
  output(): string;
}

/** The executable with a fifo as its configuration: it waits there, before the server is up. */
async function startBlocked(
  t: TestContext,
  args: readonly string[],
): Promise<Started & { configure(text: string): void }> {
  const dir = temporaryDir(t);
  const fifo = join(dir, "config.json");
  execFileSync("mkfifo", [fifo]);
  const child = spawn(built, [...args, "--config", fifo], {
    cwd: dir,
    env: { PATH: process.env["PATH"], HOME: dir, PRISM_DATA_DIR: join(dir, "data"), PRISM_TOKEN: "prs_unknown" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  await once(child, "spawn");
  // Opening to write waits for the reader.
  const handle = await open(fifo, "w");
  const configure = (text: string): void => {
    writeSync(handle.fd, text);
    closeSync(handle.fd);
  };
  return { pid: child.pid ?? 0, output: () => output, configure };
}

/** Ports that the process listens on (proc_pid_fd(5), proc_net(5)). */
function listeningPorts(pid: number): number[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      const target = linkOf(`/proc/${pid}/fd/${fd}`);
      return /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? [];
    }),
  );
  return ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, "utf8")
      .trim()
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode = ""]) => state === "0A" && inodes.has(inode))
      .map(([, local = ""]) => Number.parseInt(local.split(":")[1] ?? "", 16)),
  );
}

/** A descriptor may be closed meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

test("F5: SIGUSR1 opens no debugger, before the server is up and after", async (t) => {
  const server = await startBlocked(t, ["serve", "--port", "0"]);
  process.kill(server.pid, "SIGUSR1");
  server.configure("{}");
  const port = await eventually("the server is ready", () => /"port":(\d+).*"msg":"ready"/.exec(server.output())?.[1]);
  process.kill(server.pid, "SIGUSR1");
  await eventually("the signal is in the log", () => server.output().includes('"signal":"SIGUSR1"'));
  assert.deepEqual([...new Set(listeningPorts(server.pid))], [Number(port)]);
  assert.doesNotMatch(server.output(), /Debugger/);
});

test("F5: SIGUSR1 and SIGUSR2 leave a worker as it is, without a debugger; SIGQUIT stops it in order", async (t) => {
  const prism = await startPrism(t);
  const { token } = await workToken(prism);
  const worker = await WorkerProcess.start(t, { queues: "notification-delivery", url: prism.url, token });
  for (const signal of ["SIGUSR1", "SIGUSR2"] as const) {
    worker.signal(signal);
    await eventually(`${signal} is in the log`, () => worker.lines.some((line) => line["signal"] === signal));
  }
  assert.deepEqual(listeningPorts(worker.pid), []);
  assert.doesNotMatch(worker.stdout + worker.stderr, /Debugger/);
  worker.signal("SIGQUIT");
  assert.equal(await worker.ended(), 0);
});
