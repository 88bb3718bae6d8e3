import { uuidv7 } from "../../../../src/core/ids.ts";
import { type InProject, inShop, readEvents } from "./refusals.ts";
import { at, inWorld, NO_ID, open, type Refusal, type Row, type Table } from "./row.ts";

const PATH = "/api/v1/status-page";
const { from } = readEvents;
const write: InProject = { from: "owner", hidden: "PROJECT_NOT_FOUND" };
const read = inShop({ from, hidden: "PROJECT_NOT_FOUND" });
const hidden = "STATUS_NOTICE_NOT_FOUND";
const NEW = { kind: "incident", title: "x", text: "y" } as const;

/** With a new notice for each caller. */
const notice =
  (body?: unknown): Row["request"] =>
  async ({ prism, shop }) => {
    const made = await prism.post<{ id: string }>(`${PATH}/notices`, { ...NEW, projectId: shop });
    return { path: `${PATH}/notices/${made.body.id}`, body };
  };

/** With a new subscriber for each caller. */
const subscriber: Row["request"] = async ({ prism, shop }) => {
  const id = uuidv7();
  const times = { createdAt: 1, mailedAt: 1, confirmedAt: 1 };
  await prism.parts.base.database.write((trx) =>
    trx
      .insertInto("status_subscribers")
      .values({ id, projectId: shop, hash: id, address: Buffer.from("x"), ...times })
      .execute(),
  );
  return { path: `${PATH}/subscribers/${id}?projectId=${shop}` };
};

const GET = ["", "/history.json", "/feed.atom", "/style.css", "/live.js", "/confirm", "/unsubscribe"];
const POST = ["/subscribe", "/confirm", "/unsubscribe"];

/** The addresses of visitors, each as often as it has methods. */
export const STATUS_PATHS = [...GET, ...POST].map((rest) => `/status/:page${rest}`);

/** The project has no page; the links that end a subscription work without one. */
const visit = (method: string, rest: string): [string, Row[]] => {
  const path = `/status/shop${rest}`;
  // Forms only: the callers send JSON.
  const refused: Refusal = method === "POST" ? [415, "UNSUPPORTED_MEDIA_TYPE"] : [404, "NOT_FOUND"];
  const row = { ...open(path), request: method === "POST" ? at(path, {}) : at(path) };
  return [
    `${method} /status/:page${rest}`,
    [method === "GET" && rest === "/unsubscribe" ? row : { ...row, served: refused }],
  ];
};

export const STATUS_PAGE: Table = {
  [`GET ${PATH}`]: [{ refusal: read, request: inWorld(({ shop }) => `${PATH}?projectId=${shop}`) }],
  [`PUT ${PATH}`]: [
    {
      refusal: inShop(write),
      request: ({ shop }) => ({ path: `${PATH}?projectId=${shop}`, body: { enabled: false, title: "Shop" } }),
    },
  ],
  [`GET ${PATH}/notices`]: [{ refusal: read, request: inWorld(({ shop }) => `${PATH}/notices?projectId=${shop}`) }],
  [`POST ${PATH}/notices`]: [
    {
      refusal: inShop(write),
      request: ({ shop }) => ({ path: `${PATH}/notices`, body: { ...NEW, projectId: shop } }),
    },
  ],
  [`GET ${PATH}/notices/:id`]: [{ refusal: inShop({ from, hidden }), request: notice() }],
  [`PATCH ${PATH}/notices/:id`]: [{ refusal: inShop({ ...write, hidden }), request: notice({ title: "z" }) }],
  [`DELETE ${PATH}/notices/:id`]: [{ refusal: inShop({ ...write, hidden }), request: notice() }],
  [`GET ${PATH}/subscribers`]: [
    {
      refusal: inShop(write),
      request: async ({ prism, shop }) => {
        await prism.parts.base.database.write((trx) =>
          trx.deleteFrom("status_subscribers").where("id", "<>", NO_ID).execute(),
        );
        return { path: `${PATH}/subscribers?projectId=${shop}` };
      },
    },
  ],
  [`DELETE ${PATH}/subscribers/:id`]: [{ refusal: inShop(write), request: subscriber }],
  ...Object.fromEntries([...GET.map((rest) => visit("GET", rest)), ...POST.map((rest) => visit("POST", rest))]),
};
