import WebSocket from "ws";
import { Random, TEST_SEED } from "../../../helpers/chance.ts";
import type { Message } from "../web-socket-client.ts";
import { type Follower, type FollowerKind, type FollowTarget, Ledger } from "./ledger.ts";

/**
 * The words of a protocol over a plain WebSocket, whose library does not connect again by itself.
 */
interface Words {
  path(target: FollowTarget, offset: number | null): string;
  /** The response to a message of the server. */
  readonly subscribe?: (target: FollowTarget, offset: number | null) => { readonly on: Message; readonly say: Message };
  entry(message: Message): { readonly offset: number; readonly number: number } | undefined;
  isGap(message: Message): boolean;
}

const RECONNECT_MS = 100;

/** When sockets connect again, see the seed that the test prints. */
const random = new Random(TEST_SEED);

function follower(words: Words, target: FollowTarget): Follower {
  const ledger = new Ledger();
  let isOver = false;
  let socket: WebSocket;
  const connect = (): void => {
    const subscribe = words.subscribe?.(target, ledger.offset);
    socket = new WebSocket(target.url.replace("http", "ws") + words.path(target, ledger.offset));
    socket.on("open", () => ledger.connections++);
    socket.on("message", (data) => {
      const message = JSON.parse(String(data)) as Message;
      if (subscribe && hasAll(message, subscribe.on)) socket.send(JSON.stringify(subscribe.say));
      const entry = words.entry(message);
      if (entry) ledger.take(entry.offset, entry.number);
      if (words.isGap(message)) ledger.fault(`gap: ${String(data)}`);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      if (!isOver) setTimeout(connect, random.integer(0, RECONNECT_MS));
    });
  };
  connect();
  return {
    ledger,
    close() {
      isOver = true;
      socket.terminate();
    },
  };
}

function hasAll(message: Message, members: Message): boolean {
  return Object.entries(members).every(([name, value]) => message[name] === value);
}

function native(stream: (target: FollowTarget) => string, numberOf: (data: unknown) => number): Words {
  return {
    path: ({ token }) => `/ws?token=${token}`,
    subscribe: (target, offset) => ({
      on: { op: "welcome" },
      say: { op: "subscribe", id: "1", stream: stream(target), from: offset ?? "earliest" },
    }),
    entry: ({ op, offset, data }) => (op === "event" ? { offset: Number(offset), number: numberOf(data) } : undefined),
    isGap: ({ op }) => op === "gap",
  };
}

const numberOfNotification = (data: unknown): number => Number((data as { title: string }).title);
const numberOfEvent = (data: unknown): number => (data as { payload: { n: number } }).payload.n;

const pulse: Words = {
  path: ({ projectId, token }, offset) => `/realtime/${projectId}?token=${token}&from=${offset ?? "earliest"}`,
  entry: ({ type, offset, event }) =>
    type === "event" ? { offset: Number(offset), number: numberOfEvent(event) } : undefined,
  isGap: ({ type }) => type === "gap",
};

const tasks: Words = {
  path: ({ token }) => `/ws/updates?token=${token}`,
  subscribe: (_target, offset) => ({ on: { type: "CONNECTED" }, say: { type: "SUBSCRIBE_TASKS", since: offset ?? 0 } }),
  entry: ({ type, offset, task }) =>
    type === "TASK_CREATED" ? { offset: Number(offset), number: numberOfNotification(task) } : undefined,
  isGap: ({ type }) => type === "GAP",
};

function kind(name: string, follows: FollowerKind["follows"], words: Words): FollowerKind {
  return { name, follows, follow: (target) => follower(words, target) };
}

/** The package `ws`, with the lines of docs/realtime.md that connect again. */
export const SOCKET_FOLLOWERS: readonly FollowerKind[] = [
  kind(
    "ws, user:me",
    "notifications",
    native(() => "user:me", numberOfNotification),
  ),
  kind(
    "ws, project",
    "events",
    native(({ projectId }) => `project:${projectId}`, numberOfEvent),
  ),
  kind("ws, PulseBoard", "events", pulse),
  kind("ws, task socket", "tasks", tasks),
];
