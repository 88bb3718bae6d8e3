import { anyUser } from "./refusals.ts";
import { at, type Table } from "./row.ts";

const PATH = "/api/v1/configuration";
const NOTHING = { kind: "buckets", name: "none", forMs: 60_000, reason: "a test" };

/** Docs: what each caller may read and change is asked of each kind and project; see configuration/apply.test.ts. */
export const CONFIGURATION: Table = {
  [`POST ${PATH}`]: { refusal: anyUser, request: at(PATH, { mode: "plan", objects: [] }) },
  [`GET ${PATH}/export`]: { refusal: anyUser, request: at(`${PATH}/export`) },
  [`GET ${PATH}/key`]: { refusal: anyUser, request: at(`${PATH}/key`) },
  [`GET ${PATH}/managed`]: { refusal: anyUser, request: at(`${PATH}/managed`) },
  [`GET ${PATH}/managed/drift`]: {
    refusal: anyUser,
    request: at(`${PATH}/managed/drift?kind=buckets&name=none`),
    served: [404, "NOT_FOUND"],
  },
  [`GET ${PATH}/sources`]: { refusal: anyUser, request: at(`${PATH}/sources`) },
  [`POST ${PATH}/unlock`]: {
    refusal: anyUser,
    request: at(`${PATH}/unlock`, NOTHING),
    served: [404, "NOT_FOUND"],
  },
};
