import { type ErrorCode, STATUS_OF } from "../../../src/core/errors.ts";
import { eventually } from "../../helpers/eventually.ts";
import {
  type ConnectOptions,
  type EventView,
  type Item,
  type LiveClient,
  type LiveProtocol,
  Refused,
  type Target,
} from "./live-client.ts";
import { type NotificationBody, notificationItem } from "./native-protocol.ts";
import { type Carrier, type Payload, SocketIoClient } from "./socketio-client.ts";

const ENDS = {
  unauthenticated: "4401 unauthenticated, stays away",
  expired: "4401 expired, comes back",
  forbidden: "4403 forbidden, stays away",
  notFound: "4404 notFound, stays away",
  tooSlow: "4008 tooSlow, comes back",
  restart: "1012 restart, comes back",
} as const;

/** `/socket.io/` (contract 5.6): the client subscribes to the project when it is let in. */
export const socketIoProjectProtocols = (["websocket", "polling", "polling, then websocket"] as const).map(
  (carrier): LiveProtocol => ({
    name: `Socket.IO over ${carrier}`,
    transport: "socketio",
    follows: "project",
    ends: ENDS,
    async connect(target, { from, ...options } = {}) {
      const { client } = await letIn(target, carrier, options);
      const stream = `project:${target.projectId}`;
      const subscribed = await client.ask("subscribe", { stream, ...(from === undefined ? {} : { from }) });
      if (!subscribed.ok) throw new Error(JSON.stringify(subscribed));
      return liveClient(client, "event", subscribed["offset"] as number);
    },
  }),
);

/** The user's own stream, which needs no subscribe, from `auth.offset`. */
export const socketIoUserProtocols = (["websocket", "polling"] as const).map(
  (carrier): LiveProtocol => ({
    name: `Socket.IO's own notifications over ${carrier}`,
    transport: "socketio",
    follows: "user",
    ends: ENDS,
    async connect(target, { from, ...options } = {}) {
      const offset = from === "earliest" ? 0 : from === "latest" ? undefined : from;
      const { client, ready } = await letIn(target, carrier, options, offset);
      return liveClient(client, "notification", ready["offset"] as number);
    },
  }),
);

async function letIn(
  target: Target,
  carrier: Carrier | "polling, then websocket",
  { token = target.token, headers = {} }: ConnectOptions,
  offset?: number,
): Promise<{ readonly client: SocketIoClient; readonly ready: Payload }> {
  const auth = { token, ...(offset === undefined ? {} : { offset }) };
  const isUpgrading = carrier === "polling, then websocket";
  const transports = isUpgrading ? ["polling", "websocket"] : [carrier];
  const client = new SocketIoClient(target.url, { transports, auth, extraHeaders: headers });
  try {
    const ready = await client.expect("ready");
    const { engine } = client.socket.io;
    if (isUpgrading) await eventually("it has switched", () => engine.transport.name === "websocket");
    return { client, ready };
  } catch (error) {
    client.close();
    throw (await refusalOf(target, client.refusals[0], auth.token, headers)) ?? error;
  }
}

/**
 * As the protocols that answer with a status have it: by the code of `connect_error`, or by asking
 * again where the library hides the answer.
 */
async function refusalOf(
  { url }: Target,
  refusal: Payload | undefined,
  token: string | null,
  headers: Readonly<Record<string, string>>,
): Promise<Refused | undefined> {
  if (!refusal) return undefined;
  const code = refusal["code"] as ErrorCode | undefined;
  if (code !== undefined) {
    const retryAfter = Math.ceil(Number(refusal["retryAfterMs"]) / 1000);
    return new Refused(STATUS_OF[code], JSON.stringify({ error: refusal }), { "retry-after": String(retryAfter) });
  }
  const query = `EIO=4&transport=polling${token === null ? "" : `&token=${token}`}`;
  const reply = await fetch(`${url}/socket.io/?${query}`, { headers });
  return reply.ok ? undefined : new Refused(reply.status, await reply.text(), Object.fromEntries(reply.headers));
}

/** @param wanted event of the followed stream; every client also gets its own notifications. */
function liveClient(client: SocketIoClient, wanted: "event" | "notification", head: number): LiveClient {
  const items: Item[] = [];
  let eventsRead = 0;
  return {
    get items() {
      for (const { name, payload } of client.events.slice(eventsRead)) {
        const item = name === wanted || name === "gap" ? itemOf(name, payload) : undefined;
        if (item) items.push(item);
      }
      eventsRead = client.events.length;
      return items;
    },
    head,
    end: client.end,
    pause: () => reading(client).stop(),
    resume: () => reading(client).goOn(),
    close: async () => client.close(),
  };
}

function itemOf(name: string, payload: Payload): Item | undefined {
  const offset = payload["offset"] as number;
  switch (name) {
    case "gap":
      return { kind: "gap", from: payload["from"] as number, to: payload["to"] as number };
    case "event":
      return { kind: "entry", offset, event: payload as unknown as EventView };
    case "notification":
      return notificationItem(payload as unknown as NotificationBody, offset);
    default:
      return undefined;
  }
}

/** The parser of the library, which its types omit. */
type Transport =
  | { readonly name: "websocket"; readonly ws: { pause(): void; resume(): void } }
  | { readonly name: "polling"; readonly _polling: boolean; _poll?: () => void };

/**
 * Stops reading without a word to the server: a socket is left unread, a poll is not followed by
 * another.
 */
function reading({ socket }: SocketIoClient): { stop(): void; goOn(): void } {
  const transport = socket.io.engine.transport as unknown as Transport;
  if (transport.name === "websocket") return { stop: () => transport.ws.pause(), goOn: () => transport.ws.resume() };
  return {
    stop() {
      transport._poll = () => undefined;
    },
    goOn() {
      // The method of its class is back.
      delete transport._poll;
      if (!transport._polling) (transport as { _poll?: () => void })._poll?.();
    },
  };
}
