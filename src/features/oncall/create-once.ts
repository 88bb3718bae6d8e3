import type { PermissionHolder } from "../../core/principal.ts";
import { type Reply, withVersion } from "../../http/api/route.ts";
import { holderOf } from "../../http/server/access.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import type { Trx } from "../../store/database.ts";
import type { OnCallContext } from "./schedules.ts";

/** Answers a repeated Idempotency-Key with the first answer. @param request all that the key is for */
export function createOnce<V extends { readonly version: number }>(
  { idempotency }: OnCallContext,
  exchange: Exchange,
  request: unknown,
  create: (trx: Trx, principal: PermissionHolder) => Promise<V>,
): Promise<Reply<V>> {
  const principal = holderOf(exchange);
  const effect = async (trx: Trx): Promise<Reply<V>> => withVersion(await create(trx, principal), { status: 201 });
  return idempotency.run(exchange, principal, request, effect, {});
}
