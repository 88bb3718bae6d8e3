import { idOf } from "./makers.ts";
import { may } from "./refusals.ts";
import { at, type Row, type Rule, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const PATH = "/api/v1/transfer-buckets";
let made = 0;

const bucket = (): object => {
  made += 1;
  return { name: `b${made}`, currency: "EUR", currentBalance: "1", threshold: "0" };
};

/** A bucket of one's own for every caller: some delete theirs. */
async function makeBucket(world: AccessWorld): Promise<string> {
  return idOf(world.prism.post(PATH, bucket()));
}

const fresh =
  (rest: string, body?: unknown): Row["request"] =>
  async (world) => ({ path: `${PATH}/${await makeBucket(world)}${rest}`, body });

/** Buckets belong to the project default. */
const reads: Rule = (who) => may("buckets:read")(who) ?? may("events:read")(who);

/** Contract 4.11. */
export const BUCKETS: Table = {
  [`GET ${PATH}`]: [{ refusal: reads, request: at(PATH) }],
  [`POST ${PATH}`]: [{ refusal: may("buckets:balance"), request: () => ({ path: PATH, body: bucket() }) }],
  [`GET ${PATH}/:id`]: [{ refusal: reads, request: fresh("") }],
  [`PUT ${PATH}/:id/threshold`]: [{ refusal: may("buckets:write"), request: fresh("/threshold", { threshold: "0" }) }],
  [`PUT ${PATH}/:id/balance`]: [{ refusal: may("buckets:balance"), request: fresh("/balance", { delta: "1" }) }],
  [`DELETE ${PATH}/:id`]: [{ refusal: may("buckets:balance"), request: fresh("") }],
};
