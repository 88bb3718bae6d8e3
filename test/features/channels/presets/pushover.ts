import { codePoints, hasOnly, show, titleAndMessage } from "../support/services.ts";
import { at, type Reply, type Seen, type Service, type StandInRequest, textAt } from "../support/stand-in.ts";

const TOKEN = "azGDORePK8gMaC0QOYAMyEEsecret1";
const USER = "uQiRzpo4DXghDmr9QzzfQu27secret";
const MEMBERS = ["token", "user", "device", "sound", "title", "message", "url", "url_title", "priority"];

function failed(error: string): Reply {
  return { status: 400, body: { errors: [error], status: 0, request: "5042853c" } };
}

/** https://pushover.net/api#limits, https://pushover.net/api/receipts */
export function pushoverApi(): Service {
  const tags = new Map<string, Seen>();
  return {
    preset: "pushover",
    fields: (base) => ({ token: TOKEN, user: USER, api: base }),
    secrets: [TOKEN, USER],
    answer({ method, path, json }: StandInRequest, seen: Seen[]): Reply {
      if (method !== "POST" || at(json, "token") !== TOKEN) return failed("application token is invalid");
      const [, tag] = /^\/1\/receipts\/cancel_by_tag\/(\w+)\.json$/.exec(path) ?? [];
      if (tag !== undefined) {
        const message = tags.get(tag);
        if (message) message.state = "resolved";
        return { status: 200, body: { status: 1, canceled: message ? 1 : 0, request: "r" } };
      }
      if (path !== "/1/messages.json") return { status: 404, body: "" };
      if (at(json, "user") !== USER)
        return failed("user identifier is not a valid user, group, or subscribed user key");
      const isEmergency = at(json, "priority") === 2;
      if (!hasOnly(json, isEmergency ? [...MEMBERS, "retry", "expire", "tags", "callback"] : MEMBERS))
        return failed("unknown member");
      if (textAt(json, "message") === "") return failed("message cannot be blank");
      if (codePoints(textAt(json, "message")) > 1024) return failed("message is too long");
      if (codePoints(textAt(json, "title")) > 250) return failed("title is too long");
      if (textAt(json, "url").length > 512 || textAt(json, "url_title").length > 100) return failed("url is too long");
      if (isEmergency && (Number(at(json, "retry")) < 30 || Number(at(json, "expire")) > 10_800))
        return failed("retry");
      const message = show(seen, { id: `r${seen.length + 1}`, text: titleAndMessage(json, "title", "message") });
      if (isEmergency) tags.set(textAt(json, "tags"), message);
      return { status: 200, body: { status: 1, request: "r", ...(isEmergency ? { receipt: `K${message.id}` } : {}) } };
    },
  };
}
