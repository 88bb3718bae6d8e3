import { readChecks } from "./heartbeats.ts";
import { idOf } from "./makers.ts";
import { anyUser, type InProject, inShop, may, readEvents, scoped } from "./refusals.ts";
import { at, inWorld, NO_ID, open, type Row, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const PATH = "/api/v1/channels";
/** An IP address needs no name resolution, and nothing answers there. */
const CHANNEL = { name: "room", preset: "http", fields: { url: "https://1.1.1.1/room" } };
const own = scoped(["account:own"]);
const write: InProject = { from: "editor", hidden: "CHANNEL_NOT_FOUND" };
const see = inShop({ ...readEvents, hidden: "CHANNEL_NOT_FOUND" });

/** One of the shop's, where there are no others: a project may not have any number of them. */
async function made({ prism, shop }: AccessWorld): Promise<string> {
  await prism.services.db.write((trx) => trx.deleteFrom("channels").execute());
  return idOf(prism.post(PATH, { ...CHANNEL, projectId: shop }));
}

const ofShop =
  (rest: string, body?: unknown): Row["request"] =>
  async (world) => ({ path: `${PATH}/${await made(world)}${rest}`, body });

const keyless =
  (rule: Row["refusal"]): Row["refusal"] =>
  (who) =>
    anyUser(who) ?? rule(who);

/** The URL of a channel's buttons, which no credential opens. */
export const HOOK_PATH = "/hooks/channels/:id/:service";

export const CHANNELS: Table = {
  [`POST ${HOOK_PATH}`]: [
    {
      ...open(`/hooks/channels/${NO_ID}/slack`),
      request: at(`/hooks/channels/${NO_ID}/slack`, {}),
      served: [404, "CHANNEL_NOT_FOUND"],
    },
  ],
  [`GET ${PATH}`]: [
    // A client of Healthchecks asks here with its key.
    { refusal: (who) => (who.kind === "key" ? readChecks(who) : own(who)), request: at(PATH) },
    { refusal: keyless(may("projects:all")), request: at(`${PATH}?scope=all`) },
    {
      refusal: keyless(inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" })),
      request: inWorld(({ shop }) => `${PATH}?projectId=${shop}`),
    },
  ],
  [`POST ${PATH}`]: [
    {
      refusal: own,
      request: async ({ prism }) => {
        await prism.services.db.write((trx) => trx.deleteFrom("channels").execute());
        return { path: PATH, body: CHANNEL };
      },
    },
    {
      refusal: keyless(inShop({ ...write, hidden: "PROJECT_NOT_FOUND" })),
      request: ({ shop }) => ({ path: PATH, body: { ...CHANNEL, projectId: shop } }),
    },
  ],
  [`GET ${PATH}/presets`]: [{ refusal: anyUser, request: at(`${PATH}/presets`) }],
  [`GET ${PATH}/:id`]: [
    { refusal: keyless(see), request: ofShop("") },
    { refusal: anyUser, request: at(`${PATH}/${NO_ID}`), served: [404, "CHANNEL_NOT_FOUND"] },
  ],
  [`PATCH ${PATH}/:id`]: [{ refusal: keyless(inShop(write)), request: ofShop("", { name: "other" }) }],
  [`DELETE ${PATH}/:id`]: [{ refusal: keyless(inShop(write)), request: ofShop("") }],
  [`POST ${PATH}/:id/test`]: [{ refusal: keyless(inShop(write)), request: ofShop("/test", { dryRun: true }) }],
};
