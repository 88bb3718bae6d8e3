import { EventSource, type EventSourceFetchInit, type FetchLikeResponse } from "eventsource";
import type { EventView, Item, LiveClient, LiveProtocol } from "./live-client.ts";
import { Refused } from "./live-client.ts";

/**
 * `GET /realtime/:projectId/sse` (contract 5.3), with an EventSource that is not let to connect
 * again.
 */
export const sseProtocol: LiveProtocol = {
  name: "SSE",
  transport: "sse",
  follows: "project",
  ends: {
    unauthenticated: "auth_expired, end",
    expired: "auth_expired, end",
    forbidden: "end",
    notFound: "end",
    tooSlow: "cut",
    restart: "end",
  },
  async connect(target, { from, token = target.token, headers = {} } = {}) {
    const credential: Record<string, string> = token === null ? {} : { Authorization: `Bearer ${token}` };
    const query = from === undefined ? "" : `?lastEventId=${from}`;
    const gate = new Gate();
    let refused: Refused | undefined;
    let isCut = false;
    const source = new EventSource(`${target.url}/realtime/${target.projectId}/sse${query}`, {
      async fetch(url: string | URL, init: EventSourceFetchInit): Promise<FetchLikeResponse> {
        const response = await fetch(url, { ...init, headers: { ...init.headers, ...credential, ...headers } });
        if (response.status !== 200) {
          refused = new Refused(response.status, await response.text(), Object.fromEntries(response.headers));
          return response;
        }
        const body = gated(response, gate, () => {
          isCut = true;
        });
        return { status: 200, url: response.url, redirected: false, headers: response.headers, body };
      },
    });
    const items: Item[] = [];
    let last = "";
    source.addEventListener("message", ({ lastEventId, data }) => {
      items.push({ kind: "entry", offset: Number(lastEventId), event: JSON.parse(data) as EventView });
    });
    source.addEventListener("gap", ({ data }) => {
      items.push({ kind: "gap", ...(JSON.parse(data) as { from: number; to: number }) });
    });
    source.addEventListener("auth_expired", () => {
      last = "auth_expired, ";
    });
    const end = new Promise<string>((resolve) => {
      source.addEventListener("error", () => {
        source.close();
        resolve(isCut ? "cut" : `${last}end`);
      });
    });
    await Promise.race([new Promise((resolve) => source.addEventListener("open", resolve)), end]);
    if (refused) throw refused;
    return client(source, items, end, gate);
  },
};

/** Lets chunks through while it is open; while it is not, the socket fills up. */
class Gate {
  #opened: Promise<void> = Promise.resolve();
  #open: () => void = () => undefined;

  close(): void {
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  open(): void {
    this.#open();
  }

  async pass(): Promise<void> {
    await this.#opened;
  }
}

function gated(response: Response, gate: Gate, onCut: () => void): ReadableStream<Uint8Array> {
  const reader = response.body?.getReader();
  return new ReadableStream(
    {
      async pull(controller) {
        await gate.pass();
        try {
          const part = await reader?.read();
          if (part?.value) controller.enqueue(part.value);
          else controller.close();
        } catch (error) {
          onCut();
          controller.error(error);
        }
      },
      cancel: () => reader?.cancel(),
    },
    { highWaterMark: 0 },
  );
}

function client(source: EventSource, items: Item[], end: Promise<string>, gate: Gate): LiveClient {
  return {
    items,
    head: null,
    end,
    pause: () => gate.close(),
    resume: () => gate.open(),
    async close() {
      gate.open();
      source.close();
    },
  };
}
