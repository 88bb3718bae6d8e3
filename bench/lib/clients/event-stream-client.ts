/**
 * `/realtime/:projectId/sse` over a plain socket: server-sent events (WHATWG HTML, section 9.2)
 * inside the chunks of one HTTP response.
 */
import { connect } from "node:net";
import type { OpenClient } from "./client.ts";

export const openEventStream: OpenClient = ({ port, from, token, projectId }, listener) => {
  const socket = connect({ port, host: "127.0.0.1", localAddress: from });
  socket.write(
    `GET /realtime/${projectId}/sse HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  );
  let buffered = "";
  let isOpen = false;
  const hear = (item: Buffer): void => listener.message(item, 0, item.length);
  socket.on("data", (chunk: Buffer) => {
    buffered += chunk.toString("latin1");
    for (let end = buffered.indexOf("\n\n"); end >= 0; end = buffered.indexOf("\n\n")) {
      const item = buffered.slice(0, end);
      buffered = buffered.slice(end + 2);
      if (isOpen) {
        // The rest of the previous chunk and the size of this one precede it; a comment has no
        // data.
        if (item.includes("\ndata: ")) hear(Buffer.from(item, "latin1"));
        continue;
      }
      if (!item.startsWith("HTTP/1.1 200")) return listener.ended(item);
      isOpen = true;
      listener.welcomed();
      listener.following();
    }
  });
  socket.on("error", (error) => listener.ended(error.message));
  socket.on("close", () => listener.ended(`the stream was closed: ${buffered.slice(0, 200)}`));
};
