import type { ConnectOptions, Ends, EventView, Item, LiveClient, LiveProtocol, Target } from "./live-client.ts";
import { type Message, WebSocketClient } from "./web-socket-client.ts";

const ends: Ends = {
  unauthenticated: "4401 unauthenticated",
  expired: "4401 expired",
  forbidden: "4403 forbidden",
  notFound: "4404 notFound",
  tooSlow: "4008 tooSlow",
  restart: "1012 restart",
};

/** `/ws` (contract 5.2): the client subscribes to the project when it is welcome. */
export const nativeProtocol: LiveProtocol = {
  name: "native /ws",
  transport: "websocket",
  follows: "project",
  ends,
  async connect(target, { from, ...options } = {}) {
    const client = await welcomed(target, options);
    return subscribed(client, `project:${target.projectId}`, from);
  },
};

/** `/ws`, following the notifications of the connecting user. */
export const nativeUserProtocol: LiveProtocol = {
  name: "native /ws, user:me",
  transport: "websocket",
  follows: "user",
  ends,
  async connect(target, { from, ...options } = {}) {
    return subscribed(await welcomed(target, options), "user:me", from);
  },
};

async function welcomed(target: Target, { token = target.token, headers = {} }: ConnectOptions) {
  const credential: Record<string, string> = token === null ? {} : { Authorization: `Bearer ${token}` };
  const client = await WebSocketClient.open(`${target.url.replace("http", "ws")}/ws`, {
    headers: { ...credential, ...headers },
  });
  await client.expect({ op: "welcome" });
  return client;
}

async function subscribed(client: WebSocketClient, stream: string, from: ConnectOptions["from"]): Promise<LiveClient> {
  client.send({ op: "subscribe", id: "1", stream, ...(from === undefined ? {} : { from }) });
  const answer = await client.expect({ op: "subscribed", id: "1" });
  return liveClient(client, answer["offset"] as number, itemOf);
}

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

function itemOf(message: Message): Item | undefined {
  if (message["op"] === "gap") return { kind: "gap", from: message["from"] as number, to: message["to"] as number };
  if (message["op"] !== "event") return undefined;
  const offset = message["offset"] as number;
  if (message["type"] !== "notification") return { kind: "entry", offset, event: message["data"] as EventView };
  return notificationItem(message["data"] as NotificationBody, offset);
}

/** A notification as far as these tests look. */
export interface NotificationBody {
  readonly id: string;
  /** The number that the feed gave it. */
  readonly title: string;
  readonly data?: object | null;
}

/** A notification as an entry; its number is its title. */
export function notificationItem({ id, title, data }: NotificationBody, offset: number): Item {
  const event = { id, seq: offset, type: "notification", payload: { ...data, n: Number(title) } };
  return { kind: "entry", offset, event };
}
