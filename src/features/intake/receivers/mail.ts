import { boundedId, sha256Hex } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import type { LiveSettings } from "../../../http/server/live-settings.ts";
import type { RequestResult } from "../../../store/schema.ts";
import { type AcceptContext, storeRequest } from "./accept.ts";
import { listed } from "./prepare.ts";
import type { ReceiverRow } from "./receiver.ts";
import type { Receivers } from "./receivers.ts";

export interface MailContext extends AcceptContext {
  readonly receivers: Receivers;
  readonly settings: Pick<LiveSettings, "rateLimit">;
}

/** A mail as a request. */
export interface IncomingMail {
  /** Members of `body`, besides its `key`. */
  readonly body: { readonly thread: string | null; readonly messageId: string | null };
  readonly headers: Readonly<Record<string, string>>;
  readonly keys: {
    /** The sender's own key. */
    readonly given: string | null;
    readonly subject: string;
  };
  /** The same when a server sends the mail again. */
  readonly contentHash: string;
  /** For the log; null: nothing. */
  readonly note: string | null;
}

const MAX_PLAIN_ID = 150;
const HASH_CHARS = 22;

/** Of the ids against repetitions of all mails with this Message-ID: programs give different mails the same. */
function prefixOf(messageId: string): string {
  return `${messageId.length <= MAX_PLAIN_ID ? messageId : sha256Hex(messageId)} `;
}

/** RFC 5321 section 4.2.2: completed. */
const ACCEPTED = 250;

/** The receiver that takes mail at this token; null for an unknown token and other receivers. */
export function mailReceiver(receivers: Receivers, token: string): ReceiverRow | null {
  // Tokens of older receivers have capital letters.
  const row = receivers.find(token) ?? receivers.find(token.toLowerCase());
  return row?.preset === "mail" ? row : null;
}

/**
 * Stores what a mail is for the receiver, in one transaction. @throws NOT_FOUND, FORBIDDEN for a
 * paused receiver, RATE_LIMITED, STORAGE_FULL, DATABASE_UNAVAILABLE, SHUTTING_DOWN
 */
export async function acceptMail(
  context: MailContext,
  { token, from }: { readonly token: string; readonly from: string },
  { body, headers, keys, contentHash, note }: IncomingMail,
): Promise<RequestResult> {
  const { receivers, clock, settings, work, preparing } = context;
  const row = mailReceiver(receivers, token);
  const receiver = row && (await receivers.ready(row.id));
  if (!receiver) throw new PrismError("NOT_FOUND", "There is no receiver at this address");
  if (row.isActive === 0) throw new PrismError("FORBIDDEN", "The receiver is paused");
  if (settings.rateLimit.enabled && !receivers.takeRate(row).isAllowed) {
    receivers.count(row.preset, "limited");
    throw new PrismError("RATE_LIMITED", "Too many mails to this receiver");
  }
  const thread = body.thread !== null && !(await isKnown(context, row.id, body.thread)) ? body.thread : null;
  const { messageId } = body;
  const replayId = messageId === null ? null : `${prefixOf(messageId)}${contentHash.slice(0, HASH_CHARS)}`;
  const content = { ...body, key: keys.given ?? thread ?? keys.subject, replayId };
  const request = {
    method: "MAIL",
    url: "",
    query: {},
    headers: { ...headers, "content-type": "application/json" },
    bytes: Buffer.from(JSON.stringify(content)),
  };
  const hidden = [...receiver.secrets, token, token.toLowerCase()];
  const given = { row, preset: receiver.preset, request, hidden, needsJson: false, signed: null };
  // A sender that knows only the address has a budget apart from the project's keys and people.
  const payer = work.ofProject(row.projectId, { address: from, url: `receiver:${row.id}` });
  const prepared = await preparing.prepare(receiver, { ...given, status: ACCEPTED, now: clock.now() }, { payer });
  const plan = { ...prepared.plan, problem: listed(note, prepared.plan.problem) };
  const { result } = await storeRequest(context, receiver, plan, { ...prepared, payer, sender: "unproven" });
  receivers.count(row.preset, result);
  return result;
}

/**
 * Whether the first mail of a thread arrived here: then it had no thread of its own, and its key was
 * its subject.
 */
async function isKnown({ db }: MailContext, receiverId: string, messageId: string): Promise<boolean> {
  const prefix = `given:${prefixOf(messageId)}`;
  const row = await db.read
    .selectFrom("receiver_replays")
    .select("at")
    .where("receiverId", "=", receiverId)
    .where((e) =>
      e.or([
        // Of mails that an earlier version has stored.
        e("replayId", "=", `given:${boundedId(messageId)}`),
        e.and([e("replayId", ">=", prefix), e("replayId", "<", `${prefix.slice(0, -1)}!`)]),
      ]),
    )
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
