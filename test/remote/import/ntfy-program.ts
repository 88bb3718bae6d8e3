// needs: ntfy
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../helpers/eventually.ts";
import { lastingPort } from "../../helpers/free-ports.ts";
import type { Scope } from "../../helpers/scope.ts";

const root = join(import.meta.dirname, "../../..");
/** Kept between runs, beside the packages. */
const FETCHED = join(root, "node_modules/.cache/debian-next-ntfy");

/** The path of ntfy of Debian's next release, which is fetched when it is missing. */
function program(): string {
  const given = process.env["NTFY_PROGRAM"];
  if (given !== undefined) return given;
  if (!existsSync(FETCHED)) {
    const folder = `${FETCHED}.${process.pid}`;
    const env = { ...process.env, DEBIAN_SUITE: "trixie" };
    execFileSync(join(root, "scripts/debian-next.sh"), [folder, "ntfy"], { stdio: "pipe", env });
    try {
      renameSync(folder, FETCHED);
    } catch {
      // Another test had it first.
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return join(FETCHED, "usr/bin/ntfy");
}

/** A server of ntfy on loopback, with its databases in a folder. */
export class NtfyServer {
  readonly url: string;
  readonly settings: string;
  readonly #child: ChildProcess;

  private constructor(url: string, settings: string, child: ChildProcess) {
    this.url = url;
    this.settings = settings;
    this.#child = child;
  }

  /** @param lines further settings of `server.yml` */
  static async start(t: Scope, folder: string, lines: string): Promise<NtfyServer> {
    const port = await lastingPort();
    const settings = join(folder, "server.yml");
    writeFileSync(settings, `listen-http: "127.0.0.1:${port}"\nauth-file: user.db\ncache-file: cache.db\n${lines}`);
    const child = spawn(program(), ["serve", "-c", settings], { cwd: folder, stdio: "ignore" });
    const server = new NtfyServer(`http://127.0.0.1:${port}`, settings, child);
    t.after(() => server.stop());
    await eventually(
      "ntfy answers",
      async () => (await fetch(`${server.url}/v1/health`).catch(() => null))?.ok === true,
    );
    return server;
  }

  /** Runs a command such as `user add ada`. @returns what it printed */
  run([group = "", ...words]: readonly string[], password = ""): string {
    const args = [group, "-c", this.settings, ...words];
    const env = { ...process.env, NTFY_PASSWORD: password };
    const { status, stdout, stderr } = spawnSync(program(), args, {
      cwd: join(this.settings, ".."),
      env,
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(stderr);
    // It prints to both.
    return `${stdout}${stderr}`;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill();
    await ended;
  }
}
