import { free, type ImportedFiles } from "../files.ts";
import { channelOf } from "../old-channels.ts";
import { isMembers } from "../source-rows.ts";
import type { OldHealthchecks } from "./read.ts";

type Fields = Readonly<Record<string, unknown>>;
type Channel = OldHealthchecks["api.channel"][number];

/** The value of a channel, as a text and as JSON. */
interface Value {
  readonly text: string;
  readonly json: Fields;
}

/** The preset of the same kind; a text says why there is none. */
const PRESETS: Readonly<Record<string, readonly [preset: string, fields: (value: Value) => Fields] | string>> = {
  slack: ["slack", slackUrl],
  mattermost: ["mattermost", slackUrl],
  rocketchat: ["rocket-chat", ({ text }) => ({ url: text })],
  discord: ["discord", ({ json }) => ({ url: memberOf(json, "webhook", "url") })],
  msteamsw: ["teams", ({ text }) => ({ url: text })],
  googlechat: ["google-chat", ({ text }) => ({ url: text })],
  ntfy: ["ntfy", ({ json }) => ({ url: json["url"], topic: json["topic"], token: json["token"] })],
  gotify: ["gotify", ({ json }) => ({ url: json["url"], token: json["token"] })],
  webhook: ["http", webhook],
  opsgenie: [
    "opsgenie",
    ({ json }) => ({ key: json["key"], region: json["region"] === "eu" ? "api.eu.opsgenie.com" : undefined }),
  ],
  pd: ["pagerduty", ({ text, json }) => ({ key: json["service_key"] ?? text })],
  pushbullet: ["pushbullet", ({ text }) => ({ token: text })],
  victorops: [
    "splunk-on-call",
    ({ text }) => {
      const [, key, route] = /\/alert\/([^/]+)\/([^/]+)\/?$/.exec(text) ?? [];
      return { key, route };
    },
  ],
  zulip: [
    "zulip",
    ({ json }) => ({
      ...{ url: json["site"], email: json["bot_email"], token: json["api_key"], topic: json["topic"] },
      stream: json["mtype"] === "stream" ? json["to"] : undefined,
    }),
  ],
  telegram: "the bot is that of the old server: make one, and a channel with the preset telegram",
  po: "the application is that of the old server: make one, and a channel with the preset pushover",
  matrix: "the account is that of the old server: make a channel with the preset matrix",
  signal: "the account is that of the old server: make a channel with the preset signal",
  sms: "the account is that of the old server: make a channel with the preset twilio-sms, or give people the number",
  call: "the account is that of the old server: make a channel with the preset twilio-voice, or give people the number",
  whatsapp: "the account is that of the old server: make a channel with the preset whatsapp",
  apprise: "give its URL to a server of Apprise, and make a channel with the preset apprise",
  shell: "write a module, or a receiver that runs the command",
  group: "its channels are given to its checks",
};

function memberOf(json: Fields, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((value, name) => (isMembers(value) ? value[name] : undefined), json);
}

function slackUrl({ text, json }: Value): Fields {
  return { url: text.startsWith("{") ? memberOf(json, "incoming_webhook", "url") : text };
}

function webhook({ text, json }: Value): Fields {
  const headers = json["headers_down"];
  return {
    url: json["url_down"] ?? text.split("\n")[0],
    headers: isMembers(headers)
      ? Object.entries(headers)
          .map(([name, value]) => `${name}: ${String(value)}`)
          .join("\n")
      : "",
  };
}

function readValue({ value: text }: Channel): Value {
  try {
    const json: unknown = text.startsWith("{") ? JSON.parse(text) : {};
    return { text, json: isMembers(json) ? json : {} };
  } catch {
    return { text, json: {} };
  }
}

/** A policy of one step for each integration of a project. */
export interface OldIntegration {
  readonly policy: string;
  readonly steps: readonly object[];
  readonly channel?: object;
}

/** @param userOf the username of a person with this address @returns by the key of the integration */
export function integrationsOf(
  channels: readonly Channel[],
  {
    files,
    project,
    userOf,
  }: {
    readonly files: ImportedFiles;
    readonly project: string;
    readonly userOf: (address: string) => string | undefined;
  },
): ReadonlyMap<string, OldIntegration> {
  const made = new Map<string, OldIntegration>();
  const taken = new Set<string>(["default"]);
  for (const each of channels) {
    const { pk, kind, disabled } = each;
    const value = readValue(each);
    const name = free((each.name || labelOf(kind, value)).slice(0, 90), taken);
    const entry = PRESETS[kind];
    const note = (outcome: "not taken" | "changed", text: string) => files.note("integration", name, outcome, text);
    if (kind === "group") continue;
    const isTold = kind === "email" || (entry !== undefined && typeof entry !== "string");
    if (isTold && !disabled && (value.json["up"] === false || value.json["down"] === false))
      note("changed", "it is told of both, when a check goes down and when it comes up");
    if (disabled) note("not taken", "it is switched off");
    else if (kind === "email") {
      const user = userOf(String(value.json["value"] ?? value.text));
      if (user === undefined) continue;
      made.set(pk, { policy: name, steps: [{ type: "notify", users: [user] }] });
    } else if (entry === undefined || typeof entry === "string")
      note("not taken", `${kind}: ${entry ?? "prism channels presets lists what a channel can be"}`);
    else {
      const [preset, fieldsOf] = entry;
      const channel = channelOf(files, project, { name, preset, fields: fieldsOf(value) });
      if (channel === undefined) continue;
      made.set(pk, { policy: name, steps: [{ type: "channel", name }], channel });
      if (kind === "webhook")
        note("changed", "the body is Prism's, and it is sent when a check is down; a template changes it");
    }
  }
  return made;
}

function labelOf(kind: string, { text, json }: Value): string {
  return kind === "email" ? `Mail to ${String(json["value"] ?? text)}` : kind;
}

/** Keys of the integrations in a group, which names them by their codes. */
export function membersOfGroup({ value }: Channel, all: readonly Channel[]): readonly string[] {
  const codes = value.split(",");
  return all.filter(({ code }) => codes.includes(code)).map(({ pk }) => pk);
}
