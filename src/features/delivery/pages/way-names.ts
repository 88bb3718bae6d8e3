import type { ReadDb, Trx } from "../../../store/database.ts";
import type { OutsideChannel } from "../../../store/schema.ts";
import type { PageKindName, Place } from "./page.ts";

/** A target of pages, as people know it. */
export interface NamedWay {
  /** Such as "channel Pager", "webhook hooks.example.com" or "mail of ann". */
  readonly name: string;
  /** The same without the person, such as "mail". */
  readonly short: string;
  readonly userId: string | null;
  /** Its channel is deleted. */
  readonly isGone: boolean;
  /** Channel of a person's way. */
  readonly channel: OutsideChannel | null;
}

type Way = Pick<Place, "target" | "provider"> & { readonly kind: PageKindName };

const OF_PEOPLE: Readonly<Record<Exclude<OutsideChannel, "service">, string>> = {
  email: "mail",
  webhook: "webhook",
  fcm: "push (FCM)",
  apns: "push (APNs)",
  webpush: "push of a browser",
  pusher: "Pusher",
};

/** Names of targets, by key. Addresses of webhooks may hold secrets: they have the host only. */
export async function namesOfWays(db: ReadDb | Trx, ways: readonly Way[]): Promise<ReadonlyMap<string, NamedWay>> {
  const parsed = ways.map((way) => ({ ...way, ...partsOf(way) }));
  const people = await namesOf(db, "users", parsed);
  const channels = await namesOf(db, "channels", parsed);
  return new Map(
    parsed.map(({ target, kind, provider, userId, channel, channelId }) => {
      const own = channelId === null ? "" : channels.get(channelId);
      const base = { userId, channel, isGone: own === undefined };
      const named = own === undefined ? "deleted channel" : `channel ${own}`;
      const room = kind === "webhook" ? `webhook ${provider.replace(/^host /, "")}` : named;
      if (userId === null || channel === null) return [target, { ...base, name: room, short: room }];
      const short = channel === "service" ? named : OF_PEOPLE[channel];
      return [target, { ...base, name: `${short} of ${people.get(userId) ?? "a deleted user"}`, short }];
    }),
  );
}

interface WayParts {
  readonly userId: string | null;
  readonly channel: OutsideChannel | null;
  readonly channelId: string | null;
}

/** The parts of a target's key. */
function partsOf({ kind, target }: Way): WayParts {
  const [channel = "", second = "", third = ""] = target.split(" ");
  if (kind === "webhook") return { userId: null, channel: null, channelId: null };
  if (kind === "channel") return { userId: null, channel: null, channelId: second };
  const channelId = channel === "service" ? third : null;
  return { userId: second, channel: channel as OutsideChannel, channelId };
}

async function namesOf(
  db: ReadDb | Trx,
  table: "users" | "channels",
  parts: readonly WayParts[],
): Promise<ReadonlyMap<string, string>> {
  const ids = parts.flatMap(({ userId, channelId }) => (table === "users" ? userId : channelId) ?? []);
  if (ids.length === 0) return new Map();
  const rows =
    table === "users"
      ? await db.selectFrom("users").select(["id", "username as name"]).where("id", "in", ids).execute()
      : await db.selectFrom("channels").select(["id", "name"]).where("id", "in", ids).execute();
  return new Map(rows.map(({ id, name }) => [id, name ?? id]));
}
