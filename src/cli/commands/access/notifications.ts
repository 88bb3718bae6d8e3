import { type Command, Option } from "commander";
import { isUuid } from "../../../core/ids.ts";
import type { Context } from "../../context.ts";
import { everyItem, online, pick } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { integerFlag } from "../../output/flag-values.ts";
import { printable, table } from "../../output/output.ts";
import { localTime, withLocalTimes } from "../../output/text.ts";
import type { ServerClient } from "../../server-client.ts";

const PATH = "/api/v1/notifications";
const STATUSES = ["unread", "read", "acknowledged", "undelivered", "all"];
const MAX_PAGE = 100;
const DEFAULT_LIMIT = 20;
/** Number of latest notifications searched for an id prefix. */
const RECENT = 500;

interface Notification {
  readonly id: string;
  readonly offset: number;
  readonly title: string;
  readonly message: string;
  readonly priority: number;
  readonly createdAt: string;
  readonly read: boolean;
  readonly me: { readonly readAt: string | null; readonly acknowledgedAt: string | null };
}

interface Flags {
  readonly user?: string;
}

const OF_USER = [
  "--user <user>",
  "act for another user: id, external id, username or mail address; for administrators",
] as const;

function notificationsOf(
  server: ServerClient,
  { user, status, limit }: Flags & { readonly status?: string; readonly limit: number },
): Promise<Notification[]> {
  return everyItem(server, PATH, { userId: user, status, limit: Math.min(limit, MAX_PAGE) }, limit);
}

function stateOf({ me }: Notification): string {
  if (me.acknowledgedAt !== null) return "acknowledged";
  return me.readAt === null ? "unread" : "read";
}

function notificationsTable(notifications: readonly Notification[]): string[] {
  if (notifications.length === 0) return ["no notifications"];
  return table(
    ["ID", "CREATED", "STATE", "PRIORITY", "TITLE", "MESSAGE"],
    notifications.map((each) => [
      each.id,
      localTime(each.createdAt).slice(0, 16),
      stateOf(each),
      each.priority,
      each.title,
      withLocalTimes(each.message),
    ]),
  );
}

function addListNotifications(notifications: Command): void {
  notifications
    .command("list")
    .description("list notifications, newest first: your own, or with --user another user's")
    .option(...OF_USER)
    .addOption(new Option("--status <status>", "only notifications in this state (default: all)").choices(STATUSES))
    .option("--limit <n>", "list at most this many", integerFlag(1, 100_000), DEFAULT_LIMIT)
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism notifications list --status unread\n  $ prism notifications list --user ann --json",
    )
    .action((flags: Flags & { readonly status?: string; readonly limit: number }, command: Command) =>
      online(command, async (server, { out }) => {
        const found = await notificationsOf(server, flags);
        out.result({ notifications: found }, () => notificationsTable(found));
      }),
    );
}

/** Resolves an id, or the prefix of one of the latest ids. @throws CommandError 6, 7 */
async function idOf(server: ServerClient, ref: string, flags: Flags): Promise<string> {
  if (isUuid(ref)) return ref;
  return pick(await notificationsOf(server, { ...flags, limit: RECENT }), ref, {
    one: "notification",
    namesOf: () => [],
    lineOf: ({ id, title }) => `${id}  ${title}`,
  }).id;
}

function actionPath(action: string, { user }: Flags): string {
  return `${PATH}/${action}${user === undefined ? "" : `?userId=${encodeURIComponent(user)}`}`;
}

function showChanged({ out }: Context, changed: Notification): void {
  out.result(changed, () => `${changed.id}  ${stateOf(changed)}  ${printable(changed.title)}`);
}

function addAcknowledge(notifications: Command): void {
  notifications
    .command("ack")
    .description("acknowledge a notification; this also marks it read")
    .argument("<id>", "id of the notification, or a prefix of it")
    .option(...OF_USER)
    .option("--note <text>", "text to store with the acknowledgement; the audit trail records only its length")
    .addHelpText(
      "after",
      "\nExamples:\n" +
        "  $ prism notifications ack 0198c1de --note 'I am on it'\n" +
        "  $ prism notifications ack 0198c1de --user ann",
    )
    .action((ref: string, { note, ...flags }: Flags & { readonly note?: string }, command: Command) =>
      online(command, async (server, context) => {
        const path = actionPath(`${await idOf(server, ref, flags)}/acknowledge`, flags);
        const body = note === undefined ? {} : { note };
        showChanged(context, await server.change<Notification>("PUT", path, body));
      }),
    );
}

function addRead(notifications: Command): void {
  notifications
    .command("read")
    .description("mark one notification, or all, read")
    .argument("[id]", "id of the notification, or a prefix of it")
    .option("--all", "all unread notifications")
    .option(...OF_USER)
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism notifications read 0198c1de\n  $ prism notifications read --all --user ann",
    )
    .action((ref: string | undefined, flags: Flags & { readonly all?: boolean }, command: Command) => {
      if ((ref === undefined) !== (flags.all === true))
        throw new CommandError(EXIT.usage, "give either an id or --all");
      return online(command, async (server, context) => {
        if (ref === undefined) {
          const result = await server.post<{ updated: number }>(actionPath("read-all", flags), {});
          context.out.result(result, () => `${result.updated} marked read`);
          return;
        }
        const path = actionPath(`${await idOf(server, ref, flags)}/read`, flags);
        showChanged(context, await server.change<Notification>("PATCH", path, {}));
      });
    });
}

/** Notifications of a user on a running server. */
export function addNotifications(program: Command): void {
  const notifications = program
    .command("notifications")
    .description("list, acknowledge and read notifications of a user")
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism notifications list --user ann --status unread\n  $ prism notifications ack 0198c1de",
    );
  addListNotifications(notifications);
  addAcknowledge(notifications);
  addRead(notifications);
}
