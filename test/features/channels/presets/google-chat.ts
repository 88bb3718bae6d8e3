import { angleMentions, bytes, listAt, show, textsOfCard } from "../support/services.ts";
import {
  at,
  type Reply,
  type Seen,
  type Service,
  type StandInRequest,
  textAt,
  unescapeHtml,
} from "../support/stand-in.ts";

const TOKEN = "secret-token-of-the-webhook%3D";
const PATH = "/v1/spaces/AAAAabcdefg/messages";
const HOOK = `https://chat.googleapis.com${PATH}?key=AIzaSyKeyOfTheProject&token=${TOKEN}`;

function failed(code: number, status: string, message = status): Reply {
  return { status: code, body: { error: { code, message, status } } };
}

/** https://developers.google.com/workspace/chat/api/reference/rest/v1/cards: one kind of widget each. */
function isWidget(widget: unknown): boolean {
  const [kind = "", ...more] = Object.keys(Object(widget));
  if (more.length > 0) return false;
  if (kind === "textParagraph") return textAt(widget, kind, "text") !== "";
  if (kind === "decoratedText") return textAt(widget, kind, "text") !== "";
  return (
    kind === "buttonList" &&
    listAt(at(widget, kind), "buttons").every((button) => {
      return textAt(button, "text") !== "" && URL.canParse(textAt(button, "onClick", "openLink", "url"));
    })
  );
}

export function googleChatWebhook(): Service {
  const requests = new Map<string, string>();
  return {
    preset: "google-chat",
    fields: (base) => ({ url: HOOK, api: base }),
    secrets: [HOOK, decodeURIComponent(TOKEN), "AIzaSyKeyOfTheProject"],
    isIdempotent: true,
    answer({ path, query, json, text }: StandInRequest, seen: Seen[]): Reply {
      if (path !== PATH) return failed(404, "NOT_FOUND");
      if (query.get("key") !== "AIzaSyKeyOfTheProject" || query.get("token") !== decodeURIComponent(TOKEN))
        return failed(401, "UNAUTHENTICATED");
      if (bytes(text) > 32_000) return failed(400, "INVALID_ARGUMENT", "Message is too long");
      const card = at(json, "cardsV2", 0, "card");
      const widgets = listAt(at(card, "sections", 0), "widgets");
      if (widgets.length === 0 || !widgets.every(isWidget)) return failed(400, "INVALID_ARGUMENT", "Unknown name");
      const requestId = query.get("requestId") ?? "";
      if (!/^[0-9a-f-]{36}$/.test(requestId)) return failed(400, "INVALID_ARGUMENT", "requestId");
      const repeated = requests.get(requestId);
      if (repeated !== undefined) return { status: 200, body: { name: repeated } };
      const shown = unescapeHtml(textsOfCard([at(card, "header"), widgets]));
      const mentions = angleMentions(textAt(json, "text") + textAt(json, "fallbackText"));
      const { id } = show(seen, { id: `spaces/AAAA/messages/m${seen.length + 1}`, text: shown, mentions });
      requests.set(requestId, id);
      const thread = { name: "spaces/AAAA/threads/t", threadKey: textAt(json, "thread", "threadKey") };
      return { status: 200, body: { name: id, thread } };
    },
  };
}
