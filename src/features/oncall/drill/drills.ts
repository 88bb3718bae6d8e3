import type { ReadDb, Trx } from "../../../store/database.ts";
import { onCallBetween } from "../index.ts";
import { confirmWay, drillFollower } from "./drill.ts";
import { AHEAD_MS, DrillPlan } from "./plan.ts";
import type { DrillParts } from "./ways.ts";
import { proofSentence, waysOfUsers } from "./ways.ts";

/** Test pages to people, and the weekly plan of them. */
export class Drills {
  readonly plan: DrillPlan;
  /** Needs of drills. */
  readonly parts: DrillParts;

  constructor(parts: DrillParts) {
    this.parts = parts;
    this.plan = new DrillPlan({
      ...parts,
      // A mirror calls no one: neither do drills for its schedules.
      onCallBetween: (db, span) => onCallBetween(parts.users, db, span, null, (id) => parts.projects.isMirror(id)),
    });
    parts.pages.follow(drillFollower(parts));
  }

  /** A person tapped the link of a way. @throws TOKEN_INVALID */
  confirm(wayId: string): Promise<void> {
    return confirmWay(this.parts, wayId);
  }

  /** A sentence for the notice of a shift; null while the server can reach people in the app only. */
  async proofOf(db: ReadDb | Trx, userId: string): Promise<string | null> {
    if (!this.parts.pages.hasWays) return null;
    return proofSentence(await waysOfUsers(this.parts, db, [userId]), this.parts.clock.now());
  }

  /** Who is on call within 7 days. @param projectIds null: of all projects */
  onCallSoon(projectIds: readonly string[] | null) {
    const { clock, db, users } = this.parts;
    const from = clock.now();
    return onCallBetween(users, db.read, { from, to: from + AHEAD_MS }, projectIds);
  }
}
