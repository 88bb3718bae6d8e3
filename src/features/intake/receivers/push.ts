import { decodeText } from "../../../core/text/decode-text.ts";
import { describeBody } from "../../../core/text/describe-body.ts";
import { objectOf, textIn } from "../../../core/text/members.ts";
import { MAX_TEXT, readContent } from "./read-request.ts";
import type { Redaction } from "./redaction.ts";
import { readKnown } from "./senders/known.ts";

/** What the data of a push holds, masked. */
export interface PushContent {
  /** JSON; null for any other text. */
  readonly body: unknown;
  /** Empty for JSON. */
  readonly text: string;
}

/**
 * A push of Google Pub/Sub: a body within a body, in base64. It has the limits of a body, and both
 * what is read of it and the data that is stored are masked like one.
 * @returns the content, and the data without secrets; null for any other body
 * @throws TooManyMembers, MALFORMED_JSON
 */
export function openedPush(
  body: unknown,
  redaction: Redaction,
  maxMembers: number,
): { readonly content: PushContent; readonly data: string } | null {
  const data = textIn(objectOf(objectOf(body)?.["message"]), "data");
  if (data === null || textIn(objectOf(body), "subscription") === null || !BASE64.test(data)) return null;
  const bytes = Buffer.from(data, "base64");
  const inner = readContent({ headers: {}, bytes }, { maxMembers });
  const value = redaction.masked(inner.body);
  if (inner.body !== null)
    return {
      content: { body: value, text: "" },
      data: value === inner.body ? data : encoded(JSON.stringify(value)),
    };
  const given = decodeText(bytes).text;
  const text = redaction.json(given);
  return { content: { body: null, text: text.slice(0, MAX_TEXT) }, data: text === given ? data : encoded(text) };
}

/** A masked body with other data. */
export function withData(body: unknown, data: string): unknown {
  const push = objectOf(body);
  const message = objectOf(push?.["message"]);
  return message?.["data"] === data ? body : { ...push, message: { ...message, data } };
}

function encoded(text: string): string {
  return Buffer.from(text).toString("base64");
}

const BASE64 = /^[A-Za-z0-9+/_-]+=*$/;

/** `parsed` of a push. */
export function readPush({ body, text }: PushContent): object {
  const push = { type: "google-pubsub.message", status: "event" };
  if (body === null) return { ...push, title: text.trim().split(/[\r\n]/, 1)[0], message: text };
  const known = readKnown(body);
  if (known) return known;
  const { title, reason, link } = describeBody(body, "Pub/Sub");
  // Without a text the mapping would take the data.
  return { ...push, title, message: reason ?? title, link };
}
