import { free, type ImportedFiles } from "../files.ts";
import { channelOf } from "../old-channels.ts";
import type { OldPeople } from "../old-people.ts";
import { isMembers } from "../source-rows.ts";
import type { OldKuma } from "./read.ts";

type Config = Readonly<Record<string, unknown>>;
type Notification = OldKuma["notification"][number];
type Step = Readonly<Record<string, unknown>>;

const textOf = (value: unknown): string =>
  typeof value === "string" || typeof value === "number" ? String(value) : "";
const isEurope = (value: unknown) => /(^|\.)eu(\.|$)/.test(textOf(value));

/** Fields of the preset of the same kind. */
const PRESETS: Readonly<Record<string, readonly [preset: string, fields: (config: Config) => Config]>> = {
  telegram: [
    "telegram",
    (c) => ({
      ...{ token: c["telegramBotToken"], chat: c["telegramChatID"], topic: c["telegramMessageThreadID"] },
      silent: c["telegramSendSilently"] ? "on" : undefined,
    }),
  ],
  discord: ["discord", (c) => ({ url: c["discordWebhookUrl"], thread: c["threadId"] })],
  slack: ["slack", (c) => ({ url: c["slackwebhookURL"], channel: c["slackchannel"] })],
  webhook: ["http", (c) => ({ url: c["webhookURL"], headers: headersOf(c["webhookAdditionalHeaders"]) })],
  pushover: [
    "pushover",
    (c) => ({
      ...{ token: c["pushoverapptoken"], user: c["pushoveruserkey"], device: c["pushoverdevice"] },
      sound: c["pushoversounds"],
    }),
  ],
  ntfy: ["ntfy", (c) => ({ url: c["ntfyserverurl"], topic: c["ntfytopic"], token: c["ntfyaccesstoken"] })],
  gotify: ["gotify", (c) => ({ url: c["gotifyserverurl"], token: c["gotifyapplicationToken"] })],
  teams: ["teams", (c) => ({ url: c["webhookUrl"] })],
  matrix: ["matrix", (c) => ({ url: c["homeserverUrl"], room: c["internalRoomId"], token: c["accessToken"] })],
  signal: [
    "signal",
    (c) => ({
      url: textOf(c["signalURL"]).replace(/\/v\d\/send\/?$/, ""),
      number: c["signalNumber"],
      recipient: c["signalRecipients"],
    }),
  ],
  PagerDuty: [
    "pagerduty",
    (c) => ({
      key: c["pagerdutyIntegrationKey"],
      region: isEurope(c["pagerdutyIntegrationUrl"]) ? "events.eu.pagerduty.com" : undefined,
    }),
  ],
  Opsgenie: [
    "opsgenie",
    (c) => ({ key: c["opsgenieApiKey"], region: isEurope(c["opsgenieRegion"]) ? "api.eu.opsgenie.com" : undefined }),
  ],
};

/** Lines of a JSON object. */
function headersOf(value: unknown): string | undefined {
  try {
    const headers: unknown = JSON.parse(textOf(value) || "{}");
    if (isMembers(headers))
      return Object.entries(headers)
        .map(([name, each]) => `${name}: ${textOf(each)}`)
        .join("\n");
  } catch {
    // It is not sent either.
  }
  return undefined;
}

/** Channels and people in place of notifications, with the steps of a policy for each. */
export function notificationsOf(
  notifications: readonly Notification[],
  { files, people, project }: { readonly files: ImportedFiles; readonly people: OldPeople; readonly project: string },
) {
  const channels: object[] = [];
  const steps = new Map<number, readonly Step[]>();
  const names = new Map<number, string>();
  const taken = new Set<string>();
  for (const { id, name: given, config: text, active } of notifications) {
    const name = free((given || "Notification").slice(0, 90), taken);
    names.set(id, name);
    const config = configOf(text);
    const type = textOf(config?.["type"]);
    const about = `${type || "it"} is not taken`;
    if (config === null) files.note("notification", name, "not taken", "its configuration cannot be read");
    else if (!active) files.note("notification", name, "not taken", "it is switched off");
    else if (type === "smtp") {
      const addresses = ["smtpTo", "smtpCC", "smtpBCC"].flatMap((member) => textOf(config[member]).split(","));
      const users = addresses.filter((each) => each.trim() !== "").flatMap((each) => people.add(each) ?? []);
      if (users.length > 0) steps.set(id, [{ type: "notify", users: [...new Set(users)] }]);
      files.note(
        "notification",
        name,
        "changed",
        "mails go by Prism's mail server, the settings smtp, to people who are invited: prism apply --invite",
      );
    } else if (!PRESETS[type]) {
      const how =
        type === "apprise" ? "give its URL to a server of Apprise, and make a channel with the preset apprise" : OTHER;
      files.note("notification", name, "not taken", `${about}: ${how}`);
    } else {
      const [preset, fieldsOf] = PRESETS[type];
      const channel = channelOf(files, project, { name, preset, fields: fieldsOf(config) });
      if (channel === undefined) continue;
      channels.push(channel);
      steps.set(id, [{ type: "channel", name }]);
      if (type === "webhook") files.note("notification", name, "changed", "the body is Prism's; a template changes it");
      const hasTemplate = Object.entries(config).some(
        ([member, value]) => /UseTemplate$/.test(member) && value === true,
      );
      if (hasTemplate)
        files.note("notification", name, "changed", "its template is not taken; a channel may have its own");
    }
  }
  return { channels, steps, names };
}

const OTHER = "prism channels presets lists what a channel can be";

function configOf(text: string | null | undefined): Config | null {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return isMembers(value) ? value : null;
  } catch {
    return null;
  }
}
