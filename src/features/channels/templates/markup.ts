import { escapeHtml } from "../../../core/text/clean-text.ts";

/**
 * Escapes a value for each kind of markup: one function for each. Values of messages
 * come from strangers; the texts of a preset around them are not changed.
 *
 * A link whose text differs from its target becomes text. A URL on its own stays one, and readers see
 * every character. Where a service has no escape, a space of no width parts what would be read.
 */

/** Invisible to readers; it ends any markup, mention or command. */
export const NOTHING = "\u200b";

const URLS = /(https?:\/\/[A-Za-z0-9\-._~:/?#@!$&'+,;=%]+)/;

/** Changes the text outside of URLs. */
function aroundUrls(text: string, change: (text: string) => string): string {
  return text
    .split(URLS)
    .map((part, i) => (i % 2 === 1 ? part : change(part)))
    .join("");
}

/**
 * For Markdown without an escape, and for markup with links in angle brackets: `[text](url)`,
 * `[name]: url`, `<url|text>`, tags. Adaptive Cards of Teams, Rocket.Chat, Zulip, Nextcloud Talk, WeCom,
 * DingTalk and Synology Chat: their parsers read a link also after a backslash, or do not document one.
 */
export function withoutLinks(text: string): string {
  return text.replace(/\](?=[(:])/g, `]${NOTHING}`).replace(/<(?=[a-z/!@#&])/gi, `<${NOTHING}`);
}

/** CommonMark section 2.4: Discord, Mattermost, Webex, Gotify. */
export function markdown(text: string): string {
  return aroundUrls(text, (part) => withoutLinks(part.replace(/[\\`*_[\]~|<>#]/g, "\\$&")));
}

/** Telegram's MarkdownV2: https://core.telegram.org/bots/api#markdownv2-style */
export function markdownV2(text: string): string {
  return text.replace(/[\\_*[\]()~`>#+\-=|{}.!]/g, "\\$&");
}

/** Slack: https://docs.slack.dev/messaging/formatting-message-text#escaping */
export function mrkdwn(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Jira's wiki markup, where two backslashes are a line break: links, mentions `[~name]`, pictures, macros. */
export function wiki(text: string): string {
  return aroundUrls(text, (part) =>
    part.replace(/[[\]{}!|\\]/g, (character) => (character === "\\" ? "&#92;" : `\\${character}`)),
  );
}

/**
 * Home Assistant: a message of one word, such as `clear_notification`, is a command to the phone
 * (https://companion.home-assistant.io/docs/notifications/notification-commands), and braces are a template.
 */
export function notCommand(text: string): string {
  const shown = text.replace(/\{(?=[{%#])/g, `{${NOTHING}`);
  return /^\s*\w+\s*$/.test(shown) ? NOTHING + shown : shown;
}

export { escapeHtml as html };
