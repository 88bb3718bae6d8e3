import { closeSync, constants, openSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** Where a running server answers, in its data directory. */
export const CONTROL_SOCKET = "prism.sock";

/** Bytes of `sun_path` without its final NUL: 108 on Linux (unix(7)), 104 on macOS. */
const MAX_PATH_BYTES = process.platform === "linux" ? 107 : 103;

/** A socket's path is too long for the operating system. */
export class SocketPathTooLong extends Error {
  constructor(path: string) {
    super(`${path} is longer than the ${MAX_PATH_BYTES} bytes that a Unix socket's path may have`);
    this.name = "SocketPathTooLong";
  }
}

/**
 * Runs `use` with a path of the socket that is short enough. On Linux a long one is reached through
 * the open directory, as `/proc/self/fd/<n>/<name>` (proc(5)).
 * @throws SocketPathTooLong where there is no such way
 */
export function withSocketPath<T>(path: string, use: (path: string) => T): T {
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return use(path);
  if (process.platform !== "linux") throw new SocketPathTooLong(path);
  const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return use(join("/proc/self/fd", String(directory), basename(path)));
  } finally {
    closeSync(directory);
  }
}

/**
 * The port cannot be had, or the address is another machine's: uWebSockets does not tell which. The
 * message says which, and what to do.
 */
export class ListenRefused extends Error {
  /** @param isExtra one of `extraPorts`. */
  constructor(host: string, port: number, isExtra = false) {
    const choice = isExtra ? "in extraPorts or PRISM_EXTRA_PORTS" : "with --port or PORT (0 takes a free one)";
    const reason = "the port is taken or not allowed, or this machine has no such address";
    super(`cannot listen on ${host}:${port}: ${reason}; choose another ${choice}`);
    this.name = "ListenRefused";
  }
}

/** The control socket cannot be listened on. */
export class ControlSocketRefused extends Error {
  constructor(path: string, options?: ErrorOptions) {
    super(`cannot listen on the control socket ${path}`, options);
    this.name = "ControlSocketRefused";
  }
}
