import type { Feature } from "../../module/feature.ts";
import { type DigestOwn, startDigests } from "./digests.ts";

/** Sends the people of a project a daily digest. It has no routes. */
export function digestFeature(own: DigestOwn): Feature {
  return {
    name: "digest",
    version: "1.0.0",
    register: (_server, { events }) => startDigests({ ...own, events }),
  };
}
