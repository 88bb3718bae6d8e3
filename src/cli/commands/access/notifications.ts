import { type Command, Option } from "commander";
import type { Notification } from "../../../client/api-types.gen.ts";
import { isUuid } from "../../../core/ids.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { pick } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { withLocalTimes } from "../../output/text.ts";
import { type Call, callOf, filled, listOf, resource, type Values } from "../../resource.ts";

const STATUSES = ["unread", "read", "acknowledged", "undelivered", "all"];
const DEFAULT_LIMIT = 20;
/** Number of latest notifications searched for an id prefix. */
const RECENT = 500;

const OF_USER = [
  "--user <user>",
  "act for another user: id, external id, username or mail address; for administrators",
] as const;

function stateOf({ me }: Notification): string {
  if (me.acknowledgedAt !== null) return "acknowledged";
  return me.readAt === null ? "unread" : "read";
}

/** The notification of an id, or of the prefix of one of the latest ids. @throws CommandError 6, 7 */
async function find(server: ServerClient, ref: string, scope: Values): Promise<{ readonly id: string }> {
  if (isUuid(ref)) return { id: ref };
  const latest = await listOf(server, "listNotifications", { ...scope, limit: 100 }, RECENT);
  return pick(latest, ref, {
    one: "notification",
    namesOf: () => [],
    lineOf: ({ id, title }) => `${id}  ${title}`,
  });
}

function changedLine(changed: Notification): string {
  return filled("{id}  {state}  {title}", { ...changed, state: stateOf(changed) });
}

async function markRead({ server, out, given: { ref, all, ...user } }: Call): Promise<void> {
  if (ref === undefined) {
    const result = await callOf(server, "markAllNotificationsRead", user);
    return out.result(result, () => filled("{updated} marked read", result));
  }
  const { id } = await find(server, String(ref), user);
  const changed = await callOf(server, "markNotificationRead", { id, ...user });
  out.result(changed, () => changedLine(changed));
}

/** Notifications of a user on a running server. */
export function addNotifications(program: Command): void {
  resource(program, "notifications", "id", {
    text: "list, ack and read notifications of a user",
    examples: ["notifications list --user ann --status unread", "notifications ack 0198c1de"],
    ref: "id of the notification, or a prefix of it",
    find,
    scope: { userId: OF_USER },
    verbs: {
      list: {
        text: "list notifications, newest first: your own, or with --user another user's",
        examples: ["--status unread", "--user ann --json"],
        of: "listNotifications",
        flags: {
          status: new Option("--status <status>", "only notifications in this state (default: all)").choices(STATUSES),
        },
        limit: DEFAULT_LIMIT,
        columns: {
          ID: "id",
          CREATED: "createdAt@",
          STATE: stateOf,
          PRIORITY: "priority",
          TITLE: "title",
          MESSAGE: ({ message }: Notification) => withLocalTimes(message),
        },
      },
      ack: {
        text: "acknowledge a notification; this also marks it read",
        examples: ["0198c1de --note 'I am on it'", "0198c1de --user ann"],
        one: true,
        of: "acknowledgeNotification",
        flags: {
          note: ["--note <text>", "text to store with the acknowledgement; the audit trail records only its length"],
        },
        values: (given, { scope }) => ({ ...given, ...scope }),
        lines: changedLine,
      },
      read: {
        text: "mark one notification, or all, read",
        examples: ["0198c1de", "--all --user ann"],
        args: { ref: ["[id]", "id of the notification, or a prefix of it"] },
        global: true,
        flags: { all: ["--all", "all unread notifications"], userId: OF_USER },
        check({ ref, all }) {
          if ((ref === undefined) !== (all === true)) throw new CommandError(EXIT.usage, "give either an id or --all");
        },
        run: markRead,
      },
    },
  });
}
