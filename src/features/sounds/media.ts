import type { Exchange } from "../../http/exchange.ts";
import { MEDIA_HEADERS } from "../../http/headers.ts";
import { fileReply } from "../../http/long-replies.ts";
import type { SoundService, SoundsContext } from "./service.ts";

/** What stands in a signed link. */
export interface SignedLink {
  readonly id: string;
  readonly exp: string;
  readonly sig: string;
}

/** Answers a signed link with the sound. @throws SIGNATURE_INVALID, LINK_EXPIRED, SOUND_NOT_FOUND, OVERLOADED */
export async function sendSound(
  { sounds, clock, config }: SoundsContext,
  service: SoundService,
  exchange: Exchange,
  { id, exp, sig }: SignedLink,
): Promise<symbol> {
  const { links, filesOf } = sounds;
  const expiresAt = links.check(id, exp, sig);
  const { filename, mime, bytes, sha256, storage, storageKey } = await service.find(id);
  const maxAge = Math.max(0, Math.floor((expiresAt - clock.now()) / 1000));
  // Whoever has the link may have the sound; a cache that others share may keep it where the operator has put one.
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
