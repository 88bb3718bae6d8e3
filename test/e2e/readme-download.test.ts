import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { temporaryDir } from "../helpers/store.ts";
import { fencesOf } from "../helpers/transcripts.ts";
import { Terminal } from "./terminal.ts";

const root = join(import.meta.dirname, "../..");

const readme = readFileSync(join(root, "README.md"), "utf8");

/** The blocks of the README in its order: shell commands, and what they print. */
const blocks = fencesOf(readme).filter(({ language }) => language === "sh");

const [DOWNLOAD = "", , FOLLOW = ""] = blocks.map(({ text }) => text);

const START_LIMIT_MS = 120_000;

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
