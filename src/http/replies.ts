import * as v from "valibot";

/** The shape of a list's answer. */
export function pageOf<T extends v.GenericSchema>(item: T) {
  return v.object({
    data: v.array(item),
    page: v.nullable(v.number()),
    limit: v.number(),
    total: v.optional(v.number()),
    nextCursor: v.nullable(v.string()),
  });
}
