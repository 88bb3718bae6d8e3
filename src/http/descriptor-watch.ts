import { close, open } from "node:fs";
import { promisify } from "node:util";
import type { Logger } from "../core/log.ts";

const CHECK_MS = 500;
/** So many descriptors must be free before connections are taken again. */
const SPARE = 16;

export interface Accepting {
  /** Takes no new connections for now. */
  pause(): void;
  /** Takes connections again. */
  resume(): void;
}

/**
 * Without free file descriptors a connection that waits cannot be accepted, and the loop is woken for it again and again. Until some are free,
 * the server does not listen: clients are refused, the connections there are go on.
 */
export class DescriptorWatch {
  readonly #accepting: Accepting;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | null = null;
  #isPaused = false;

  constructor(accepting: Accepting, log: Logger) {
    this.#accepting = accepting;
    this.#log = log;
  }

  start(): void {
    // Not unref'd: while the server does not listen, nothing else may keep the process running.
    this.#timer = setInterval(() => void this.check(), CHECK_MS);
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  async check(): Promise<void> {
    const isFree = await hasFree(this.#isPaused ? SPARE : 1);
    if (this.#timer === null || isFree !== this.#isPaused) return;
    this.#isPaused = !isFree;
    if (isFree) {
      this.#accepting.resume();
      this.#log.info({}, "file descriptors are free again; connections are accepted");
    } else {
      this.#accepting.pause();
      this.#log.error({}, "no file descriptor is free; no connections are accepted for now. Raise LimitNOFILE");
    }
  }
}

const openFile = promisify(open);
const closeFile = promisify(close);

/** Whether that many files can be opened. */
async function hasFree(count: number): Promise<boolean> {
  const opened = await Promise.allSettled(Array.from({ length: count }, () => openFile("/dev/null", "r")));
  const descriptors = opened.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  await Promise.all(descriptors.map((descriptor) => closeFile(descriptor)));
  return !opened.some((each) => each.status === "rejected" && isExhausted(each.reason));
}

function isExhausted(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "EMFILE" || code === "ENFILE";
}
