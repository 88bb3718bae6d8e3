import { type Caller, currentCaller, runAs, type UserPrincipal } from "../../core/caller.ts";
import { isUuid } from "../../core/ids.ts";
import { type InTransaction, type Trx, WriteQueue } from "../../store/database.ts";
import { type HeldRow, holdInInbox, type WantedRow } from "./held-rows.ts";
import { inboxItemView, type NotificationsContext, noSuchNotification } from "./inbox.ts";
import type * as queries from "./queries.ts";

/** The recipient of the notification, with the permissions of the recipient. */
export type InboxReader = Pick<UserPrincipal, "userId" | "permissions">;

/** A change of a recipient's part of a notification. */
interface InboxChange {
  readonly reader: InboxReader;
  readonly id: string;
  /** @returns the row after the change */
  apply(trx: Trx, held: HeldRow, now: number): Promise<queries.InboxRow>;
}

interface QueuedChange extends InboxChange {
  readonly caller: Caller;
}

type View = ReturnType<typeof inboxItemView>;

/** Null: the notification is gone. */
type Outcome = View | null;

/** Changes by requests: all that wait are one transaction, and count the unread ones of a user once. */
export interface InboxChanges {
  readonly queue: WriteQueue<QueuedChange, Outcome>;
  /** An incident may change more notifications of the user. */
  isOfIncident(id: string): boolean;
}

/** Changes of one transaction. */
const CHANGED_AT_ONCE = 64;
const MAX_WAITING = 2000;

export function inboxChanges(context: NotificationsContext): InboxChanges {
  const queue = new WriteQueue<QueuedChange, Outcome>({
    db: context.db,
    options: { sharesCommit: true },
    most: CHANGED_AT_ONCE,
    mayWait: MAX_WAITING,
    store: (trx, all) => storeAll(context, trx, all),
  });
  const ofIncident = context.reader.prepare<[string], 1>(
    "select 1 from notifications where id = ? and incidentId is not null",
  );
  return { queue, isOfIncident: (id) => ofIncident.get(id) !== undefined };
}

/** @throws NOTIFICATION_NOT_FOUND, also for one of another user or a deleted one. */
export async function changeInQueue(
  context: NotificationsContext,
  changes: InboxChanges,
  change: InboxChange,
): Promise<View> {
  if (!isUuid(change.id)) throw noSuchNotification();
  if (changes.isOfIncident(change.id)) return changeAlone(context, change);
  const outcome = await changes.queue.add({ ...change, caller: currentCaller() });
  if (outcome === null) throw noSuchNotification();
  return outcome;
}

/** {@link changeInQueue} in a transaction of its own, or of the caller. */
export async function changeAlone(
  context: NotificationsContext,
  { reader, id, apply }: InboxChange,
  options: InTransaction = {},
): Promise<View> {
  const { db, clock } = context;
  if (!isUuid(id)) throw noSuchNotification();
  return db.writeIn(
    options,
    async (trx) => {
      const wanted = wantedOf({ reader, id });
      const held = (await holdInInbox(trx, [wanted])).find(wanted);
      if (!held) throw noSuchNotification();
      return viewOf(context, held, await apply(trx, held, clock.now()));
    },
    { sharesCommit: true },
  );
}

/** Each on behalf of its own caller, and on top of those before it. */
async function storeAll(context: NotificationsContext, trx: Trx, all: readonly QueuedChange[]): Promise<Outcome[]> {
  const inbox = await holdInInbox(trx, all.map(wantedOf));
  const outcomes: Outcome[] = [];
  for (const { reader, id, apply, caller } of all) {
    const held = inbox.find(wantedOf({ reader, id }));
    if (!held) {
      outcomes.push(null);
      continue;
    }
    const changed = await runAs(caller, () => apply(trx, held, context.clock.now()));
    inbox.changed(held, changed);
    outcomes.push(viewOf(context, held, changed));
  }
  return outcomes;
}

function wantedOf({ reader, id }: Pick<InboxChange, "reader" | "id">): WantedRow {
  const withRecipients = reader.permissions.has("notifications:read_all");
  return { userId: reader.userId, notificationId: id, withRecipients };
}

function viewOf(context: NotificationsContext, { recipients }: HeldRow, changed: queries.InboxRow): View {
  return inboxItemView(changed, recipients && recipientsAfter(recipients, changed), context);
}

/** All recipients after the change of one of them. */
function recipientsAfter(
  recipients: NonNullable<HeldRow["recipients"]>,
  changed: queries.InboxRow,
): queries.AllRecipients {
  const now = recipients.map((each) => (each.userId === changed.userId ? changed : each));
  const acknowledged = now.filter(({ acknowledgedAt }) => acknowledgedAt !== null);
  return { recipients: now.map(({ userId }) => userId), acknowledgedBy: acknowledged.map(({ userId }) => userId) };
}
