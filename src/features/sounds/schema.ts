import * as v from "valibot";
import { named } from "../../http/named-schemas.ts";
import { pageEntries } from "../../http/pagination.ts";
import { object, pattern, queryBoolean, queryInteger } from "../../http/shapes.ts";

const MIN_TTL_MS = 60_000;
const MAX_TTL_MS = 86_400_000;

const ttlMs = v.optional(queryInteger(MIN_TTL_MS, MAX_TTL_MS));

export const filename = pattern(
  /^[\w .-]{1,128}$/,
  "must be 1 to 128 letters of A to Z, digits, spaces or any of _ . -",
);

export const UploadQuery = object({
  filename: v.optional(v.pipe(filename, v.description("What the sound is called; a form brings a name of its own"))),
});

/** Documents the body, which is read as bytes. */
export const Upload = v.object({
  file: v.pipe(
    v.string(),
    v.metadata({ format: "binary" }),
    v.description("The one part of a form. Or the body itself is the file, with its type, and ?filename="),
  ),
});

export const SoundParams = object({ id: v.string() });
export const ListQuery = object({ ttlMs, ...pageEntries() });
export type ListQuery = v.InferOutput<typeof ListQuery>;
export const GetQuery = object({ ttlMs });
export const DeleteQuery = object({
  force: v.optional(v.pipe(queryBoolean, v.description("Also where rules sound it; they are silent then"))),
});

/** What is wrong with either is a bad link, whatever it is. */
export const MediaQuery = object({ exp: v.optional(v.string()), sig: v.optional(v.string()) });

export const SoundView = named(
  "Sound",
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
