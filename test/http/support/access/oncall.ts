import { idOf } from "./makers.ts";
import { anyUser, holds, inShop, NO_ROLE, readEvents, scoped } from "./refusals.ts";
import { at, inWorld, NO_ID, type Refusal, type Request, type Row, type Rule, type Table } from "./row.ts";
import { type AccessWorld, adminOf } from "./world.ts";

const PATH = "/api/v1/oncall";
const SCHEDULES = `${PATH}/schedules`;
const DRILLS = "/api/v1/drills";
const ONE = `${SCHEDULES}/:id`;
let made = 0;

/** What a caller sees first: a schedule of a project it does not read does not exist. */
const reads = inShop({ ...readEvents, hidden: "SCHEDULE_NOT_FOUND" });
const readsInPerson = inShop({ from: "viewer", hidden: "SCHEDULE_NOT_FOUND" });
const writes: Rule = (who) => readsInPerson(who) ?? inShop({ from: "owner", hidden: "SCHEDULE_NOT_FOUND" })(who);
const own = scoped(["account:own"]);

const SPAN = { start: "2030-01-01T00:00:00Z", end: "2030-01-02T00:00:00Z" };

/** A schedule of one's own for every caller: some delete theirs. */
function makeSchedule({ prism, shop }: AccessWorld): Promise<string> {
  return idOf(prism.post(SCHEDULES, { projectId: shop, name: `s${++made}` }));
}

const shiftOf = ({ keeper }: AccessWorld): object => ({
  start: "2030-01-01T00:00",
  durationMs: 3_600_000,
  turns: [[keeper]],
});
const overrideOf = ({ keeper }: AccessWorld): object => ({ ...SPAN, users: [keeper] });
const swapOf = ({ keeper }: AccessWorld): object => ({ ...SPAN, userId: keeper });

const fresh =
  (rest: string, body?: (world: AccessWorld) => unknown): Row["request"] =>
  async (world) => ({ path: `${SCHEDULES}/${await makeSchedule(world)}${rest}`, body: body?.(world) });

/** A shift, override or swap of a fresh schedule. */
const within =
  (
    kind: string,
    content: (world: AccessWorld) => object,
    rest = "",
    body?: (world: AccessWorld) => unknown,
  ): ((world: AccessWorld) => Promise<Request>) =>
  async (world) => {
    const path = `${SCHEDULES}/${await makeSchedule(world)}/${kind}`;
    return { path: `${path}/${await idOf(world.prism.post(path, content(world)))}${rest}`, body: body?.(world) };
  };

const resources = (kind: string, content: (world: AccessWorld) => object): Table => ({
  [`GET ${ONE}/${kind}`]: [{ refusal: reads, request: fresh(`/${kind}`) }],
  [`POST ${ONE}/${kind}`]: [{ refusal: writes, request: fresh(`/${kind}`, content) }],
  [`GET ${ONE}/${kind}/:shiftId`]: [{ refusal: reads, request: within(kind, content) }],
  [`DELETE ${ONE}/${kind}/:shiftId`]: [{ refusal: writes, request: within(kind, content) }],
});

const noCalendar = { refusal: () => null, isPublic: true, served: [404, "NOT_FOUND"] } as const;

/** The keeper's days off: for owners of the shop, and for `oncall:write`, which also counts in the default project. */
const keeps = (refused: Refusal): Rule =>
  scoped(
    ["account:own", "oncall:write"],
    (who) => anyUser(who) ?? (holds(who, "oncall:write") || isOwner(who) ? null : refused),
  );
const isOwner = (who: Parameters<Rule>[0]): boolean =>
  who.kind === "user" && who.member === "owner" && who.scopes === null;

const DAYS_OFF = `${PATH}/days-off`;
const hidden = keeps([404, "DAYS_OFF_NOT_FOUND"]);
const daysOffOf = ({ keeper }: AccessWorld): object => {
  // No entry overlaps another one.
  const day = new Date(Date.UTC(2030, 0, 1 + made++)).toISOString().slice(0, 10);
  return { userId: keeper, firstDay: day, lastDay: day };
};
const makeDaysOff = (world: AccessWorld): Promise<string> => idOf(world.prism.post(DAYS_OFF, daysOffOf(world)));
const shared = new WeakMap<AccessWorld, Promise<string>>();
/** One entry for all who do not delete it: a user has at most 100. */
const sharedDaysOff = (world: AccessWorld): Promise<string> => {
  const id = shared.get(world) ?? makeDaysOff(world);
  shared.set(world, id);
  return id;
};
const onDaysOff =
  (body?: unknown): Row["request"] =>
  async (world) => ({ path: `${DAYS_OFF}/${await sharedDaysOff(world)}`, body });

/** Reading as events; changes by `oncall:write`, and by members for their own shifts. */
export const ONCALL: Table = {
  [`GET ${SCHEDULES}`]: [
    {
      refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
      request: inWorld(({ shop }) => `${SCHEDULES}?projectId=${shop}`),
    },
  ],
  [`POST ${SCHEDULES}`]: [
    {
      refusal: inShop({ from: "owner", hidden: "PROJECT_NOT_FOUND" }),
      request: ({ shop }) => ({ path: SCHEDULES, body: { projectId: shop, name: `s${++made}` } }),
    },
  ],
  [`GET ${ONE}`]: [{ refusal: reads, request: fresh("") }],
  [`PUT ${ONE}`]: [{ refusal: writes, request: fresh("", () => ({ name: `s${++made}` })) }],
  [`DELETE ${ONE}`]: [{ refusal: writes, request: fresh("") }],
  ...resources("shifts", shiftOf),
  [`PUT ${ONE}/shifts/:shiftId`]: [{ refusal: writes, request: within("shifts", shiftOf, "", () => ({ level: 1 })) }],
  ...resources("overrides", overrideOf),
  [`PUT ${ONE}/overrides/:shiftId`]: [
    { refusal: writes, request: within("overrides", overrideOf, "", () => ({ reason: "r" })) },
  ],
  ...resources("swaps", swapOf),
  [`POST ${ONE}/swaps/:shiftId/take`]: [
    {
      refusal: writes,
      request: within("swaps", swapOf, "/take", (world) => ({ userId: adminOf(world).id })),
    },
  ],
  [`GET ${DAYS_OFF}`]: [
    { refusal: keeps(NO_ROLE), request: inWorld(({ keeper }) => `${DAYS_OFF}?userId=${keeper}`) },
    { refusal: own, request: at(DAYS_OFF) },
  ],
  [`POST ${DAYS_OFF}`]: [{ refusal: keeps(NO_ROLE), request: (world) => ({ path: DAYS_OFF, body: daysOffOf(world) }) }],
  [`GET ${DAYS_OFF}/:id`]: [{ refusal: hidden, request: onDaysOff() }],
  [`PUT ${DAYS_OFF}/:id`]: [{ refusal: hidden, request: onDaysOff({ note: "n" }) }],
  [`DELETE ${DAYS_OFF}/:id`]: [
    {
      refusal: hidden,
      request: async (world, _who, isServed) => ({
        path: `${DAYS_OFF}/${await (isServed ? makeDaysOff(world) : sharedDaysOff(world))}`,
      }),
    },
  ],
  [`GET ${ONE}/days-off`]: [{ refusal: reads, request: fresh("/days-off") }],
  [`GET ${PATH}/conflicts`]: [
    {
      refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
      request: inWorld(({ shop }) => `${PATH}/conflicts?projectId=${shop}`),
    },
  ],
  [`GET ${ONE}/final-shifts`]: [{ refusal: reads, request: fresh("/final-shifts") }],
  [`GET ${ONE}/layers`]: [{ refusal: reads, request: fresh("/layers") }],
  [`GET ${ONE}/gaps`]: [{ refusal: reads, request: fresh("/gaps") }],
  [`POST ${ONE}/calendar-link`]: [{ refusal: writes, request: fresh("/calendar-link") }],
  [`DELETE ${ONE}/calendar-link`]: [{ refusal: writes, request: fresh("/calendar-link") }],
  [`GET ${ONE}/calendar.ics`]: [{ ...noCalendar, request: at(`${SCHEDULES}/${NO_ID}/calendar.ics?token=x`) }],
  [`GET ${PATH}/users/:id/calendar.ics`]: [
    { ...noCalendar, request: at(`${PATH}/users/${NO_ID}/calendar.ics?token=x`) },
  ],
  [`GET ${PATH}/now`]: [
    {
      refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
      request: inWorld(({ shop }) => `${PATH}/now?projectId=${shop}`),
    },
  ],
  [`GET ${PATH}/shifts`]: [
    {
      // Readers of any project, also of the default one by a server role.
      refusal: (who) =>
        inPerson(who) ?? (who.kind === "user" && (who.member !== null || holds(who, "events:read")) ? null : NO_ROLE),
      request: inWorld(({ keeper }) => `${PATH}/shifts?userId=${keeper}`),
    },
  ],
  [`GET ${PATH}/proofs`]: [
    {
      refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
      request: inWorld(({ shop }) => `${PATH}/proofs?projectId=${shop}`),
    },
  ],
  [`GET ${DRILLS}`]: [{ refusal: inPerson, request: at(DRILLS) }],
  [`POST ${DRILLS}`]: [
    {
      refusal: inPerson,
      async request({ prism }) {
        // Callers are the same few people: none of them has had a drill in this hour.
        await prism.services.db.write((trx) => trx.deleteFrom("drills").execute());
        return { path: DRILLS, body: {} };
      },
    },
  ],
  [`GET ${DRILLS}/:id`]: [{ refusal: inPerson, served: [404, "DRILL_NOT_FOUND"], request: at(`${DRILLS}/${NO_ID}`) }],
  [`GET ${DRILLS}/ways`]: [{ refusal: own, request: at(`${DRILLS}/ways`) }],
  [`GET ${DRILLS}/preferences`]: [{ refusal: own, request: at(`${DRILLS}/preferences`) }],
  [`PUT ${DRILLS}/preferences`]: [{ refusal: own, request: at(`${DRILLS}/preferences`, { hour: 12 }) }],
  [`GET ${PATH}/preferences`]: [{ refusal: own, request: at(`${PATH}/preferences`) }],
  [`PUT ${PATH}/preferences`]: [{ refusal: own, request: at(`${PATH}/preferences`, { handoverLeadMs: null }) }],
  [`POST ${PATH}/preferences/calendar-link`]: [{ refusal: own, request: at(`${PATH}/preferences/calendar-link`) }],
  [`DELETE ${PATH}/preferences/calendar-link`]: [{ refusal: own, request: at(`${PATH}/preferences/calendar-link`) }],
};

function inPerson(who: Parameters<Rule>[0]): ReturnType<Rule> {
  return who.kind === "key" ? [403, "FORBIDDEN"] : readsAnywhere(who);
}

function readsAnywhere(who: Parameters<Rule>[0]): ReturnType<Rule> {
  const hasScope = who.kind !== "user" || who.scopes === null || who.scopes.includes("events:read");
  return hasScope ? null : [403, "UNAUTHORIZED_ROLE"];
}
