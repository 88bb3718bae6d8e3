import { EventSource } from "eventsource";
import WebSocket from "ws";
import { PrismClient } from "../../../../src/client/index.ts";
import { type Follower, type FollowerKind, type FollowTarget, Ledger } from "./ledger.ts";

/** The package `eventsource`, which reconnects by itself and sends its last id. */
const eventSource: FollowerKind = {
  name: "eventsource",
  follows: "events",
  follow({ url, projectId, token }: FollowTarget): Follower {
    const ledger = new Ledger();
    const source = new EventSource(`${url}/realtime/${projectId}/sse?token=${token}&from=earliest`);
    source.addEventListener("open", () => ledger.connections++);
    source.addEventListener("message", ({ lastEventId, data }) => {
      const { payload } = JSON.parse(data) as { payload: { n: number } };
      ledger.take(Number(lastEventId), payload.n);
    });
    source.addEventListener("gap", ({ data }) => ledger.fault(`gap: ${data}`));
    source.addEventListener("error", (error) => {
      if (source.readyState === source.CLOSED) ledger.fault(`gave up: ${error.message}`);
    });
    return { ledger, close: () => source.close() };
  },
};

const prismClient: FollowerKind = {
  name: "prism-client",
  follows: "notifications",
  follow({ url, token }: FollowTarget): Follower {
    const ledger = new Ledger();
    const client = new PrismClient({ url, token, WebSocket, reconnect: { minMs: 50, maxMs: 300 } });
    client.on("subscribed", () => ledger.connections++);
    const subscription = client.subscribe("user:me", { from: "earliest" });
    subscription.on("notification", ({ offset, data }) => ledger.take(offset, Number(data.title)));
    subscription.on("gap", (gap) => ledger.fault(`gap: ${JSON.stringify(gap)}`));
    return { ledger, close: () => client.close() };
  },
};

/** Clients that reconnect by themselves. */
export const LIBRARY_FOLLOWERS: readonly FollowerKind[] = [eventSource, prismClient];
