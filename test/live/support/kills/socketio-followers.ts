import { io, type Socket } from "socket.io-client";
import { type FollowerKind, type FollowTarget, Ledger } from "./ledger.ts";

/**
 * The transport: one of the two, or the library's default, which upgrades from one to the other.
 */
const CARRIERS: Readonly<Record<string, string[]>> = {
  websocket: ["websocket"],
  polling: ["polling"],
  "polling, then websocket": ["polling", "websocket"],
};
const RECONNECTION = { forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 500 };

function watch(socket: Socket, ledger: Ledger): void {
  socket.on("ready", () => ledger.connections++);
  socket.on("gap", (gap) => ledger.fault(`gap: ${JSON.stringify(gap)}`));
  // A killed server cannot send this; after it the library would not reconnect.
  socket.on("closing", (why) => ledger.fault(`closing: ${JSON.stringify(why)}`));
}

const ownStream = Object.entries(CARRIERS).map(
  ([carrier, transports]): FollowerKind => ({
    name: `socket.io-client, ${carrier}`,
    follows: "notifications",
    follow({ url, token }) {
      const ledger = new Ledger();
      const socket = io(url, {
        ...RECONNECTION,
        transports,
        auth: (done) => done({ token, offset: ledger.offset ?? 0 }),
      });
      watch(socket, ledger);
      socket.on("notification", ({ offset, title }: { offset: number; title: string }) =>
        ledger.take(offset, Number(title)),
      );
      return { ledger, close: () => void socket.disconnect() };
    },
  }),
);

/** Follows the project, and asks for it again with each connection. */
const project: FollowerKind = {
  name: "socket.io-client, project",
  follows: "events",
  follow({ url, token, projectId }: FollowTarget) {
    const ledger = new Ledger();
    const socket = io(url, { ...RECONNECTION, transports: ["websocket"], auth: { token } });
    watch(socket, ledger);
    socket.on("connect", () => {
      socket.emit("subscribe", { stream: `project:${projectId}`, from: ledger.offset ?? "earliest" });
    });
    socket.on("event", ({ offset, payload }: { offset: number; payload: { n: number } }) =>
      ledger.take(offset, payload.n),
    );
    return { ledger, close: () => void socket.disconnect() };
  },
};

export const SOCKETIO_FOLLOWERS: readonly FollowerKind[] = [...ownStream, project];
