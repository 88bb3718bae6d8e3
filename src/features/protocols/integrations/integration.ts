import * as v from "valibot";
import {
  bytes,
  column,
  computed,
  given,
  json,
  orNull,
  type RowOf,
  resource,
  stored,
  time,
} from "../../../http/api/resource.ts";
import { doc, stringRecord, text } from "../../../http/api/shapes.ts";
import { forwardHeaders, forwardShown } from "../../intake/forward/index.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    integrations: IntegrationRow;
  }
}

const KINDS = ["pagerduty", "opsgenie"] as const;

/** A program that sends alerts in another service's protocol. */
export const Integration = resource(
  "Integration",
  "A program that sends alerts in another service's protocol",
  "integrations",
  () => ({
    id: stored(v.string()),
    projectId: stored(v.string()),
    kind: given(v.picklist(KINDS), "The protocol that the program sends").atCreation(),
    name: given(text(100, 1), "Unique in the project"),
    labels: given(
      stringRecord(8192),
      "Labels of each of its alerts, such as `team`; routes match them",
      json<Readonly<Record<string, string>>>(),
    )
      .or("{}")
      .shown(v.record(v.string(), v.string())),
    forwardHeaders: forwardHeaders(),
    forward: computed(forwardShown),
    prefix: stored(doc(v.string(), "First characters of the key")),
    previousUntil: stored(doc(v.nullable(v.string()), "Until when a replaced key works"), orNull(time)).or(null),
    /** Uses since the last write are in memory. */
    lastUsedAt: column(v.nullable(v.number())).or(null).shownAs(v.nullable(v.string())),
    createdBy: stored(v.nullable(v.string())),
    createdAt: stored(v.string(), time),
    updatedAt: stored(v.string(), time),
    version: stored(v.number()).or(1),
    hash: column(v.string()),
    /** A replaced key, valid until `previousUntil`. */
    previousHash: column(v.nullable(v.string())).or(null),
    /** Sealed. */
    forwardUrl: column(v.nullable(bytes)).or(null),
  }),
);
export type IntegrationRow = RowOf<typeof Integration>;
