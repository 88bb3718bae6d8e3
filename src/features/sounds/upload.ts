import * as v from "valibot";
import { PrismError } from "../../core/errors.ts";
import { sha256Hex } from "../../core/tokens.ts";
import { tooLarge } from "../../http/body.ts";
import type { Exchange } from "../../http/exchange.ts";
import { pageEntries } from "../../http/pagination.ts";
import { doc, named, object, pattern, queryBoolean, queryInteger } from "../../http/shapes.ts";
import { MAX_SOUND_BYTES } from "./open-sounds.ts";

const MIN_TTL_MS = 60_000;
const MAX_TTL_MS = 86_400_000;

const ttlMs = v.optional(doc(queryInteger(MIN_TTL_MS, MAX_TTL_MS), "Lifetime of the links; default one hour"));

const NAME = "must be 1 to 128 letters of A to Z, digits, spaces or any of _ . -";
export const soundName = pattern(/^[\w .-]{1,128}$/, NAME);

export const UploadQuery = object({
  filename: v.optional(doc(soundName, "File name of the sound; a form has its own")),
});

/** Documents the body, which is read as bytes. */
export const Upload = v.object({
  file: doc(v.pipe(v.string(), v.metadata({ format: "binary" })), "The file, as the only part of the form"),
});

export const SoundParams = object({ id: doc(v.string(), "Id of the sound") });
export const ListQuery = object({ ttlMs, ...pageEntries() });
export type ListQuery = v.InferOutput<typeof ListQuery>;
export const GetQuery = object({ ttlMs });
export const DeleteQuery = object({
  force: v.optional(doc(queryBoolean, "Also when rules use it; they play no sound then")),
});

/** What is wrong with either is a bad link, whatever it is. */
export const MediaQuery = object({
  exp: v.optional(doc(v.string(), "Expiry, from the link")),
  sig: v.optional(doc(v.string(), "Signature, from the link")),
});

export const SoundView = named(
  "Sound",
  "A sound with a temporary link",
  v.object({
    id: v.string(),
    filename: v.string(),
    mime: v.picklist(["audio/mpeg", "audio/ogg", "audio/wav"]),
    bytes: v.number(),
    sha256: v.string(),
    createdBy: v.nullable(v.string()),
    createdAt: v.string(),
    url: v.string(),
    urlExpiresAt: v.string(),
  }),
);

/**
 * A kind of audio file that can be stored: what it is called on the wire, and how its names end.
 */
interface AudioKind {
  readonly mime: string;
  readonly extension: "mp3" | "ogg" | "wav";
}

const MP3: AudioKind = { mime: "audio/mpeg", extension: "mp3" };
const OGG: AudioKind = { mime: "audio/ogg", extension: "ogg" };
const WAV: AudioKind = { mime: "audio/wav", extension: "wav" };

/** What a stream in an Ogg file begins with: Vorbis, Opus, FLAC, Speex. Video begins otherwise. */
const OGG_AUDIO = ["\x01vorbis", "OpusHead", "\x7fFLAC", "Speex   "];
/** Header of an Ogg page without its table of segments (RFC 3533 section 6). */
const OGG_HEADER_BYTES = 27;
const MIN_BYTES = 32;

/**
 * What the bytes are, by their content alone. @returns undefined for what is not audio of a known
 * kind
 */
export function audioKindOf(bytes: Buffer): AudioKind | undefined {
  if (bytes.length < MIN_BYTES) return undefined;
  if (isWav(bytes)) return WAV;
  if (isOgg(bytes)) return OGG;
  return isMp3(bytes) ? MP3 : undefined;
}

/** RIFF with the form WAVE, whose first chunk says the format. */
function isWav(bytes: Buffer): boolean {
  return ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 8) === "WAVEfmt ";
}

/** The first page begins a stream, and that holds audio. */
function isOgg(bytes: Buffer): boolean {
  if (ascii(bytes, 0, 4) !== "OggS" || bytes[4] !== 0 || bytes[5] !== 2) return false;
  const start = OGG_HEADER_BYTES + (bytes[OGG_HEADER_BYTES - 1] ?? 0);
  return OGG_AUDIO.some((magic) => ascii(bytes, start, magic.length) === magic);
}

/** An ID3v2 tag, or a frame of MPEG audio layer III. */
function isMp3(bytes: Buffer): boolean {
  if (ascii(bytes, 0, 3) !== "ID3") return isFrame(bytes, 0);
  const [version = 0xff, , , ...size] = bytes.subarray(3, 10);
  return version >= 2 && version <= 4 && size.every((part) => part < 0x80);
}

/**
 * Eleven bits of sync, then a version, layer, bit rate and sampling rate that there are (ISO
 * 11172-3 section 2.4.1.3).
 */
function isFrame(bytes: Buffer, at: number): boolean {
  const [sync = 0, second = 0, third = 0] = bytes.subarray(at, at + 3);
  const version = (second >> 3) & 3;
  const layer = (second >> 1) & 3;
  const bitRate = third >> 4;
  return (
    sync === 0xff &&
    second >> 5 === 7 &&
    version !== 1 &&
    layer === 1 &&
    bitRate > 0 &&
    bitRate < 15 &&
    ((third >> 2) & 3) !== 3
  );
}

function ascii(bytes: Buffer, at: number, length: number): string {
  return bytes.toString("latin1", at, at + length);
}

/** A file that may be stored: its content is what its name says. */
export interface UploadedSound {
  readonly filename: string;
  readonly kind: AudioKind;
  /** A copy: a body's own bytes are gone when its handler has returned. */
  readonly bytes: Buffer;
  readonly sha256: string;
}

/** A file that a form sent. The bytes are a part of the body, not a copy. */
interface FormFile {
  readonly filename: string;
  readonly bytes: Buffer;
}

const MAX_HEAD_BYTES = 4096;
const END_OF_HEAD = Buffer.from("\r\n\r\n");
/** RFC 2046 section 5.1.1. */
const BOUNDARY = /^[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]$/;

/**
 * The one file of a form (RFC 7578), in a part called `name`, and nothing else. Strict: what
 * browsers and HTTP libraries send, no nesting, no transfer encodings, no text before the first
 * boundary.
 * @param contentType the request's field, with its boundary
 * @throws VALIDATION_FAILED
 */
export function readFormFile(contentType: string, body: Buffer, name: string): FormFile {
  const boundary = boundaryOf(contentType);
  if (boundary === undefined) throw formRefused("multipart/form-data needs a boundary");
  const opening = Buffer.from(`--${boundary}\r\n`, "latin1");
  if (!body.subarray(0, opening.length).equals(opening)) throw formRefused("the form does not begin with its boundary");
  const headEnd = body.indexOf(END_OF_HEAD, opening.length);
  if (headEnd < 0 || headEnd - opening.length > MAX_HEAD_BYTES)
    throw formRefused("a part of the form has no end of its head");
  const filename = filenameOf(body.toString("utf8", opening.length, headEnd), name);
  const start = headEnd + END_OF_HEAD.length;
  const closing = Buffer.from(`\r\n--${boundary}`, "latin1");
  const end = body.indexOf(closing, start);
  if (end < 0) throw formRefused("the form ends within a part");
  const rest = body.toString("latin1", end + closing.length);
  if (rest !== "--" && rest !== "--\r\n") throw formRefused(`send one part, called ${name}, and nothing else`);
  return { filename, bytes: body.subarray(start, end) };
}

function boundaryOf(contentType: string): string | undefined {
  const match = /;\s*boundary=(?:"([^"]*)"|([^\s;"]+))\s*(?:;|$)/i.exec(contentType);
  const boundary = match?.[1] ?? match?.[2];
  return boundary !== undefined && BOUNDARY.test(boundary) ? boundary : undefined;
}

/** From the head of a part, which must be the file that is asked for. */
function filenameOf(head: string, name: string): string {
  const lines = head.split("\r\n");
  const dispositions = lines.filter((line) => /^content-disposition\s*:/i.test(line));
  const [disposition] = dispositions;
  if (disposition === undefined || dispositions.length > 1)
    throw formRefused("a part of the form needs a Content-Disposition");
  if (lines.some((line) => /^content-transfer-encoding\s*:/i.test(line) && !/:\s*(binary|8bit|7bit)\s*$/i.test(line)))
    throw formRefused("send the file as it is, without a transfer encoding");
  if (!/:\s*form-data\s*;/i.test(disposition) || parameterOf(disposition, "name") !== name)
    throw formRefused(`send one part, called ${name}, and nothing else`);
  const filename = parameterOf(disposition, "filename");
  if (filename === undefined) throw formRefused(`the part ${name} must be a file with a filename`);
  return filename;
}

/** A quoted parameter, or a token; `filename*` is not for forms (RFC 7578 section 4.2). */
function parameterOf(disposition: string, name: string): string | undefined {
  const match = new RegExp(`;\\s*${name}=(?:"([^"]*)"|([^\\s;"]+))`, "i").exec(disposition);
  return match?.[1] ?? match?.[2];
}

function formRefused(message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", "The body is not valid", {
    details: [{ path: "", code: "VALUE", message }],
  });
}

/** What a part's head and two boundaries add to a file. */
export const FORM_BYTES = 8192;

/** @throws VALIDATION_FAILED, INVALID_AUDIO, PAYLOAD_TOO_LARGE */
export function readUpload(exchange: Exchange, body: Buffer, givenName: string | undefined): UploadedSound {
  const type = exchange.header("content-type");
  const isForm = /^multipart\/form-data\s*(;|$)/i.test(type);
  const { filename, bytes } = isForm ? readFormFile(type, body, "file") : { filename: givenName, bytes: body };
  const name = givenName ?? filename;
  if (name === undefined || !v.is(soundName, name)) {
    throw new PrismError("VALIDATION_FAILED", "The file cannot be stored under this name", {
      details: [{ path: "filename", code: "VALUE", message: NAME }],
    });
  }
  if (bytes.length > MAX_SOUND_BYTES) throw tooLarge(MAX_SOUND_BYTES);
  const kind = audioKindOf(bytes);
  if (!kind) throw new PrismError("INVALID_AUDIO", "The file is not an MP3, Ogg or WAV file");
  if (!name.toLowerCase().endsWith(`.${kind.extension}`))
    throw new PrismError("INVALID_AUDIO", `The file is ${kind.mime}; its name must end in .${kind.extension}`);
  return { filename: name, kind, bytes: Buffer.from(bytes), sha256: sha256Hex(bytes) };
}
