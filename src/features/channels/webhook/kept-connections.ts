import { Agent, type AgentOptions, type ClientRequestArgs } from "node:http";
import type { Duplex } from "node:stream";

/** Servers close idle connections after five seconds or more. */
const IDLE_MS = 3000;
const MAX_IDLE = 64;
const MAX_IDLE_OF_HOST = 8;

/** Options of the agent for a request. */
export interface KeptOptions extends ClientRequestArgs {
  /** Requests with the same name may share connections. */
  readonly peer: string;
  readonly open: () => Promise<Duplex>;
}

/** Connections that wait a short time for the next request to the same addresses. */
export class KeptConnections extends Agent {
  constructor() {
    super({ keepAlive: true, timeout: IDLE_MS, maxFreeSockets: MAX_IDLE_OF_HOST } satisfies AgentOptions);
  }

  override getName(options?: KeptOptions): string {
    return options?.peer ?? "";
  }

  override createConnection({ open }: KeptOptions, callback: (error: Error | null, socket: Duplex) => void): undefined {
    open().then(
      (socket) => callback(null, socket),
      (error: Error) => callback(error, undefined as never),
    );
  }

  override keepSocketAlive(socket: Duplex): boolean {
    const idle = Object.values(this.freeSockets).reduce((sum, sockets) => sum + (sockets?.length ?? 0), 0);
    // Typed as void; false when the server closes it sooner than that.
    const isKept: unknown = idle < MAX_IDLE && super.keepSocketAlive(socket);
    return isKept === true;
  }
}
