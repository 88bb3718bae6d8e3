import type { Item, LiveProtocol } from "./live-client.ts";
import { liveClient, nativeProtocol } from "./native-protocol.ts";
import { type Message, WebSocketClient } from "./web-socket-client.ts";

/**
 * S3's `/ws/updates` (contract 5.4): the client subscribes to its own tasks when it is connected.
 */
export const taskProtocol: LiveProtocol = {
  name: "task socket",
  transport: "tasks",
  follows: "tasks",
  ends: nativeProtocol.ends,
  async connect(target, { from = "latest", token = target.token, headers = {} } = {}) {
    const query = token === null ? "" : `?token=${token}`;
    const client = await WebSocketClient.open(`${target.url.replace("http", "ws")}/ws/updates${query}`, { headers });
    await client.expect({ type: "CONNECTED" });
    const since = from === "earliest" ? 0 : from;
    client.send({ type: "SUBSCRIBE_TASKS", ...(since === "latest" ? {} : { since }) });
    const subscribed = await client.expect({ type: "TASKS_SUBSCRIBED" });
    return liveClient(client, subscribed["offset"] as number, itemOf);
  },
};

interface Task {
  readonly id: string;
  /** The number that the feed gave it. */
  readonly title: string;
}

function itemOf({ type, from, to, offset, task }: Message): Item | undefined {
  if (type === "GAP") return { kind: "gap", from: from as number, to: to as number };
  if (type !== "TASK_CREATED") return undefined;
  const { id, title, ...rest } = task as Task;
  const event = { id, seq: offset as number, type, payload: { ...rest, n: Number(title) } };
  return { kind: "entry", offset: offset as number, event };
}
