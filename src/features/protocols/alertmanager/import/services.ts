import { basicOf, bearerOf, requirePlainHttp } from "./http.ts";
import { isTemplate, joined, type YamlEntry, type YamlObject } from "./yaml-file.ts";

/* The services of Alertmanager's receivers as channels of Prism. */

/** A preset with the values of its fields. */
interface Translated {
  readonly preset: string;
  readonly fields: Readonly<Record<string, string | undefined>>;
}

interface Service {
  /** Name for people. */
  readonly shown: string;
  /** The default of `send_resolved`. */
  readonly sendResolved: boolean;
  /** Members that the translation reads. */
  readonly reads: readonly string[];
  /** Members for the look of messages: Prism's own are used. */
  readonly looks: readonly string[];
  readonly translate: (entry: YamlEntry) => Translated | undefined;
}

/** Settings that every service may have. */
const COMMON = ["send_resolved", "http_config"];

/** The lists of receivers that become channels, by their names without `_configs`. */
export const SERVICES: Readonly<Record<string, Service>> = {
  slack: {
    shown: "Slack",
    sendResolved: false,
    reads: ["api_url", "api_url_file", "app_token", "app_token_file", "app_url", "channel"],
    looks: [
      ...["username", "color", "title", "title_link", "pretext", "text", "fields", "short_fields", "footer"],
      ...["fallback", "callback_id", "icon_emoji", "icon_url", "image_url", "thumb_url", "link_names", "mrkdwn_in"],
      ...["actions", "message_text", "update_message", "timeout"],
    ],
    translate: slack,
  },
  pagerduty: {
    shown: "PagerDuty",
    sendResolved: true,
    reads: [
      ...["routing_key", "routing_key_file", "service_key", "service_key_file", "url"],
      ...["severity", "component", "group", "class"],
    ],
    looks: ["client", "client_url", "description", "details", "images", "links", "source", "timeout"],
    translate: pagerduty,
  },
  opsgenie: {
    shown: "Opsgenie",
    sendResolved: true,
    reads: ["api_key", "api_key_file", "api_url", "responders", "priority"],
    looks: ["message", "description", "source", "details", "tags", "note", "entity", "actions", "update_alerts"],
    translate: opsgenie,
  },
  telegram: {
    shown: "Telegram",
    sendResolved: true,
    reads: [
      ...["bot_token", "bot_token_file", "chat_id", "chat_id_file", "message_thread_id", "api_url"],
      "disable_notifications",
    ],
    looks: ["message", "parse_mode"],
    translate: telegram,
  },
  discord: {
    shown: "Discord",
    sendResolved: true,
    reads: ["webhook_url", "webhook_url_file"],
    looks: ["title", "message", "content", "username", "avatar_url"],
    translate: discord,
  },
  msteams: {
    shown: "Microsoft Teams",
    sendResolved: true,
    reads: ["webhook_url", "webhook_url_file"],
    looks: ["title", "summary", "text"],
    translate: teams,
  },
  msteamsv2: {
    shown: "Microsoft Teams",
    sendResolved: true,
    reads: ["webhook_url", "webhook_url_file"],
    looks: ["title", "text"],
    translate: teams,
  },
  victorops: {
    shown: "Splunk On-Call (VictorOps)",
    sendResolved: true,
    reads: ["api_key", "api_key_file", "api_url", "routing_key"],
    looks: ["message_type", "entity_display_name", "state_message", "monitoring_tool", "custom_fields"],
    translate: victorops,
  },
  pushover: {
    shown: "Pushover",
    sendResolved: true,
    reads: ["user_key", "user_key_file", "token", "token_file", "device", "sound", "priority"],
    looks: ["title", "message", "url", "url_title", "html", "monospace", "retry", "expire", "ttl"],
    translate: pushover,
  },
  webex: {
    shown: "Webex",
    sendResolved: true,
    reads: ["api_url", "room_id"],
    looks: ["message"],
    translate: webex,
  },
  rocketchat: {
    shown: "Rocket.Chat",
    sendResolved: false,
    reads: ["api_url", "token", "token_file", "token_id", "token_id_file", "channel"],
    looks: [
      ...["color", "title", "title_link", "text", "fields", "short_fields", "emoji", "icon_url", "image_url"],
      ...["thumb_url", "link_names", "actions"],
    ],
    translate: rocketChat,
  },
  mattermost: {
    shown: "Mattermost",
    sendResolved: true,
    reads: ["webhook_url", "webhook_url_file", "channel", "username"],
    looks: ["text", "icon_url", "icon_emoji", "attachments", "type", "props", "priority"],
    translate: mattermost,
  },
  jira: {
    shown: "Jira",
    sendResolved: true,
    reads: ["api_url", "project", "issue_type"],
    looks: ["summary", "description", "labels", "priority", "api_type"],
    translate: jira,
  },
};

/** The lists that no preset can serve, with the reason. */
export const WITHOUT_PRESET: Readonly<Record<string, readonly [shown: string, reason: string]>> = {
  sns: [
    "Amazon SNS",
    "needs requests signed with an AWS key (SigV4), which Prism does not make: " +
      "use another service, or a webhook to a program that publishes to the topic",
  ],
  wechat: ["WeChat", "needs an app of WeCom: create a channel of the preset wecom with the URL of a group robot"],
};

/** The preset and fields of an entry; undefined if something of it was left. */
export function readService(entry: YamlEntry, { reads, looks, translate }: Service): Translated | undefined {
  const before = entry.findings.left.length;
  const own = looks.filter((name) => entry.has(name));
  if (own.length > 0) entry.findings.change(entry.path, `texts and look are Prism's own, not ${own.join(", ")}`);
  for (const name of Object.keys(entry.value))
    if (![...reads, ...looks, ...COMMON].includes(name))
      entry.findings.leave(joined(entry.path, name), `has no counterpart in a channel to ${entry.shown}: remove it`);
  const translated = translate(entry);
  return entry.findings.left.length > before ? undefined : translated;
}

function slack(entry: YamlEntry): Translated | undefined {
  const channel = entry.text("channel");
  const appToken = entry.secret("app_token", "slack_app_token");
  const url = entry.secret("api_url", appToken === undefined ? "slack_api_url" : undefined);
  const appUrl = entry.text("app_url") ?? (url === undefined ? (entry.globals["slack_app_url"] as string) : undefined);
  const isApi = appToken !== undefined || /\/api\/chat\.postMessage$/.test(url ?? "");
  requirePlainHttp(entry, isApi ? ["authorization", "bearer_token", "bearer_token_file"] : []);
  if (isApi) {
    const fields = { token: appToken ?? bearerOf(entry), channel };
    return byUrl(entry, "slack-api", url ?? appUrl ?? SLACK_API, /^https:\/\/slack\.com\//, fields, SLACK_API);
  }
  if (url !== undefined && !/\/(services|triggers|workflows)\//.test(url)) {
    const hint = "of Slack: for Mattermost and Rocket.Chat use mattermost_configs and rocketchat_configs";
    entry.findings.leave(joined(entry.path, "api_url"), `is not the URL of an incoming webhook ${hint}`);
    return undefined;
  }
  return byUrl(entry, "slack", url, /^https:\/\/hooks\.slack(-gov)?\.com\//, { channel }, "https://hooks.slack.com/");
}

const SLACK_API = "https://slack.com/api/chat.postMessage";

function pagerduty(entry: YamlEntry): Translated | undefined {
  requirePlainHttp(entry);
  const at = (name: string): string => joined(entry.path, name);
  if (entry.has("service_key") || entry.has("service_key_file"))
    entry.findings.leave(
      at("service_key"),
      "is a key of the Events API v1: add an integration Events API V2 to the service, and use routing_key",
    );
  const key = entry.secret("routing_key");
  const url = entry.text("url") ?? textAt(entry, "pagerduty_url");
  const place = apiOf(url, "/v2/enqueue", ["events.pagerduty.com", "events.eu.pagerduty.com"], "region");
  if (!place) entry.findings.leave(at("url"), "must end with /v2/enqueue");
  const severity = bySeverity(entry, "severity", (text) => ["critical", "error", "warning", "info"].includes(text));
  const texts = { component: entry.text("component"), group: entry.text("group"), class: entry.text("class") };
  return required(entry, "routing_key", key, { preset: "pagerduty", fields: { key, ...place, severity, ...texts } });
}

function opsgenie(entry: YamlEntry): Translated | undefined {
  requirePlainHttp(entry);
  const key = entry.secret("api_key", "opsgenie_api_key");
  const url = entry.text("api_url") ?? textAt(entry, "opsgenie_api_url");
  const place = apiOf(url, "", ["api.opsgenie.com", "api.eu.opsgenie.com"], "region");
  const priority = bySeverity(entry, "priority", (text) => /^P[1-5]$/.test(text));
  const fields: Record<string, string | undefined> = { key, ...place, priority };
  for (const [at, value] of ((entry.value["responders"] ?? []) as YamlObject[]).entries()) {
    const path = `${entry.path}.responders.${at}`;
    const responder = entry.part(Object(value) as YamlObject, path);
    const type = responder.text("type") ?? "";
    const name = responder.text(type === "user" ? "username" : "name");
    if (!["team", "user", "escalation", "schedule"].includes(type) || name === undefined || fields[type] !== undefined)
      entry.findings.leave(path, "a channel has one team, user, escalation and schedule each, by name");
    else fields[type] = name;
  }
  return required(entry, "api_key", key, { preset: "opsgenie", fields });
}

function telegram(entry: YamlEntry): Translated | undefined {
  requirePlainHttp(entry);
  const token = entry.secret("bot_token", "telegram_bot_token");
  const chat = entry.secret("chat_id");
  const place = apiOf(entry.text("api_url") ?? textAt(entry, "telegram_api_url"), "", ["api.telegram.org"]);
  const silent = entry.value["disable_notifications"] === true ? "on" : undefined;
  const fields = { token, chat, topic: entry.text("message_thread_id"), silent, ...place };
  if (chat === undefined) return required(entry, "chat_id", chat);
  return required(entry, "bot_token", token, { preset: "telegram", fields });
}

function discord(entry: YamlEntry): Translated | undefined {
  requirePlainHttp(entry);
  const own = /^https:\/\/\S*discord(app)?\.com\//;
  return byUrl(entry, "discord", entry.secret("webhook_url"), own, {}, "https://discord.com/");
}

function teams(entry: YamlEntry): Translated | undefined {
  requirePlainHttp(entry);
  const own = /^https:\/\/[\w.-]+\.(azure|powerplatform)\.(com|us|cn)[:/]/;
  return byUrl(entry, "teams", entry.secret("webhook_url"), own, {}, "https://prism.westeurope.logic.azure.com:443/");
}

function victorops(entry: YamlEntry): Translated | undefined {
  requirePlainHttp(entry);
  const key = entry.secret("api_key", "victorops_api_key");
  const route = entry.text("routing_key");
  const path = "/integrations/generic/20131114/alert";
  const place = apiOf(entry.text("api_url") ?? textAt(entry, "victorops_api_url"), path, ["alert.victorops.com"]);
  if (!place) entry.findings.leave(joined(entry.path, "api_url"), `must end with ${path}/`);
  if (route === undefined) return required(entry, "routing_key", route);
  return required(entry, "api_key", key, { preset: "splunk-on-call", fields: { key, route, ...place } });
}

function pushover(entry: YamlEntry): Translated | undefined {
  requirePlainHttp(entry);
  const priority = textAt(entry, "priority", entry.value);
  const isOff = priority !== undefined && !isTemplate(priority) && Number(priority) < 2;
  if (priority !== undefined) entry.findings.change(entry.path, "the priority of a message is by the alert's severity");
  const [user, token] = [entry.secret("user_key"), entry.secret("token")];
  const fields = { user, token, device: entry.text("device"), sound: entry.text("sound") };
  if (user === undefined) return required(entry, "user_key", user);
  const emergency = isOff ? "off" : undefined;
  return required(entry, "token", token, { preset: "pushover", fields: { ...fields, emergency } });
}

function webex(entry: YamlEntry): Translated | undefined {
  requirePlainHttp(entry, ["authorization", "bearer_token", "bearer_token_file"]);
  const url = entry.text("api_url") ?? textAt(entry, "webex_api_url");
  const place = apiOf(url, "/v1/messages", ["webexapis.com"]);
  if (!place) entry.findings.leave(joined(entry.path, "api_url"), "must end with /v1/messages");
  const token = bearerOf(entry);
  const fields = { token, room: entry.text("room_id"), ...place };
  return required(entry, "http_config.authorization", token, { preset: "webex", fields });
}

function rocketChat(entry: YamlEntry): Translated | undefined {
  requirePlainHttp(entry);
  const url = entry.text("api_url") ?? textAt(entry, "rocketchat_api_url") ?? "https://open.rocket.chat/";
  const token = entry.secret("token", "rocketchat_token");
  const user = entry.secret("token_id", "rocketchat_token_id");
  const fields = { url: url.replace(/\/(api\/v1\/chat\.postMessage)?$/, ""), user, token };
  return required(entry, "token", token, {
    preset: "rocket-chat-api",
    fields: { ...fields, channel: entry.text("channel") },
  });
}

function mattermost(entry: YamlEntry): Translated | undefined {
  requirePlainHttp(entry);
  const url = entry.secret("webhook_url", "mattermost_webhook_url");
  const fields = { url, channel: entry.text("channel"), username: entry.text("username") };
  return required(entry, "webhook_url", url, { preset: "mattermost", fields });
}

function jira(entry: YamlEntry): Translated | undefined {
  requirePlainHttp(entry, ["basic_auth"]);
  const url = entry.text("api_url") ?? textAt(entry, "jira_api_url");
  const { username: email, password: token } = basicOf(entry);
  const fields = { email, token, project: entry.text("project"), type: entry.text("issue_type") };
  if (token === undefined) return required(entry, "http_config.basic_auth", token);
  const site = url?.replace(/\/(rest\/api\/\d\/?)?$/, "");
  return required(entry, "api_url", site, { preset: "jira", fields: { url: site, ...fields } });
}

/**
 * A preset whose field is the service's URL. At another host, such as a proxy, the field has the
 * service's own and `api` that host.
 */
function byUrl(
  entry: YamlEntry,
  preset: string,
  url: string | undefined,
  own: RegExp,
  more: Translated["fields"],
  service: string,
): Translated | undefined {
  if (url === undefined) return required(entry, "URL", url);
  const isApi = preset === "slack-api";
  if (own.test(url) || !URL.canParse(url)) return { preset, fields: { ...(isApi ? {} : { url }), ...more } };
  const { origin, pathname, search } = new URL(url);
  const given = isApi ? {} : { url: service.replace(/\/$/, "") + pathname + search };
  return { preset, fields: { ...given, ...more, api: origin } };
}

/** Where the API of a service is: one of its own hosts, or another base URL. Undefined: it cannot be told. */
function apiOf(
  url: string | undefined,
  path: string,
  hosts: readonly string[],
  choice?: string,
): Readonly<Record<string, string>> | undefined {
  if (url === undefined) return {};
  const text = url.replace(/\/+$/, "");
  if (!URL.canParse(text) || !text.endsWith(path)) return undefined;
  const { hostname, protocol, port } = new URL(text);
  if (protocol === "https:" && port === "" && hosts.includes(hostname))
    return choice === undefined ? {} : { [choice]: hostname };
  return { api: text.slice(0, text.length - path.length) };
}

/** A text that is the same for all alerts; a template over the severity is what Prism does itself. */
function bySeverity(entry: YamlEntry, name: string, fits: (text: string) => boolean): string | undefined {
  const text = textAt(entry, name, entry.value);
  if (text === undefined) return undefined;
  if (isTemplate(text) && /severity|priority/i.test(text)) {
    entry.findings.change(joined(entry.path, name), "is a template: Prism uses the highest severity of the alerts");
    return undefined;
  }
  if (!isTemplate(text) && fits(text)) return text;
  entry.findings.leave(joined(entry.path, name), "has no counterpart: leave it out for the severity of the alerts");
  return undefined;
}

function textAt({ globals }: YamlEntry, name: string, from: YamlObject = globals): string | undefined {
  const value = from[name];
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** The translation, if this value of it is there. A secret that could not be read was left already. */
function required(
  entry: YamlEntry,
  name: string,
  value: string | undefined,
  found?: Translated,
): Translated | undefined {
  if (value !== undefined && found) return found;
  if (value === undefined && !entry.findings.left.some(({ path }) => path.startsWith(entry.path)))
    entry.findings.leave(entry.path, `has no ${name}, and no global setting for it`);
  return undefined;
}
