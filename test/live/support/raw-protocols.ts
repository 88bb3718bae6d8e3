import type { TestContext } from "node:test";
import type { TestPrism } from "../../helpers/prism.ts";
import type { LiveProtocol } from "./live-client.ts";
import { frame, RawSocket } from "./raw-socket.ts";

/** Where a raw client connects, and as which caller. */
export interface RawTarget {
  readonly port: number;
  /**
   * Access token, service token or API key that may read the project `default`, and tasks where
   * those are followed.
   */
  readonly token: string;
}

/** A WebSocket protocol as a client speaks it that builds its frames by hand. */
export interface RawProtocol {
  readonly name: string;
  readonly transport: LiveProtocol["transport"];
  /** Where it is served, without a credential; a query may follow. */
  readonly path: string;
  /**
   * Opens a socket with the token. Resolves when it is accepted. @param headers lines of the
   * upgrade request.
   */
  open(t: TestContext, target: RawTarget, headers?: readonly string[]): Promise<RawSocket>;
  /** Whether it is the frames of WebSocket that ask whether a client lives. */
  readonly hasPingFrames: boolean;
  /** A message that is answered. */
  readonly ping: string;
  /** A part of the answer that is unique to it. */
  readonly pong: string;
  /** The codes that this protocol closes with. */
  readonly codes: {
    readonly malformed: number;
    readonly rate: number;
    readonly tooBig: number;
    readonly silent: number;
  };
}

const PUSHER_KEY = "278d425bdf160c739803";

/** Settings of the servers that these protocols are tried on: clients of Pusher know the key. */
export const RAW_SETTINGS: Readonly<Record<string, string>> = {
  "pusher.appId": "1",
  "pusher.key": PUSHER_KEY,
  "pusher.secret": "7ad3773142a6692b25b8",
  // Clocks of tests run far ahead.
  "auth.accessExpires": "24h",
};

/** The same for a server of its own process. */
export const RAW_ENVIRONMENT: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(RAW_SETTINGS).map(([key, value]) => [environmentName(key), value]),
);

/** How a setting is called in the environment: `pusher.appId` is `PRISM_PUSHER_APP_ID`. */
function environmentName(key: string): string {
  return `PRISM_${key.replaceAll(/[.]/g, "_").replaceAll(/[A-Z]/g, "_$&").toUpperCase()}`;
}

/**
 * The path with a credential in its query, for protocols that look there; others are not harmed.
 */
export function withToken(path: string, token: string): string {
  return `${path}${path.includes("?") ? "&" : "?"}token=${token}`;
}

/** Protocols in which the upgrade request brings the credential. */
function byUrl(
  name: string,
  transport: RawProtocol["transport"],
  path: string,
  said: { readonly welcome: string; readonly ping: string; readonly pong: string },
): RawProtocol {
  return {
    name,
    transport,
    path,
    async open(t, { port, token }, headers = []) {
      const socket = await RawSocket.open(t, port, withToken(path, token), headers);
      await socket.expectText(said.welcome);
      return socket;
    },
    hasPingFrames: true,
    ping: said.ping,
    pong: said.pong,
    codes: { malformed: 4400, rate: 4429, tooBig: 1009, silent: 1006 },
  };
}

/**
 * Pusher's: credentials are sent inside, and a follower of a public channel may stay
 * unauthenticated.
 */
const PUSHER_PATH = `/app/${PUSHER_KEY}?protocol=7`;
const pusher: RawProtocol = {
  name: "Pusher",
  transport: "pusher",
  path: PUSHER_PATH,
  async open(t, { port }, headers = []) {
    const socket = await RawSocket.open(t, port, PUSHER_PATH, headers);
    socket.send(frame('{"event":"pusher:subscribe","data":{"channel":"everybody"}}'));
    await socket.expectText("pusher_internal:subscription_succeeded");
    return socket;
  },
  hasPingFrames: true,
  ping: '{"event":"pusher:ping"}',
  pong: '"pusher:pong"',
  codes: { malformed: 4300, rate: 4004, tooBig: 4300, silent: 4201 },
};

/** Engine.IO's packets with Socket.IO's inside; the first one authenticates. */
const SOCKETIO_PATH = "/socket.io/?EIO=4&transport=websocket";
const socketIo: RawProtocol = {
  name: "Socket.IO",
  transport: "socketio",
  path: SOCKETIO_PATH,
  async open(t, { port, token }, headers = []) {
    const socket = await RawSocket.open(t, port, SOCKETIO_PATH, headers);
    await socket.expectText('0{"sid"');
    socket.send(frame(`40${JSON.stringify({ token })}`));
    await socket.expectText('["ready"');
    return socket;
  },
  hasPingFrames: false,
  ping: '420["unsubscribe",{"stream":"channel:none"}]',
  pong: '430[{"ok":true',
  codes: { malformed: 4400, rate: 4429, tooBig: 1009, silent: 1006 },
};

export const RAW_PROTOCOLS: readonly RawProtocol[] = [
  byUrl("native /ws", "websocket", "/ws", {
    welcome: '"op":"welcome"',
    ping: '{"op":"ping"}',
    pong: '"op":"pong"',
  }),
  byUrl("PulseBoard WS", "pulse", "/realtime/default", {
    welcome: '"type":"connected"',
    ping: '{"type":"ping"}',
    pong: '"type":"pong"',
  }),
  byUrl("task socket", "tasks", "/ws/updates", {
    welcome: '"type":"CONNECTED"',
    ping: '{"type":"PING"}',
    pong: '"type":"PONG"',
  }),
  pusher,
  socketIo,
];

/** The administrator of a server of this process. */
export function adminOf(prism: TestPrism): RawTarget {
  return { port: prism.app.port, token: prism.adminToken };
}

/** How many live connections the server counts, of all protocols. */
export function liveCount({ parts }: TestPrism): number {
  return Object.values(parts.core.connections.counts).reduce((sum, count) => sum + count, 0);
}
