import type { EventView, Item, LiveProtocol } from "./live-client.ts";
import { liveClient, nativeProtocol } from "./native-protocol.ts";
import { type Message, WebSocketClient } from "./web-socket-client.ts";

/** PulseBoard's `WS /realtime/:projectId` (contract 5.3): subscribed by connecting. */
export const pulseProtocol: LiveProtocol = {
  name: "PulseBoard WS",
  transport: "pulse",
  follows: "project",
  ends: nativeProtocol.ends,
  async connect(target, { from, token = target.token, headers = {} } = {}) {
    const credential: Record<string, string> = token === null ? {} : { Authorization: `Bearer ${token}` };
    const query = from === undefined ? "" : `?from=${from}`;
    const client = await WebSocketClient.open(
      `${target.url.replace("http", "ws")}/realtime/${target.projectId}${query}`,
      { headers: { ...credential, ...headers } },
    );
    const connected = await client.expect({ type: "connected", projectId: target.projectId });
    return liveClient(client, connected["offset"] as number, itemOf);
  },
};

function itemOf(message: Message): Item | undefined {
  if (message["type"] === "gap") return { kind: "gap", from: message["from"] as number, to: message["to"] as number };
  if (message["type"] !== "event") return undefined;
  return { kind: "entry", offset: message["offset"] as number, event: message["event"] as EventView };
}
