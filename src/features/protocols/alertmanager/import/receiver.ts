import { randomUUID } from "node:crypto";
import { httpFieldsOf } from "./http.ts";
import { readService, SERVICES, WITHOUT_PRESET } from "./services.ts";
import { itemsOf, membersOf, type Reading, textOf, YamlEntry, type YamlObject } from "./yaml-file.ts";

/** A channel of the project. */
export interface ReceiverChannel {
  /** Stands for its id in the steps of policies. */
  readonly ref: string;
  readonly path: string;
  readonly name: string;
  readonly preset: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly sendResolved: boolean;
}

export interface ImportedWebhook {
  readonly path: string;
  readonly url: string;
  /** Absent: all. */
  readonly maxAlerts?: number;
  /** False: it gets no ends, other ways of the receiver do. */
  readonly sendResolved?: false;
  /** The channel with its credentials. */
  readonly channel?: ReceiverChannel;
}

/** A receiver as the parts of a policy. */
export interface ImportedReceiver {
  readonly name: string;
  readonly path: string;
  readonly webhooks: readonly ImportedWebhook[];
  readonly channels: readonly ReceiverChannel[];
  /** Addresses of users to notify. */
  readonly addresses: readonly { readonly address: string; readonly path: string }[];
  readonly sendResolved: boolean;
  /** It has no configurations, also none that are not translated: Alertmanager notifies no one. */
  readonly isSink: boolean;
}

const RECEIVER = [
  ...["name", "labels", "webhook_configs", "email_configs", "incidentio_configs"],
  ...[...Object.keys(SERVICES), ...Object.keys(WITHOUT_PRESET)].map((service) => `${service}_configs`),
];
const WEBHOOK = ["url", "url_file", "send_resolved", "max_alerts", "http_config", "timeout"];
const INCIDENT_IO = ["url", "url_file", "alert_source_token", "alert_source_token_file", ...WEBHOOK.slice(2)];
const EMAIL = ["to", "send_resolved"];
const MAIL_SETTINGS = [
  ...["from", "hello", "smarthost", "auth_username", "auth_password", "auth_password_file", "auth_secret"],
  ...["auth_secret_file", "auth_identity", "require_tls", "tls_config", "force_implicit_tls"],
  ...["headers", "html", "text", "threading"],
];

/** Reads a receiver: services become channels, webhooks steps, addresses users. */
export function readReceiver(value: unknown, path: string, reading: Reading): ImportedReceiver {
  const { findings } = reading;
  const receiver = membersOf(value, path, RECEIVER, findings);
  const name = textOf(receiver["name"], `${path}.name`, findings) ?? "";
  const labels = Object.keys((receiver["labels"] ?? {}) as YamlObject);
  if (labels.length > 0) findings.change(`${path}.labels`, "policies have no labels");
  const entriesAt = (service: string, shown: string): YamlEntry[] =>
    entriesOf(receiver, `${service}_configs`, path, shown, reading);
  for (const [service, [shown, reason]] of Object.entries(WITHOUT_PRESET))
    for (const entry of entriesAt(service, shown)) findings.leave(entry.path, `${shown} ${reason}`);
  const webhooks = entriesAt("webhook", "a webhook");
  const incidentIo = entriesAt("incidentio", "incident.io");
  const mails = entriesAt("email", "mail");
  const channels = Object.entries(SERVICES).flatMap(([service, known]) =>
    entriesAt(service, known.shown).flatMap((entry, at) => {
      const found = readService(entry, known);
      const sendResolved = resolvedOf(entry, known.sendResolved);
      return found ? [channel(entry, { name: nameOf(name, known.shown, at), sendResolved, ...found })] : [];
    }),
  );
  const direct = [...webhooks.map((each) => resolvedOf(each, true)), ...mails.map((each) => resolvedOf(each, false))];
  const all = [
    ...direct,
    ...incidentIo.map((each) => resolvedOf(each, true)),
    ...channels.map((each) => each.sendResolved),
  ];
  const sendResolved = all.length === 0 || all.includes(true);
  if (sendResolved && mails.some((each) => !resolvedOf(each, false)))
    findings.change(path, "send_resolved differs between its entries; users are notified of the end");
  return {
    name,
    path,
    webhooks: [
      ...webhooks.flatMap((entry, at) => webhookOf(entry, nameOf(name, "webhook", at))),
      ...incidentIo.flatMap((entry, at) => incidentIoOf(entry, nameOf(name, "incident.io", at))),
    ],
    channels,
    addresses: mails.flatMap(addressesOf),
    sendResolved,
    isSink: !Object.entries(receiver).some(([member, list]) => member.endsWith("_configs") && isFilled(list)),
  };
}

function isFilled(list: unknown): boolean {
  return Array.isArray(list) && list.length > 0;
}

function entriesOf(receiver: YamlObject, member: string, path: string, shown: string, reading: Reading): YamlEntry[] {
  const { findings } = reading;
  return itemsOf(receiver[member], `${path}.${member}`, findings).map((item, i) => {
    const at = `${path}.${member}.${i}`;
    const isObject = typeof item === "object" && item !== null && !Array.isArray(item);
    if (!isObject) findings.problem(at, "must be an object");
    return new YamlEntry(isObject ? (item as YamlObject) : {}, at, shown, reading);
  });
}

const MAX_NAME = 100;

/** The same in every import of the file. */
function nameOf(receiver: string, service: string, at: number): string {
  const end = `: ${service}${at === 0 ? "" : ` ${at + 1}`}`;
  return receiver.slice(0, MAX_NAME - end.length) + end;
}

interface ChannelContent {
  readonly name: string;
  readonly preset: string;
  readonly sendResolved: boolean;
  readonly fields: Readonly<Record<string, string | undefined>>;
}

function channel({ path }: YamlEntry, { fields, ...content }: ChannelContent): ReceiverChannel {
  const given = Object.entries(fields).filter((each): each is [string, string] => each[1] !== undefined);
  return { ref: randomUUID(), path, ...content, fields: Object.fromEntries(given) };
}

function webhookOf(entry: YamlEntry, name: string): ImportedWebhook[] {
  const { findings, path } = entry;
  const before = findings.left.length;
  noteOthers(entry, WEBHOOK);
  if (!entry.has("url") && !entry.has("url_file")) findings.problem(`${path}.url`, "is required");
  const url = entry.secret("url");
  const access = httpFieldsOf(entry);
  const maxAlerts = Number(entry.text("max_alerts") ?? 0);
  if (!Number.isSafeInteger(maxAlerts) || maxAlerts < 0)
    findings.problem(`${path}.max_alerts`, "must be a whole number");
  if (entry.has("timeout")) findings.change(`${path}.timeout`, "calls have the time limits of delivery.timeouts");
  if (url !== undefined && !URL.canParse(url)) findings.leave(`${path}.url`, "is not a URL");
  if (url === undefined || findings.left.length > before) return [];
  const ends = resolvedOf(entry, true) ? {} : { sendResolved: false as const };
  return [withAccess(entry, { path, url, ...(maxAlerts > 0 ? { maxAlerts } : {}), ...ends }, name, access)];
}

/** incident.io takes the body of a webhook. */
function incidentIoOf(entry: YamlEntry, name: string): ImportedWebhook[] {
  const { findings, path } = entry;
  const before = findings.left.length;
  noteOthers(entry, INCIDENT_IO);
  const [url, token] = [entry.secret("url"), entry.secret("alert_source_token")];
  if (url === undefined && findings.left.length === before) findings.problem(`${path}.url`, "is required");
  const access = httpFieldsOf(entry);
  if (url === undefined || findings.left.length > before) return [];
  const ends = resolvedOf(entry, true) ? {} : { sendResolved: false as const };
  return [withAccess(entry, { path, url, ...ends }, name, token === undefined ? access : { ...access, token })];
}

/** Credentials are sealed in a channel; without any there is none. */
function withAccess(
  entry: YamlEntry,
  webhook: ImportedWebhook,
  name: string,
  access: Readonly<Record<string, string>>,
): ImportedWebhook {
  if (Object.keys(access).length === 0) return webhook;
  const fields = { url: webhook.url, ...access };
  return { ...webhook, channel: channel(entry, { name, preset: "http", sendResolved: true, fields }) };
}

function addressesOf(entry: YamlEntry): ImportedReceiver["addresses"] {
  const { findings, path } = entry;
  noteOthers(entry, [...EMAIL, ...MAIL_SETTINGS]);
  const settings = MAIL_SETTINGS.filter((name) => entry.has(name));
  if (settings.length > 0)
    findings.change(path, `mail is sent with Prism's own server, sender and texts, not ${settings.join(", ")}`);
  if (!entry.has("to")) findings.problem(`${path}.to`, "is required");
  const addresses = (entry.text("to") ?? "")
    .split(",")
    .map((part) => (/<([^>]+)>/.exec(part)?.[1] ?? part).trim())
    .filter((address) => address !== "");
  return addresses.map((address) => ({ address, path: `${path}.to` }));
}

function noteOthers({ value, path, findings }: YamlEntry, known: readonly string[]): void {
  for (const name of Object.keys(value))
    if (!known.includes(name)) findings.leave(`${path}.${name}`, "has no counterpart in a step of a policy: remove it");
}

function resolvedOf({ value }: YamlEntry, otherwise: boolean): boolean {
  return typeof value["send_resolved"] === "boolean" ? value["send_resolved"] : otherwise;
}
