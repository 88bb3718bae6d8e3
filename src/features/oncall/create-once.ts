import type { PermissionHolder } from "../../core/principal.ts";
import { holderOf } from "../../http/access.ts";
import type { Exchange } from "../../http/exchange.ts";
import { type Reply, versioned } from "../../http/route.ts";
import type { Trx } from "../../store/database.ts";
import type { OnCallContext } from "./schedules.ts";

/** Answers a repeated Idempotency-Key with the first answer. @param request all that the key is for */
export function createOnce<V>(
  { db, idempotency }: OnCallContext,
  exchange: Exchange,
  request: unknown,
  create: (trx: Trx, principal: PermissionHolder) => Promise<{ readonly version: number; readonly body: V }>,
): Promise<Reply<V>> {
  const principal = holderOf(exchange);
  const effect = async (trx: Trx): Promise<Reply<V>> => {
    const { version, body } = await create(trx, principal);
    return versioned(version, body, { status: 201 });
  };
  return idempotency.run(exchange, principal, request, db, effect, {});
}
