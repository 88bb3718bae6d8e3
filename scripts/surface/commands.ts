// The command line: help of every command, completions, and outputs with their exit codes against
// the demo.
import { cpSync } from "node:fs";
import { join } from "node:path";
import { CHANGING, FAILING, READING } from "./commands/lines.ts";
import { linesOf, type Place, runLine, shown, together } from "./commands/run-lines.ts";
import type { Context, Served } from "./lib/context.ts";
import { recordTraces } from "./lib/traces.ts";

/** The demo waits for timers of a second and more, but at most 10 s. */
const SEED_RATE = 1 / 4;

export async function record(context: Context): Promise<void> {
  const dir = join(context.scratch, "demo");
  const place: Place = { context, dir, names: context.placeholders(), values: new Map() };
  context.slowDown(SEED_RATE, 0);
  await Promise.all([seed(place), recordHelp(context)]);
  context.slowDown();
  const offline = join(context.scratch, "offline");
  const first = await serveSettled(place);
  await first.stop();
  cpSync(dir, offline, { recursive: true });
  const server = await serveSettled(place);
  const online = await recordReading(place);
  await Promise.all([
    recordWithoutServer({ ...place, dir: offline }, online),
    recordFailing(place).then(() => recordChanging(place)),
  ]);
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  await server.stop();
  recordTraces(context, dir, metrics);
}

async function seed(place: Place): Promise<void> {
  const words = ["seed", "--demo", "--events", "60"];
  const ended = await runLine(place, { words, kept: [] }, ["--json"]);
  if (ended.status !== 0) throw new Error(`the demo was not made: ${ended.stderr}`);
  place.context.write("seed.txt", shown(place, words, ended));
}

async function recordHelp(context: Context): Promise<void> {
  const shells = ["bash", "zsh", "fish"];
  const [bash = "", ...others] = await Promise.all(
    shells.map(async (shell) => (await context.run(["completion", shell])).stdout),
  );
  for (const [index, shell] of shells.entries()) context.write(`completion.${shell}`, [bash, ...others][index] ?? "");
  const named = [...bash.matchAll(/^ {4}\(" ?([^"|]*)"\) commands=/gm)].map(([, path = ""]) => path);
  // `alerts help` prints what `alerts --help` does.
  const paths = named.filter((path) => !path.endsWith(" help"));
  if (paths.length < 20) throw new Error("the completion for bash names no commands");
  const texts = await together(paths, async (path) => {
    const { stdout, status } = await context.run([...path.split(" ").filter(Boolean), "--help"]);
    return `$ prism ${path} --help\n${stdout}exit ${status}\n`;
  });
  const global = /^Global Options:\n(?: .*\n)+/m;
  const usual = texts.map((text) => global.exec(text)?.[0]).find((found) => found !== undefined) ?? "";
  const short = texts.map((text) => text.replace(usual, "Global Options: as everywhere\n"));
  context.write("help.txt", [`${usual}\n`, ...short].join("\n"));
  context.write("man.txt", (await context.run(["man"])).stdout);
}

/** @returns the JSON outputs, by their lines */
async function recordReading(place: Place): Promise<Map<string, string>> {
  const lines = linesOf(READING);
  const found = new Map<string, string>();
  // One after the other: later lines use what earlier ones note.
  for (const line of lines) {
    const words = line.words;
    found.set(words.join(" "), shown(place, words, await runLine(place, line, ["--json"])));
  }
  place.context.write("reading-json.txt", [...found.values()].join("\n"));
  const texts = await together(lines, (line) => runLine(place, line, []));
  place.context.write(
    "reading-text.txt",
    texts.map((ended, index) => shown(place, lines[index]?.words ?? [], ended)).join("\n"),
  );
  return found;
}

async function recordWithoutServer(place: Place, online: ReadonlyMap<string, string>): Promise<void> {
  const texts = [];
  for (const line of linesOf(READING)) {
    const text = shown(place, line.words, await runLine(place, { ...line, kept: [] }, ["--json"]));
    texts.push(
      text === online.get(line.words.join(" ")) ? `$ prism ${line.words.join(" ")}\nas beside a server\n` : text,
    );
  }
  place.context.write("offline-json.txt", texts.join("\n"));
}

async function recordFailing(place: Place): Promise<void> {
  const lines = linesOf(FAILING);
  for (const [name, flags] of [
    ["json", ["--json"]],
    ["text", []],
  ] as const) {
    const ended = await together(lines, (line) => runLine(place, line, flags));
    place.context.write(
      `failing-${name}.txt`,
      ended.map((each, i) => shown(place, lines[i]?.words ?? [], each)).join("\n"),
    );
  }
}

async function recordChanging(place: Place): Promise<void> {
  const texts = [];
  for (const line of linesOf(CHANGING)) {
    if (line.words[0] === "wait") {
      await settled(place);
      continue;
    }
    const words = line.words.filter((word) => word !== "--text");
    const flags = words.length < line.words.length ? [] : ["--json"];
    texts.push(shown(place, [...words, ...flags], await runLine(place, { ...line, words }, flags)));
  }
  place.context.write("changing.txt", texts.join("\n"));
}

/** A server that has done what was due at its start. */
async function serveSettled(place: Place): Promise<Served> {
  const server = await place.context.serve("demo", { PRISM_WEBHOOKS_ALLOW_PRIVATE_CIDRS: "127.0.0.0/8" });
  await settled(place);
  return server;
}

/** Waits until the server has nothing more to do. */
async function settled(place: Place): Promise<void> {
  for (let quiet = 0; quiet < 4; ) {
    const { stdout } = await place.context.run(["queue", "status", "--json", "--data-dir", place.dir]);
    const { queues } = JSON.parse(stdout) as { queues: { ready: number; running: number }[] };
    quiet = queues.every(({ ready, running }) => ready + running === 0) ? quiet + 1 : 0;
  }
}
