/** Socket.IO 4 over Engine.IO 4 with the packets of its clients: one protocol, two transports. */
import { Agent, request } from "node:http";
import type { Listener, OpenClient, Said, Target } from "./client.ts";
import { webSocketClient } from "./web-socket-client.ts";

const PATH = "/socket.io/?EIO=4&transport=";
/** Separates packets in a response to a poll. */
const SEPARATOR = "\x1e";
const PACKET = { open: "0", ping: "2", pong: "3", connect: "40", refused: "44", disconnect: "41", ack: "430" } as const;
/** Position of an event's name, and its first letter, which no other event name has. */
const EVENT_AT = '42["'.length;
const EVENT_BYTE = "e".charCodeAt(0);

function hear(packet: string, target: Target): Said | undefined {
  if (packet === PACKET.ping) return { say: PACKET.pong };
  if (packet.startsWith(PACKET.refused) || packet.startsWith(PACKET.disconnect)) throw new Error(packet);
  if (packet.startsWith(PACKET.ack)) {
    if (!packet.includes('"ok":true')) throw new Error(packet);
    return { isFollowing: true };
  }
  if (packet.startsWith(PACKET.connect)) {
    // Every socket joins the room of its user automatically; a project is joined by a request with
    // an acknowledgement.
    if (target.follows !== "project") return { isWelcome: true, isFollowing: true };
    return {
      isWelcome: true,
      say: `420${JSON.stringify(["subscribe", { stream: `project:${target.projectId}` }])}`,
    };
  }
  return packet.startsWith(PACKET.open) ? { say: `40${JSON.stringify({ token: target.token })}` } : undefined;
}

/**
 * A socket subscribed to a project also receives its user's messages; only the project's
 * `42["event",…]` counts.
 */
function listenerOf({ follows }: Target, listener: Listener): Listener {
  if (follows !== "project") return listener;
  return {
    ...listener,
    message(bytes, from, to) {
      if (bytes[from + EVENT_AT] === EVENT_BYTE) listener.message(bytes, from, to);
    },
  };
}

const openWebSocket = webSocketClient({ path: () => `${PATH}websocket`, hear });

export const openSocketIo: OpenClient = (target, listener) => openWebSocket(target, listenerOf(target, listener));

export const openSocketIoPolling: OpenClient = (target, listener) => {
  new PollingClient(target, listenerOf(target, listener))
    .start()
    .catch((error: unknown) => listener.ended(String(error)));
};

/** Connections for polls, shared by all clients as a browser shares them between pages. */
const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

class PollingClient {
  readonly #target: Target;
  readonly #listener: Listener;
  #path = `${PATH}polling`;

  constructor(target: Target, listener: Listener) {
    this.#target = target;
    this.#listener = listener;
  }

  /** Polls until the process exits. */
  async start(): Promise<never> {
    for (;;) for (const packet of (await this.#request("GET")).split(SEPARATOR)) await this.#packet(packet);
  }

  async #packet(packet: string): Promise<void> {
    if (packet.startsWith("42")) {
      const bytes = Buffer.from(packet);
      this.#listener.message(bytes, 0, bytes.length);
      return;
    }
    if (packet.startsWith(PACKET.open)) {
      const { sid } = JSON.parse(packet.slice(1)) as { sid: string };
      this.#path += `&sid=${sid}`;
    }
    const { isWelcome, isFollowing, say } = hear(packet, this.#target) ?? {};
    if (isWelcome) this.#listener.welcomed();
    if (isFollowing) this.#listener.following();
    if (say !== undefined) await this.#request("POST", await say);
  }

  #request(method: string, body?: string): Promise<string> {
    const { port, from } = this.#target;
    return new Promise((resolve, reject) => {
      // The content type of the official client; bodies of other types are refused.
      const headers = body === undefined ? {} : { "Content-Type": "text/plain;charset=UTF-8" };
      const sent = request(
        { agent, method, host: "127.0.0.1", port, localAddress: from, path: this.#path, headers },
        (answer) => {
          let text = "";
          answer.setEncoding("utf8");
          answer.on("data", (part: string) => {
            text += part;
          });
          answer.on("error", reject);
          answer.on("end", () => {
            if (answer.statusCode === 200) resolve(text);
            else reject(new Error(`${method}: ${answer.statusCode} ${text}`));
          });
        },
      );
      sent.on("error", reject);
      sent.end(body);
    });
  }
}
