import type { Hub } from "../../live/hub.ts";
import { parseStreamName } from "../../live/stream.ts";
import type { LoggedEntry } from "../../store/effect.ts";

/** A row of `stream_log` goes out to those who follow its stream now. */
export function announceEntry(
  hub: Hub,
  { stream, offset, entryType: type, data, at, correlationId, except }: LoggedEntry,
): void {
  const entry = { offset, type, data: data ?? fullText(hub, stream, offset), at, correlationId };
  hub.publishLogged(stream, except === undefined ? entry : { ...entry, except });
}

/** What the history makes of a row that does not say everything; empty while nobody follows the stream. */
function fullText(hub: Hub, name: string, offset: number): string {
  const stream = hub.isFollowed(name) ? parseStreamName(name) : undefined;
  const [entry] = stream ? hub.history.read(stream, offset - 1, offset).entries : [];
  return entry?.data ?? "";
}
