import { basicOf, bytes, codePoints, hasOnly, known, listAt, show, titleAndMessage } from "../support/services.ts";
import { at, type Reply, type Seen, type Service, type StandInRequest, textAt } from "../support/stand-in.ts";

const GENIE = "eb243592-faa2-4ba2-a551-secretsecret";

/** https://docs.opsgenie.com/docs/alert-api */
export function opsgenieApi(): Service {
  const accepted = { status: 202, body: { result: "Request will be processed", took: 0.3, requestId: "43a29c5c" } };
  const refused: Reply = { status: 422, body: { message: "Request body is not processable.", errors: {} } };
  return {
    preset: "opsgenie",
    fields: (base) => ({ key: GENIE, team: "ops", api: base }),
    secrets: [GENIE],
    isIdempotent: true,
    answer({ path, query, headers, json }: StandInRequest, seen: Seen[]): Reply {
      if (headers.authorization !== `GenieKey ${GENIE}`)
        return { status: 401, body: { message: "Could not authenticate" } };
      const [, alias, action] = /^\/v2\/alerts\/([^/]+)\/(close|acknowledge)$/.exec(path) ?? [];
      if (alias !== undefined) {
        const alert = known(seen, decodeURIComponent(alias));
        if (query.get("identifierType") !== "alias") return refused;
        if (alert) alert.state = action === "close" ? "resolved" : "acknowledged";
        return accepted;
      }
      if (path !== "/v2/alerts") return { status: 404, body: { message: "Not found" } };
      const limits: [string, number][] = [
        ["message", 130],
        ["alias", 512],
        ["description", 15_000],
        ["source", 100],
      ];
      if (limits.some(([name, limit]) => codePoints(textAt(json, name)) > limit) || textAt(json, "message") === "")
        return refused;
      if (!/^P[1-5]$/.test(textAt(json, "priority")) || listAt(json, "tags").length > 20) return refused;
      if (bytes(JSON.stringify(at(json, "details") ?? {})) > 8000) return refused;
      show(seen, { id: textAt(json, "alias"), text: titleAndMessage(json, "message", "description") });
      return accepted;
    },
  };
}

const TEAM_SECRET = "abcd1234secret";

export function signl4Team(): Service {
  return {
    preset: "signl4",
    fields: (base) => ({ secret: TEAM_SECRET, api: base }),
    secrets: [TEAM_SECRET],
    isIdempotent: true,
    answer({ path, json }: StandInRequest, seen: Seen[]): Reply {
      if (path !== `/webhook/${TEAM_SECRET}`) return { status: 404, body: "" };
      const id = textAt(json, "X-S4-ExternalID");
      const status = textAt(json, "X-S4-Status");
      if (id === "" || !["new", "acknowledged", "resolved"].includes(status))
        return { status: 400, body: "Bad Request" };
      if (status === "new") show(seen, { id, text: titleAndMessage(json, "Title", "Message") });
      const alert = known(seen, id);
      if (alert && status !== "new") alert.state = status;
      return { status: 200, body: { eventId: "2517456790999999999_39b5a2bb" } };
    },
  };
}

const SPLUNK_KEY = "558e7ebc-0000-secret-0000-000000000000";

export function splunkEndpoint(): Service {
  const STATES: Readonly<Record<string, string>> = { ACKNOWLEDGEMENT: "acknowledged", RECOVERY: "resolved" };
  return {
    preset: "splunk-on-call",
    fields: (base) => ({ key: SPLUNK_KEY, route: "database", api: base }),
    secrets: [SPLUNK_KEY],
    isIdempotent: true,
    answer({ path, json }: StandInRequest, seen: Seen[]): Reply {
      if (path !== `/integrations/generic/20131114/alert/${SPLUNK_KEY}/database`) return { status: 404, body: "" };
      const id = textAt(json, "entity_id");
      const type = textAt(json, "message_type");
      if (!["CRITICAL", "WARNING", "INFO", ...Object.keys(STATES)].includes(type) || codePoints(id) > 512)
        return { status: 200, body: { result: "failure", message: "unknown message_type" } };
      if (codePoints(textAt(json, "state_message")) > 20_480)
        return { status: 200, body: { result: "failure", message: "too long" } };
      const state = STATES[type];
      const incident = known(seen, id);
      if (state === undefined) show(seen, { id, text: titleAndMessage(json, "entity_display_name", "state_message") });
      else if (incident) incident.state = state;
      return { status: 200, body: { result: "success", entity_id: id } };
    },
  };
}

const SOURCE = "01GW2G3V0S59R238FAHPDS1R66";
const SOURCE_TOKEN = "0123456789secret0123456789abcdef";

export function incidentIoSource(): Service {
  return {
    preset: "incident-io",
    fields: (base) => ({ source: SOURCE, token: SOURCE_TOKEN, api: base }),
    secrets: [SOURCE_TOKEN],
    isIdempotent: true,
    answer({ path, headers, json, text }: StandInRequest, seen: Seen[]): Reply {
      if (path !== `/v2/alert_events/http/${SOURCE}`) return { status: 404, body: { type: "not_found" } };
      if (headers.authorization !== `Bearer ${SOURCE_TOKEN}`)
        return { status: 401, body: { type: "authentication_error" } };
      const members = ["title", "description", "status", "deduplication_key", "source_url", "metadata"];
      const status = textAt(json, "status");
      const isValid = textAt(json, "title") !== "" && ["firing", "resolved"].includes(status) && hasOnly(json, members);
      if (!isValid || bytes(text) > 524_288) return { status: 422, body: { type: "validation_error", errors: [] } };
      const id = textAt(json, "deduplication_key");
      const alert = known(seen, id);
      if (status === "firing") show(seen, { id, text: titleAndMessage(json, "title", "description") });
      else if (alert) alert.state = "resolved";
      return {
        status: 202,
        body: { deduplication_key: id, message: "Event accepted for processing", status: "success" },
      };
    },
  };
}

const JIRA_TOKEN = "ATATT3xFfGF0secretsecret";

const invalid = (errors: Readonly<Record<string, string>>): Reply => ({
  status: 400,
  body: { errorMessages: [], errors },
});

export function jiraSite(): Service {
  return {
    preset: "jira",
    fields: (base) => ({ url: base, email: "ada@example.com", token: JIRA_TOKEN, project: "OPS" }),
    secrets: [JIRA_TOKEN],
    answer(request: StandInRequest, seen: Seen[]): Reply {
      const { path, json } = request;
      if (basicOf(request) !== `ada@example.com:${JIRA_TOKEN}`)
        return { status: 401, body: "Client must be authenticated" };
      const [, issue] = /^\/rest\/api\/2\/issue\/([\w-]+)\/comment$/.exec(path) ?? [];
      if (issue !== undefined) return comment(seen, issue, textAt(json, "body"));
      if (path !== "/rest/api/2/issue") return { status: 404, body: "" };
      const fields = at(json, "fields");
      if (at(fields, "project", "key") !== "OPS") return invalid({ project: "valid project is required" });
      if (at(fields, "issuetype", "name") !== "Task") return invalid({ issuetype: "issue type is required" });
      const [summary, description] = [textAt(fields, "summary"), textAt(fields, "description")];
      if (summary === "" || summary.length > 255 || /[\r\n]/.test(summary))
        return invalid({ summary: "The summary is invalid" });
      if (description.length > 32_767) return invalid({ description: "The entered text is too long" });
      if (listAt(fields, "labels").some((label) => /\s/.test(String(label))))
        return invalid({ labels: "The label has spaces" });
      const { id } = show(seen, { id: `OPS-${seen.length + 24}`, text: `${summary}\n${description}` });
      return { status: 201, body: { id: "10000", key: id } };
    },
  };
}

function comment(seen: Seen[], parent: string, text: string): Reply {
  if (!known(seen, parent)) return { status: 404, body: { errorMessages: ["Issue does not exist"], errors: {} } };
  if (text === "" || text.length > 32_767) return invalid({ comment: "The entered text is too long" });
  show(seen, { id: `comment-${seen.length}`, text, parent });
  return { status: 201, body: { id: "10001" } };
}
