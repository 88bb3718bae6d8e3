import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import tls from "node:tls";
import { RunningCli } from "../cli/run-cli.ts";
import { installCertificate, makeCertificate } from "../helpers/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { RawConnection, requestText } from "../http/support/raw-connection.ts";
import { liveCount, RAW_PROTOCOLS, RAW_SETTINGS, withToken } from "./support/raw-protocols.ts";
import { frame, HANDSHAKE } from "./support/raw-socket.ts";

/**
 * Limits that the library keeps by its own clock: 10 s for a request's head, 16 s for the end of a
 * socket that has been closed; it looks at its timers every 4 s. All of these tests wait at the
 * same time.
 */
const LIMIT_MS = 100_000;
const DRIP_EVERY_MS = 50;

describe("peers that take their time", { concurrency: true }, () => {
  test("slow requests: an unfinished head is cut after 10 s in total, and all others are served", async (t) => {
    const prism = await startPrism(t, { settings: RAW_SETTINGS });
    const { port } = prism.app;
    const head = requestText("GET", `/ws?token=${prism.adminToken}`, HANDSHAKE);
    const silent = await Promise.all(Array.from({ length: 200 }, () => RawConnection.open(t, port)));
    const stuck = await Promise.all(Array.from({ length: 200 }, () => RawConnection.open(t, port)));
    for (const client of stuck) client.send(head.slice(0, -2));
    const dripping = await Promise.all(Array.from({ length: 20 }, () => RawConnection.open(t, port)));
    let sent = 0;
    const stop = drip(t, () => {
      for (const client of dripping) client.send(sent < head.length - 2 ? (head[sent] ?? "") : "");
      sent++;
    });
    const all = [...silent, ...stuck, ...dripping];
    await eventually(
      "all are closed",
      async () => {
        assert.equal((await prism.get("/health/live")).status, 200);
        return all.every((client) => client.isClosed);
      },
      LIMIT_MS,
    );
    stop();
    for (const client of all) assert.equal(client.unread, "");
    assert.equal(liveCount(prism), 0);
  });

  test("a socket closed by the server disappears soon, even if its client neither closes nor stops sending", async (t) => {
    const prism = await startPrism(t, { settings: RAW_SETTINGS });
    const clients: Socket[] = [];
    for (const protocol of RAW_PROTOCOLS) {
      for (const isReading of [true, false]) {
        const client = connect({ port: prism.app.port, host: "127.0.0.1", allowHalfOpen: true });
        t.after(() => client.destroy());
        client.on("error", () => undefined);
        client.write(requestText("GET", withToken(protocol.path, prism.adminToken), HANDSHAKE));
        await once(client, "data");
        if (isReading) client.resume();
        else client.pause();
        client.write(frame("[]"));
        clients.push(client);
      }
    }
    await eventually("none of them counts", () => liveCount(prism) === 0);
    const stop = drip(t, () => {
      for (const client of clients) if (!client.destroyed) client.write(frame("{}"));
    });
    // A client that never closes notices only when it writes to a closed peer.
    await eventually("all are gone", () => clients.every((client) => client.destroyed), LIMIT_MS);
    stop();
  });

  test("over TLS: an unfinished handshake is cut, and a broken record closes its socket", async (t) => {
    const cwd = temporaryDir(t);
    const certificate = makeCertificate();
    installCertificate(certificate, join(cwd, "server.crt"), join(cwd, "server.key"));
    const env = { PRISM_TLS_CERT_FILE: "server.crt", PRISM_TLS_KEY_FILE: "server.key" };
    const cli = new RunningCli(t, ["serve", "--port", "0"], { cwd, env });
    const [, portText] = await cli.until(/Prism is ready: https:\/\/[^:]+:(\d+)/);
    const port = Number(portText);
    const ask = (request: string) => exchangeTls(t, port, certificate.cert, request);
    const { text } = await ask(requestText("GET", "/dev/token", ["Connection: close"]));
    const token = /"token":"([^"]+)"/.exec(text())?.[1] ?? "";

    const silent = await Promise.all(Array.from({ length: 100 }, () => RawConnection.open(t, port)));
    const begun = await Promise.all(Array.from({ length: 100 }, () => RawConnection.open(t, port)));
    // The head of a record of 512 bytes with the beginning of a ClientHello (RFC 8446 section 5.1).
    for (const client of begun) client.send(Buffer.from("160301020001000001fc0303", "hex"));

    const live = await ask(requestText("GET", `/ws?token=${token}`, HANDSHAKE));
    await eventually("the welcome", () => live.text().includes('"welcome"'));
    const connections = async () => {
      const metrics = await ask(
        requestText("GET", "/metrics", ["Connection: close", `Authorization: Bearer ${token}`]),
      );
      return /^prism_ws_connections\{transport="websocket"\} (\d+)$/m.exec(metrics.text())?.[1];
    };
    assert.equal(await connections(), "1");
    live.tcp.write(Buffer.from("17030300050000000000", "hex"));
    await eventually("it is forgotten", async () => (await connections()) === "0");

    const all = [...silent, ...begun];
    await eventually("all are closed", () => all.every((client) => client.isClosed), LIMIT_MS);
    assert.equal(await connections(), "0");
  });
});

/** Does something again and again until the test ends. @returns what stops it. */
function drip(t: TestContext, act: () => void): () => void {
  const timer = setInterval(act, DRIP_EVERY_MS);
  const stop = () => clearInterval(timer);
  t.after(stop);
  return stop;
}

/** Sends a request over TLS; with `Connection: close` in it, waits for the end of the answer. */
async function exchangeTls(
  t: TestContext,
  port: number,
  ca: string,
  request: string,
): Promise<{ readonly tcp: Socket; readonly text: () => string }> {
  const tcp = connect(port, "127.0.0.1");
  const socket = tls.connect({ socket: tcp, ca, servername: "localhost" });
  t.after(() => tcp.destroy());
  let received = "";
  for (const end of [tcp, socket]) end.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString("latin1");
  });
  await once(socket, "secureConnect");
  socket.write(request);
  if (request.includes("Connection: close")) await once(socket, "end");
  return { tcp, text: () => received };
}
