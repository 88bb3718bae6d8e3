import type { Feature } from "../../module/feature.ts";
import { type DigestOwn, startDigests } from "./digests.ts";

/** Tells the people of a project what happened in a day (contract 7, Digest; S1's digest worker). It has no routes. */
export function digestFeature(own: DigestOwn): Feature {
  return {
    name: "digest",
    version: "1.0.0",
    register: (_server, { events }) => startDigests({ ...own, events }),
  };
}
