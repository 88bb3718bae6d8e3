import { Readable } from "node:stream";
import { sql } from "kysely";
import * as v from "valibot";
import { PrismError } from "../../../core/errors.ts";
import { streamReply } from "../../../http/api/replies.ts";
import { flag } from "../../../http/api/resource.ts";
import { type Route, route } from "../../../http/api/route.ts";
import { holderOf } from "../../../http/server/access.ts";
import { type Context, feature } from "../../../module/feature.ts";
import { sealedColumn } from "../../../store/sealed-column.ts";
import type { WithIssued } from "../../access/index.ts";
import { forwardSealContext } from "../forward/index.ts";
import { deliveryRoutes } from "./ingest-routes.ts";
import { issuedOf, PATH, receiverAccess, receivers, replace, tag } from "./manage.ts";
import { Preparing } from "./preparing.ts";
import { type LoadedPreset, Presets } from "./presets.ts";
import { Receiver, type ReceiverRow } from "./receiver.ts";
import { createReceiverToken, Receivers, receiverSealContext } from "./receivers.ts";
import { RECEIVER_SWEEPS } from "./retention.ts";
import * as s from "./schema.ts";
import { checkSettings, type ReceiverParts, replacedSecret, storedSettings } from "./settings.ts";
import { requestRoutes } from "./try-requests.ts";

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly receivers: Receivers;
    readonly receiverPresets: Presets;
    /** Reads what receivers are sent. */
    readonly preparing: Preparing;
  }
}

/** URLs at which other programs deliver requests, and their log. */
export const receiversFeature = feature("receivers", {
  needs: ["alerts", "incidents", "projects", "principals", "outside", "receiverRules", "forwarding"],
  uses: ["mailIn"],
  open(context) {
    const { config, log, work } = context;
    const receiverPresets = new Presets({ dataDir: config.dataDir, log: log.namespace("receivers") });
    return {
      receiverPresets,
      receivers: new Receivers({ ...context, receiverPresets }),
      preparing: new Preparing(work),
    };
  },
  effects: ({ receivers, receiverRules }) => ({
    "receivers-changed"(change) {
      receivers.changed(change);
      receiverRules.changed(change);
    },
  }),
  sealedColumns: [
    sealedColumn("receivers", "secret", (id) => receiverSealContext("secret", id), { where: sql`secret is not null` }),
    sealedColumn("receivers", "previousSecret", (id) => receiverSealContext("previousSecret", id), {
      where: sql`previousSecret is not null`,
    }),
    sealedColumn("receivers", "forwardUrl", (id) => forwardSealContext("receivers", id), {
      where: sql`forwardUrl is not null`,
    }),
  ],
  load({ receivers, receiverPresets }) {
    receivers.load();
    receiverPresets.reload();
  },
  reload({ receivers, receiverPresets }) {
    receiverPresets.reload();
    receivers.presetsChanged();
  },
  close: ({ preparing }) => preparing.stop(),
  register(server, given) {
    const { projects } = given;
    const outside = given.outside();
    const context = {
      ...partsOf(given),
      storage: projects.storage,
      async fetchText(url: string) {
        const { status, body } = await outside.request(url, { method: "GET" });
        if (status !== 200) throw new PrismError("SIGNATURE_INVALID", `The sender's URL answers ${status}`);
        return body.toString("utf8");
      },
    };
    const managed = [...receivers.routes(context), ...actionRoutes(context)];
    for (const each of [...managed, ...requestRoutes(context), ...deliveryRoutes(context)]) server.route(each);
  },
  sweeps: () => RECEIVER_SWEEPS,
  configKinds: async (context) => (await import("./config-kind.ts")).receiverKinds(partsOf(context)),
});

function partsOf<C extends Context<"receiverPresets" | "mailIn">>(context: C) {
  const { receiverPresets: presets, mailIn } = context;
  return { ...context, presets, mailDomain: () => mailIn.domain };
}

/** Without another URL the secret was replaced. */
type Rotated = WithIssued<
  ReceiverRow,
  Pick<v.InferOutput<ReturnType<typeof s.RotatedReceiver>>, "url" | "mailAddress">
>;

const NO_PREVIOUS = { previousHash: null, previousUntil: null };
const write = { tag, access: { permission: "receivers:write", within: "project" }, params: s.ReceiverParams } as const;

/** Actions on receivers, and what can send to them. */
function actionRoutes(context: ReceiverParts): Route[] {
  const presets = route({
    tag,
    access: { tokenScopes: ["events:read", "receivers:write"] },
    method: "GET",
    path: `${PATH}/presets`,
    id: "listReceiverPresets",
    summary: "List the presets: programs that can send to a receiver, and how to set them up",
    response: v.object({ data: v.array(s.PresetView) }),
    async handle(exchange) {
      const json = JSON.stringify({ data: Array.from((await context.presets.all()).values(), presetView) });
      // A stream is compressed: to a sixth of 60 kB.
      return streamReply(exchange, { contentType: "application/json; charset=utf-8" }, Readable.from([json]));
    },
  });
  const rotate = route({
    ...write,
    path: `${PATH}/:id/rotate`,
    method: "POST",
    id: "rotateReceiver",
    summary: "Replace the URL, or the secret if one is given; the old one works until the grace period ends",
    body: s.RotateReceiver,
    status: 201,
    response: s.RotatedReceiver,
    errors: ["RECEIVER_NOT_FOUND"],
    async handle(exchange, { params: { id }, body: { graceMs = 0, secret } }) {
      const caller = holderOf(exchange);
      if (secret !== undefined) {
        const known = await receiverAccess.visible(context.projects, caller, id, context.db.read);
        await checkSettings(context, known.preset, { secret }, { ...storedSettings(known), hasSecret: true });
      }
      return receivers.act(context, caller, { id, status: 201 }, async (trx, old): Promise<Rotated> => {
        const until = context.clock.now() + graceMs;
        if (secret !== undefined) {
          const next = { ...old, ...replacedSecret(context, old, secret, graceMs, until) };
          const row = await replace(context, trx, "rotate", next, { graceMs, of: "secret" });
          return { row, issued: { url: null, mailAddress: null } };
        }
        const { token, prefix, hash } = createReceiverToken();
        const previous = graceMs === 0 ? NO_PREVIOUS : { previousHash: old.hash, previousUntil: until };
        const row = await replace(
          context,
          trx,
          "rotate",
          { ...old, prefix, hash, ...previous },
          { graceMs, of: "url" },
        );
        return { row, issued: issuedOf(context, row, token) };
      });
    },
  });
  const switches = [false, true].map((isActive) =>
    route({
      ...write,
      path: `${PATH}/:id/${isActive ? "resume" : "pause"}`,
      method: "POST",
      id: isActive ? "resumeReceiver" : "pauseReceiver",
      summary: isActive ? "Accept requests again" : "Refuse requests with 403 until it is resumed",
      response: () => Receiver.View,
      errors: ["RECEIVER_NOT_FOUND"],
      handle: (exchange, { params }) =>
        receivers.act(context, holderOf(exchange), params, async (trx, old) => {
          if ((old.isActive === 1) === isActive) return { row: old };
          const next = { ...old, isActive: flag.encode(isActive) };
          return { row: await replace(context, trx, isActive ? "resume" : "pause", next, { name: old.name }) };
        }),
    }),
  );
  return [presets, rotate, ...switches];
}

/** Presets as the API shows them. */
function presetView(preset: LoadedPreset) {
  const { name, title, group, docs, secret, secretTitle = null, setup, methods, mapping, sample } = preset;
  return {
    name,
    title,
    group,
    docs,
    secret,
    secretTitle,
    setup,
    methods,
    mapping: { ...mapping },
    sample: { ...sample },
  };
}
