/** The reference: a uWebSockets.js server that parses the body and answers 202. */
import { uWS } from "../../src/http/server/uws.ts";

const app = uWS.App();
app.post("/*", (res) => {
  let isAborted = false;
  res.onAborted(() => {
    isAborted = true;
  });
  res.onData((chunk, isLast) => {
    if (!isLast || isAborted) return;
    JSON.parse(Buffer.from(chunk).toString());
    res.cork(() => {
      res.writeStatus("202 Accepted");
      res.writeHeader("Content-Type", "application/json; charset=utf-8");
      res.end('{"status":"accepted"}');
    });
  });
});
app.listen("127.0.0.1" as unknown as number, 0 as never, (socket) => {
  if (!socket) throw new Error("cannot listen");
  process.stdout.write(`listening ${uWS.us_socket_local_port(socket)}\n`);
});
