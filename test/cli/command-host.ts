// A process that runs many commands, one after the other, with the scripts of dist/prism: its start
// and their compilation cost a new process more than most commands do. The scripts are evaluated
// for each command, so none has state of another. The host restores what a process shares. It ends
// with a command that leaves something open or calls process.exit, as that command's process would.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { stat } from "node:fs/promises";
import { globalAgent } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import vm, { compileFunction, Script, type ScriptOptions } from "node:vm";
import type { HostedCommand } from "./command-hosts.ts";

type Listener = (...given: unknown[]) => void;
type Listeners = Map<string | symbol, readonly Listener[]>;

const DISPATCHER = Symbol.for("undici.globalDispatcher.1");
const LONGEST_PAUSE_MS = 10;
/** Memory of earlier commands is freed late. */
const MOST_RSS_BYTES = 500 * 2 ** 20;

const [, , root = "", executable = ""] = process.argv;
const build = join(root, ".build");
const assets = JSON.parse(readFileSync(join(build, "assets.json"), "utf8")) as Record<string, string>;
const builtins = createRequire(join(build, "start.js"));
/** For the threads of a command: the start of their script. */
const threadAssets = `{ const load = require("node:module")._load, files = ${JSON.stringify(assets)};
const sea = { getRawAsset: (name) => require("node:fs").readFileSync(files[name]) };
require("node:module")._load = (name, ...rest) => (name === "node:sea" ? sea : load(name, ...rest)); }\n`;
const sea = {
  isSea: () => true,
  getRawAsset: (name: string) =>
    name === "start.js" ? Buffer.from(threadAssets + textOf(name)) : readFileSync(assets[name] ?? name),
};
const { emitWarning } = process;
// Node 20 prints a notice about the loader constant.
process.emitWarning = () => undefined;
process.execPath = executable;
const start = compileFunction(textOf("start.js"), ["require"]) as (require: (name: string) => unknown) => void;
/** Each script is read and compiled once. */
const scripts = new Map<string, Script>();
const emitters: readonly NodeJS.EventEmitter[] = [process, process.stdout, process.stderr];
const umask = process.umask();
const starters = { setTimeout, setInterval };
let timers: NodeJS.Timeout[] = [];

// Node starts its threads for files together: a thread that is there later is one of a command.
await Promise.all(Array.from({ length: 8 }, () => stat("/")));
process.on("disconnect", () => process.exit());
process.on("message", (command: HostedCommand) => void runOne(command));
const openAtStart = openThings();
process.send?.("ready");

async function runOne({ args, cwd, env, input, mark }: HostedCommand): Promise<void> {
  const listeners = emitters.map(listenersOf);
  const resources = process.getActiveResourcesInfo().length;
  prepare(args, cwd, env, input);
  Object.assign(globalThis, { setTimeout: noted(starters.setTimeout), setInterval: noted(starters.setInterval) });
  await started();
  await nothingKeepsIt(resources);
  const status = Number(process.exitCode ?? 0);
  for (const listener of process.listeners("exit")) listener.call(process, status);
  restore(listeners);
  await closeIdleConnections();
  if (openThings() !== openAtStart || process.memoryUsage.rss() > MOST_RSS_BYTES) process.exit(status);
  process.stdout.write(mark);
  process.stderr.write(mark);
  process.send?.(status);
}

/** Runs the scripts of the executable. @returns what the command waits for */
function started(): Promise<void> | undefined {
  const compiled = {
    ...vm,
    Script: function compile(source: string, options: ScriptOptions): Script {
      const { filename = "" } = options;
      const script = scripts.get(filename) ?? new Script(source, options);
      scripts.set(filename, script);
      return script;
    },
  };
  start((name) => (name === "node:vm" ? compiled : requireOne(name)));
  return (globalThis.__packed as { readonly ended?: Promise<void> } | undefined)?.ended;
}

function requireOne(name: string): unknown {
  return name === "node:sea" ? sea : builtins(name);
}

function textOf(name: string): string {
  return readFileSync(join(build, name), "utf8");
}

function prepare(args: readonly string[], cwd: string, env: Readonly<Record<string, string>>, input: string): void {
  process.chdir(cwd);
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, env);
  process.argv = [executable, executable, ...args];
  const stdin = Readable.from(input === "" ? [] : [Buffer.from(input)]);
  Object.defineProperty(process, "stdin", { configurable: true, value: stdin });
}

/** Timers that do not keep a process end with it. */
function noted<F extends typeof setTimeout | typeof setInterval>(start: F): F {
  const noting = (...given: Parameters<F>) => {
    const timer = (start as (...all: unknown[]) => NodeJS.Timeout)(...given);
    timers.push(timer);
    return timer;
  };
  return Object.defineProperties(noting, Object.getOwnPropertyDescriptors(start)) as unknown as F;
}

/** Waits for the moment in which Node would end the process. */
async function nothingKeepsIt(resources: number): Promise<void> {
  for (let quiet = 0, pauseMs = 0; quiet < 2; ) {
    await turn();
    if (process.getActiveResourcesInfo().length <= resources) quiet++;
    else {
      quiet = 0;
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs + 1);
      await sleep(pauseMs);
    }
  }
}

function restore(listeners: readonly Listeners[]): void {
  Object.assign(globalThis, starters);
  for (const timer of timers) clearTimeout(timer);
  timers = [];
  emitters.forEach((emitter, index) => {
    restoreListeners(emitter, listeners[index] ?? new Map());
  });
  process.emitWarning = emitWarning;
  process.umask(umask);
  process.exitCode = undefined;
  process.chdir("/");
}

function listenersOf(emitter: NodeJS.EventEmitter): Listeners {
  return new Map(emitter.eventNames().map((name) => [name, emitter.rawListeners(name) as Listener[]]));
}

function restoreListeners(emitter: NodeJS.EventEmitter, earlier: Listeners): void {
  for (const name of new Set([...earlier.keys(), ...emitter.eventNames()])) {
    const wanted = earlier.get(name) ?? [];
    const found = emitter.rawListeners(name) as Listener[];
    for (const listener of found) if (!wanted.includes(listener)) emitter.off(name, listener);
    for (const listener of wanted) if (!found.includes(listener)) emitter.on(name, listener);
  }
}

/** `fetch` and `http` keep connections for later requests, which do not keep a process. */
async function closeIdleConnections(): Promise<void> {
  globalAgent.destroy();
  const shared = globalThis as unknown as Record<symbol, { destroy(): Promise<void>; constructor: new () => never }>;
  const dispatcher = shared[DISPATCHER];
  if (!dispatcher) return;
  await dispatcher.destroy();
  shared[DISPATCHER] = new dispatcher.constructor();
}

/** What keeps locks, files and work of a command: descriptors and threads. */
function openThings(): string {
  const paths = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return `${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`;
    } catch {
      // The descriptor of this listing.
      return "";
    }
  });
  return [...paths.filter((path) => path !== ""), readdirSync("/proc/self/task").length].join("\n");
}
