import type { TemplatedApp, us_listen_socket } from "uWebSockets.js";
import { rmSync } from "node:fs";
import { ControlSocketRefused, withSocketPath } from "../core/listening.ts";
import { uWS } from "./uws.ts";

/** Only the account of the server may connect. */
const OTHERS_RIGHTS = 0o177;

/**
 * The Unix socket of a running server. Its file exists while connections are accepted; a file left
 * by a killed process is replaced.
 */
export class ControlSocket {
  readonly #app: TemplatedApp;
  readonly #path: string;
  #socket: us_listen_socket | null = null;

  /** @throws ControlSocketRefused */
  constructor(app: TemplatedApp, path: string) {
    this.#app = app;
    this.#path = path;
    this.open();
  }

  /** Listens, again after {@link close}. @throws ControlSocketRefused */
  open(): void {
    if (this.#socket) return;
    try {
      rmSync(this.#path, { force: true });
      withSocketPath(this.#path, (path) => this.#listen(path));
    } catch (cause) {
      throw new ControlSocketRefused(this.#path, { cause });
    }
    if (!this.#socket) throw new ControlSocketRefused(this.#path);
  }

  /** The mode comes from the umask: bind and chmod would leave a moment with another mode. */
  #listen(path: string): void {
    const umask = process.umask(OTHERS_RIGHTS);
    try {
      this.#app.listen_unix((socket) => {
        if (socket) this.#socket = socket;
      }, path);
    } finally {
      process.umask(umask);
    }
  }

  /** Accepts no more connections; those that are open stay. */
  close(): void {
    if (!this.#socket) return;
    uWS.us_listen_socket_close(this.#socket);
    this.#socket = null;
    rmSync(this.#path, { force: true });
  }
}
