import { formatDuration, plural } from "../../ui/index.ts";
import type { Member } from "./draft.ts";
import type { Definition } from "./types.ts";

/** The names of members, as the form shows them. */
export const MEMBER_LABELS: Readonly<Record<Member, string>> = {
  name: "Name",
  description: "Description",
  projectId: "Project",
  condition: "Condition",
  targetRoles: "Roles",
  targetUsers: "People",
  channels: "Channels",
  titleTemplate: "Title",
  messageTemplate: "Message",
  sound: "Sound",
  action: "Link",
  priority: "Priority",
  active: "Enabled",
  suppression: "Storm limit",
  dedupe: "Repeats",
  cooldownMs: "Cooldown",
};

export interface ChannelWord {
  readonly value: Definition["channels"][number];
  readonly label: string;
  readonly hint: string;
}

export const CHANNELS: readonly ChannelWord[] = [
  { value: "in_app", label: "Inbox and live", hint: "the list and open browsers" },
  { value: "webpush", label: "Browser push", hint: "phones and desktops with the installed console" },
  { value: "fcm", label: "Android push", hint: "apps with a push token" },
  { value: "apns", label: "iPhone push", hint: "apps with a push token" },
  { value: "email", label: "Mail", hint: "confirmed addresses" },
  { value: "webhook", label: "Webhook", hint: "own webhooks and the project's" },
  { value: "service", label: "Chat and paging services", hint: "own channels and the project's" },
  { value: "pusher", label: "Pusher", hint: "apps that use the Pusher protocol" },
];

export function channelLabel(channel: string): string {
  return CHANNELS.find(({ value }) => value === channel)?.label ?? channel;
}

const URGENT = 500;
const WAKING = 600;

export function priorityWords(priority: number): string {
  if (priority >= WAKING) return `${priority}: ignores quiet hours and wakes the phone`;
  return priority >= URGENT ? `${priority}: ignores quiet hours` : `${priority}`;
}

/** The value of a member as text, for differences. @param names of people, by id */
export function memberText(
  definition: Definition,
  member: Member,
  names: ReadonlyMap<string, string>,
  projectOf: (id: string | null) => string,
): string {
  switch (member) {
    case "projectId":
      return projectOf(definition.projectId);
    case "targetRoles":
      return definition.targetRoles.join(", ");
    case "targetUsers":
      return definition.targetUsers.map((id) => names.get(id) ?? id).join(", ");
    case "channels":
      return definition.channels.map(channelLabel).join(", ");
    case "active":
      return definition.active ? "yes" : "no";
    case "cooldownMs":
      return definition.cooldownMs === 0 ? "none" : formatDuration(definition.cooldownMs);
    case "suppression":
      return suppressionText(definition);
    case "dedupe":
      return definition.dedupe === null
        ? "none"
        : `one per ${definition.dedupe.key} in ${formatDuration(definition.dedupe.windowMs)}`;
    case "action":
      return definition.action === null
        ? "none"
        : [definition.action.label, definition.action.url].filter(Boolean).join(" → ") || definition.action.type;
    case "priority":
      return priorityWords(definition.priority);
    default:
      return definition[member] ?? "none";
  }
}

function suppressionText({ suppression }: Definition): string {
  if (suppression === null) return "the server's";
  const { count, windowMs, mode, key } = suppression;
  const per = key === undefined ? "" : ` for each ${key}`;
  const batch = mode === "batch" ? ", with samples in the summary" : "";
  return `${plural(count, "notification")} in ${formatDuration(windowMs)}${per}${batch}`;
}

/** Who a rule notifies, in one line. */
export function targetsText(definition: Definition, names: ReadonlyMap<string, string>): string {
  const people = definition.targetUsers.map((id) => names.get(id) ?? id);
  const all = [...definition.targetRoles, ...people];
  if (all.length === 0) return "no recipients yet";
  return all.length <= 3 ? all.join(", ") : `${all.slice(0, 2).join(", ")} and ${all.length - 2} more`;
}
