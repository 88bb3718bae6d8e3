import { atMentions, bytes, known, show } from "../support/services.ts";
import {
  at,
  type Reply,
  type Seen,
  type Service,
  type StandInRequest,
  textAt,
  unescapeHtml,
} from "../support/stand-in.ts";

const TOKEN = "syt_cHJpc20_secretsecretsecret_123456";
const ROOM = "!abcdefghijklmnopqr:example.org";
const TAGS = /<\/?strong>|<font color="#[0-9a-f]{6}">|<\/font>|<br>|<a href="https:[^"<>]*">|<\/a>/g;

function failed(status: number, errcode: string, more: Readonly<Record<string, unknown>> = {}): Reply {
  return { status, body: { errcode, error: errcode, ...more } };
}

/** https://spec.matrix.org/latest/client-server-api/#mroommessage-msgtypes: tags that clients show. */
function shownBy(content: unknown): { text: string; mentions: string[] } | null {
  const html = textAt(content, "formatted_body");
  const rest = html.replaceAll("<br>", "\n").replaceAll(TAGS, "");
  if (/[<>]/.test(rest) || at(content, "format") !== "org.matrix.custom.html") return null;
  if (at(content, "msgtype") !== "m.text" || textAt(content, "body") === "") return null;
  const room = atMentions(textAt(content, "body")).filter((name) => name === "@room");
  return { text: unescapeHtml(rest), mentions: [...room, ...Object.keys(Object(at(content, "m.mentions")))] };
}

export function matrixServer(): Service {
  const transactions = new Map<string, string>();
  return {
    preset: "matrix",
    fields: (base) => ({ url: base, token: TOKEN, room: ROOM }),
    secrets: [TOKEN],
    isIdempotent: true,
    answer({ method, path, headers, json, text }: StandInRequest, seen: Seen[]): Reply {
      if (headers.authorization !== `Bearer ${TOKEN}`) return failed(401, "M_UNKNOWN_TOKEN", { soft_logout: false });
      const [, room = "", txn = ""] =
        /^\/_matrix\/client\/v3\/rooms\/([^/]+)\/send\/m\.room\.message\/([^/]+)$/.exec(path) ?? [];
      if (method !== "PUT" || txn === "") return failed(404, "M_UNRECOGNIZED");
      if (decodeURIComponent(room) !== ROOM) return failed(403, "M_FORBIDDEN");
      if (bytes(text) > 65_536 - 500) return failed(413, "M_TOO_LARGE");
      const relation = textAt(json, "m.relates_to", "rel_type");
      const event = textAt(json, "m.relates_to", "event_id");
      const repeated = relation === "" ? transactions.get(txn) : undefined;
      const content = relation === "m.replace" ? at(json, "m.new_content") : json;
      const shown = shownBy(content);
      if (!shown) return failed(400, "M_BAD_JSON");
      if (relation !== "" && !known(seen, event)) return failed(404, "M_NOT_FOUND");
      if (repeated !== undefined) return { status: 200, body: { event_id: repeated } };
      const id = relation === "m.replace" ? event : `$event${seen.length + 1}`;
      show(seen, { id, ...shown, ...(relation === "m.thread" ? { parent: event } : {}) });
      transactions.set(txn, id);
      return { status: 200, body: { event_id: id } };
    },
  };
}
