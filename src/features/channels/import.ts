import { isDeepStrictEqual } from "node:util";
import type { PermissionHolder } from "../../core/caller.ts";
import { type ErrorDetail, PrismError } from "../../core/errors.ts";
import { eachWithin } from "../../core/promises.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import type { ChannelRow } from "./channel.ts";
import { channels as managed } from "./manage.ts";
import type { CreateChannel } from "./schema.ts";
import { type ChannelsApi, changedWay, newChannel, openedOrNull, recordAudit } from "./service.ts";
import { openFields, type SealedFields, sealSecrets, updateChannel } from "./store.ts";

/** For the hosts of all URLs together. */
const RESOLVE = { atOnce: 6, limitMs: 10_000 } as const;

/* Channels that an import stores together with policies and routes. */

interface Imported extends Pick<CreateChannel, "name" | "preset" | "fields" | "sendResolved" | "eventTypes"> {
  readonly ref: string;
}

interface Stored {
  readonly ref: string;
  readonly id: string;
  readonly name: string;
  readonly preset: string;
  readonly outcome: "created" | "updated" | "unchanged";
}

/** The channels of a project that an import names, found again by their names. */
export function channelsOfImport(context: ChannelsApi) {
  return {
    /** Origin of the URL of a channel with the preset `http`; null if no key opens it. */
    originOf(channel: SealedFields): string | null {
      const { url = "" } = openedOrNull(context.box, channel) ?? {};
      return URL.canParse(url) ? new URL(url).origin : null;
    },
    async prepare(principal: PermissionHolder, projectId: string, channels: readonly Imported[]) {
      if (channels.length > 0) context.projects.require(principal, projectId, "channels:write");
      const found: ErrorDetail[][] = [];
      const rows: { readonly ref: string; readonly row: ChannelRow }[] = [];
      const names = new Set<string>();
      await eachWithin(RESOLVE, channels.entries(), async ([at, { ref, ...input }]) => {
        const path = `channels.${at}`;
        const problems: ErrorDetail[] = [];
        found[at] = problems;
        if (names.has(input.name))
          problems.push({ path: `${path}.name`, code: "NAME_TAKEN", message: "is the name of another channel too" });
        names.add(input.name);
        try {
          rows[at] = { ref, row: await newChannel(context, principal, { projectId }, input) };
        } catch (error) {
          problems.push(...detailsOf(error, path));
        }
      });
      const store = async (trx: Trx, isWritten: boolean): Promise<Stored[]> => {
        const stored: Stored[] = [];
        for (const { ref, row } of rows) {
          const { id, outcome } = await storeOne(context, principal, projectId, row, trx, isWritten);
          stored.push({ ref, id, name: row.name, preset: row.preset, outcome });
        }
        return stored;
      };
      return { problems: found.flat(), store };
    },
  };
}

/**
 * The settings that an import does not have stay as they are. @param isWritten false for a dry run,
 * whose outcome must not tell whether a secret was guessed
 * @throws INVALID_STATE
 */
async function storeOne(
  context: ChannelsApi,
  principal: PermissionHolder,
  projectId: string,
  row: ChannelRow,
  trx: Trx,
  isWritten: boolean,
): Promise<{ id: string; outcome: Stored["outcome"] }> {
  const { box, clock } = context;
  const before = await trx
    .selectFrom("channels")
    .selectAll()
    .where("projectId", "=", projectId)
    .where("name", "=", row.name)
    .orderBy("id")
    .executeTakeFirst();
  if (!before) {
    await managed.insert(context, trx, principal, row);
    return { id: row.id, outcome: "created" };
  }
  const { id, preset, name } = before;
  if (preset !== row.preset)
    throw new PrismError("INVALID_STATE", `The channel ${name} has the preset ${preset}, not ${row.preset}: rename it`);
  const fields = openFields(box, row);
  const plain = JSON.parse(row.fields) as Readonly<Record<string, string>>;
  const secrets = Object.fromEntries(Object.entries(fields).filter(([key]) => !(key in plain)));
  const isCompared = isWritten || Object.keys(secrets).length === 0;
  const isSame =
    isCompared && isDeepStrictEqual(openedOrNull(box, before), fields) && before.sendResolved === row.sendResolved;
  if (isSame) return { id, outcome: "unchanged" };
  const sealed = { fields: row.fields, secrets: sealSecrets(box, id, secrets) };
  const next: ChannelRow = {
    ...{ ...before, ...sealed, sendResolved: row.sendResolved },
    ...{ acceptedAt: null, version: before.version + 1, updatedAt: clock.now() },
  };
  const { id: _, ...values } = next;
  await updateChannel(trx, id, values);
  addEffect(trx, changedWay(next));
  await recordAudit(context, "channel.update", next, trx, { members: ["fields", "sendResolved"] });
  return { id, outcome: "updated" };
}

function detailsOf(error: unknown, path: string): ErrorDetail[] {
  if (!(error instanceof PrismError)) throw error;
  const found = error.details ?? [{ path: "", code: error.code, message: error.message }];
  return found.map((each) => ({ ...each, path: each.path ? `${path}.${each.path}` : path }));
}
