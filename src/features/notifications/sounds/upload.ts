import * as v from "valibot";
import { sha256Hex } from "../../../core/crypto/tokens.ts";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { doc, object, pageEntries, pattern, queryBoolean, queryInteger } from "../../../http/api/shapes.ts";
import { tooLarge } from "../../../http/body/body.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { MAX_SOUND_BYTES } from "./open-sounds.ts";
import type { AudioMime } from "./sound.ts";

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
export const ListSounds = object({ ttlMs, ...pageEntries() });
export type ListSounds = v.InferOutput<typeof ListSounds>;
export const GetQuery = object({ ttlMs });
export const DeleteQuery = object({
  force: v.optional(doc(queryBoolean, "Also when rules use it; they play no sound then")),
});

/** An invalid parameter means a bad link. */
export const MediaQuery = object({
  exp: v.optional(doc(v.string(), "Expiry, from the link")),
  sig: v.optional(doc(v.string(), "Signature, from the link")),
});

/** A supported kind of audio file: its content type, and its file extensions. */
interface AudioKind {
  readonly mime: AudioMime;
  readonly extension: "mp3" | "ogg" | "wav";
}

const MP3: AudioKind = { mime: "audio/mpeg", extension: "mp3" };
const OGG: AudioKind = { mime: "audio/ogg", extension: "ogg" };
const WAV: AudioKind = { mime: "audio/wav", extension: "wav" };

/** First bytes of audio in an Ogg file: Vorbis, Opus, FLAC, Speex. Video starts differently. */
const OGG_AUDIO = ["\x01vorbis", "OpusHead", "\x7fFLAC", "Speex   "];
/** Header of an Ogg page without its segment table (RFC 3533 section 6). */
const OGG_HEADER_BYTES = 27;
const MIN_BYTES = 32;

/** Detects the kind from the content alone. @returns undefined for no known kind of audio */
export function audioKindOf(bytes: Buffer): AudioKind | undefined {
  if (bytes.length < MIN_BYTES) return undefined;
  if (isWav(bytes)) return WAV;
  if (isOgg(bytes)) return OGG;
  return isMp3(bytes) ? MP3 : undefined;
}

/** RIFF with the form WAVE and a format chunk first. */
function isWav(bytes: Buffer): boolean {
  return ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 8) === "WAVEfmt ";
}

/** The first page starts an audio stream. */
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

/** Eleven sync bits, then a valid version, layer, bit and sampling rate (ISO 11172-3 2.4.1.3). */
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

/** An acceptable file: its content matches its name. */
export interface UploadedSound {
  readonly filename: string;
  readonly kind: AudioKind;
  /** A copy: the body's bytes are invalid after its handler has returned. */
  readonly bytes: Buffer;
  readonly sha256: string;
}

/** A file of a form. The bytes are a part of the body, not a copy. */
interface FormFile {
  readonly filename: string;
  readonly bytes: Buffer;
}

const MAX_HEAD_BYTES = 4096;
const END_OF_HEAD = Buffer.from("\r\n\r\n");
/** RFC 2046 section 5.1.1. */
const BOUNDARY = /^[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]$/;

/**
 * The only file of a form (RFC 7578), in a part called `name`. Strict: accepts what browsers and
 * HTTP libraries send, without nesting, transfer encodings, or text before the first boundary.
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

/** From the head of a part, which must be the requested file. */
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

/** A quoted parameter or a token; `filename*` is not allowed in forms (RFC 7578 section 4.2). */
function parameterOf(disposition: string, name: string): string | undefined {
  const match = new RegExp(`;\\s*${name}=(?:"([^"]*)"|([^\\s;"]+))`, "i").exec(disposition);
  return match?.[1] ?? match?.[2];
}

function formRefused(message: string): PrismError {
  return invalidField("body", "", message);
}

/** Size of a part's head and two boundaries. */
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
