/** BullMQ on Redis, the queue that Prism replaces; both are optional. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lastingPort } from "../../test/helpers/free-ports.ts";
import { startCommand } from "./processes.ts";

const folder = join(import.meta.dirname, "../../.build/neighbours");

/** What is used of https://api.docs.bullmq.io. */
interface Bullmq {
  readonly Queue: new (
    name: string,
    options: Options,
  ) => {
    add(name: string, data: object, options: { removeOnComplete: boolean }): Promise<unknown>;
    close(): Promise<void>;
  };
  readonly Worker: new (
    name: string,
    run: () => Promise<void>,
    options: Options & { concurrency: number },
  ) => { on(event: "completed", listener: () => void): void; close(): Promise<void> };
}

interface Options {
  readonly connection: { readonly host: string; readonly port: number };
}

/** Whether it can be measured: Redis is installed; BullMQ is installed into .build. */
export function hasBullmq(): boolean {
  return spawnSync("redis-server", ["--version"]).error === undefined;
}

export interface BullmqLoad {
  readonly jobs: number;
  readonly callers: number;
  readonly concurrency: number;
  readonly payload: object;
  /** Redis syncs its log after each command; otherwise once a second. */
  readonly isDurable: boolean;
  /** @returns jobs per second */
  rate(work: () => Promise<void>): Promise<number>;
}

export async function bullmq({ jobs, callers, concurrency, payload, isDurable, rate }: BullmqLoad) {
  const { Queue, Worker } = load();
  const dir = mkdtempSync(join(tmpdir(), "prism-bench-"));
  const port = await lastingPort();
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "yes"];
  const redis = await startCommand("redis-server", [...args, "--appendfsync", isDurable ? "always" : "everysec"], {
    dir,
    port,
    readyPath: null,
  });
  try {
    const connection = { host: "127.0.0.1", port };
    const queue = new Queue("bench", { connection });
    const enqueued = await rate(async () => {
      let next = 0;
      const caller = async (): Promise<void> => {
        while (next++ < jobs) await queue.add("bench", payload, { removeOnComplete: true });
      };
      await Promise.all(Array.from({ length: callers }, caller));
    });
    let worker: InstanceType<Bullmq["Worker"]> | undefined;
    const drained = await rate(
      () =>
        new Promise<void>((resolve) => {
          let done = 0;
          worker = new Worker("bench", async () => undefined, { connection, concurrency });
          worker.on("completed", () => {
            if (++done === jobs) resolve();
          });
        }),
    );
    await worker?.close();
    await queue.close();
    return { enqueued, drained };
  } finally {
    await redis.stop();
  }
}

function load(): Bullmq {
  if (!existsSync(join(folder, "node_modules/bullmq")))
    execFileSync("npm", ["install", "--prefix", folder, "--no-audit", "--no-fund", "bullmq@5"], {
      stdio: ["ignore", 2, 2],
    });
  return createRequire(join(folder, "package.json"))("bullmq") as Bullmq;
}
