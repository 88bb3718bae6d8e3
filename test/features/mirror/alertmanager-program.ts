// needs: prometheus-alertmanager
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../helpers/eventually.ts";
import { lastingPort } from "../../helpers/free-ports.ts";
import type { Scope } from "../../helpers/scope.ts";
import { temporaryDir } from "../../helpers/store.ts";

const root = join(import.meta.dirname, "../../..");
/** Kept between runs, beside the packages. */
const FETCHED = join(root, "node_modules/.cache/debian-next-alertmanager");

/** The path of Alertmanager 0.28 of Debian's next release, which is fetched when it is missing. */
function program(): string {
  const given = process.env["ALERTMANAGER_PROGRAM"];
  if (given !== undefined) return given;
  if (!existsSync(FETCHED)) {
    const folder = `${FETCHED}.${process.pid}`;
    const env = { ...process.env, DEBIAN_SUITE: "trixie" };
    const script = join(root, "scripts/debian-next.sh");
    execFileSync(script, [folder, "prometheus-alertmanager"], { stdio: "pipe", env });
    try {
      renameSync(folder, FETCHED);
    } catch {
      // Another test had it first.
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return join(FETCHED, "usr/bin/prometheus-alertmanager");
}

/** An Alertmanager that is stopped and started again with the same data. */
export class Alertmanager {
  readonly url: string;
  readonly #dir: string;
  #child: ChildProcess | null = null;

  private constructor(dir: string, port: number) {
    this.url = `http://127.0.0.1:${port}`;
    this.#dir = dir;
  }

  static async start(t: Scope, configuration: object): Promise<Alertmanager> {
    const alertmanager = new Alertmanager(temporaryDir(t), await lastingPort());
    alertmanager.write(configuration);
    t.after(() => alertmanager.stop());
    await alertmanager.start();
    return alertmanager;
  }

  get #file(): string {
    return join(this.#dir, "alertmanager.yml");
  }

  /** JSON is YAML. */
  write(configuration: object): void {
    writeFileSync(this.#file, JSON.stringify(configuration));
  }

  async start(): Promise<void> {
    const { host } = new URL(this.url);
    const files = [`--config.file=${this.#file}`, `--storage.path=${join(this.#dir, "data")}`];
    const child = spawn(program(), [...files, `--web.listen-address=${host}`, "--cluster.listen-address="], {
      stdio: "ignore",
    });
    this.#child = child;
    await eventually("Alertmanager answers", async () => {
      if (child.exitCode !== null) throw new Error(`Alertmanager ended with ${child.exitCode}`);
      return (await fetch(`${this.url}/-/ready`).catch(() => null))?.ok === true;
    });
  }

  async reload(configuration: object): Promise<void> {
    this.write(configuration);
    const { ok, status } = await fetch(`${this.url}/-/reload`, { method: "POST" });
    if (!ok) throw new Error(`Alertmanager answers ${status} to a reload`);
  }

  async version(): Promise<string> {
    const status = (await (await fetch(`${this.url}/api/v2/status`)).json()) as { versionInfo: { version: string } };
    return status.versionInfo.version;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null) return;
    const ended = once(child, "exit");
    child.kill();
    await ended;
  }
}
