import assert from "node:assert/strict";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { temporaryDir } from "../helpers/store.ts";
import { eachCase, RunningCli, runCli } from "./run-cli.ts";

test("a database has one owner, whatever data directory and path lead to it", async (t) => {
  const cwd = temporaryDir(t);
  const shared = join(cwd, "shared");
  mkdirSync(shared);
  symlinkSync("shared", join(cwd, "linked-dir"));
  symlinkSync("shared/prism.db", join(cwd, "linked.db"));
  const reach = (path: string, dataDir: string) => ({
    DATABASE_URL: `file:${path}`,
    PRISM_DATA_DIR: join(cwd, dataDir),
  });
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env: reach(join(shared, "prism.db"), "a") });
  await server.until(/Prism is ready/);

  await eachCase(
    t,
    "refused with 4 from another data directory",
    [
      { name: "serve", args: ["serve", "--port", "0"], path: join(shared, "prism.db") },
      {
        name: "serve by a link to the directory",
        args: ["serve", "--port", "0"],
        path: join(cwd, "linked-dir/prism.db"),
      },
      { name: "serve by a link to the file", args: ["serve", "--port", "0"], path: join(cwd, "linked.db") },
      { name: "migrate reset by a relative path", args: ["migrate", "reset", "--yes"], path: "./shared/prism.db" },
      { name: "seed", args: ["seed"], path: join(shared, "prism.db") },
    ],
    async ({ name, args, path }) => {
      const { status, stderr } = await runCli(args, { cwd, env: reach(path, `b-${name.replaceAll(" ", "-")}`) });
      assert.deepEqual([status, /another Prism holds the database/.test(stderr)], [4, true], stderr);
    },
  );

  server.signal("SIGKILL");
  await server.ended();
  const after = await runCli(["migrate"], { cwd, env: reach(join(shared, "prism.db"), "c") });
  assert.equal(after.status, 0, after.stderr);
});
