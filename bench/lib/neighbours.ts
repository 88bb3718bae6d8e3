/** Other programs, measured in the same run as their place in Prism. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lastingPort } from "../../test/helpers/free-ports.ts";
import { type Server, startCommand } from "./processes.ts";

/** `BENCH_ALERTMANAGER` names another executable, such as that of a newer release. */
export async function startAlertmanager(): Promise<Server> {
  const dir = mkdtempSync(join(tmpdir(), "prism-bench-"));
  const port = await lastingPort();
  writeFileSync(join(dir, "alertmanager.yml"), "route: { receiver: none }\nreceivers: [{ name: none }]\n");
  return startCommand(
    process.env["BENCH_ALERTMANAGER"] ?? "prometheus-alertmanager",
    [
      `--config.file=${join(dir, "alertmanager.yml")}`,
      `--storage.path=${join(dir, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--cluster.listen-address=",
    ],
    { dir, port, readyPath: "/-/ready" },
  );
}

/** ntfy with its message cache on disk and without limits. `NTFY_PROGRAM` names another executable. */
export async function startNtfy(): Promise<Server> {
  const dir = mkdtempSync(join(tmpdir(), "prism-bench-"));
  const port = await lastingPort();
  const config = [
    `listen-http: "127.0.0.1:${port}"`,
    `base-url: "http://127.0.0.1:${port}"`,
    `cache-file: "${join(dir, "cache.db")}"`,
    "visitor-request-limit-burst: 100000000",
    'visitor-request-limit-exempt-hosts: "127.0.0.1"',
    "visitor-message-daily-limit: 100000000",
  ];
  writeFileSync(join(dir, "server.yml"), `${config.join("\n")}\n`);
  return startCommand(process.env["NTFY_PROGRAM"] ?? "ntfy", ["serve", "--config", join(dir, "server.yml")], {
    dir,
    port,
    readyPath: "/v1/health",
  });
}
