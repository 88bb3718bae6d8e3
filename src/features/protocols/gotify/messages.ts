import { sql } from "kysely";
import type { Config } from "../../../config/load.ts";
import { type Caller, currentCaller, runAs } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { cleanText, codePointLength } from "../../../core/text/clean-text.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import { DEFAULT_CHANNELS, isLinkAllowed } from "../../../http/api/shapes.ts";
import type { Uses } from "../../../module/feature.ts";
import { later, type Trx, WriteQueue } from "../../../store/database.ts";
import { type ApplicationRow, USED_EVERY_MS } from "./auth.ts";
import { badRequest, notFound } from "./errors.ts";
import { type Fields, integerField, objectField, requiredText, textField } from "./fields.ts";

/** The application of notifications that no application has sent. */
export const INTERNAL_APPLICATION = 1;
/** Priority of notifications without one: with sound, but not on top. */
export const INTERNAL_PRIORITY = 5;

const PRIORITY_FACTOR = 100;
const MAX_PRIORITY = 1000;
const MAX_GOTIFY_PRIORITY = 10;
/** The channels of a message that a channel of this server sent. */
const WITHOUT_SERVICE = DEFAULT_CHANNELS.filter((name) => name !== "service");
const MAX_TITLE = 255;
const MAX_MESSAGE = 4000;
/** Longer extras are not copied into the data of the notification. */
const MAX_DATA_BYTES = 8192;
const PAGE_BYTES = 524_288;
/** Besides parsing: a message is stored, read again, and encoded for the answer and the streams. */
const COPIES = 2;
/** A notification, its recipient and the message. */
const ROWS = 3;
const REMOVED_AT_ONCE = 200;

/** A notification of one recipient, with its message if an application sent it. */
interface MessageRow {
  readonly id: number;
  readonly notificationId: string;
  readonly title: string;
  readonly message: string;
  readonly priority: number;
  readonly action: string | null;
  readonly createdAt: number;
  /** Null if it has none, or a deleted one. */
  readonly applicationId: number | null;
  readonly sentTitle: string | null;
  readonly sentMessage: string | null;
  readonly sentPriority: number | null;
  readonly extras: string | null;
}

/** The id is that of the recipient's row, written before: reading it first would cost a message to the writer. */
const INSERT_SQL = `insert into gotify_messages (id, applicationId, userId, title, message, priority, extras)
  select seq, ?, ?, ?, ?, ?, ? from notification_recipients where notificationId = ? and userId = ?`;

const TOUCH_SQL = "update gotify_applications set lastUsedAt = ? where id = ?";

export interface MessagesParts extends Uses<"db" | "reader" | "clock" | "notify" | "storage"> {
  /** The console's URL; undefined if it is not known. */
  consoleUrl(): string | undefined;

  readonly config: Config;
}

export type MessageView = ReturnType<typeof messageView>;

/** Where a list is read: below an id, newest first. */
export interface MessageRange {
  readonly limit: number;
  /** 0: from the newest. */
  readonly since: number;
}

/** A message that waits to be stored. */
interface Sending {
  readonly caller: Caller;
  readonly application: ApplicationRow;
  readonly notification: Parameters<MessagesParts["notify"]["send"]>[0];
  /** Columns of its row. */
  readonly columns: readonly (string | number | null)[];
}

/** Messages of one transaction, which takes some milliseconds. */
const STORED_AT_ONCE = 64;
const MAX_WAITING = 2000;

const MESSAGE_ROWS = `select r.seq as id, n.id as notificationId, n.title, n.message, n.priority, n.action, n.createdAt,
    a.id as applicationId, g.title as sentTitle, g.message as sentMessage, g.priority as sentPriority, g.extras
  from notification_recipients r join notifications n on n.id = r.notificationId
  left join gotify_messages g on g.id = r.seq left join gotify_applications a on a.id = g.applicationId
  where r.userId = +? and r.deletedAt is null`;

/** Messages: a user's notifications, numbered by their offsets. */
export class Messages {
  readonly #parts: MessagesParts;
  readonly #sql;
  /** Resolves with the id of the notification. */
  readonly #queue: WriteQueue<Sending, string>;

  constructor(parts: MessagesParts) {
    this.#parts = parts;
    this.#queue = new WriteQueue({
      db: parts.db,
      options: { sharesCommit: true },
      most: STORED_AT_ONCE,
      mayWait: MAX_WAITING,
      store: (trx, all) => this.#storeAll(trx, all),
      // Such as an account that was disabled meanwhile.
      isOfOne: (error) => !(error instanceof PrismError) || error.code === "RECIPIENT_NOT_FOUND",
    });
    const { reader } = parts;
    this.#sql = {
      one: reader.prepare<[string, number], MessageRow>(`${MESSAGE_ROWS} and r.seq = +?`),
      ofNotification: reader.prepare<[string, string], MessageRow>(`${MESSAGE_ROWS} and r.notificationId = +?`),
      ofUser: reader.prepare<[string, number, number], { id: number }>(
        `select seq as id from notification_recipients
         where userId = ? and seq < ? and deletedAt is null order by seq desc limit ?`,
      ),
      ofApplication: reader.prepare<[number, number, number], { id: number }>(
        `select g.id from gotify_messages g
         cross join notification_recipients r on r.userId = g.userId and r.seq = g.id
         where g.applicationId = ? and g.id < ? and r.deletedAt is null order by g.id desc limit ?`,
      ),
    };
  }

  /**
   * Sends a message to the owner of an application. @param isOwn a channel of this server sent it:
   * channels would send it again, without end. @throws GotifyError 400
   */
  async send(application: ApplicationRow, fields: Fields, { isOwn = false } = {}): Promise<MessageView> {
    const { userId } = application;
    const message = requiredText(fields, "message");
    const given = textField(fields, "title") ?? "";
    const title = given.trim() === "" ? application.name : given;
    const priority = integerField(fields, "priority") ?? application.defaultPriority;
    const extras = objectField(fields, "extras");
    const extrasText = extras === undefined ? null : JSON.stringify(extras);
    const shown = { title: cut(title, MAX_TITLE), message: cut(message, MAX_MESSAGE) };
    currentCaller().charge?.({
      bytes: COPIES * (title.length + message.length + (extrasText?.length ?? 0)),
      rows: ROWS,
    });
    const notification = {
      ...shown,
      recipients: [userId],
      channels: isOwn ? WITHOUT_SERVICE : undefined,
      priority: Math.min(MAX_PRIORITY, Math.max(0, priority * PRIORITY_FACTOR)),
      data: dataOf(application, priority, extras, extrasText),
      action: this.#actionOf(extras),
    };
    const longTitle = title === shown.title ? null : title;
    const longMessage = message === shown.message ? null : message;
    const columns = [application.id, userId, longTitle, longMessage, priority, extrasText];
    this.#parts.storage.requireSpace();
    const notificationId = await this.#queue.add({ caller: currentCaller(), application, notification, columns });
    const row = this.#sql.ofNotification.get(userId, notificationId);
    if (!row) throw notFound("message does not exist");
    return messageView(row, this.#parts.consoleUrl());
  }

  /** Each on behalf of its own caller. @returns the ids of their notifications */
  async #storeAll(trx: Trx, all: readonly Sending[]): Promise<string[]> {
    const ids: string[] = [];
    for (const { application } of all) this.#touch(trx, application);
    for (const { caller, application, notification, columns } of all) {
      const { id } = await runAs(caller, () => this.#parts.notify.send(notification, { trx }));
      later(trx, INSERT_SQL, [...columns, id, application.userId]);
      ids.push(id);
    }
    return ids;
  }

  /** Stores the last use, at most every few minutes. */
  #touch(trx: Trx, { id, lastUsedAt }: ApplicationRow): void {
    const now = this.#parts.clock.now();
    if (!isRecent(lastUsedAt, now)) later(trx, TOUCH_SQL, [now, id]);
  }

  /** The link that a tap opens. */
  #actionOf(extras: object | undefined): { readonly type: string; readonly url: string } | undefined {
    const notification = memberOf(extras, "client::notification");
    const url = memberOf(memberOf(notification, "click"), "url");
    if (typeof url !== "string" || url.length > 2048 || !isLinkAllowed(url, this.#parts.config)) return undefined;
    return { type: "open", url };
  }

  /** A message that a commit has just stored; null if it was deleted meanwhile. */
  find(userId: string, id: number): MessageView | null {
    const row = this.#sql.one.get(userId, id);
    return row ? messageView(row, this.#parts.consoleUrl()) : null;
  }

  /** All of a user's, or those of an application. */
  async list(userId: string, applicationId: number | null, { limit, since }: MessageRange) {
    const ids = await this.#ids(userId, applicationId, since === 0 ? Number.MAX_SAFE_INTEGER : since, limit + 1);
    const messages: MessageView[] = [];
    let bytes = 0;
    for (const id of ids.slice(0, limit)) {
      const message = this.find(userId, id);
      if (!message) continue;
      bytes += JSON.stringify(message).length;
      if (bytes > PAGE_BYTES && messages.length > 0) break;
      messages.push(message);
    }
    const last = messages.at(-1)?.id ?? 0;
    const hasMore = last !== 0 && (ids.at(-1) ?? last) < last;
    const next = hasMore ? { next: `/message?limit=${limit}&since=${last}` } : {};
    return { paging: { size: messages.length, since: hasMore ? last : 0, limit, ...next }, messages };
  }

  /** Ids below one, newest first. */
  async #ids(userId: string, applicationId: number | null, below: number, limit: number): Promise<number[]> {
    const { ofUser, ofApplication } = this.#sql;
    if (applicationId === null) return ofUser.all(userId, below, limit).map(({ id }) => id);
    if (applicationId !== INTERNAL_APPLICATION)
      return ofApplication.all(applicationId, below, limit).map(({ id }) => id);
    const { rows } = await sql<{ id: number }>`
      select seq as id from notification_recipients r
      where userId = ${userId} and seq < ${below} and deletedAt is null and not exists (
        select 1 from gotify_messages g join gotify_applications a on a.id = g.applicationId where g.id = r.seq
      ) order by seq desc limit ${limit}`.execute(this.#parts.db.scan);
    return rows.map(({ id }) => id);
  }

  /** @throws GotifyError 404 */
  async remove(userId: string, id: number): Promise<void> {
    if ((await this.#parts.notify.remove(userId, [id])) === 0) throw notFound("message does not exist");
  }

  /** Removes all that exist now, a slice at a time. */
  async removeAll(userId: string, applicationId: number | null): Promise<void> {
    const [newest] = await this.#ids(userId, applicationId, Number.MAX_SAFE_INTEGER, 1);
    for (let below = (newest ?? 0) + 1; ; ) {
      const ids = await this.#ids(userId, applicationId, below, REMOVED_AT_ONCE);
      const last = ids.at(-1);
      if (last === undefined) return;
      await this.#parts.notify.remove(userId, ids);
      below = last;
    }
  }
}

/** Whether a last use need not be stored again. */
export function isRecent(lastUsedAt: number | null, now: number): boolean {
  return lastUsedAt !== null && now - lastUsedAt < USED_EVERY_MS && lastUsedAt <= now;
}

/** The text for other channels and apps, within the limits of notifications. */
function cut(text: string, limit: number): string {
  const clean = cleanText(text);
  return codePointLength(clean) <= limit ? clean : `${[...clean].slice(0, limit - 1).join("")}…`;
}

function dataOf({ id, name }: ApplicationRow, priority: number, extras: object | undefined, text: string | null) {
  const isShort = text !== null && Buffer.byteLength(text) <= MAX_DATA_BYTES;
  return { gotify: { applicationId: id, application: name, priority, ...(isShort ? { extras } : {}) } };
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function messageView(row: MessageRow, consoleUrl: string | undefined) {
  const isSent = row.sentPriority !== null;
  const extras = isSent ? parsedOrNull(row.extras) : ownExtras(row, consoleUrl);
  return {
    id: row.id,
    appid: row.applicationId ?? INTERNAL_APPLICATION,
    message: row.sentMessage ?? row.message,
    title: row.sentTitle ?? row.title,
    priority: row.sentPriority ?? priorityOf(row.priority),
    ...(extras === null ? {} : { extras }),
    date: toRfc3339(row.createdAt),
  };
}

function priorityOf(priority: number): number {
  if (priority <= 0) return INTERNAL_PRIORITY;
  return Math.min(MAX_GOTIFY_PRIORITY, Math.max(1, Math.round(priority / PRIORITY_FACTOR)));
}

/** A tap opens the link of the notification, or the notification in the console. */
function ownExtras({ action, notificationId }: MessageRow, consoleUrl: string | undefined): object | null {
  const link = memberOf(parsedOrNull(action), "url");
  const url = typeof link === "string" ? link : consoleUrl && `${consoleUrl}/inbox/${notificationId}`;
  return url === undefined ? null : { "client::notification": { click: { url } } };
}

function parsedOrNull(json: string | null): object | null {
  return json === null ? null : (JSON.parse(json) as object);
}

/** The page of a request. @throws GotifyError 400 */
export function pageOf(queryText: string): MessageRange {
  const query = new URLSearchParams(queryText);
  const limit = query.get("limit") || "100";
  const since = query.get("since") || "0";
  for (const text of [limit, since])
    if (!/^\d{1,16}$/.test(text))
      throw badRequest(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (Number(limit) < 1) throw badRequest("Field 'limit' must be more or equal to 1");
  if (Number(limit) > 200) throw badRequest("Field 'limit' must be less or equal to 200");
  return { limit: Number(limit), since: Math.min(Number(since), Number.MAX_SAFE_INTEGER) };
}
