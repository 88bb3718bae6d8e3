/**
 * Many WebSocket clients in one process, as cheap as they can be: a plain socket each, frames counted by their lengths (RFC 6455 section 5.2) and
 * not decoded, so that what is measured is the server. Prints `ready` when all follow, then `done <ms>` when all have had all messages.
 * Arguments: port, path, number of sockets, text frames that each has to get, bearer token, message to send first ('' for none),
 * frames that come before the counted ones.
 */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";

const [port = "0", path = "/", sockets = "1", frames = "1", token = "", first = "", before = "0"] =
  process.argv.slice(2);
const wanted = Number(frames);
let following = 0;
let complete = 0;
let firstFrameAt = 0;

for (let i = 0; i < Number(sockets); i++) {
  open();
  if (i % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 20));
}

function open(): void {
  const socket = connect(Number(port), "127.0.0.1");
  const authorization = token === "" ? "" : `Authorization: Bearer ${token}\r\n`;
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${authorization}` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n\r\n`,
  );
  let buffered: Buffer = Buffer.alloc(0);
  let isUpgraded = false;
  let count = -Number(before);
  socket.on("data", (chunk: Buffer) => {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
    if (!isUpgraded) {
      const end = buffered.indexOf("\r\n\r\n");
      if (end < 0) return;
      isUpgraded = true;
      buffered = buffered.subarray(end + 4);
      if (first !== "") sendText(socket, first);
      if (count === 0) follows();
    }
    let at = 0;
    for (;;) {
      const next = frameEnd(buffered, at);
      if (next < 0) break;
      at = next;
      count++;
      if (count === 0) follows();
      if (count === 1 && firstFrameAt === 0) firstFrameAt = performance.now();
      if (count === wanted) finished();
    }
    buffered = buffered.subarray(at);
  });
}

/** @returns the index behind the frame that begins at `at`, -1 while it is not all there. */
function frameEnd(bytes: Buffer, at: number): number {
  if (bytes.length < at + 2) return -1;
  const short = (bytes[at + 1] as number) & 127;
  const header = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < at + header) return -1;
  const length =
    short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short;
  return bytes.length < at + header + length ? -1 : at + header + length;
}

function sendText(socket: Socket, text: string): void {
  const body = Buffer.from(text);
  const mask = Buffer.alloc(4);
  const head =
    body.length < 126
      ? Buffer.from([0x81, 0x80 | body.length])
      : Buffer.from([0x81, 0xfe, body.length >> 8, body.length & 255]);
  socket.write(Buffer.concat([head, mask, body]));
}

function follows(): void {
  if (++following === Number(sockets)) process.stdout.write("ready\n");
}

function finished(): void {
  if (++complete < Number(sockets)) return;
  process.stdout.write(`done ${performance.now() - firstFrameAt}\n`);
  process.exit(0);
}
