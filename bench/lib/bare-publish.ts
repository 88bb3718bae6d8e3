/** The reference for fan-out: uWebSockets.js that publishes a batch of messages of a given size to everybody for each request. */
import { uWS } from "../../src/http/uws.ts";

const [batch = "100", bytes = "500"] = process.argv.slice(2);
const text = "x".repeat(Number(bytes));
const app = uWS.App();
app.ws("/ws", {
  maxBackpressure: 1 << 30,
  idleTimeout: 0,
  open: (ws) => {
    ws.subscribe("all");
  },
});
app.get("/go", (res) => {
  for (let i = 0; i < Number(batch); i++) app.publish("all", text);
  res.end("{}");
});
app.listen("127.0.0.1" as unknown as number, 0 as never, (socket) => {
  if (!socket) throw new Error("cannot listen");
  process.stdout.write(`listening ${uWS.us_socket_local_port(socket)}\n`);
});
