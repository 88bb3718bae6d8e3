import type { AddressInfo, Server, Socket } from "node:net";
import type { Scope } from "./scope.ts";

/** Lets a server listen on this machine until the test ends. @returns its port */
export async function listening(t: Scope, server: Server): Promise<number> {
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}
