import { feature } from "../../../module/feature.ts";
import { startDigests } from "./digests.ts";

/** Sends the people of a project a daily digest. It has no routes. */
export const digestFeature = feature("digest", {
  needs: ["runner", "jobs", "schedules", "projects", "users", "notify"],
  register: (_server, context) => startDigests(context),
});
