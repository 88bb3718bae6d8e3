import { open, type Row, type Table } from "./row.ts";

/** Credentials are those of Gotify's protocol: a wrong token refuses everybody alike. */
const keyed = [
  ...["GET /message", "DELETE /message", "DELETE /message/:id", "GET /application", "DELETE /application/:id"],
  ...["GET /application/:id/message", "DELETE /application/:id/message", "DELETE /application/:id/image"],
  ...["GET /client", "DELETE /client/:id", "GET /current/user", "GET /plugin", "GET /user", "GET /user/:id"],
  ...["DELETE /user/:id", "GET /stream"],
];
const keyedWithBody = [
  ...[
    "POST /message",
    "POST /application",
    "PUT /application/:id",
    "PUT /application/:id/security",
    "POST /application/:id/image",
    "POST /client",
  ],
  ...["PUT /client/:id", "POST /current/user/password", "POST /user", "POST /user/:id"],
];
const openTo = ["", "/version", "/gotifyinfo", "/health", "/static/defaultapp.png"];

export const GOTIFY_PATHS = [
  ...[...keyed, ...keyedWithBody].map((key) => `/gotify${key.split(" ")[1]}`),
  ...[...openTo, "/image/:name"].map((path) => `/gotify${path}`),
];

function refused(key: string, body?: object): [string, Row[]] {
  const [method, path = ""] = key.split(" ");
  const target = `/gotify${path.replace(":id", "1")}?token=x`;
  const request: Row["request"] = () => ({ path: target, ...(body === undefined ? {} : { body }) });
  return [`${method} /gotify${path}`, [{ ...open(target), request, served: [401, ""] }]];
}

export const GOTIFY: Table = {
  ...Object.fromEntries(keyed.map((key) => refused(key))),
  ...Object.fromEntries(keyedWithBody.map((key) => refused(key, {}))),
  ...Object.fromEntries(openTo.map((path) => [`GET /gotify${path}`, [open(`/gotify${path}`)]])),
  "GET /gotify/image/:name": { ...open("/gotify/image/none"), served: [404, ""] },
};
