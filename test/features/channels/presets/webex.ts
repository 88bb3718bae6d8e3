import { angleMentions, bytes, hasOnly, known, show, unescapeMarkdown } from "../support/services.ts";
import { at, type Reply, type Seen, type Service, type StandInRequest, textAt } from "../support/stand-in.ts";

const TOKEN = "ZDI3MGEyYzQtNmFlNS00NDNhLWFlNzAtZGVjNjE0MGU1OGZmZWNk_secret";
const ROOM = "Y2lzY29zcGFyazovL3VzL1JPT00vYWJj";

function failed(status: number, message: string): Reply {
  return { status, body: { message, errors: [{ description: message }], trackingId: "ROUTER_1" } };
}

export function webexApi(): Service {
  return {
    preset: "webex",
    fields: (base) => ({ token: TOKEN, room: ROOM, api: base }),
    secrets: [TOKEN],
    answer({ method, path, headers, json }: StandInRequest, seen: Seen[]): Reply {
      if (headers.authorization !== `Bearer ${TOKEN}`)
        return failed(401, "The request requires a valid access token set in the Authorization request header.");
      if (!hasOnly(json, ["roomId", "toPersonEmail", "markdown", "parentId"])) return failed(400, "Invalid member");
      if (at(json, "roomId") !== ROOM) return failed(404, "Could not find a room with provided ID.");
      const markdown = textAt(json, "markdown");
      if (bytes(markdown) > 7439) return failed(400, "Message length limited to 7439 bytes");
      const shown = { text: unescapeMarkdown(markdown), mentions: angleMentions(markdown) };
      const [, id] = /^\/v1\/messages\/(\w+)$/.exec(path) ?? [];
      if (id === undefined && path !== "/v1/messages") return failed(404, "Not found");
      if (id !== undefined && (method !== "PUT" || (known(seen, id)?.edits ?? 10) >= 10))
        return failed(400, "Unable to edit message");
      const parent = textAt(json, "parentId");
      const message = show(seen, { id: id ?? `M${seen.length + 1}`, ...shown, ...(parent === "" ? {} : { parent }) });
      return { status: 200, body: { id: message.id, roomId: ROOM, markdown } };
    },
  };
}
