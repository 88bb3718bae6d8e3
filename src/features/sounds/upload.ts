import * as v from "valibot";
import { PrismError } from "../../core/errors.ts";
import { sha256Hex } from "../../core/tokens.ts";
import { tooLarge } from "../../http/body.ts";
import type { Exchange } from "../../http/exchange.ts";
import { readFormFile } from "../../http/multipart.ts";
import { type AudioKind, audioKindOf } from "./audio-kind.ts";
import { MAX_SOUND_BYTES } from "./open-sounds.ts";
import { filename as filenameShape } from "./schema.ts";

/** A file that may be stored: its content is what its name says. */
export interface UploadedSound {
  readonly filename: string;
  readonly kind: AudioKind;
  /** A copy: a body's own bytes are gone when its handler has returned. */
  readonly bytes: Buffer;
  readonly sha256: string;
}

/** What a part's head and two boundaries add to a file. */
export const FORM_BYTES = 8192;

/** @throws VALIDATION_FAILED, INVALID_AUDIO, PAYLOAD_TOO_LARGE */
export function readUpload(exchange: Exchange, body: Buffer, givenName: string | undefined): UploadedSound {
  const type = exchange.header("content-type");
  const isForm = /^multipart\/form-data\s*(;|$)/i.test(type);
  const { filename, bytes } = isForm ? readFormFile(type, body, "file") : { filename: givenName, bytes: body };
  const name = givenName ?? filename;
  if (name === undefined || !v.is(filenameShape, name)) {
    throw new PrismError("VALIDATION_FAILED", "The file cannot be stored under this name", {
      details: [
        {
          path: "filename",
          code: "VALUE",
          message: "must be 1 to 128 letters of A to Z, digits, spaces or any of _ . -",
        },
      ],
    });
  }
  if (bytes.length > MAX_SOUND_BYTES) throw tooLarge(MAX_SOUND_BYTES);
  const kind = audioKindOf(bytes);
  if (!kind) throw new PrismError("INVALID_AUDIO", "The file is not an MP3, Ogg or WAV file");
  if (!name.toLowerCase().endsWith(`.${kind.extension}`))
    throw new PrismError("INVALID_AUDIO", `The file is ${kind.mime}; its name must end in .${kind.extension}`);
  return { filename: name, kind, bytes: Buffer.from(bytes), sha256: sha256Hex(bytes) };
}
