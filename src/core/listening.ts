import { closeSync, constants, openSync } from "node:fs";
import { createServer } from "node:net";
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

/** The server cannot listen. The message says why, and what to do. */
export class ListenRefused extends Error {
  readonly host: string;
  readonly port: number;
  readonly setting: string;

  /** @param setting names another port than the main one. @param problem the system's code; uWebSockets has none. */
  constructor(host: string, port: number, setting = "", problem = "") {
    const byPort = setting === "" ? "with --port or PORT (0 takes a free one)" : `in ${setting}`;
    const { why, choice = byPort } = REASONS[problem] ?? { why: `the system refuses it ${problem}`.trim() };
    super(`cannot listen on ${host}:${port}: ${why}; choose another ${choice}`);
    this.name = "ListenRefused";
    this.host = host;
    this.port = port;
    this.setting = setting;
  }

  /** The same refusal with its reason, which an attempt with Node's own socket gives. */
  async explained(): Promise<ListenRefused> {
    const { host, port, setting } = this;
    return new ListenRefused(host, port, setting, await tryListen(host, port));
  }
}

const REASONS: Readonly<Record<string, { readonly why: string; readonly choice?: string }>> = {
  EADDRINUSE: { why: "the port is taken" },
  EACCES: { why: "this user may not listen on that port (below 1024 it takes CAP_NET_BIND_SERVICE)" },
  EADDRNOTAVAIL: { why: "this machine has no such address", choice: "with --host or HOST" },
};

/** @returns the system's code for why not; undefined when it would work. */
export function tryListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/** The control socket cannot be listened on. */
export class ControlSocketRefused extends Error {
  constructor(path: string, options?: ErrorOptions) {
    super(`cannot listen on the control socket ${path}`, options);
    this.name = "ControlSocketRefused";
  }
}
