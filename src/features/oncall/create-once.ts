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
  create: (trx: Trx) => Promise<{ readonly version: number; readonly body: V }>,
): Promise<Reply<V>> {
  const effect = async (trx: Trx): Promise<Reply<V>> => {
    const { version, body } = await create(trx);
    return versioned(version, body, { status: 201 });
  };
  return idempotency.run(exchange, holderOf(exchange), request, db, effect, {});
}
