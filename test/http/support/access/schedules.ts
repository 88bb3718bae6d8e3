import { idOf } from "./makers.ts";
import { may } from "./refusals.ts";
import { at, inWorld, NO_ID, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const PATH = "/api/v1/schedules";
const action = { type: "event", event: "tick" };

let made = 0;

/** Its next time is years away. */
function body() {
  made += 1;
  return { name: `schedule ${made}`, cron: "0 0 29 2 *", queue: "timers", kind: "timer", payload: { action } };
}

const makeSchedule = ({ prism }: AccessWorld): Promise<string> => idOf(prism.post(PATH, body()));

/** Contract 4.12. */
export const SCHEDULES: Table = {
  "GET /api/v1/schedules": { refusal: may("jobs:read"), request: at(PATH) },
  "POST /api/v1/schedules": { refusal: may("jobs:manage"), request: () => ({ path: PATH, body: body() }) },
  "POST /api/v1/schedules/preview": {
    refusal: may("jobs:read"),
    request: at(`${PATH}/preview`, { cron: "@daily", timezone: "UTC", count: 1 }),
  },
  "GET /api/v1/schedules/kinds": { refusal: may("jobs:read"), request: at(`${PATH}/kinds`) },
  "GET /api/v1/schedules/:id": [
    { refusal: may("jobs:read"), request: async (world) => ({ path: `${PATH}/${await makeSchedule(world)}` }) },
    { refusal: may("jobs:read"), request: inWorld(() => `${PATH}/${NO_ID}`), served: [404, "SCHEDULE_NOT_FOUND"] },
  ],
  "GET /api/v1/schedules/:id/runs": {
    refusal: may("jobs:read"),
    request: async (world) => ({ path: `${PATH}/${await makeSchedule(world)}/runs` }),
  },
  "PUT /api/v1/schedules/:id": {
    refusal: may("jobs:manage"),
    request: async (world) => ({ path: `${PATH}/${await makeSchedule(world)}`, body: { active: false } }),
  },
  "DELETE /api/v1/schedules/:id": {
    refusal: may("jobs:manage"),
    request: async (world) => ({ path: `${PATH}/${await makeSchedule(world)}` }),
  },
  "POST /api/v1/schedules/:id/run": {
    refusal: may("jobs:manage"),
    request: async (world) => ({ path: `${PATH}/${await makeSchedule(world)}/run` }),
  },
};
