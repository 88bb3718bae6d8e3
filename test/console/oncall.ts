import { consoleModule } from "../helpers/console-module.ts";
import type { ConsoleTest } from "./helpers.ts";

/* What tests of the page of on-call share. */

export const calendarTime = () =>
  consoleModule<typeof import("../../console/pages/oncall/calendar-time.ts")>("pages/oncall/calendar-time.ts");

/** A user who reads the default project. */
export async function member(console: ConsoleTest, username: string) {
  const user = await console.person(username, ["User"]);
  await console.prism.post("/api/v1/projects/default/members", { userId: user.id, role: "viewer" });
  return user;
}
