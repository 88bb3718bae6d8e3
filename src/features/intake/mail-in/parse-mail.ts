import { isUtf8 } from "node:buffer";
import type { Email, PostalMimeOptions } from "postal-mime";
import { charsetIn, decodeText, isKnownCharset } from "../../../core/text/decode-text.ts";

/** A part of a mail while it is parsed. */
interface MimePart {
  readonly state: "header" | "body" | "finished";
  content: ArrayBuffer | null;
  readonly contentType: { readonly parsed: { readonly value: string; readonly params: Record<string, string> } };
}

/**
 * What the parser does with lines and parts; its types leave these out. It would replace bytes that
 * are not of their encoding by U+FFFD.
 */
interface MimeParser {
  readonly currentNode: MimePart;
  processLine(line: Uint8Array, isFinal: boolean): Promise<void>;
  collectNode(part: MimePart, ...rest: unknown[]): Promise<void>;
  parse(raw: Uint8Array): Promise<Email>;
}

interface ParsedMail {
  readonly email: Email;
  /** See `decodeText`. */
  readonly note: string | null;
}

/** Parses a mail whose headers and texts may be of another encoding than they say. @throws Error */
export async function parseMail(raw: Uint8Array, limits: PostalMimeOptions): Promise<ParsedMail> {
  const { default: PostalMime } = await import("postal-mime");
  const parser = new PostalMime(limits) as unknown as MimeParser;
  const { processLine, collectNode } = parser;
  const charset = charsetIn(headOf(raw));
  let note: string | null = null;
  const utf8Of = (bytes: Uint8Array, declared: string | null): Uint8Array => {
    const decoded = decodeText(bytes, declared);
    note ??= decoded.note;
    return Buffer.from(decoded.text);
  };
  parser.processLine = (line, isFinal) => {
    const isHeader = parser.currentNode.state === "header" && !isUtf8(line);
    return processLine.call(parser, isHeader ? utf8Of(line, charset) : line, isFinal);
  };
  parser.collectNode = (part, ...rest) => {
    decodePart(part, utf8Of);
    return collectNode.call(parser, part, ...rest);
  };
  const email = await parser.parse(raw);
  return { email, note };
}

/** Makes the text of a part UTF-8. */
function decodePart(part: MimePart, utf8Of: (bytes: Uint8Array, declared: string | null) => Uint8Array): void {
  const { value, params } = part.contentType.parsed;
  if (part.content === null || !value.startsWith("text/")) return;
  const bytes = new Uint8Array(part.content);
  const declared = params["charset"]?.trim().toLowerCase() ?? null;
  const isUtf8Declared = declared === null || declared === "utf-8" || declared === "utf8";
  // The parser knows more names of encodings.
  if (isUtf8Declared ? isUtf8(bytes) : !isKnownCharset(declared) && !isUtf8(bytes)) return;
  const text = utf8Of(bytes, declared);
  part.content = text.buffer.slice(text.byteOffset, text.byteOffset + text.byteLength) as ArrayBuffer;
  params["charset"] = "utf-8";
}

const MAX_HEAD = 65_536;

/** Up to the first blank line. */
function headOf(raw: Uint8Array): string {
  const start = Buffer.from(raw.buffer, raw.byteOffset, Math.min(raw.byteLength, MAX_HEAD)).toString("latin1");
  // Not `^` with the flag m: it matches between CR and LF, too.
  return start.split(/(?:^|(?<=\n))\r?\n/, 1)[0] ?? "";
}

const FIELD = /^[!-9;-~]+[ \t]*:/;
/** The line of a mailbox file, which some programs send. */
const MAILBOX = /^>?From /;
const USUAL_FIELD =
  /^(?:from|to|cc|bcc|subject|date|sender|reply-to|return-path|received|message-id|references|in-reply-to|mime-version|content-[a-z-]+|x-[!-9;-~]+|importance|priority|precedence|auto-submitted|list-[a-z-]+|dkim-signature|user-agent|organization|comments|keywords|delivered-to)[ \t]*:/im;

/**
 * Puts a blank line before a mail without header lines, as mail servers do: scripts send the bare text.
 * A first line such as `ERROR: disk full` is a field only among usual ones.
 */
export function withHeader(raw: Uint8Array): Uint8Array {
  const head = headOf(raw);
  if (head === "" || MAILBOX.test(head)) return raw;
  return FIELD.test(head) && USUAL_FIELD.test(head) ? raw : Buffer.concat([Buffer.from("\r\n"), raw]);
}
