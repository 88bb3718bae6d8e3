import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LOAD_CPU } from "./client-process.ts";

export interface Load {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** Default: POST. */
  readonly method?: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent in rotation. */
  readonly bodies: readonly string[];
}

export interface LoadResult {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Responses outside 2xx, and socket errors. */
  readonly errors: number;
}

export function hasWrk(): boolean {
  return spawnSync("wrk", ["-v"]).error === undefined;
}

/** Sends requests with wrk, limited in connections and time, and parses its report. */
export function runWrk(load: Load): Promise<LoadResult> {
  if (!hasWrk()) throw new Error("wrk is not installed (Debian: apt-get install wrk)");
  const dir = mkdtempSync(join(tmpdir(), "prism-wrk-"));
  const script = join(dir, "load.lua");
  writeFileSync(script, luaScript(load));
  const args = [
    "-c",
    LOAD_CPU,
    "wrk",
    "-t1",
    `-c${load.connections}`,
    `-d${load.seconds}s`,
    "--latency",
    "-s",
    script,
    load.url,
  ];
  const child = spawn("taskset", args, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.once("exit", () => {
      rmSync(dir, { recursive: true, force: true });
      const report = /RESULT (\{.*\})/.exec(text)?.[1];
      if (report) resolve(JSON.parse(report) as LoadResult);
      else reject(new Error(`wrk gave no report:\n${text}`));
    });
  });
}

function luaScript({ method = "POST", headers, bodies }: Load): string {
  const headerLines = Object.entries(headers).map(
    ([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`,
  );
  return `
wrk.method = ${JSON.stringify(method)}
${headerLines.join("\n")}
local bodies = { ${bodies.map((body) => `[==[${body}]==]`).join(", ")} }
local requests = {}
local turn = 0
function init()
  for i, body in ipairs(bodies) do requests[i] = wrk.format(nil, nil, nil, body) end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
function done(summary, latency)
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout
  io.write(string.format('RESULT {"requestsPerSecond":%f,"p50Ms":%f,"p99Ms":%f,"errors":%d}\\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, errors))
end
`;
}
