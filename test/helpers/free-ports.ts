import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Outside of every system's range for outgoing connections: none of those uses the port when the
 * server starts, and a client that tries it without a listener cannot connect to itself.
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
