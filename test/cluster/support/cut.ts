import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Scope } from "../../helpers/scope.ts";

/** The way to a nats-server, which can be cut: connections stay open, and nothing passes. */
export interface CutWay {
  readonly address: string;
  cut(): void;
  restore(): void;
}

export async function cutWay(t: Scope, target: string): Promise<CutWay> {
  const [host = "", port = ""] = target.split(":");
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((from) => {
    const to = connect(Number(port), host);
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      sockets.add(one);
      one.on("data", (bytes) => {
        if (!isCut) other.write(bytes);
      });
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        if (!isCut) other.destroy();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const destroyAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  t.after(() => {
    server.close();
    destroyAll();
  });
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut() {
      isCut = true;
    },
    restore() {
      isCut = false;
      destroyAll();
    },
  };
}
