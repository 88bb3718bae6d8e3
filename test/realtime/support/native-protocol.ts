import type { EventView, Item, LiveClient, LiveProtocol } from "./live-client.ts";
import { type Message, WebSocketClient } from "./web-socket-client.ts";

/** `/ws` (contract 5.2): the client subscribes to the project when it is welcome. */
export const nativeProtocol: LiveProtocol = {
  name: "native /ws",
  transport: "websocket",
  follows: "project",
  ends: {
    unauthenticated: "4401 unauthenticated",
    forbidden: "4403 forbidden",
    notFound: "4404 notFound",
    tooSlow: "4008 tooSlow",
    restart: "1012 restart",
  },
  async connect(target, { from, token = target.token, headers = {} } = {}) {
    const credential: Record<string, string> = token === null ? {} : { Authorization: `Bearer ${token}` };
    const client = await WebSocketClient.open(`${target.url.replace("http", "ws")}/ws`, {
      headers: { ...credential, ...headers },
    });
    await client.expect({ op: "welcome" });
    const stream = `project:${target.projectId}`;
    client.send({ op: "subscribe", id: "1", stream, ...(from === undefined ? {} : { from }) });
    const subscribed = await client.expect({ op: "subscribed", id: "1" });
    return liveClient(client, subscribed["offset"] as number, (message) => itemOf(message, stream));
  },
};

/** The client of a protocol over WebSocket. */
export function liveClient(
  client: WebSocketClient,
  head: number,
  read: (message: Message) => Item | undefined,
): LiveClient {
  const items: Item[] = [];
  let messagesRead = 0;
  return {
    get items() {
      for (const message of client.messages.slice(messagesRead)) {
        const item = read(message);
        if (item) items.push(item);
      }
      messagesRead = client.messages.length;
      return items;
    },
    head,
    end: client.end.then(({ code, reason }) => `${code} ${reason}`),
    pause: () => client.socket.pause(),
    resume: () => client.socket.resume(),
    close: () => client.close(),
  };
}

function itemOf(message: Message, stream: string): Item | undefined {
  if (message["stream"] !== stream) return undefined;
  if (message["op"] === "gap") return { kind: "gap", from: message["from"] as number, to: message["to"] as number };
  if (message["op"] !== "event") return undefined;
  return { kind: "entry", offset: message["offset"] as number, event: message["data"] as EventView };
}
