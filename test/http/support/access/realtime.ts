import type { Known } from "./known.ts";
import { holds, inShop, may, readEvents } from "./refusals.ts";
import { at, open, type Refusal, type Row, type Rule, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const upgradeOnly = (path: string): Row => ({ ...open(path), served: [426, "UPGRADE_REQUIRED"] });

/** Without a session and what begins one. */
const notSocketIo: Row = { ...open("/socket.io/"), served: [400, "VALIDATION_FAILED"] };

const ENTRY = { type: "x", data: 1 };
const NO_CHANNEL: Refusal = [403, "CHANNEL_FORBIDDEN"];

const isPublisher = ({ member }: Extract<Known, { kind: "user" }>): boolean => member !== null && member !== "viewer";

/** Contract 4.12, 5.3. */
export const REALTIME: Table = {
  "GET /ws": upgradeOnly("/ws"),
  "GET /ws/updates": upgradeOnly("/ws/updates"),
  "GET /socket.io/": notSocketIo,
  "POST /socket.io/": notSocketIo,
  "PUT /socket.io/": notSocketIo,
  "GET /app/:key": upgradeOnly("/app/any"),
  "GET /api/v1/realtime/:projectId": upgradeOnly("/api/v1/realtime/default"),
  "POST /api/v1/realtime/ticket": { refusal: () => null, request: at("/api/v1/realtime/ticket", {}) },
  "POST /api/v1/realtime/publish": [
    {
      // Both keys are of other projects than the default one.
      refusal: (who) => may("realtime:publish", "realtime:publish")(who) ?? (who.kind === "key" ? NO_CHANNEL : null),
      request: at("/api/v1/realtime/publish", { ...ENTRY, stream: "channel:a" }),
    },
    {
      refusal: (who) => {
        const isIn = who.kind === "key" ? who.isOfShop : isPublisher(who) || holds(who, "projects:all");
        return may("realtime:publish", "realtime:publish")(who) ?? (isIn ? null : NO_CHANNEL);
      },
      request: ({ shop }) => ({
        path: "/api/v1/realtime/publish",
        body: { ...ENTRY, stream: `channel:${shop}/a` },
      }),
    },
  ],
  "GET /api/v1/realtime/:projectId/sse": {
    refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
    request: (world) => ({ path: `/api/v1/realtime/${world.shop}/sse`, method: "HEAD" }),
  },
};

/** The same for WebSocket upgrades: their answers instead of 101. */
export const UPGRADES: readonly { readonly path: (world: AccessWorld) => string; readonly refusal: Rule }[] = [
  { path: () => "/ws", refusal: () => null },
  { path: () => "/ws/updates", refusal: may("tasks:own") },
  ...["", "/api/v1"].map((prefix) => ({
    path: ({ shop: id }: AccessWorld) => `${prefix}/realtime/${id}`,
    refusal: (who: Known): Refusal | null =>
      who.kind === "key" && !who.isOfShop
        ? [404, "PROJECT_NOT_FOUND"]
        : inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" })(who),
  })),
];
