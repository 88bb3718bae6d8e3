import { type EventView, type Item, type LiveProtocol, Refused } from "./live-client.ts";
import { liveClient } from "./native-protocol.ts";
import { type Message, WebSocketClient } from "./web-socket-client.ts";

/**
 * The embedded Pusher server (contract 5.5): the client joins the project's private channel, signed
 * for by the auth route.
 */
export const pusherProtocol: LiveProtocol = {
  name: "Pusher",
  transport: "pusher",
  follows: "project",
  resumes: false,
  letsIn: "logins",
  ends: {
    unauthenticated: "4009 unauthenticated",
    expired: "4200 expired",
    forbidden: "4009 forbidden",
    notFound: "4009 notFound",
    tooSlow: "4100 tooSlow",
    restart: "4100 restart",
  },
  async connect({ url, projectId, token: ownToken }, { token = ownToken, headers = {} } = {}) {
    const channel = `private-project-${projectId}`;
    const sign = async (socketId: string): Promise<string> => {
      const response = await fetch(`${url}/pusher/auth`, {
        method: "POST",
        headers: token === null ? {} : { Authorization: `Bearer ${token}` },
        body: new URLSearchParams({ socket_id: socketId, channel_name: channel }),
      });
      const text = await response.text();
      if (!response.ok) throw new Refused(response.status, text, Object.fromEntries(response.headers));
      return (JSON.parse(text) as { auth: string }).auth;
    };
    // Any signature names the app's key.
    const [key] = (await sign("1.1")).split(":");
    const client = await WebSocketClient.open(`${url.replace("http", "ws")}/app/${key}?protocol=7`, { headers });
    const established = await client.expect({ event: "pusher:connection_established" });
    const auth = await sign((read(established) as { socket_id: string }).socket_id).catch(async (error: unknown) => {
      await client.close();
      throw error;
    });
    client.send({ event: "pusher:subscribe", data: { channel, auth } });
    const succeeded = await client.expect({ event: "pusher_internal:subscription_succeeded", channel });
    return liveClient(client, (read(succeeded) as { offset: number }).offset, (message) => itemOf(message, channel));
  },
};

function itemOf(message: Message, channel: string): Item | undefined {
  if (message["channel"] !== channel) return undefined;
  if (message["event"] === "gap") return { kind: "gap", ...(read(message) as { from: number; to: number }) };
  if (message["event"] !== "event") return undefined;
  const { offset, ...event } = read(message) as { offset: number } & EventView;
  return { kind: "entry", offset, event };
}

function read({ data }: Message): unknown {
  return JSON.parse(String(data));
}
