import { bytes, hasOnly, listAt, show, textsOfCard } from "../support/services.ts";
import { at, type Reply, type Seen, type Service, type StandInRequest, textAt } from "../support/stand-in.ts";

const SIGNATURE = "sigSecret-abcdefghijklmnopqrstuvwxyz_0123456";
const PATH = "/workflows/0123456789abcdef/triggers/manual/paths/invoke";
const QUERY = `api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=${SIGNATURE}`;
const URL_OF_FLOW = `https://prod-01.westeurope.logic.azure.com:443${PATH}?${QUERY}`;

const COLORS = ["Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention", ""];

function failed(status: number, code: string): Reply {
  return { status, body: { error: { code, message: code } } };
}

/** https://adaptivecards.io/explorer: what a card of version 1.4 may hold. */
function isCard(card: unknown): boolean {
  if (at(card, "type") !== "AdaptiveCard" || at(card, "version") !== "1.4") return false;
  if (at(card, "$schema") !== "http://adaptivecards.io/schemas/adaptive-card.json") return false;
  const isBody = listAt(card, "body").every((element) => {
    if (at(element, "type") === "FactSet")
      return (
        listAt(element, "facts").length > 0 &&
        listAt(element, "facts").every((fact) => textAt(fact, "title") !== "" && textAt(fact, "value") !== "")
      );
    return (
      at(element, "type") === "TextBlock" && textAt(element, "text") !== "" && COLORS.includes(textAt(element, "color"))
    );
  });
  const isAction = (action: unknown): boolean =>
    at(action, "type") === "Action.OpenUrl" && URL.canParse(textAt(action, "url"));
  return isBody && listAt(card, "actions").every(isAction);
}

export function teamsWorkflow(): Service {
  return {
    preset: "teams",
    fields: (base) => ({ url: URL_OF_FLOW, api: base }),
    secrets: [URL_OF_FLOW, SIGNATURE],
    answer({ method, path, query, json, text }: StandInRequest, seen: Seen[]): Reply {
      if (path !== PATH) return failed(404, "WorkflowNotFound");
      if (query.get("sig") !== SIGNATURE) return failed(401, "DirectApiAuthorizationRequired");
      if (method !== "POST" || json === undefined) return failed(400, "TriggerInputSchemaMismatch");
      if (bytes(text) > 28_672) return { status: 413, body: "Request Entity Too Large" };
      const [attachment, ...rest] = listAt(json, "attachments");
      const isMessage =
        at(json, "type") === "message" && rest.length === 0 && hasOnly(json, ["type", "summary", "attachments"]);
      const type = "application/vnd.microsoft.card.adaptive";
      if (!isMessage || at(attachment, "contentType") !== type || !isCard(at(attachment, "content")))
        return failed(400, "TriggerInputSchemaMismatch");
      show(seen, { id: String(seen.length + 1), text: textsOfCard(at(attachment, "content")) });
      return { status: 202 };
    },
  };
}
