/** Bodies in the form of the senders' documentation. */

export const GRAFANA_TEST = {
  receiver: "test",
  status: "firing",
  orgId: 1,
  version: "1",
  alerts: [
    {
      status: "firing",
      labels: { alertname: "TestAlert", instance: "Grafana" },
      annotations: { summary: "Notification test" },
      startsAt: "2026-01-31T08:00:00Z",
      endsAt: "0001-01-01T00:00:00Z",
      fingerprint: "57c6d9296de2ad39",
    },
  ],
};

export const GRAFANA_8 = {
  dashboardId: 1,
  title: "[Alerting] Panel Title alert",
  message: "Notification Message",
  evalMatches: [{ value: 1, metric: "Count", tags: {} }],
  imageUrl: "https://grafana.example/image.png",
  orgId: 1,
  panelId: 2,
  ruleId: 1,
  ruleName: "Panel Title alert",
  ruleUrl: "http://localhost:3000/d/hZ7BuVbWz/test-dashboard?fullscreen&edit&tab=alert&panelId=2&orgId=1",
  state: "alerting",
  tags: { team: "web" },
};

const project = { path_with_namespace: "a/b", web_url: "https://gitlab.example/a/b" };

export const GITLAB = {
  pipeline: (status: string) => ({
    object_kind: "pipeline",
    object_attributes: { id: 31, ref: "main", status },
    project,
  }),
  job: (build_allow_failure: boolean) => ({
    object_kind: "build",
    ref: "main",
    build_name: "unit",
    build_status: "failed",
    build_failure_reason: "script_failure",
    build_allow_failure,
    project,
  }),
  deployment: (status: string) => ({
    object_kind: "deployment",
    status,
    environment: "production",
    ref: "main",
    project,
  }),
  issue: { object_kind: "issue", object_attributes: { title: "The build is slow", action: "open", iid: 7 }, project },
};

export const SENTRY = {
  issue: (action: string) => ({
    action,
    data: { issue: { id: "7", shortId: "SHOP-7", title: "TypeError", level: "fatal", project: { slug: "shop" } } },
  }),
  metric: (action: string) => ({
    action,
    data: {
      metric_alert: { id: "1", alert_rule: { id: "5", name: "Errors" }, date_started: "2026-01-31T08:00:00Z" },
      description_title: "Critical: Errors",
      description_text: "1000 events in the last 10 minutes",
      web_url: "https://sentry.example/alerts/1",
    },
  }),
  plugin: {
    id: "27379932",
    project: "shop",
    project_name: "Shop",
    project_slug: "shop",
    level: "warning",
    culprit: "raven.scripts.runner in main",
    message: "This is an example",
    url: "https://sentry.example/organizations/a/issues/27379932/",
    triggering_rules: [],
    event: { event_id: "a", level: "warning" },
  },
};

export function snsAlarm(NewStateValue: string) {
  const alarm = { AlarmName: "CPU", AlarmArn: "arn:aws:cloudwatch:eu-west-1:1:alarm:CPU", NewStateValue };
  return { Type: "Notification", TopicArn: "arn:aws:sns:eu-west-1:1:t", Message: JSON.stringify(alarm) };
}
