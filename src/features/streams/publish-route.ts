import * as v from "valibot";
import type { Json } from "../../core/json-text.ts";
import type { Principal } from "../../core/principal.ts";
import { callerOf } from "../../http/caller-of.ts";
import { IDEMPOTENCY_ERRORS } from "../../http/idempotency.ts";
import { Reply, type Route, route } from "../../http/route.ts";
import { jsonValue, object, text } from "../../http/shapes.ts";
import { type LoggedStream, MAX_STREAM_LENGTH, streamName } from "../../live/stream.ts";
import type { RealtimeContext } from "./context.ts";
import { noSuchStream, requireStream } from "./require-stream.ts";

const PublishBody = object({
  stream: v.pipe(
    v.string("must be a string"),
    v.maxLength(MAX_STREAM_LENGTH),
    v.description("channel:<name> of the project default, or channel:<projectId>/<name>"),
  ),
  type: v.pipe(text(64, 1), v.description("What followers tell entries apart by")),
  data: v.pipe(jsonValue(65_536), v.description("Any JSON, sent as it came")),
});

/** `POST /realtime/publish` (contract 4.12): an entry of a channel, kept and sent to whoever follows it. */
export function publishRoute({ db, idempotency, projects, realtime, storage }: RealtimeContext): Route {
  /** @throws CHANNEL_FORBIDDEN for what is no channel, or one of a project in which the caller may not publish */
  function channelOf(principal: Principal, name: string): LoggedStream {
    const stream = requireStream(principal, name, projects);
    if (stream.kind !== "channel") throw noSuchStream();
    const projectId = stream.projectId ?? projects.defaultId;
    if (!projects.exists(projectId) || !projects.has(principal, projectId, "realtime:publish")) throw noSuchStream();
    return stream;
  }

  return route({
    method: "POST",
    path: "/api/v1/realtime/publish",
    summary: "Publish to a channel; followers get it live, or later by its offset",
    tag: "Realtime",
    access: { permission: "realtime:publish", keyScope: "realtime:publish" },
    body: PublishBody,
    status: 202,
    response: v.object({ offset: v.number() }),
    errors: ["CHANNEL_FORBIDDEN", ...IDEMPOTENCY_ERRORS],
    handle(exchange, { body }) {
      const principal = callerOf(exchange);
      const stream = channelOf(principal, body.stream);
      return idempotency.run(exchange, principal, body, db, async (trx) => {
        storage.requireSpace();
        return new Reply(202, await realtime.publish(streamName(stream), body.type, body.data as Json, { trx }));
      });
    },
  });
}
