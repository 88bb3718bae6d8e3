import { closeSync, ftruncateSync, openSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { busyChannel, hangingTargets } from "../../../test/e2e/outage/loads.ts";
import {
  type Caller,
  callerOf,
  environmentOf,
  type Fired,
  fire,
  prepare,
  Targets,
} from "../../../test/e2e/outage/site.ts";
import { PrismBinary } from "../../../test/e2e/prism-binary.ts";
import type { Scope } from "../../../test/helpers/scope.ts";
import { percentile } from "../percentile.ts";
import type { Row } from "../report.ts";
import { copyMails, sendOne } from "./bulk-mails.ts";

/* Pages to healthy targets beside a load, compared with pages of the same server before it. */

const WAYS = ["webhook", "channel-http", "own-channel", "own-webhook", "mail"] as const;
const PAUSE_MS = 250;
/** A page that takes longer counts as missing. */
const LONGEST_MS = 30_000;
/** Promised: at most this much later than on an idle server (p99). */
const LATER_MS = 1000;

interface Running {
  readonly scope: Scope;
  readonly prism: PrismBinary;
  readonly server: Caller;
  readonly targets: Targets;
}

interface Load {
  readonly name: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly diskBytes?: number;
  /** Before the idle reference. @returns what starts the load; it ends with the function it returns. */
  readonly prepare: (running: Running) => Promise<() => Promise<() => Promise<void>>>;
}

export const LOADS: readonly Load[] = [
  { name: "100 000 mails waiting", prepare: bulkMails },
  {
    name: "60 hanging targets of 8 owners",
    async prepare({ scope, server }) {
      const start = await hangingTargets(scope, server);
      return async () => start();
    },
  },
  {
    name: "1 000 incidents on a channel of 5/s",
    async prepare({ scope, server }) {
      const { start } = await busyChannel(scope, server);
      return async () => {
        await start();
        return async () => undefined;
      };
    },
  },
  {
    name: "a disk with less than minFreeBytes",
    prepare: fullDisk,
    diskBytes: 192 * 2 ** 20,
    env: { PRISM_MIN_FREE_BYTES: String(64 * 2 ** 20) },
  },
];

/** @param seconds of the reference, and of the measurement beside the load. */
export async function measureBeside(scope: Scope, load: Load, seconds: number): Promise<Row> {
  const targets = await Targets.open(scope, Date.now, WAYS);
  const prism = new PrismBinary(scope, {
    env: { ...environmentOf(targets.settings), PRISM_DELIVERY_GLOBAL: "100000000", ...load.env },
    ...(load.diskBytes === undefined ? {} : { diskBytes: load.diskBytes }),
  });
  await prism.start();
  const running = { scope, prism, server: callerOf(() => prism), targets };
  await prepare(running.server, targets);
  const start = await load.prepare(running);
  await measure(running, "warm", 1);
  const idle = await measure(running, "idle", seconds);
  const stop = await start();
  const beside = await measure(running, "beside", seconds);
  await stop();
  const laterMs = beside.p99Ms - idle.p99Ms;
  return {
    load: load.name,
    pages: beside.pages,
    missing: beside.missing,
    "idle p50 ms": Math.round(idle.p50Ms),
    "idle p99 ms": Math.round(idle.p99Ms),
    "p50 ms": Math.round(beside.p50Ms),
    "p99 ms": Math.round(beside.p99Ms),
    "p99 later, ms": Math.round(laterMs),
    kept: beside.missing === 0 && laterMs <= LATER_MS ? "yes" : "no",
  };
}

interface Pages {
  readonly pages: number;
  readonly missing: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Opens incidents at a fixed pace and waits for their pages. */
async function measure({ server, targets }: Running, name: string, seconds: number): Promise<Pages> {
  const sent: Promise<Fired[]>[] = [];
  const startedAt = Date.now();
  for (let n = 0; Date.now() < startedAt + seconds * 1000; n++) {
    sent.push(fire(server, targets, `${name}${n}`, Date.now));
    await sleep(Math.max(0, startedAt + (n + 1) * PAUSE_MS - Date.now()));
  }
  const fired = (await Promise.all(sent)).flat();
  const latestAt = Date.now() + LONGEST_MS;
  for (;;) {
    const times = fired.map((each) => latencyOf(targets, each));
    const isOver = times.every((ms) => ms !== undefined) || Date.now() > latestAt;
    if (!isOver) {
      await sleep(20);
      continue;
    }
    const sorted = times.map((ms) => ms ?? LONGEST_MS).sort((a, b) => a - b);
    const missing = times.filter((ms) => ms === undefined).length;
    return { pages: sorted.length, missing, p50Ms: percentile(sorted, 0.5), p99Ms: percentile(sorted, 0.99) };
  }
}

function latencyOf({ ways }: Targets, { way, name, at }: Fired): number | undefined {
  const ledger = ways.find((each) => each.name === way)?.receiver.ledger;
  const arrival = ledger?.accepted.findLast(({ text }) => text.includes(name));
  return arrival && arrival.at - at;
}

const MAILS = 100_000;

/** Beside them the mail server takes 20 ms for each mail. */
async function bulkMails({ prism, server, targets }: Running) {
  const mail = targets.ways.find(({ name }) => name === "mail")?.receiver;
  if (!mail) throw new TypeError("there is no mail server");
  return async () => {
    await mail.fail("refused");
    const id = await sendOne(server);
    await prism.stop();
    copyMails(join(prism.dataDir, "prism.db"), id, MAILS);
    mail.ledger.delayMs = 20;
    await mail.recover();
    await prism.start();
    return async () => undefined;
  };
}

/** Leaves half of what must be free. */
async function fullDisk({ prism }: Running) {
  return async () => {
    const fd = openSync(join(prism.dataDir, "fill"), "w");
    const part = Buffer.alloc(2 ** 20, 1);
    while (freeBytes(prism.dataDir) > 32 * 2 ** 20) writeSync(fd, part);
    return async () => {
      ftruncateSync(fd);
      closeSync(fd);
    };
  };
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}
