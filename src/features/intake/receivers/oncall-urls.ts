import type { Exchange } from "../../../http/server/exchange.ts";

/* The URLs of Grafana OnCall's integrations: `/integrations/v1/<type>/<token>/`. */

export const ONCALL_PREFIX = "/integrations/v1/";

/** Types in OnCall's URLs. The receiver of the token decides how a request is verified and read, whatever its type. */
const TYPES: ReadonlySet<string> = new Set([
  ...["alertmanager", "amazon_sns", "appdynamics", "datadog", "elastalert", "fabric", "formatted_webhook", "grafana"],
  ...["grafana_alerting", "inbound_email", "jira", "kapacitor", "manual", "newrelic", "pagerduty", "pingdom", "prtg"],
  ...["sentry", "sentry_platform", "servicenow", "stackdriver", "uptimerobot", "webhook", "zabbix", "zendesk"],
]);

/** The token of a receiver's URL; null: the type in it is none of OnCall's. */
export function tokenIn({ params }: Pick<Exchange, "params">): string | null {
  const { token = "", type } = params;
  return type === undefined || TYPES.has(type) ? token : null;
}

/** Whether the request is at a URL of OnCall. */
export function isAtOnCallUrl({ params }: Pick<Exchange, "params">): boolean {
  return params["type"] !== undefined;
}

/** As OnCall: its clients get JSON. */
export const ONCALL_ANSWER = { status: 200, type: "application/json; charset=utf-8", body: '"Ok."' };

/** What a browser shows that opens the URL. Nothing is stored. */
export const ONCALL_PAGE = {
  status: 200,
  type: "text/html; charset=utf-8",
  body: "<!doctype html><title>Prism</title><p>Send alerts to this URL by POST.</p>\n",
};
