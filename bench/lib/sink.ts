/**
 * Reads requests, or mails if its argument is `smtp`, and answers that too many came, so that only
 * what it costs to send and to receive them is left of an attack.
 */
import { createServer as createHttpServer } from "node:http";
import { createServer, type Socket } from "node:net";

const http = createHttpServer((request, reply) => {
  request.resume();
  request.on("end", () => reply.writeHead(429, { "Content-Type": "application/json" }).end("{}"));
});

/** Answers each command; a mail that has ended as refused. */
function greet(socket: Socket): void {
  let isMail = false;
  let end = "";
  socket.on("data", (chunk) => {
    const read = chunk.toString("latin1");
    if (isMail) {
      end = (end + read).slice(-5);
      if (!end.endsWith("\r\n.\r\n")) return;
      isMail = false;
      socket.write("450 Too many mails\r\n");
    } else if (read.startsWith("DATA")) {
      isMail = true;
      socket.write("354 Send it\r\n");
    } else socket.write("250 OK\r\n");
  });
  socket.write("220 sink\r\n");
}

const smtp = createServer((socket) => {
  socket.on("error", () => undefined);
  greet(socket);
});
const server = process.argv[2] === "smtp" ? smtp : http;
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as { port: number };
  process.stdout.write(`listening ${port}\n`);
});
