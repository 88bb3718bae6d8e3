import type { Principal } from "../../core/caller.ts";
import { limitReached, PrismError } from "../../core/errors.ts";
import { ofOwner } from "../../http/api/listing.ts";
import { pageOf } from "../../http/api/shapes.ts";
import { requireVersion } from "../../http/body/negotiation.ts";
import { missingPermission, requireHolder } from "../../http/server/access.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import { countOf } from "../../store/sqlite/list-queries.ts";
import { findProject, managed } from "../access/index.ts";
import { Channel, type ChannelRow, channelAccess, channelList } from "./channel.ts";
import type { Preset } from "./preset.ts";
import * as s from "./schema.ts";
import {
  type ChannelsApi,
  changedWay,
  changeOf,
  newChannel,
  newOwner,
  openedOrNull,
  ownerOf,
  recordAudit,
} from "./service.ts";
import * as store from "./store.ts";

export const PATH = "/api/v1/channels";
// The handler checks the project's permission, or that the channel is the caller's own.
export const common = { tag: "Channels", access: { anyToken: true } } as const;

export const channels = managed({
  ...{ path: PATH, names: ["Channel", "Channels"], tag: common.tag, params: s.ChannelParams },
  access: channelAccess,
  callers: { read: common.access, write: common.access },
  answer: () => Channel.View,
  list: {
    summary: "List the channels of the caller, of a project or of all, newest first",
    errors: ["PROJECT_NOT_FOUND", "UNAUTHORIZED_ROLE", "INVALID_CURSOR"],
    query: s.ListChannels,
    answer: () => pageOf(Channel.View),
    page: listPage,
  },
  get: { summary: "Get a channel, without its secrets" },
  create: {
    summary: "Create a channel of the caller or a project",
    errors: ["PROJECT_NOT_FOUND", "RECIPIENT_NOT_FOUND", "UNAUTHORIZED_ROLE", "URL_REFUSED", "LIMIT_REACHED"],
    body: s.CreateChannel,
    answer: s.ChangedChannel,
    prepare(context: ChannelsApi, caller, input) {
      context.storage.requireSpace();
      return newChannel(context, caller, newOwner(context, caller, input), input);
    },
  },
  update: {
    summary: "Change a channel, or enable it again",
    errors: ["UNAUTHORIZED_ROLE", "URL_REFUSED"],
    body: s.UpdateChannel,
    answer: s.ChangedChannel,
    async prepare(context, caller, input, id, ifMatch) {
      context.storage.requireSpace();
      const old = await channelAccess.writable(context.projects, caller, id, context.db.read);
      requireVersion(ifMatch, old.version);
      return changeOf(context, old, input);
    },
  },
  remove: {
    summary: "Delete a channel with its pending deliveries",
    errors: ["UNAUTHORIZED_ROLE", "CHANNEL_IN_USE"],
  },
  async view({ book, box }, _caller: Principal, row: ChannelRow) {
    return s.channelView(row, await book.get(row.preset), openedOrNull(box, row));
  },
  extra: (_context, row) => ({ warnings: s.channelWarnings(row) }),
  state: ({ failures, disabledAt, acceptedAt }) => ({ failures, disabledAt, acceptedAt }),
  in: {
    async insert(context, trx, _caller, row) {
      await requireRoom(context, row, trx);
      await trx.insertInto("channels").values(row).execute();
      addEffect(trx, changedWay(row));
      await recordAudit(context, "channel.create", row, trx);
      return { row };
    },
    async change(context, trx, old, { next, members, version }) {
      // The fields were checked against the version that was read.
      if (old.version !== version) requireVersion(`"${version}"`, old.version);
      const row = next(old);
      const { id, ...values } = row;
      await store.updateChannel(trx, id, values);
      addEffect(trx, changedWay(row));
      await recordAudit(context, "channel.update", row, trx, { members });
      return { row };
    },
    async remove(context, trx, row) {
      const policies = await context.policiesWith(trx, row.id);
      if (policies.length > 0)
        throw new PrismError("CHANNEL_IN_USE", `Policies send to this channel: ${policies.join(", ")}`);
      await store.deleteChannel(trx, row.id);
      addEffect(trx, { ...changedWay(row), isDeleted: true });
      await recordAudit(context, "channel.delete", row, trx);
    },
  },
});

function listPage(context: ChannelsApi, caller: Principal, { projectId, scope = "own", ...query }: s.ListChannels) {
  const principal = requireHolder(caller);
  if (scope === "all" && !principal.permissions.has("projects:all")) throw missingPermission("projects:all");
  const owner =
    scope === "all" && projectId === undefined ? null : ownerOf(context, principal, projectId, "events:read");
  return channelList.page(context.db, { visible: ofOwner(owner), state: undefined }, query, async (rows) => {
    const presets = new Map<string, Preset | undefined>();
    for (const { preset } of rows) presets.set(preset, await context.book.get(preset));
    return (row) => s.channelView(row, presets.get(row.preset), openedOrNull(context.box, row));
  });
}

/** @throws PROJECT_NOT_FOUND, LIMIT_REACHED */
async function requireRoom({ settings, projects }: ChannelsApi, row: ChannelRow, trx: Trx): Promise<void> {
  const { projectId, userId } = row;
  if (projectId !== null && !(await findProject(trx, projectId)))
    throw new PrismError("PROJECT_NOT_FOUND", "No such project");
  if (projectId !== null) return projects.quotas.requireRoom(trx, "channels", row);
  const { channelsPerOwner } = settings.limits;
  if ((await countOf(trx.selectFrom("channels").where("userId", "=", userId))) >= channelsPerOwner)
    throw limitReached("A user has too many channels", "limits.channelsPerOwner", channelsPerOwner);
}
