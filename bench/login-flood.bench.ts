/**
 * Event ingest while 32 clients log in as fast as they can, compared with the same server without
 * them. Each client has its own account, address and correct password, and request limits are off,
 * so that only password hashing limits it.
 */
import "../scripts/node-version.mjs";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { call, eventBodies, setUp } from "./lib/prism-setup.ts";
import { startPrism } from "./lib/processes.ts";
import { median, ROUNDS, type Row, report, round, SECONDS } from "./lib/report.ts";
import { type LoadResult, runWrk } from "./lib/wrk.ts";

const CLIENTS = 32;
const CONNECTIONS = 16;
const PASSWORD = "correct horse battery staple";

const quiet: LoadResult[] = [];
const flooded: LoadResult[] = [];
const logins: number[] = [];
for (let i = 0; i < ROUNDS; i++) {
  const server = await startPrism({
    env: { PRISM_AUTH_REGISTRATION: "open", PRISM_RATE_LIMIT_ENABLED: "false", PRISM_TRUSTED_PROXIES: "127.0.0.1" },
  });
  const { apiKey } = await setUp(server);
  for (let client = 0; client < CLIENTS; client++)
    await call(server, "POST", "/auth/register", undefined, { username: `client-${client}`, password: PASSWORD });
  const load = () =>
    runWrk({
      url: `${server.url}/events`,
      connections: CONNECTIONS,
      seconds: SECONDS,
      headers: { "Content-Type": "application/json", "X-API-Key": apiKey },
      bodies: eventBodies(),
    });
  // Warm-up of the engine; the writer moves to its thread.
  await load();
  quiet.push(await load());
  const flood = startFlood(server.url);
  await flood.ready;
  flooded.push(await load());
  logins.push((await flood.stop()) / SECONDS);
  await server.stop();
}

const row = (workload: string, results: readonly LoadResult[]): Row => ({
  workload,
  "events/s": round(median(results.map((result) => result.requestsPerSecond))),
  "p50 ms": round(median(results.map((result) => result.p50Ms)), 2),
  "p99 ms": round(median(results.map((result) => result.p99Ms)), 2),
  "logins/s": workload === "quiet" ? 0 : round(median(logins), 1),
});
report("login-flood", `${CONNECTIONS} connections of events, ${CLIENTS} clients that log in (bcrypt cost 12)`, [
  row("quiet", quiet),
  row(`${CLIENTS} clients log in`, flooded),
]);

function startFlood(url: string): { ready: Promise<void>; stop(): Promise<number> } {
  const file = join(import.meta.dirname, "lib/login-clients.ts");
  const child = spawn(process.execPath, ["--import", "tsx", file, url, String(CLIENTS), PASSWORD], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  let text = "";
  const seen = (word: string): Promise<void> =>
    new Promise((resolve, reject) => {
      child.once("exit", (code) => (code === 0 ? undefined : reject(new Error(`the clients ended with ${code}`))));
      child.stdout.on("data", () => {
        if (text.includes(word)) resolve();
      });
    });
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  return {
    ready: seen("ready"),
    async stop() {
      const done = seen("done");
      child.stdin.end();
      await done;
      return Number(/done (\d+)/.exec(text)?.[1]);
    },
  };
}
