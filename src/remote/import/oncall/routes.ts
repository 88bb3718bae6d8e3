import type { Matcher } from "../../../features/alerts/model/matchers.ts";
import type { OnCallIntegration, OnCallRoute } from "./read.ts";

/* Integrations of OnCall as receivers, and their routes as matchers. */

/** The preset of a receiver by the type of an integration, whose senders keep the body that OnCall asks for. */
const PRESETS: Readonly<Record<string, string>> = {
  ...{ alertmanager: "alertmanager", grafana: "grafana", grafana_alerting: "grafana", uptimerobot: "uptimerobot" },
  ...{ formatted_webhook: "formatted-webhook", zabbix: "formatted-webhook" },
  ...{ inbound_email: "mail", amazon_sns: "cloudwatch" },
};
/** Each request is an alert, as in OnCall, whatever its body is. */
const ANY_BODY = "formatted-webhook";
/** Types without a sender. */
const INTERNAL = new Set(["manual", "maintenance", "direct_paging"]);
/** Their alerts keep the labels that conditions of OnCall name. */
const HAVE_LABELS = new Set(["alertmanager", "grafana_alerting"]);

/** Null: nothing sends to it. */
export function presetOf({ type }: OnCallIntegration): { readonly preset: string; readonly isKnown: boolean } | null {
  const plain = plainType(type);
  if (INTERNAL.has(plain)) return null;
  return { preset: PRESETS[plain] ?? ANY_BODY, isKnown: plain in PRESETS };
}

function plainType(type: string): string {
  return type.replace(/^legacy_/, "");
}

/** The token in the URL or mail address of an integration. */
export function tokenOf({ link, inbound_email }: OnCallIntegration): string | null {
  return tokenIn(link === null ? inbound_email?.split("@")[0] : link.split("/").filter(Boolean).at(-1));
}

/** The token of `…/<token>/heartbeat/`. */
export function heartbeatToken(link: string): string | null {
  return tokenIn(link.split("/").filter(Boolean).at(-2));
}

function tokenIn(text: string | undefined): string | null {
  return text !== undefined && /^[A-Za-z0-9_-]{10,64}$/.test(text) ? text : null;
}

const NAME = "[a-zA-Z_][a-zA-Z0-9_]*";
const VALUE = "[^\"'\\\\{}]*";
const MEMBER = new RegExp(
  `^payload\\.(?:labels|commonLabels|groupLabels)(?:\\.(${NAME})|\\[["'](${NAME})["']\\]|\\.get\\(["'](${NAME})["']\\))` +
    `\\s*==\\s*(?:"(${VALUE})"|'(${VALUE})')$`,
);
/** The payload as Python writes JSON: a space follows each colon. Of a value only characters without another meaning. */
const SPACE = "(?: [*+?]?|\\\\s[*+]?)";
const COLON = `(?:(?: |\\\\s)[*?])?:${SPACE}`;
const QUOTE = '\\\\?"';
const BELOW = `${QUOTE}(?:labels|commonLabels|groupLabels)${QUOTE}${COLON}\\\\?\\{(?:\\[\\^\\\\?\\}\\][*+]\\??)?`;
const IN_BODY = new RegExp(`^(${BELOW})?${QUOTE}(${NAME})${QUOTE}${COLON}${QUOTE}([A-Za-z0-9 _@/-]*)${QUOTE}$`);
/** Members of these payloads, and usual annotations, that are no labels. */
const NO_LABELS = new Set([
  ...["receiver", "status", "state", "version", "groupKey", "externalURL", "startsAt", "endsAt", "generatorURL"],
  ...["fingerprint", "title", "message", "dashboardURL", "panelURL", "silenceURL", "imageURL", "valueString"],
  ...["summary", "description", "runbook", "runbook_url", "dashboard", "dashboard_url"],
]);

/** The labels that a route asks for; null: it asks for more than equal labels. */
export function labelsOf({ type }: OnCallIntegration, { routing_type, routing_regex }: OnCallRoute): Matcher[] | null {
  const condition = routing_regex?.trim() ?? "";
  const equals = (name: string, value: string): Matcher => ({ name, operator: "=", value });
  if (!HAVE_LABELS.has(plainType(type))) return null;
  if (routing_type === "jinja2") {
    const inner = /^\{\{-?\s*(.*?)\s*-?\}\}$/s.exec(condition)?.[1];
    const parts = inner?.split(/\s+and\s+/).map((part) => MEMBER.exec(part.trim().replace(/^\((.*)\)$/, "$1")));
    if (!parts?.every((part) => part !== null)) return null;
    return parts.map((part) => equals(part[1] ?? part[2] ?? part[3] ?? "", part[4] ?? part[5] ?? ""));
  }
  if (routing_type !== "regex" && routing_type !== null) return null;
  const [, below, name, value] = IN_BODY.exec(condition) ?? [];
  if (name === undefined || value === undefined) return null;
  return below === undefined && NO_LABELS.has(name) ? null : [equals(name, value)];
}
