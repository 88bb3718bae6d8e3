import { sql } from "kysely";
import type { PermissionHolder } from "../../../core/caller.ts";
import { type SealedBox, UnsealError } from "../../../core/crypto/sealed-box.ts";
import { type BoundStatement, type ReadDb, rowsOfAll, type Trx } from "../../../store/database.ts";
import { daysBefore, sweepRows } from "../../../store/retention.ts";
import type { JobState } from "../../../store/schema.ts";
import { countOf } from "../../../store/sqlite/list-queries.ts";
import { type BOXES, Message, type MessageRow, type MessageStatus } from "./schema.ts";

/** Whether the caller may use the user's messages: a service token only if created for that. */
export function mayUseMessages({ tokenScopes, permissions }: PermissionHolder): boolean {
  return tokenScopes === null || permissions.has("messages:own");
}

/** Seal context of a message's content: it does not open in another row. */
export function contentPlace(id: string): string {
  return `messages.content.${id}`;
}

export function sealContent(box: SealedBox, id: string, content: string): Buffer {
  return box.seal(contentPlace(id), Buffer.from(content));
}

/** @returns null if no configured key opens it; the rest of the message is readable. */
export function openContent(box: SealedBox, { id, content }: Pick<MessageRow, "id" | "content">): string | null {
  try {
    return box.open(contentPlace(id), content).toString();
  } catch (error) {
    if (error instanceof UnsealError) return null;
    throw error;
  }
}

/** A message as its sender and recipient see it, in lists and in their streams. */
export function messageView(box: SealedBox, row: MessageRow) {
  return Message.view(row, { content: openContent(box, row) });
}

export interface MessageStep {
  readonly status: MessageStatus;
  readonly at: number;
}

/** A message and the state of its job. `status` is stored, `shownStatus` is the current one. */
export interface TrackedMessage extends MessageRow {
  readonly shownStatus: MessageStatus;
  readonly jobState: JobState | null;
  readonly queue: string | null;
  readonly jobRunAt: number | null;
  readonly jobStartedAt: number | null;
  readonly jobFence: number | null;
}

/**
 * Until it is final, a message's status follows its job: changes by a worker or an operator need no
 * row of their own, and it is correct even if its handler could not write. A message whose job is
 * gone without a delivery is dead.
 */
const SHOWN_STATUS = sql<MessageStatus>`case
  when m.status in ('delivered', 'read', 'cancelled') then m.status
  when j.state is null then 'dead'
  when j.state = 'running' then 'delivering'
  when j.state = 'ready' then iif(j.attempts = 0, 'queued', 'retrying')
  when j.state in ('scheduled', 'retrying', 'dead', 'cancelled') then j.state
  else m.status end`;

function joined(db: ReadDb | Trx) {
  return db.selectFrom("messages as m").leftJoin("jobs as j", "j.id", "m.jobId");
}

function tracked(db: ReadDb | Trx) {
  return joined(db)
    .selectAll("m")
    .select([
      SHOWN_STATUS.as("shownStatus"),
      "j.state as jobState",
      "j.queue as queue",
      "j.runAt as jobRunAt",
      "j.startedAt as jobStartedAt",
      "j.fence as jobFence",
    ]);
}

/** Compiled once: that takes longer than running it. The ids are a JSON list. */
let findText: string | undefined;

function find(db: ReadDb | Trx, ids: readonly string[]): BoundStatement {
  findText ??= tracked(db).where(sql<boolean>`m.id in (select value from json_each(${""}))`).compile().sql;
  return { sql: findText, parameters: [JSON.stringify(ids)] };
}

export async function findMessage(db: ReadDb | Trx, id: string): Promise<TrackedMessage | undefined> {
  const [rows] = await rowsOfAll(db, [find(db, [id])]);
  return (rows as TrackedMessage[])[0];
}

const ACTIVE_SIDES_SQL = `select u.id from users u where u.status = 'active' and u.deletedAt is null and u.id in (
  select senderId from messages where id in (select value from json_each(?))
  union select recipientId from messages where id in (select value from json_each(?)))`;

/** Messages by id, and which of their sides have an active account, in one message to the writer. */
export async function findWithSides(
  trx: Trx,
  ids: readonly string[],
): Promise<{ readonly messages: ReadonlyMap<string, TrackedMessage>; readonly activeIds: ReadonlySet<string> }> {
  const messagesOf = find(trx, ids);
  const list = messagesOf.parameters;
  const sides = { sql: ACTIVE_SIDES_SQL, parameters: [...list, ...list] };
  const [rows, active] = await rowsOfAll(trx, [messagesOf, sides]);
  const messages = new Map((rows as TrackedMessage[]).map((message) => [message.id, message]));
  return { messages, activeIds: new Set((active as { id: string }[]).map((side) => side.id)) };
}

export function findByJob(trx: Trx, jobId: string): Promise<TrackedMessage | undefined> {
  return tracked(trx).where("m.jobId", "=", jobId).executeTakeFirst();
}

export interface MessageFilter {
  readonly userId: string;
  readonly box: (typeof BOXES)[number];
  readonly withId: string | undefined;
  readonly status: MessageStatus | undefined;
}

export interface MessagePage {
  /** The page starts after this position. */
  readonly after: { readonly deliverAt: number; readonly id: string } | null;
  readonly limit: number;
  readonly offset: number;
}

/** Whether an index provides a page without skipping other messages. */
export function isIndexed({ box, withId, status }: MessageFilter): boolean {
  return status === undefined && (withId === undefined || box === "sent");
}

/** SQLite omits the join when nothing of the job is selected. */
function keysOf(db: ReadDb) {
  return joined(db).select(["m.id as id", "m.deliverAt as deliverAt"]);
}
type Keys = ReturnType<typeof keysOf>;

function behind(keys: Keys, after: MessagePage["after"]): Keys {
  if (after === null) return keys;
  return keys
    .where("m.deliverAt", "<=", after.deliverAt)
    .where((e) => e.or([e("m.deliverAt", "<", after.deliverAt), e("m.id", "<", after.id)]));
}

function sent(db: ReadDb, { userId, withId, status }: MessageFilter): Keys {
  let keys = keysOf(db).where("m.senderId", "=", userId);
  if (withId !== undefined) keys = keys.where("m.recipientId", "=", withId);
  if (status !== undefined) keys = keys.where(SHOWN_STATUS, "=", status);
  return keys;
}

/** Messages that have reached the user; the condition repeats the partial index's literally. */
function received(db: ReadDb, { userId, withId, status }: MessageFilter): Keys {
  let keys = keysOf(db)
    .where("m.recipientId", "=", userId)
    .where("m.status", "in", [sql.lit<MessageStatus>("delivered"), sql.lit<MessageStatus>("read")]);
  if (withId !== undefined) keys = keys.where("m.senderId", "=", withId);
  if (status !== undefined) keys = keys.where("m.status", "=", status);
  return keys;
}

/** Both sides; a message to oneself counts as sent. */
function all(db: ReadDb, filter: MessageFilter, after: MessagePage["after"]) {
  const { userId } = filter;
  const others = behind(received(db, filter).where("m.senderId", "<>", userId), after);
  return behind(sent(db, filter), after).unionAll(others);
}

function keysIn(db: ReadDb, filter: MessageFilter, after: MessagePage["after"]) {
  if (filter.box === "all") return all(db, filter, after);
  return behind(filter.box === "sent" ? sent(db, filter) : received(db, filter), after);
}

/** Latest due first. */
export async function listMessages(db: ReadDb, filter: MessageFilter, page: MessagePage): Promise<TrackedMessage[]> {
  const keys = await keysIn(db, filter, page.after)
    .orderBy("deliverAt", "desc")
    .orderBy("id", "desc")
    .limit(page.limit)
    .offset(page.offset)
    .execute();
  if (keys.length === 0) return [];
  const ids = keys.map(({ id }) => id);
  const rows = await tracked(db).where("m.id", "in", ids).execute();
  const byId = new Map(rows.map((row) => [row.id, row]));
  // Omits a message that retention removed in between.
  return ids.flatMap((id) => byId.get(id) ?? []);
}

export function countMessages(db: ReadDb, filter: MessageFilter): Promise<number> {
  return countOf(db.selectFrom(keysIn(db, filter, null).as("u")));
}

const MESSAGE_DAYS = 365;
/** As for accounts. */
const REMOVED_USER_DAYS = 30;

/** Final messages: no delivery is pending. */
function ended(db: ReadDb | Trx) {
  return db
    .selectFrom("messages as m")
    .where((e) =>
      e.not(
        e.exists(
          e.selectFrom("jobs as j").select("j.seq").whereRef("j.id", "=", "m.jobId").where("j.finishedAt", "is", null),
        ),
      ),
    );
}

/** Counted from the due time, so that one with a long delay is kept as long as any other. */
function old(db: ReadDb | Trx, now: number) {
  return ended(db).select("m.id").where("m.deliverAt", "<=", daysBefore(now, MESSAGE_DAYS));
}

/**
 * Messages of a deleted account that no other account has: they never reached anyone, or the
 * recipient was deleted as well. Messages received or sent by another user stay.
 */
function orphaned(db: ReadDb | Trx, now: number) {
  const removed = db.selectFrom("users").select("id").where("deletedAt", "<=", daysBefore(now, REMOVED_USER_DAYS));
  return ended(db)
    .select("m.id")
    .where("m.senderId", "in", removed)
    .where((e) => e.or([e("m.deliveredAt", "is", null), e("m.recipientId", "in", removed)]));
}

export const MESSAGE_SWEEPS = [sweepRows("messages", old), sweepRows("messages", orphaned)];
