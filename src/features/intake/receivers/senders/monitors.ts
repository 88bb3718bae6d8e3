import { anyOf, type SenderRow } from "./row.ts";

const CHECK = "webhook_event_data";
const STATUSPAGE_STATE = "incident.status, component_update.new_status, component.status";
const AZURE_LEVELS = { 0: "critical", 1: "error", 2: "warning", 3: "info", 4: "debug" } as const;
const AZURE = "data.essentials";

/** Where the context of Azure Monitor's older forms is. */
const inContext = (...names: readonly string[]): string =>
  names.flatMap((name) => [`data.context.${name}`, `context.${name}`]).join(", ");
const azureLevel = { level: `{{ ${inContext("severity")} }}`, levels: { ...AZURE_LEVELS, sev0: "critical" } } as const;

const measured = (
  name: string,
  of: {
    readonly when: readonly string[];
    readonly what: string;
    readonly state: string;
    readonly key: readonly string[];
  },
): SenderRow => ({
  name,
  when: of.when,
  kind: `{{ ${of.state} }}`,
  title: [`${of.what} is {{ ${of.state} | lower }}`],
  text: ["{{ message, long_description, description, info }}"],
  level: `{{ ${of.state} }}`,
  levels: { warn: "warning", warning: "warning", crit: "critical", critical: "critical", "*": "error" },
  key: of.key,
  state: `{{ ${of.state} }}`,
  states: { info: "resolved", "*": "firing" },
  link: "{{ alert_url, full_url }}",
});

/** Statuspage and Instatus: https://support.atlassian.com/statuspage/docs/enable-webhook-notifications/ */
const statuspage = (kind: "incident" | "component"): SenderRow[] => {
  const row = {
    name: "statuspage",
    kind,
    title: [`{{ incident.name, component.name }}`, `{{ ${STATUSPAGE_STATE} | words }}`],
    text: ["{{ incident.incident_updates.0.body, page.status_description }}"],
    key: ["{{ incident.id, component.id, component_update.component_id }}"],
    link: "{{ incident.shortlink, incident.url, page.url }}",
  };
  const when = ["page", `${kind}.name`];
  const planned = `${anyOf(STATUSPAGE_STATE)}=scheduled|inprogress|verifying|undermaintenance|notstartedyet`;
  return [
    { ...row, when: [...when, planned], level: "info" },
    {
      ...row,
      when,
      level: "{{ incident.impact }}",
      levels: { critical: "critical", major: "error", minor: "warning", none: "info", "*": "warning" },
      state: `{{ ${STATUSPAGE_STATE} }}`,
      states: { postmortem: "resolved", "*": "firing" },
    },
  ];
};

/** Monitoring services and what they see. */
export const MONITOR_ROWS: readonly SenderRow[] = [
  // Freshping and insping.
  {
    name: "freshping",
    when: [`${CHECK}.check_state_name`, `${CHECK}.check_id`],
    kind: `{{ ${CHECK}.check_state_name }}`,
    title: [`{{ ${CHECK}.check_name }}`, `{{ ${CHECK}.check_state_name }}`],
    text: [
      `{{ ${CHECK}.request_url }} answers {{ ${CHECK}.http_status_code }} || {{ ${CHECK}.request_url }}`,
      `application {{ ${CHECK}.application_name }}`,
    ],
    key: [`{{ ${CHECK}.check_id }}`],
    state: `{{ ${CHECK}.check_state_name }}`,
    link: `{{ ${CHECK}.request_url }}`,
    labels: { check: `{{ ${CHECK}.check_name }}`, organization: "{{ organization_name }}" },
  },
  {
    name: "freshstatus",
    when: ["title", "event_data.event_type", "status|incident_status|incident_id"],
    kind: "{{ event_data.event_type }}",
    title: ["{{ title }}", "{{ incident_status, status }}"],
    text: ["{{ message, description }}", "{{ affected_services }}"],
    key: ["{{ incident_id, maintenance_id, id }}"],
    state: "{{ incident_status, status }}",
    labels: { services: "{{ affected_services }}" },
  },
  {
    name: "updown",
    when: ["event", "check.token", "check.url"],
    kind: "{{ event }}",
    title: ["{{ check.alias, check.url }}", "{{ event | words }}"],
    text: ["{{ description, downtime.error, check.error }}", "{{ ssl.days_before_expiration }} days before expiration"],
    // The token is masked as a secret.
    key: ["{{ check.url }}"],
    state: "{{ event | last }}",
    link: "{{ check.url }}",
    labels: { check: "{{ check.alias, check.url }}" },
  },
  {
    name: "hetrixtools",
    when: ["monitor_id", "monitor_name", "monitor_status"],
    kind: "{{ monitor_status }}",
    title: ["{{ monitor_name }} is {{ monitor_status }}"],
    text: ["{{ monitor_target }}", "{{ monitor_errors }}"],
    key: ["{{ monitor_id }}"],
    state: "{{ monitor_status }}",
    link: "{{ monitor_target }}",
    labels: { category: "{{ monitor_category }}" },
  },
  {
    name: "site24x7",
    when: ["MONITORNAME", "STATUS"],
    kind: "{{ STATUS }}",
    title: ["{{ MONITORNAME }} is {{ STATUS }}"],
    text: ["{{ INCIDENT_REASON }}", "{{ FAILED_LOCATIONS }}", "{{ MONITORURL }}"],
    level: "{{ STATUS }}",
    levels: { trouble: "warning", critical: "critical", down: "error", up: "info" },
    key: ["{{ MONITOR_ID, MONITORID, MONITORNAME }}"],
    state: "{{ STATUS }}",
    link: "{{ MONITOR_DASHBOARD_LINK, MONITORURL }}",
    labels: { monitor: "{{ MONITORNAME }}", kind: "{{ MONITORTYPE }}", tags: "{{ GROUP_TAGS }}" },
  },
  {
    name: "betterstack",
    when: ["data.type=incident", "data.attributes.cause|data.attributes.name", "data.attributes.resolved_at"],
    kind: "resolved",
    title: ["{{ data.attributes.name, data.attributes.url }}", "resolved"],
    text: ["{{ data.attributes.cause }}", "{{ data.attributes.url }}"],
    key: ["{{ data.id }}"],
    states: { "*": "resolved" },
    link: "{{ data.attributes.origin_url, data.attributes.url }}",
  },
  {
    name: "betterstack",
    when: ["data.type=incident", "data.attributes.cause|data.attributes.name"],
    kind: "incident",
    title: ["{{ data.attributes.name, data.attributes.url }}", "{{ data.attributes.cause }}"],
    text: ["{{ data.attributes.url }}", "Acknowledged by {{ data.attributes.acknowledged_by }}"],
    key: ["{{ data.id }}"],
    state: "{{ data.attributes.acknowledged_at }}",
    states: { "": "firing", "*": "acknowledged" },
    link: "{{ data.attributes.origin_url, data.attributes.url }}",
  },
  ...statuspage("incident"),
  ...statuspage("component"),
  // The common schema of Azure Monitor, and its forms of metrics and of the activity log before it.
  {
    name: "azure-monitor",
    when: [AZURE],
    kind: `{{ ${AZURE}.monitorCondition }}`,
    title: [
      `{{ ${AZURE}.alertRule }} on {{ ${AZURE}.configurationItems.0 }} || {{ ${AZURE}.alertRule, ${AZURE}.configurationItems.0 }}`,
    ],
    text: [`{{ ${AZURE}.description }}`],
    level: `{{ ${AZURE}.severity }}`,
    levels: { sev0: "critical", sev1: "error", sev2: "warning", sev3: "info", sev4: "debug", ...AZURE_LEVELS },
    keepsLevel: true,
    key: [`{{ ${AZURE}.originAlertId, ${AZURE}.alertId }}`],
    state: `{{ ${AZURE}.monitorCondition }}`,
    link: `{{ ${AZURE}.investigationLink }}`,
    labels: { resource: `{{ ${AZURE}.configurationItems.0 }}`, signal: `{{ ${AZURE}.signalType }}` },
  },
  {
    name: "azure-monitor",
    when: [anyOf(inContext("activityLog"))],
    kind: "{{ data.status, status }}",
    title: [
      `{{ ${inContext("name", "activityLog.operationName")} }} on {{ ${inContext("resourceName", "activityLog.resourceId")} }} || ` +
        `{{ ${inContext("name", "activityLog.operationName", "activityLog.resourceId")} }}`,
    ],
    text: [`{{ ${inContext("description", "condition.metricName", "activityLog.status")} }}`],
    level: `{{ ${inContext("severity")} }}`,
    levels: { ...AZURE_LEVELS, "*": "info" },
    key: [`{{ ${inContext("id")} }}`, `{{ ${inContext("resourceName", "activityLog.resourceId")} }}`],
    link: `{{ ${inContext("portalLink")} }}`,
    labels: { resource: `{{ ${inContext("resourceName", "activityLog.resourceId")} }}` },
  },
  {
    name: "azure-monitor",
    when: [anyOf(inContext("resourceName", "name", "condition")), anyOf(`data.status, ${inContext("resourceName")}`)],
    kind: "{{ data.status, status }}",
    title: [
      `{{ ${inContext("name")} }} on {{ ${inContext("resourceName")} }} || {{ ${inContext("name", "resourceName")} }}`,
    ],
    text: [`{{ ${inContext("description", "condition.metricName")} }}`],
    ...azureLevel,
    keepsLevel: true,
    key: [`{{ ${inContext("id")} }}`, `{{ ${inContext("resourceName")} }}`],
    state: "{{ data.status, status }}",
    link: `{{ ${inContext("portalLink")} }}`,
    labels: { resource: `{{ ${inContext("resourceName")} }}` },
  },
  {
    name: "google-monitoring",
    when: ["incident.incident_id", "incident.policy_name|incident.condition_name"],
    kind: "{{ incident.state }}",
    title: ["{{ incident.policy_name, incident.condition_name }}", "{{ incident.resource_display_name }}"],
    text: ["{{ incident.summary }}", "{{ incident.documentation.content }}"],
    level: "{{ incident.severity }}",
    levels: { noseverity: "error", "": "error" },
    keepsLevel: true,
    key: ["{{ incident.incident_id }}"],
    state: "{{ incident.state }}",
    link: "{{ incident.url }}",
    labels: { condition: "{{ incident.condition_name }}", resource: "{{ incident.resource_name }}" },
  },
  {
    name: "new-relic",
    when: ["issueUrl"],
    kind: "{{ state }}",
    title: ["{{ title, annotations.title.0 }}"],
    text: ["{{ trigger }}", "{{ impactedEntities }}", "{{ alertConditionNames.0 }}"],
    level: "{{ priority }}",
    keepsLevel: true,
    key: ["{{ id, issueId }}"],
    state: "{{ state }}",
    link: "{{ issueUrl }}",
  },
  {
    name: "graylog",
    when: ["event_definition_id", "event"],
    kind: "event",
    title: ["{{ event_definition_title, event.message }}"],
    text: ["{{ event.message, event_definition_description }}"],
    level: "{{ event.priority }}",
    levels: { 1: "info", 3: "error", 4: "error", "*": "warning" },
    labels: { source: "{{ event.source }}", key: "{{ event.key }}" },
  },
  {
    name: "aria-operations",
    when: ["alertName", "criticality"],
    kind: "alert",
    title: ["{{ resourceName }}", "{{ alertName }}"],
    text: ["{{ info, subType }}"],
    level: "{{ criticality | last }}",
    levels: { immediate: "error" },
    keepsLevel: true,
    key: ["{{ alertId }}"],
    state: "{{ status }}",
    states: { new: "firing", update: "firing", canceled: "resolved", cancelled: "resolved" },
    link: "{{ alertURL }}",
  },
  {
    name: "dynatrace",
    when: ["ProblemTitle", "State"],
    kind: "{{ State }}",
    title: ["{{ ProblemTitle }}", "{{ ImpactedEntity, ImpactedEntityNames }}"],
    text: ["{{ ProblemDetailsText, ProblemDetails }}", "impact {{ ProblemImpact | lower }}", "tags {{ Tags }}"],
    level: "{{ ProblemSeverity }}",
    levels: {
      ...{ availability: "critical", monitoringunavailable: "error", error: "error" },
      ...{ performance: "warning", resourcecontention: "warning", customalert: "error", info: "info" },
    },
    key: ["{{ PID, ProblemID }}"],
    state: "{{ State }}",
    states: { merged: "event" },
    link: "{{ ProblemURL }}",
    labels: { entity: "{{ ImpactedEntity }}", problem: "{{ ProblemID }}" },
  },
  {
    name: "coralogix",
    when: ["alert_action", "alert_id|alert_unique_identifier|uuid", "name|alert_name"],
    kind: "{{ alert_action }}",
    title: ["{{ name, alert_name }}", "{{ service, application }} || {{ fields.['key=application'].value }}"],
    text: ["{{ description, alert_description }}", "team {{ fields.['key=team'].value }}"],
    level: "{{ alert_severity, severity }}",
    key: ["{{ alert_id, alert_unique_identifier, uuid }}"],
    state: "{{ alert_action }}",
    link: "{{ alert_url, log_url }}",
  },
  {
    name: "splunk",
    when: ["search_name|sid", "result", "results_link|app"],
    kind: "alert",
    title: ["{{ search_name, app }}", "{{ result.host, result.source }}"],
    text: ["{{ result._raw, result }}"],
    link: "{{ results_link }}",
    labels: { search: "{{ search_name }}", host: "{{ result.host }}" },
  },
  measured("pingdom", {
    ...{ when: ["check_id", "current_state"], what: "{{ check_name }}", state: "current_state" },
    key: ["{{ check_id }}"],
  }),
  measured("netdata", {
    ...{
      when: ["alert", "chart", "severity"],
      what: "{{ alert }} {{ node | default:'' }} {{ chart }}",
      state: "severity",
    },
    key: ["{{ node }}", "{{ chart }}", "{{ alert }}"],
  }),
  measured("kapacitor", { when: ["id", "level", "data.series"], what: "{{ id }}", state: "level", key: ["{{ id }}"] }),
  measured("riemann", {
    ...{ when: ["host", "service", "state", "metric"], what: "{{ service }} {{ host }}", state: "state" },
    key: ["{{ host }}", "{{ service }}"],
  }),
];
