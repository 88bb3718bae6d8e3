import * as v from "valibot";
import { named } from "../../http/named-schemas.ts";
import { pageEntries } from "../../http/pagination.ts";
import { instant, object, pattern } from "../../http/shapes.ts";

const filters = {
  from: v.optional(instant),
  to: v.optional(instant),
  userId: v.optional(v.pipe(v.string(), v.maxLength(64))),
  action: v.optional(pattern(/^[a-z]+(\.[a-z_]+|\.\*)?$/, "must be an action such as rule.create, or rule.*")),
  resourceType: v.optional(v.pipe(v.string(), v.maxLength(50))),
  resourceId: v.optional(v.pipe(v.string(), v.maxLength(64))),
  requestId: v.optional(v.pipe(v.string(), v.maxLength(128))),
};

export const ListQuery = object({ ...filters, ...pageEntries(1000) });
export const ExportQuery = object(filters);
export const VerifyQuery = object({ from: filters.from, to: filters.to });
export type AuditFilters = v.InferOutput<typeof ExportQuery>;

export const AuditView = named(
  "AuditRow",
  v.object({
    seq: v.number(),
    id: v.string(),
    action: v.string(),
    userId: v.nullable(v.string()),
    actor: v.record(v.string(), v.unknown()),
    resourceType: v.nullable(v.string()),
    resourceId: v.nullable(v.string()),
    metadata: v.record(v.string(), v.unknown()),
    ip: v.nullable(v.string()),
    requestId: v.nullable(v.string()),
    timestamp: v.string(),
    prevHash: v.string(),
    hash: v.string(),
  }),
);

export const VerifyReply = v.object({
  ok: v.boolean(),
  checked: v.number(),
  firstBad: v.optional(v.object({ seq: v.number(), id: v.string() })),
  truncated: v.optional(v.boolean()),
});
