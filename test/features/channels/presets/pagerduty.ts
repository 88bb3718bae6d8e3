import { at, type Reply, type Seen, type Service, type StandInRequest, textAt } from "../support/stand-in.ts";

const KEY = "0123456789abcdefSECRET0123456789";

function invalid(error: string): Reply {
  return { status: 400, body: { status: "invalid event", message: "Event object is invalid", errors: [error] } };
}

/** https://developer.pagerduty.com/docs/send-alert-event */
export function pagerdutyEvents(): Service {
  return {
    preset: "pagerduty",
    fields: (base) => ({ key: KEY, api: base }),
    secrets: [KEY],
    isIdempotent: true,
    answer({ path, json, text }: StandInRequest, seen: Seen[]): Reply {
      if (path !== "/v2/enqueue") return { status: 404, body: "" };
      if (Buffer.byteLength(text) > 524_288) return { status: 413, body: "" };
      if (at(json, "routing_key") !== KEY) return invalid("Invalid routing key");
      const action = textAt(json, "event_action");
      const key = textAt(json, "dedup_key");
      if (key === "" || key.length > 255) return invalid("Length of 'dedup_key' is incorrect");
      const known = seen.find(({ id }) => id === key);
      const accepted = { status: 202, body: { status: "success", message: "Event processed", dedup_key: key } };
      if (action !== "trigger") {
        if (known) known.state = action === "acknowledge" ? "acknowledged" : "resolved";
        return accepted;
      }
      const summary = textAt(json, "payload", "summary");
      if (summary === "" || Array.from(summary).length > 1024) return invalid("Length of 'summary' is incorrect");
      if (!["critical", "error", "warning", "info"].includes(textAt(json, "payload", "severity")))
        return invalid("'severity' is invalid");
      if (textAt(json, "payload", "source") === "") return invalid("'source' is missing");
      const shown = { text: `${summary}\n${textAt(json, "payload", "custom_details", "message")}`, mentions: [] };
      if (known) Object.assign(known, shown, { edits: known.edits + 1 });
      else seen.push({ id: key, edits: 0, state: "triggered", ...shown });
      return accepted;
    },
  };
}
