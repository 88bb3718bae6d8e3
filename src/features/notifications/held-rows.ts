import { rowsOfAll, type Trx } from "../../store/database.ts";
import type { InboxRow } from "./queries.ts";

/** A notification of which its recipient changes the part of its own. */
export interface HeldRow {
  readonly row: InboxRow;
  /** The user's unread ones; null if this one is read already. */
  readonly unread: number | null;
  /** Null: not asked for. */
  readonly recipients: readonly RecipientAck[] | null;
}

type RecipientAck = Pick<InboxRow, "userId" | "acknowledgedAt">;

export interface WantedRow {
  readonly userId: string;
  readonly notificationId: string;
  readonly withRecipients: boolean;
}

/** The rows that pairs of a user and a notification name, as a JSON list. */
const WANTED = `json_each(@pairs) w cross join notification_recipients r
    on r.notificationId = w.value ->> 1 and r.userId = w.value ->> 0 and r.deletedAt is null`;

const FIND_SQL = `select n.*, r.notificationId, r.userId, r.seq, r.readAt, r.acknowledgedAt, r.openedAt, r.deletedAt,
    r.acknowledgeNote, r.webviewAction, r.delivered as recipientDelivered
  from ${WANTED} cross join notifications n on n.id = r.notificationId`;

/** A user of read ones only is left out: the unread ones may be many. */
const UNREAD_SQL = `select u.userId, (
    select count(*) from notification_recipients o indexed by notification_recipients_unread
    where o.userId = u.userId and o.deletedAt is null and o.readAt is null
  ) as unread from (select distinct r.userId from ${WANTED} where r.readAt is null) u`;

const RECIPIENTS_SQL = `select notificationId, userId, acknowledgedAt from notification_recipients
  where notificationId in (select value from json_each(?)) order by notificationId, seq`;

/** Reads what changes of users' parts need, in one message to the writer. */
export async function holdInInbox(trx: Trx, wanted: readonly WantedRow[]): Promise<HeldRows> {
  const pairs = [...new Set(wanted.map(({ userId, notificationId }) => JSON.stringify([userId, notificationId])))];
  const list = { pairs: `[${pairs.join()}]` };
  const shown = new Set(wanted.filter((each) => each.withRecipients).map(({ notificationId }) => notificationId));
  const [rows, counts, recipients] = await rowsOfAll(trx, [
    { sql: FIND_SQL, parameters: [list] },
    { sql: UNREAD_SQL, parameters: [list] },
    ...(shown.size > 0 ? [{ sql: RECIPIENTS_SQL, parameters: [JSON.stringify([...shown])] }] : []),
  ]);
  return new HeldRows(rows as InboxRow[], counts as UnreadCount[], (recipients ?? []) as StoredRecipient[], shown);
}

interface UnreadCount {
  readonly userId: string;
  readonly unread: number;
}

interface StoredRecipient extends RecipientAck {
  readonly notificationId: string;
}

/** Rows that a transaction holds, as they are after its changes. */
class HeldRows {
  readonly #rows: Map<string, InboxRow>;
  readonly #unread: Map<string, number>;
  readonly #recipients = new Map<string, readonly RecipientAck[]>();

  /** @param shown the notifications of which all recipients were read */
  constructor(
    rows: readonly InboxRow[],
    counts: readonly UnreadCount[],
    recipients: readonly StoredRecipient[],
    shown: ReadonlySet<string>,
  ) {
    this.#rows = new Map(rows.map((row) => [`${row.userId} ${row.notificationId}`, row]));
    this.#unread = new Map(counts.map(({ userId, unread }) => [userId, unread]));
    for (const id of shown)
      this.#recipients.set(
        id,
        recipients.filter(({ notificationId }) => notificationId === id),
      );
  }

  find({ userId, notificationId, withRecipients }: WantedRow): HeldRow | undefined {
    const row = this.#rows.get(`${userId} ${notificationId}`);
    if (!row || row.deletedAt !== null) return undefined;
    const unread = row.readAt === null ? (this.#unread.get(userId) ?? null) : null;
    return { row, unread, recipients: withRecipients ? (this.#recipients.get(notificationId) ?? null) : null };
  }

  changed({ row: before, unread }: HeldRow, row: InboxRow): void {
    this.#rows.set(`${row.userId} ${row.notificationId}`, row);
    const isOpen = row.readAt === null && row.deletedAt === null;
    if (unread !== null && before !== row && !isOpen) this.#unread.set(row.userId, unread - 1);
    const recipients = this.#recipients.get(row.notificationId);
    if (!recipients) return;
    this.#recipients.set(
      row.notificationId,
      recipients.map((each) => (each.userId === row.userId ? row : each)),
    );
  }
}
