import * as v from "valibot";
import { toRfc3339 } from "../../core/clock.ts";
import { LEVELS } from "../../core/levels.ts";
import { integer, object } from "../../http/shapes.ts";
import type { SocketProtocol } from "../live-socket.ts";
import { MAX_STREAM_LENGTH } from "../stream.ts";
import { TOKEN } from "./renew-token.ts";

export const MAX_ID_LENGTH = 64;

const id = v.optional(v.pipe(v.string(), v.maxLength(MAX_ID_LENGTH)));
const stream = v.pipe(v.string(), v.maxLength(MAX_STREAM_LENGTH));
const offset = integer(0, Number.MAX_SAFE_INTEGER);

/** What a client may say (contract 5.2). */
export const ClientMessage = v.variant("op", [
  object({
    op: v.literal("subscribe"),
    id,
    stream,
    from: v.optional(v.union([offset, v.picklist(["latest", "earliest"])])),
    filter: v.optional(
      object({
        type: v.optional(v.pipe(v.string(), v.maxLength(100))),
        level: v.optional(v.pipe(v.array(v.picklist(LEVELS)), v.maxLength(LEVELS.length))),
      }),
    ),
    ack: v.optional(v.boolean()),
  }),
  object({ op: v.literal("unsubscribe"), id, stream }),
  object({ op: v.literal("ack"), id, stream, offset }),
  object({ op: v.literal("ping"), id }),
  object({ op: v.literal("auth"), id, token: TOKEN }),
]);
export type ClientMessage = v.InferOutput<typeof ClientMessage>;

/** The messages that carry a stream. */
export const nativeProtocol: SocketProtocol = {
  transport: "websocket",
  entryText: (stream, entry) =>
    `{"op":"event","stream":${JSON.stringify(stream)},"offset":${entry.offset},"type":${JSON.stringify(entry.type)},"data":${entry.data},"ts":"${toRfc3339(entry.at)}","correlationId":${JSON.stringify(entry.correlationId)}}`,
  gapText: (stream, gap) => JSON.stringify({ op: "gap", stream, ...gap }),
  expiringText: (expiresAt) => JSON.stringify({ op: "auth_expiring", expiresAt: toRfc3339(expiresAt) }),
};
