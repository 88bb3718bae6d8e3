import * as v from "valibot";
import { listing } from "../../../http/api/listing.ts";
import { column, computed, type RowOf, resource, stored, time } from "../../../http/api/resource.ts";
import { doc } from "../../../http/api/shapes.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    sounds: SoundRow;
  }
}

/** Only audio of these types is stored. */
const MIMES = ["audio/mpeg", "audio/ogg", "audio/wav"] as const;
export type AudioMime = (typeof MIMES)[number];

export const Sound = resource("Sound", "A sound with a temporary link", "sounds", () => ({
  id: stored(v.string()),
  filename: stored(v.string()),
  mime: stored(v.picklist(MIMES)),
  bytes: stored(v.number()),
  sha256: stored(v.string()),
  createdBy: stored(v.nullable(v.string())),
  createdAt: stored(v.string(), time),
  rules: computed(doc(v.number(), "Number of rules that use it")),
  url: computed(v.string()),
  urlExpiresAt: computed(v.string()),
  storage: column(v.picklist(["local", "s3"])),
  storageKey: column(v.string()),
  durationMs: column(v.nullable(v.number())).or(null),
  deletedAt: column(v.nullable(v.number())).or(null),
}));
export type SoundRow = RowOf<typeof Sound>;

export const soundList = listing(Sound, () => ({}), { order: { createdAt: "number", id: "string" } });
