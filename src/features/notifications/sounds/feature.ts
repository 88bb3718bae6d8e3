import { fileReply } from "../../../http/api/replies.ts";
import type { ANSWERS_LATER, BodyType } from "../../../http/api/route.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { RateLimiter, requireAllowed } from "../../../http/limits/rate-limiter.ts";
import { holderOf } from "../../../http/server/access.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { MEDIA_HEADERS } from "../../../http/server/headers.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import type { RunningJob } from "../../time/jobs/index.ts";
import { MAX_SOUND_BYTES, MEDIA_PATH, openSounds } from "./open-sounds.ts";
import { storedKeys } from "./queries.ts";
import {
  getSound,
  REMOVE_KIND,
  type RemovePayload,
  removeSound,
  requireStoredSound,
  type SoundsContext,
  soundsPage,
  storeSound,
} from "./service.ts";
import { Sound } from "./sound.ts";
import * as s from "./upload.ts";

/** Answers a signed link. @throws SIGNATURE_INVALID, LINK_EXPIRED, SOUND_NOT_FOUND, OVERLOADED */
async function sendSound(
  context: SoundsContext,
  exchange: Exchange,
  { id, exp, sig }: { readonly id: string; readonly exp: string; readonly sig: string },
): Promise<typeof ANSWERS_LATER> {
  const { clock, config } = context;
  const { links, filesOf } = context.sounds;
  const expiresAt = links.check(id, exp, sig);
  const { filename, mime, bytes, sha256, storage, storageKey } = await requireStoredSound(context.db.read, id);
  const maxAge = Math.max(0, Math.floor((expiresAt - clock.now()) / 1000));
  // The link alone gives access to the sound; a cache that others share may keep it where the
  // operator has put one.
  const reach = config.storage.cdnUrl === undefined ? "private" : "public";
  return fileReply(exchange, {
    size: bytes,
    etag: `"${sha256.slice(0, 32)}"`,
    headers: {
      "Content-Type": mime,
      "Content-Disposition": `inline; filename="${filename}"`,
      "Cache-Control": `${reach}, max-age=${maxAge}`,
    },
    fixedHeaders: MEDIA_HEADERS,
    open: (range) => filesOf(storage).read(storageKey, range),
  });
}

const tag = "Sounds";
const PATH = "/api/v1/sounds";
const TYPES: readonly BodyType[] = [
  "multipart/form-data",
  "application/octet-stream",
  "application/ogg",
  "audio/mpeg",
  "audio/mp3",
  "audio/ogg",
  "audio/opus",
  "audio/wav",
  "audio/wave",
  "audio/x-wav",
  "audio/vnd.wave",
];

/** Files that notifications sound with. */
export const soundsFeature = feature("sounds", {
  needs: ["runner", "jobs", "outside"],
  open: (context) => ({ sounds: openSounds(context) }),
  register: serve,
  start: ({ sounds, db, clock, log }) => sounds.stored.share({ keys: () => storedKeys(db.read), clock, log }),
  stop: ({ sounds }) => sounds.stored.stop(),
});

async function serve(server: FeatureServer, context: SoundsContext): Promise<void> {
  const { runner, sounds, storage, bodies, settings, clock, log } = context;
  const limiter = new RateLimiter(clock);
  runner.handle(REMOVE_KIND, async ({ payload }: RunningJob) => {
    const { storage, storageKey } = payload as RemovePayload;
    await sounds.filesOf(storage).remove(storageKey);
  });
  const swept = await sounds.stored.sweep(() => true);
  if (swept > 0) log.namespace("sounds").info({ files: swept }, "halves of files that a crash had left were removed");

  server.route({
    method: "POST",
    path: PATH,
    id: "uploadSound",
    summary: "Upload an MP3, Ogg or WAV file of up to 5 MiB, as form part `file` or as the body",
    tag,
    access: { permission: "sounds:write" },
    query: s.UploadQuery,
    body: s.Upload,
    raw: { types: TYPES, gzip: false },
    maxBodyBytes: MAX_SOUND_BYTES + s.FORM_BYTES,
    uploads: true,
    status: 201,
    response: () => Sound.View,
    errors: ["INVALID_AUDIO", "NAME_TAKEN", "OVERLOADED", "RATE_LIMITED"],
    async handle(exchange, { query, body }) {
      const { userId, key } = holderOf(exchange);
      take(key);
      storage.requireSpace();
      const sound = s.readUpload(exchange, body as unknown as Buffer, query.filename);
      const release = bodies.hold(exchange, sound.bytes.length);
      try {
        return await storeSound(context, sound, userId);
      } finally {
        release();
      }
    },
  });
  server.route({
    method: "GET",
    path: PATH,
    id: "listSounds",
    summary: "List sounds, newest first, with temporary links that need no credentials",
    tag,
    access: { permission: "sounds:read" },
    query: s.ListSounds,
    response: () => pageOf(Sound.View),
    errors: ["INVALID_CURSOR"],
    handle: (_exchange, { query }) => soundsPage(context, query),
  });
  server.route({
    method: "GET",
    path: `${PATH}/:id`,
    id: "getSound",
    summary: "Get a sound with a temporary link that needs no credentials",
    tag,
    access: { permission: "sounds:read" },
    params: s.SoundParams,
    query: s.GetQuery,
    response: () => Sound.View,
    errors: ["SOUND_NOT_FOUND"],
    handle: (_exchange, { params, query }) => getSound(context, params.id, query.ttlMs),
  });
  server.route({
    method: "DELETE",
    path: `${PATH}/:id`,
    id: "deleteSound",
    summary: "Delete a sound that no rule uses, or any with force=true",
    tag,
    access: { permission: "sounds:write" },
    params: s.SoundParams,
    query: s.DeleteQuery,
    errors: ["SOUND_NOT_FOUND", "SOUND_IN_USE"],
    handle: (_exchange, { params, query }) => removeSound(context, params.id, query.force === true),
  });
  server.route({
    method: "GET",
    path: `${MEDIA_PATH}/:id`,
    id: "downloadSound",
    summary: "Download a sound by its temporary link; ranges are supported",
    tag,
    access: "public",
    params: s.SoundParams,
    query: s.MediaQuery,
    otherStatuses: [206],
    response: { contentType: "audio/*", description: "The file, or the requested range (206)" },
    errors: ["SIGNATURE_INVALID", "LINK_EXPIRED", "SOUND_NOT_FOUND", "OVERLOADED", "NOT_CONFIGURED"],
    handle: (exchange, { params, query }) =>
      sendSound(context, exchange, { id: params.id, exp: query.exp ?? "", sig: query.sig ?? "" }),
  });

  /** @throws RATE_LIMITED */
  function take(key: string): void {
    const { enabled, uploads } = settings.rateLimit;
    if (enabled) requireAllowed(limiter.take(key, uploads, 1, "uploads"), "Too many uploads");
  }
}
