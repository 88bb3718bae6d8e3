import * as v from "valibot";
import { toRfc3339 } from "../../core/clock.ts";
import { callerOf } from "../../http/caller-of.ts";
import { type Route, route } from "../../http/route.ts";
import { object } from "../../http/shapes.ts";
import { MAX_STREAM_LENGTH, streamName } from "../../live/stream.ts";
import type { RealtimeContext } from "./context.ts";
import { noSuchStream, requireStream } from "./require-stream.ts";

const TicketBody = object({
  stream: v.optional(
    v.pipe(
      v.string("must be a string"),
      v.maxLength(MAX_STREAM_LENGTH),
      v.description("The only stream that may be followed with it, such as user:me; absent: all that the caller may"),
    ),
  ),
});

/** `POST /realtime/ticket` (contract 4.12): a credential for one live connection, for clients that can only put it into a URL. */
export function ticketRoute({ realtimeAccess, tickets, projects }: RealtimeContext): Route {
  return route({
    method: "POST",
    path: "/api/v1/realtime/ticket",
    summary: "A ticket that opens one live connection as ?ticket=, within a minute",
    tag: "Realtime",
    access: { anyKey: true, anyToken: true },
    body: TicketBody,
    status: 201,
    response: v.object({ ticket: v.string(), expiresAt: v.string() }),
    errors: ["CHANNEL_FORBIDDEN"],
    handle(exchange, { body }) {
      const principal = callerOf(exchange);
      const stream = body.stream === undefined ? undefined : requireStream(principal, body.stream, projects);
      if (stream && realtimeAccess.check(principal, stream) !== "allowed") throw noSuchStream();
      const { ticket, expiresAt } = tickets.issue(principal, stream && streamName(stream));
      return { ticket, expiresAt: toRfc3339(expiresAt) };
    },
  });
}
