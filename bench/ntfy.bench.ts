/**
 * Messages of ntfy's API to ten thousand WebSockets that follow one topic, each stored before it is
 * answered. The next message is published when every socket has the one before. Memory and processor
 * time of the server are reported per subscriber and per message sent.
 */

import "../scripts/node-version.mjs";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import WebSocket from "ws";
import { setUp } from "./lib/prism-setup.ts";
import { processorTime } from "./lib/process-figures.ts";
import { startPrism } from "./lib/processes.ts";
import { median, numbersFrom, type Row, report, round } from "./lib/report.ts";

const SOCKETS = numbersFrom("BENCH_SOCKETS", [1000, 10_000]);
const [MESSAGES = 20] = numbersFrom("BENCH_MESSAGES", [20]);
const OPENED_AT_ONCE = 200;
const TEXT = "x".repeat(200);

const rows: Row[] = [];
for (const sockets of SOCKETS) rows.push(await fanOut(sockets));
report("ntfy", `${MESSAGES} messages of ${TEXT.length} bytes to WebSockets of one topic`, rows);

async function fanOut(count: number): Promise<Row> {
  const server = await startPrism({
    env: {
      PRISM_REALTIME_MAX_PER_USER: "100000",
      PRISM_REALTIME_MAX_PER_IP: "100000",
      PRISM_RATE_LIMIT_ENABLED: "false",
    },
  });
  const { token } = await setUp(server);
  const headers = { Authorization: `Bearer ${token}` };
  const emptyBytes = residentBytes(server.pid);
  let received = 0;
  let arrived: () => void = () => undefined;
  const sockets: WebSocket[] = [];
  while (sockets.length < count) {
    const batch = Array.from({ length: Math.min(OPENED_AT_ONCE, count - sockets.length) }, () => {
      const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ntfy/bench/ws`, {
        headers,
        perMessageDeflate: false,
      });
      socket.on("message", () => {
        if (++received >= count) arrived();
      });
      return socket;
    });
    await Promise.all(batch.map((socket) => once(socket, "open")));
    sockets.push(...batch);
  }
  const all = (): Promise<void> =>
    new Promise((resolve) => {
      arrived = resolve;
      if (received >= count) resolve();
    });
  // Each socket has sent `open`.
  await all();
  const openBytes = residentBytes(server.pid);
  const times: number[] = [];
  const cpuBefore = processorTime(server.pid).ever;
  for (let i = 0; i < MESSAGES; i++) {
    received = 0;
    const startedAt = performance.now();
    const complete = all();
    const reply = await fetch(`${server.url}/ntfy/bench`, { method: "POST", headers, body: TEXT });
    if (reply.status !== 200) throw new Error(await reply.text());
    await reply.arrayBuffer();
    await complete;
    times.push(performance.now() - startedAt);
  }
  const cpu = processorTime(server.pid).ever - cpuBefore;
  for (const socket of sockets) socket.terminate();
  await server.stop();
  return {
    sockets: count,
    "KiB/socket": round((openBytes - emptyBytes) / count / 1024, 1),
    "ms to all, median": round(median(times), 1),
    "ms to all, worst": round(Math.max(...times), 1),
    "server ms/message": round((cpu / MESSAGES) * 1000, 1),
    "us/message sent": round((cpu / MESSAGES / count) * 1e6, 2),
  };
}

function residentBytes(pid: number): number {
  const [, kib = "0"] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) * 1024;
}
