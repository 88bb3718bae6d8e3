import type { OnCallIntegration, OnCallRoute } from "./read.ts";

/* Integrations of OnCall as receivers, and their routes as matchers. */

/** The preset of a receiver by the type of an integration; others are `generic`. */
const PRESETS: Readonly<Record<string, string>> = {
  ...{ alertmanager: "alertmanager", grafana: "grafana", grafana_alerting: "grafana", zabbix: "zabbix" },
  ...{ formatted_webhook: "formatted-webhook", inbound_email: "mail", amazon_sns: "cloudwatch", webhook: "generic" },
  ...{ sentry: "sentry", sentry_platform: "sentry", pagerduty: "pagerduty", datadog: "datadog" },
  ...{ uptimerobot: "uptimerobot" },
};
/** Types without a sender. */
const INTERNAL = new Set(["manual", "maintenance", "direct_paging"]);
/** Their alerts keep the labels that conditions of OnCall name. */
const HAVE_LABELS = new Set(["alertmanager", "grafana_alerting"]);

/** Null: nothing sends to it. */
export function presetOf({ type }: OnCallIntegration): { readonly preset: string; readonly isKnown: boolean } | null {
  const plain = type.replace(/^legacy_/, "");
  if (INTERNAL.has(plain)) return null;
  return { preset: PRESETS[plain] ?? "generic", isKnown: plain in PRESETS };
}

/** The token in the URL or mail address of an integration. */
export function tokenOf({ link, inbound_email }: OnCallIntegration): string | null {
  const token = link === null ? inbound_email?.split("@")[0] : link.split("/").filter(Boolean).at(-1);
  return token !== undefined && /^[A-Za-z0-9_-]{10,64}$/.test(token) ? token : null;
}

/** The token of `…/<token>/heartbeat/`. */
export function heartbeatToken(link: string): string | null {
  const token = link.split("/").filter(Boolean).at(-2);
  return token !== undefined && /^[A-Za-z0-9_-]{10,64}$/.test(token) ? token : null;
}

const NAME = "[a-zA-Z_][a-zA-Z0-9_]*";
const VALUE = "[^\"'\\\\{}]*";
const MEMBER = new RegExp(
  `^payload\\.(?:labels|commonLabels|groupLabels)(?:\\.(${NAME})|\\[["'](${NAME})["']\\]|\\.get\\(["'](${NAME})["']\\))` +
    `\\s*==\\s*(?:"(${VALUE})"|'(${VALUE})')$`,
);
/** `"severity": *"critical"`, with or without spaces and backslashes before quotes. Of a value only plain characters. */
const IN_BODY = new RegExp(
  `^\\\\?"(${NAME})\\\\?"\\s*:\\s*(?:\\\\s\\*|\\s\\*|\\\\s\\+)?\\s*\\\\?"([A-Za-z0-9 _@/-]*)\\\\?"$`,
);

/** The labels that a route asks for; null: it asks for more than equal labels. */
export function labelsOf(
  { type }: OnCallIntegration,
  { routing_type, routing_regex }: OnCallRoute,
): [string, string][] | null {
  const condition = routing_regex?.trim() ?? "";
  if (!HAVE_LABELS.has(type.replace(/^legacy_/, ""))) return null;
  if (routing_type === "jinja2") {
    const inner = /^\{\{-?\s*(.*?)\s*-?\}\}$/s.exec(condition)?.[1];
    const parts = inner?.split(/\s+and\s+/).map((part) => MEMBER.exec(part.trim().replace(/^\((.*)\)$/, "$1")));
    if (!parts?.every((part) => part !== null)) return null;
    return parts.map((part): [string, string] => [part[1] ?? part[2] ?? part[3] ?? "", part[4] ?? part[5] ?? ""]);
  }
  if (routing_type !== "regex" && routing_type !== null) return null;
  const [, name, value] = IN_BODY.exec(condition) ?? [];
  return name === undefined || value === undefined ? null : [[name, value]];
}

/** @param value the text of a label */
export function matcher(name: string, value: string): string {
  const escaped = value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  return `${name}="${escaped}"`;
}
