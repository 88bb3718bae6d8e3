import { countText } from "../../../core/text/clean-text.ts";
import type { Uses } from "../../../module/feature.ts";
import type { FeatureFindings } from "../../../module/findings.ts";
import { unprovenPeople, unprovenText } from "./unproven.ts";

const LISTED_PEOPLE = 100;

/** Who is on call soon without a proof that pages arrive; other users are counted for who does not see all projects. */
export const drillFindings: FeatureFindings<Uses<"db" | "clock" | "projects">> = {
  stored: () => import("./doctor.ts"),
  async shownTo({ db, clock, projects }, caller) {
    const people = await unprovenPeople(db.scan, clock.now());
    if (people.length === 0) return [];
    const seesAll = projects.readable(caller, "project:read") === null;
    const shown = people.filter(({ userId }) => seesAll || userId === caller.userId);
    const others = people.length - shown.length;
    const parts = [
      unprovenText(shown.map(({ shownName: name, takesPart }) => ({ name, takesPart }))),
      others === 0 ? "" : countText(others, "other user"),
    ];
    return [
      {
        ...{ code: "drills", severity: "info" },
        text: `On call now or soon, without proof that pages arrive: ${countText(people.length, "user")}`,
        shown: {
          ...{ kind: "unproven", key: "unproven", link: "/oncall" },
          detail: parts.filter((text) => text !== "").join(", "),
          ids: shown.slice(0, LISTED_PEOPLE).map(({ name }) => name),
          counts: { users: people.length },
        },
      },
    ];
  },
};
