import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { PrismBinary } from "./prism-binary.ts";

const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");

interface Answer {
  readonly id?: string;
  readonly name?: string;
  readonly count?: number;
  readonly data?: readonly { readonly title: string; readonly eventId: string }[];
}

/** The block of shell lines that follows a sentence of the README. */
function blockAfter(sentence: string): string {
  const [, rest] = readme.split(sentence);
  const block = /^```sh\n([\s\S]*?)^```$/m.exec(rest ?? "")?.[1];
  assert.ok(block, `README has a block after "${sentence}"`);
  return block;
}

test("S0-13 the five lines of curl in the README, as they stand there, give a first alert", async (t) => {
  const prism = new PrismBinary(t);
  await prism.start();
  // The lines say port 3000; curl, and nothing else, is told where that is today.
  writeFileSync(join(prism.dir, ".curlrc"), `connect-to = "127.0.0.1:3000:127.0.0.1:${new URL(prism.url).port}"\n`);
  const curl = (url: string): string =>
    spawnSync("curl", ["-s", url], { env: { PATH: process.env["PATH"], HOME: prism.dir }, encoding: "utf8" }).stdout;
  assert.match(curl("http://127.0.0.1:3000/health"), /"status":"ok"/);
  const lines = blockAfter("A first alert, in five lines of curl").trimEnd();
  assert.equal(lines.split("\n").length, 5);

  const { status, stdout, stderr } = spawnSync("sh", ["-e"], {
    cwd: prism.dir,
    env: { PATH: process.env["PATH"], HOME: prism.dir },
    // Each answer on a line of its own.
    input: lines.replaceAll("\n", "\necho\n"),
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  const [rule, event, count, list] = stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Answer);
  assert.equal(rule?.name, "Big payment");
  assert.equal(count?.count, 1);
  assert.deepEqual(
    list?.data?.map(({ title, eventId }) => ({ title, eventId })),
    [{ title: "Big payment", eventId: event?.id }],
  );
});

test("the README's first screen says what Prism is and names the two commands", () => {
  const screen = readme.split("\n").slice(0, 25).join("\n");
  assert.match(screen, /^# Prism\n\n\*\*Self-hosted alerting, notification and scheduling in one executable\.\*\*/);
  assert.match(screen, /^npm start +#.*3000$/m);
  assert.match(screen, /^npm test +#/m);
  assert.match(screen, /five lines of curl[\s\S]*curl -s .*notifications/);
});

test("production as the README has it: secrets, the first administrator, a data directory in order", (t) => {
  const prism = new PrismBinary(t);
  const lines = blockAfter("## Running it for real").trimEnd().split("\n");
  const [secrets = "", accounts = "", serve] = lines.slice(2);
  assert.equal(serve, "prism serve");
  const { status, stdout, stderr } = spawnSync("sh", ["-e"], {
    cwd: prism.dir,
    env: { PATH: `${prism.dir}:${process.env["PATH"]}`, HOME: prism.dir, PRISM_MIN_FREE_BYTES: "0" },
    input: `${secrets.replace("/var/lib/prism", "lib")}\n${accounts}\nprism doctor --db\n`,
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /admin {2}active {2}Admin\nprt_[\w-]+\n[\s\S]*PASS {2}audit/);
  assert.deepEqual(readdirSync(prism.dir).includes("data"), false);
});
