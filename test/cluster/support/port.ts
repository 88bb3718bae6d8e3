import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { Forwarder } from "../../../src/cluster/follow/forward.ts";
import { StandbyPort } from "../../../src/cluster/follow/standby.ts";
import type { DegradedServer } from "../../../src/cluster/lead/degraded.ts";
import type { TestCertificate } from "../../helpers/certificate.ts";
import { lastingPort } from "../../helpers/free-ports.ts";
import { LogLines } from "../../helpers/log-lines.ts";
import type { Scope } from "../../helpers/scope.ts";

export interface PortSetting {
  /** Changed by the test. */
  leader: string | null;
  degraded: DegradedServer | null;
}

interface PortOptions extends Partial<PortSetting> {
  readonly node?: string;
  readonly holdMs?: number;
  readonly maxWaiting?: number;
  readonly advertise?: string;
  readonly caFile?: string;
  readonly trustedProxies?: readonly string[];
  readonly notPassed?: ReadonlySet<string>;
}

/** The port of a node that follows, without the rest of the node. */
export async function openPort(t: Scope, { node = "b", holdMs = 60_000, ...options }: PortOptions = {}) {
  const port = await lastingPort();
  const url = `http://127.0.0.1:${port}`;
  const log = new LogLines();
  const { advertise = url, caFile, trustedProxies = [], maxWaiting = 10_000, leader = null, degraded = null } = options;
  const { notPassed = new Set<string>() } = options;
  const setting: PortSetting = { leader, degraded };
  const forwarder = new Forwarder({ node, advertise, caFile, notPassed, log });
  const standby = new StandbyPort({
    ...{ host: "127.0.0.1", port, holdMs, maxWaiting, forwarder, trustedProxies },
    leader: () => setting.leader,
    silentMs: () => 60_000,
    degraded: () => setting.degraded,
    own: () => null,
  });
  await standby.listen();
  t.after(() => standby.close());
  return {
    ...{ url, port, log, setting, standby, forwarder },
    leads(leader: string): void {
      setting.leader = leader;
      standby.leaderChanged();
    },
  };
}

/** What a request brought to a server of a test. */
export interface Seen {
  readonly line: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A leader that notes requests, and answers as it is told. */
export async function openServer(
  t: Scope,
  answer: RequestListener = (_req, res) => void res.end("ok"),
  certificate?: TestCertificate,
) {
  const seen: Seen[] = [];
  const sockets = new Set<Socket>();
  const server = certificate ? createSecureServer(certificate) : createServer();
  // Leaves it to the client when to close, and gives no hint.
  server.keepAliveTimeout = 0;
  server.on("request", async (req, res) => {
    const chunks = await req.toArray();
    seen.push({ line: `${req.method} ${req.url}`, headers: req.headers, body: Buffer.concat(chunks).toString() });
    answer(req, res);
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy()).once("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as AddressInfo;
  return { seen, sockets, server, url: certificate ? `https://localhost:${port}` : `http://127.0.0.1:${port}` };
}

/** A client's connection, with what came on it. */
export async function dial(t: Scope, port: number, text: string) {
  const socket = connect(port, "127.0.0.1");
  t.after(() => socket.destroy());
  socket.on("error", () => socket.destroy());
  const client = { socket, text: "", isClosed: false };
  socket.on("data", (bytes) => {
    client.text += bytes.toString("latin1");
  });
  socket.once("close", () => {
    client.isClosed = true;
  });
  await once(socket, "connect");
  socket.write(text);
  return client;
}
