import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { utimesSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { ChildOutput } from "../helpers/child-output.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";

const root = join(import.meta.dirname, "../..");
/** A start from source on a machine that has other things to do. */
const START_LIMIT_MS = 120_000;

function environment(dir: string): NodeJS.ProcessEnv {
  // npm keeps its own logs in HOME, and the server its data where the checkout does not see it.
  return { PATH: process.env["PATH"], HOME: dir, PRISM_DATA_DIR: join(dir, "data"), PRISM_MIN_FREE_BYTES: "0" };
}

/**
 * The scripts install what is stale: that would take node_modules from all tests that run beside
 * this one, and end half-way at its limit.
 */
function requireInstalled(): void {
  const { status } = spawnSync(process.execPath, [join(root, "scripts/ready.mjs"), "check"]);
  assert.equal(status, 0, "node_modules is not what package-lock.json says: run node scripts/ready.mjs");
}

/** `npm run …` at the root of the checkout, with all that it starts ended when the test ends. */
class NpmScript {
  readonly #output: ChildOutput;

  constructor(t: TestContext, args: readonly string[], dir: string) {
    requireInstalled();
    const child = spawn("npm", ["run", ...args], {
      cwd: root,
      env: environment(dir),
      stdio: ["ignore", "pipe", "pipe"],
      // npm, its shell, the watcher and the server are a group of their own, to be ended together.
      detached: true,
    });
    this.#output = new ChildOutput(child);
    t.after(async () => {
      if (child.pid === undefined || child.exitCode !== null) return;
      process.kill(-child.pid, "SIGKILL");
      await this.#output.ended;
    });
  }

  get output(): string {
    return this.#output.all;
  }

  /** The address that the server says it is ready at, the `times`-th time. */
  async ready(times = 1): Promise<string> {
    return this.#output.until(
      `ready ${times} times`,
      () => [...this.output.matchAll(/Prism is ready: (\S+)/g)][times - 1]?.[1],
      START_LIMIT_MS,
    );
  }
}

async function health(base: string): Promise<unknown> {
  return ((await (await fetch(`${base}/health`)).json()) as { status: unknown }).status;
}

test("S1-27 npm start serves, and says where to look", async (t) => {
  keepsPromise(t, ["S1-27", "S3-19", "S4-07"]);
  const script = new NpmScript(t, ["start", "--", "--port", "0"], temporaryDir(t));
  assert.equal(await health(await script.ready()), "ok");
  assert.match(script.output, /docs http:\S+\/docs/);
});

test("S0-16, S1-24, S1-25 npm run dev serves in development mode, and restarts when a source changes", async (t) => {
  keepsPromise(t, ["S0-16", "S1-24", "S1-25"]);
  const script = new NpmScript(t, ["dev", "--", "--port", "0"], temporaryDir(t));
  const base = await script.ready();
  assert.equal((await fetch(`${base}/dev/token`)).status, 200);
  const now = new Date();
  utimesSync(join(root, "bin/prism.ts"), now, now);
  assert.equal(await health(await script.ready(2)), "ok");
});
