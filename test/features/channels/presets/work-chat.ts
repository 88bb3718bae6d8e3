import { createHmac } from "node:crypto";
import {
  angleMentions,
  atMentions,
  bytes,
  hasOnly,
  listAt,
  show,
  textsOfCard,
  unescapeMarkdown,
} from "../support/services.ts";
import { at, type Reply, type Seen, type Service, type StandInRequest, textAt } from "../support/stand-in.ts";

const LARK_PATH = "/open-apis/bot/v2/hook/0123-4567-secret-of-the-bot";
const LARK_SECRET = "larkSecretabcdefghijkl";

const larkAnswer = (code: number, msg: string): Reply => ({ status: 200, body: { code, data: {}, msg } });

/** https://open.larksuite.com/document/client-docs/bot-v3/add-custom-bot: cards of plain text. */
function isLarkElement(element: unknown): boolean {
  if (at(element, "tag") === "div") {
    const texts = [at(element, "text"), ...listAt(element, "fields").map((field) => at(field, "text"))].filter(Boolean);
    return (
      texts.length > 0 && texts.every((text) => at(text, "tag") === "plain_text" && textAt(text, "content") !== "")
    );
  }
  if (at(element, "tag") === "note") return listAt(element, "elements").length > 0;
  return (
    at(element, "tag") === "action" && listAt(element, "actions").every((button) => URL.canParse(textAt(button, "url")))
  );
}

export function larkBot(): Service {
  return {
    preset: "lark",
    fields: (base) => ({ url: `https://open.larksuite.com${LARK_PATH}`, secret: LARK_SECRET, api: base }),
    secrets: [`https://open.larksuite.com${LARK_PATH}`, "0123-4567-secret-of-the-bot", LARK_SECRET],
    answer({ path, json, text }: StandInRequest, seen: Seen[]): Reply {
      if (path !== LARK_PATH) return larkAnswer(19_001, "param invalid: incoming webhook access token invalid");
      const timestamp = textAt(json, "timestamp");
      const expected = createHmac("sha256", `${timestamp}\n${LARK_SECRET}`).update("").digest("base64");
      if (!/^\d{10}$/.test(timestamp) || at(json, "sign") !== expected) return larkAnswer(19_021, "sign match fail");
      if (bytes(text) > 20_480) return larkAnswer(9499, "Bad Request: the request body is too large");
      const elements = listAt(at(json, "card"), "elements");
      if (at(json, "msg_type") !== "interactive" || !elements.every(isLarkElement))
        return larkAnswer(9499, "Bad Request");
      const shown = textsOfCard([at(json, "card", "header"), elements]);
      show(seen, {
        id: String(seen.length + 1),
        text: shown,
        mentions: angleMentions(shown).filter((name) => name.startsWith("<at")),
      });
      return { status: 200, body: { StatusCode: 0, StatusMessage: "success", code: 0, data: {}, msg: "success" } };
    },
  };
}

const DING_TOKEN = "0123abcdsecretTokenOfTheRobot";
const DING_SECRET = "SEC0123456789abcdefSecret";

export function dingtalkRobot(): Service {
  const answer = (errcode: number, errmsg: string): Reply => ({ status: 200, body: { errcode, errmsg } });
  const url = `https://oapi.dingtalk.com/robot/send?access_token=${DING_TOKEN}`;
  return {
    preset: "dingtalk",
    fields: (base) => ({ url, secret: DING_SECRET, api: base }),
    secrets: [url, DING_TOKEN, DING_SECRET],
    answer({ path, query, json, text }: StandInRequest, seen: Seen[]): Reply {
      if (path !== "/robot/send" || query.get("access_token") !== DING_TOKEN)
        return answer(300_005, "token is not exist");
      const timestamp = query.get("timestamp") ?? "";
      const expected = createHmac("sha256", DING_SECRET).update(`${timestamp}\n${DING_SECRET}`).digest("base64");
      if (!/^\d{13}$/.test(timestamp) || query.get("sign") !== expected) return answer(310_000, "sign not match");
      if (bytes(text) > 20_000) return answer(460_101, "message too long, exceed 20000 bytes");
      const card = at(json, "actionCard");
      if (at(json, "msgtype") !== "actionCard" || textAt(card, "title") === "") return answer(40_035, "参数异常");
      if (!listAt(card, "btns").every((button) => hasOnly(button, ["title", "actionURL"])))
        return answer(40_035, "参数异常");
      const markdown = textAt(card, "text");
      const shown = [unescapeMarkdown(markdown), ...listAt(card, "btns").map(textsOfCard)].join("\n");
      show(seen, { id: String(seen.length + 1), text: shown, mentions: atMentions(markdown) });
      return answer(0, "ok");
    },
  };
}

const WECOM_KEY = "693a91f6-7abc-secret-of-the-robot";

export function wecomRobot(): Service {
  const answer = (errcode: number, errmsg: string): Reply => ({ status: 200, body: { errcode, errmsg } });
  const url = `https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=${WECOM_KEY}`;
  return {
    preset: "wecom",
    fields: (base) => ({ url, api: base }),
    secrets: [url, WECOM_KEY],
    answer({ path, query, json }: StandInRequest, seen: Seen[]): Reply {
      if (path !== "/cgi-bin/webhook/send" || query.get("key") !== WECOM_KEY)
        return answer(93_000, "invalid webhook url");
      if (at(json, "msgtype") !== "markdown") return answer(40_008, "invalid message type");
      const markdown = textAt(json, "markdown", "content");
      if (bytes(markdown) > 4096) return answer(40_058, "markdown.content exceed max length 4096");
      show(seen, { id: String(seen.length + 1), text: markdown, mentions: angleMentions(markdown) });
      return answer(0, "ok");
    },
  };
}
