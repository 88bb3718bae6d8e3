import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Where no system takes the ports of outgoing connections from: none of those has the port when the
 * server comes, and a client that tries it while nobody listens cannot meet itself.
 */
const [LOWEST, HIGHEST] = [20_000, 32_000];
const given = new Set<number>();

/** A port that is free, is given once, and stays free while a server that had it comes back. */
export async function lastingPort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST);
    if (given.has(port)) continue;
    given.add(port);
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    server.close();
    if (isFree) return port;
  }
}
