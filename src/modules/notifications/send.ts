import { PrismError } from "../../base/errors.ts";
import type { Principal } from "../../base/principal.ts";
import type { Exchange } from "../../http/exchange.ts";
import { Reply } from "../../http/route.ts";
import { notificationView } from "../../pipeline/views.ts";
import { requireLink } from "../../services/links.ts";
import type { CoreServices } from "../../services/module.ts";
import type { Trx } from "../../store/database.ts";
import * as queries from "./queries.ts";
import type { SendBody } from "./schema.ts";

const UNSERVED_CHANNELS: readonly string[] = ["email", "webhook"];

/** POST /notifications: a notification that no rule decided. A key reaches the members of its project only. */
export function sendNotification(
  services: CoreServices,
  exchange: Exchange,
  principal: Principal,
  body: SendBody,
): Promise<Reply> {
  const { db, idempotency } = services;
  const unserved = body.channels?.find((channel) => UNSERVED_CHANNELS.includes(channel));
  if (unserved) throw new PrismError("NOT_CONFIGURED", `This server has no channel ${unserved}`);
  requireLink(body.action?.url, "action.url", services.config);
  if (body.sound) throw new PrismError("SOUND_NOT_FOUND", "No such sound");
  return idempotency.run(exchange, principal, body, db, async (trx) => {
    const { id, recipients } = await services.notify.send(
      {
        recipients: body.recipients ?? [body.userId ?? ""],
        title: body.title,
        message: body.message ?? body.body ?? "",
        action: body.action,
        data: body.data,
        priority: body.priority ?? 0,
        projectId: principal.kind === "apiKey" ? principal.projectId : null,
      },
      { trx },
    );
    return new Reply(201, await created(trx, id, recipients));
  });
}

/** As its sender sees it: for everybody it went to. */
async function created(trx: Trx, id: string, recipients: readonly string[]) {
  const row = await queries.findInInbox(trx, recipients[0] ?? "", id);
  if (!row) throw new Error("a notification without recipients was stored");
  return notificationView(row, { ...row, delivered: row.recipientDelivered }, { recipients, acknowledgedBy: [] });
}
