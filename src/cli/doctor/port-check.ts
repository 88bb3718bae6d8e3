import { createServer } from "node:net";
import type { Config } from "../../config/load.ts";
import { type Check, fail, pass } from "./check.ts";

const ANSWER_LIMIT_MS = 2000;

/** Whether a server could listen, or the one that runs on this data directory does. */
export async function checkPort({ host, port }: Config, isServed: boolean): Promise<Check[]> {
  if (port === 0) return [pass("port", "any free one is taken at start")];
  const problem = await tryListen(host, port);
  if (problem === undefined) {
    return [pass("port", isServed ? `${port} is free; the running server listens on another` : `${port} is free`)];
  }
  if (problem !== "EADDRINUSE")
    return [fail("port", `cannot listen on ${host}:${port} (${problem})`, "choose another")];
  const version = await askPrism(host, port);
  if (version === undefined) return [fail("port", `${port} is taken by another program`, "choose another with PORT")];
  if (!isServed)
    return [fail("port", `${port} is taken by a Prism on another data directory`, "choose another with PORT")];
  return [pass("port", `${port} is held by the running server, version ${version}`)];
}

/** @returns why not; undefined when it would work. */
function tryListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/** @returns the version, if it is Prism that answers. */
async function askPrism(host: string, port: number): Promise<string | undefined> {
  const name = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host.includes(":") ? `[${host}]` : host;
  try {
    const response = await fetch(`http://${name}:${port}/health`, { signal: AbortSignal.timeout(ANSWER_LIMIT_MS) });
    const { version, uptimeMs } = (await response.json()) as { version?: unknown; uptimeMs?: unknown };
    return typeof version === "string" && typeof uptimeMs === "number" ? version : undefined;
  } catch {
    return undefined;
  }
}
