import { may, NO_KEYS, ownersAnd, scoped } from "./refusals.ts";
import { at, inWorld, type Rule, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

/** Only the sender knows of it yet. */
const LATER = { recipientId: "me", content: "c", delayMs: 2_592_000_000 };
const message = ({ message: id }: AccessWorld): string => `/api/v1/messages/${id}`;
const nobodyElses: Rule = (who) => (who.kind === "key" ? NO_KEYS : [404, "MESSAGE_NOT_FOUND"]);

const READS = ["messages:own", "messages:read_all"];

/** Contract 4.10. */
export const MESSAGES: Table = {
  "POST /api/v1/messages": { refusal: may("messages:own"), request: at("/api/v1/messages", LATER) },
  "GET /api/v1/messages": [
    { refusal: scoped(READS, may("messages:own")), request: at("/api/v1/messages") },
    {
      refusal: scoped(READS, may("messages:read_all")),
      request: inWorld((world) => `/api/v1/messages?userId=${world.keeper}`),
    },
  ],
  "GET /api/v1/messages/:id": {
    refusal: scoped(READS, ownersAnd("messages:read_all", "MESSAGE_NOT_FOUND")),
    request: inWorld(message),
  },
  "GET /api/v1/messages/:id/status": {
    refusal: scoped(READS, ownersAnd("messages:read_all", "MESSAGE_NOT_FOUND")),
    request: inWorld((world) => `${message(world)}/status`),
  },
  "PATCH /api/v1/messages/:id/read": {
    refusal: scoped(["messages:own"], nobodyElses),
    request: inWorld((world) => `${message(world)}/read`),
  },
  "DELETE /api/v1/messages/:id": { refusal: scoped(["messages:own"], nobodyElses), request: inWorld(message) },
};
