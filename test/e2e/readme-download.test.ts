import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { ChildOutput } from "../helpers/child-output.ts";
import { temporaryDir } from "../helpers/store.ts";
import { fencesOf } from "../helpers/transcripts.ts";

const root = join(import.meta.dirname, "../..");

const readme = readFileSync(join(root, "README.md"), "utf8");

/** The blocks of the README in its order: shell commands, and what they print. */
const blocks = fencesOf(readme).filter(({ language }) => language === "sh");

const [DOWNLOAD = "", , FOLLOW = ""] = blocks.map(({ text }) => text);

const START_LIMIT_MS = 120_000;

/** A terminal of the new user. */
class Terminal {
  readonly #child: ChildProcess;
  readonly output: ChildOutput;

  constructor({ dir, home, text }: { dir: string; home: string; text: string }) {
    const child = spawn("sh", ["-e"], {
      cwd: dir,
      env: { PATH: process.env["PATH"], HOME: home, PORT: "0", PRISM_MIN_FREE_BYTES: "0" },
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    child.stdin.end(text);
    this.#child = child;
    this.output = new ChildOutput(child);
  }

  /** @returns the exit code and everything that was printed. */
  async end(): Promise<{ code: number | null; text: string }> {
    const ended = await this.output.ended;
    return { code: ended.code, text: this.output.all };
  }

  /** Closes the window: what runs in it ends. */
  async close(): Promise<void> {
    if (this.#child.pid !== undefined && this.#child.exitCode === null) process.kill(-this.#child.pid, "SIGKILL");
    await this.output.ended;
  }
}

test("the README's download is unpacked and run, and a second terminal in its folder sends", async (t) => {
  const terminals: Terminal[] = [];
  t.after(() => Promise.all(terminals.map((each) => each.close())));
  const open = (folder: string, text: string): Terminal => {
    const terminal = new Terminal({ dir: folder, home, text });
    terminals.push(terminal);
    return terminal;
  };
  const [dir, home] = [temporaryDir(t), temporaryDir(t)];
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const name = `prism-${version}-linux-x64`;
  mkdirSync(join(dir, "made", name), { recursive: true });
  copyFileSync(join(root, "dist/prism"), join(dir, "made", name, "prism"));
  const packed = spawnSync("tar", ["-czf", join(dir, `${name}.tar.gz`), "-C", join(dir, "made"), name]);
  assert.equal(packed.status, 0);
  const server = open(dir, DOWNLOAD);
  await server.output.until(
    "the server is ready, and prints the link",
    () => /Prism is ready[\s\S]*\/dashboard\/sign-in-link/.exec(server.output.all)?.[0],
    START_LIMIT_MS,
  );
  const [setUp = ""] = FOLLOW.split("\n");
  const sent = await open(join(dir, name), `${setUp}\nprism send --to dev "Hello from Prism"`).end();
  assert.equal(sent.code, 0, sent.text);
});
