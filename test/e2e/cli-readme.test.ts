// needs: curl, openssl
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";
import { fencesOf, isShown } from "../helpers/transcripts.ts";
import { PrismBinary } from "./prism-binary.ts";
import { Terminal } from "./terminal.ts";

const root = join(import.meta.dirname, "../..");

const readme = readFileSync(join(root, "README.md"), "utf8");

const deployment = readFileSync(join(root, "docs/deployment.md"), "utf8");

/** The blocks of the README in its order: shell commands, and what they print. */
const blocks = fencesOf(readme).filter(({ language }) => language === "sh");

const [, START = "", FOLLOW = "", SEND = "", CURL = "", PHONE = "", PRODUCTION = ""] = blocks.map(({ text }) => text);

const [SENT = "", FOLLOWED = ""] = fencesOf(readme).flatMap(({ language, text }) => (language === "" ? [text] : []));

const START_LIMIT_MS = 120_000;

/** A copy of the checkout as a new user has it after `npm install`, without any data. */
function freshCopy(t: TestContext): string {
  const dir = join(temporaryDir(t), "prism");
  mkdirSync(dir);
  for (const name of readdirSync(root)) {
    if (/^(\.git|\.build|node_modules|data|coverage)$/.test(name)) continue;
    cpSync(join(root, name), join(dir, name), { recursive: true, preserveTimestamps: true });
  }
  if (existsSync(join(root, ".build"))) cpSync(join(root, ".build"), join(dir, ".build"), BUILD_MARK);
  symlinkSync(join(root, "node_modules"), join(dir, "node_modules"));
  return dir;
}

/** Only what says that the executable is built of these sources. */
const BUILD_MARK = {
  recursive: true,
  preserveTimestamps: true,
  filter: (path: string): boolean => /\.build(\/built)?$/.test(path),
};

test("S0-13 a new user types the README's quick start, and what it sends arrives, from any directory", async (t) => {
  keepsPromise(t, "S0-13");
  const terminals: Terminal[] = [];
  // Registered first, so that nothing writes into the directories when they are removed.
  t.after(() => Promise.all(terminals.map((each) => each.close())));
  const open = (options: { dir: string; home: string; text: string }): Terminal => {
    const terminal = new Terminal(options);
    terminals.push(terminal);
    return terminal;
  };
  const dir = freshCopy(t);
  const home = temporaryDir(t);
  const elsewhere = temporaryDir(t);
  assert.equal(blocks.length, 7);

  const server = open({ dir, home, text: START });
  const base = await server.output.until(
    "the server is ready",
    () => /Prism is ready: (\S+)/.exec(server.output.all)?.[1],
    START_LIMIT_MS,
  );
  // The page has port 3000; only curl gets the actual one.
  const { port } = new URL(base);
  writeFileSync(join(home, ".curlrc"), `connect-to = "127.0.0.1:3000:127.0.0.1:${port}"\nfail-with-body\n`);
  const [setUp = "", ...tail] = FOLLOW.trimEnd().split("\n");
  assert.match(setUp, /^export /);
  const second = open({ dir, home, text: `${setUp}\ncd ${elsewhere}\n${tail.join("\n")}` });
  // A notification before the subscription would not be shown.
  await eventually("the token was made", () => second.output.all.includes("of dev"));
  await eventually(
    "a notification arrives",
    async () => {
      const third = open({ dir, home, text: `${setUp}\ncd ${elsewhere}\nprism send --to dev Ready` });
      assert.equal((await third.end()).code, 0);
      return second.output.all.includes("Ready");
    },
    START_LIMIT_MS,
  );

  const third = await open({ dir, home, text: `${setUp}\ncd ${elsewhere}\n${SEND}` }).end();
  assert.equal(third.code, 0, third.text);
  assert.ok(isShown(`…${SENT}…`, third.text), `the README shows:\n${SENT}\n${third.text}`);
  await second.output.until(
    "both arrive",
    () => /Hello from Prism[\s\S]*Payment {2}amount: 1500/.exec(second.output.all)?.[0],
  );
  const lines = second.output.all.split("\n");
  for (const shown of FOLLOWED.trimEnd().split("\n"))
    assert.ok(
      lines.some((line) => isShown(shown, line)),
      `the README shows ${shown}\n${second.output.all}`,
    );
  const curl = await open({
    dir: elsewhere,
    home,
    text: CURL.replaceAll(/^curl .*$/gm, "$&\necho"),
  }).end();
  assert.equal(curl.code, 0, curl.text);
  assert.match(curl.text, /"status":"accepted"[\s\S]*"unreadCount":[1-9]/);
  assert.deepEqual(readdirSync(elsewhere), [], "nothing is made where the commands were typed");
});

test("the README's first screen says what Prism is, for whom, and for whom not; its lines are short", () => {
  const [screen = "", rest = ""] = readme.split("\n<picture>");
  assert.match(screen, /^# Prism\n\n\*\*Self-hosted alerting, notification and scheduling in one executable\.\*\*/);
  for (const have of ["Prometheus and Alertmanager", "ntfy", "Uptime Kuma", "Grafana OnCall or Opsgenie", "Novu"])
    assert.match(screen, new RegExp(`^\\| ${have}[^|]*\\| .{40,} \\|$`, "m"));
  assert.match(screen, /^\*\*Not for\*\*: /m);
  assert.ok(screen.split("\n").length <= 30);
  assert.doesNotMatch(readme, /five backends|promises/, "the programs that Prism replaced are for the reference");
  assert.match(rest, /^tar -xzf prism-[\s\S]*^npm start$/m, "the download comes first");
  assert.ok(readme.trimEnd().split("\n").length <= 140);
  assert.deepEqual(
    readme.split("\n").filter((line) => [...line].length > 100 && !line.startsWith("|")),
    [],
  );
});

test("the README's way to a phone is a command with fields that the preset has", (t) => {
  const prism = new PrismBinary(t);
  const env = { PATH: `${prism.dir}:${process.env["PATH"]}`, HOME: prism.dir, PRISM_MIN_FREE_BYTES: "0" };
  // The message itself goes to a server elsewhere: what would be sent is shown.
  const commands = PHONE.replace("<your topic>", "a-topic-that-no-one-guesses").replace(" test Phone", "$& --dry-run");
  const input = `prism migrate\n${commands}`;
  const { status, stdout, stderr } = spawnSync("sh", ["-e"], { cwd: prism.dir, env, input, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^POST https:\/\/ntfy\.sh\/$/m);
});

test("production as the README has it is the service of docs/deployment.md", () => {
  // test/deploy/service.test.ts runs them, as root of a namespace.
  assert.ok(deployment.includes(`\`\`\`sh\n${PRODUCTION}\`\`\``), PRODUCTION);
});

test("a start by hand as docs/deployment.md has it: secrets, the first administrator, a data directory in order", (t) => {
  const prism = new PrismBinary(t);
  const [, byHand = ""] = deployment.split("## By hand");
  const [, text = ""] = /^```sh\n([\s\S]*?)^```$/m.exec(byHand) ?? [];
  const lines = text
    .trimEnd()
    .split("\n")
    .filter((line) => !line.startsWith("sudo "));
  assert.equal(lines.pop(), "prism serve");
  const first = "prism migrate && prism user create --username admin --role Admin && prism doctor --db";
  const { status, stdout, stderr } = spawnSync("sh", ["-e"], {
    cwd: prism.dir,
    env: { PATH: `${prism.dir}:${process.env["PATH"]}`, HOME: prism.dir, PRISM_MIN_FREE_BYTES: "0" },
    input: `${lines.join("\n").replace("/var/lib/prism", "lib")}\n${first}\n`,
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /admin {2}active {2}Admin\n[\s\S]*PASS {2}audit/);
  assert.deepEqual(readdirSync(prism.dir).includes("data"), false);
});
