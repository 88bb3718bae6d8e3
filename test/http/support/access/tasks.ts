import { makeTask } from "./makers.ts";
import { holds, may, NO_KEYS, NO_ROLE, scoped } from "./refusals.ts";
import { at, inWorld, type Row, type Rule, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const PATH = "/api/v1/tasks";
const ownTasks = may("tasks:own");
const keepers = ({ task }: AccessWorld): string => `${PATH}/${task}`;

/** The keeper's task, which only some may know of. */
const seesAny: Rule = (who) => {
  if (who.kind === "key") return NO_KEYS;
  if (holds(who, "tasks:all")) return null;
  return holds(who, "tasks:own") ? [404, "TASK_NOT_FOUND"] : NO_ROLE;
};
/** Those who may know of it may not change it. */
const nobodyElses: Rule = (who) => ownTasks(who) ?? seesAny(who) ?? [403, "FORBIDDEN"];

const change = (body?: unknown): readonly Row[] => [
  {
    refusal: ownTasks,
    request: async (world, who, isServed) => ({
      path: isServed && who.kind === "user" ? `${PATH}/${await makeTask(world.prism, who.id)}` : keepers(world),
      body,
    }),
  },
  { refusal: nobodyElses, request: inWorld(keepers, body) },
];

/** Contract 4.10. */
export const TASKS: Table = {
  "GET /api/v1/tasks": [
    { refusal: ownTasks, request: at(PATH) },
    {
      refusal: (who) => ownTasks(who) ?? may("tasks:all")(who),
      request: inWorld((world) => `${PATH}?userId=${world.keeper}`),
    },
  ],
  "POST /api/v1/tasks": { refusal: ownTasks, request: at(PATH, { title: "t" }) },
  "GET /api/v1/tasks/:id": { refusal: scoped(["tasks:own", "tasks:all"], seesAny), request: inWorld(keepers) },
  "PUT /api/v1/tasks/:id": change({ status: "DONE" }),
  "PATCH /api/v1/tasks/:id": change({ status: "DONE" }),
  "DELETE /api/v1/tasks/:id": change(),
};
