import type { StandInRequest } from "./stand-in.ts";

/** Links that show another address than the one that they open, pictures, and mentions of Jira. */
export const DISGUISED = [
  "[https://good.example/login](http://evil.example)",
  "\\[https://good.example\\](http://evil.example)",
  "![x](http://evil.example/p.png)",
  "[https://good.example]\n\n[https://good.example]: http://evil.example",
  "<http://evil.example|https://good.example>",
  '<a href="http://evil.example">https://good.example</a>',
  "[https://good.example|http://evil.example] [~admin] [~accountid:5b10] !http://evil.example/p.png! {color:red}x{color}",
] as const;

/** Every text of a request, as its service parses it. */
export function stringsOf(request: StandInRequest | undefined): string[] {
  const values = request?.json === undefined ? [...(request?.form.values() ?? [])] : [request.json];
  const strings = (value: unknown): string[] => {
    if (typeof value === "string") return /^[[{]/.test(value) ? [value, ...fromJson(value)] : [value];
    return typeof value === "object" && value !== null ? Object.values(value).flatMap(strings) : [];
  };
  const fromJson = (text: string): string[] => {
    try {
      return strings(JSON.parse(text) as object);
    } catch {
      return [];
    }
  };
  return values.flatMap(strings);
}

/** Of a preset's own texts. */
const OWN = /^!?\[(?:Open|Acknowledge)\]\(|^<a href="https:\/\/prism\.example\.com\//;

/**
 * `[text](url)` and `[name]: url` also after a backslash: the Markdown of Adaptive Cards
 * (microsoft/AdaptiveCards, MarkDownBlockParser.cpp: `[` always begins a link), of Rocket.Chat
 * (@rocket.chat/message-parser) and of Zulip (zerver/lib/markdown, which leaves escapes out).
 */
const WITHOUT_ESCAPE = /!?\[[^\]\n]*\]\([^)\n]*\)|\[[^\]\n]+\]:\s*http\S*/g;
/** CommonMark: not after a backslash. */
const WITH_ESCAPE = /(?<!\\)!?\[(?:\\.|[^\]\\\n])*\](?:\([^)\n]*\)|:\s*http\S*)/g;
/** Slack, Rocket.Chat and Synology Chat. */
const ANGLE = /<(?:https?:)[^>|]*\|[^>]*>/g;
const TAG = /<(?:a|img)\s[^>]*>/gi;
/** Jira: links, mentions, pictures, macros. */
const WIKI = /(?<!\\)\[[^\]\n]*\]|(?<!\\)!http[^!\n]*!|(?<!\\)\{[a-z]+[^}\n]*\}/g;

const MARKUPS: Readonly<Record<string, readonly RegExp[]>> = {
  discord: [WITH_ESCAPE],
  mattermost: [WITH_ESCAPE],
  "mattermost-api": [WITH_ESCAPE],
  webex: [WITH_ESCAPE, TAG],
  gotify: [WITH_ESCAPE, TAG],
  teams: [WITHOUT_ESCAPE, TAG],
  "rocket-chat": [WITHOUT_ESCAPE, ANGLE],
  "rocket-chat-api": [WITHOUT_ESCAPE, ANGLE],
  zulip: [WITHOUT_ESCAPE],
  "nextcloud-talk": [WITHOUT_ESCAPE],
  "synology-chat": [ANGLE],
  wecom: [WITHOUT_ESCAPE, TAG],
  dingtalk: [WITHOUT_ESCAPE, TAG],
  opsgenie: [TAG],
  "incident-io": [WITHOUT_ESCAPE, TAG],
  slack: [ANGLE],
  "slack-api": [ANGLE],
  jira: [WIKI],
  telegram: [TAG],
  matrix: [TAG],
  "google-chat": [TAG, ANGLE],
};
/** Plain text for a service that does not read it as markup. */
const PLAIN_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  jira: ["summary"],
  "google-chat": ["title", "fallbackText"],
  dingtalk: ["title"],
  zulip: ["topic"],
  gotify: ["title"],
  mattermost: ["fallback"],
  "mattermost-api": ["fallback"],
  teams: ["summary"],
  matrix: ["body"],
  opsgenie: ["message"],
  "incident-io": ["title"],
};

/** The links of a request that show another address than they open, as its service reads them. */
export function disguisedLinks(preset: string, request: StandInRequest): string[] {
  const markups = MARKUPS[preset] ?? [];
  const plain = PLAIN_MEMBERS[preset] ?? [];
  const without = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(without);
    return Object.fromEntries(
      Object.entries(value).flatMap(([name, each]) =>
        plain.includes(name) && typeof each === "string" ? [] : [[name, without(each)]],
      ),
    );
  };
  const form = new URLSearchParams([...request.form].filter(([name]) => !plain.includes(name)));
  const texts = stringsOf({ ...request, form, json: without(request.json) });
  return texts
    .flatMap((text) => markups.flatMap((markup) => text.match(markup) ?? []))
    .filter((link) => !OWN.test(link));
}
