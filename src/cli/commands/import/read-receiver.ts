import { type Findings, itemsOf, membersOf, textOf, type YamlObject } from "./yaml-file.ts";

export interface ImportedWebhook {
  readonly url: string;
  /** Absent: all. */
  readonly maxAlerts?: number;
}

/** A receiver as the parts of a policy. */
export interface ImportedReceiver {
  readonly name: string;
  readonly path: string;
  readonly webhooks: readonly ImportedWebhook[];
  /** Addresses of users to notify. */
  readonly addresses: readonly { readonly address: string; readonly path: string }[];
  readonly sendResolved: boolean;
  /** It has no configurations, also none that are not translated: Alertmanager notifies no one. */
  readonly isSink: boolean;
}

/** The lists of other services, by the name in messages. */
const SERVICES: Readonly<Record<string, string>> = {
  discord: "Discord",
  incidentio: "incident.io",
  jira: "Jira",
  mattermost: "Mattermost",
  msteams: "Microsoft Teams",
  msteamsv2: "Microsoft Teams",
  opsgenie: "Opsgenie",
  pagerduty: "PagerDuty",
  pushover: "Pushover",
  rocketchat: "Rocket.Chat",
  slack: "Slack",
  sns: "Amazon SNS",
  telegram: "Telegram",
  victorops: "VictorOps",
  webex: "Webex",
  wechat: "WeChat",
};

const RECEIVER = [
  ...["name", "labels", "webhook_configs", "email_configs"],
  ...Object.keys(SERVICES).map((service) => `${service}_configs`),
];
/** Members with a counterpart. */
const WEBHOOK = ["url", "send_resolved", "max_alerts"];
const EMAIL = ["to", "send_resolved"];

/** Reads a receiver: webhooks and addresses of users are translated, other services are noted. */
export function readReceiver(value: unknown, path: string, findings: Findings): ImportedReceiver {
  const receiver = membersOf(value, path, RECEIVER, findings);
  const name = textOf(receiver["name"], `${path}.name`, findings) ?? "";
  const webhooks = entriesOf(receiver, "webhook_configs", path, findings);
  const mails = entriesOf(receiver, "email_configs", path, findings);
  for (const [service, shown] of Object.entries(SERVICES)) {
    const member = `${service}_configs`;
    const count = itemsOf(receiver[member], `${path}.${member}`, findings).length;
    if (count > 0) findings.leave(`${path}.${member}`, `${shown} is not translated (receiver ${JSON.stringify(name)})`);
  }
  return {
    name,
    path,
    webhooks: webhooks.flatMap(({ entry, at }) => webhookOf(entry, at, findings)),
    addresses: mails.flatMap(({ entry, at }) => addressesOf(entry, at, findings)),
    sendResolved: resolvedOf(webhooks, mails, path, findings),
    isSink: !Object.entries(receiver).some(([member, list]) => member.endsWith("_configs") && isFilled(list)),
  };
}

function isFilled(list: unknown): boolean {
  return Array.isArray(list) && list.length > 0;
}

interface Entry {
  readonly entry: YamlObject;
  readonly at: string;
}

function entriesOf(receiver: YamlObject, member: string, path: string, findings: Findings): Entry[] {
  return itemsOf(receiver[member], `${path}.${member}`, findings).map((item, i) => {
    const at = `${path}.${member}.${i}`;
    const isObject = typeof item === "object" && item !== null && !Array.isArray(item);
    if (!isObject) findings.problem(at, "must be an object");
    return { entry: isObject ? (item as YamlObject) : {}, at };
  });
}

function webhookOf(entry: YamlObject, at: string, findings: Findings): ImportedWebhook[] {
  noteOthers(entry, at, WEBHOOK, findings);
  const url = textOf(entry["url"], `${at}.url`, findings);
  const maxAlerts = Number(textOf(entry["max_alerts"], `${at}.max_alerts`, findings) ?? 0);
  if (!Number.isSafeInteger(maxAlerts) || maxAlerts < 0) findings.problem(`${at}.max_alerts`, "must be a whole number");
  if (url !== undefined && URL.canParse(url)) return [maxAlerts > 0 ? { url, maxAlerts } : { url }];
  if (url !== undefined) findings.leave(`${at}.url`, "is not a URL (a template or a masked secret), so it has no step");
  else if (entry["url_file"] === undefined) findings.problem(`${at}.url`, "is required");
  return [];
}

function addressesOf(entry: YamlObject, at: string, findings: Findings): ImportedReceiver["addresses"] {
  noteOthers(entry, at, EMAIL, findings);
  const to = textOf(entry["to"], `${at}.to`, findings) ?? "";
  const addresses = to
    .split(",")
    .map((part) => (/<([^>]+)>/.exec(part)?.[1] ?? part).trim())
    .filter((address) => address !== "");
  if (addresses.length === 0) findings.problem(`${at}.to`, "is required");
  return addresses.map((address) => ({ address, path: `${at}.to` }));
}

function noteOthers(entry: YamlObject, at: string, known: readonly string[], findings: Findings): void {
  for (const name of Object.keys(entry))
    if (!known.includes(name)) findings.leave(`${at}.${name}`, "has no counterpart in a step of a policy");
}

/** One setting for the whole policy. Alertmanager's defaults: webhooks yes, mail no. */
function resolvedOf(webhooks: readonly Entry[], mails: readonly Entry[], path: string, findings: Findings): boolean {
  const settings = new Set([
    ...webhooks.map(({ entry }) => entry["send_resolved"] !== false),
    ...mails.map(({ entry }) => entry["send_resolved"] === true),
  ]);
  if (settings.size > 1)
    findings.change(path, "send_resolved differs between its entries; all of them are notified of the end");
  return settings.size === 0 || settings.has(true);
}
