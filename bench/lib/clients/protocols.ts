/**
 * All protocols of live connections, and the bare server's. To add one, add its client and a line
 * here.
 */
import { type Follows, greeted, type OpenClient, type Target } from "./client.ts";
import { openEventStream } from "./event-stream-client.ts";
import { openPusher } from "./pusher.ts";
import { openSocketIo, openSocketIoPolling } from "./socket-io.ts";
import { type SocketWords, webSocketClient } from "./web-socket-client.ts";

export interface Protocol {
  readonly open: OpenClient;
  /** Possible subscriptions of a connection; the first is that of an idle one. */
  readonly follows: readonly Follows[];
}

/** The reference (bare-publish.ts): every client receives everything after the welcome. */
const bare: SocketWords = {
  path: () => "/ws",
  hear: () => ({ isWelcome: true, isFollowing: true }),
};

const native: SocketWords = {
  path: () => "/ws",
  hear(text, target) {
    if (text.startsWith('{"op":"welcome"'))
      return greeted(target, () => JSON.stringify({ op: "subscribe", stream: streamOf(target) }));
    if (text.startsWith('{"op":"error"')) throw new Error(text);
    return text.startsWith('{"op":"subscribed"') ? { isFollowing: true } : undefined;
  },
};

const pulse: SocketWords = {
  path: ({ projectId }) => `/realtime/${projectId}`,
  hear: (text) => (text.startsWith('{"type":"connected"') ? { isWelcome: true, isFollowing: true } : undefined),
};

const tasks: SocketWords = {
  path: () => "/ws/updates",
  hear(text, target) {
    if (text.startsWith('{"type":"CONNECTED"')) return greeted(target, () => '{"type":"SUBSCRIBE_TASKS"}');
    if (text.startsWith('{"type":"ERROR"')) throw new Error(text);
    return text.startsWith('{"type":"TASKS_SUBSCRIBED"') ? { isFollowing: true } : undefined;
  },
};

export const PROTOCOLS = {
  bare: { open: webSocketClient(bare), follows: ["nothing", "project", "user"] },
  native: { open: webSocketClient(native), follows: ["user", "project", "nothing"] },
  pulse: { open: webSocketClient(pulse), follows: ["project"] },
  sse: { open: openEventStream, follows: ["project"] },
  tasks: { open: webSocketClient(tasks), follows: ["user", "nothing"] },
  socketio: { open: openSocketIo, follows: ["user", "project"] },
  "socketio-polling": { open: openSocketIoPolling, follows: ["user", "project"] },
  pusher: { open: openPusher, follows: ["user"] },
} satisfies Record<string, Protocol>;

export type ProtocolName = keyof typeof PROTOCOLS;

/** The protocols in `BENCH_PROTOCOLS`, comma separated, that a benchmark supports. */
export function chosenProtocols(
  usual: readonly ProtocolName[],
  possible: readonly ProtocolName[] = usual,
): ProtocolName[] {
  const wanted = process.env["BENCH_PROTOCOLS"]?.split(",") ?? usual;
  return possible.filter((name) => wanted.includes(name));
}

/** The protocols that support this subscription. */
export function protocolsThatFollow(what: Follows): ProtocolName[] {
  const all = Object.entries(PROTOCOLS) as [ProtocolName, Protocol][];
  return all.filter(([name, { follows }]) => name !== "bare" && follows.includes(what)).map(([name]) => name);
}

function streamOf({ follows, projectId }: Target): string {
  return follows === "project" ? `project:${projectId}` : "user:me";
}
