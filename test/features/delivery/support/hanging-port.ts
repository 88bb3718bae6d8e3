import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { Worker } from "node:worker_threads";

/** Listens and never accepts: its thread is blocked, so connections wait until its queue is full. */
const BLOCKED = `
  const { parentPort, workerData } = require("node:worker_threads");
  const server = require("node:net").createServer();
  server.listen({ ...workerData, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
  });`;

/** More than the queue holds. */
const FILLING = 8;

/** A port to which connections are neither accepted nor refused. @returns the port */
export async function hangingPort(t: TestContext, host: string, port = 0): Promise<number> {
  const worker = new Worker(BLOCKED, { eval: true, workerData: { host, port } });
  const found = await new Promise<number>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  const sockets = Array.from({ length: FILLING }, () => connect({ host, port: found }));
  for (const socket of sockets) socket.on("error", () => undefined);
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await worker.terminate();
  });
  return found;
}

/** Accepts connections and says nothing. @returns its port */
export async function silentPort(t: TestContext, host = "127.0.0.1"): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
