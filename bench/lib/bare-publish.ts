/** The reference for fan-out: uWebSockets.js that publishes messages of a given size to everybody, a hundred in each turn of the loop. */
import { uWS } from "../../src/http/uws.ts";

const [messages = "1000", bytes = "500"] = process.argv.slice(2);
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
  res.end("ok");
  let sent = 0;
  const turn = (): void => {
    for (let i = 0; i < 100 && sent < Number(messages); i++, sent++) app.publish("all", text);
    if (sent < Number(messages)) setImmediate(turn);
  };
  turn();
});
app.listen("127.0.0.1" as unknown as number, 0 as never, (socket) => {
  if (!socket) throw new Error("cannot listen");
  process.stdout.write(`listening ${uWS.us_socket_local_port(socket)}\n`);
});
