import type { HttpResponse, TemplatedApp, us_listen_socket, WebSocket } from "uWebSockets.js";
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect as connectPlain } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import { type RawData, WebSocket as WsClient } from "ws";
import { uWS } from "../../src/http/server/uws.ts";
import { makeCertificate } from "../helpers/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { temporaryDir } from "../helpers/store.ts";
import { RawConnection, requestText } from "./support/raw-connection.ts";
import { LETTERS, textsOf } from "./support/texts.ts";

/**
 * Every way by which a text leaves for uWebSockets' addon. That of another package for Node 24 sent `é`
 * as one byte (uNetworking/uWebSockets.js issue 1280).
 */

const TOPIC = "é/你";
/** A close frame has at most 125 bytes, two of them for its code, as has a ping. */
const MOST_OF_CONTROL = 123;

/** What ends an answer; what each leaves on the wire is looked for in all bytes of the answer. */
const ANSWERS: Readonly<Record<string, (res: HttpResponse, text: string) => void>> = {
  "end of an answer": (res, text) => res.end(text),
  "end of an answer, corked": (res, text) => res.cork(() => res.end(text)),
  "end of an answer that is the last": (res, text) => res.end(text, true),
  "a chunk of an answer": (res, text) => {
    res.write(text);
    res.end();
  },
  "an answer that tries to end": (res, text) => res.tryEnd(text, Buffer.byteLength(text)),
  "a status line": (res, text) => res.writeStatus(`200 ${text}`).end(),
  "a header's value": (res, text) => res.writeHeader("X-Text", text).end(),
  "a header's name": (res, text) => res.writeHeader(text, "value").end(),
};

/** What a WebSocket's server does, and the event of `ws` in which its client gets the text. */
const MESSAGES: Readonly<Record<string, { on: string; most?: number; send: (socket: Socket, text: string) => void }>> =
  {
    "a message": { on: "message", send: ({ ws }, text) => ws.send(text) },
    "a message in a cork": { on: "message", send: ({ ws }, text) => ws.cork(() => ws.send(text)) },
    "a message, compressed": { on: "message", send: ({ ws }, text) => ws.send(text, false, true) },
    "a text as a binary message": { on: "message", send: ({ ws }, text) => ws.send(text, true) },
    "what the server publishes": { on: "message", send: ({ app }, text) => app.publish(TOPIC, text) },
    "what another socket publishes": { on: "message", send: ({ other }, text) => other.publish(TOPIC, text) },
    "a ping": { on: "ping", most: MOST_OF_CONTROL, send: ({ ws }, text) => ws.ping(text) },
    "the reason of a close": { on: "close", most: MOST_OF_CONTROL, send: ({ ws }, text) => ws.end(4000, text) },
  };

interface Socket {
  readonly app: TemplatedApp;
  readonly ws: WebSocket<unknown>;
  readonly other: WebSocket<unknown>;
}

function listen(t: TestContext, app: TemplatedApp): number {
  let port = 0;
  app.listen("127.0.0.1", 0, (socket) => {
    assert.ok(socket);
    port = uWS.us_socket_local_port(socket);
  });
  t.after(() => app.close());
  return port;
}

/** Each text of each letter, as `check` gets it. */
async function eachText(most: number, check: (text: string, name: string) => Promise<void>): Promise<void> {
  for (const letter of LETTERS)
    for (const [form, text] of Object.entries(textsOf(letter, most))) await check(text, `${letter} ${form}`);
}

for (const [way, answer] of Object.entries(ANSWERS))
  test(`text leaves as UTF-8: ${way}`, async (t) => {
    let current = "";
    const port = listen(
      t,
      uWS.App().get("/", (res) => {
        // An answer that lacks bytes is not the end of the process.
        res.onAborted(() => undefined);
        answer(res, current);
      }),
    );
    await eachText(3000, async (text, name) => {
      current = text;
      const connection = await RawConnection.open(t, port);
      connection.send(requestText("GET", "/", ["Connection: close"]));
      await connection.closed();
      assert.ok(connection.unreadBytes.includes(Buffer.from(text)), `${name}: ${connection.unread}`);
      // The length that the library writes is that of the bytes.
      const [, length] = /^Content-Length: (\d+)\r$/m.exec(connection.unread) ?? [];
      const body = connection.unread.slice(connection.unread.indexOf("\r\n\r\n") + 4);
      if (length !== undefined) assert.equal(body.length, Number(length), name);
    });
  });

for (const [way, { on, most = 3000, send }] of Object.entries(MESSAGES))
  test(`text leaves as UTF-8: ${way}`, async (t) => {
    const sockets: WebSocket<unknown>[] = [];
    const app = uWS.App().ws("/*", {
      compression: uWS.SHARED_COMPRESSOR,
      open: (ws) => {
        ws.subscribe(TOPIC);
        sockets.push(ws);
      },
    });
    const url = `ws://127.0.0.1:${listen(t, app)}/`;
    const open = async (): Promise<{ client: WsClient; ws: WebSocket<unknown> }> => {
      const client = new WsClient(url);
      t.after(() => client.terminate());
      await once(client, "open");
      const ws = sockets.pop();
      assert.ok(ws);
      return { client, ws };
    };
    const { ws: other } = await open();
    await eachText(most, async (text, name) => {
      const { client, ws } = await open();
      // Bytes that are no UTF-8 are an error of `ws`, which rejects.
      const came = once(client, on) as Promise<[RawData] | [number, RawData]>;
      send({ app, ws, other }, text);
      const bytes = (await came).find((each) => Buffer.isBuffer(each));
      assert.equal(String(bytes), text, name);
      client.terminate();
    });
  });

test("text leaves as UTF-8: the subprotocol and a header of an upgrade", async (t) => {
  let current = "";
  const app = uWS.App().ws("/*", {
    upgrade: (res, req, context) => {
      res.writeStatus("101 Switching Protocols").writeHeader("X-Text", current);
      res.upgrade({}, req.getHeader("sec-websocket-key"), `protocol ${current}`, "", context);
    },
  });
  const port = listen(t, app);
  await eachText(1000, async (text, name) => {
    current = text;
    const connection = await RawConnection.open(t, port);
    const headers = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
    connection.send(requestText("GET", "/", [...headers, "Sec-WebSocket-Version: 13"]));
    await eventually("the head", () => connection.unread.includes("\r\n\r\n"));
    const lines = connection.unreadBytes.toString().split("\r\n");
    assert.equal(lines[0], "HTTP/1.1 101 Switching Protocols");
    for (const line of [`X-Text: ${text}`, `Sec-WebSocket-Protocol: protocol ${text}`])
      assert.ok(lines.includes(line), `${name}: ${lines}`);
    connection.destroy();
  });
});

test("text leaves as UTF-8: names of files and of a Unix socket", async (t) => {
  for (const letter of LETTERS) {
    const dir = join(temporaryDir(t), letter);
    mkdirSync(dir);
    const [cert_file_name, key_file_name] = [join(dir, "server.crt"), join(dir, "server.key")];
    const { cert, key } = makeCertificate();
    writeFileSync(cert_file_name, cert);
    writeFileSync(key_file_name, key);
    const port = listen(t, uWS.SSLApp({ cert_file_name, key_file_name }));
    const secure = connectTls({ host: "127.0.0.1", port, ca: cert });
    t.after(() => secure.destroy());
    await once(secure, "secureConnect");
    const path = join(dir, "socket");
    let listening: us_listen_socket | null = null;
    const app = uWS.App().listen_unix((socket) => {
      listening = socket;
    }, path);
    t.after(() => app.close());
    assert.ok(listening, letter);
    const plain = connectPlain(path);
    t.after(() => plain.destroy());
    await once(plain, "connect");
  }
});

test("text comes in as it was sent: a route, a path, a query", async (t) => {
  const app = uWS.App();
  for (const letter of LETTERS)
    app.get(`/${letter}/:name`, (res, req) => {
      const texts = [req.getUrl(), req.getParameter(0) ?? "", req.getQuery("q") ?? ""];
      res.end(JSON.stringify(texts));
    });
  const port = listen(t, app);
  for (const letter of LETTERS) {
    const connection = await RawConnection.open(t, port);
    connection.send(requestText("GET", `/${letter}/${letter}?q=${letter}`));
    const { body } = await connection.reply();
    const texts = JSON.parse(body) as string[];
    assert.deepEqual(texts, [`/${letter}/${letter}`, letter, letter]);
  }
});
