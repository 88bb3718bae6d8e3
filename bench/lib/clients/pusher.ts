/**
 * Pusher's protocol 7 (docs/pusher.md): the user's own private channel, with a signature from
 * `pusher-auth`.
 */
import { Agent, request } from "node:http";
import { greeted, type OpenClient, type Target } from "./client.ts";
import { webSocketClient } from "./web-socket-client.ts";

const KEY = "bench-key";

/** Configures a server with the app that these clients use. */
export const PUSHER_ENVIRONMENT: Readonly<Record<string, string>> = {
  PRISM_PUSHER_APP_ID: "bench",
  PRISM_PUSHER_KEY: KEY,
  PRISM_PUSHER_SECRET: "bench-secret",
};

interface PusherEvent {
  readonly event: string;
  /** JSON text. */
  readonly data?: string;
}

export const openPusher: OpenClient = webSocketClient({
  path: () => `/app/${KEY}?protocol=7&client=bench&version=1`,
  hear(text, target) {
    const { event, data = "{}" } = JSON.parse(text) as PusherEvent;
    switch (event) {
      case "pusher:connection_established":
        return greeted(target, () => subscribe(target, (JSON.parse(data) as { socket_id: string }).socket_id));
      case "pusher_internal:subscription_succeeded":
        return { isFollowing: true };
      case "pusher:ping":
        return { say: '{"event":"pusher:pong","data":{}}' };
      case "pusher:error":
      case "pusher:subscription_error":
        throw new Error(text);
      default:
        return undefined;
    }
  },
});

const agent = new Agent({ keepAlive: true, maxSockets: 16 });

async function subscribe(target: Target, socketId: string): Promise<string> {
  const channel = `private-user-${target.userId}`;
  const { auth } = JSON.parse(await signed(target, { socket_id: socketId, channel_name: channel })) as { auth: string };
  return JSON.stringify({ event: "pusher:subscribe", data: { channel, auth } });
}

function signed({ port, token }: Target, body: object): Promise<string> {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  return new Promise((resolve, reject) => {
    const sent = request(
      { agent, method: "POST", host: "127.0.0.1", port, path: "/pusher/auth", headers },
      (answer) => {
        let text = "";
        answer.on("data", (part: Buffer) => {
          text += part.toString();
        });
        answer.on("end", () => (answer.statusCode === 200 ? resolve(text) : reject(new Error(text))));
        answer.on("error", reject);
      },
    );
    sent.on("error", reject);
    sent.end(JSON.stringify(body));
  });
}
