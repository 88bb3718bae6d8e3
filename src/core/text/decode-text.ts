import { isAscii, isUtf8 } from "node:buffer";
import { PrismError } from "../errors.ts";

/** Text of bytes that a program sent. */
export interface DecodedText {
  readonly text: string;
  /** For the log: what was done with bytes that are not UTF-8; null: they are, or their charset was declared. */
  readonly note: string | null;
}

const AS_WINDOWS = "the text is not UTF-8: read as windows-1252";
const REPLACED = "bytes that are not UTF-8 were replaced by U+FFFD";

/**
 * Text in an unknown encoding: UTF-8 if all of it is, else in the declared charset, else
 * windows-1252, in which Windows programs write. Bytes that hold letters of UTF-8 are UTF-8 with
 * errors: only those are replaced. A byte order mark is not part of the text.
 * @param charset as declared; null or an unknown name: none
 */
export function decodeText(bytes: Uint8Array, charset: string | null = null): DecodedText {
  const declared = charset === null ? null : decoderOf(charset);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wide = wideByMark(bytes) ?? (declared !== null && isWide(declared, buffer) ? declared : null);
  if (wide !== null) return replaced(wide.decode(bytes), wide.encoding);
  if (isAscii(buffer)) return { text: buffer.toString("latin1"), note: null };
  if (isUtf8(buffer)) return { text: UTF8.decode(buffer), note: null };
  if (declared !== null && declared.encoding !== "utf-8") {
    if (declared.encoding === "windows-1252") return { text: fromWindows1252(buffer), note: null };
    return replaced(declared.decode(buffer), declared.encoding);
  }
  const text = UTF8.decode(buffer);
  if (LETTERS.test(text) || buffer.includes(REPLACEMENT)) return { text, note: REPLACED };
  return { text: fromWindows1252(buffer), note: AS_WINDOWS };
}

type Decoder = InstanceType<typeof TextDecoder>;

const UTF8 = new TextDecoder("utf-8");
/** Anything that only valid bytes become. */
const LETTERS = /[^\p{ASCII}\ufffd]/u;
const REPLACEMENT = Buffer.from("\ufffd");

/** Whether text is in an encoding whose bytes may be valid UTF-8 and mean other letters. */
function isWide({ encoding }: Decoder, bytes: Buffer): boolean {
  if (encoding === "iso-2022-jp") return bytes.includes(0x1b);
  return encoding.startsWith("utf-16") && (bytes.includes(0) || !isUtf8(bytes));
}

function replaced(text: string, encoding: string): DecodedText {
  return { text, note: text.includes("\ufffd") ? `bytes that are not ${encoding} were replaced by U+FFFD` : null };
}

function wideByMark([first, second]: Uint8Array): Decoder | null {
  if (first === 0xff && second === 0xfe) return decoderOf("utf-16le");
  return first === 0xfe && second === 0xff ? decoderOf("utf-16be") : null;
}

/** By label. A message says how often one is made, and each takes microseconds. */
const decoders = new Map<string, Decoder | null>();
const MAX_DECODERS = 100;

function decoderOf(label: string): Decoder | null {
  const known = decoders.get(label);
  if (known !== undefined) return known;
  let decoder: Decoder | null;
  try {
    decoder = new TextDecoder(label);
  } catch {
    decoder = null;
  }
  if (decoders.size >= MAX_DECODERS) decoders.clear();
  decoders.set(label, decoder);
  return decoder;
}

/** Whether text in this charset can be read. */
export function isKnownCharset(label: string): boolean {
  return decoderOf(label) !== null;
}

/** Of the bytes 0x80 to 0x9f. Some versions of Node decode them as ISO-8859-1, controls. */
const WINDOWS_1252 = "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ";

/** The letter of each byte. */
const LETTERS_1252 = Uint16Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x80 && byte < 0xa0 ? WINDOWS_1252.charCodeAt(byte - 0x80) : byte,
);

function fromWindows1252(bytes: Buffer): string {
  const units = Buffer.allocUnsafe(2 * bytes.length);
  for (let at = 0; at < bytes.length; at++) {
    const unit = LETTERS_1252[bytes[at] ?? 0] ?? 0;
    units[2 * at] = unit & 0xff;
    units[2 * at + 1] = unit >> 8;
  }
  return units.toString("utf16le");
}

/** The charset in a Content-Type; null without one. */
export function charsetIn(contentType: string): string | null {
  return /;\s*charset\s*=\s*"?([\w.:-]{1,40})/i.exec(contentType)?.[1]?.toLowerCase() ?? null;
}

/** Not in text: controls, as which bytes are read, too, that windows-1252 does not have. */
const NEVER_IN_TEXT = /(?![\t\n\f\r])\p{Cc}/u;

/** Whether bytes that are not UTF-8 look like text of a Western language, and not like a file. */
export function looksLikeText(bytes: Uint8Array): boolean {
  const text = fromWindows1252(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  if (NEVER_IN_TEXT.test(text)) return false;
  const foreign = text.replace(/\p{ASCII}+/gu, "").length;
  return 2 * foreign <= text.length;
}

/** A field costs a microsecond, however short it is. */
export const MAX_FIELDS = 10_000;
const AMPERSAND = 0x26;

/**
 * The fields of a form or a query in order, see {@link decodeText}; broken escapes stay as they are.
 * @throws PAYLOAD_TOO_LARGE for more than 10 000 fields
 */
export function decodeForm(
  form: Uint8Array | string,
  charset: string | null = null,
): { readonly fields: readonly (readonly [string, string])[]; readonly note: string | null } {
  const bytes = typeof form === "string" ? Buffer.from(form) : Buffer.from(form.buffer, form.byteOffset, form.length);
  if (firstFields(bytes, MAX_FIELDS).length < bytes.length) throw tooManyFields();
  let note: string | null = null;
  if (isUtf8(bytes)) {
    const fields = [...new URLSearchParams(bytes.toString("utf8"))];
    if (!fields.some(([name, value]) => name.includes("\ufffd") || value.includes("\ufffd"))) return { fields, note };
  }
  const decode = (text: string): string => {
    const decoded = decodeText(unescaped(text), charset);
    note ??= decoded.note;
    return decoded.text;
  };
  const parts = bytes
    .toString("latin1")
    .split("&")
    .filter((part) => part !== "");
  const fields = parts.map((part) => {
    const equals = part.indexOf("=");
    return equals < 0
      ? ([decode(part), ""] as const)
      : ([decode(part.slice(0, equals)), decode(part.slice(equals + 1))] as const);
  });
  return { fields, note };
}

/** For a form with more fields than one may have. */
export function tooManyFields(): PrismError {
  return new PrismError("PAYLOAD_TOO_LARGE", `The form has more than ${MAX_FIELDS} fields`);
}

/** The start of a form with so many fields. */
export function firstFields(form: Buffer, most: number): Buffer {
  let end = -1;
  for (let fields = 0; fields < most; fields++) {
    end = form.indexOf(AMPERSAND, end + 1);
    if (end < 0) return form;
  }
  return form.subarray(0, end);
}

/** The text of percent-encoded bytes; `+` is a space. Broken escapes stay as they are. */
export function decodeEscapes(text: string): string {
  return decodeText(unescaped(Buffer.from(text).toString("latin1"))).text;
}

const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;

function unescaped(latin: string): Buffer {
  const bytes = Buffer.from(latin, "latin1");
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    const escaped = byte === PERCENT ? 16 * digit(bytes[at + 1]) + digit(bytes[at + 2]) : Number.NaN;
    if (escaped >= 0) at += 2;
    bytes[length++] = escaped >= 0 ? escaped : byte === PLUS ? SPACE : byte;
  }
  return bytes.subarray(0, length);
}

/** The value of a hexadecimal digit; NaN for any other byte. */
function digit(byte: number | undefined): number {
  return byte === undefined ? Number.NaN : (DIGITS[byte] ?? Number.NaN);
}

const DIGITS = Array.from({ length: 256 }, (_, byte) => {
  const char = String.fromCharCode(byte);
  return /[\da-f]/i.test(char) ? Number.parseInt(char, 16) : Number.NaN;
});
