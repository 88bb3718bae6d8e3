import { readFileSync, readlinkSync } from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type MessagePort, Worker, workerData } from "node:worker_threads";

/**
 * Installed in the packed executable by src/loader.cjs before the program runs;
 * undefined when run from source.
 */
interface PackedRuntime {
  asset(name: string): Buffer;
  native(name: string): unknown;
  importFile(url: string): Promise<unknown>;
}

declare global {
  var __packed: PackedRuntime | undefined;
}

const packed = globalThis.__packed;

/**
 * Whether header values keep bytes from 0x80 on at their ends. uWebSockets compares signed characters;
 * on Linux `scripts/adapt-uws.mjs` corrects that, on macOS and Windows they are lost.
 */
export const KEEPS_UTF8_HEADERS: boolean = process.platform === "linux";

/** Whether this process loads TypeScript, as `npm run dev` does; compiled code does not. */
export const loadsTypeScript: boolean = !packed && import.meta.url.endsWith(".ts");

/** Read for each event. Node makes them accessors, and the engine does not inline a call of one. */
const PLAIN_GLOBALS = ["performance", "Buffer"] as const;

/** Makes globals of Node plain properties, as they are in a browser. */
export function makeGlobalsPlain(): void {
  for (const name of PLAIN_GLOBALS)
    Object.defineProperty(globalThis, name, { value: globalThis[name], writable: true, configurable: true });
}

/** Reads a file that is shipped with the program, under the name that build.mjs gives it. */
export function readAsset(name: string, sourcePath: string): Buffer {
  return packed ? packed.asset(name) : readFileSync(join(import.meta.dirname, "../..", sourcePath));
}

/** The executable; null when run from source. */
export function executablePath(): string | null {
  return packed ? process.execPath : null;
}

/** Imports a file from disk. The `import` of the packed executable cannot. */
export function importFile(url: string): Promise<unknown> {
  return packed ? packed.importFile(url) : import(url);
}

/** Last day of security fixes by major version (https://github.com/nodejs/release#release-schedule). */
const NODE_SUPPORT_ENDS: Readonly<Record<string, string>> = {
  "20": "2026-04-30",
  "22": "2027-04-30",
  "24": "2028-04-30",
};

/** @returns why an operator should replace the Node.js that the program carries; null if not. */
export function nodeWarning(now: number, version = process.versions.node): string | null {
  const until = NODE_SUPPORT_ENDS[version.split(".", 1)[0] ?? ""];
  if (until === undefined || now < Date.parse(`${until}T23:59:59Z`)) return null;
  return (
    `the program includes Node.js ${version}, which gets no security fixes since ${until}; ` +
    "install a build with a newer one"
  );
}

/** The threads of this program; src/worker.ts starts them. */
export type ThreadRole =
  | "writer"
  | "replicated-writer"
  | "log"
  | "prepare-leader"
  | "digest"
  | "scan"
  | "snapshot"
  | "migrate"
  | "hash"
  | "watchdog"
  | "backtest"
  | "calendar"
  | "prepare";

/** 1 once a thread has loaded its addon. */
const loads = new WeakMap<Worker, Int32Array>();

/** @param transferList ports in `data` that the thread takes over */
export function startThread(role: ThreadRole, data: unknown, transferList: readonly MessagePort[] = []): Worker {
  const loaded = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const code = packed ? packed.asset("start.js").toString("utf8") : sourceWorker();
  const options = { eval: true, workerData: { role, data, loaded }, transferList: [...transferList] };
  const thread = new Worker(code, options);
  loads.set(thread, loaded);
  return thread;
}

/** Called in a thread that has loaded its addon, see {@link endThread}. */
export function noteLoaded(): void {
  const { loaded } = workerData as { readonly loaded: Int32Array };
  Atomics.store(loaded, 0, 1);
}

const LOOK_MS = 5;
/** A thread that does not load in this time is ended all the same. */
const LONGEST_LOAD_MS = 5000;

/**
 * Ends a thread whose main function calls {@link noteLoaded}. Node-API ends the process if a thread is
 * terminated while it loads an addon ("FATAL ERROR: Error::New napi_get_last_error_info").
 */
export async function endThread(thread: Worker): Promise<void> {
  const loaded = loads.get(thread);
  // A thread that has ended has the id -1.
  const isLoading = (): boolean => loaded !== undefined && Atomics.load(loaded, 0) === 0 && thread.threadId !== -1;
  for (let waitedMs = 0; isLoading() && waitedMs < LONGEST_LOAD_MS; waitedMs += LOOK_MS) await wait(LOOK_MS);
  await thread.terminate();
}

/**
 * One collection of this thread, which stops it for some tens of milliseconds. It keeps compiled
 * code, unlike V8's answer to low memory. Only one thread at a time may call it: the flag is the
 * process's.
 */
export function collectOnce(): void {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  setFlagsFromString("--no-expose-gc");
  gc();
}

/**
 * From source a thread needs its own TypeScript loader: Node 20 does not inherit the main thread's.
 * Compiled tests need none.
 */
function sourceWorker(): string {
  if (!loadsTypeScript) return `import(${JSON.stringify(new URL("../worker.js", import.meta.url).href)});`;
  const entry = new URL("../worker.ts", import.meta.url).href;
  // Resolved here: a thread created from text resolves from the working directory.
  const loader = import.meta.resolve("tsx/esm/api");
  return `import(${JSON.stringify(loader)}).then(({ register }) => (register(), import(${JSON.stringify(entry)})));`;
}

const NICENESS = 10;

/** Lowers the priority of the calling thread: on Linux each thread has its own (setpriority(2)). */
export function yieldToOthers(): void {
  if (process.platform !== "linux") return;
  try {
    const [, thread] = /(\d+)$/.exec(readlinkSync("/proc/thread-self")) ?? [];
    setPriority(Number(thread), NICENESS);
  } catch {
    // A container may forbid it or lack /proc; hashing then competes at normal priority.
  }
}

/** Returns whether an uncaught error was handled. A handled error does not end the process. */
type UncaughtHandler = (error: unknown) => boolean;

const claims = new Set<UncaughtHandler>();

/**
 * Registers `claim` for uncaught errors. It runs in the asynchronous context of the callback that
 * threw or the promise that was rejected.
 */
export function captureUncaught(claim: UncaughtHandler): void {
  claims.add(claim);
}

export function isUncaughtHandled(error: unknown): boolean {
  for (const claim of claims) if (claim(error)) return true;
  return false;
}

/** Versions that build.mjs packed; null is unknown, as all of it is from source but the platform. */
export interface RuntimeParts {
  /** Of the sources, in hex; null unless a release was built from a commit. */
  readonly commit: string | null;
  readonly sqlite: string | null;
  /** Version of the npm package, with the commit of the library. */
  readonly uWebSockets: string | null;
  /** The oldest glibc that the program runs with; null on other systems than Linux. */
  readonly glibc: string | null;
  /** Such as `linux-x64`. */
  readonly platform: string;
}

export function partsOfBuild(): RuntimeParts {
  const none = { commit: null, sqlite: null, uWebSockets: null, glibc: null };
  const platform = `${process.platform}-${process.arch}`;
  if (!packed) return { ...none, platform };
  return JSON.parse(packed.asset("about.json").toString("utf8")) as RuntimeParts;
}

/** A test compares it with package.json. */
export const VERSION = "0.2.0";

/** Resolves when this process may act again; null: it may now. */
type Gate = () => Promise<void> | null;

let gate: Gate | null = null;

/** The leader of a cluster may act outside only while the log accepts its records (docs/cluster.md). */
export function limitActing(next: Gate | null): void {
  gate = next;
}

/** Nothing in this process acts any more, as on a machine that is lost. @returns lets it act again */
export function holdActing(): () => void {
  const before = gate;
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  gate = () => released;
  return () => {
    gate = before;
    release();
  };
}

/** Ask it directly before a call to a service or a handler of a job. @returns null when nothing limits them */
export function untilMayAct(): Promise<void> | null {
  return gate?.() ?? null;
}

let isCopy = false;

/** This process serves a copy without a leader: answers name the owner of what was stored, to its node. */
export function nameOwners(): void {
  isCopy = true;
}

export function namesOwners(): boolean {
  return isCopy;
}

let warning = "";
let warningOfState = (): string => "";

/** What every page of this process begins with. @param inState what its state says. */
export function warnOnPages(text: string, inState = () => text): void {
  warning = text;
  warningOfState = inState;
}

/** Null: this process serves no copy. */
export function stateWarning(): string | null {
  return warning === "" ? null : warningOfState();
}

export function pageWarning(): string {
  return warning;
}
