// needs: curl
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { wavFile } from "../helpers/audio.ts";
import { SAMPLED } from "../helpers/transcripts.ts";
import { PrismBinary } from "./prism-binary.ts";

const docs = join(import.meta.dirname, "../../docs");
const APP = { PUSHER_APP_ID: "1001", PUSHER_KEY: "my-key", PUSHER_SECRET: "a-long-random-text" };
/** The id that pages use in examples. */
const SAMPLE_ID = "0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60";

/**
 * Pages of transcripts (`$ command` with its output). test/cli/docs.test.ts checks their commands
 * and flags, and the tests of each command run it.
 */
const TRANSCRIPTS = /^cli(-\w+)?$/;
/** Pages of which only transcripts are run, by test/e2e/docs-samples.test.ts, which compares their outputs. */
const isSampled = (page: string): boolean => SAMPLED.includes(`docs/${page}.md`);

/** The server of the test runs already; it is restarted after the block. */
const SERVE = /^prism serve$/m;

interface Block {
  readonly page: string;
  readonly line: number;
  readonly text: string;
  /** What the block needs that a test does not have. */
  readonly needs: string | undefined;
}

/** The fenced shell blocks of a page, each with the annotation on the line before it. */
function blocksOf(page: string): Block[] {
  const lines = readFileSync(join(docs, `${page}.md`), "utf8").split("\n");
  const blocks: Block[] = [];
  for (const [index, line] of lines.entries()) {
    const isTranscript = !isSampled(page) && line === "```" && lines[index + 1]?.startsWith("$ ") === true;
    if (!isTranscript && !/^```(sh|bash|console)$/.test(line)) continue;
    const end = lines.indexOf("```", index + 1);
    const [, needs] = /^<!-- needs: (.{5,}) -->$/.exec(lines[index - 1] ?? "") ?? [];
    const text = lines.slice(index + 1, end);
    const commands = isTranscript
      ? text.filter((each) => each.startsWith("$ ")).map((each) => each.slice("$ ".length))
      : text;
    blocks.push({ page, line: index + 1, text: commands.join("\n"), needs });
  }
  return blocks;
}

const pages = readdirSync(docs)
  .filter((name) => name.endsWith(".md"))
  .map((name) => name.replace(/\.md$/, ""))
  .concat("integrations/README");

test("the shell commands of every docs page run as shown, or say what they need", async (t) => {
  const prism = new PrismBinary(t, { env: { ...APP } });
  await start(prism);
  writeFileSync(join(prism.dir, "bell.wav"), wavFile());
  const ids = await exampleIds(prism);
  const blocks = pages.filter((page) => !TRANSCRIPTS.test(page)).flatMap(blocksOf);
  let ran = 0;
  for (const block of blocks) {
    if (block.needs !== undefined) continue;
    const where = `docs/${block.page}.md:${block.line}`;
    const result = await runShell(prism, block.text.replaceAll(SAMPLE_ID, ids[block.page] ?? SAMPLE_ID));
    assert.equal(result.status, 0, `${where}\n${block.text}\n${result.output}`);
    if (SERVE.test(block.text)) {
      await prism.kill();
      await start(prism);
    }
    ran++;
  }
  assert.ok(ran > 15, String(ran));
});

/** Pages have port 3000; curl gets the actual port. It fails for 400 and above. */
async function start(prism: PrismBinary): Promise<void> {
  await prism.start();
  const { port } = new URL(prism.url);
  writeFileSync(join(prism.dir, ".curlrc"), `connect-to = "127.0.0.1:3000:127.0.0.1:${port}"\nfail-with-body\n`);
}

/** A rule for the page on rules, an event for the others, and a user `anna`. */
async function exampleIds(prism: PrismBinary): Promise<Record<string, string>> {
  const post = async (path: string, body: object): Promise<string> => {
    const reply = await fetch(prism.url + path, {
      method: "POST",
      headers: { Authorization: `Bearer ${prism.token}`, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const { id } = (await reply.json()) as { id?: string };
    assert.ok(id, `${path}: ${reply.status}`);
    return id;
  };
  for (const username of ["anna", "vic"])
    await post("/api/v1/users", { username, password: "correct horse battery", roles: ["User"] });
  const condition = "event.level == 'error'";
  const rule = await post("/api/v1/rules", { name: "Errors", condition, targetUsers: ["me"] });
  const event = await post("/api/v1/events", { type: "job.failed", level: "error" });
  return { rules: rule, explain: event };
}

async function runShell(prism: PrismBinary, text: string): Promise<{ status: number | null; output: string }> {
  const child = spawn("sh", ["-e"], {
    cwd: prism.dir,
    env: {
      PATH: `${prism.dir}:${process.env["PATH"]}`,
      HOME: prism.dir,
      PRISM_URL: prism.url,
      PRISM_TOKEN: prism.token,
      B: "http://127.0.0.1:3000",
      H: `Authorization: Bearer ${prism.token}`,
      J: "Content-Type: application/json",
    },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  child.stdin.end(text.replace(SERVE, ""));
  const [status] = (await once(child, "close")) as [number | null];
  return { status, output };
}
