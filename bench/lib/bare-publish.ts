/**
 * The reference for the live layer: a uWebSockets.js server that greets each socket, publishes a
 * batch of messages of a given size to all of them for each `GET /go`, and publishes the parsed
 * body of each `POST /events` before it answers 202. Other POST requests are not published.
 */
import { uWS } from "../../src/http/server/uws.ts";

const [batch = "10", bytes = "500"] = process.argv.slice(2);
const text = "x".repeat(Number(bytes));
/** Same size as the welcome of `/ws`. */
const welcome = JSON.stringify({ op: "welcome", pad: "x".repeat(160) });
const app = uWS.App();
app.ws("/ws", {
  maxBackpressure: 1 << 30,
  idleTimeout: 60,
  sendPingsAutomatically: true,
  open: (ws) => {
    ws.subscribe("all");
    ws.send(welcome);
  },
});
app.get("/go", (res) => {
  for (let i = 0; i < Number(batch); i++) app.publish("all", text);
  res.end("{}");
});
app.post("/*", (res, req) => {
  const isPublished = req.getUrl() === "/events";
  let isAborted = false;
  res.onAborted(() => {
    isAborted = true;
  });
  res.onData((chunk, isLast) => {
    if (!isLast || isAborted) return;
    const body = Buffer.from(chunk).toString();
    JSON.parse(body);
    if (isPublished) app.publish("all", body);
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
