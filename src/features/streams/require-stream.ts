import { PrismError } from "../../core/errors.ts";
import type { Principal } from "../../core/principal.ts";
import { type ProjectNames, resolveStreamName, type StreamRef } from "../../live/stream.ts";

/** The stream that a caller means. @throws CHANNEL_FORBIDDEN for what names none */
export function requireStream(principal: Principal, name: string, projects: ProjectNames): StreamRef {
  const userId = principal.kind === "apiKey" ? null : principal.userId;
  const stream = resolveStreamName(name, { userId, projects });
  if (!stream) throw noSuchStream();
  return stream;
}

/** Also said of streams that there are, as on the socket: whoever may not use them learns nothing. */
export function noSuchStream(): PrismError {
  return new PrismError("CHANNEL_FORBIDDEN", "You may not use this stream, or there is none");
}
