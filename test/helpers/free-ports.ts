import { randomInt } from "node:crypto";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Outside of every system's range for outgoing connections: none of those uses the port when the
 * server starts, and a client that tries it without a listener cannot connect to itself.
 */
const [LOWEST, HIGHEST] = [20_000, 32_000];
/** Each port that a process of this run of the tests was given has a file here. */
const claims = join(tmpdir(), `ports-of-tests-${process.ppid}`);

function isClaimed(port: number): boolean {
  mkdirSync(claims, { recursive: true });
  try {
    closeSync(openSync(join(claims, String(port)), "wx"));
    return false;
  } catch {
    return true;
  }
}

/** A port that is free, is given once, and stays free while a server that had it comes back. */
export async function lastingPort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST);
    if (isClaimed(port)) continue;
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    server.close();
    if (isFree) return port;
  }
}
