// needs: amtool, prometheus, prometheus-alertmanager
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ChildOutput } from "../../../../helpers/child-output.ts";
import { eventually } from "../../../../helpers/eventually.ts";
import { lastingPort } from "../../../../helpers/free-ports.ts";
import type { TestPrism } from "../../../../helpers/prism.ts";
import type { Scope } from "../../../../helpers/scope.ts";
import { temporaryDir } from "../../../../helpers/store.ts";

/** Debian's Alertmanager with its own port and data directory. @returns its URL */
export async function startAlertmanager(t: Scope, configuration: string): Promise<string> {
  const dir = temporaryDir(t);
  const port = await lastingPort();
  writeFileSync(join(dir, "alertmanager.yml"), configuration);
  run(t, "prometheus-alertmanager", [
    `--config.file=${join(dir, "alertmanager.yml")}`,
    `--storage.path=${join(dir, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--cluster.listen-address=",
  ]);
  const url = `http://127.0.0.1:${port}`;
  await answers(`${url}/-/ready`);
  return url;
}

export interface RunningPrometheus {
  readonly url: string;
  readonly child: ChildProcess;
}

/** Debian's Prometheus with these files in its directory. */
export async function startPrometheus(
  t: Scope,
  files: Readonly<Record<string, string>>,
  flags: readonly string[],
): Promise<RunningPrometheus> {
  const dir = temporaryDir(t);
  const port = await lastingPort();
  mkdirSync(join(dir, "data"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  const child = run(t, "prometheus", [
    `--config.file=${join(dir, "prometheus.yml")}`,
    `--storage.tsdb.path=${join(dir, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    ...flags,
  ]);
  const url = `http://127.0.0.1:${port}`;
  await answers(`${url}/-/ready`);
  return { url, child };
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  /** Without the note that amtool is older. */
  readonly stderr: string;
}

/** Runs Debian's amtool against a server. */
export async function amtool(url: string, ...parameters: readonly string[]): Promise<CommandResult> {
  const child = spawn("amtool", [`--alertmanager.url=${url}`, ...parameters], { stdio: ["ignore", "pipe", "pipe"] });
  const output = new ChildOutput(child);
  const { code } = await output.ended;
  const stderr = output.stderr.replace(
    /^Warning: amtool version \(\S+\) and alertmanager version \(\S+\) are .*\n/gm,
    "",
  );
  return { code, stdout: output.stdout, stderr };
}

/** A key of the project with the default scopes. */
export async function makeKey(prism: TestPrism, project = "default"): Promise<string> {
  const reply = await prism.post<{ key: string }>(`/api/v1/projects/${project}/keys`, { name: "alertmanager" });
  return reply.body.key;
}

/** The URL with the key as a password, as amtool takes it. */
export function urlWithKey(prism: TestPrism, key: string, project?: string): string {
  const base = new URL(prism.url);
  return `http://any:${key}@${base.host}/alertmanager${project === undefined ? "" : `/${project}`}`;
}

function run(t: Scope, program: string, parameters: readonly string[]): ChildProcess {
  const child = spawn(program, parameters, { stdio: "ignore" });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  });
  return child;
}

async function answers(url: string): Promise<void> {
  await eventually(`${url} answers`, () =>
    fetch(url).then(
      (response) => response.ok,
      () => false,
    ),
  );
}
