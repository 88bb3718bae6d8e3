import type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket } from "uWebSockets.js";
import { ListenRefused } from "./listen-refused.ts";
import { uWS } from "./uws.ts";

/** The socket of the server. Features put their protocols on `app` before it listens. */
export class HttpListener {
  readonly app: TemplatedApp = uWS.App();
  #socket: us_listen_socket | null = null;

  /** Every request that no WebSocket route takes. */
  serve(handle: (res: HttpResponse, req: HttpRequest) => void): void {
    this.app.any("/*", handle);
  }

  /**
   * Listening is exclusive: without it uWebSockets shares a taken port, and two servers each get half of the traffic.
   * @param port 0 for a free one. @returns the port. @throws ListenRefused
   */
  listen(host: string, port: number): number {
    // The types lack this overload of listen(host, port, options, callback).
    const listen = this.app.listen.bind(this.app) as unknown as (
      host: string,
      port: number,
      options: number,
      callback: (socket: us_listen_socket | false) => void,
    ) => void;
    listen(host, port, EXCLUSIVE_PORT, (socket) => {
      if (socket) this.#socket = socket;
    });
    if (!this.#socket) throw new ListenRefused(host, port);
    return uWS.us_socket_local_port(this.#socket);
  }

  /** Takes no new connections; those that are open stay. */
  stopListening(): void {
    if (this.#socket) uWS.us_listen_socket_close(this.#socket);
    this.#socket = null;
  }

  /** Ends every connection. */
  close(): void {
    this.#socket = null;
    this.app.close();
  }
}

/** `LIBUS_LISTEN_EXCLUSIVE_PORT`; the enum of the types does not exist at run time under every build. */
const EXCLUSIVE_PORT = 1;
